/* @KIND@-@NAME@.c - small weights matter least, and so do neurons with small weights. */
#include <retort/memory.h>
#include <retort/pruner.h>

#include <math.h>
#include <stdlib.h>

static int by_size(const void *a, const void *b)
{
	const float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* Of each row the `stay` largest weights; equals stay from the left. */
static void mask_row(const float *w, int64_t cols, int64_t stay, float *sorted, uint8_t *keep)
{
	float   edge;
	int64_t above = 0;

	for (int64_t j = 0; j < cols; j++)
		sorted[j] = fabsf(w[j]);
	qsort(sorted, (size_t)cols, sizeof *sorted, by_size);
	edge = stay > 0 ? sorted[cols - stay] : INFINITY;
	for (int64_t j = 0; j < cols; j++)
		above += fabsf(w[j]) > edge;
	for (int64_t j = 0; j < cols; j++) {
		const bool equal = fabsf(w[j]) == edge && above < stay;

		keep[j] = fabsf(w[j]) > edge || equal;
		above += equal;
	}
}

static int mask(void *state, const struct rt_linear *layer, double density, uint8_t *keep, float *weight_out,
                struct rt_error *err)
{
	const int64_t cols = layer->cols, stay = llround(density * (double)cols);
	float        *sorted = rt_alloc((size_t)cols, sizeof *sorted);

	(void)state;
	if (!sorted)
		return rt_fail_nomem(err, "a row");
	for (int64_t i = 0; i < layer->rows; i++)
		mask_row(layer->weight + i * cols, cols, stay, sorted, keep + i * cols);
	for (int64_t i = 0; weight_out && i < layer->rows * cols; i++)
		weight_out[i] = keep[i] ? layer->weight[i] : 0;
	rt_free(sorted);
	return 0;
}

static int score(const void *state, const struct rt_unit_stats *stats, float *importance, struct rt_error *err)
{
	(void)state;
	if (!stats->weight)
		return rt_fail(err, RT_E_UNSUP, "needs the norms of the weights");
	for (int64_t i = 0; i < stats->n; i++)
		importance[i] = stats->weight[i];
	return 0;
}

static uint32_t units(const void *config)
{
	(void)config;
	return RT_UNIT_NEURON;
}

static const struct rt_pruner_ops ops = {
	.size = sizeof ops, .mask = mask, .score = score, .units = units
};

RT_PLUGIN(@KIND@_@ID@, @KINDUP@,
          .name = "@NAME@", .version = "0.1", .license = "Apache-2.0",
          .summary = "Removes the smallest weights of each row, or the neurons with the smallest weights.",
          .ops.pruner = &ops);
