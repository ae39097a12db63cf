EXTRA_DIST += tests/golden/NOTICE tests/golden/llama-tiny tests/golden/qwen2-bf16-sharded \
	tests/golden/qwen2-tiny tests/golden/qwen3-tiny \
	tests/golden/gguf/tiny-qwen2.gguf tests/golden/gguf/tiny-qwen2.json \
	tests/golden/gguf/align64.gguf tests/golden/gguf/align64.json tests/golden/stories260K

if HAVE_CHECK
MODEL_TEST = tests/golden.h tests/runner.h tests/temp.h tests/torture.h

check_PROGRAMS += tests/model/test-dropout tests/model/test-files tests/model/test-gguf tests/model/test-golden \
	tests/model/test-layers tests/model/test-pack tests/model/test-sdk \
	tests/model/test-stories

tests_model_test_dropout_SOURCES  = tests/model/test-dropout.c $(MODEL_TEST)
tests_model_test_dropout_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_test_dropout_LDADD    = $(TEST_LIBS) -lm

tests_model_test_files_SOURCES   = tests/model/test-files.c $(MODEL_TEST)
tests_model_test_files_CPPFLAGS  = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_model_test_files_LDADD     = $(TEST_LIBS)

tests_model_test_gguf_SOURCES    = tests/model/test-gguf.c $(MODEL_TEST)
tests_model_test_gguf_CPPFLAGS   = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_model_test_gguf_LDADD      = $(TEST_LIBS)

tests_model_test_golden_SOURCES  = tests/model/test-golden.c $(MODEL_TEST)
tests_model_test_golden_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_model_test_golden_LDADD    = $(TEST_LIBS)

tests_model_test_layers_SOURCES  = tests/model/test-layers.c $(MODEL_TEST)
tests_model_test_layers_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_test_layers_LDADD    = $(TEST_LIBS)

tests_model_test_pack_SOURCES    = tests/model/test-pack.c tests/tensor/numeric.h $(MODEL_TEST)
tests_model_test_pack_CPPFLAGS   = $(TEST_CPPFLAGS)
tests_model_test_pack_LDADD      = $(TEST_LIBS) -lm

tests_model_test_sdk_SOURCES  = tests/model/test-sdk.c $(MODEL_TEST)
tests_model_test_sdk_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_model_test_sdk_LDADD    = $(TEST_LIBS) $(JANSSON_LIBS) -lm

tests_model_test_stories_SOURCES  = tests/model/test-stories.c $(MODEL_TEST)
tests_model_test_stories_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_model_test_stories_LDADD    = $(TEST_LIBS)
endif
