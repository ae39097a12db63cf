/* fit.h - least squares over the scales and small integers of one super-block.
 *
 * Two forms cover all of GGUF's K-quants:
 *   symmetric  x ~ d * scale[j] * level[q]               q6_k, q3_k, iq4_xs, iq4_nl
 *   affine     x ~ d * scale[j] * q - dmin * min[j]      q2_k, q4_k, q5_k
 * for sub-block j.  Both minimise sum w (x - x~)^2: first each sub-block alone over a grid of
 * scales (assign the nearest level, then solve for the scale: Lloyd 1982), then d, the
 * integer scales and the assignments in turn, each step against the values that will really
 * be stored (d rounded to f16), so that no step can make the error larger. */
#ifndef TENSOR_FIT_H
#define TENSOR_FIT_H

#include <stdint.h>

enum { FIT_N = 256, FIT_MAX_SUBS = 16 };

/* What a symmetric type can store. */
struct fit_levels {
	int           low, high;             /* q runs from low to high ... */
	const int8_t *value;                 /* ... or indexes these (sorted), low = 0 */
	int           sub;                   /* elements of a sub-block */
	int           scale_low, scale_high; /* of the integer scales; both 1: d alone */
};

struct fit_affine {
	int high;       /* q runs from 0 to this */
	int sub;        /* elements of a sub-block */
	int scale_high; /* scales and mins run from 0 to this */
};

struct fit {
	uint16_t d, dmin; /* f16 */
	int8_t   scale[FIT_MAX_SUBS];
	uint8_t  min[FIT_MAX_SUBS];
	int8_t   q[FIT_N]; /* level, or index of it */
};

/* x[n] and weights w[n]; n is FIT_N, or one sub-block where the type has d alone. */
void fit_symmetric(const struct fit_levels *l, const float *x, const float *w, int n,
                   struct fit *ret);
void fit_affine(const struct fit_affine *l, const float *x, const float *w, int n, struct fit *ret);

#endif
