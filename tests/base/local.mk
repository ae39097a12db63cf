if HAVE_CHECK
check_PROGRAMS += tests/base/test-cpus \
	tests/base/test-file \
	tests/base/test-journal \
	tests/base/test-json \
	tests/base/test-memory \
	tests/base/test-parallel \
	tests/base/test-random \
	tests/base/test-rows \
	tests/base/test-text

tests_base_test_cpus_SOURCES  = tests/base/test-cpus.c tests/runner.h tests/temp.h
tests_base_test_cpus_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_test_cpus_LDADD    = $(TEST_LIBS)

tests_base_test_file_SOURCES  = tests/base/test-file.c tests/runner.h tests/temp.h tests/torture.h
tests_base_test_file_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_test_file_LDADD    = $(TEST_LIBS)

tests_base_test_journal_SOURCES  = tests/base/test-journal.c tests/runner.h tests/temp.h tests/torture.h
tests_base_test_journal_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_test_journal_LDADD    = $(TEST_LIBS)

tests_base_test_json_SOURCES  = tests/base/test-json.c tests/runner.h tests/temp.h tests/torture.h
tests_base_test_json_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_test_json_LDADD    = $(TEST_LIBS)

tests_base_test_memory_SOURCES  = tests/base/test-memory.c tests/runner.h
tests_base_test_memory_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_test_memory_LDADD    = $(TEST_LIBS)

tests_base_test_parallel_SOURCES  = tests/base/test-parallel.c tests/runner.h
tests_base_test_parallel_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_test_parallel_LDADD    = $(TEST_LIBS)

tests_base_test_random_SOURCES  = tests/base/test-random.c tests/runner.h tests/temp.h
tests_base_test_random_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_test_random_LDADD    = $(TEST_LIBS)

tests_base_test_rows_SOURCES  = tests/base/test-rows.c tests/runner.h tests/temp.h tests/torture.h
tests_base_test_rows_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_test_rows_LDADD    = $(TEST_LIBS)

tests_base_test_text_SOURCES  = tests/base/test-text.c tests/runner.h tests/torture.h
tests_base_test_text_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_test_text_LDADD    = $(TEST_LIBS)
endif
