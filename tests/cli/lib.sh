# lib.sh - what the tests of the command line share: cases, exact output, a folder of their own.
# shellcheck shell=sh
#
#   check NAME STATUS EXPECTED command...   stdout and stderr together, $tmp written as TMP
#   done_testing                            prints the count, exits 1 when a case failed
set -u
LC_ALL=C
export LC_ALL
unset RETORT_PLUGIN_PATH RETORT_FAULT
builddir=$(pwd)
srcdir=${srcdir:-.}
srcdir=$(cd "$srcdir" && pwd)
retort=$builddir/retort
tmp=$(mktemp -d "${TMPDIR:-/tmp}/retort-cli-XXXXXX")
trap 'chmod -R u+rwx "$tmp"; rm -rf "$tmp"' EXIT
XDG_DATA_HOME=$tmp/data
export XDG_DATA_HOME
passed=0
failed=0

ok() {
	echo "ok $((passed + failed)) - $1"
}

check() {
	name=$1 want_status=$2 want=$3
	shift 3
	got=$("$@" 2>&1)
	status=$?
	got=$(printf '%s' "$got" | sed -e "s|$tmp|TMP|g" -e "s|$builddir|BUILD|g")
	if [ "$status" = "$want_status" ] && [ "$got" = "$want" ]; then
		passed=$((passed + 1))
		ok "$name"
	else
		failed=$((failed + 1))
		echo "not ok $((passed + failed)) - $name"
		printf 'status %s, want %s\n--- want\n%s\n--- got\n%s\n---\n' "$status" "$want_status" "$want" "$got"
	fi
}

done_testing() {
	echo "1..$((passed + failed))"
	[ "$failed" = 0 ]
	exit
}
