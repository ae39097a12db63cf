# Shipped plugins, linked into test programs: RETORT_STATIC gives each its own symbol.
if HAVE_CHECK
check_PROGRAMS += tests/plugins/test-judges tests/plugins/test-samplers
tests_plugins_test_judges_SOURCES  = tests/plugins/test-judges.c tests/runner.h \
	plugins/judge/call-match.c plugins/judge/exact.c plugins/judge/words.c plugins/judge/words.h
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
	plugins/rl/dpo.c plugins/rl/grpo.c plugins/rl/rloo.c
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

check_PROGRAMS += tests/plugins/test-adamw
tests_plugins_test_adamw_SOURCES  = tests/plugins/test-adamw.c tests/runner.h plugins/optimizer/adamw.c
tests_plugins_test_adamw_CPPFLAGS = $(TEST_CPPFLAGS) -DRETORT_STATIC
tests_plugins_test_adamw_LDADD    = $(TEST_LIBS) -lm

check_PROGRAMS += tests/plugins/test-muon
tests_plugins_test_muon_SOURCES  = tests/plugins/test-muon.c tests/runner.h plugins/optimizer/muon.c
tests_plugins_test_muon_CPPFLAGS = $(TEST_CPPFLAGS) -DRETORT_STATIC
tests_plugins_test_muon_LDADD    = $(TEST_LIBS) -lm

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

check_PROGRAMS += tests/plugins/test-openai tests/plugins/test-openai-keep
OPENAI_TEST_SOURCES  = tests/plugins/openai-bench.h tests/runner.h tests/temp.h tests/http/server.c \
	tests/http/server.h $(OPENAI_SOURCES)
OPENAI_TEST_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir)/plugins -DRETORT_STATIC $(CURL_CFLAGS) \
	$(SQLITE_CFLAGS)
OPENAI_TEST_LIBS     = $(TEST_LIBS) $(CURL_LIBS) $(SQLITE_LIBS) -lm -lpthread
tests_plugins_test_openai_SOURCES       = tests/plugins/test-openai.c $(OPENAI_TEST_SOURCES)
tests_plugins_test_openai_CPPFLAGS      = $(OPENAI_TEST_CPPFLAGS)
tests_plugins_test_openai_LDADD         = $(OPENAI_TEST_LIBS)
tests_plugins_test_openai_keep_SOURCES  = tests/plugins/test-openai-keep.c $(OPENAI_TEST_SOURCES)
tests_plugins_test_openai_keep_CPPFLAGS = $(OPENAI_TEST_CPPFLAGS)
tests_plugins_test_openai_keep_LDADD    = $(OPENAI_TEST_LIBS)

check_PROGRAMS += tests/plugins/test-tools tests/plugins/test-prototype
tests_plugins_test_tools_SOURCES  = tests/plugins/test-tools.c tests/plugins/instance.h tests/runner.h \
	tests/temp.h plugins/tool/exec.c plugins/tool/process.c plugins/tool/process.h \
	plugins/tool/table.c plugins/tool/table-read.c plugins/tool/table.h
tests_plugins_test_tools_CPPFLAGS = $(TEST_CPPFLAGS) -DRETORT_STATIC
tests_plugins_test_tools_LDADD    = $(TEST_LIBS) -lm

tests_plugins_test_prototype_SOURCES  = tests/plugins/test-prototype.c tests/plugins/instance.h \
	tests/runner.h tests/temp.h plugins/stage/ask.c plugins/stage/ask.h \
	plugins/stage/prototype.c plugins/stage/prototype-talk.c plugins/stage/prototype-talk.h
tests_plugins_test_prototype_CPPFLAGS = $(TEST_CPPFLAGS) -DRETORT_STATIC
tests_plugins_test_prototype_LDADD    = $(TEST_LIBS) -lm

check_PROGRAMS += tests/plugins/test-write
tests_plugins_test_write_SOURCES  = tests/plugins/test-write.c tests/plugins/instance.h tests/runner.h \
	tests/temp.h plugins/judge/words.c plugins/judge/words.h plugins/stage/ask.c plugins/stage/ask.h \
	plugins/stage/seen.c plugins/stage/seen.h plugins/stage/write.c plugins/stage/write.h \
	plugins/stage/write-request.c plugins/stage/write-ask.c plugins/stage/write-ask.h
tests_plugins_test_write_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir)/plugins -DRETORT_STATIC
tests_plugins_test_write_LDADD    = $(TEST_LIBS) -lm

check_PROGRAMS += tests/plugins/test-local
tests_plugins_test_local_SOURCES  = tests/plugins/test-local.c tests/plugins/instance.h tests/golden.h \
	tests/runner.h plugins/teacher/local.c plugins/teacher/local-form.c \
	plugins/teacher/local-form.h plugins/teacher/local-user.c plugins/teacher/local-user.h
tests_plugins_test_local_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS) -I$(srcdir)/plugins -DRETORT_STATIC
tests_plugins_test_local_LDADD    = $(TEST_LIBS) -lm

check_PROGRAMS += tests/plugins/test-choices
tests_plugins_test_choices_SOURCES  = tests/plugins/test-choices.c tests/plugins/instance.h \
	tests/runner.h plugins/judge/llm.c plugins/judge/rouge.c plugins/judge/words.c \
	plugins/judge/words.h plugins/rejector/diverse.c
tests_plugins_test_choices_CPPFLAGS = $(TEST_CPPFLAGS) -DRETORT_STATIC
tests_plugins_test_choices_LDADD    = $(TEST_LIBS) -lm

check_PROGRAMS += tests/plugins/test-top
tests_plugins_test_top_SOURCES  = tests/plugins/test-top.c tests/runner.h tests/temp.h \
	plugins/stage/top.c plugins/stage/top.h
tests_plugins_test_top_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir)/plugins -DRETORT_STATIC
tests_plugins_test_top_LDADD    = $(TEST_LIBS) -lm

check_PROGRAMS += tests/plugins/test-cut-text
tests_plugins_test_cut_text_SOURCES  = tests/plugins/test-cut-text.c tests/runner.h tests/temp.h \
	plugins/stage/cut-text.c plugins/stage/cut-text.h
tests_plugins_test_cut_text_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS) -I$(srcdir)/plugins -DRETORT_STATIC
tests_plugins_test_cut_text_LDADD    = $(TEST_LIBS) -lm
endif
EXTRA_DIST += tests/golden/compressed-tensors tests/golden/losses/distill.json tests/golden/losses/dpo.json \
	tests/golden/losses/grpo.json tests/golden/losses/rloo.json
