#!/bin/sh
# faults.sh - a full disk at every write, and each allocation failing: a sentence, no damage, and the
# next run ends with the same bytes.  STEP (default 29): every STEPth allocation is tried.
. "${srcdir:-.}/tests/e2e/lib.sh"

step=${STEP:-29}
"$retort" run p.cfg --runs whole >/dev/null 2>&1
whole=$(results whole)

# fault KIND STEP SENTENCE CLAIM END: until a run is not reached by the fault any more.  What can be
# done without is done without, and gives the same; END places of such runs in a row are the end.
fault() {
	n=1 bad= good=0
	while test "$n" -lt 100000; do
		rm -rf runs asked
		RETORT_FAULT=$1:$n "$retort" run p.cfg --runs runs >/dev/null 2>err
		status=$?
		n=$((n + $2))
		if test $status = 0; then
			good=$((good + 1))
			test "$(results runs)" = "$whole" || bad="$bad, $n: other results"
			test $((good * $2)) -lt "$5" || break
			continue
		fi
		good=0
		last=$(grep '^retort: ' err | tail -n 1)
		case $status:$last in
		1:retort:*"$3"*) ;;
		*) bad="$bad
$n: status $status: $(grep -A 12 'ERROR: ' err || tail -n 3 err)" ;;
		esac
	done
	"$retort" run p.cfg --runs runs >/dev/null 2>&1
	test "$(results runs)" = "$whole" || bad="$bad, then other results"
	result "$4 ($((n / $2)) places tried)" "$(test -z "$bad" && test "$n" -gt 30 && echo true)" "$bad"
}

fault full 1 'No space left on device; make room and run again, finished work is kept' \
	'a disk that is full from any write on gives the error and its remedy' 25
fault alloc "$step" 'out of memory' 'each allocation that fails is an ordinary error' 1500

# After a full disk at any place, the same store goes on to the same end.
rm -rf runs asked
n=1
while test "$n" -lt 200; do
	RETORT_FAULT=full:$n "$retort" run p.cfg --runs runs >/dev/null 2>&1 && break
	n=$((n + 7))
done
result 'a store that filled up again and again ends the same' "$(test "$(results runs)" = "$whole" && echo true)" ''

# Root may do everything: where the tests run as root, a user who may not tries.
user=
if test "$(id -u)" = 0; then
	user='setpriv --reuid=65534 --regid=65534 --clear-groups'
	chmod 755 "$tmp"
	$user test -x "$retort" -a -r "$builddir/.libs/libretort.so.1" 2>/dev/null || user=none
fi
rm -rf runs
mkdir runs
chmod 555 runs
mkdir -p secret
cp rows.jsonl secret/rows.jsonl
chmod 0 secret/rows.jsonl
sed 's|"rows.jsonl"; shuffle|"secret/rows.jsonl"; shuffle|' p.cfg >q.cfg
if test "$user" = none; then
	echo 'skip - a read-only store: root may write everywhere, and nobody else may read the build'
	echo 'skip - an unreadable input: likewise'
else
	check 'a store that is read-only is named' 1 \
		'retort: cannot make the folder runs/.store: Permission denied; check owner and mode' \
		$user "$retort" run p.cfg --runs runs
	check 'an input that may not be read is named' 2 \
		'retort: q.cfg:3: stage pool: paths = "secret/rows.jsonl" may not be read by this user; check owner and mode
retort: q.cfg: one mistake; nothing was run' \
		$user "$retort" run q.cfg --runs runs
fi
chmod 755 runs

# A file that changes while the stage reads it: the teacher writes to it.
echo 'be brief' >system.txt
sed 's/"asked"/"system.txt"/; s/batch = 4/system = "system.txt"/' p.cfg >q.cfg
check 'a file that changes during the run is noticed' 1 \
	'retort: stage drafts: system.txt has changed since the pipeline was read, or while the stage was reading it, so its result is not kept; run again' \
	sh -c '"$0" run q.cfg --runs changed --only drafts 2>&1 >/dev/null | tail -n 1; exit 1' "$retort"

# Ctrl-C: 130, and what was asked for is kept.
rm -rf runs asked
sed 's/batch = 4/batch = 1/' p.cfg >q.cfg
i=0
while test $i -lt 400; do
	i=$((i + 1))
	echo "{\"id\":\"$i\",\"messages\":[{\"role\":\"user\",\"content\":\"question $i\"}]}"
done >rows.jsonl
sh -c 'exec "$0" run q.cfg --runs runs --only drafts' "$retort" >/dev/null 2>err &
pid=$!
while test "$(cat asked 2>/dev/null | wc -l)" -lt 5; do sleep 0.01; done
kill -INT $pid
wait $pid
status=$?
result 'Ctrl-C ends with 130' "$(test $status = 130 && echo true)" "status $status" "$(tail -n 3 err)"
had=$(journalled runs | wc -l)
: >asked
"$retort" run q.cfg --runs runs --only drafts >/dev/null 2>&1
result 'and the next run asks only for the rest' "$(test "$(wc -l <asked)" = $((320 - had)) && echo true)" \
	"asked for $(wc -l <asked) of 320 after $had"

# Two processes on one store.
rm -rf runs asked
"$retort" run q.cfg --runs runs --only drafts >/dev/null 2>&1 &
first=$!
"$retort" run q.cfg --runs runs --only drafts >/dev/null 2>&1
second=$?
wait $first
result 'two processes on one store do the work once' \
	"$(test $? = 0 && test $second = 0 && test "$(sort asked | uniq -d | wc -l)" = 0 && test "$(wc -l <asked)" = 320 && echo true)" \
	"asked $(wc -l <asked), twice $(sort asked | uniq -d | wc -l)"
done_testing
