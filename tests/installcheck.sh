#!/bin/sh
# installcheck.sh - what a stranger does with an installed retort: plugins of their own, outside
# the tree.  Called by `make installcheck`, which says where things are (DESTDIR included).
set -eu

: "${bindir:?}" "${libdir:?}" "${includedir:?}" "${pkgdatadir:?}" "${srcdir:?}"
dest=${DESTDIR:-}
unset DESTDIR # the projects that are built here have places of their own
srcdir=$(cd "$srcdir" && pwd)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/retort-install-XXXXXX")
trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT

RETORT=$dest$bindir/retort
PKG_CONFIG_PATH=$dest$libdir/pkgconfig
LD_LIBRARY_PATH=$dest$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
XDG_DATA_HOME=$tmp/data
export RETORT PKG_CONFIG_PATH LD_LIBRARY_PATH XDG_DATA_HOME
unset MAKEFLAGS MFLAGS MAKELEVEL RETORT_PLUGIN_PATH
if [ -n "$dest" ]; then # what pkg-config says is true only after the package is unpacked
	RETORT_CFLAGS=-I$dest$includedir
	RETORT_LIBS="-L$dest$libdir -lretort"
	export RETORT_CFLAGS RETORT_LIBS
fi

"$RETORT" --version >/dev/null && "$RETORT" --help >/dev/null || {
	echo "not ok - $RETORT does not run"
	exit 1
}

quietly() { # step, command...: its output only when it fails
	step=$1
	shift
	"$@" > "$tmp/log" 2>&1 || {
		cat "$tmp/log"
		echo "not ok - $step"
		exit 1
	}
}

new() { # kind name
	quietly "new-plugin $1 $2" "$RETORT" new-plugin --template "$dest$pkgdatadir/template" "$1" "$2" "$tmp/$1-$2"
	cd "$tmp/$1-$2"
}

build() { # project
	quietly "$1: autoreconf" autoreconf -fi
	quietly "$1: configure" ./configure --prefix=/usr
	quietly "$1: make check" make check
}

installed() { # kind-name: the user's folder is searched, and has it
	"$RETORT" plugins "$1" | grep -qx "$tmp/data/retort/plugins/$1.so" || {
		echo "not ok - $1 is not found where it was installed"
		exit 1
	}
	echo "ok - $1 is built, tested, installed and found"
}

own=$tmp/data/retort/plugins

for header in "$srcdir"/sdk/include/retort/*.h; do
	test -f "$dest$includedir/retort/$(basename "$header")" || {
		echo "not ok - $(basename "$header") is not installed"
		exit 1
	}
done
echo "ok - every header is installed"

for kind in judge distill quantizer; do
	new $kind mine
	build $kind-mine
	quietly "$kind-mine: make install" make install retortplugindir="$own"
	installed $kind-mine
done
cd "$tmp/judge-mine"
quietly "judge-mine: make distcheck" make distcheck
echo "ok - a plugin's own distcheck passes"

# Three of the shipped plugins, copied, with nothing but what is installed.
new judge exact
cp "$srcdir/plugins/judge/exact.c" judge-exact.c
cp "$srcdir/plugins/rejector/threshold.c" rejector-threshold.c
cp "$srcdir/plugins/tracker/jsonl.c" tracker-jsonl.c
cp Makefile.am one.am
for id in rejector-threshold tracker-jsonl; do
	sed -n -e "s/judge-exact/$id/g; s/judge_exact/$(echo $id | tr - _)/g; s/_LTLIBRARIES = /_LTLIBRARIES += /" \
		-e '/^retortplugin/p; /_la_/p' one.am >> Makefile.am
	printf 'check-local: check-%s\ncheck-%s: %s.la\n\t$(RETORT) test-plugin .libs/%s.so\n' $id $id $id $id >> Makefile.am
done
# check-local stands in one place: the others are its prerequisites.
build "shipped plugins"
quietly "shipped plugins: make install" make install retortplugindir="$own"
installed judge-exact
installed rejector-threshold
installed tracker-jsonl
echo "1..9"
