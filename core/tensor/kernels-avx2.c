/* kernels-avx2.c - the kernels for AVX2 and FMA. */
#include <immintrin.h>

#include "tensor/kernels.h"

#define KERNELS      kernels_avx2
#define ISA          "avx2"
#define VBYTES       32
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define MR           6
#define NV           2

#define DOT32(u, s)  _mm256_madd_epi16(_mm256_maddubs_epi16(u, s), _mm256_set1_epi16(1))

#include "tensor/direct-avx2.inc.c"
#include "tensor/int8-avx2.inc.c"
#include "tensor/kernels.inc.c"
