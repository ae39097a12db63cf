#!/bin/sh
# count.sh STATUS BUILD - add up the cases in the logs of make check, show those that failed, and
# end with "N passed, N failed, N skipped".
#
# Check programs end with "Checks: N, Failures: N, Errors: N"; scripts write a line a case that
# begins with "ok ", "not ok " or "skip ".  A log without either is one case.
set -u
status=$1 build=$2
cd "$build" || exit 1
passed=0 failed=0 skipped=0
for log in $(find tests -name '*.log' | sort); do
	name=${log%.log}
	result=$(sed -n 's/^:test-result: *//p' "$name.trs" 2>/dev/null | head -n 1)
	checks=$(sed -n 's/.*Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\).*/\1 \2 \3/p' "$log" | tail -n 1)
	ok=$(grep -c '^ok ' "$log") bad=$(grep -c '^not ok ' "$log") skip=$(grep -c '^skip ' "$log")
	if test -n "$checks"; then
		set -- $checks
		bad=$(($2 + $3)) ok=$(($1 - $2 - $3))
	elif test $((ok + bad + skip)) = 0; then
		case $result in
		PASS) ok=1 ;;
		SKIP) skip=1 ;;
		esac
	fi
	case $result in
	FAIL | ERROR)
		test "$bad" -gt 0 || bad=1
		echo "---- $name"
		grep -vE '^ok |:P:' "$log" | tail -n 25
		;;
	esac
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
done
if test "$status" != 0 && test "$failed" = 0; then
	tail -n 30 check.out
	failed=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
test "$failed" = 0
