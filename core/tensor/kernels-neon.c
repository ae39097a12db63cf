/* kernels-neon.c - the kernels for ARM NEON (64 bit). */
#include <arm_neon.h>

#define KERNELS      kernels_neon
#define ISA          "neon"
#define VBYTES       16
#define FMA(a, b, c) vfmaq_f32(c, a, b)
#define MR           8
#define NV           3

#include "tensor/kernels.inc.c"
