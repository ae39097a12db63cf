#!/bin/sh
# training.sh - every stage that makes or changes a model, at a small size: killed in front of changes
# to the disk all along the way, resumed, and the same bytes at the end.  STEP (default 29): every
# STEPth change.
. "${srcdir:-.}/tests/e2e/lib.sh"

i=0
while test $i -lt 24; do
	i=$((i + 1))
	echo "{\"id\":\"$i\",\"messages\":[{\"role\":\"user\",\"content\":\"play song number $i by band$((i % 5))\"},{\"role\":\"assistant\",\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":\"Play\",\"arguments\":{\"song\":\"song number $i\",\"artist\":\"band$((i % 5))\"}}}]}]}"
done >rows.jsonl
sed 's/"messages"/"chosen":"a song","rejected":[{"role":"assistant","content":"no"}],"messages"/' rows.jsonl >pairs.jsonl
cat >p.cfg <<-END
	retort = 1; name = "p"; seed = 3;
	stages = (
	  { name = "gold"; use = "dataset"; paths = "rows.jsonl"; },
	  { name = "pairs"; use = "dataset"; paths = "pairs.jsonl"; },
	  { name = "more"; use = "augment"; data = "gold"; copies = 1; },
	  { name = "blank"; use = "model"; family = "llama"; hidden = 32; layers = 2; heads = 4; kv_heads = 2; feed_forward = 64; context = 256; data = "gold"; vocabulary = 320; },
	  { name = "small"; use = "model"; hidden = 16; layers = 1; heads = 2; feed_forward = 32; context = 256; tokenizer = "text"; },
	  { name = "taught"; use = "train"; model = "blank"; data = "more"; validation = "gold"; steps = 4; batch = 4; average = 0.9; save = 0; },
	  { name = "tried"; use = "train"; model = "blank"; data = "gold"; validation = "gold"; judges = ( "exact", "call-match", "agree" ); every = 2; patience = 2; validation_rows = 6; max_answer = 8; steps = 6; batch = 4; average = 0.5; save = 0; result = true; },
	  { name = "early"; use = "train"; model = "blank"; data = "gold"; validation = "gold"; every = 1; patience = 1; steps = 50; batch = 24; rate = 3.0; warmup = 0.0; clip = 0.0; schedule = "constant"; save = 0; result = true; },
	  { name = "student"; use = "distill"; model = "small"; teacher = "taught"; data = "gold"; validation = "gold"; steps = 3; batch = 4; mix = 0.3; on_policy = 0.5; max_answer = 8; small_moments = true; products = "bf16"; save = 0; },
	  { name = "kept"; use = "score"; model = "taught"; data = "gold"; top = 16; rows = 100; },
	  { name = "pupil"; use = "distill"; model = "small"; data = "kept"; validation = "kept"; steps = 2; batch = 4; save = 0; result = true; },
	  { name = "better"; use = "reinforce"; model = "student"; reference = "student"; data = "gold"; judges = "call-match"; steps = 2; iterations = 2; prompts = 2; group = 2; max_answer = 8; high = 1.0; rl = { use = "grpo"; beta = 0.1; }; products = "bf16"; save = 0; },
	  { name = "liked"; use = "prefer"; model = "student"; data = "pairs"; validation = "pairs"; steps = 3; batch = 4; rows = 300; nll = 0.1; average = 0.9; products = "bf16"; result = true; save = 0; },
	  { name = "shallow"; use = "prune"; model = "taught"; data = "gold"; pruner = "depth"; count = 1; result = true; },
	  { name = "terse"; use = "prune"; model = "taught"; data = "gold"; pruner = "vocabulary"; result = true; },
	  { name = "thin"; use = "prune"; model = "taught"; data = "gold"; pruner = { use = "width"; units = "heads"; }; remove = 0.5; result = true; },
	  { name = "narrow"; use = "prune"; model = "better"; data = "gold"; pruner = "width"; remove = 0.5; multiple = 8; },
	  { name = "few"; use = "quantize"; model = "taught"; data = "gold"; quantizer = "gptq"; samples = 12; },
	  { name = "given"; use = "export"; model = "few"; data = "gold"; to = "gguf"; samples = 4; max_tokens = 8; result = true; },
	  { name = "packed"; use = "export"; model = "few"; data = "gold"; format = "compressed-tensors"; samples = 4; max_tokens = 8; result = true; },
	  { name = "said"; use = "write"; data = "gold"; how = "continue"; count = 5; each = 4; max_asked = 10; max_tokens = 200; max_words = 4096; batch = 2; teacher = { use = "local"; model = "taught"; }; result = true; },
	  { name = "answers"; use = "sample"; data = "gold"; n = 2; max_tokens = 8; batch = 8; teacher = { use = "local"; model = "narrow"; }; },
	  { name = "quality"; use = "evaluate"; data = "answers"; judges = ( "exact", "call-match" ); } );
	trackers = ( "jsonl" );
END

# The small model takes the tokenizer of the first one.
{ sed '/name = "small"/,$d' p.cfg | sed 's/vocabulary = 320; },$/vocabulary = 320; result = true; } );/'; } >t.cfg
"$retort" run t.cfg --runs first >/dev/null 2>&1
cp -rL first/p/blank text

RETORT_THREADS=1 "$retort" run p.cfg --runs one >log 2>&1
result 'every stage that makes or changes a model runs' "$(test $? = 0 && echo true)" "$(tail -n 3 log)"
"$retort" run p.cfg --runs whole >/dev/null 2>&1
whole=$(results whole)
result 'the results are the same bytes for one thread and for several' \
	"$(test -n "$whole" && test "$whole" = "$(results one)" && echo true)" ''
