#!/bin/sh
# mistakes.sh - every case of mistakes.txt gets exactly the message that stands there.
#
# "mistakes.sh --show" prints the table anew, with what the program says now.
. "${srcdir:-.}/tests/cli/lib.sh"

table=$srcdir/tests/cli/mistakes.txt
head='retort = 1; name = "p";'
stage='{ name = "d"; use = "dataset"; paths = "rows.jsonl"; }'
show=${1:-}

cd "$tmp" || exit 99
mkdir folder
cat >base.cfg <<'END'
retort = 1; name = "base";
stages = ( { name = "pool"; use = "dataset"; paths = "rows.jsonl"; result = true; } );
END
cat >repeat.cfg <<'END'
retort = 1; name = "base"; repeat = { seeds = ( 1, 2 ); stages = "pool"; };
stages = ( { name = "pool"; use = "dataset"; paths = "rows.jsonl"; result = true; } );
END
echo '{"id":"1","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}' >rows.jsonl
cp rows.jsonl secret.jsonl
chmod a-r secret.jsonl

said() {
	"$retort" check p.cfg 2>&1
}

verdict() { # name: what the program says of p.cfg is what the table says
	if test "$1" = 'a file that may not be read' && test "$(id -u)" = 0; then
		echo "skip - $1: root may read everything"
	else
		# A warning alone is no mistake; everything else has the status 2.
		expect=2
		grep -q ', no mistakes$' want && expect=0
		check "$1" $expect "$(cat want)" said
	fi
}

finish() {
	test -n "$name" || return 0
	if test "$show" = --show; then
		printf '== %s\n' "$name"
		cat raw
		echo --
		said | sed -e "s|$tmp|TMP|g" -e "s|$builddir|BUILD|g"
	else
		verdict "$name"
	fi
}

name= part=file
while IFS= read -r line; do
	case $line in
	'#'*)
		test "$show" != --show || printf '%s\n' "$line"
		;;
	'== '*)
		finish
		name=${line#== } part=file
		: >p.cfg
		: >raw
		: >want
		;;
	--)
		part=want
		;;
	*)
		if test $part = file; then
			printf '%s\n' "$line" >>raw
			printf '%s\n' "$line" | sed -e "s|^H\$|$head|" -e "s|( D|( $stage|" >>p.cfg
		else
			printf '%s\n' "$line" >>want
		fi
		;;
	esac
done <"$table"
finish
test "$show" = --show || done_testing
