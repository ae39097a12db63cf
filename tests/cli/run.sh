#!/bin/sh
# run.sh - retort run and retort runs: what is computed again, and what never is.
. "${srcdir:-.}/tests/cli/lib.sh"

cd "$tmp" || exit 99
i=0
while test $i -lt 20; do
	i=$((i + 1))
	echo "{\"id\":\"$i\",\"messages\":[{\"role\":\"user\",\"content\":\"play song $i\"},{\"role\":\"assistant\",\"content\":\"song $((i / 2))\"}]}"
done >rows.jsonl

pipeline() { # GATE COUNT-OF-REJECTOR: writes p.cfg
	cat >p.cfg <<-END
		retort = 1; name = "p"; seed = 3;
		stages = (
		  { name = "pool"; use = "dataset"; paths = "rows.jsonl"; shuffle = true; },
		  { name = "drafts"; use = "sample"; data = "pool"; n = 3;
		    teacher = { use = "nearest"; known = "rows.jsonl"; }; },
		  { name = "good"; use = "reject"; data = "drafts"; judges = "exact"; result = true;
		    keep = { use = "best-of"; count = $2; threshold = 0.0; }; },
		  { name = "quality"; use = "evaluate"; data = "drafts"; judges = "exact"; gate = $1; } );
	END
}

run() { # which stages were computed, in one line
	"$retort" run p.cfg "$@" 2>err >out
	echo "status $?:" $(sed -n 's/.* info \([a-z]*\): \(started\|resumed\)$/\1/p' err)
}

pipeline 0.0 1
check "everything is computed once" 0 "status 0: pool drafts good quality" run
check "the second time nothing is" 0 "status 0:" run
check "a stage's folder leads to its rows" 0 20 sh -c 'wc -l <runs/p/drafts/rows.jsonl'
check "metrics have n and an interval" 0 '{"value":1.0,"n":20,"low":0.8388748419471806,"high":1.0}' sh -c \
	"tr -d ' \n' <runs/p/quality/metrics.json | sed 's/.*\"exact\":\({[^}]*}\).*/\1/'"

sed 's/^retort/# a comment\nretort/' p.cfg >q && mv q p.cfg
check "a comment recomputes nothing" 0 "status 0:" run
mkdir sub && sed 's/"rows.jsonl"/"..\/rows.jsonl"/' p.cfg >sub/q.cfg
check "moving the file recomputes nothing" 0 0 sh -c \
	'"$0" run sub/q.cfg 2>&1 | grep -c started; true' "$retort"
sed 's/drafts/tries/g' p.cfg >q && mv q p.cfg
check "renaming a stage recomputes nothing" 0 "status 0:" run
check "a link of a stage that is gone is gone" 1 "" test -e runs/p/drafts
pipeline 0.0 2
check "one parameter recomputes that stage alone" 0 "status 0: good" run
check "--set does the same" 0 "status 0: drafts good quality" run --set drafts.n=2
check "--set into a component" 0 "status 0: good" run --set good.keep.count=3
check "how much at once changes no result" 0 "status 0:" run --set drafts.batch=7
check "another seed recomputes everything" 0 "status 0: pool drafts good quality" run --set seed=4
check "a stage with a seed of its own is made again, and what stands on it" 0 \
	"status 0: drafts good quality" run --set drafts.seed=4
check "the pipeline's own seed, said once more, is none" 0 "status 0:" run --set drafts.seed=3
check "--only stops there" 0 "status 0: pool drafts" run --set seed=5 --only drafts
check "stages side by side give the same" 0 "status 0: quality good" sh -c \
	'"$0" run p.cfg --set seed=5 --jobs 2 2>err >out; echo "status $?:" $(sed -n "s/.* info \([a-z]*\): started$/\1/p" err | sort -r)' "$retort"
echo '{"id":"x","messages":[{"role":"user","content":"more"},{"role":"assistant","content":"m"}]}' >>rows.jsonl
check "a changed file recomputes what reads it" 0 "status 0: pool drafts good quality" run
check "two names of one thing are made once" 0 "status 0: pool drafts good quality" run --runs other
check "a store elsewhere has its own" 0 "status 0:" run --runs other

