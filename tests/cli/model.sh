#!/bin/sh
# model.sh - commands on models: what they print, what they refuse, and golden results through them.
. "${srcdir:-.}/tests/cli/lib.sh"

golden=$srcdir/tests/golden
cd "$tmp" || exit 99
for m in qwen2-tiny llama-tiny tok-llama3-style; do
	cp -r "$golden/$m" .
done
cp "$golden/gguf/tiny-qwen2.gguf" "$golden/chat/chatml.jinja" .
chmod -R u+w .

put() { # TEXT command...: the text to its standard input
	text=$1
	shift
	printf '%s' "$text" | "$@"
}

# ---- tokenize
check "text to ids, a list a line" 0 '[39,484,78,601,343]
[]
[220]' put 'Hello world

 
' "$retort" tokenize tok-llama3-style
check "and back" 0 'Hello world' sh -c 'echo "Hello world" | "$0" tokenize tok-llama3-style | "$0" tokenize tok-llama3-style -d' "$retort"
check "spellings" 0 '{"ids":[39,484,78],"tokens":["H","ell","o"]}' put Hello "$retort" tokenize --json tok-llama3-style
check "--special adds the begin token" 0 '[700,39,484,78]' put Hello "$retort" tokenize -s tok-llama3-style
check "--whole keeps line ends" 0 'a
b' sh -c 'printf "a\nb" | "$0" tokenize -w tiny-qwen2.gguf | "$0" tokenize -d tiny-qwen2.gguf' "$retort"
check "bytes that are no text" 1 'retort: standard input:2: the text is not UTF-8 at byte 1' \
	sh -c 'printf "a\nb\377\n" | "$0" tokenize tok-llama3-style >/dev/null' "$retort"
check "ids that are none" 1 'retort: standard input:1: id 1 is a string, not a whole number' \
	put '[1,"a"]' "$retort" tokenize -d tok-llama3-style
check "ids that no token has" 1 'retort: standard input:1: id 0 is 702; there are tokens 0 to 701' \
	put '[702]' "$retort" tokenize -d tok-llama3-style
check "--whole with --decode" 2 'retort: tokenize: --whole is for text, not for --decode' \
	"$retort" tokenize -w -d tok-llama3-style
check "a model without a tokenizer" 1 'retort: qwen2-tiny comes without a tokenizer' \
	"$retort" tokenize qwen2-tiny
check "no such model" 1 'retort: there is no nowhere' "$retort" tokenize nowhere

# ---- render
row='{"id":"r","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"yo"}]}'
check "text, and ids and mask of one length" 0 '{"id":"r","text":"<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyo<|im_end|>\n"
same' sh -c 'printf "%s" "$1" | "$0" render tok-llama3-style -t chatml.jinja >out; sed "s/,\"ids\".*//" out
	count() { sed "s/.*\"$1\":\[\([0-9,]*\)\].*/\1/" out | tr -cd ,; }
	test "$(count ids)" = "$(count mask)" && echo same' "$retort" "$row"
check "the mask is what the assistant wrote" 0 'yo' sh -c \
	'ids() { sed "s/.*\"$1\":\[\([0-9,]*\)\].*/\1/" out | tr , "\n"; }
	ids ids >i; ids mask >m; echo "[$(paste i m | sed -n "s/	1$//p" | paste -s -d,)]" | "$0" tokenize -d -s tok-llama3-style' "$retort"
check "no template" 1 'retort: tok-llama3-style comes without a chat template; name one with --template' \
	put "$row" "$retort" render tok-llama3-style
check "a row without messages" 1 'retort: standard input:1: a row needs messages: a list, this is a row without' \
	put '{}' "$retort" render tok-llama3-style -t chatml.jinja
check "messages that are no list" 1 'retort: standard input:2: a row needs messages: a list, this is a string' \
	sh -c 'printf "%s\n%s\n" "$1" "{\"messages\":\"x\"}" | "$0" render tok-llama3-style -t chatml.jinja 2>&1 >/dev/null; exit 1' "$retort" "$row"

# ---- score
check "log-probabilities and the best" 0 '-6.9464 -5.7858 -7.4789 n 3 sum -20.2111 best 49 286 91' sh -c \
	'echo "{\"ids\":[1,2,3,4]}" | "$0" score qwen2-tiny --top 2 |
	sed "s/.*\"logp\":\[null,\([-0-9.]*\),\([-0-9.]*\),\([-0-9.]*\)\],\"n\":3,\"sum\":\([-0-9.]*\),.*\"top\":\[null,\[\[\([0-9]*\),[^]]*\],[^]]*\]\],\[\[\([0-9]*\),[^]]*\],[^]]*\]\],\[\[\([0-9]*\),.*/\1 \2 \3 \4 \5 \6 \7/" |
	{ read -r a b c s x y z; printf "%.4f %.4f %.4f n 3 sum %.4f best %s %s %s" "$a" "$b" "$c" "$s" "$x" "$y" "$z"; }' "$retort"
