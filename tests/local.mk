# Unit tests: one Check program a module, linked with all of core.
TEST_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) -I$(srcdir)/tests
TEST_LIBS     = core/libcore.la $(CHECK_LIBS)

include tests/base/local.mk
include tests/cli/local.mk
include tests/e2e/local.mk
include tests/fixtures/local.mk
include tests/fuzz/local.mk
include tests/plugin/local.mk
include tests/tensor/local.mk
include tests/text/local.mk
include tests/model/local.mk

TESTS += $(check_PROGRAMS)
