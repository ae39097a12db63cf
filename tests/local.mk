# Unit tests: one Check program a module, linked with all of core.
TEST_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) -I$(srcdir)/tests
TEST_LIBS     = core/libcore.la $(CHECK_LIBS)

include tests/base/local.mk
include tests/bench/local.mk
include tests/cli/local.mk
include tests/data/local.mk
include tests/e2e/local.mk
include tests/engine/local.mk
include tests/fixtures/local.mk
include tests/fuzz/local.mk
include tests/interop/local.mk
include tests/http/local.mk
include tests/plugin/local.mk
include tests/plugins/local.mk
include tests/tensor/local.mk
include tests/text/local.mk
include tests/model/local.mk
include tests/train/local.mk

TESTS += $(check_PROGRAMS)

# The Check programs under valgrind, which knows no AVX-512; a program at a time.
VALGRIND = valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite --show-leak-kinds=definite \
	--suppressions=$(srcdir)/tests/valgrind.supp
check-valgrind: all $(check_PROGRAMS) $(check_LTLIBRARIES)
	for t in $(check_PROGRAMS); do \
	  echo "valgrind $$t"; \
	  srcdir=$(srcdir) RETORT_ISA=avx2 OPENBLAS_CORETYPE=Haswell CK_FORK=no CK_VERBOSITY=minimal \
	    $(LIBTOOL) --mode=execute $(VALGRIND) $$t || exit 1; \
	done

# Layout is decided by clang-format.
format-check:
	cd $(srcdir) && find core plugins sdk/include tests -name '*.[ch]' ! -name '*.inc.c' | \
	  xargs clang-format --dry-run -Werror
format:
	cd $(srcdir) && find core plugins sdk/include tests -name '*.[ch]' ! -name '*.inc.c' | xargs clang-format -i
.PHONY: check-valgrind format format-check
