#!/bin/sh
# banking.sh - the assistant's way in another domain, at small size; its data are what they claim to be.
. "${srcdir:-.}/tests/e2e/lib.sh"
unset RETORT_PLUGIN_PATH
example=$srcdir/examples/banking

"$retort" check "$example/banking.cfg" >log 2>&1
result 'banking.cfg has no mistakes' "$(test $? = 0 && echo true)" "$(cat log)"
"$retort" run "$example/tiny.cfg" --runs runs --log plain >out 2>err
result 'tiny.cfg runs to its end' "$(test $? = 0 && echo true)" "$(tail -n 5 err)"
result 'its last model is a GGUF file' "$(test -s runs/banking-tiny/student/model.gguf && echo true)" ''
taught=runs/banking-tiny/taught/model.safetensors
result 'the teacher was taught: its weights are others' \
	"$(test -s $taught && ! cmp -s $taught "$srcdir/examples/assistant/teacher/model.safetensors" && echo true)" ''

# Every given answer is a call that the tools allow, and no row stands twice, nor near a test row.
cat >data.cfg <<-END
	retort = 1; name = "data"; seed = 1;
	stages = (
	  { name = "test"; use = "dataset"; paths = "$example/data/test.jsonl"; },
	  { name = "others"; use = "dataset"; paths = ("$example/data/train.jsonl", "$example/data/valid.jsonl"); exclude = "test"; near = 0.8; result = true; },
	  { name = "all"; use = "dataset"; data = ("others", "test"); tools = "$example/data/tools.json"; },
	  { name = "known"; use = "sample"; data = "all"; teacher = { use = "nearest"; known = "known.jsonl"; }; },
	  { name = "allowed"; use = "evaluate"; data = "known"; judges = ( "schema", "exact" ); result = true; } );
END
cat "$example"/data/*.jsonl >known.jsonl
"$retort" run data.cfg --runs runs >log 2>&1
result 'the data are judged' "$(test $? = 0 && echo true)" "$(tail -n 3 log)"
figure() { # FILE NAME
	tr -d ' \n' <"runs/data/$1/metrics.json" | sed -n "s/.*\"$2\":{\"value\":\([0-9.]*\),\"n\":\([0-9]*\).*/\1 of \2/p"
}
result 'no row is near another or a test row' \
	"$(test "$(figure others.report rows)" = '180.0 of 180' && echo true)" "$(figure others.report rows)"
result 'all 216 calls are allowed by the tools' \
	"$(test "$(figure allowed schema)" = '1.0 of 216' && echo true)" "$(figure allowed schema)"

done_testing
