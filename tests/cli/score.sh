#!/bin/sh
# score.sh - what stage score keeps of a teacher is as good as the teacher.
. "${srcdir:-.}/tests/cli/lib.sh"
cd "$tmp" || exit 1

i=0
while test $i -lt 70; do
	i=$((i + 1))
	echo "{\"id\":\"r$i\",\"messages\":[{\"role\":\"user\",\"content\":\"play song number $i\"},{\"role\":\"assistant\",\"content\":\"song $i by band$((i % 5))\"}]}"
done >rows.jsonl
cat >base.cfg <<'E2'
  { name = "gold"; use = "dataset"; paths = "rows.jsonl"; },
  { name = "test"; use = "dataset"; paths = "rows.jsonl"; limit = 9; },
  { name = "blank"; use = "model"; family = "llama"; hidden = 32; layers = 1; heads = 2; kv_heads = 1; feed_forward = 64; context = 128; data = "gold"; vocabulary = 320; },
  { name = "taught"; use = "train"; model = "blank"; data = "gold"; steps = 20; batch = 16; rate = 5e-3; },
  { name = "all"; use = "score"; model = "taught"; data = "gold"; top = 1000; rows = 100; },
  { name = "some"; use = "score"; model = "taught"; data = "gold"; top = 8; result = true; },
  { name = "all_test"; use = "score"; model = "taught"; data = "test"; top = 1000; },
E2
run() { # STAGES
	printf 'retort = 1; name = "p"; seed = 3; stages = (\n@include "base.cfg"\n%s );\n' "$1" >p.cfg
	"$retort" run p.cfg --runs runs --log plain >out 2>err
}
value() { # STAGE METRIC
	tr -d ' \n' <"runs/p/$1.report/metrics.json" | sed -n "s/.*\"$2\":{\"value\":\\([-+.e0-9]*\\).*/\\1/p"
}

