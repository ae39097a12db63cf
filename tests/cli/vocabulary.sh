#!/bin/sh
# vocabulary.sh - a model loses the tokens that its data never use, and nothing else.
. "${srcdir:-.}/tests/cli/lib.sh"
cd "$tmp" || exit 99

i=0
while test $i -lt 60; do
	i=$((i + 1))
	echo "{\"id\":\"$i\",\"messages\":[{\"role\":\"user\",\"content\":\"play song number $i by band$((i % 5))\"},{\"role\":\"assistant\",\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":\"Play\",\"arguments\":{\"song\":\"song number $i\",\"artist\":\"band$((i % 5))\"}}}]}]}"
done >songs.jsonl
{
	cat songs.jsonl
	i=0
	while test $i -lt 60; do
		i=$((i + 1))
		echo "{\"id\":\"w$i\",\"messages\":[{\"role\":\"user\",\"content\":\"will it possibly rain tomorrow in the city of Rotterdam or rather in Montpellier $i\"},{\"role\":\"assistant\",\"content\":\"probably, bring an umbrella\"}]}"
	done
} >all.jsonl
cat >base.cfg <<'E2'
  { name = "all"; use = "dataset"; paths = "all.jsonl"; },
  { name = "songs"; use = "dataset"; paths = "songs.jsonl"; },
  { name = "blank"; use = "model"; family = "llama"; hidden = 48; layers = 2; heads = 4; kv_heads = 2; feed_forward = 64; context = 256; data = "all"; vocabulary = 420; },
  { name = "taught"; use = "train"; model = "blank"; data = "all"; steps = 60; batch = 16; rate = 5e-3; result = true; },
E2
run() { # STAGES
	printf 'retort = 1; name = "p"; seed = 3; stages = (\n@include "base.cfg"\n%s );\n' "$1" >p.cfg
	"$retort" run p.cfg --runs runs --log plain >out 2>err
}
value() { # STAGE METRIC
	tr -d ' \n' <"runs/p/$1.report/metrics.json" | sed -n "s/.*\"$2\":{\"value\":\\([-+.e0-9]*\\).*/\\1/p"
}

cut() {
	run '{ name = "cut"; use = "prune"; model = "taught"; data = "songs"; pruner = "vocabulary"; result = true; },
	{ name = "again"; use = "prune"; model = "cut"; data = "songs"; pruner = "vocabulary"; result = true; },
	{ name = "file"; use = "export"; model = "cut"; data = "songs"; samples = 4; to = "gguf"; result = true; },
	{ name = "trained"; use = "train"; model = "cut"; data = "songs"; steps = 1; result = true; }' || cat err
	awk -v a="$(value cut units_before)" -v b="$(value cut units_after)" -v c="$(value again units_after)" \
		-v d="$(value cut logit_difference)" -v x="$(value cut parameters_before)" -v y="$(value cut parameters_after)" \
		'BEGIN { print (a - b > 50), (b > 260), (b == c), (d != "" && d < 1e-5), (x - y == 48 * (a - b)) }'
}
# Rows of the embedding are 48 numbers, and tied.
check 'tokens go that the data never use, all at once; logits stay' 0 '1 1 1 1 1' cut
check 'what has gone is gone from the configuration' 0 "vocabulary $(value cut units_after)" \
	sh -c "'$retort' show runs/p/cut | sed -n 's/^vocabulary  *\\([0-9]*\\).*/vocabulary \\1.0/p'"

ask() {
	"$retort" generate "$1" --chat --prompt "play song number $2 by band2" --max-tokens 60 2>/dev/null
}
answers() {
	for n in 3 17 42; do
		test -n "$(ask runs/p/taught $n)" && test "$(ask runs/p/taught $n)" = "$(ask runs/p/cut $n)" &&
			test "$(ask runs/p/cut $n)" = "$(ask runs/p/file $n)" && echo same
	done
}
check 'it says the same, from a folder and from GGUF' 0 'same
same
same' answers

# Tokens as they are spelled, without their ids.
pieces() { # MODEL FILE
	"$retort" tokenize --json "runs/p/$1" <"$2" | sed 's/.*"tokens"://'
}
sed 's/.*"user","content":"\([^"]*\)".*/\1/; p; s/ by/, by/' songs.jsonl >texts
segmented() {
	pieces taught texts >a
	pieces cut texts >b
	cmp a b && wc -l <b
}
check 'texts of kept tokens are segmented as they were' 0 120 segmented
{ cat all.jsonl; printf 'gr\303\274\303\237e \344\275\240\345\245\275 \360\237\216\265 <|im_end|> \001\t|\n'; } >anything
there() {
	pieces taught anything >a
	pieces cut anything >b
	cmp -s a b || echo others
	"$retort" tokenize runs/p/cut <anything | "$retort" tokenize --decode runs/p/cut | cmp - anything && echo 'and back'
}
check 'every other text has tokens, too' 0 'others
and back' there

# ---- what cannot be meant -----------------------------------------------------------------------

said() { # STAGES
	run "$1"
	sed -n '/warning: /d; s/^retort: //p' err
}
mkdir pieces && cp "$srcdir/tests/golden/tok-llama2-style/tokenizer.json" pieces
printf '%s' '{% for m in messages %}{{ m.role }}: {% if m.content %}{{ m.content }}{% endif %}
{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}' >pieces/chat_template.jinja
echo '{ "eos_token": "</s>" }' >pieces/tokenizer_config.json
check 'a SentencePiece model' 0 'stage x: tokens are cut out of byte-level BPE alone; this tokenizer is another (SentencePiece, Unigram, WordPiece): leave its vocabulary as it is' \
	said '{ name = "other"; use = "model"; family = "llama"; hidden = 16; layers = 1; heads = 2; feed_forward = 16; context = 512; tokenizer = "pieces"; },
	{ name = "few"; use = "dataset"; paths = "all.jsonl"; where = "id = w1"; },
	{ name = "x"; use = "prune"; model = "other"; data = "few"; pruner = "vocabulary"; result = true; }'

# ---- configurations that name ids -----------------------------------------------------------------

# The same model with ids in every place that transformers has for them.
cp -rL runs/p/taught named
song() { # MODEL: the first id of a word that is kept, and is behind others that are not
	echo song | "$retort" tokenize "$1" | sed 's/^\[\([0-9]*\).*/\1/'
}
was=$(song named)
sed -i "s/^{/{ \"bos_token_id\": [$was, 1], \"pad_token_id\": -1,/" named/config.json
sed -i "s/^{/{ \"added_tokens_decoder\": { \"$was\": { \"content\": \"song\" } },/" named/tokenizer_config.json
echo '{}' >named/vocab.json
named() {
	run '{ name = "in"; use = "model"; path = "named"; }, { name = "out"; use = "prune"; model = "in"; data = "songs"; pruner = "vocabulary"; result = true; }' || cat err
	now=$(song runs/p/out)
	test "$now" -lt "$was" && echo less
	tr -d ' \n' <runs/p/out/config.json | sed "s/.*\"bos_token_id\":\[\([0-9]*\),.*\"pad_token_id\":\([^,]*\),.*/\1 \2/" | sed "s/^$now /it /" && echo
	tr -d ' \n' <runs/p/out/tokenizer_config.json | grep -c "\"added_tokens_decoder\":{\"$now\":{"
	ls runs/p/out
}
check 'ids are the new ones wherever they stand' 0 'less
it null
1
chat_template.jinja
config.json
generation_config.json
model.safetensors
tokenizer.json
tokenizer_config.json' named

done_testing