check "one token alone" 0 '{"ids":[5],"logp":[null],"n":0,"sum":0.0}' put '{"ids":[5]}' "$retort" score qwen2-tiny
check "a token that the model lacks" 1 'retort: standard input:1: id 1 is 320; there are tokens 0 to 319' \
	put '{"ids":[1,320]}' "$retort" score qwen2-tiny
check "text without a tokenizer" 1 'retort: standard input:1: the model comes without a tokenizer; give ids' \
	put '{"text":"a"}' "$retort" score qwen2-tiny
check "nothing to score" 1 'retort: standard input:1: a row needs ids, text or messages' put '{}' "$retort" score qwen2-tiny
check "no tokens" 1 'retort: standard input:1: there are no tokens to score' put '{"ids":[]}' "$retort" score qwen2-tiny
check "longer than the model" 1 'retort: standard input:1: 300 tokens, and the model was made for at most 256' \
	sh -c 'echo "{\"ids\":[1$(printf ",%.0s1" $(seq 299))]}" | "$0" score qwen2-tiny' "$retort"
check "no JSON" 1 "retort: standard input:1:1: invalid token near 'x'" sh -c 'echo x | "$0" score qwen2-tiny' "$retort"
check "a folder that is no model" 1 'retort: . is no model: a model is a folder with config.json and weights, or a GGUF file' \
	"$retort" score .
check "a full disk" 1 'retort: cannot write to standard output: No space left on device; make room and run again, finished work is kept' \
	sh -c 'echo "{\"ids\":[1,2]}" | "$0" score qwen2-tiny >/dev/full' "$retort"
check "a closed pipe" 0 'retort: cannot write to standard output: Broken pipe' sh -c \
	'yes "{\"ids\":[1,2]}" | head -n 20000 | { "$0" score qwen2-tiny 2>err; } | head -n 1 >/dev/null; cat err' "$retort"

# ---- convert
check "to GGUF without loss" 0 'largest difference 0' sh -c \
	'"$0" convert qwen2-tiny q.gguf | sed -n "s/.*\(largest difference 0\) .*/\1/p"' "$retort"
check "a file that is there stays" 2 'retort: q.gguf is there already; --force replaces it' "$retort" convert qwen2-tiny q.gguf
check "--force replaces it" 0 '"type":"q8_0"' sh -c \
	'"$0" convert qwen2-tiny q.gguf -f -t q8_0 --json | grep -o "\"type\":\"q8_0\""' "$retort"
check "blocks that do not fit are told" 0 '16 matrices are of another type than q4_k: its blocks of 256 do not divide their rows' \
	sh -c '"$0" convert llama-tiny l.gguf -t q4_k | sed -n 3p' "$retort"
check "from quantized to a folder" 0 'bf16' sh -c \
	'"$0" convert q.gguf back | sed -n "s/^back: \([a-z0-9]*\),.*/\1/p"' "$retort"
check "a tokenizer goes there and back" 0 'same' sh -c \
	'"$0" convert tiny-qwen2.gguf t && "$0" convert t t.gguf && "$0" convert t.gguf u
	for m in tiny-qwen2.gguf t t.gguf u; do "$0" tokenize -w $m <"$1/README"; done 2>&1 | uniq | wc -l | sed "s/^ *1$/same/"' \
	"$retort" "$srcdir" | sed -n '$p'
check "a gate on what it costs" 3 'retort: x.gguf: mean KL is X, --max-kl allows 1e-09; nothing was kept' sh -c \
	'"$0" convert qwen2-tiny x.gguf -t q8_0 --max-kl 0.000000001 2>err; s=$?; sed "s/KL is [0-9.e-]*/KL is X/" err; test ! -e x.gguf && exit $s' "$retort"
check "nothing half done is left" 1 '' sh -c 'ls | grep part' "$retort"
check "an interrupted download" 1 'retort: cut.gguf: NAME: BYTES bytes at AT leave the file of 100000; it is cut short or damaged: get it again' \
	sh -c 'head -c 100000 tiny-qwen2.gguf >cut.gguf; "$0" show cut.gguf 2>err; s=$?
	sed "s/gguf: [a-z0-9_.]*: [0-9]* bytes at [0-9]* /gguf: NAME: BYTES bytes at AT /" err; exit $s' "$retort"
check "a folder holds no blocks" 2 'retort: convert: a folder holds f32, f16 or bf16; q8_0 needs a TO that ends in .gguf' \
	"$retort" convert qwen2-tiny folder -t q8_0
