/* factor.h - H = V V^T with V upper triangular. */
#ifndef QUANTIZER_FACTOR_H
#define QUANTIZER_FACTOR_H

#include <retort/error.h>

#include <stdint.h>

/* h (n, n), symmetric, its upper half becomes V; the lower is undefined.  Blocks on the diagonal
 * are factored in double, what lies above them is rt_matmul().  RT_E_NUMERIC when h is not
 * positive definite to f32's accuracy. [any] */
int factor_upper(float *h, int64_t n, struct rt_error *err);

#endif
