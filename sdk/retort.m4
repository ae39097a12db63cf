# retort.m4 - build plugins for retort.                                  -*- Autoconf -*-
# serial 1
#
# RETORT_PLUGIN([MINIMUM-VERSION])
# --------------------------------
# Find the plugin SDK with pkg-config, and set for Makefile.am:
#
#   RETORT_CFLAGS    compile flags: headers, hidden symbols
#   RETORT_LIBS      libretort
#   RETORT_LDFLAGS   link flags; write `-module` in front of it yourself, automake must
#                    see that word in Makefile.am
#   retortplugindir  where plugins go, below *your* prefix, so that DESTDIR and
#                    `make distcheck` work.  A user's own folder, without root:
#                    make install retortplugindir=$HOME/.local/share/retort/plugins
#   RETORT           the retort command, for tests
#
# Needs AC_PROG_CC and LT_INIT([disable-static dlopen]) in front of it.  A retort that is
# installed in a place of its own is found with PKG_CONFIG_PATH=PREFIX/lib/pkgconfig.
AC_DEFUN([RETORT_PLUGIN], [
m4_ifdef([PKG_CHECK_MODULES], [],
  [m4_fatal([the m4 files of pkg-config are missing: apt-get install pkg-config])])
PKG_CHECK_MODULES([RETORT], [retort >= m4_default([$1], [0])])
RETORT_CFLAGS="$RETORT_CFLAGS -fvisibility=hidden"
AC_SUBST([RETORT_LDFLAGS], ["-avoid-version -shared -no-undefined -export-symbols-regex ^retort_plugin\$\$ -Wl,-z,defs -Wl,-z,now -Wl,-z,nodelete"])
AC_SUBST([retortplugindir], ['${libdir}/retort'])
AC_ARG_VAR([RETORT], [the retort command])
AS_IF([test -z "$RETORT"], [
  retort_bindir=`$PKG_CONFIG --variable=bindir retort 2>/dev/null`
  AC_PATH_PROG([RETORT], [retort], [retort], [$retort_bindir$PATH_SEPARATOR$PATH])
])
])
