/* bench-count.c - how much arithmetic and how many bytes a pass takes.  See bench.h */
#include "cli/bench.h"

#include "cli/show.h"

double bench_flops(const struct rt_model_shape *s, int64_t n, int64_t length, int64_t rows)
{
	const double query = (double)(s->heads * s->head_dim), hidden = (double)s->hidden;
	const double keys = (double)(s->kv_heads * s->head_dim), tokens = (double)length;
	const double matrices =
		hidden * (2 * query + 2 * keys + 3 * (double)s->feed_forward); /* of a layer */
	/* Scores and values of what a token sees, itself and those before. */
	const double attention = 4 * query * tokens * (tokens + 1) / 2;

	return (double)n * ((double)s->layers * (2 * matrices * tokens + attention) +
	                    2 * (double)rows * hidden * (double)s->vocabulary);
}

/* Weights that a pass reads whole: all but an embedding of which it takes a few rows. */
static double read_weights(const struct rt_model *m)
{
	double bytes = (double)rt_model_shape(m)->bytes;

	for (int64_t i = 0; !rt_model_shape(m)->tied && i < rt_model_parameters(m); i++) {
		const struct rt_parameter p = rt_model_parameter(m, i);

		if (p.layer < 0 && !p.linear && p.tensor.ndim == 2)
			bytes -= (double)rt_bytes(&p.tensor);
	}
	return bytes;
}

double bench_bytes(const struct rt_model *m, int64_t sequences, double context)
{
	return read_weights(m) +
	       (double)sequences * context * (double)show_cache_bytes(rt_model_shape(m));
}
