#!/bin/sh
# data.sh - what stage dataset reads, joins, draws and drops, of rows that are known by heart.
. "${srcdir:-.}/tests/cli/lib.sh"
cd "$tmp" || exit 1

made() { # STAGES: the rows of stage "d", without what is the same in all, then what was dropped
	printf 'retort = 1; name = "p"; seed = 1; stages = (\n%s );\n' "$1" >p.cfg
	"$retort" run p.cfg --runs runs --log plain >out 2>err || { grep '^retort:' err; return 1; }
	cut -c 1-300 runs/p/d/rows.jsonl
	tr -d '\n' <runs/p/d.report/metrics.json | sed 's/ *//; s/}, */\n/g' |
		sed -n 's/.*"\(dropped, [^"]*\)": *{ *"value": *\([0-9]*\)\.0.*/\1: \2/p' | grep -v ': 0$'
	return 0
}

said() { # STAGES: the mistake
	printf 'retort = 1; name = "p"; seed = 1; stages = (\n%s );\n' "$1" >p.cfg
	"$retort" run p.cfg --runs runs --log plain 2>&1 | sed -n 's/^retort: \(p.cfg:2: \)*stage d: //p'
}

texts() { # the user's texts alone
	made "$1" | sed 's/.*"role":"user","content":"\([^"]*\)".*/\1/'
}

# ---- CSV ----------------------------------------------------------------------------------------

printf '\357\273\277id,instruction,input,output\r\n1,"say ""hi"", please",,hi\r\n\r\n2,add,"1\n2",3' >alpaca.csv
check 'quotes, commas, line ends in a cell, a byte order mark, CR LF, no line end at the end' 0 \
	'{"id":"1","instruction":"say \"hi\", please","output":"hi","messages":[{"role":"user","content":"say \"hi\", please"},{"role":"assistant","content":"hi"}]}
{"id":"2","instruction":"add","input":"1\n2","output":"3","messages":[{"role":"user","content":"add\n1\n2"},{"role":"assistant","content":"3"}]}' \
	made '{ name = "d"; use = "dataset"; paths = "alpaca.csv"; result = true; }'

printf 'id,prompt,response\na,ask,answer\n' >pair.CSV
printf 'id,text,label\nb,is it?,7\n' >label.csv
cat >calls.csv <<'END'
id,messages,tools
c,"[{""role"":""user"",""content"":""play""},{""role"":""assistant"",""tool_calls"":[{""type"":""function"",""function"":{""name"":""play"",""arguments"":""{\""n\"":1}""}}]}]","[{""name"":""play""}]"
END
echo '{"id":"e","text":"was it?","label":8}' >label.jsonl
check 'columns are the keys of JSON rows' 0 \
	'{"id":"a","prompt":"ask","response":"answer","messages":[{"role":"user","content":"ask"},{"role":"assistant","content":"answer"}]}
{"id":"b","text":"is it?","label":"7","messages":[{"role":"user","content":"is it?"},{"role":"assistant","content":"7"}]}
{"id":"c","messages":[{"role":"user","content":"play"},{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"play","arguments":{"n":1}}}]}],"tools":[{"name":"play"}]}
{"id":"e","text":"was it?","label":8,"messages":[{"role":"user","content":"was it?"},{"role":"assistant","content":"8"}]}' \
	made '{ name = "d"; use = "dataset"; paths = ("pair.CSV", "label.csv", "calls.csv", "label.jsonl"); result = true; }'

