# Shipped plugins, linked into test programs: RETORT_STATIC gives each its own symbol.
if HAVE_CHECK
check_PROGRAMS += tests/plugins/test-judges tests/plugins/test-samplers
tests_plugins_test_judges_SOURCES  = tests/plugins/test-judges.c tests/runner.h \
	plugins/judge/call-match.c plugins/judge/exact.c
tests_plugins_test_judges_CPPFLAGS = $(TEST_CPPFLAGS) -DRETORT_STATIC
tests_plugins_test_judges_LDADD    = $(TEST_LIBS)

tests_plugins_test_samplers_SOURCES  = tests/plugins/test-samplers.c tests/runner.h \
	plugins/sampler/greedy.c plugins/sampler/nucleus.c
tests_plugins_test_samplers_CPPFLAGS = $(TEST_CPPFLAGS) -DRETORT_STATIC
tests_plugins_test_samplers_LDADD    = $(TEST_LIBS) -lm
endif