pipeline 1.0 1
check "a gate that is not met has status 3" 0 "status 3: good quality" run
check "and has it again without computing" 0 "status 3:" run
check "its message names figures" 3 "retort: stage quality: exact is 1.0000, surely at least 0.8454; the gate asks for 1.0000" \
	sh -c '"$0" run p.cfg 2>&1 >/dev/null | tail -n 1; exit 3' "$retort"

pipeline 0.0 1
sed -i 's/"content":"m"/"content":"7"/' rows.jsonl
echo 'not json' >>rows.jsonl
check "a broken row is named with file and line" 1 "retort: stage pool: rows.jsonl:22:3: invalid token near 'not'" \
	sh -c '"$0" run p.cfg 2>&1 >/dev/null | tail -n 1; exit 1' "$retort"

check "runs lists what there is" 0 "p                        0 of 4 stages done" "$retort" runs
sed -i '$d' rows.jsonl
run >/dev/null
check "runs verify finds nothing wrong" 0 "artifacts, 0 damaged" sh -c '"$0" runs verify | cut -d" " -f2-' "$retort"
check "collect removes what no run refers to" 0 "removed" sh -c '"$0" runs collect | cut -d" " -f1' "$retort"
check "and keeps what one does" 0 "status 0:" run
object=$(readlink runs/p/drafts)
echo '{}' >>"runs/p/$object/rows.jsonl"
check "runs verify sees a file that was changed" 1 "has changed since the artifact was finished" sh -c \
	'"$0" runs verify 2>/dev/null | sed -n "s/.*rows.jsonl //p"; exit 1' "$retort"
hidden() { sed -e 's|objects/[0-9a-f]*|objects/KEY|g' -e 's/[0-9]* bytes, and had [0-9]* /N bytes, and had M /'; }
changed() { # the error of a run
	"$retort" run p.cfg 2>&1 >/dev/null | grep '^retort: ' | tail -n 1 | hidden
	"$retort" run p.cfg >/dev/null 2>&1
}
check "so does a run that would use it, by its size" 1 "retort: stage drafts: runs/.store/objects/KEY/rows/rows.jsonl has N bytes, and had M when it was finished: remove the folder runs/.store/objects/KEY and run again; \`retort runs verify\` looks at all" \
	changed
mv "runs/p/$object/rows.jsonl" kept
check "and that it is gone" 1 "retort: stage drafts: runs/.store/objects/KEY/rows/rows.jsonl is missing, it had $(($(wc -c <kept) - 3)) bytes when it was finished: remove the folder runs/.store/objects/KEY and run again; \`retort runs verify\` looks at all" \
	changed
rm -r "runs/p/$(dirname "$object")"
check "what is removed is made again, and nothing else" 0 "status 0: drafts" run
manifest=runs/p/$(dirname "$object")/artifact.json
cp "$manifest" whole.json
head -c 100 whole.json >"$manifest"
damaged() { # command...
	"$retort" "$@" 2>&1 | sed -n 's/.*artifact.json:[0-9:]* .*: remove/remove/p' | tail -n 1 | hidden
}
for command in "run p.cfg" "plan p.cfg" "runs collect" "runs show p" "report p"; do
	# shellcheck disable=SC2086
	check "a damaged manifest is said to be one, with what to do: $command" 0 \
		"remove the folder runs/.store/objects/KEY and run the pipeline again" damaged $command
done
echo '[]' >"$manifest"
check "so is one that is JSON" 1 "retort: runs/.store/objects/KEY/artifact.json lacks its 'outputs': remove the folder runs/.store/objects/KEY and run the pipeline again" \
	sh -c '"$0" report p 2>&1 | sed "s|objects/[0-9a-f]*|objects/KEY|g"; exit 1' "$retort"
cp whole.json "$manifest"
check "lineage goes back to the files" 0 "file rows.jsonl" sh -c \
	'"$0" runs show p.good | sed -n "s/^ *\(file rows.jsonl\).*/\1/p" | tail -n 1' "$retort"
check "--dry-run says what would be removed" 0 "would remove runs/p; \`retort runs collect\` frees what only it used" \
	"$retort" runs remove p --dry-run
