/* bench-count.c - how much arithmetic and how many bytes a pass takes.  See bench.h */
#include "cli/bench.h"

#include "cli/show.h"
#include "engine/engine.h"

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

double bench_bytes(const struct rt_engine *e, int64_t sequences, double context)
{
	const struct rt_model_shape *s = rt_model_shape(e->m);

	return (double)engine_read_bytes(e) +
	       (double)sequences * context * (double)show_cache_bytes(s);
}
