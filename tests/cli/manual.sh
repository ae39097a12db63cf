#!/bin/sh
# manual.sh - retort(1) names the options that --help names: those of each command, and no others.
. "${srcdir:-.}/tests/cli/lib.sh"

page=$srcdir/core/cli/man/retort.1

synopsis() { # command
	grep "^\.It Ic $1\( \|\$\)" "$page"
}

helped() { # command
	"$retort" "$1" --help | sed -n 's/^  --\([a-z-]*\).*/\1/p' | sort | paste -s -d' '
}

listed() { # command
	synopsis "$1" | tr ' ' '\n' | sed -n '/^Fl$/{n;s/^-//p;}' | sort | paste -s -d' '
}

for command in $("$retort" --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p'); do
	check "the options of $command" 0 "$(helped "$command")" listed "$command"
done
check "brackets stand side by side: one that is not the last is closed" 1 '' grep '^\.It .* Op .* O[op] ' "$page"

done_testing