csv() { # CONTENT: what is said of it, without the folder
	printf "$1" >bad.csv
	said '{ name = "d"; use = "dataset"; paths = "bad.csv"; result = true; }' | sed 's|[^ ]*/bad.csv|bad.csv|'
}
check 'a field too many' 0 'bad.csv:4: 3 fields, the first line names 2' csv 'prompt,response\n"a\nb",c\nd,e,f\n'
check 'quotes that do not end' 0 'bad.csv:3: the quotes of a field that begins here are not closed' csv 'prompt,response\na,b\nc,"d\ne\n'
check 'a quote in the middle' 0 'bad.csv:2: a quote inside of a field without quotes; put the field into quotes, and write those inside of it twice' csv 'prompt\na"b"\n'
check 'text behind a quote' 0 'bad.csv:2: text behind the quote that ends a field; a quote inside of a field is written twice' csv 'prompt\n"a"b\n'
check 'CR alone' 0 'bad.csv:2: a carriage return alone; lines end with LF or CR LF' csv 'prompt\na\rb\n'
check 'an empty file' 0 'bad.csv:1: the file is empty; its first line names the columns' csv ''
check 'a column twice' 0 "bad.csv:1: two columns are called 'prompt'" csv 'prompt,prompt\na,b\n'
check 'a column without a name' 0 'bad.csv:1: column 2 has no name' csv 'prompt,\na,b\n'
check 'not UTF-8' 0 'bad.csv:3: not UTF-8; save the file as UTF-8' csv 'prompt\na\n\344\n'
check 'a zero byte' 0 'bad.csv:2: a zero byte' csv 'prompt\na\000b\n'
check 'no column that is known' 0 'bad.csv:2: has none of `messages`, `conversations`, `instruction`, `prompt`, `text` in a form that is known' csv 'question\na\n'
check 'a cell that is no JSON' 0 "bad.csv:2: a cell of JSON: messages:1:1: ']' expected near end of file" csv 'messages\n[\n'
check 'an id twice' 0 "bad.csv:3: the id 'a' stands in an earlier row, too" csv 'id,prompt\na,b\na,c\n'

# ---- messages and tools -------------------------------------------------------------------------

row() { # ROW: what is said of it, without the folder
	printf '%s\n' "$1" >bad.jsonl
	said '{ name = "d"; use = "dataset"; paths = "bad.jsonl"; result = true; }' | sed 's|[^ ]*/bad.jsonl|bad.jsonl|'
}
call() { # TOOL_CALLS: the same of a row whose answer has them
	row "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"tool_calls\":$1}]}"
}
check 'a role that nobody has' 0 "bad.jsonl:1: messages[0] has the role 'usr'; roles are system, user, assistant, tool" \
	row '{"messages":[{"role":"usr","content":"a"}]}'
check 'a content that is no text' 0 'bad.jsonl:1: the content of messages[0] is an integer, want a text' \
	row '{"messages":[{"role":"user","content":5}]}'
check 'nothing said' 0 'bad.jsonl:1: messages[1] has neither content nor tool_calls' \
	row '{"messages":[{"role":"user","content":"a"},{"role":"assistant"}]}'
check 'a picture' 0 'bad.jsonl:1: part 1 of the content of messages[0] has no text, and nothing else can be read' \
	row '{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"b"}}]}]}'
check 'calls that are a text' 0 'bad.jsonl:1: the tool_calls of messages[1] are a string, want a list' call '"play()"'
check 'a call without a name' 0 'bad.jsonl:1: call 0 of messages[1] has no `function` with a `name`' call '[{"type":"function"}]'
check 'arguments that are no JSON' 0 'bad.jsonl:1: the arguments of call 0 of messages[1] are no JSON object: {bad' \
	call '[{"function":{"name":"play","arguments":"{bad"}}]'
check 'arguments in a list' 0 'bad.jsonl:1: the arguments of call 0 of messages[1] are an array, want an object' \
	call '[{"function":{"name":"play","arguments":[1]}}]'
check 'a completion that is a list' 0 'bad.jsonl:1: `completion` is an array, want a text' row '{"prompt":"a","completion":["b"]}'
check 'an id that is a list' 0 'bad.jsonl:1: `id` is an array, want a text or a whole number' row '{"id":[1],"prompt":"a"}'
echo '{"messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{bad"}}]}]}' >known.jsonl
echo '{"id":"q","prompt":"a"}' >asked.jsonl
check 'what a model answered stands as it did' 0 1 sh -c '
	cat >j.cfg <<"END"
