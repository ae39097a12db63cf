/* prune-stats.c - see prune-stats.h */
#include "prune-stats.h"

#include <retort/memory.h>

#include <math.h>
#include <string.h>

int prune_stats_init(struct prune_stats *s, const struct rt_model *m, struct rt_error *err)
{
	const struct rt_model_shape *p = rt_model_shape(m);
	const size_t                 layers = (size_t)p->layers;
	int                          r = 0;

	*s = (struct prune_stats){ .m = m };
	s->similarity = rt_alloc(layers, sizeof(double));
	s->heads = rt_alloc(layers * (size_t)p->heads, sizeof(double));
	s->neurons = rt_alloc(layers * (size_t)p->feed_forward, sizeof(double));
	s->count = rt_alloc((size_t)p->vocabulary, sizeof(double));
	s->inputs = rt_alloc(layers, sizeof *s->inputs);
	if (!s->similarity || !s->heads || !s->neurons || !s->count || !s->inputs)
		r = rt_fail_nomem(err, "statistics");
	for (size_t i = 0; r == 0 && i < layers; i++)
		r = moments_init(&s->inputs[i], m, false, err);
	if (r < 0)
		prune_stats_fini(s);
	return r;
}

void prune_stats_fini(struct prune_stats *s)
{
	for (int64_t i = 0; s->inputs && i < rt_model_shape(s->m)->layers; i++)
		moments_fini(&s->inputs[i]);
	rt_free(s->inputs);
	rt_free(s->similarity);
	rt_free(s->heads);
	rt_free(s->neurons);
	rt_free(s->count);
	rt_free(s->last);
	*s = (struct prune_stats){ 0 };
}

static void see_layer(struct prune_stats *s, int64_t layer, const float *x, int64_t rows, int64_t n,
                      int64_t ld)
{
	for (int64_t r = 0; layer > 0 && r < rows; r++) {
		const float *a = s->last + r * n, *b = x + r * ld;
		double       ab = 0, aa = 0, bb = 0;

		for (int64_t i = 0; i < n; i++) {
			ab += (double)a[i] * (double)b[i];
			aa += (double)a[i] * (double)a[i];
			bb += (double)b[i] * (double)b[i];
		}
		s->similarity[layer - 1] += aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
	}
	for (int64_t r = 0; r < rows; r++)
		memcpy(s->last + r * n, x + r * ld, (size_t)n * sizeof *x);
}

static void see_heads(struct prune_stats *s, int64_t layer, const float *x, int64_t rows,
                      int64_t ld)
{
	const struct rt_model_shape *p = rt_model_shape(s->m);

	for (int64_t r = 0; r < rows; r++)
		for (int64_t h = 0; h < p->heads; h++) {
			double sum = 0;

			for (int64_t i = 0; i < p->head_dim; i++) {
				const double v = (double)x[r * ld + h * p->head_dim + i];

				sum += v * v;
			}
			s->heads[layer * p->heads + h] += sqrt(sum);
		}
}

static void see(void *arg, int64_t layer, enum rt_watch what, const float *x, int64_t rows,
                int64_t columns, int64_t ld)
{
	struct prune_stats *s = arg;

	if (what == RT_WATCH_LAYER) {
		see_layer(s, layer, x, rows, columns, ld);
		return;
	}
	moments_see(&s->inputs[layer], what, x, rows, ld);
	if (what == RT_WATCH_O)
		see_heads(s, layer, x, rows, ld);
	for (int64_t r = 0; what == RT_WATCH_DOWN && r < rows; r++)
		for (int64_t i = 0; i < columns; i++)
			s->neurons[layer * columns + i] += fabs((double)x[r * ld + i]);
}

int prune_stats_collect(struct prune_stats *s, const struct calibration *data, struct rt_context *c,
                        struct rt_error *err)
{
	struct rt_pass pass = { 0 };
	int            r = rt_pass_reserve(&pass, s->m, data->most, err);

	s->last = rt_alloc((size_t)data->most,
	                   (size_t)rt_model_shape(s->m)->hidden * sizeof *s->last);
	if (r == 0 && !s->last)
		r = rt_fail_nomem(err, "statistics");
	for (int64_t i = 0; r == 0 && i < data->n; i++) {
		const struct rt_batch *b = &data->batch[i].batch;

		for (int64_t k = 0; k < b->rows; k++)
			s->count[b->token[k]]++;
		s->tokens += b->rows;
		r = rt_model_observe(s->m, b, see, s, pass.hidden, err);
		if (r == 0 && rt_cancelled(c))
			r = rt_fail(err, RT_E_CANCEL, "cancelled");
		rt_progress(c, i + 1, data->n, "batches");
	}
	rt_pass_free(&pass);
	return r;
}
