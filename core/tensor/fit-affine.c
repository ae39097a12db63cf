/* fit-affine.c - see fit.h: types with a scale and a min per sub-block. */
#include "tensor/fit.h"
#include "tensor/half.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 4, MAX_SUB = 32 };

static float clamp(float x, float high)
{
	return x < 0.0f ? 0.0f : x > high ? high : x;
}

static void assign(const float *x, int n, float inverse, float min, float high, float *v)
{
	for (int i = 0; i < n; i++)
		v[i] = (clamp((x[i] + min) * inverse, high) + 12582912.0f) - 12582912.0f;
}

static float error_of(const float *x, const float *w, const float *v, int n, float scale, float min)
{
	float e = 0.0f;

	for (int i = 0; i < n; i++) {
		const float d = x[i] - (scale * v[i] - min);

		e += w[i] * d * d;
	}
	return e;
}

/* Minimise sum w (x - s v + m)^2 over s and m >= 0, v fixed. */
static void solve(const float *x, const float *w, const float *v, int n, float *s, float *m)
{
	float sw = 0.0f, sx = 0.0f, sv = 0.0f, svv = 0.0f, sxv = 0.0f, det;

	for (int i = 0; i < n; i++) {
		sw += w[i];
		sx += w[i] * x[i];
		sv += w[i] * v[i];
		svv += w[i] * v[i] * v[i];
		sxv += w[i] * x[i] * v[i];
	}
	det = sw * svv - sv * sv;
	if (det > 1e-6f * sw * svv) {
		*s = (sw * sxv - sv * sx) / det;
		*m = (sv * sxv - svv * sx) / det;
	} else { /* all on one level: the scale stays */
		*m = (*s * sv - sx) / sw;
	}
	if (*m < 0.0f) {
		*m = 0.0f;
		*s = svv > 0.0f ? sxv / svv : 0.0f;
	}
}

/* Real scale and min of one sub-block: the range a little stretched or shrunk, then Lloyd's
 * step, twice. */
static void best_pair(const struct fit_affine *l, const float *x, const float *w, int n,
                      float *ret_s, float *ret_m)
{
	const float high = (float)l->high;
	float       low = 0.0f, top = 0.0f, best = INFINITY, v[MAX_SUB];

	*ret_s = *ret_m = 0.0f;
	for (int i = 0; i < n; i++) {
		low = x[i] < low ? x[i] : low;
		top = x[i] > top || i == 0 ? x[i] : top;
	}
	if (top - low < 1e-30f) {
		*ret_m = -low; /* all the same, and not positive */
		return;
	}
	for (int step = -10; step <= 10; step++) {
		float s = (top - low) / (high + 0.1f * (float)step), m = -low;

		for (int again = 0; again < 2; again++) {
			float e;

			assign(x, n, s > 0.0f ? 1.0f / s : 0.0f, m, high, v);
			solve(x, w, v, n, &s, &m);
			e = error_of(x, w, v, n, s, m);
			if (e < best) {
				best = e;
				*ret_s = s;
				*ret_m = m;
			}
		}
	}
}

/* The integers near s / d and m / dmin that are best together. */
static float settle(const struct fit_affine *l, const float *x, const float *w, float d, float dmin,
                    float s, float m, int8_t *ret_scale, uint8_t *ret_min, int8_t *ret_q)
{
	const float limit = (float)l->scale_high;
	const int   at = d > 0.0f ? (int)clamp(floorf(s / d), limit) : 0;
	const int   min_at = dmin > 0.0f ? (int)clamp(floorf(m / dmin), limit) : 0;
	float       best = INFINITY;

	for (int c = at > 0 ? at - 1 : 0; c <= at + 2 && c <= l->scale_high; c++)
		for (int k = min_at > 0 ? min_at - 1 : 0; k <= min_at + 2 && k <= l->scale_high;
		     k++) {
			const float scale = d * (float)c, min = dmin * (float)k;
			float       v[MAX_SUB], e;

			assign(x, l->sub, scale > 0.0f ? 1.0f / scale : 0.0f, min, (float)l->high,
			       v);
			e = error_of(x, w, v, l->sub, scale, min);
			if (e < best) {
				best = e;
				*ret_scale = (int8_t)c;
				*ret_min = (uint8_t)k;
				for (int i = 0; i < l->sub; i++)
					ret_q[i] = (int8_t)v[i];
			}
		}
	return best;
}

/* d and dmin by least squares, integers fixed: x ~ d a - dmin b with a = scale q, b = min. */
static void solve_d(const struct fit_affine *l, const float *x, const float *w, int n,
                    const struct fit *f, float *d, float *dmin)
{
	double aa = 0.0, ab = 0.0, bb = 0.0, xa = 0.0, xb = 0.0, det;

	for (int i = 0; i < n; i++) {
		const double a = f->scale[i / l->sub] * f->q[i], b = f->min[i / l->sub];

		aa += w[i] * a * a;
		ab += w[i] * a * b;
		bb += w[i] * b * b;
		xa += w[i] * a * x[i];
		xb += w[i] * b * x[i];
	}
	det = aa * bb - ab * ab;
	if (det > 1e-9 * aa * bb) {
		*d = (float)((xa * bb - xb * ab) / det);
		*dmin = (float)((xa * ab - xb * aa) / det);
	} else if (aa > 0.0) {
		*d = (float)(xa / aa);
	}
	*d = *d > 0.0f ? *d : 0.0f;
	*dmin = *dmin > 0.0f ? *dmin : 0.0f;
}

static void descend(const struct fit_affine *l, const float *x, const float *w, int n,
                    const float *s, const float *m, float d, float dmin, float *error,
                    struct fit *ret)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct fit  f = { .d = f32_to_f16(d), .dmin = f32_to_f16(dmin) };
		const float stored = f16_to_f32(f.d), stored_min = f16_to_f32(f.dmin);
		float       e = 0.0f;

		for (int j = 0; j < n / l->sub; j++)
			e += settle(l, x + j * l->sub, w + j * l->sub, stored, stored_min, s[j],
			            m[j], &f.scale[j], &f.min[j], f.q + j * l->sub);
		if (e < *error) {
			*error = e;
			*ret = f;
		} else if (round > 0) {
			break;
		}
		solve_d(l, x, w, n, &f, &d, &dmin);
	}
}

void fit_affine(const struct fit_affine *l, const float *x, const float *w, int n, struct fit *ret)
{
	const float limit = (float)l->scale_high;
	float       s[FIT_MAX_SUBS], m[FIT_MAX_SUBS], top = 0.0f, top_min = 0.0f, error = INFINITY;

	for (int j = 0; j < n / l->sub; j++) {
		best_pair(l, x + j * l->sub, w + j * l->sub, l->sub, &s[j], &m[j]);
		top = s[j] > top ? s[j] : top;
		top_min = m[j] > top_min ? m[j] : top_min;
	}
	descend(l, x, w, n, s, m, top / limit, top_min / limit, &error, ret);
	descend(l, x, w, n, s, m, top / (limit - 1.0f), top_min / limit, &error, ret);
	descend(l, x, w, n, s, m, top / limit, top_min / (limit - 1.0f), &error, ret);
}
