/* kernels-avx2.c - the kernels for AVX2 and FMA. */
#include <immintrin.h>

#include "tensor/kernels.h"

#define KERNELS      kernels_avx2
#define ISA          "avx2"
#define VBYTES       32
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define MR           6
#define NV           2
#define LOAD_F16(p)  _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p)))
#define PANELS       "tensor/panel-avx2.inc.c"

#include "tensor/kernels.inc.c"
