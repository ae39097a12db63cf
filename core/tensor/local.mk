# The tensor room.  Kernels: one convenience library per instruction set, the same body in each.
core_libcore_la_SOURCES += \
	core/tensor/attention.h \
	core/tensor/blas.c \
	core/tensor/block.h \
	core/tensor/blocks.c \
	core/tensor/dtype.c core/tensor/dtype.h \
	core/tensor/nn.h \
	core/tensor/fit.h \
	core/tensor/gemm.h \
	core/tensor/gemm-panels.c \
	core/tensor/gemm-rows.c \
	core/tensor/half.h \
	core/tensor/isa.c core/tensor/kernels.h \
	core/tensor/matmul.c \
	core/tensor/panel.c core/tensor/panel.h \
	core/tensor/quantize-k.c core/tensor/quantize.h \
	core/tensor/quantize-simple.c \
	core/tensor/tensor.c \
	core/tensor/workspace.c

EXTRA_DIST += \
	core/tensor/dots.inc.c core/tensor/dropout.inc.c core/tensor/kernels.inc.c core/tensor/panel.inc.c core/tensor/panel-avx2.inc.c core/tensor/panel-bf16.inc.c core/tensor/panel-pack.inc.c \
	core/tensor/panel-vnni.inc.c core/tensor/rows.inc.c core/tensor/unpack.inc.c

noinst_LTLIBRARIES += core/tensor/libgeneric.la
core_tensor_libgeneric_la_SOURCES = core/tensor/kernels-generic.c core/tensor/attention.c \
	core/tensor/attention-backward.c core/tensor/attention-few.c \
	core/tensor/dropout.c core/tensor/elementwise.c core/tensor/embedding.c \
	core/tensor/fit-affine.c core/tensor/fit-symmetric.c core/tensor/gemm.c \
	core/tensor/norm.c core/tensor/softmax.c
core_tensor_libgeneric_la_CFLAGS  = $(AM_CFLAGS) $(KERNEL_CFLAGS)
core_libcore_la_LIBADD           += core/tensor/libgeneric.la

if KERNELS_X86
core_libcore_la_CPPFLAGS += -DTENSOR_X86

noinst_LTLIBRARIES += core/tensor/libavx2.la core/tensor/libavx512.la core/tensor/libvnni.la \
	core/tensor/libbf16.la
core_tensor_libavx2_la_SOURCES   = core/tensor/kernels-avx2.c
core_tensor_libavx2_la_CFLAGS    = $(AM_CFLAGS) $(KERNEL_CFLAGS) -mavx2 -mfma -mf16c
core_tensor_libavx512_la_SOURCES = core/tensor/kernels-avx512.c
core_tensor_libavx512_la_CFLAGS  = $(AM_CFLAGS) $(KERNEL_CFLAGS) $(AVX512_CFLAGS)
core_tensor_libvnni_la_SOURCES   = core/tensor/kernels-vnni.c
core_tensor_libvnni_la_CFLAGS    = $(AM_CFLAGS) $(KERNEL_CFLAGS) $(AVX512_CFLAGS) -mavx512vnni
core_tensor_libbf16_la_SOURCES   = core/tensor/kernels-bf16.c
core_tensor_libbf16_la_CFLAGS    = $(AM_CFLAGS) $(KERNEL_CFLAGS) $(AVX512_CFLAGS) -mavx512vnni -mavx512bf16
core_libcore_la_LIBADD += core/tensor/libavx2.la core/tensor/libavx512.la core/tensor/libvnni.la \
	core/tensor/libbf16.la

AVX512_CFLAGS = -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512
endif

if KERNELS_NEON
core_libcore_la_CPPFLAGS += -DTENSOR_NEON

noinst_LTLIBRARIES += core/tensor/libneon.la
core_tensor_libneon_la_SOURCES = core/tensor/kernels-neon.c
core_tensor_libneon_la_CFLAGS  = $(AM_CFLAGS) $(KERNEL_CFLAGS)
core_libcore_la_LIBADD        += core/tensor/libneon.la
endif
EXTRA_DIST += core/tensor/blas-none.c core/tensor/kernels-neon.c
