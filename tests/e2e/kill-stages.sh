#!/bin/sh
# kill-stages.sh - the assistant's way at the smallest size, stage by stage: each is killed while it
# works, in front of changes to the disk and at any moment, and goes on to the same bytes.  Of what
# `measure` writes the times are left out, and all else is compared.  MORE (default 100): by how many
# percent the next kill of a stage is farther from the beginning, in changes to the disk.
. "${srcdir:-.}/tests/e2e/lib.sh"
unset RETORT_PLUGIN_PATH
more=${MORE:-100}

cat >p.cfg <<-END
	retort = 1; base = "$srcdir/examples/assistant/tiny.cfg"; name = "p";
	set = {
	  test = { limit = 8; };
	  pool = { limit = 40; };
	  written = { count = 8; batch = 4; };
	  tuned = { steps = 5; batch = 4; save = 0; dropout = 0.1; };
	  distilled = { steps = 3; batch = 4; save = 0; };
	  reinforced = { prompts = 4; group = 2; max_answer = 16; save = 0; };
	  recovered = { steps = 3; batch = 4; save = 0; };
	  quantized = { samples = 8; };
	  student = { samples = 4; max_tokens = 16; };
	  answers_tuned = { max_tokens = 16; };
	  answers_distilled = { max_tokens = 16; };
	  answers_reinforced = { max_tokens = 16; };
	  answers_recovered = { max_tokens = 16; };
	  answers_student = { max_tokens = 16; };
	  speed_teacher = { samples = 3; max_tokens = 16; };
	  speed_recovered = { samples = 3; max_tokens = 16; };
	  speed_student = { samples = 3; max_tokens = 16; };
	};
END

# Every result, and what was measured without the times.
results_untimed() { # RUNS
	results "$1" | grep -v ' \./speed_[a-z]*/metrics.json$'
	for file in "$1"/p/speed_*/metrics.json; do
		echo "${file#"$1"/}"
		sed '/"\(latency_p50\|latency_p95\|first_token_p50\|requests_per_second\)"/{n;s/"value": [0-9.e-]*/time/;}' "$file"
	done
}

"$retort" run p.cfg --runs whole --log plain >out 2>log
result 'the whole way runs' "$(test $? = 0 && echo true)" "$(tail -n 3 log)"
whole=$(results_untimed whole)
stages=$(sed -n 's/.* info \([a-z_]*\): started$/\1/p' log)
result 'every time is left out of what is compared, and nothing else of what was measured' \
	"$(test "$(echo "$whole" | grep -c 'time,$')" = 12 && test "$(echo "$whole" | grep -c '"value"')" = 15 && echo true)" "$whole"

# The run has said that this stage has begun, and not that it has ended.
at_work() { # STAGE
	grep -q " $1: \(started\|resumed\)$" log && ! grep -q " $1: done" log
}

# Killed at any moment, which depends on the stage's number alone; on a fast machine it may be over.
kill_at_work() { # STAGE NUMBER
	"$retort" run p.cfg --runs runs --only "$1" --log plain >out 2>log &
	pid=$!
	until grep -q " $1: \(started\|resumed\)$" log || ! kill -0 $pid 2>/dev/null; do :; done
	sleep "0.$(awk -v s="$2" 'BEGIN { srand(s * 7919); printf "%03d", rand() * 150 }')"
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
}

kills=0 n=0 never='' wrong=''
for stage in $stages; do
	n=$((n + 1)) killed=0 change=5
	while
		RETORT_FAULT=kill:$change "$retort" run p.cfg --runs runs --only "$stage" --log plain >out 2>log
		status=$?
		test $status = 137
	do
		if at_work "$stage"; then
			killed=$((killed + 1))
			test $killed -gt 1 || kill_at_work "$stage" $n
		fi
		change=$((change + change * more / 100 + 1))
	done
	test $status = 0 || wrong="$wrong $stage: $(tail -n 1 log)"
	test $killed -gt 0 || never="$never $stage"
	kills=$((kills + killed))
done
result "each of $n stages was killed while it worked ($kills times in all)" \
	"$(test -z "$never" && test $n -gt 25 && echo true)" "never: $never"
result 'and went on to its end' "$(test -z "$wrong" && echo true)" "$wrong"
left=$(results_untimed runs)
result 'the results are the same bytes' "$(test "$left" = "$whole" && echo true)" \
	"$(results_untimed whole >want; echo "$left" | diff want -)"
result 'and none is damaged' "$("$retort" runs --runs runs verify >out 2>&1 && echo true)" "$(cat out)"
done_testing
