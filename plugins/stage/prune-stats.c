/* prune-stats.c - see prune-stats.h */
#include "prune-stats.h"

#include <retort/memory.h>

#include <math.h>
#include <string.h>

int prune_stats_init(struct prune_stats *s, const struct rt_model *m, struct rt_error *err)
{
	const struct rt_model_shape *p = rt_model_shape(m);
	const size_t                 layers = (size_t)p->layers;

	*s = (struct prune_stats){ .m = m };
	s->widest = p->feed_forward > p->hidden ? p->feed_forward : p->hidden;
	if (p->heads * p->head_dim > s->widest)
		s->widest = p->heads * p->head_dim;
	s->similarity = rt_alloc(layers, sizeof(double));
	s->heads = rt_alloc(layers * (size_t)p->heads, sizeof(double));
	s->neurons = rt_alloc(layers * (size_t)p->feed_forward, sizeof(double));
	s->count = rt_alloc((size_t)p->vocabulary, sizeof(double));
	s->squares = rt_alloc(layers * 4 * (size_t)s->widest, sizeof(double));
	if (s->similarity && s->heads && s->neurons && s->count && s->squares)
		return 0;
	prune_stats_fini(s);
	return rt_fail_nomem(err, "statistics");
}

void prune_stats_fini(struct prune_stats *s)
{
	rt_free(s->similarity);
	rt_free(s->heads);
	rt_free(s->neurons);
	rt_free(s->count);
	rt_free(s->squares);
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

static void see_input(struct prune_stats *s, int64_t layer, int which, const float *x, int64_t rows,
                      int64_t n, int64_t ld)
{
	double *sum = s->squares + (layer * 4 + which) * s->widest;

	for (int64_t r = 0; r < rows; r++)
		for (int64_t i = 0; i < n; i++)
			sum[i] += (double)x[r * ld + i] * (double)x[r * ld + i];
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

	switch (what) {
	case RT_WATCH_QKV: see_input(s, layer, 0, x, rows, columns, ld); break;
	case RT_WATCH_O:
		see_input(s, layer, 1, x, rows, columns, ld);
		see_heads(s, layer, x, rows, ld);
		break;
	case RT_WATCH_GATE_UP: see_input(s, layer, 2, x, rows, columns, ld); break;
	case RT_WATCH_DOWN:
		see_input(s, layer, 3, x, rows, columns, ld);
		for (int64_t r = 0; r < rows; r++)
			for (int64_t i = 0; i < columns; i++)
				s->neurons[layer * columns + i] += fabs((double)x[r * ld + i]);
		break;
	case RT_WATCH_LAYER: see_layer(s, layer, x, rows, columns, ld); break;
	}
}

static int see_batch(struct prune_stats *s, struct rt_packed *p, struct rt_pass *pass,
                     struct rt_error *err)
{
	const int64_t rows = p->batch.rows, n = rt_model_shape(s->m)->hidden;
	int           r = rt_pass_reserve(pass, s->m, rows, err);

	if (r == 0 && rows > s->room) {
		rt_free(s->last);
		s->last = rt_alloc((size_t)(rows * n), sizeof *s->last);
		s->room = s->last ? rows : 0;
		r = s->last ? 0 : rt_fail_nomem(err, "statistics");
	}
	if (r < 0)
		return r;
	for (int64_t i = 0; i < rows; i++)
		s->count[p->batch.token[i]]++;
	s->tokens += rows;
	return rt_model_observe(s->m, &p->batch, see, s, pass->hidden, err);
}

int prune_stats_collect(struct prune_stats *s, const struct rt_sequences *data, int64_t samples,
                        int64_t rows, struct rt_context *c, struct rt_error *err)
{
	const int64_t              n = samples < data->n ? samples : data->n;
	const struct rt_sequence **at = rt_alloc((size_t)n, sizeof *at);
	struct rt_packed           p = { 0 };
	struct rt_pass             pass = { 0 };
	int                        r = at ? 0 : rt_fail_nomem(err, "statistics");

	for (int64_t i = 0; r == 0 && i < n; i++)
		at[i] = &data->at[i];
	for (int64_t i = 0, count; r == 0 && i < n; i += count) {
		count = rt_pack_count(at + i, n - i, rows);
		r = rt_pack(&p, at + i, count, err);
		if (r == 0)
			r = see_batch(s, &p, &pass, err);
		if (r == 0 && rt_cancelled(c))
			r = rt_fail(err, RT_E_CANCEL, "cancelled");
		rt_progress(c, i + count, n, "rows");
	}
	rt_packed_free(&p);
	rt_pass_free(&pass);
	rt_free(at);
	return r;
}
