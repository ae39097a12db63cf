/* @KIND@-@NAME@.c - round every weight to the nearest point of the grid. */
#include <retort/quantizer.h>

#include <math.h>

/* The grid that holds all n weights and 0. */
static int fit(const float *w, int64_t n, const struct rt_grid *grid, float *ret_scale, uint8_t *ret_zero,
               struct rt_error *err)
{
	const int top = (1 << grid->bits) - 1, middle = 1 << (grid->bits - 1);
	float     low = 0, high = 0;

	for (int64_t i = 0; i < n; i++) {
		if (!isfinite(w[i]))
			return rt_fail(err, RT_E_NUMERIC, "a weight is not finite");
		low = fminf(low, w[i]);
		high = fmaxf(high, w[i]);
	}
	if (grid->symmetric) {
		*ret_scale = fmaxf(high / (float)(top - middle), -low / (float)middle);
		*ret_zero = (uint8_t)middle;
	} else {
		*ret_scale = (high - low) / (float)top;
		*ret_zero = *ret_scale > 0 ? (uint8_t)lroundf(fminf((float)top, -low / *ret_scale)) : 0;
	}
	return 0;
}

static void code(const float *w, int64_t n, int top, float scale, uint8_t zero, uint8_t *codes)
{
	for (int64_t i = 0; i < n; i++) {
		const float q = scale > 0 ? roundf(w[i] / scale) + zero : zero;

		codes[i] = (uint8_t)fmaxf(0, fminf((float)top, q));
	}
}

static int quantize(void *state, const struct rt_linear *layer, const struct rt_grid *grid, uint8_t *codes,
                    float *scales, uint8_t *zeros, struct rt_error *err)
{
	const int64_t groups = layer->rows * layer->cols / grid->group;

	(void)state;
	if (grid->scale != RT_F32 || grid->flip)
		return rt_fail(err, RT_E_UNSUP, "scales are f32 and not below 0 here");
	for (int64_t i = 0; i < groups; i++) {
		const float *w = layer->weight + i * grid->group;
		int          r = fit(w, grid->group, grid, &scales[i], &zeros[i], err);

		if (r < 0)
			return r;
		code(w, grid->group, (1 << grid->bits) - 1, scales[i], zeros[i], codes + i * grid->group);
	}
	return 0;
}

static const struct rt_quantizer_ops ops = { .size = sizeof ops, .quantize = quantize };

RT_PLUGIN(@KIND@_@ID@, @KINDUP@,
          .name = "@NAME@", .version = "0.1", .license = "Apache-2.0",
          .summary = "Rounds every weight to the nearest point of the grid.",
          .ops.quantizer = &ops);
