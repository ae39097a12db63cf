#!/bin/sh
# bench.sh - retort bench: its table and its objects have their rows, and mistakes get sentences.  How
# large a figure is depends on the machine, and is not looked at.
. "${srcdir:-.}/tests/cli/lib.sh"

golden=$srcdir/tests/golden
cd "$tmp" || exit 99
cp -r "$golden/llama-tiny" .
cp "$golden/gguf/tiny-qwen2.gguf" .
chmod -R u+w .
mkdir there
TMPDIR=$tmp/there
export TMPDIR

# A bench of few tokens.  Measured numbers are N, and blanks are one.
rows() {
	"$retort" bench --repeat 2 "$@" >out 2>&1
	status=$?
	sed -E -e '1s/^retort [^,]*, .*, [0-9]+ threads?, .*/head/' -e 's/\(products: .*\)/()/' \
		-e 's/ +[0-9.]+ +(GFLOP|GB|tokens|ms|MB|%)/ N \1/g' -e 's/ +/ /g' -e 's/ $//' out
	return $status
}
members() { # the members of each object
	rows --json "$@" >/dev/null
	sed -E -e 's/"(model|type|part|figure|unit|of)":"([^"]*)"/\2/g' -e 's/"([a-z]*)":("[^"]*"|[0-9.e+-]*)/\1/g' out
}

check "the rows of a shape" 0 'head
 median +- share of a limit peak memory
limits ()
 f32 products from the cache N GFLOP/s
 f32 product, 2048 cubed N GFLOP/s N % of f32 peak
 reading memory N GB/s
2m, q8_0: 2.0 M parameters, N MB, 8.54 bits each
 prefill 8 N tokens/s N % N % of f32 peak N MB
 decode 2, 1 at once N tokens/s N % N % of memory rate N MB
 decode 2, 3 at once N tokens/s N % N % of memory rate N MB
 request 8 + 2 N ms N % N MB
 load, to the first token N ms N % N MB
2m, f32, training: 2.0 M parameters
 train 2x8 N tokens/s N % N % of f32 peak N MB' rows 2m --prompt 8 --tokens 2 --sequences 1,3 --batch 2x8
check "types of a shape" 0 '2m, q4_0: 2.0 M parameters, N MB, 4.54 bits each
2m, q4_k_m: 2.0 M parameters, N MB, 6.18 bits each
2m, bf16: 2.0 M parameters, N MB, 16.02 bits each
2m, f16: 2.0 M parameters, N MB, 16.02 bits each
2m, f32: 2.0 M parameters, N MB, 32.00 bits each' sh -c '"$0" bench 2m -t q4_0,q4_k_m,bf16,f16,f32 -r 1 -p 2 --parts prefill |
	sed -n -E "s/, [0-9.]+ MB/, N MB/; /^2m/p"' "$retort"
check "files that are there" 0 'head
 median +- share of a limit peak memory
llama-tiny, f32: 0.1 M parameters, N MB, 32.00 bits each
 decode 2, 1 at once N tokens/s N % N MB
 decode 2, 3 at once N tokens/s N % N MB
tiny-qwen2.gguf, q4_0: 1.3 M parameters, N MB, 6.43 bits each
 decode 2, 1 at once N tokens/s N % N MB
 decode 2, 3 at once N tokens/s N % N MB' rows llama-tiny tiny-qwen2.gguf --parts decode --tokens 2 --sequences 1,3
check "objects for programs" 0 '{retort,isa,threads,processor}
{limits,f32 products from the cache,GFLOP/s,value}
{limits,f32 product, 2048 cubed,GFLOP/s,value,share,f32 peak}
{limits,reading memory,GB/s,value}
{2m,q8_0,decode,decode 2, 1 at once,tokens/s,value,sequences,low,high,runs,memory,share,memory rate}
{2m,q8_0,decode,decode 2, 3 at once,tokens/s,value,sequences,low,high,runs,memory,share,memory rate}
{2m,q8_0,load,load, to the first token,ms,value,low,high,runs,memory}
{2m,f32, training,train,train 2x8,tokens/s,value,low,high,runs,memory,share,f32 peak}' \
	members 2m --parts limits,decode,load,train --tokens 2 --sequences 1,3 --batch 2x8
check "training as it is told" 0 'head
 median +- share of a limit peak memory
2m, f32, training: 2.0 M parameters
 train 2x8 N tokens/s N % N MB' rows 2m --parts train --batch 2x8 --set recompute=true --set small_moments=true
check "files are gone again" 0 '' ls there

check "a shape as a file that stays" 0 '{"architecture":"qwen2","parameters":1969088}' sh -c \
	'"$0" bench 2m --write 2m.gguf -t q4_0 && "$0" show 2m.gguf --json | sed -E "s/.*(\"architecture\":\"[a-z0-9]*\",)(\"parameters\":[0-9]*).*/{\1\2}/"' "$retort"
