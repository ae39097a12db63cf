/* rtn.c - quantizer-rtn: every weight to the nearest point of its grid. */
#include "grid.h"

#include <retort/memory.h>
#include <retort/parallel.h>

struct config {
	bool search;
};

static const struct rt_param params[] = {
	RT_PARAM_BOOL(struct config, search, false,
	              "Whether ranges are shrunk where that makes the weights' errors smaller."),
	RT_PARAM_END
};

struct job {
	const struct config    *cfg;
	const struct rt_linear *layer;
	const struct rt_grid   *grid;
	uint8_t                *codes, *zeros;
	float                  *scales;
	struct rt_error        *errors; /* one a row, so that the first row's is told */
};

static void rows(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;
	const int64_t     width = j->grid->group, each = j->layer->cols / width;

	for (int64_t i = first * each; i < last * each; i++) {
		const float *w = j->layer->weight + i * width;

		if (grid_fit(j->grid, j->cfg->search, w, width, &j->scales[i], &j->zeros[i],
		             &j->errors[i / each]) < 0)
			return;
		for (int64_t k = 0; k < width; k++)
			j->codes[i * width + k] =
				grid_code(j->grid, w[k], j->scales[i], j->zeros[i]);
	}
}

static int quantize(void *state, const struct rt_linear *layer, const struct rt_grid *grid,
                    uint8_t *codes, float *scales, uint8_t *zeros, struct rt_error *err)
{
	struct job j = { state, layer, grid, codes, zeros, scales, NULL };
	int        r = 0;

	j.errors = rt_alloc((size_t)layer->rows, sizeof *j.errors);
	if (!j.errors)
		return rt_fail_nomem(err, "the rows of a layer");
	rt_parallel(layer->rows, 1, rows, &j);
	for (int64_t i = 0; r == 0 && i < layer->rows; i++)
		if (j.errors[i].code < 0)
			r = rt_fail(err, j.errors[i].code, "row %lld: %s", (long long)i,
			            j.errors[i].msg);
	rt_free(j.errors);
	return r;
}

static const struct rt_quantizer_ops ops = { .size = sizeof ops, .quantize = quantize };

RT_PLUGIN(quantizer_rtn, QUANTIZER, .name = "rtn", .version = "1.0", .license = "Apache-2.0",
          .summary = "Rounds every weight to the nearest point of its grid.",
          .config_size = sizeof(struct config), .params = params, .ops.quantizer = &ops);
