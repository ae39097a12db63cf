if HAVE_CHECK
check_PROGRAMS += tests/train/test-train
tests_train_test_train_SOURCES  = tests/train/test-train.c tests/golden.h tests/runner.h tests/temp.h \
	plugins/optimizer/adamw.c plugins/optimizer/muon.c
tests_train_test_train_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS) -DRETORT_STATIC
tests_train_test_train_LDADD    = $(TEST_LIBS) $(JANSSON_LIBS) -lm
endif
