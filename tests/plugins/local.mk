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

check_PROGRAMS += tests/plugins/test-distill
tests_plugins_test_distill_SOURCES  = tests/plugins/test-distill.c tests/golden.h tests/runner.h \
	plugins/distill/ckd.c plugins/distill/kl.c plugins/distill/rows.c \
	plugins/distill/rows.h
tests_plugins_test_distill_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS) -DRETORT_STATIC
tests_plugins_test_distill_LDADD    = $(TEST_LIBS) $(JANSSON_LIBS) -lm

check_PROGRAMS += tests/plugins/test-rl
tests_plugins_test_rl_SOURCES  = tests/plugins/test-rl.c tests/golden.h tests/runner.h \
	plugins/rl/dpo.c plugins/rl/grpo.c
tests_plugins_test_rl_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS) -DRETORT_STATIC
tests_plugins_test_rl_LDADD    = $(TEST_LIBS) $(JANSSON_LIBS) -lm

check_PROGRAMS += tests/plugins/test-quantizers
tests_plugins_test_quantizers_SOURCES  = tests/plugins/test-quantizers.c tests/runner.h \
	plugins/quantizer/factor.c plugins/quantizer/factor.h plugins/quantizer/gptq.c \
	plugins/quantizer/grid.c plugins/quantizer/grid.h plugins/quantizer/rtn.c
tests_plugins_test_quantizers_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir)/plugins -DRETORT_STATIC
tests_plugins_test_quantizers_LDADD    = $(TEST_LIBS) -lm

check_PROGRAMS += tests/plugins/test-pruners
tests_plugins_test_pruners_SOURCES  = tests/plugins/test-pruners.c tests/runner.h \
	plugins/pruner/depth.c plugins/pruner/vocabulary.c plugins/pruner/wanda.c \
	plugins/pruner/width.c
tests_plugins_test_pruners_CPPFLAGS = $(TEST_CPPFLAGS) -DRETORT_STATIC
tests_plugins_test_pruners_LDADD    = $(TEST_LIBS) -lm

check_PROGRAMS += tests/plugins/test-calibration
tests_plugins_test_calibration_SOURCES  = tests/plugins/test-calibration.c tests/runner.h \
	plugins/stage/calibration.c plugins/stage/calibration.h plugins/stage/divergence.c \
	plugins/stage/divergence.h
tests_plugins_test_calibration_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir)/plugins -DRETORT_STATIC
tests_plugins_test_calibration_LDADD    = $(TEST_LIBS) -lm

check_PROGRAMS += tests/plugins/test-formats
tests_plugins_test_formats_SOURCES  = tests/plugins/test-formats.c tests/golden.h tests/runner.h \
	tests/temp.h tests/torture.h plugins/format/compressed-tensors.c plugins/format/packed.h \
	plugins/format/packed-read.c plugins/format/packed-write.c plugins/format/scheme.c \
	plugins/format/scheme.h
tests_plugins_test_formats_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS) -DRETORT_STATIC
tests_plugins_test_formats_LDADD    = $(TEST_LIBS) $(JANSSON_LIBS) -lm
endif
EXTRA_DIST += tests/golden/compressed-tensors tests/golden/losses/distill.json tests/golden/losses/dpo.json \
	tests/golden/losses/grpo.json
