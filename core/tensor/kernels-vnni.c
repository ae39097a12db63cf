/* kernels-vnni.c - the kernels for AVX-512 with VNNI: integer products by one instruction. */
#include <immintrin.h>

#include "tensor/kernels.h"

#ifndef KERNELS /* kernels-bf16.c includes this */
#define KERNELS kernels_vnni
#define ISA     "avx512-vnni"
#endif
#define VBYTES       64
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define MR           14
#define NV           2
#define LOAD_F16(p)  _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(p)))
#define PANELS       "tensor/panel-vnni.inc.c"

#include "tensor/kernels.inc.c"
