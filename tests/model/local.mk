EXTRA_DIST += tests/golden/NOTICE tests/golden/llama-tiny tests/golden/qwen2-bf16-sharded \
	tests/golden/qwen2-tiny tests/golden/qwen3-tiny \
	tests/golden/gguf/tiny-qwen2.gguf tests/golden/gguf/tiny-qwen2.json \
	tests/golden/gguf/align64.gguf tests/golden/gguf/align64.json

if HAVE_CHECK
check_PROGRAMS += tests/model/test-golden

tests_model_test_golden_SOURCES  = tests/model/test-golden.c tests/golden.h tests/runner.h
tests_model_test_golden_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_model_test_golden_LDADD    = $(TEST_LIBS)
endif
