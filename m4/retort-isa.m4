# retort-isa.m4 - compiler flags of the kernels, per instruction set.   -*- Autoconf -*-

# RETORT_FLAG(VARIABLE, FLAG...)
# Append those of the flags that the compiler takes without a warning.
AC_DEFUN([RETORT_FLAG], [
for retort_flag in $2; do
  retort_save=$CFLAGS
  CFLAGS="$CFLAGS -Werror $retort_flag"
  AC_MSG_CHECKING([whether $CC takes $retort_flag])
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM], [retort_ok=yes; $1="$[]$1 $retort_flag"], [retort_ok=no])
  AC_MSG_RESULT([$retort_ok])
  CFLAGS=$retort_save
done
])

# RETORT_KERNELS
# KERNEL_CFLAGS makes plain loops vector loops at -O2, too (user's CFLAGS come after ours and
# would undo an -O3).  Which tables are built depends on the host processor's family.
AC_DEFUN([RETORT_KERNELS], [
AC_REQUIRE([AC_CANONICAL_HOST])
KERNEL_CFLAGS=
RETORT_FLAG([KERNEL_CFLAGS], [-ftree-vectorize -fvect-cost-model=dynamic -fno-math-errno -fno-trapping-math])
AC_SUBST([KERNEL_CFLAGS])
AS_CASE([$host_cpu],
  [x86_64|amd64], [retort_kernels=x86],
  [aarch64*|arm64*], [retort_kernels=neon],
  [retort_kernels=portable])
AM_CONDITIONAL([KERNELS_X86], [test "$retort_kernels" = x86])
AM_CONDITIONAL([KERNELS_NEON], [test "$retort_kernels" = neon])
])
