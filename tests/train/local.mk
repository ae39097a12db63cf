if HAVE_CHECK
check_PROGRAMS += tests/train/test-train
tests_train_test_train_SOURCES  = tests/train/test-train.c tests/train/tiny.h tests/golden.h \
	tests/runner.h tests/temp.h plugins/optimizer/adamw.c
tests_train_test_train_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS) -DRETORT_STATIC
tests_train_test_train_LDADD    = $(TEST_LIBS) $(JANSSON_LIBS) -lm

check_PROGRAMS += tests/train/test-resume
tests_train_test_resume_SOURCES  = tests/train/test-resume.c tests/train/tiny.h tests/golden.h \
	tests/runner.h tests/temp.h plugins/optimizer/adamw.c plugins/optimizer/muon.c
tests_train_test_resume_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS) -DRETORT_STATIC
tests_train_test_resume_LDADD    = $(TEST_LIBS) $(JANSSON_LIBS) -lm
endif
