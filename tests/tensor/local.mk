GOLDEN_CPPFLAGS = $(JANSSON_CFLAGS) -DGOLDEN_DIR='"$(srcdir)/tests/golden"'
EXTRA_DIST += tests/golden/gguf/NOTICE \
	tests/golden/gguf/quantize.json tests/golden/gguf/quantize.bin \
	tests/golden/gguf/dequantize.json tests/golden/gguf/dequantize.bin

if HAVE_CHECK
check_PROGRAMS += tests/tensor/test-matmul tests/tensor/test-quantize

tests_tensor_test_matmul_SOURCES    = tests/tensor/test-matmul.c tests/runner.h
tests_tensor_test_matmul_CPPFLAGS   = $(TEST_CPPFLAGS)
tests_tensor_test_matmul_LDADD      = $(TEST_LIBS)

tests_tensor_test_quantize_SOURCES  = tests/tensor/test-quantize.c tests/golden.h tests/runner.h
tests_tensor_test_quantize_CPPFLAGS = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_tensor_test_quantize_LDADD    = $(TEST_LIBS)
endif