retort = 1; name = "j"; seed = 1; stages = (
  { name = "a"; use = "dataset"; paths = "asked.jsonl"; },
  { name = "s"; use = "sample"; data = "a"; teacher = { use = "nearest"; known = "known.jsonl"; }; },
  { name = "k"; use = "reject"; data = "s"; judges = ( { use = "agree"; } ); keep = { use = "best-of"; }; },
  { name = "d"; use = "dataset"; data = "k"; result = true; } );
END
	"$0" run j.cfg --runs runs --log plain >out 2>err || tail -1 err; grep -c "{bad" runs/j/d/rows.jsonl' "$retort"
printf '{"id":1,"prompt":"a","completion":5}\n{"id":1,"prompt":"b"}\n' >twice.jsonl
check 'ids that are numbers are ids' 0 "twice.jsonl:2: the id '1' stands in an earlier row, too" \
	eval 'said "{ name = \"d\"; use = \"dataset\"; paths = \"twice.jsonl\"; result = true; }" | sed "s|[^ ]*/twice|twice|"'
head -1 twice.jsonl >one.jsonl
echo '{"id":2,"messages":[{"role":"user","content":[{"type":"text","text":"one "},{"type":"text","text":"two"}]}]}' >>one.jsonl
check 'numbers become texts, parts become one' 0 \
	'{"id":"1","prompt":"a","completion":5,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"5"}]}
{"id":"2","messages":[{"role":"user","content":"one two"}]}' \
	made '{ name = "d"; use = "dataset"; paths = "one.jsonl"; result = true; }'
tools() { # JSON: what is said of it as tools
	printf '%s\n' "$1" >tools.json
	said '{ name = "d"; use = "dataset"; paths = "one.jsonl"; tools = "tools.json"; result = true; }' | sed 's|[^ ]*/tools|tools|'
}
check 'tools that are an object' 0 'tools.json: tools are a list [ ... ], this is an object' tools '{"name":"a"}'
check 'a tool without a name' 0 'tools.json: tool 0 has no name' tools '[5]'
check 'two tools of one name' 0 'tools.json: two tools are named a' tools '[{"name":"a"},{"type":"function","function":{"name":"a"}}]'

check 'a list of rows' 0 'bad.jsonl is a list; rows are JSON Lines, an object a line, as `jq -c .[]` writes them' row '[{"prompt":"a"}]'
packed() {
	printf '{"prompt":"a"}\n' | gzip >bad.gz
	said '{ name = "d"; use = "dataset"; paths = "bad.gz"; result = true; }' | sed 's|[^ ]*/bad.gz|bad.gz|'
}
check 'rows that are compressed' 0 'bad.gz is compressed; rows are read plain, as gunzip writes them' packed

# ---- joining, drawing ---------------------------------------------------------------------------

for i in 1 2 3 4 5 6 7 8 9 10; do echo "{\"id\":\"$i\",\"prompt\":\"row $i\",\"lang\":\"l$((i % 2))\",\"meta\":{\"n\":$i}}"; done >ten.jsonl
printf '{"id":"1","prompt":"another"}\n{"id":"2","prompt":"row 2"}\n' >more.jsonl
join='{ name = "a"; use = "dataset"; paths = "ten.jsonl"; limit = 2; }, { name = "b"; use = "dataset"; paths = "more.jsonl"; },
  { name = "c"; use = "dataset"; paths = "more.jsonl"; limit = 1; },'
