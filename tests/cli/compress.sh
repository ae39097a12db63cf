#!/bin/sh
# compress.sh - a small model is quantized and exported in every form; what it says stays the same, and
# what would not be the same is refused.
. "${srcdir:-.}/tests/cli/lib.sh"
cd "$tmp" || exit 99

is() { # NAME STATUS-OF-A-TEST WHAT...
	name=$1 good=$2
	shift 2
	if [ "$good" = 0 ]; then
		passed=$((passed + 1))
		ok "$name"
	else
		failed=$((failed + 1))
		echo "not ok $((passed + failed)) - $name"
		printf '%s\n' "$@"
	fi
}

value() { # STAGE METRIC
	tr -d ' \n' <"runs/p/$1.report/metrics.json" | sed -n "s/.*\"$2\":{\"value\":\\([-+.e0-9]*\\).*/\\1/p"
}

below() { # A B
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && b != "" && a + 0 < b + 0) }'
}

i=0
while test $i -lt 24; do
	i=$((i + 1))
	echo "{\"id\":\"$i\",\"messages\":[{\"role\":\"user\",\"content\":\"play song number $i by band$((i % 5))\"},{\"role\":\"assistant\",\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":\"Play\",\"arguments\":{\"song\":\"song number $i\",\"artist\":\"band$((i % 5))\"}}}]}]}"
done >rows.jsonl
cat >base.cfg <<-END
	  { name = "gold"; use = "dataset"; paths = "rows.jsonl"; },
	  { name = "blank"; use = "model"; family = "llama"; hidden = 64; layers = 2; heads = 4; kv_heads = 2; feed_forward = 128; context = 256; data = "gold"; vocabulary = 320; },
	  { name = "other"; use = "model"; family = "llama"; hidden = 64; layers = 1; heads = 4; context = 256; data = "gold"; vocabulary = 300; result = true; },
	  { name = "taught"; use = "train"; model = "blank"; data = "gold"; steps = 40; batch = 8; rate = 5e-3; },
END
cat >p.cfg <<-END
	retort = 1; name = "p"; seed = 3;
	stages = (
	@include "base.cfg"
	  { name = "rtn"; use = "quantize"; model = "taught"; quantizer = "rtn"; validation = "gold"; result = true; },
	  { name = "gptq"; use = "quantize"; model = "taught"; quantizer = "gptq"; data = "gold"; group = 64; result = true; },
	  { name = "five"; use = "quantize"; model = "taught"; quantizer = { use = "gptq"; act_order = true; }; type = "q5_0"; data = "gold"; skip = [ "layers.1.mlp" ]; embedding = "f16"; },
	  { name = "mean"; use = "quantize"; model = "taught"; type = "iq4_nl"; data = "gold"; embedding = "q4_0"; result = true; },
	  { name = "blind"; use = "quantize"; model = "taught"; type = "iq4_nl"; validation = "gold"; embedding = "q4_0"; result = true; },
	  { name = "plain"; use = "export"; model = "taught"; data = "gold"; samples = 8; result = true; },
	  { name = "half"; use = "export"; model = "taught"; data = "gold"; samples = 8; to = "gguf"; type = "f16"; result = true; },
	  { name = "wide"; use = "export"; model = "gptq"; reference = "taught"; data = "gold"; samples = 8; agreement = 0.5; kl = 0.1; result = true; },
	  { name = "same"; use = "export"; model = "gptq"; data = "gold"; samples = 8; to = "gguf"; result = true; },
	  { name = "packed"; use = "export"; model = "gptq"; data = "gold"; samples = 8; format = "compressed-tensors"; result = true; },
	  { name = "mixed"; use = "export"; model = "five"; data = "gold"; samples = 8; format = "compressed-tensors"; result = true; } );
END
"$retort" run p.cfg >log 2>&1
is 'a model is quantized and exported in every form' $? "$(tail -n 3 log)"

