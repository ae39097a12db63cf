GOLDEN_CPPFLAGS = $(JANSSON_CFLAGS) -DGOLDEN_DIR='"$(srcdir)/tests/golden"'
EXTRA_DIST += tests/golden/gguf/NOTICE \
	tests/golden/losses/NOTICE tests/golden/losses/logps.json \
	tests/golden/gguf/quantize.json tests/golden/gguf/quantize.bin \
	tests/golden/gguf/dequantize.json tests/golden/gguf/dequantize.bin

if HAVE_CHECK
TENSOR_TEST = tests/runner.h tests/tensor/numeric.h

check_PROGRAMS += \
	tests/tensor/test-attention \
	tests/tensor/test-blocks \
	tests/tensor/test-isa \
	tests/tensor/test-logps \
	tests/tensor/test-matmul \
	tests/tensor/test-nn \
	tests/tensor/test-panels \
	tests/tensor/test-panels-wide \
	tests/tensor/test-quantize \
	tests/tensor/test-softmax

tests_tensor_test_attention_SOURCES  = tests/tensor/test-attention.c $(TENSOR_TEST)
tests_tensor_test_attention_CPPFLAGS = $(TEST_CPPFLAGS)
tests_tensor_test_attention_LDADD    = $(TEST_LIBS)

tests_tensor_test_blocks_SOURCES    = tests/tensor/test-blocks.c tests/golden.h $(TENSOR_TEST)
tests_tensor_test_blocks_CPPFLAGS   = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_tensor_test_blocks_LDADD      = $(TEST_LIBS)

tests_tensor_test_isa_SOURCES       = tests/tensor/test-isa.c $(TENSOR_TEST)
tests_tensor_test_isa_CPPFLAGS      = $(TEST_CPPFLAGS)
tests_tensor_test_isa_LDADD         = $(TEST_LIBS)

tests_tensor_test_logps_SOURCES     = tests/tensor/test-logps.c tests/golden.h $(TENSOR_TEST)
tests_tensor_test_logps_CPPFLAGS    = $(TEST_CPPFLAGS) $(GOLDEN_CPPFLAGS)
tests_tensor_test_logps_LDADD       = $(TEST_LIBS)

tests_tensor_test_matmul_SOURCES    = tests/tensor/test-matmul.c $(TENSOR_TEST)
tests_tensor_test_matmul_CPPFLAGS   = $(TEST_CPPFLAGS)
tests_tensor_test_matmul_LDADD      = $(TEST_LIBS)

tests_tensor_test_nn_SOURCES        = tests/tensor/test-nn.c $(TENSOR_TEST)
tests_tensor_test_nn_CPPFLAGS       = $(TEST_CPPFLAGS)
tests_tensor_test_nn_LDADD          = $(TEST_LIBS)

tests_tensor_test_panels_SOURCES    = tests/tensor/test-panels.c tests/tensor/panels.h $(TENSOR_TEST)
tests_tensor_test_panels_CPPFLAGS   = $(TEST_CPPFLAGS)
tests_tensor_test_panels_LDADD      = $(TEST_LIBS)
tests_tensor_test_panels_wide_SOURCES  = tests/tensor/test-panels-wide.c tests/tensor/panels.h $(TENSOR_TEST)
tests_tensor_test_panels_wide_CPPFLAGS = $(TEST_CPPFLAGS)
tests_tensor_test_panels_wide_LDADD    = $(TEST_LIBS)

tests_tensor_test_quantize_SOURCES  = tests/tensor/test-quantize.c $(TENSOR_TEST)
tests_tensor_test_quantize_CPPFLAGS = $(TEST_CPPFLAGS)
tests_tensor_test_quantize_LDADD    = $(TEST_LIBS)

tests_tensor_test_softmax_SOURCES   = tests/tensor/test-softmax.c $(TENSOR_TEST)
tests_tensor_test_softmax_CPPFLAGS  = $(TEST_CPPFLAGS)
tests_tensor_test_softmax_LDADD     = $(TEST_LIBS)
endif

# The same tests for 64-bit ARM, under qemu; says so where the tools are missing.
EXTRA_DIST += tests/neon/check-neon tests/neon/check.h
.PHONY: check-neon
check-neon:
	$(srcdir)/tests/neon/check-neon $(srcdir) tests/neon-build

clean-local: clean-neon
.PHONY: clean-neon
clean-neon:
	rm -rf tests/neon-build
