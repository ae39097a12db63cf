/* kernels-avx512.c - the kernels for AVX-512 F, BW, DQ and VL. */
#include <immintrin.h>

#include "tensor/kernels.h"

#define KERNELS      kernels_avx512
#define ISA          "avx512"
#define VBYTES       64
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define MR           14
#define NV           2
#define LOAD_F16(p)  _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(p)))
#define PANELS       "tensor/panel-avx2.inc.c"

#include "tensor/kernels.inc.c"
