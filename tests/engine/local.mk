if HAVE_CHECK
check_PROGRAMS += tests/engine/test-engine
tests_engine_test_engine_SOURCES  = tests/engine/test-engine.c tests/golden.h tests/runner.h
tests_engine_test_engine_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_engine_test_engine_LDADD    = $(TEST_LIBS) $(JANSSON_LIBS) -lm
endif