# All rows are in every step; only their order, which the seed of each stage gives, differs.  A
# log-probability below 2^4 is rounded to 2^-21, and losses are means of some hundred such tokens, below 6.
near() { # A B
	awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; print (a != "" && b != "" && a > 0 && d * d < 1e-12 ? "near" : "far: " a " " b) }'
}
same() { # LOSS: with the teacher, and with what is kept of it
	run "{ name = \"live\"; use = \"distill\"; model = \"blank\"; teacher = \"taught\"; data = \"gold\"; validation = \"test\"; loss = $1; steps = 3; mix = 0.2; batch = 100; result = true; },
	{ name = \"kept\"; use = \"distill\"; model = \"blank\"; data = \"all\"; validation = \"all_test\"; loss = $1; steps = 3; mix = 0.2; batch = 100; result = true; }" || cat err
	near "$(value live train_loss)" "$(value kept train_loss)"
	near "$(value live eval_kd_loss)" "$(value kept eval_kd_loss)"
	near "$(value live eval_ce_loss)" "$(value kept eval_ce_loss)"
}
check 'all of the vocabulary is the teacher itself' 0 'near
near
near' same '"kl"'
check 'also for the loss of one chosen token and the best others' 0 'near
near
near' same '"ckd"'

# Eight of 320 tokens hold a part of the probability, and teach.
few() {
	run '{ name = "kept"; use = "distill"; model = "blank"; data = "some"; validation = "all_test"; loss = "kl"; steps = 30; batch = 20; rate = 5e-3; result = true; },
	{ name = "less"; use = "distill"; model = "blank"; data = "some"; validation = "all_test"; loss = "kl"; steps = 1; batch = 20; rate = 5e-3; result = true; }' || cat err
	awk -v m="$(value some mass)" -v a="$(value kept eval_kd_loss)" -v b="$(value less eval_kd_loss)" \
		'BEGIN { print (m > 0.1 && m < 1), (a != "" && a < 0.7 * b) }'
	cmp rows.jsonl runs/p/some/rows.jsonl && value some rows
}
check 'a few tokens teach, too; the rows are those that came' 0 '1 1
70.0' few
# Rounded to eight bits, the teacher's loss is nearly what it was, and not the same.
rounded() {
	run '{ name = "all_rounded"; use = "score"; model = "taught"; data = "gold"; top = 1000; products = "bf16"; },
	{ name = "kept"; use = "distill"; model = "blank"; data = "all"; validation = "all_test"; loss = "kl"; steps = 1; batch = 100; result = true; },
	{ name = "other"; use = "distill"; model = "blank"; data = "all_rounded"; validation = "all_test"; loss = "kl"; steps = 1; batch = 100; result = true; }' || cat err
	awk -v a="$(value kept train_loss)" -v b="$(value other train_loss)" 'BEGIN { d = a - b; print (a > 0 && b > 0 && d != 0 && d * d < 1e-4 * a * a) }'
}
check 'products of bf16 change the scores a little' 0 '1' rounded
# However many threads take the losses.
one_thread() {
	run "{ name = \"kept\"; use = \"distill\"; model = \"blank\"; data = \"all\"; loss = \"ckd\"; steps = 3; batch = 40; result = true; }" || cat err
	RETORT_THREADS=1 "$retort" run p.cfg --runs alone >out 2>err || cat err
	cmp runs/p/kept/model.safetensors alone/p/kept/model.safetensors && value kept steps
}
check 'one thread distils to the same bytes' 0 '3.0' one_thread
again() {
	run '{ name = "other"; use = "distill"; model = "blank"; data = "some"; loss = "kl"; steps = 1; result = true; }'
	grep -c 'some: done already' err
}
check 'another student finds what was kept' 0 1 again

# ---- mistakes -----------------------------------------------------------------------------------

printf '%s' '{% for m in messages %}{{ m.role }}: {{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}' >odd.jinja
{
	head -n 3 rows.jsonl
	printf '{"id":"long","messages":[{"role":"user","content":"q q q q q q q q q q q q q q q q q q q q q q q q q q q q q q"},{"role":"assistant","content":"a"}]}\n'
} >short.jsonl
said() { # STAGES
	run "$1"
	sed -n 's/^retort: //p' err | sed 's|[^ ]*/top.bin|top.bin|; /one mistake/d; /warning: /d; s/row .r[0-9]*. is/row '\''N'\'' is/'
}
check 'rows of no score' 0 "stage x: without a teacher 'gold' must be of a stage score: nothing is kept of one beside its rows" \
	said '{ name = "x"; use = "distill"; model = "blank"; data = "gold"; steps = 1; result = true; }'
check 'what the student will write' 0 'p.cfg:3: stage x: stage-distill: on_policy without a teacher: what the student will write, nobody can have scored before' \
	said '{ name = "x"; use = "distill"; model = "blank"; data = "all"; on_policy = 0.5; steps = 1; result = true; }'
check 'another template' 0 "stage x: row 'N' is other tokens than when it was scored: student and teacher differ in tokenizer or chat template" \
	said '{ name = "odd"; use = "model"; family = "llama"; hidden = 32; layers = 1; heads = 2; context = 128; data = "gold"; vocabulary = 320; template = "odd.jinja"; },
	{ name = "x"; use = "distill"; model = "odd"; data = "all"; steps = 1; rows = 1; batch = 100; result = true; }'
check 'another vocabulary' 0 'stage x: the student has 300 tokens, the teacher 320; their logits can be compared over one vocabulary only: begin with a student that has the teacher'\''s tokenizer' \
	said '{ name = "odd"; use = "model"; family = "llama"; hidden = 32; layers = 1; heads = 2; context = 128; data = "gold"; vocabulary = 300; },
	{ name = "x"; use = "distill"; model = "odd"; data = "all"; steps = 1; result = true; }'
check 'a row that was not scored' 0 "stage x: row 'long' was not scored: it was longer than what stage score took" \
	said '{ name = "short"; use = "dataset"; paths = "short.jsonl"; },
	{ name = "part"; use = "score"; model = "taught"; data = "short"; max_length = 60; },
	{ name = "x"; use = "distill"; model = "blank"; data = "part"; steps = 1; rows = 1; batch = 100; result = true; }'

damage() { # COMMAND on the file that is kept, its size in the manifest changed with it: a run sees that itself
	run '{ name = "x"; use = "distill"; model = "blank"; data = "some"; steps = 2; result = true; }'
	file=$(readlink -f runs/p/some)/top.bin
	manifest=$(dirname "$file")/../artifact.json
	chmod u+w "$(dirname "$file")" "$file" "$manifest"
	cp "$file" whole
	cp "$manifest" whole.json
	eval "$1" <whole >"$file"
	sed "s/\(\"size\": *\)$(wc -c <whole | tr -d ' ')\b/\1$(wc -c <"$file" | tr -d ' ')/" whole.json >"$manifest"
	rm -rf runs/p/x
	said "{ name = \"x\"; use = \"distill\"; model = \"blank\"; data = \"some\"; steps = $2; result = true; }"
	cp whole "$file"
	cp whole.json "$manifest"
}
check 'a file that is cut short' 0 'stage x: top.bin is damaged: remove it, and run stage score again' damage 'head -c 5000' 3
check 'a head that is cut short' 0 'stage x: top.bin is damaged: remove it, and run stage score again' damage 'head -c 20' 4
check 'another kind of file' 0 'stage x: top.bin is damaged: remove it, and run stage score again' damage 'tr T X' 5

done_testing
