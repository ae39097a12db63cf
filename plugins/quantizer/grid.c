/* grid.c - the grid of a group of weights. */
#include "grid.h"

#include <float.h>
#include <math.h>

/* The search of Frantar et al. 2022's code: ranges down to a fifth, in steps of a hundredth. */
enum { STEPS = 100, SHRUNK = 80 };
#define NORM 2.4

/* x as a number of the scale's type: 24, 11 or 8 bits, and the smallest one that is not 0. */
static double stored(const struct rt_grid *grid, double x)
{
	const bool half = grid->scale == RT_F16;
	const int  bits = half ? 11 : grid->scale == RT_BF16 ? 8 : 24, least = half ? -24 : -133;
	int        exponent;
	double     unit;

	frexp(x, &exponent);
	if (grid->scale == RT_F32)
		return (double)(float)x;
	unit = ldexp(1, exponent - bits > least ? exponent - bits : least);
	return nearbyint(x / unit) * unit;
}

static double largest(const struct rt_grid *grid)
{
	return grid->scale == RT_F16 ? 65504 : grid->scale == RT_BF16 ? 0x1.fep127 : FLT_MAX;
}

/* The grid over [low, high], which holds 0. */
static int span(const struct rt_grid *grid, double low, double high, float *ret_scale,
                uint8_t *ret_zero, struct rt_error *err)
{
	const int top = (1 << grid->bits) - 1, middle = 1 << (grid->bits - 1);
	double    scale;

	if (!grid->symmetric)
		scale = (high - low) / top;
	else if (grid->flip)
		scale = high > -low ? -high / middle : -low / middle;
	else
		scale = fmax(high / (top - middle), -low / middle);
	scale = stored(grid, scale);
	if (!(fabs(scale) <= largest(grid)))
		return rt_fail(err, RT_E_NUMERIC, "a scale of %g is too large for %s", scale,
		               rt_dtype_info(grid->scale)->name);
	*ret_scale = (float)scale;
	*ret_zero = (uint8_t)middle;
	if (!grid->symmetric)
		*ret_zero = scale > 0 ? (uint8_t)fmin(top, round(-low / scale)) : 0;
	return 0;
}

uint8_t grid_code(const struct rt_grid *grid, float w, float scale, uint8_t zero)
{
	const double top = (double)((1 << grid->bits) - 1);

	/* of no width: all weights are 0, or below half of the smallest scale */
	if (scale == 0)
		return zero;
	return (uint8_t)fmax(0, fmin(top, round((double)w / (double)scale) + zero));
}

float grid_value(uint8_t code, float scale, uint8_t zero)
{
	return scale * (float)(code - zero);
}

static double error_of(const struct rt_grid *grid, const float *w, int64_t n, float scale,
                       uint8_t zero)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++) {
		const uint8_t q = grid_code(grid, w[i], scale, zero);

		sum += pow(fabs((double)w[i] - (double)grid_value(q, scale, zero)), NORM);
	}
	return sum;
}

int grid_fit(const struct rt_grid *grid, bool search, const float *w, int64_t n, float *ret_scale,
             uint8_t *ret_zero, struct rt_error *err)
{
	double low = 0, high = 0, best;
	int    r;

	for (int64_t i = 0; i < n; i++) {
		if (!isfinite(w[i]))
			return rt_fail(err, RT_E_NUMERIC, "a weight is not finite");
		low = fmin(low, (double)w[i]);
		high = fmax(high, (double)w[i]);
	}
	r = span(grid, low, high, ret_scale, ret_zero, err);
	if (r < 0 || !search)
		return r;
	best = error_of(grid, w, n, *ret_scale, *ret_zero);
	for (int i = 1; i < SHRUNK; i++) {
		const double part = 1 - (double)i / STEPS;
		float        scale;
		uint8_t      zero;
		double       e;

		r = span(grid, part * low, part * high, &scale, &zero, err);
		if (r < 0)
			return r;
		e = error_of(grid, w, n, scale, zero);
		if (e < best) {
			best = e;
			*ret_scale = scale;
			*ret_zero = zero;
		}
	}
	return 0;
}