check "and removes nothing" 0 "p                        4 of 4 stages done" "$retort" runs
check "only a pipeline's folder is removed" 2 "retort: runs remove: which? a pipeline's name" "$retort" runs remove ..
check "a name that is not used" 2 "retort: runs collect: is for all runs, and takes no 'p'" "$retort" runs collect p
check "nor by verify" 2 "retort: runs verify: is for all runs, and takes no 'p'" "$retort" runs verify p
check "nor by list" 2 "retort: runs list: is for all runs, and takes no 'x'" "$retort" runs list x
check "--json of what has none" 2 "retort: runs list: --json is for show" "$retort" runs list --json
check "--dry-run of what removes nothing" 2 "retort: runs verify: --dry-run is for remove and collect" "$retort" runs verify -n

cp runs/p/run.json run.json
mkdir runs/other
cp run.json runs/other
head -c 60 run.json >runs/p/run.json
lost="retort: runs/p/run.json:5:11: unexpected token near end of file: run the pipeline again, which writes it anew, or let \`retort runs remove p\` forget it"
check "a damaged run.json is listed as one" 1 "other                    4 of 4 stages done
p                        damaged
$lost" "$retort" runs
for command in "runs show p" "report p" "runs collect"; do
	# shellcheck disable=SC2086
	check "and told with what to do: $command" 1 "$lost" "$retort" $command
done
check "a run writes it anew" 0 "status 0:" run
check "as it was" 0 "" cmp run.json runs/p/run.json
echo '{}' >runs/other/run.json
check "one that lists no stages is damaged" 1 "retort: runs/other/run.json lacks its 'stages': run the pipeline again, which writes it anew, or let \`retort runs remove other\` forget it" \
	"$retort" runs show other
check "a damaged one can be removed" 0 "removed runs/other; \`retort runs collect\` frees what only it used" \
	"$retort" runs remove other
check "and only it is" 0 "p                        4 of 4 stages done" "$retort" runs
check "a pipeline that is not there" 1 "retort: there is no run of a pipeline 'q' in runs; \`retort runs\` lists them" "$retort" runs show q
check "a folder that is not there" 1 "retort: there are no runs in nowhere; name their folder with --runs" \
	"$retort" runs --runs nowhere

check "--log=json is one object a line" 0 "" sh -c \
	'"$0" run p.cfg --runs j --log=json 2>&1 >/dev/null | grep -v "^{.*}$"; true' "$retort"
check "an option misspelt" 2 "retort: run: no option --job; did you mean --jobs?" "$retort" run --job 2 p.cfg
check "a command misspelt" 2 "retort: there is no command 'rnu'; did you mean 'run'?" "$retort" rnu
check "no file" 2 "retort: run: an argument is missing; usage: retort run [OPTION...] FILE" "$retort" run
check "jobs that are no number" 2 "retort: run: --jobs many: must be a whole number from 1 to 64" \
	"$retort" run --jobs many p.cfg
check "a value that is empty" 2 "retort: run: --runs is empty" "$retort" run p.cfg --runs ""
check "in one word, too" 2 "retort: runs: --runs is empty" "$retort" runs --runs=
check "one of a list" 2 "retort: run: --set is empty" "$retort" run p.cfg --set ""
check "an argument that is empty" 2 "retort: convert: an argument is empty; usage: retort convert [OPTION...] FROM TO" \
	"$retort" convert model ""
check "an option that is given twice" 2 "retort: run: --only is given twice" "$retort" run p.cfg --only pool --only=good
check "a flag may be, and a list" 0 "status 0:" run -v --verbose --set seed=3 --set drafts.n=3
check "--only of a stage that is not there" 2 "retort: --only x: the pipeline has no stage of this name" \
	sh -c '"$0" run p.cfg --only x' "$retort"
for threads in abc 0 -1 +1 1x ' 1' 257 99999999999999999999; do
	check "RETORT_THREADS=$threads is no number of threads" 2 "retort: RETORT_THREADS=$threads: must be a whole number from 1 to 256" \
		env "RETORT_THREADS=$threads" "$retort" runs
done
for threads in 1 256 ''; do
	check "RETORT_THREADS=$threads is one" 0 "p                        4 of 4 stages done" env "RETORT_THREADS=$threads" "$retort" runs
done
check "--plugin-path alone" 2 "retort: --plugin-path needs a value: FOLDER[:FOLDER...]" "$retort" --plugin-path
check "standard output is full" 1 "retort: cannot write to standard output: No space left on device; make room and run again, finished work is kept" \
	sh -c '"$0" plugins >/dev/full' "$retort"
done_testing
