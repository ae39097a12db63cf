#!/bin/sh
# teachers.sh - a pipeline over a teacher behind HTTP, killed with -9 again and again: no reply that
# was kept is asked for again, the end is the same, the key is nowhere; and what was recorded is
# answered again without a server.  KILLS (default 8): how many kills.
. "${srcdir:-.}/tests/e2e/lib.sh"

kills=${KILLS:-8}
serve=$builddir/tests/http/serve
TEST_OPENAI_KEY=sk-do-not-show-0123456789
export TEST_OPENAI_KEY
printf '%s\n' "$TEST_OPENAI_KEY" >key # a pattern in a file: arguments are for everyone to see

mkfifo hold
"$serve" log 20 <hold >port &
server=$!
exec 9>hold
while ! test -s port; do sleep 0.01; done
port=$(cat port)

cat >p.cfg <<END
retort = 1; name = "p"; seed = 3;
stages = (
  { name = "pool"; use = "dataset"; paths = "rows.jsonl"; },
  { name = "drafts"; use = "sample"; data = "pool"; n = 2; batch = 16;
    teacher = { use = "openai"; model = "m"; url = "http://127.0.0.1:$port/v1"; parallel = 4;
                key_env = "TEST_OPENAI_KEY"; cache = "cache.sqlite"; record = "record.jsonl";
                input_price = 1; output_price = 2; max_cost = 1; }; } );
END

# What users said in requests that are in the cache; in those that the server saw since the last look.
cached() {
	"$serve" --cached cache.sqlite | sort
}
asked() {
	tail -n +"$((seen + 1))" log | sort
}
look() {
	seen=$(cat log 2>/dev/null | wc -l)
}

# The key of another user's process would be none of ours.
shown() {
	cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -F -f key
}

n=0 twice= shown= lost=0
cached >before
while test "$n" -lt "$kills" && test "$(wc -l <before)" -lt 20; do
	n=$((n + 1))
	look
	"$retort" run p.cfg --runs runs >out.$n 2>&1 &
	pid=$!
	want=$(awk -v s="$n" 'BEGIN { srand(s * 7919); print 2 + int(rand() * 8) }')
	while kill -0 $pid 2>/dev/null && test "$(asked | wc -l)" -lt "$want"; do sleep 0.005; done
	shown="$shown$(shown)"
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	sleep 0.1
	asked >now
	uniq -d now >again
	comm -12 now before >>again
	test -s again && twice="$twice $n:$(tr '\n' ' ' <again)"
	lost=$((lost + $(wc -l <now) + $(wc -l <before)))
	cached >before
	lost=$((lost - $(wc -l <before)))
done
left=$((30 - $(wc -l <before)))
result "$n kills fell into the work, with $left of 30 rows left" \
	"$(test "$n" -gt 1 && test "$left" -lt 30 && echo true)" "$(cat out.$n)"
look
"$retort" run p.cfg --runs runs >out.last 2>&1
result 'the next run ends it, and asks for what is not in the cache' \
	"$(test $? = 0 && test "$(asked | wc -l)" = $left && echo true)" "$(cat out.last)" "asked $(asked | wc -l), want $left"
result 'no reply that was kept was asked for again' "$(test -z "$twice" && echo true)" "$twice"
result "only what was under way was lost ($lost requests)" \
	"$(test "$lost" -le $((4 * kills)) && test "$(wc -l <log)" = $((30 + lost)) && echo true)" "$(wc -l <log) asked"
result 'every row has its two answers' \
	"$(test "$(grep -c '"candidates":\[{[^]]*re question [^]]*},{[^]]*re question [^]]*}\]' runs/p/drafts/rows.jsonl)" = 30 && echo true)" \
	"$(head -n 2 runs/p/drafts/rows.jsonl)"

result 'the report has tokens and what they cost' \
	"$(tr -d ' \n' <runs/p/drafts.report/metrics.json | grep -q '"cost":{"value":0.0009,' && echo true)" "$(cat runs/p/drafts.report/metrics.json)"

look
"$retort" run p.cfg --runs other >/dev/null 2>&1
result 'another store pays for nothing' "$(test "$(asked | wc -l)" = 0 && echo true)" "$(asked)"
result 'and gets the same' "$(cmp -s runs/p/drafts/rows.jsonl other/p/drafts/rows.jsonl && echo true)" ''

find . -type f ! -name key -exec grep -lF -f key {} + >found
result 'the key is in no file' "$(test ! -s found && test -e cache.sqlite && test -e record.jsonl && echo true)" "$(cat found)"
result 'and in no list of processes' "$(test -z "$shown" && echo true)" "$shown"
result 'replies are for their owner alone' "$(test "$(stat -c %a cache.sqlite)" = 600 && echo true)" "$(stat -c %a cache.sqlite)"