layers=$("$retort" show whole/p/shallow | sed -n 's/^layers *//p')
heads=$("$retort" show whole/p/thin | sed -n 's/^kv_heads *//p')
neurons=$("$retort" show whole/p/narrow | sed -n 's/^feed_forward *//p')
result 'layers, heads and neurons are gone from the configuration' \
	"$(test "$layers $heads $neurons" = '1 1 16' && echo true)" "$layers $heads $neurons"
result 'everything is done already the second time' \
	"$("$retort" run p.cfg --runs whole >log 2>&1 && ! grep -q started log && echo true)" "$(cat log)"

"$retort" run p.cfg --runs whole --set liked.products=f32 >log 2>&1
result 'other products are another result of that stage alone' \
	"$(test "$(grep -c started log)" = 1 && grep -q 'liked.*started' log && echo true)" "$(cat log)"
"$retort" run p.cfg --runs whole >/dev/null 2>&1
"$retort" check p.cfg --set liked.products=f16 >log 2>&1
result 'products that there are not are a mistake' \
	"$(test $? = 2 && grep -q "'products' must be \"f32\" or \"bf16\", not \"f16\"" log && echo true)" "$(cat log)"

figure() { # STAGE METRIC
	tr -d ' \n' <"whole/p/$1.report/metrics.json" | sed -n "s/.*\"$2\":{\"value\":\([-+.e0-9]*\).*/\1/p"
}
# The reference is what the model was in the beginning: it is no more at the second update by the same
# answers, and the third has answers of its own.
moved=$(sed -n 's/.*"tag":"better\/kl","step":\([0-9]*\),"value":\([-+.e0-9]*\).*/\1 \2/p' whole/p/logs/*.jsonl)
result 'reinforcement makes each update by the same answers from the weights of then' \
	"$(echo "$moved" | awk '{ n++; if ($1 != n || (n == 1) != ($2 + 0 == 0)) bad = 1 } END { if (n == 4 && !bad) print "true" }')" "$moved"

"$retort" check p.cfg --set early.rate_end=0.5 >log 2>&1
result 'what a constant rate would not look at is a mistake' \
	"$(test $? = 2 && grep -q 'rate_end = 0.5 does nothing with schedule = "constant"' log && echo true)" "$(cat log)"

# A rate of 3 soon makes it worse; patience is 1: one step after the best.
result 'training stops when validation was no better, and keeps the best' \
	"$(echo "$(figure early steps) $(figure early best_step)" | awk '{ if ($1 == $2 + 1 && $1 < 50) print "true" }')" \
	"$(figure early steps) $(figure early best_step)"

# One candidate agrees with itself, in each of six rows: six times a sixth would be less than 1.
result 'the mean of ones is 1' "$(test "$(figure tried eval_agree)" = 1.0 && echo true)" "$(figure tried eval_agree)"

# Stopped at every question whether to stop, or every third, the last ones in the validation behind the steps, and
# long before a checkpoint would be due: no step is done again, and the bytes are the same.
stops=0 again='' other=''
for each in taught:3 student:3 better:1 liked:1; do
	stage=${each%:*}
	once() { "$retort" run p.cfg --runs "$1" --only $stage --log plain --set $stage.rate=0.002 --set $stage.rows=300 --set $stage.save=1000; }
	rm -rf straight && cp -R whole straight && once straight >/dev/null 2>&1
	want=$(sha256sum straight/p/$stage/model.safetensors straight/p/$stage.report/metrics.json | cut -c1-64)
	n=1
	while
		rm -rf runs && cp -R whole runs && rm -f runs/p/logs/*.jsonl
		RETORT_FAULT=cancel:$n once runs >/dev/null 2>&1
		test $? = 130
	do
		once runs >/dev/null 2>log
		have=$(sha256sum runs/p/$stage/model.safetensors runs/p/$stage.report/metrics.json | cut -c1-64)
		test "$have" = "$want" || other="$other $stage:$n"
		twice=$(sed -n 's/.*"tag":"[a-z]*.train.learning_rate","step":\([0-9]*\),.*/\1/p' runs/p/logs/*.jsonl | sort | uniq -d)
		test -z "$twice" || again="$again $stage:$n"
		rm -rf stopped && mv runs stopped
		stops=$((stops + 1)) n=$((n + ${each#*:}))
	done
	test $n -gt 10 || other="$other $stage: stopped $n times only"
done
"$retort" report p --runs stopped >log 2>&1
result 'a report says where only the last part of the time is known' \
	"$(grep '^| taught .* m*s |$' log | grep -qv ' over ' && grep -q '^| liked .* over [0-9.]* m*s |$' log && grep -q 'stages done, over ' log && echo true)" "$(cat log)"
result "stopped at $stops places, no step is done again" "$(test -z "$again" && echo true)" "$again"
result 'and the bytes at the end are the same' "$(test -z "$other" && echo true)" "$other"

# Killed in front of change n, resumed and killed again there, then walked to the end.
step=${STEP:-29} n=3 bad='' kills=0
while rm -rf runs; RETORT_FAULT=kill:$n "$retort" run p.cfg --runs runs >/dev/null 2>&1; test $? = 137; do
	RETORT_FAULT=kill:$n "$retort" run p.cfg --runs runs >/dev/null 2>&1
	"$retort" run p.cfg --runs runs >/dev/null 2>&1
	test "$(results runs)" = "$whole" || bad="$bad $n"
	kills=$((kills + 1)) n=$((n + step))
done
result "killed at $kills places, the same bytes at the end" \
	"$(test -z "$bad" && test $kills -gt 5 && echo true)" "$bad"

example=${srcdir:-.}/examples/assistant
result 'the pipeline of the example'\''s teacher has no mistake' \
	"$("$retort" check "$example/teacher.cfg" >log 2>&1 && echo true)" "$(cat log)"
done_testing