check "a type that is none" 2 'retort: convert: --type q9: there are f32, f16, bf16, and for GGUF q8_0, q6_k, q5_k, q5_1, q5_0, q4_k, q4_1, q4_0, iq4_nl, iq4_xs, q3_k, q2_k' \
	"$retort" convert qwen2-tiny x.gguf -t q9
mkdir precious empty
check "an empty folder is filled" 0 'model.safetensors' sh -c \
	'"$0" convert qwen2-tiny empty >out 2>&1 || cat out; ls empty | grep -x model.safetensors' "$retort"
echo mine >precious/thesis.txt
check "what is no model is never replaced" 2 'retort: precious is no model, and is not replaced; choose another folder' \
	"$retort" convert qwen2-tiny precious --force
check "nor is --force proposed for it" 2 'retort: precious is no model, and is not replaced; choose another folder' \
	"$retort" convert qwen2-tiny precious
cp -r empty kept
mkdir kept/checkpoints
check "a model is not replaced with what lies beside it" 2 'retort: kept holds checkpoints/, which is no part of a model and would be lost: move it away, or choose another folder' \
	"$retort" convert qwen2-tiny kept --force
rmdir kept/checkpoints
echo mine >kept/NOTES.md
check "be that a file" 2 'retort: kept holds NOTES.md, which is no part of a model and would be lost: move it away, or choose another folder' \
	"$retort" convert qwen2-tiny kept --force
check "and it is still there" 0 mine cat kept/NOTES.md
rm kept/NOTES.md
check "a model alone is replaced" 0 'kept: bf16' sh -c \
	'"$0" convert qwen2-tiny kept -f -t bf16 | sed -n "s/^\(kept: [a-z0-9]*\),.*/\1/p"' "$retort"
mkdir folder.gguf
check "a folder is no file" 2 'retort: folder.gguf is a folder, and is not replaced; choose another file' \
	"$retort" convert qwen2-tiny folder.gguf --force
echo mine >file
check "a file is no folder" 2 'retort: file is no folder, and is not replaced; choose another folder' \
	"$retort" convert qwen2-tiny file --force
check "not onto itself" 2 'retort: qwen2-tiny cannot be converted onto itself' "$retort" convert qwen2-tiny ./qwen2-tiny -f

# ---- generate
prompt=234,112,229,105,107,75,295,308,57,81,46,233
answer=121,121,121,121,121,121,121,121,242,242,242,242,242,242,242,242,242,242,242,242,242,242,242,242
check "greedy ids are those of transformers" 0 "$answer" sh -c \
	'"$0" generate qwen2-tiny --ids $1 -n 24 2>/dev/null | paste -s -d,' "$retort" $prompt
