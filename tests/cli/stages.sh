#!/bin/sh
# stages.sh - what data stages make of rows that are known by heart.
. "${srcdir:-.}/tests/cli/lib.sh"
cd "$tmp" || exit 1

row() { # user text, function, arguments
	printf '{"id":"%s","messages":[{"role":"user","content":"%s"},{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"%s","arguments":%s}}]}]}\n' "$1" "$1" "$2" "$3"
}

run() { # pipeline file; the figures of the run without the stage reports of other stages
	"$retort" run "$1" --runs runs --log plain 2>err || { cat err; return 1; }
}

figures() { # file: one figure a line, NAME VALUE n N
	tr -d ' \n' < "$1" | sed 's/},*/\n/g' | sed -n 's/^{*"\([^"]*\)":{"value":\([^,]*\),"n":\([0-9]*\).*/\1 \2 n \3/p'
}

# ---- augment: values of one function, or of all ----------------------------------------------

{ row 'table in rome' book '{"city":"rome"}'; row 'rain in oslo' weather '{"city":"oslo"}'; } > cities.jsonl
for across in false true; do
	cat > augment-$across.cfg <<E1
retort = 1; name = "a$across"; seed = 1;
stages = (
  { name = "d"; use = "dataset"; paths = "cities.jsonl"; },
  { name = "v"; use = "augment"; data = "d"; copies = 20; exchange = 1.0; made_up = 0.0; across = $across; result = true; } );
E1
done
booked() { run "augment-$1.cfg" > out && sed -n 's/.*table in \([a-z]*\)".*/\1/p' "runs/a$1/v/rows.jsonl" | sort -u | paste -s -d,; }
check "values stay with their function" 0 rome booked false
check "across functions, an argument's values are one" 0 oslo,rome booked true

# ---- strict calls are of one form -----------------------------------------------------------

cp -r "${srcdir:-.}/examples/assistant/teacher" other && chmod -R u+w other &&
	sed 's/<tool_call>/[TOOL_CALLS]/; s/<.tool_call>//' "${srcdir:-.}/examples/assistant/teacher/chat_template.jinja" >other/chat_template.jinja
cat > strict.cfg <<'E3'
retort = 1; name = "s"; seed = 1;
stages = (
  { name = "d"; use = "dataset"; paths = "cities.jsonl"; },
  { name = "a"; use = "sample"; data = "d"; teacher = { use = "local"; path = "other"; strict = true; }; } );
E3
check "a model that writes calls otherwise is refused" 1 "the model's chat template writes calls behind [TOOL_CALLS]; strict calls are those of <tool_call>" sh -c \
	'"$0" run strict.cfg --runs runs --log plain 2>&1 >/dev/null | sed -n "s/^retort: .*: \(the model.s chat template\)/\1/p"; "$0" run strict.cfg --runs runs >/dev/null 2>&1' "$retort"

# ---- evaluate: one right argument of two, one wrong function --------------------------------

{ row 'play jazz' play '{"genre":"jazz","n":1}'; row 'weather in rome' weather '{"city":"rome"}'; } > test.jsonl
{ row 'play jazz' play '{"genre":"jazz","n":2,"x":true}'; row 'weather in rome' play '{"genre":"rome"}'; } > known.jsonl
cat > evaluate.cfg <<'E2'
retort = 1; name = "e"; seed = 1;
stages = (
  { name = "test"; use = "dataset"; paths = "test.jsonl"; },
  { name = "drafts"; use = "sample"; data = "test"; teacher = { use = "nearest"; known = "known.jsonl"; }; },
  { name = "quality"; use = "evaluate"; data = "drafts"; judges = ( { use = "exact"; } ); result = true; } );
E2
echo '{"name":"play"}' > object.json
sed 's|sample"; |sample"; tools = "object.json"; |' evaluate.cfg > object.cfg
check "a teacher is not given tools that are none" 1 "retort: stage drafts: object.json: tools are a list [ ... ], this is an object" \
	sh -c "'$retort' run object.cfg --runs runs --log plain 2>&1 >out | sed -n '/^retort/{s|[^ ]*/object|object|;p;}'; exit 1"
evaluated() { run evaluate.cfg > out && figures runs/e/quality.calls/metrics.json; }
check "evaluate counts functions and arguments" 0 "confusion/play/play 1.0 n 1
confusion/weather/play 1.0 n 1
name 0.5 n 2
precision 0.25 n 4
precision/play 0.25 n 4
precision/play.genre 0.5 n 2
precision/play.n 0.0 n 1
precision/play.x 0.0 n 1
recall 0.3333333333333333 n 3
recall/play 0.5 n 2
recall/play.genre 1.0 n 1
recall/play.n 0.0 n 1
recall/weather 0.0 n 1
recall/weather.city 0.0 n 1" evaluated