check 'datasets are joined behind files; ids that are taken get a number, doubles go' 0 \
	'{"id":"e","text":"was it?","label":8,"messages":[{"role":"user","content":"was it?"},{"role":"assistant","content":"8"}]}
{"id":"1","prompt":"row 1","lang":"l1","meta":{"n":1},"messages":[{"role":"user","content":"row 1"}]}
{"id":"2","prompt":"row 2","lang":"l0","meta":{"n":2},"messages":[{"role":"user","content":"row 2"}]}
{"id":"1-2","prompt":"another","messages":[{"role":"user","content":"another"}]}
dropped, came before: 2' \
	made "$join { name = \"d\"; use = \"dataset\"; paths = \"label.jsonl\"; data = (\"a\", \"b\", \"c\"); result = true; }"
check 'with doubles, too' 0 'row 1
row 2
another
row 2' texts "$join { name = \"d\"; use = \"dataset\"; data = (\"a\", \"b\"); unique = false; result = true; }"

drawn() { # SAMPLE SEED
	printf 'retort = 1; name = "p"; seed = %s; stages = ( { name = "d"; use = "dataset"; paths = "ten.jsonl"; sample = %s; result = true; } );' "$2" "$1" >s.cfg
	"$retort" run s.cfg --runs runs --log plain >out 2>err || cat err
	sed 's/{"id":"\([0-9]*\)".*/\1/' runs/p/d/rows.jsonl | tr '\n' ' '
}
shares() {
	drawn 0.3 1 | wc -w
	drawn 4.0 1 | wc -w
	drawn 100.0 1 | wc -w
	one=$(drawn 4.0 1) other=$(drawn 4.0 2)
	test "$one" != "$other" && echo "others with another seed"
	test "$one" = "$(echo "$one" | tr ' ' '\n' | sort -n | sed '/^$/d' | tr '\n' ' ')" && echo "in their order"
	test "$one" = "$(RETORT_THREADS=1 drawn 4.0 1)" && echo "the same again"
}
check 'a share and a number are drawn by the seed' 0 "3
4
10
others with another seed
in their order
the same again" shares
not_drawn() { made '{ name = "d"; use = "dataset"; paths = "ten.jsonl"; sample = 3.0; result = true; }' | grep dropped; }
check 'what was not drawn is counted' 0 'dropped, not drawn: 7' \
	not_drawn

# ---- filters ------------------------------------------------------------------------------------

check 'fields, and fields of fields' 0 'row 4
row 8
dropped, not lang = l0: 5
dropped, not meta.n != 2: 1
dropped, not meta.n!=6: 1
dropped, not meta.n != 10: 1' texts '{ name = "d"; use = "dataset"; paths = "ten.jsonl"; where = ("lang = l0", "meta.n != 2", "meta.n!=6", "meta.n != 10"); result = true; }'
cat >long.jsonl <<'END'
{"id":"1","messages":[{"role":"system","content":"you are very polite indeed"},{"role":"user","content":"grüße"}]}
{"id":"2","prompt":"four","completion":"ok"}
{"id":"3","prompt":"eleven char","completion":"yes"}
{"id":"4","prompt":"five5","completion":"much too long"}
END
check 'lengths in characters' 0 'five5
dropped, answer too short: 1
dropped, prompt too short: 1
dropped, prompt too long: 1' texts '{ name = "d"; use = "dataset"; paths = "long.jsonl"; min_prompt = 5; max_prompt = 10; min_answer = 1; result = true; }'
check 'the longest answer' 0 'grüße
four
eleven char
dropped, answer too long: 1' texts '{ name = "d"; use = "dataset"; paths = "long.jsonl"; max_answer = 3; result = true; }'
# A tokenizer that has learnt the answer of the last row, and of the rest bytes: "grüße" is 7.
check 'lengths in tokens' 0 'four
five5
dropped, prompt too long: 2' texts '{ name = "m"; use = "model"; hidden = 16; layers = 1; heads = 2; feed_forward = 16; data = "y"; vocabulary = 300; },
	{ name = "y"; use = "dataset"; paths = "long.jsonl"; where = "id = 4"; },
	{ name = "d"; use = "dataset"; paths = "long.jsonl"; max_prompt = 6; model = "m"; result = true; }'

