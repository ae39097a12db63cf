#!/bin/sh
# example.sh - the shipped example walks every stage of the assistant's way, at small size.
. "${srcdir:-.}/tests/cli/lib.sh"
cd "$tmp" || exit 99
example=$srcdir/examples/assistant

result() { # NAME TRUE-OR-FALSE WHAT...
	name=$1 good=$2
	shift 2
	if test "$good" = true; then
		passed=$((passed + 1))
		ok "$name"
	else
		failed=$((failed + 1))
		echo "not ok $((passed + failed)) - $name"
		printf '%s\n' "$@"
	fi
}

"$retort" run "$example/tiny.cfg" --log plain >out 2>err
result 'tiny.cfg runs to its end' "$(test $? = 0 && echo true)" "$(tail -n 5 err)"
"$retort" run "$example/tiny.cfg" --log plain >out 2>err
result 'a second time nothing is computed' \
	"$(test $? = 0 && ! grep -q ': started' err && grep -q 'student: done already' err && echo true)" "$(tail -n 5 err)"

# The share of a figure of the run, in percent and whole.
share() { # STAGE FIGURE
	tr -d ' \n' <runs/tiny/"$1"/metrics.json | sed -n "s/.*\"$2\":{\"value\":\([0-9.e-]*\).*/\1/p" |
		awk '{ printf "%d", 100 * $1 }'
}
# 60 rows: half of them right is far below what the teacher does, and far above chance.
result 'the shipped teacher answers' "$(test "$(share quality_teacher exact)" -ge 50 && echo true)" \
	"$(share quality_teacher exact) %"

"$retort" report tiny >report.md
result 'the report has every model, down to the exported one' \
	"$(test "$(grep -c '^| \(teacher\|blank\|tuned\|distilled\|reinforced\|pruned\|recovered\|quantized\|student\) |.* |.* |.* |.* |.* |' report.md)" -ge 9 && echo true)" "$(cat report.md)"
echo '{"messages":[{"role":"user","content":"play some jazz"}]}' |
	"$retort" generate runs/tiny/student --greedy --max-tokens 8 >answer
result 'the exported model answers' "$(grep -q '"ids"' answer && echo true)" "$(cat answer)"

cp -r "$example" copy && sed 's/name = "assistant"/name = "mine"/' "$example/assistant.cfg" >copy/assistant.cfg
"$retort" check copy/tiny.cfg >out 2>&1
result 'a copy elsewhere is a pipeline of its own' "$(test $? = 0 && echo true)" "$(cat out)"
for file in assistant baseline full teacher; do
	"$retort" check "$example/$file.cfg" >out 2>&1
	result "$file.cfg has no mistakes" "$(test $? = 0 && echo true)" "$(cat out)"
done
OPENAI_BASE_URL=http://localhost:1/v1 OPENAI_API_KEY=none "$retort" check "$example/http.cfg" >out 2>&1
result 'http.cfg has no mistakes' "$(test $? = 0 && echo true)" "$(cat out)"

done_testing
