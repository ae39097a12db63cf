# The command line: exact messages, exact statuses.
CLI_TESTS = tests/cli/bench.sh tests/cli/compress.sh tests/cli/data.sh tests/cli/manual.sh tests/cli/mistakes.sh tests/cli/model.sh tests/cli/new-plugin.sh \
	tests/cli/plugins.sh tests/cli/run.sh tests/cli/score.sh tests/cli/shipped.sh tests/cli/stages.sh tests/cli/vocabulary.sh
dist_check_SCRIPTS += $(CLI_TESTS)
EXTRA_DIST += tests/cli/lib.sh tests/cli/mistakes.txt
TESTS += $(CLI_TESTS)

if HAVE_CHECK
check_PROGRAMS += tests/cli/test-bench
tests_cli_test_bench_SOURCES  = tests/cli/test-bench.c tests/runner.h
tests_cli_test_bench_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_cli_test_bench_LDADD    = $(TEST_LIBS)
endif
