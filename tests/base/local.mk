if HAVE_CHECK
check_PROGRAMS += tests/base/test-memory tests/base/test-parallel

tests_base_test_memory_SOURCES    = tests/base/test-memory.c tests/runner.h
tests_base_test_memory_CPPFLAGS   = $(TEST_CPPFLAGS)
tests_base_test_memory_LDADD      = $(TEST_LIBS)

tests_base_test_parallel_SOURCES  = tests/base/test-parallel.c tests/runner.h
tests_base_test_parallel_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_test_parallel_LDADD    = $(TEST_LIBS)
endif
