#!/bin/sh
# kill.sh - killed at random moments and run again, a pipeline ends with the same bytes, and no row
# that stands in a journal is asked for again.  KILLS (default 24): how many kills.
. "${srcdir:-.}/tests/e2e/lib.sh"

kills=${KILLS:-24}

"$retort" run p.cfg --runs whole >/dev/null 2>&1
whole=$(results whole)
asked_whole=$(sort asked | uniq -d)
result "an undisturbed run asks for each row once" "$(test -z "$asked_whole" && echo true)" "$asked_whole"

random() { # BELOW: a number that depends on the kill alone
	awk -v s="$n" -v b="$1" 'BEGIN { srand(s * 7919); print int(rand() * b) }'
}

n=0 finished=0 twice= different=
rm -rf runs
while test "$n" -lt "$kills"; do
	n=$((n + 1))
	journalled runs >before
	: >asked
	if test $((n % 2)) = 0; then # in front of a change of the disk
		RETORT_FAULT=kill:$(($(random 200) + 1)) "$retort" run p.cfg --runs runs >/dev/null 2>&1
	else # at any moment
		"$retort" run p.cfg --runs runs >/dev/null 2>&1 &
		pid=$!
		sleep "0.0$(random 9)$(random 9)"
		kill -9 $pid 2>/dev/null
		wait $pid 2>/dev/null
	fi
	sort asked | comm -12 - before >again
	test -s again && twice="$twice $n:$(tr '\n' ' ' <again)"
	if test -e runs/p/quality && test -e runs/p/good; then
		"$retort" run p.cfg --runs runs >/dev/null 2>&1
		finished=$((finished + 1))
		results runs >now
		test "$(cat now)" = "$whole" || different="$different $n $(echo "$whole" | diff - now)"
		"$retort" runs --runs runs verify >/dev/null || different="$different $n(damaged)"
		rm -rf runs
	fi
done
"$retort" run p.cfg --runs runs >/dev/null 2>&1
test "$(results runs)" = "$whole" || different="$different last"
result "after $n kills the results are the same bytes ($finished times to the end)" \
	"$(test -z "$different" && echo true)" "different after:$different"
result "no row in a journal was asked for again" "$(test -z "$twice" && echo true)" "$twice"
left=$(ls runs/.store/tmp)
"$retort" runs --runs runs collect >/dev/null
result "the collector leaves nothing unfinished" "$(test -z "$(ls runs/.store/tmp runs/.store/work | grep -v :)" && echo true)" "$left"
done_testing
