#!/bin/sh
# new-plugin.sh - every template builds and keeps its contract; a spoiled one is found out.
. "${srcdir:-.}/tests/cli/lib.sh"

: "${CC:=cc}"
templates=$srcdir/sdk/template
tests="$retort test-plugin"

new() { # kind name folder
	"$retort" new-plugin --template "$templates" "$@"
}

build() { # folder, kind-name
	# shellcheck disable=SC2086
	$CC ${CFLAGS:-} -Wall -Wextra -Werror -fvisibility=hidden -fPIC -shared -I "$srcdir/sdk/include" -o "$1/$2.so" \
		"$1/$2.c" -L "$builddir/.libs" -lretort -lm -Wl,-z,now -Wl,-z,nodelete
}

complaints() {
	$tests "$1" 2>&1 | grep -v '^ok ' | sed 's/[0-9]* passed/N passed/'
}

for kind in stage teacher tool judge sampler rejector rl distill pruner quantizer optimizer format tracker; do
	new $kind my-own "$tmp/$kind" > /dev/null
	check "the template of a $kind compiles without a warning" 0 "" build "$tmp/$kind" $kind-my-own
	want="$kind-my-own: N passed, 0 failed, 0 skipped"
	# The template does not know grids whose scales may be below 0, says so, and is not tried on them.
	test $kind != quantizer || want="skip  a grid: refuses 4 bits: scales are f32 and not below 0 here
$kind-my-own: N passed, 0 failed, 1 skipped"
	check "the template of a $kind keeps its contract" 0 "$want" \
		complaints "$tmp/$kind/$kind-my-own.so"
done

# What the README says of its use, and whether a plugin that it names has a parameter of this name
# and kind.
named() { # kind
	key=$(sed -n 's/^    \([a-z]*\) = .*{ use = "my-own"; }.*/\1/p' "$tmp/$1/README")
	place=$(sed -n 's/^In a pipeline it is called "my-own", and stands in a \([a-z]*\) .*, as \([a-z]*\).*/\1-\2/p' "$tmp/$1/README")
	"$retort" plugins "$place" | sed -n "s/^  \($key: \(list of \)*$1\).*/\1/p"
}
for pair in teacher:teacher tool:functions judge:judges sampler:sampler rejector:keep rl:rl distill:loss pruner:pruner \
	quantizer:quantizer optimizer:optimizer format:format; do
	kind=${pair%:*} list=
	case $kind in tool | judge) list='list of ' ;; esac
	check "a $kind is told where it goes" 0 "${pair#*:}: $list$kind" named "$kind"
done
check "a stage, too" 0 '    { name = "mine"; use = "my-own"; }' grep 'use = ' "$tmp/stage/README"
check "and a tracker" 0 '    trackers = ( { use = "my-own"; } );' grep 'use = ' "$tmp/tracker/README"

# Spoil a template with sed; the finding must be among those that are told.
spoil() { # kind, sed program, finding
	rm -rf "$tmp/bad"
	new "$1" bad "$tmp/bad" > /dev/null
	sed -e "$2" "$tmp/bad/$1-bad.c" > "$tmp/bad/new.c"
	cmp -s "$tmp/bad/new.c" "$tmp/bad/$1-bad.c" && echo "the template was not changed"
	mv "$tmp/bad/new.c" "$tmp/bad/$1-bad.c"
	build "$tmp/bad" "$1-bad"
	$tests "$tmp/bad/$1-bad.so" > "$tmp/told" 2>&1
	grep -q "^FAIL  $3: " "$tmp/told" || cat "$tmp/told"
}

