/* fit-symmetric.c - see fit.h: types whose levels are multiplied by one scale. */
#include "tensor/fit.h"
#include "tensor/half.h"

#include <math.h>
#include <string.h>

enum { STEPS = 5, ROUNDS = 3 };

static float nearest_int(float x)
{
	return (x + 12582912.0f) - 12582912.0f;
}

/* Indices and values of the levels nearest to x * inverse. */
static void assign(const struct fit_levels *l, const float *x, int n, float inverse, int8_t *q,
                   float *v)
{
	if (!l->value) {
		for (int i = 0; i < n; i++) {
			float y = x[i] * inverse;

			y = y < (float)l->low    ? (float)l->low
			    : y > (float)l->high ? (float)l->high
			                         : y;
			v[i] = nearest_int(y);
			q[i] = (int8_t)v[i];
		}
		return;
	}
	for (int i = 0; i < n; i++) {
		const float y = 2.0f * x[i] * inverse;
		int         k = 0;

		for (int j = l->low; j < l->high; j++)
			k += y > (float)(l->value[j] + l->value[j + 1]);
		q[i] = (int8_t)k;
		v[i] = (float)l->value[k];
	}
}

static float error_of(const float *x, const float *w, const float *v, int n, float scale)
{
	float e = 0.0f;

	for (int i = 0; i < n; i++) {
		const float d = x[i] - scale * v[i];

		e += w[i] * d * d;
	}
	return e;
}

/* sum w x v and sum w v v. */
static void moments(const float *x, const float *w, const float *v, int n, double *xv, double *vv)
{
	float a = 0.0f, b = 0.0f;

	for (int i = 0; i < n; i++) {
		a += w[i] * x[i] * v[i];
		b += w[i] * v[i] * v[i];
	}
	*xv += a;
	*vv += b;
}

static float outermost(const struct fit_levels *l, int side)
{
	if (l->value)
		return (float)l->value[side ? l->high : l->low];
	return (float)(side ? l->high : l->low);
}

/* The real scale that is best for one sub-block: the largest element goes to (nearly) the
 * first or the last level, then Lloyd's step, twice. */
static float best_scale(const struct fit_levels *l, const float *x, const float *w, int n)
{
	float  top = 0.0f, best = 0.0f, v[FIT_N];
	double best_gain = 0.0;
	int8_t q[FIT_N];

	for (int i = 0; i < n; i++)
		top = fabsf(x[i]) > fabsf(top) ? x[i] : top;
	if (fabsf(top) < 1e-30f)
		return 0.0f;
	for (int side = 0; side < 2; side++)
		for (int step = -STEPS; step <= STEPS; step++) {
			float scale = top / (outermost(l, side) * (1.0f + 0.03f * (float)step));

			for (int again = 0; again < 2; again++) {
				double xv = 0.0, vv = 0.0;

				assign(l, x, n, 1.0f / scale, q, v);
				moments(x, w, v, n, &xv, &vv);
				if (vv <= 0.0 || xv == 0.0)
					break;
				scale = (float)(xv / vv);
				if (xv * xv / vv > best_gain) {
					best_gain = xv * xv / vv;
					best = scale;
				}
			}
		}
	return best;
}

/* With d given, the integer scale near `at` and the assignment that are best; the error. */
static float settle(const struct fit_levels *l, const float *x, const float *w, int n, float d,
                    float at, int8_t *ret_scale, int8_t *ret_q)
{
	float best = INFINITY;

	for (int s = (int)floorf(at) - 1; s <= (int)floorf(at) + 2; s++) {
		const int   c = s < l->scale_low    ? l->scale_low
		                : s > l->scale_high ? l->scale_high
		                                    : s;
		const float scale = d * (float)c, inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
		float       v[FIT_N], e;
		int8_t      q[FIT_N];

		assign(l, x, n, inverse, q, v);
		e = error_of(x, w, v, n, scale);
		if (e < best) {
			best = e;
			*ret_scale = (int8_t)c;
			memcpy(ret_q, q, (size_t)n);
		}
	}
	return best;
}

static float level_of(const struct fit_levels *l, int q)
{
	return l->value ? (float)l->value[q] : (float)q;
}

/* d by least squares, everything else fixed. */
static float solve_d(const struct fit_levels *l, const float *x, const float *w, int n,
                     const struct fit *f)
{
	double xv = 0.0, vv = 0.0;
	float  v[FIT_N];

	for (int i = 0; i < n; i++)
		v[i] = (float)f->scale[i / l->sub] * level_of(l, f->q[i]);
	moments(x, w, v, n, &xv, &vv);
	return vv > 0.0 ? (float)(xv / vv) : 0.0f;
}

/* From one d: settle all sub-blocks, solve for d, again.  Keeps the best in *ret. */
static void descend(const struct fit_levels *l, const float *x, const float *w, int n,
                    const float *scales, float d, float *error, struct fit *ret)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct fit  f = { .d = f32_to_f16(d) };
		float       e = 0.0f;
		const float stored = f16_to_f32(f.d);

		for (int j = 0; j < n / l->sub; j++)
			e += settle(l, x + j * l->sub, w + j * l->sub, l->sub, stored,
			            stored != 0.0f ? scales[j] / stored : 0.0f, &f.scale[j],
			            f.q + j * l->sub);
		if (e < *error) {
			*error = e;
			*ret = f;
		} else if (round > 0) {
			break;
		}
		d = solve_d(l, x, w, n, &f);
	}
}

void fit_symmetric(const struct fit_levels *l, const float *x, const float *w, int n,
                   struct fit *ret)
{
	float scales[FIT_MAX_SUBS], top = 0.0f, error = INFINITY;

	for (int j = 0; j < n / l->sub; j++) {
		scales[j] = best_scale(l, x + j * l->sub, w + j * l->sub, l->sub);
		top = fabsf(scales[j]) > fabsf(top) ? scales[j] : top;
	}
	if (l->scale_low == l->scale_high) {
		descend(l, x, w, n, scales, top, &error, ret);
		return;
	}
	/* The largest scale takes the lowest integer, or one of the next. */
	for (int step = 0; step < 4; step++)
		descend(l, x, w, n, scales, top / (float)(l->scale_low + step * (step + 1) / 2),
		        &error, ret);
	descend(l, x, w, n, scales, top / (float)l->scale_high, &error, ret);
}