below "$(value gptq kl)" "$(value rtn kl)"
is 'gptq in groups of 64 stays nearer than rtn in groups of 32' $? "$(value gptq kl) $(value rtn kl)"
below "$(value rtn error)" "$(value gptq error)"
is 'although its weights are further away' $? "$(value rtn error) $(value gptq error)"
below "$(value blind error)" "$(value mean error)" &&
	awk -v a="$(value mean kl)" -v b="$(value blind kl)" 'BEGIN { exit !(a > 0 && a < 1.5 * b) }'
is 'blocks that know what columns are worth are others, and as near' $? \
	"$(value mean error) $(value blind error) $(value mean kl) $(value blind kl)"
# Embedding 320 x 64 and layers of 36864 numbers in blocks of 32: 34 and 18 bytes; norms: 5 x 64 floats.
test "$(value gptq bytes_after)" = "$((20480 / 32 * 34 + 2 * 36864 / 32 * 18 + 5 * 64 * 4)).0"
is 'bytes are those of the blocks' $? "$(value gptq bytes_after)"

cmp -s runs/p/taught/model.safetensors runs/p/plain/model.safetensors
is 'as-is is the same file' $? ''
cmp -s runs/p/gptq/model.gguf runs/p/same/model.gguf
is 'and so with blocks' $? ''
test "$(value plain kl) $(value same kl) $(value mixed kl) $(value plain answers_same) $(value packed answers_same)" = '0.0 0.0 0.0 1.0 1.0'
is 'answers are the same, logits to the bit where nothing is rounded' $? "$(value plain kl) $(value same kl) $(value mixed kl)"
# 2^-11 of each weight of an embedding that had 8 bits moves logits by as much
below "$(value packed kl)" 1e-6
is 'packed layers are the same, an embedding of f16 is near' $? "$(value packed kl)"

ask() {
	"$retort" generate "$1" --chat --prompt 'play song number 3 by band3' --max-tokens 40 2>/dev/null
}
answer=$(ask runs/p/gptq)
test -n "$answer" && test "$answer" = "$(ask runs/p/same)" && test "$answer" = "$(ask runs/p/same/model.gguf)" && test "$answer" = "$(ask runs/p/wide)"
is 'a folder with model.gguf answers as the file in it, and as its numbers in f32' $? "$answer" "$(ask runs/p/same)" "$(ask runs/p/wide)"
types=$("$retort" show runs/p/five | sed -n 's/^  \([a-z0-9_]*\) *$/\1/p' | tr '\n' ' ')
test "$types" = 'f32 f16 q5_0 '
is 'what is skipped has the type of the embedding' $? "$types"

# ---- there and back
cp -rL runs/p/mixed packed
cat >back.cfg <<-END
	retort = 1; name = "back"; seed = 3;
	stages = (
	  { name = "gold"; use = "dataset"; paths = "rows.jsonl"; },
	  { name = "in"; use = "model"; path = "packed"; format = "compressed-tensors"; },
	  { name = "out"; use = "export"; model = "in"; data = "gold"; samples = 8; format = "compressed-tensors"; result = true; } );
END
"$retort" run back.cfg >log 2>&1 && cmp -s packed/model.safetensors runs/back/out/model.safetensors
is 'a packed directory comes in, and goes out as the same file' $? "$(tail -n 3 log)"
check 'without its format it is refused' 1 \
	"retort: packed/config.json: the weights are quantized by compressed-tensors; format-compressed-tensors reads them, where there is such a plugin, as \`format\` of stage-model" \
	"$retort" show packed