terminal() { sed -n '/quality.calls/,/results/p' out | sed 's/  */ /g'; }
check "the terminal leaves details to the file" 0 "runs/e/quality.calls
 name 0.5 [0.09453, 0.9055] n 2
 precision 0.25 [0.04559, 0.6994] n 4
 recall 0.3333 [0.06149, 0.7923] n 3
results: runs/e" terminal

echo '[{"name":"play","parameters":{"type":"object","properties":{"genre":{"type":"string"}}}}]' >few.json
echo '[{"name":"play","parameters":{"type":"object","properties":{"n":{"type":"string"}}}}]' >texts.json
cat > twice.cfg <<'E4'
retort = 1; base = "evaluate.cfg"; name = "t";
set = { quality = { judges = ( { use = "schema"; tools = "few.json"; }, { use = "schema"; tools = "texts.json"; } ); }; };
E4
twice() { run twice.cfg >out && figures runs/t/quality/metrics.json && grep -o '"schema[_2]*":{"score":[^,]*' runs/t/quality.rows/rows.jsonl; }
check "two judges of a kind have figures of their own" 0 'schema 1.0 n 2
schema_mean 1.0 n 2
schema_2 0.5 n 2
schema_2_mean 0.5 n 2
unanswered 0.0 n 2
"schema":{"score":1.0
"schema_2":{"score":0.0
"schema":{"score":1.0
"schema_2":{"score":1.0' twice
unasked() { "$retort" run evaluate.cfg --set quality.data=test --runs runs --log plain 2>&1 | grep -v warning | sed -n 's/^retort: //p'; }
check "rows that nobody was asked for are no bad answers" 0 \
	'stage quality: no row of test has candidates: give the dataset of a stage that asks for answers, as sample does' unasked

# ---- a pipeline that is another one with changes ---------------------------------------------

mkdir sub
cat > sub/other.cfg <<'E2'
retort = 1; base = "../evaluate.cfg"; name = "b";
set = { quality = { judges = ( { use = "call-match"; } ); }; };
E2
based() { run sub/other.cfg > out; sed -n '/drafts.*done already/p' err | sed 's/.* info //'; figures runs/b/quality/metrics.json; }
check "a base keeps its paths, and what is not changed is not computed again" 0 "drafts: done already, 2 rows
call-match 0.0 n 2
call-match_mean 0.16666666666666666 n 2
unanswered 0.0 n 2" based

# ---- what a stage would ask: nothing without a teacher inside; with one, what it says ----------

cat > asks.cfg <<'E2'
retort = 1; name = "asks"; seed = 1;
stages = (
  { name = "test"; use = "dataset"; paths = "test.jsonl"; },
  { name = "a"; use = "sample"; data = "test"; teacher = { use = "nearest"; known = "known.jsonl"; }; },
  { name = "of_a"; use = "evaluate"; data = "a"; judges = "exact"; },
  { name = "by_b"; use = "evaluate"; data = "a"; result = true;
    judges = ( { use = "exact"; }, { use = "llm"; teacher = { use = "nearest"; known = "known.jsonl"; }; } ); } );
E2
asked() { "$retort" plan asks.cfg --runs none --json | sed 's/.*"stage":"\([a-z_]*\)".*"calls":\([^,]*\),.*"money":\([^,]*\),.*/\1 \2 \3/'; }
check "plan knows which stages ask nobody" 0 "test 0.0 0.0
a 2.0 0.0
of_a 0.0 0.0
by_b null null" asked

# ---- repeat, and compare: rows are paired by id, a row's pairs are averaged ------------------------

{ row 'play jazz' play '{"genre":"jazz","n":1}'; row 'weather in rome' weather '{"city":"rome"}'
  row 'play rock' play '{"genre":"rock"}'; row 'play pop' play '{"genre":"pop"}'; } > four.jsonl
{ row 'play jazz' play '{"genre":"jazz","n":1}'; row 'weather in rome' weather '{"city":"rome"}'
  row 'play rock' play '{"genre":"pop"}'; row 'play pop' play '{"genre":"pop"}'; } > good.jsonl
{ row 'play pop' play '{"genre":"pop"}'; row 'play jazz' play '{"genre":"pop"}'
  row 'weather in rome' weather '{"city":"paris"}'; row 'play rock' play '{"genre":"rock"}'; } > bad.jsonl
cat > compare.cfg <<'E2'
retort = 1; name = "c"; seed = 1;
stages = (
  { name = "test"; use = "dataset"; paths = "four.jsonl"; },
  { name = "a"; use = "sample"; data = "test"; teacher = { use = "nearest"; known = "good.jsonl"; }; },
  { name = "b"; use = "sample"; data = "test"; teacher = { use = "nearest"; known = "bad.jsonl"; }; },
  { name = "of_a"; use = "evaluate"; data = "a"; judges = "exact"; },
  { name = "of_b"; use = "evaluate"; data = "b"; judges = "exact"; },
  { name = "lead"; use = "compare"; data = ( "of_a.rows", "of_a_5.rows" ); against = ( "of_b.rows", "of_a_6.rows" );
    result = true; } );
repeat = { seeds = ( 5, 6 ); stages = ( "a", "of_a" ); };
E2
# Of four rows a has three right and b two: +1 +1 -1 0; the second pair is equal.
compared() { run compare.cfg > out && figures runs/c/lead/metrics.json && ls -d runs/c/*_5* runs/c/*_6* &&
	"$retort" plan compare.cfg --runs runs | sed -n '/^of_a_5/{s/,.*//;p;}'; }
check "compare pairs rows, repeat makes its stages" 0 "difference/1 0.25 n 4
difference/2 0.0 n 4
difference 0.125 n 4
data 0.75 n 4
against 0.625 n 4
runs/c/a_5
runs/c/a_5.report
runs/c/a_6
runs/c/a_6.report
runs/c/of_a_5
runs/c/of_a_5.calls
runs/c/of_a_5.rows
runs/c/of_a_6
runs/c/of_a_6.calls
runs/c/of_a_6.rows
of_a_5 (evaluate) <- a_5" compared

failing() { "$retort" report c --runs runs | grep '^## Failures'; }
check "a report shows failures of the last evaluation, not of a repeat" 0 "## Failures of of_b" failing

sed 's|"four.jsonl"|"four.jsonl"; limit = 3|; s|"test"; teacher = { use = "nearest"; known = "bad|"all"; teacher = { use = "nearest"; known = "bad|
s|^stages = (|stages = ( { name = "all"; use = "dataset"; paths = "four.jsonl"; },|' compare.cfg > unlike.cfg
check "compare wants the same rows on both sides" 1 "retort: stage lead: row 'play pop' of of_b.rows is not in of_a.rows: what is compared must have been answered by both" \
	sh -c "'$retort' run unlike.cfg --runs runs --log plain 2>&1 >out | sed -n '/^retort/p'; exit 1"
sed 's|against = |judge = "schema"; against = |' compare.cfg > judge.cfg
check "compare says whose score is missing" 1 "retort: stage lead: row 'play jazz' of of_a.rows has no score of judge-schema; give the stage evaluate that judge, or name another one here" \
	sh -c "'$retort' run judge.cfg --runs runs --log plain 2>&1 >out | sed -n '/^retort/p'; exit 1"

echo '{"id":"1","messages":[{"role":"user","content":"a"}],"scores":{"exact":{"score":30}}}' > far.jsonl
cat > far.cfg <<'E2'
retort = 1; name = "far"; stages = ( { name = "d"; use = "dataset"; paths = "far.jsonl"; },
  { name = "lead"; use = "compare"; data = "d"; against = "d"; result = true; } );
E2
check "compare takes scores from 0 to 1" 1 "retort: stage lead: row '1' of d has the score 30 of judge-exact; scores are from 0 to 1" \
	sh -c "'$retort' run far.cfg --runs runs --log plain 2>&1 >out | sed -n '/^retort/p'; exit 1"

# ---- measure: its figures are the machine's, their names and numbers are not -----------------

cat > measure.cfg <<'E2'
retort = 1; name = "m"; seed = 1;
stages = (
  { name = "test"; use = "dataset"; paths = "test.jsonl"; },
  { name = "mini"; use = "model"; hidden = 32; layers = 1; heads = 2; kv_heads = 1; feed_forward = 32;
    context = 64; data = "test"; vocabulary = 300; },
  { name = "speed"; use = "measure"; model = "mini"; data = "test"; max_tokens = 5; result = true; } );
E2
for added in '"<a>", "<b>", "<a>" ); end = "<a>"' '"<a>" ); marks = ( "<a>" ); end = "<a>"' '"<a>", "" ); end = "<a>"'; do
	sed "s|data = \"test\"; voc|data = \"test\"; special = ( $added; voc|" measure.cfg > added.cfg
	"$retort" check added.cfg 2>&1 | sed -n 's/^added.cfg:[0-9]*: //p;s/.*: stage mini: /stage mini: /p' | sort -u
done > added.txt
check "special tokens and marks are there once" 0 "stage mini: stage-model: '<a>' is twice among special and marks
stage mini: stage-model: '<a>' is twice among special and marks
stage mini: stage-model: special and marks have an empty token" cat added.txt
measured() { run measure.cfg > out && figures runs/m/speed/metrics.json | sed '/^parameters\|^bytes/!s/ [0-9.e-]* n/ X n/'; }
check "measure times single requests" 0 "parameters 15872.0 n 15872
bytes 63488.0 n 15872
latency_p50 X n 2
latency_p95 X n 2
first_token_p50 X n 2
prompt_tokens X n 2
answer_tokens X n 2
requests_per_second X n 2
threads X n 1" measured

# ---- write: a model that learnt the user's side, behind a template that ends it with a word --------

i=0
while test $i -lt 40; do
	i=$((i + 1))
	n=$((i * 37 % 1000)) # most numbers are new ones
	row "play song $n" play "{\"n\":$n}"
done > songs.jsonl
cat > qa.jinja <<'E2'
{% for m in messages %}{% if m.role == 'user' %}Q: {{ m.content }} END
{% else %}A: {% if m.content %}{{ m.content }}{% endif %}{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}A: {% endif %}
E2
cat > write.cfg <<'E2'
retort = 1; name = "w"; seed = 1;
stages = (
  { name = "songs"; use = "dataset"; paths = "songs.jsonl"; },
  { name = "mini"; use = "model"; family = "llama"; hidden = 48; layers = 2; heads = 2; kv_heads = 1; feed_forward = 96;
    context = 128; data = "songs"; vocabulary = 320; template = "qa.jinja"; },
  { name = "taught"; use = "train"; model = "mini"; data = "songs"; steps = 120; batch = 8; rate = 5e-3;
    prompt_weight = 1.0; },
  { name = "said"; use = "write"; data = "songs"; how = "continue"; count = 10; max_asked = 20; max_tokens = 40;
    temperature = 0.8; teacher = { use = "local"; model = "taught"; }; result = true; } );
E2
written() {
	run write.cfg > out
	sed -n 's/.*"content":"\([^"]*\)"}].*/\1/p' runs/w/said/rows.jsonl > said
	test -s said && ! grep -c 'END\|Q:\|A:\|^ \| $' said
	grep -c '^play song [0-9]*$' said | sed 's/^[1-9][0-9]*$/songs/'
}
check "a model goes on as the user, up to where a user's message ends" 0 "0
songs" written

# ---- train: the weights whose answers are scored best are what is kept --------------------------------

# Most rows answer yes.  A model learns that first, and which ones do not later: on those, judged by yes,
# the score rises to 1 and falls to 0 again.
i=0
while test $i -lt 40; do
	i=$((i + 1))
	test $((i % 4)) = 0 && a=no || a=yes
	echo "{\"id\":\"$i\",\"messages\":[{\"role\":\"user\",\"content\":\"is it $i\"},{\"role\":\"assistant\",\"content\":\"$a\"}]}"
done > mostly.jsonl
sed -n 's/"no"/"yes"/p' mostly.jsonl > exceptions.jsonl
cat > best.cfg <<'E2'
retort = 1; name = "t"; seed = 1;
stages = (
  { name = "rows"; use = "dataset"; paths = "mostly.jsonl"; },
  { name = "exceptions"; use = "dataset"; paths = "exceptions.jsonl"; },
  { name = "mini"; use = "model"; family = "llama"; hidden = 32; layers = 2; heads = 2; kv_heads = 1; feed_forward = 64;
    context = 128; data = "rows"; vocabulary = 300; },
  { name = "kept"; use = "train"; model = "mini"; data = "rows"; validation = "exceptions"; judges = ( "exact" );
    every = 20; max_answer = 8; steps = 200; batch = 40; rate = 5e-3; result = true; },
  { name = "patient"; use = "train"; model = "mini"; data = "rows"; validation = "exceptions"; judges = ( "exact" );
    every = 20; patience = 2; max_answer = 8; steps = 200; batch = 40; rate = 5e-3; result = true; },
  { name = "last"; use = "train"; model = "mini"; data = "rows"; steps = 200; batch = 40; rate = 5e-3; result = true; } );
E2
kept() {
	run best.cfg > out || return
	sed -n 's/.*kept: step [0-9]*: score \([01]\)\.\([0-9]\).*/\1.\2/p' err | sort -u | sed -n '1p; $p'
	for stage in kept patient; do
		figures runs/t/$stage.report/metrics.json | awk '
			$1 == "eval_exact" { score = $2 } $1 == "best_step" { best = $2 } $1 == "steps" { steps = $2 }
			END { print (score > 0.99 ? "best" : score), (best > 0 && best < 120 ? "early" : best), (steps < 200 ? "stopped" : "to the end") }'
	done
	for stage in kept patient last; do
		for i in 4 8 24; do "$retort" generate runs/t/$stage --chat --prompt "is it $i" --max-tokens 5 2>/dev/null; done | sort -u
	done
}
check "training keeps the weights with the best score, not the last ones" 0 "0.0
1.0
best early to the end
best early stopped
yes
yes
no" kept

# ---- prefer: pairs that are given, and candidates that judges score ------------------------------

call() { # song number
	printf '{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"play","arguments":{"n":%s}}}]}' "$1"
}
i=0
while test $i -lt 12; do
	i=$((i + 1))
	printf '{"id":"%s","messages":[{"role":"user","content":"play song %s"},%s],"candidates":[{"role":"assistant","content":"no"},%s,%s]}\n' \
		$i $i "$(call $i)" "$(call $i)" "$(call 99)"
done > candidates.jsonl
{
	cat candidates.jsonl
	printf '{"id":"one","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"candidates":["a"]}\n'
	printf '{"id":"tie","messages":[{"role":"user","content":"p"},{"role":"assistant","content":"a"}],"candidates":[{"content":"b"},{"content":"c"}]}\n'
} > scored.jsonl
sed 's/"candidates":.*/"chosen":"yes","rejected":[{"role":"assistant","content":"no"}]}/' candidates.jsonl > given.jsonl
sed 's/"messages"/"scores":[0.5,0.9,0.88],"messages"/' candidates.jsonl > numbers.jsonl
sed '$s/,0.88\]/]/' numbers.jsonl > short.jsonl
cat > prefer.cfg <<'E2'
retort = 1; name = "l"; seed = 1;
stages = (
  { name = "given"; use = "dataset"; paths = "given.jsonl"; },
  { name = "scored"; use = "dataset"; paths = "scored.jsonl"; },
  { name = "numbers"; use = "dataset"; paths = "numbers.jsonl"; },
  { name = "mini"; use = "model"; family = "llama"; hidden = 32; layers = 1; heads = 2; kv_heads = 1; feed_forward = 32;
    context = 128; data = "given"; vocabulary = 300; },
  { name = "a"; use = "prefer"; model = "mini"; data = "given"; validation = "given"; epochs = 4.0; batch = 4; rate = 5e-3; result = true; },
  { name = "b"; use = "prefer"; model = "mini"; data = "scored"; judges = "exact"; against = "all"; steps = 1; result = true; },
  { name = "c"; use = "prefer"; model = "mini"; data = "numbers"; against = "all"; steps = 1; rows = 50; result = true; } );
E2
preferred() {
	run prefer.cfg > out
	for stage in a b c; do
		figures runs/l/$stage.report/metrics.json | sed -n '/^rows\|^pairs\|^left\|first\|eval_accuracy/p' | sed '/ 0.0 n/d'
	done
}
check "pairs are given, or made of scores; in the beginning nothing is preferred" 0 "rows 12.0 n 12
pairs 12.0 n 12
loss_first 0.6931471805599453 n 4
eval_accuracy 1.0 n 12
rows 14.0 n 14
pairs 24.0 n 14
leftout,fewerthantwocandidates 1.0 n 14
leftout,scorestooclose 1.0 n 14
loss_first 0.6931471805599453 n 24
rows 12.0 n 12
pairs 12.0 n 12
loss_first 0.6931471805599453 n 12" preferred

mistaken() { # sed expression: what a changed pipeline says
	sed "$1" prefer.cfg > wrong.cfg
	"$retort" run wrong.cfg --runs wrong --log plain 2>&1 | grep -v "one mistake" | tail -n 1 | sed "s|[^ ]*/\([a-z.]*jsonl\)|\1|"
}
check "a loss for groups is not one for pairs" 0 "retort: wrong.cfg:10: stage c: stage-prefer: rl-grpo is for rewards of groups: use the stage reinforce" \
	mistaken 's/rows = 50/rl = "grpo"/'
check "as many scores as candidates" 0 "retort: stage c: rows.jsonl: row '12' has 3 candidates and 2 scores; name judges to score them" \
	mistaken 's/numbers.jsonl/short.jsonl/'
check "no pair is an error that says why" 0 "retort: stage c: rows.jsonl: no pair in 12 rows: 0 have fewer than two candidates, 12 no two whose scores differ enough; 0 pairs are equal, 0 too long" \
	mistaken 's/rows = 50/margin = 0.5/'

# ---- template_kwargs of a row reach every prompt, and stay with the row -------------------------

printf '%s' '{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{{ mood }}{% endif %}' > mood.jinja
sed 's/"messages"/"template_kwargs":{"mood":"qqqqqqqq"},"messages"/' test.jsonl > moody.jsonl
for rows in test moody; do
	cat > $rows.cfg <<E2
retort = 1; name = "$rows"; seed = 1;
stages = (
  { name = "rows"; use = "dataset"; paths = "$rows.jsonl"; },
  { name = "mini"; use = "model"; hidden = 32; layers = 1; heads = 2; kv_heads = 1; feed_forward = 32;
    context = 128; data = "rows"; vocabulary = 300; template = "mood.jinja"; },
  { name = "drafts"; use = "sample"; data = "rows"; max_tokens = 3; teacher = { use = "local"; model = "mini"; }; },
  { name = "kept"; use = "reject"; data = "drafts"; judges = ( { use = "agree"; } ); keep = { use = "best-of"; }; result = true; },
  { name = "better"; use = "reinforce"; model = "mini"; data = "rows"; judges = ( { use = "exact"; } ); steps = 1; prompts = 1; group = 2; max_answer = 2; result = true; },
  { name = "speed"; use = "measure"; model = "mini"; data = "rows"; max_tokens = 2; result = true; } );
E2
done
tokens() { figures "runs/$1/$2/metrics.json" | sed -n "s/^$3 \\([0-9.]*\\) .*/\\1/p"; }
kwargs() {
	run test.cfg >out && run moody.cfg >out || return
	# eight letters that no merge knows: eight tokens more for each prompt
	echo "sample $(awk "BEGIN { print $(tokens moody drafts.report input_tokens) - $(tokens test drafts.report input_tokens) }")"
	echo "measure $(awk "BEGIN { print $(tokens moody speed prompt_tokens) - $(tokens test speed prompt_tokens) }")"
	echo "reject $(grep -c '"template_kwargs":{"mood":"qqqqqqqq"}' runs/moody/kept/rows.jsonl)"
}
check "template_kwargs reach prompts, and stay with what is kept" 0 "sample 16
measure 8
reject 2" kwargs

# ---- report: of the runs above -----------------------------------------------------------------

row 'play <b>jazz|blues</b>' play '{"genre":"jazz|blues"}' > odd.jsonl
sed 's/test.jsonl/odd.jsonl/; s/name = "e"/name = "r"/' evaluate.cfg > report.cfg
reported() {
	run report.cfg > out && "$retort" report r | sed -n '/^#/p; /blues/p'
}
check "report prints failures and figures as Markdown" 0 '# r
## Failures of quality
| play <b>jazz\|blues</b> | play{"genre":"jazz\|blues"}  | play{"genre":"jazz","n":2,"x":true}  | other arguments |
## All figures' reported

page() {
	"$retort" report r --html page.html && sed -n 's/.*<td>\(play &lt.*\)<\/td><td>play{&quot;genre&quot;:&quot;jazz|.*/\1/p' page.html
	grep -c '<html' page.html
	! grep 'src=\|href=\|<script' page.html
}
check "its page escapes what rows say and needs nothing else" 0 'play &lt;b&gt;jazz|blues&lt;/b&gt;
1' page

models() { "$retort" report m | sed -n '/^| mini/p' | sed 's/ | [0-9.]* [ms]*s |/ | T |/g; s/ T | [0-9.]* [ms]*s |/ T | T |/g'; }
check "models are listed with what was measured of them" 0 '| mini | model | - | 64.8 kB | 16 k | T | T | T |' models

check "a run that is not there" 1 "retort: there is no run of a pipeline 'none' in runs; \`retort runs\` lists them" "$retort" report none

done_testing
