# setup.sh - sourced by tests/run and examples/quickstart: from a bare Debian to a built tree.
#
# setup_packages   installs what is missing from the distribution, and says so first
# setup_build      ./configure and make in build/; the second time only what has changed
# Both stop the script with a sentence when they cannot go on.

packages='gcc make autoconf automake libtool pkg-config libltdl-dev libconfig-dev libjansson-dev
nettle-dev libopenblas-openmp-dev libpcre2-dev libutf8proc-dev libsqlite3-dev
libcurl4-openssl-dev check'

setup_stop() {
	echo "$0: $*" >&2
	exit 1
}

setup_missing() {
	for p in $packages; do
		case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) in
		*' installed') ;;
		*) printf '%s ' "$p" ;;
		esac
	done
}

setup_packages() {
	command -v dpkg-query >/dev/null ||
		setup_stop "this is no Debian: install these yourself, then run ./bootstrap, ./configure and make: $packages"
	missing=$(setup_missing)
	test -n "$missing" || return 0
	echo "installing from the distribution: $missing"
	as=
	if test "$(id -u)" != 0; then
		command -v sudo >/dev/null ||
			setup_stop "root is needed for this: apt-get install $missing"
		as=sudo
	fi
	# An index that is there may be old; only when that fails is it fetched again.
	$as env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 ||
		{ $as apt-get update -q >/dev/null &&
			$as env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } ||
		setup_stop "apt-get could not install: $missing"
}

# setup_build TOP [CONFIGURE-OPTION...]
setup_build() {
	top=$1
	shift
	test -x "$top/configure" || "$top/bootstrap" >"$top/bootstrap.log" 2>&1 ||
		{ tail -20 "$top/bootstrap.log" >&2; setup_stop 'bootstrap failed'; }
	rm -f "$top/bootstrap.log"
	mkdir -p "$top/build"
	cd "$top/build" || exit 1
	test -f Makefile || ../configure "$@" >configure.out 2>&1 ||
		{ tail -30 configure.out >&2; setup_stop 'configure failed; all it said is in build/configure.out'; }
	make -j"$(nproc)" >make.out 2>&1 ||
		{ tail -30 make.out >&2; setup_stop 'make failed; all it said is in build/make.out'; }
}