# ---- what is not the same
gate() { # STAGE
	printf 'retort = 1; name = "p"; seed = 3; stages = (\n@include "base.cfg"\n{ name = "x"; result = true; %s } );\n' "$1" >x.cfg
	"$retort" run x.cfg 2>&1 | sed -n '/^retort: /s/are [-.e0-9]* nats/are N nats/; /^retort: /p'
	"$retort" run x.cfg >/dev/null 2>&1
	echo "status $?"
}
check 'answers that are others end at the gate' 0 'retort: stage x: 0 of 8 answers are what they were, a share of 0.0000; agreement asks for 1.0000
status 3' gate 'use = "export"; model = "taught"; reference = "blank"; data = "gold"; samples = 8;'
check 'distributions that are far away do' 0 'retort: stage x: distributions are N nats away from what they were; kl tolerates 0
status 3' gate 'use = "export"; model = "taught"; data = "gold"; samples = 8; to = "gguf"; type = "q4_0"; agreement = 0.0; kl = 0.0;'
gate 'use = "export"; model = "taught"; reference = "other"; data = "gold";' >log
grep -q '^retort: stage x: row 1: its prompt is [0-9]* tokens now and was [0-9]*; token [0-9]* is [0-9]* and was [0-9]*: tokenizer or template did not come through$' log && grep -q 'status 1' log
is 'prompts of other tokens are an error' $? "$(cat log)"

# ---- what cannot be meant
wrong() { # STAGE
	printf 'retort = 1; name = "p"; seed = 3; stages = (\n@include "base.cfg"\n{ name = "x"; result = true; %s } );\n' "$1" >x.cfg
	"$retort" run x.cfg 2>&1 | sed -n 's/^retort: \(.*stage x: \)/\1/p'
}
check 'K types have no grid' 0 'x.cfg:3: stage x: stage-quantize: no quantizer makes q4_k, whose smallest values are numbers of their own: take q4_0, q5_0 or q8_0, or leave quantizer out' \
	wrong 'use = "quantize"; model = "taught"; quantizer = "rtn"; type = "q4_k";'
check 'a group without a quantizer' 0 'x.cfg:3: stage x: stage-quantize: group is for a quantizer; without one every block has its own scale' \
	wrong 'use = "quantize"; model = "taught"; group = 64;'
check 'a group of no whole blocks' 0 'x.cfg:3: stage x: stage-quantize: group is 48, no multiple of the block of 32' \
	wrong 'use = "quantize"; model = "taught"; quantizer = "rtn"; group = 48;'
check 'a group that does not divide a row' 0 'stage x: model.layers.0.self_attn.q_proj.weight: group = 96 does not divide 64 columns; take a smaller one, or skip this matrix' \
	wrong 'use = "quantize"; model = "taught"; quantizer = "rtn"; group = 96;'
check 'a quantizer that lacks its statistics' 0 'stage x: model.layers.0.self_attn.q_proj.weight: quantizer-gptq: the layer has no Hessian, which gptq needs' \
	wrong 'use = "quantize"; model = "taught"; quantizer = "gptq";'
check 'a part of no name' 0 'stage x: skip: no matrix of a layer has "down_prj" in its name; one is model.layers.0.mlp.down_proj.weight' \
	wrong 'use = "quantize"; model = "taught"; skip = [ "down_prj" ];'
check 'two forms at once' 0 'x.cfg:3: stage x: stage-export: give to or format, not both: format-compressed-tensors writes a directory of its own' \
	wrong 'use = "export"; model = "taught"; data = "gold"; to = "gguf"; format = "compressed-tensors";'
check 'a type for a format' 0 'x.cfg:3: stage x: stage-export: type is not for format-compressed-tensors, which knows its own: quantize before, and export as-is' \
	wrong 'use = "export"; model = "taught"; data = "gold"; type = "bf16"; format = "compressed-tensors";'
check 'blocks in a directory' 0 'x.cfg:3: stage x: stage-export: a directory holds f32, f16 or bf16; q8_0 needs to = "gguf"' \
	wrong 'use = "export"; model = "taught"; data = "gold"; type = "q8_0";'
check 'a format without a directory' 0 'x.cfg:3: stage x: stage-model: format-compressed-tensors reads a directory: give path' \
	wrong 'use = "model"; hidden = 32; data = "gold"; format = "compressed-tensors";'

done_testing
