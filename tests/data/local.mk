if HAVE_CHECK
check_PROGRAMS += tests/data/test-row
tests_data_test_row_SOURCES  = tests/data/test-row.c tests/runner.h
tests_data_test_row_CPPFLAGS = $(TEST_CPPFLAGS)
tests_data_test_row_LDADD    = $(TEST_LIBS)
endif
