/* wanda.c - pruner-wanda: a weight matters as much as it is large and its input is.
 *
 * |W_ij| times the norm of input j, compared within each row (Sun et al. 2023, arXiv 2306.11695);
 * n of m: within each m neighbours of a row.  Weights that stay are not changed. */
#include <retort/memory.h>
#include <retort/parallel.h>
#include <retort/pruner.h>

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { GRAIN = 8 };

struct config {
	int64_t n, m;
};

static const struct rt_param params[] = {
	RT_PARAM_INT(struct config, n, 0, 0, 64, "weights",
	             "How many of each m neighbours stay; 0: the density counts, over whole rows."),
	RT_PARAM_INT(struct config, m, 4, 2, 128, "weights", "Neighbours that compete, with n."),
	RT_PARAM_END
};

struct ranked {
	float   score;
	int64_t at;
};

struct job {
	const struct rt_linear *layer;
	int64_t                 width, stay; /* of so many neighbours so many */
	uint8_t                *keep;
	float                  *out;
	struct ranked          *room; /* a row for each piece */
	atomic_int              bad;
};

/* The largest first, equals from the left. */
static int by_score(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

static void rows(void *arg, int64_t first, int64_t last)
{
	struct job             *j = arg;
	const struct rt_linear *l = j->layer;
	struct ranked          *all = j->room + first / GRAIN * j->width;

	for (int64_t at = first * l->cols; at < last * l->cols; at += j->width) {
		for (int64_t k = 0; k < j->width; k++) {
			const float s = fabsf(l->weight[at + k]) * l->norm[(at + k) % l->cols];

			if (!isfinite(s))
				atomic_store(&j->bad, 1);
			all[k] = (struct ranked){ isfinite(s) ? s : 0, at + k };
		}
		qsort(all, (size_t)j->width, sizeof *all, by_score);
		for (int64_t k = 0; k < j->width; k++)
			j->keep[all[k].at] = k < j->stay;
		for (int64_t k = at; j->out && k < at + j->width; k++)
			j->out[k] = j->keep[k] ? l->weight[k] : 0;
	}
}

static int mask(void *state, const struct rt_linear *layer, double density, uint8_t *keep,
                float *weight_out, struct rt_error *err)
{
	const struct config *c = state;
	const int64_t        width = c->n > 0 ? c->m : layer->cols;
	struct job j = { .layer = layer, .width = width, .keep = keep, .out = weight_out };

	if (!layer->norm)
		return rt_fail(err, RT_E_UNSUP,
		               "the layer has no norms of its inputs, which "
		               "wanda needs");
	if (c->n > 0 && fabs(density * (double)c->m - (double)c->n) > 1e-6 * (double)c->m)
		return rt_fail(err, RT_E_UNSUP, "%lld of %lld stay by n and m, not %g of all",
		               (long long)c->n, (long long)c->m, density);
	if (layer->cols % width != 0)
		return rt_fail(err, RT_E_SHAPE, "%lld inputs are no multiple of m = %lld",
		               (long long)layer->cols, (long long)c->m);
	j.stay = c->n > 0 ? c->n : llround(density * (double)layer->cols);
	j.room = rt_alloc((size_t)((layer->rows + GRAIN - 1) / GRAIN * width), sizeof *j.room);
	if (!j.room)
		return rt_fail_nomem(err, "a mask");
	rt_parallel(layer->rows, GRAIN, rows, &j);
	rt_free(j.room);
	return j.bad ? rt_fail(err, RT_E_NUMERIC, "a weight or a norm is not finite") : 0;
}

static int check(const void *config, struct rt_error *err)
{
	const struct config *c = config;

	if (c->n > c->m)
		return rt_fail(err, RT_E_USAGE, "n = %lld of m = %lld cannot stay", (long long)c->n,
		               (long long)c->m);
	return 0;
}

static const struct rt_pruner_ops ops = { .size = sizeof ops, .mask = mask };

RT_PLUGIN(
	pruner_wanda, PRUNER, .name = "wanda", .version = "1.0", .license = "Apache-2.0",
	.summary = "Weights by their size times that of their inputs, within each row (Sun 2023).",
	.config_size = sizeof(struct config), .params = params, .check = check, .ops.pruner = &ops);