check "which is not written over" 2 'retort: 2m.gguf is there already; remove it first' \
	"$retort" bench 2m --write 2m.gguf
check "and is one" 2 'retort: bench: --write FILE.gguf takes one shape and one --type' \
	"$retort" bench 2m 10m --write x.gguf
check "no such model" 1 'retort: there is no 10n: a model is a folder, a GGUF file or one of the shapes that retort bench --help names; did you mean 10m?' \
	"$retort" bench 10n
check "a type that is none" 2 "retort: bench: --type: there is no 'q8' among q8_0, q4_0, q4_k_m, bf16, f16, f32" \
	"$retort" bench 2m -t q8
check "a part that is none" 2 "retort: bench: --parts: there is no 'decod' among limits, prefill, decode, request, load, train; did you mean 'decode'?" \
	"$retort" bench 2m --parts decod
check "no part" 2 'retort: bench: --parts is empty' "$retort" bench 2m --parts ''
check "sequences that are none" 2 'retort: bench: --sequences 0: must be at most 16 whole numbers from 1 to 1024 with commas between them, as 1,8,32' \
	"$retort" bench 2m --sequences 1,0
check "a batch that is none" 2 'retort: bench: --batch 16: must be sequences x tokens, as 16x128, of at least 2 tokens' \
	"$retort" bench 2m --batch 16
check "a type for a file" 2 'retort: bench: --type is for shapes, a file is measured as it is: retort convert llama-tiny TO --type writes another' \
	"$retort" bench llama-tiny -t q8_0
check "a vocabulary for a file" 2 'retort: bench: --vocabulary is for shapes, and llama-tiny has its own' \
	"$retort" bench llama-tiny --vocabulary 1000
check "a vocabulary for a shape" 0 '2m, q8_0: 1.8 M parameters, 1.9 MB, 8.54 bits each' \
	sh -c '"$0" bench 2m --parts load -r 1 --vocabulary 1000 | sed -n "/^2m/p"' "$retort"
check "a parameter of training that is none" 2 "retort: bench: --set: stage-train has no parameter 'recomput'; did you mean 'recompute'?" \
	"$retort" bench 2m --set recomput=true
check "one that is neither true nor false" 2 "retort: bench: --set: 'recompute' must be true or false, not \"yes\"" \
	"$retort" bench 2m --set recompute=yes
check "one without training" 2 'retort: bench: --set is for training; --parts leaves that out' \
	"$retort" bench 2m --parts load --set recompute=true
unused() { # option value for-whom parts
	check "--$1 without its part" 2 "retort: bench: --$1 is for $3; --parts leaves that out" \
		"$retort" bench 2m --parts "$4" "--$1" "$2"
}
unused batch 2x8 training prefill,decode
unused prompt 8 "prefill and request" decode,train
unused tokens 8 "decode and request" limits,prefill,load
unused sequences 1,2 decode request
unused repeat 1 "parts that measure a model" limits
unused folder there "parts that measure a model" limits
check "--type of nothing that has one" 2 'retort: bench: --type is for parts that answer; --parts leaves them out' \
	"$retort" bench 2m --parts train -t q8_0
check "--vocabulary of nothing that has one" 2 'retort: bench: --vocabulary is for parts that measure a model; --parts leaves them out' \
	"$retort" bench 2m --parts limits --vocabulary 1000
check "what is written is not measured" 2 'retort: bench: --parts is for measuring, --write measures nothing' \
	"$retort" bench 2m --write x.gguf --parts load
mkdir data
for model in data /etc/passwd; do
	check "what is no model is found out before anything is measured: $model" 1 "retort: $model is no model: a model is a folder with config.json and weights, or a GGUF file" \
		"$retort" bench "$model"
done
check "more tokens than the model was made for" 1 'retort: llama-tiny: prefill 300: 300 prompt tokens and 1 more, and the model was made for 256; ask for fewer with --prompt and --tokens' \
	sh -c '"$0" bench llama-tiny --parts prefill -p 300 2>&1 >/dev/null' "$retort"
check "sequences longer than the model was made for" 1 'retort: llama-tiny: train: --batch: sequences of 300 tokens, and the model was made for 256' \
	sh -c '"$0" bench llama-tiny --parts train --batch 1x300 2>&1 >/dev/null' "$retort"
check "a folder that is not there" 1 'retort: bench: cannot make a folder in nowhere; --folder names another: No such file or directory' \
	"$retort" bench 2m --folder nowhere
check "interrupted, and nothing is left" 130 'retort: 2m: interrupted' sh -c \
	'"$0" bench 2m --parts decode -n 32000 --repeat 100 >begun 2>said & until test -s begun; do sleep 0.1; done; kill -INT $!; wait $!; s=$?
	sed "s/2m: .*: int/2m: int/" said; ls there; exit $s' "$retort"
done_testing
