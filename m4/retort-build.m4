# retort-build.m4 - macros of this tree's own configure.               -*- Autoconf -*-

# RETORT_LIB(NAME, MODULE, DEBIAN-PACKAGE, WHAT-FOR)
# Look for a library with pkg-config; remember it for the table, and if it is missing,
# for the error at the end.
AC_DEFUN([RETORT_LIB], [
PKG_CHECK_MODULES([$1], [$2], [have_$1=yes], [have_$1=no; retort_missing="$retort_missing $3"])
RETORT_ROW([$4], [$2], [$have_$1], [$3])
])

# The same for one that a build can do without.
AC_DEFUN([RETORT_LIB_OPTIONAL], [
PKG_CHECK_MODULES([$1], [$2], [have_$1=yes], [have_$1=no; retort_optional="$retort_optional $3"])
RETORT_ROW([$4], [$2], [$have_$1], [$3])
])

# RETORT_ROW(WHAT-FOR, MODULE, yes|no, DEBIAN-PACKAGE)
AC_DEFUN([RETORT_ROW], [
AS_IF([test "x$3" = xyes], [retort_found=found], [retort_found="missing: apt-get install $4"])
retort_table="$retort_table
  m4_format([[%-28s %-20s]], [$1], [$2]) $retort_found"
])

# libltdl comes without a pkg-config file.
AC_DEFUN([RETORT_LTDL], [
retort_libs=$LIBS
have_LTDL=no
AC_CHECK_HEADER([ltdl.h], [AC_SEARCH_LIBS([lt_dladvise_init], [ltdl], [have_LTDL=yes])])
AS_CASE([$ac_cv_search_lt_dladvise_init], [-l*], [LTDL_LIBS=$ac_cv_search_lt_dladvise_init])
LIBS=$retort_libs
AC_SUBST([LTDL_LIBS])
AS_IF([test "x$have_LTDL" = xno], [retort_missing="$retort_missing libltdl-dev"])
RETORT_ROW([plugins], [libltdl >= 2.2], [$have_LTDL], [libltdl-dev])
])

# Warnings are on for everyone, and errors for those who work on retort.
AC_DEFUN([RETORT_WARNINGS], [
AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [make warnings errors])], [], [enable_werror=no])
WARN_CFLAGS="-std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes"
WARN_CFLAGS="$WARN_CFLAGS -Wvla -Wpointer-arith -Wwrite-strings -Wundef -Wformat=2 -Wno-format-nonliteral"
WARN_CFLAGS="$WARN_CFLAGS -ffp-contract=off"
AS_IF([test "x$enable_werror" = xyes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
AC_SUBST([WARN_CFLAGS])
])

# --enable-sanitizers=address,undefined | thread
AC_DEFUN([RETORT_SANITIZERS], [
AC_ARG_ENABLE([sanitizers],
  [AS_HELP_STRING([--enable-sanitizers@<:@=LIST@:>@], [address,undefined (default of yes), or thread])],
  [], [enable_sanitizers=no])
AS_IF([test "x$enable_sanitizers" = xyes], [enable_sanitizers=address,undefined])
AS_IF([test "x$enable_sanitizers" != xno], [
  SANITIZER_CFLAGS="-fsanitize=$enable_sanitizers -fno-sanitize-recover=all -fno-omit-frame-pointer"
  retort_save=$CFLAGS
  CFLAGS="$CFLAGS $SANITIZER_CFLAGS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM], [],
    [AC_MSG_ERROR([$CC cannot link with -fsanitize=$enable_sanitizers])])
  CFLAGS=$retort_save
])
AC_SUBST([SANITIZER_CFLAGS])
AM_CONDITIONAL([SANITIZED], [test "x$enable_sanitizers" != xno])
])

# The table, and one error for everything that is missing.
AC_DEFUN([RETORT_SUMMARY], [
AC_MSG_NOTICE([retort $PACKAGE_VERSION
$retort_table

  compiler                     $CC, $CFLAGS
  sanitizers                   $enable_sanitizers
  warnings are errors          $enable_werror
  prefix                       $prefix
])
AS_IF([test -n "$retort_optional"],
  [AC_MSG_WARN([optional and missing: apt-get install$retort_optional])])
AS_IF([test -n "$retort_missing"], [
  rm -f Makefile config.status
  AC_MSG_ERROR([needed and missing: apt-get install$retort_missing])
])
])