# ---- near doubles -------------------------------------------------------------------------------

# Pairs of words: 9 in "a b ... j"; the second shares 8 of 10, the third 3 of 14.
cat >near.jsonl <<'END'
{"id":"1","prompt":"a b c d e f g h i j","completion":"x"}
{"id":"2","prompt":"A b, c d e f g h i X","completion":"y"}
{"id":"3","prompt":"a b c d q r s t u","completion":"z"}
END
echo '{"id":"t","prompt":"zero a b c d q r s t u","completion":"z"}' >test.jsonl
near='{ name = "d"; use = "dataset"; paths = "near.jsonl"; result = true;'
check 'near ones go, the first stays' 0 'a b c d e f g h i j
a b c d q r s t u
dropped, near one that came before: 1' texts "$near near = 0.8; }"
check 'at the share itself, not below' 0 'a b c d e f g h i j
A b, c d e f g h i X
a b c d q r s t u' texts "$near near = 0.81; }"
check 'what is near an excluded row goes' 0 'a b c d e f g h i j
dropped, near one that came before: 1
dropped, near one of an excluded set: 1' texts "{ name = \"t\"; use = \"dataset\"; paths = \"test.jsonl\"; }, $near near = 0.8; exclude = \"t\"; }"
check 'words alone' 0 'a b c d e f g h i j
a b c d q r s t u
dropped, near one that came before: 1' texts "$near near = 0.8; shingle = 1; }"

# Every pair of a larger set, counted another way: words of three letters in pairs, by awk.
awk 'BEGIN { s = 7; for (i = 0; i < 300; i++) { t = ""; for (k = 0; k < 8; k++) { s = (s * 1103 + 12345) % 65536; t = t " w" int(s / 256) % 16 } print substr(t, 2) } }' >texts
sed 's/.*/{"prompt":"&"}/' texts >many.jsonl
expected=$(awk '{
	n = 0; delete mine
	for (i = 1; i < NF; i++) if (!(($i " " $(i + 1)) in mine)) { mine[$i " " $(i + 1)] = 1; n++ }
	for (k = 1; k <= kept; k++) {
		both = 0
		for (p in mine) both += ((k, p) in set)
		if (both / (n + size[k] - both) >= 0.3 - 1e-9) next
	}
	kept++; size[kept] = n; for (p in mine) set[kept, p] = 1
	print
}' texts)
check 'no near pair is missed' 0 "$expected
dropped, near one that came before: $((300 - $(echo "$expected" | wc -l)))" texts '{ name = "d"; use = "dataset"; paths = "many.jsonl"; near = 0.3; unique = false; result = true; }'

# ---- mistakes -----------------------------------------------------------------------------------

wrong() { # PARAMETERS
	said "{ name = \"d\"; use = \"dataset\"; $1 result = true; }"
}
check 'nothing to read' 0 'stage-dataset: neither paths nor data: nothing to read' wrong ''
check 'a part of a row' 0 'stage-dataset: sample = 2.5 is neither a share below 1 nor a whole number of rows' wrong 'paths = "ten.jsonl"; sample = 2.5;'
check 'all are near' 0 'stage-dataset: near = 0.01: at least 0.05, or 0 for none' wrong 'paths = "ten.jsonl"; near = 0.01;'
check 'lengths of none' 0 'stage-dataset: max_prompt is below min_prompt: nothing would stay' wrong 'paths = "ten.jsonl"; min_prompt = 5; max_prompt = 4;'
check 'answers of none' 0 'stage-dataset: max_answer is below min_answer: nothing would stay' wrong 'paths = "ten.jsonl"; min_answer = 5; max_answer = 4;'
check 'a condition that is none' 0 'stage-dataset: where = "lang" is none of "FIELD = VALUE" and "FIELD != VALUE"' wrong 'paths = "ten.jsonl"; where = "lang";'

done_testing
