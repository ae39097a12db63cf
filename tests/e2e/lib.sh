# lib.sh - what the tests of interrupted runs share: a pipeline of every shipped stage, and what
# its results are.
# shellcheck shell=sh
. "${srcdir:-.}/tests/cli/lib.sh"
RETORT_PLUGIN_PATH=$builddir/tests/fixtures/.libs
export RETORT_PLUGIN_PATH
cd "$tmp" || exit 99

i=0
while test $i -lt 30; do
	i=$((i + 1))
	echo "{\"id\":\"$i\",\"messages\":[{\"role\":\"user\",\"content\":\"question $i\"},{\"role\":\"assistant\",\"content\":\"re $((i / 2 * 2))\"}]}"
done >rows.jsonl
cat >p.cfg <<-END
	retort = 1; name = "p"; seed = 3;
	stages = (
	  { name = "pool"; use = "dataset"; paths = "rows.jsonl"; shuffle = true; rest = 0.2; },
	  { name = "drafts"; use = "sample"; data = "pool"; batch = 4; teacher = { use = "counted"; log = "asked"; }; },
	  { name = "near"; use = "sample"; data = "pool.rest"; n = 2; teacher = { use = "nearest"; known = "rows.jsonl"; }; },
	  { name = "good"; use = "reject"; data = "near"; judges = ( "exact", "agree", "call-match" ); result = true; },
	  { name = "quality"; use = "evaluate"; data = "drafts"; judges = ( "exact", "call-match" ); } );
	trackers = ( "jsonl", "tensorboard" );
END

# Hashes of every result, without what tells runs apart (times).
results() { # RUNS
	(cd "$1/p" && find -L . -type f ! -path './logs/*' ! -name run.json | sort | xargs sha256sum)
}

# Ids in the journals that lie in a store.
journalled() { # RUNS
	cat "$1"/.store/work/*/replies.journal 2>/dev/null | sed -n 's/.*"id":"\([^"]*\)".*}$/\1/p' | sort -u
}

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