finds() { # name, finding, kind, sed program
	check "$1 is found" 0 "" spoil "$3" "$4" "$2"
}
finds "a wrong gradient" "gradient against central differences" distill 's/0.5 \* d \* d/0.6 * d * d/'
finds "a write behind the output" "its work is done" distill 's/\*ret_loss = loss;/gradient[rows->R * V] = 0; *ret_loss = loss;/'
finds "a write into an input" "its work is done" distill 's/\*ret_loss = loss;/((float *)(uintptr_t)rows->student)[0] = 0; *ret_loss = loss;/'
finds "a row that does not count" "a row that does not count has gradient 0" distill 's/gradient\[r \* V + i\] = 0/gradient[r * V + i] = 1/'
finds "a score above 1" "scores lie in 0 to 1" judge 's/.score = 1 }/.score = 2 }/'
finds "a token outside" "tokens lie in the vocabulary" sampler 's/\*ret_token = last/*ret_token = (int32_t)V + last/'
finds "a wrong density" "the mask has the density asked for" pruner 's/llround(density/llround(0.1 * density/'
finds "a grid that is too coarse" "what comes back is near what went in" quantizer 's/roundf(w\[i\] \/ scale)/roundf(w[i] \/ scale) + (i % 2)/'
finds "steps uphill" "a quadratic goes down" optimizer 's/- u->rate \* m/+ u->rate * m/'
finds "a masked token that counts" "a masked token has gradient 0" rl 's/b->mask\[i\] != 0 ?/1 ?/'
if grep -q '^SANITIZER_CFLAGS = -fsanitize' "$builddir/Makefile"; then
	echo "skip - a leak is found: a sanitizer's allocator does not tell how much is in use"
else
	finds "a leak" "close gives back what open and the work took" pruner 's/^	rt_free(sorted);$/	if (!sorted[0]) rt_free(sorted);/'
fi
finds "an allocation that is not checked" "any allocation may fail" pruner 's/if (!sorted)/if (0)/'
finds "a write into its parameters" "its work is done" rejector 's/^	(void)err;$/	(void)err; ((struct config *)state)->count++;/'
finds "an error without a message" "its work is done" rejector 's/keep\[i\] = rank.*/{ keep[i] = rank(scores, group->n, i) < c->count; return -2; }/'
finds "a parameter that crashes" "parameters at their limits" judge 's/^static const struct rt_judge_ops/static int check(const void *config, struct rt_error *err) { (void)err; if (((const struct config *)config)->most == 1) __builtin_trap(); return 0; }\n&/; s/\.params = params,/& .check = check,/'
finds "a file that is lost" "every output is filled" stage 's/int r = from \&\& to ? .*/int r = from \&\& to ? 0 : rt_fail_nomem(err, "x"); (void)c; (void)take; (void)config;/'

check "a folder that is there" 2 "retort: new-plugin: TMP/judge is there already: name a new folder" new judge x "$tmp/judge"
check "a typo in the kind" 2 "retort: new-plugin: there is no kind 'jugde'; did you mean 'judge'?" new jugde x "$tmp/x"
check "a name that is none" 2 "retort: new-plugin: 'My_Own' is no name: lower case letters, digits and -, a letter first" \
	new judge My_Own "$tmp/x"
check "no templates" 1 "retort: new-plugin: there are no templates in TMP/none: install retort, or name them with --template" \
	"$retort" new-plugin --template "$tmp/none" judge x "$tmp/x"
check "an argument too few" 2 "retort: new-plugin: an argument is missing; usage: retort new-plugin [OPTION...] KIND NAME FOLDER" \
	new judge x
check "what it says" 0 "TMP/y: a judge called 'x'.  Build it and test it with

    cd TMP/y && autoreconf -fi && ./configure && make check

What it does is in judge-x.c; what it has to do, in <retort/judge.h>." new judge x "$tmp/y"
check "a file that is no plugin" 2 "retort: TMP/y/README: a plugin is a file <kind>-<name>.so" "$retort" test-plugin "$tmp/y/README"
check "a file that is not there" 1 "retort: cannot open TMP/none.so: No such file or directory" "$retort" test-plugin "$tmp/none.so"
check "a parameter that there is not" 1 "FAIL its work is done: judge-my-own has no parameter 'mots'; did you mean 'most'?
retort: TMP/judge/judge-my-own.so does not keep the contract of a judge, see <retort/judge.h>" \
	sh -c "$tests --set mots=1 '$tmp/judge/judge-my-own.so' 2>&1 | grep -e '^FAIL' -e '^retort' | sed 's/  */ /g'; exit 1"

done_testing