check "from rows, too, in their order" 0 "{\"id\":\"a\",\"ids\":[$answer],
{\"id\":\"b\",\"ids\":[$answer]," sh -c \
	'for i in a b; do echo "{\"id\":\"$i\",\"ids\":[$1]}"; done | "$0" generate qwen2-tiny -n 24 | sed "s/\"logp\".*//"' "$retort" $prompt
check "the same seed gives the same, another does not" 0 2 sh -c \
	'for s in 1 1 2; do "$0" generate qwen2-tiny --ids $1 -n 16 -t 1 --seed $s 2>/dev/null | paste -s; done | sort -u | wc -l | tr -d " "' "$retort" $prompt
check "limits without chance" 2 'retort: generate: --top-k, --top-p and --min-p are for sampling; give a --temperature above 0, too' \
	"$retort" generate qwen2-tiny --ids 1 --top-p 0.9
check "nor with none" 2 'retort: generate: --top-k, --top-p and --min-p are for sampling; give a --temperature above 0, too' \
	"$retort" generate qwen2-tiny --ids 1 -t 0 --top-k 5
check "a seed without chance" 2 'retort: generate: --seed is for sampling; give a --temperature above 0, too' \
	"$retort" generate qwen2-tiny --ids 1 --seed 0
check "ids are no text of a chat" 2 'retort: generate: --chat and --special are for text, not for --ids' \
	"$retort" generate qwen2-tiny --ids 5 --chat
check "nor one of special tokens" 2 'retort: generate: --chat and --special are for text, not for --ids' \
	"$retort" generate qwen2-tiny --ids 5 --special
check "a chat with special tokens" 2 'retort: generate: --chat or --special, not both: a chat template says which tokens are special' \
	"$retort" generate tiny-qwen2.gguf -c -s -p hi
check "ids that are none" 2 'retort: generate: --ids 1,2,: must be whole numbers with commas between them, as 1,2,3' \
	"$retort" generate qwen2-tiny --ids 1,2,
for command in generate score; do
	check "a row of two minds: $command" 1 'retort: standard input:2: a row has ids or text, not both: which one is meant?' \
		sh -c 'printf "%s\n" "{\"ids\":[1,2]}" "{\"text\":\"a\",\"ids\":[1]}" | "$0" $1 tiny-qwen2.gguf 2>&1 >/dev/null' "$retort" $command
	check "a conversation besides: $command" 1 'retort: standard input:1: a row has text or messages, not both: which one is meant?' \
		put '{"text":"a","messages":[]}' "$retort" $command tiny-qwen2.gguf
	check "what render prints is of one mind: $command" 0 1 sh -c \
		'printf "%s" "$2" | "$0" render tiny-qwen2.gguf -t chatml.jinja | "$0" $1 tiny-qwen2.gguf | grep -c "\"logp\""' "$retort" $command "$row"
done
check "greedy with chance" 2 'retort: generate: --greedy or --temperature, not both' \
	"$retort" generate qwen2-tiny --ids 1 --greedy -t 1
check "a temperature that is none" 2 'retort: generate: --temperature hot: must be a number from 0 to 100' \
	"$retort" generate qwen2-tiny --ids 1 -t hot
check "a prompt of text without a tokenizer" 1 'retort: the model comes without a tokenizer; give ids' \
	"$retort" generate qwen2-tiny -p hi
check "a text may be empty" 1 'retort: the prompt has no tokens' "$retort" generate tiny-qwen2.gguf --prompt ""
check "a prompt without tokens" 1 'retort: the prompt has no tokens' "$retort" generate qwen2-tiny --ids '[]'
schema='{"type":"object","properties":{"sure":{"type":"boolean"}},"required":["sure"]}'
echo "$schema" >schema.json
check "JSON that fits a schema, by a model that knows nothing" 0 '{"sure":true}|{"sure":false}' sh -c \
	'for i in 1 2 3 4 5 6 7 8; do echo "{\"id\":$i,\"text\":\"hi\"}"; done | "$0" generate tiny-qwen2.gguf --schema schema.json -t 50 -n 100 >out || exit 1
	sed -n "s/^.*\"text\":\"\(.*\)\",\"ids\".*\"finish\":\"stop\".*/\1/p" out | sed "s/\\\\[trn]//g; s/ //g; s/\\\\//g" | sort -ru | paste -s -d"|"' "$retort"
echo '{"type":"string","pattern":"a"}' >pattern.json
check "a schema that cannot be kept to" 1 "retort: pattern.json: the schema keyword 'pattern' is not supported" \
	"$retort" generate tiny-qwen2.gguf --schema pattern.json -p hi
check "a schema that is not there" 1 'retort: cannot open no.json: No such file or directory' \
	"$retort" generate tiny-qwen2.gguf --schema no.json -p hi
check "--schema without a tokenizer" 2 'retort: generate: --schema needs a tokenizer, qwen2-tiny comes without one' \
	"$retort" generate qwen2-tiny --ids 1 --schema schema.json
check "--stop without a tokenizer" 2 'retort: generate: --stop needs a tokenizer, qwen2-tiny comes without one' \
	"$retort" generate qwen2-tiny --ids 1 --stop x

# ---- show
check "a model" 0 'qwen2 3 320 stops [2]' sh -c \
	'"$0" show --json qwen2-tiny | sed "s/.*\"architecture\":\"\([a-z0-9]*\)\".*\"layers\":\([0-9]*\).*\"vocabulary\":\([0-9]*\).*\"stops\":\(.*\]\).*/\1 \2 \3 stops \4/"' "$retort"
check "bytes of types add up" 0 'equal' sh -c \
	'"$0" show --json tiny-qwen2.gguf | tr ",{}" "\n\n\n" | sed -n "s/^\"bytes\"://p" | { read -r all; sum=0; while read -r x; do sum=$((sum + x)); done; test $sum = $all && echo equal; }' "$retort"
check "a dataset" 0 '{"dataset":{"rows":1,"messages":2,"rows_with_tools":0,"rows_with_calls":0,"rows_with_reference":1,"rows_with_scores":0,"candidates":0,"roles":{"user":1,"assistant":1},"calls":{},"prompt_bytes":{"mean":2.0,"median":2,"p95":2,"max":2},"answer_bytes":{"mean":2.0,"median":2,"p95":2,"max":2}}}' \
	sh -c 'echo "$1" >d.jsonl; "$0" show --json d.jsonl' "$retort" "$row"
check "a tokenizer" 0 '{"tokenizer":{"tokens":702,"ids":702,"longest_bytes":17,"special":["<|begin_of_text|>","<|eot_id|>"]}}' \
	"$retort" show --json tok-llama3-style
check "something else" 1 'retort: . is nothing that can be shown: a model is a folder with config.json or a GGUF file, a dataset a .jsonl file or a folder with rows.jsonl, a tokenizer a folder with tokenizer.json' \
	"$retort" show .
done_testing
