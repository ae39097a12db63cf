#!/bin/sh
# shipped.sh - shipped plugins keep the contract of their kind, in each of their forms.
. "${srcdir:-.}/tests/cli/lib.sh"

# What is not passed, and the count without its number.
complaints() {
	plugin=$1
	shift
	"$retort" test-plugin "$@" "$builddir/.libs/$plugin.so" 2>&1 | grep -v '^ok ' | sed 's/[0-9]* passed/N passed/'
}

keeps() { # plugin, --set options
	check "$(echo "$*" | sed "s|$tmp/||g") keeps its contract" 0 "$1: N passed, 0 failed, 0 skipped" complaints "$@"
}

keeps distill-ckd --set k=3 --set m=5
for divergence in forward reverse jensen skew-forward skew-reverse; do
	keeps distill-kl --set divergence=$divergence --set temperature=2
done
for loss in sigmoid hinge ipo; do
	keeps rl-dpo --set loss=$loss
done
for loss in cdpo robust; do
	keeps rl-dpo --set loss=$loss --set smoothing=0.1
done
for loss in grpo bnpo dr_grpo dapo; do
	keeps rl-grpo --set loss=$loss --set beta=0.04
done
keeps rl-grpo --set loss=cispo --set clip_high=5 --set beta=0.04
keeps rl-grpo --set loss=cispo --set clip_high=1 --set level=sequence
for normalize in false true; do
	keeps rl-rloo --set beta=0.05 --set normalize=$normalize
done
keeps rl-grpo --set level=sequence --set kl=k2 --set beta=0.04

for options in damp=0.01 act_order=true static_groups=true search=true; do
	keeps quantizer-gptq --set $options
done
for search in false true; do
	keeps quantizer-rtn --set search=$search
done

keeps format-compressed-tensors

keeps pruner-depth
keeps pruner-vocabulary
keeps pruner-wanda
for units in neurons heads; do
	keeps pruner-width --set units=$units
done

keeps judge-rouge
keeps judge-llm --set teacher=nearest --set max_failed=1
keeps rejector-diverse

keeps tool-table
keeps tool-exec --set program=/bin/cat
keeps stage-prototype --set teacher=nearest
keeps stage-sample --set teacher=nearest
# Its made-up teacher knows an answer to this, which makes a message.
printf 'What is 2 + 2?' >"$tmp/instruction.txt"
keeps stage-write --set teacher=nearest --set instruction="$tmp/instruction.txt"
keeps teacher-nearest

done_testing
