if HAVE_CHECK
check_PROGRAMS += tests/engine/test-engine
tests_engine_test_engine_SOURCES  = tests/engine/test-engine.c tests/engine/heard.h tests/golden.h tests/runner.h
tests_engine_test_engine_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_engine_test_engine_LDADD    = $(TEST_LIBS) $(JANSSON_LIBS) -lm

check_PROGRAMS += tests/engine/test-stops
tests_engine_test_stops_SOURCES  = tests/engine/test-stops.c tests/engine/heard.h tests/golden.h tests/runner.h
tests_engine_test_stops_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_engine_test_stops_LDADD    = $(TEST_LIBS) -lm

check_PROGRAMS += tests/engine/test-strict
tests_engine_test_strict_SOURCES  = tests/engine/test-strict.c tests/golden.h tests/runner.h
tests_engine_test_strict_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_engine_test_strict_LDADD    = $(TEST_LIBS) -lm

check_PROGRAMS += tests/engine/test-sample
tests_engine_test_sample_SOURCES  = tests/engine/test-sample.c tests/runner.h
tests_engine_test_sample_CPPFLAGS = $(TEST_CPPFLAGS)
tests_engine_test_sample_LDADD    = $(TEST_LIBS) -lm
endif