# The contract, with the server behind it; and what was recorded.
complaints() {
	"$retort" test-plugin "$@" 2>&1 | grep -v '^ok ' | sed 's/[0-9]* passed/N passed/'
}
check 'teacher-openai keeps its contract' 0 'teacher-openai: N passed, 0 failed, 0 skipped' complaints --set model=m \
	--set url=http://127.0.0.1:$port/v1 --set key_env= --set cache="$tmp/trial.sqlite" --set record="$tmp/trial.jsonl" \
	"$builddir/.libs/teacher-openai.so"
check 'teacher-replay keeps its contract' 0 'teacher-replay: N passed, 0 failed, 0 skipped' complaints \
	--set path="$tmp/trial.jsonl" "$builddir/.libs/teacher-replay.so"

# A prototype over it, with a table and a program behind the functions.
printf 'city,people\nRome,2800000\nBern,134000\n' >cities.csv
cat >tools.json <<END
[ { "type": "function", "function": { "name": "people", "parameters": { "type": "object",
    "properties": { "city": { "type": "string" } }, "required": [ "city" ] } } } ]
END
cat >shout <<'END'
#!/bin/sh
read -r call
echo "{\"heard\": $call, \"variables\": $(env | grep -c KEY)}"
END
chmod +x shout
for city in Rome Bern Paris; do
	echo "{\"id\":\"$city\",\"messages\":[{\"role\":\"user\",\"content\":\"$city\"}]}"
done >asks.jsonl
prototype() { # NAME TOOL
	cat >$1.cfg <<END
retort = 1; name = "$1";
stages = (
  { name = "pool"; use = "dataset"; paths = "asks.jsonl"; },
  { name = "talks"; use = "prototype"; data = "pool"; tools = "tools.json"; functions = ( $2 );
    teacher = { use = "openai"; model = "m"; url = "http://127.0.0.1:$port/v1";
                key_env = "TEST_OPENAI_KEY"; cache = "cache.sqlite"; }; } );
END
	"$retort" run $1.cfg --runs runs >out.$1 2>&1
	sed -n 's/.*"role":"assistant","content":"\(.*\)"}\].*/\1/p' runs/$1/talks/rows.jsonl
}
check 'a prototype looks things up in a table' 0 \
	'{\"rows\": [{\"city\": \"Rome\", \"people\": \"2800000\"}], \"found\": 1}
{\"rows\": [{\"city\": \"Bern\", \"people\": \"134000\"}], \"found\": 1}
{\"error\": \"nothing found for {\\\"city\\\": \\\"Paris\\\"}\"}' \
	prototype looked '{ use = "table"; function = "people"; path = "cities.csv"; }'
check 'a prototype runs a program, which does not see the key' 0 \
	'{\"heard\": {\"name\": \"people\", \"arguments\": {\"city\": \"Rome\"}}, \"variables\": 0}
{\"heard\": {\"name\": \"people\", \"arguments\": {\"city\": \"Bern\"}}, \"variables\": 0}
{\"heard\": {\"name\": \"people\", \"arguments\": {\"city\": \"Paris\"}}, \"variables\": 0}' \
	prototype heard '{ use = "exec"; functions = "people"; program = "shout"; }'

# The example, on few rows.
example() {
	OPENAI_BASE_URL=http://127.0.0.1:$port/v1 OPENAI_API_KEY=$TEST_OPENAI_KEY XDG_CACHE_HOME=$tmp/cache \
		"$retort" run "$srcdir/examples/assistant/prototype.cfg" --runs runs --set pool.limit=20 --set test.limit=10 \
		>out.example 2>&1
	echo "status $?"
	grep -c '"prototype":{"end":"call","turns":1,"calls":1,"wrong_calls":0' runs/prototype/talks/rows.jsonl
	"$serve" --cached cache/retort/replies.sqlite | wc -l
}
check 'the example runs, and keeps its replies in the cache folder of the user' 0 'status 0
20
30' example

exec 9>&-
wait $server
sed 's|teacher = .*|teacher = { use = "replay"; path = "record.jsonl"; }; } );|; /key_env/d; /input_price/d' p.cfg >q.cfg
"$retort" run q.cfg --runs replayed >out.again 2>&1
result 'what was recorded is answered again without a server' \
	"$(cmp -s runs/p/drafts/rows.jsonl replayed/p/drafts/rows.jsonl && echo true)" "$(tail -n 3 out.again)"

unset TEST_OPENAI_KEY
check 'a key that is not set is told before anything runs' 2 \
	'retort: p.cfg:6: stage drafts: key_env names the environment variable TEST_OPENAI_KEY, which is not set
retort: p.cfg: one mistake; nothing was run' "$retort" check p.cfg
done_testing
