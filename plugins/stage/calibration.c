/* calibration.c - see calibration.h */
#include "calibration.h"

#include <retort/memory.h>
#include <retort/parallel.h>

#include <math.h>
#include <string.h>

/* ---- batches --------------------------------------------------------------------------------- */

static int pack_all(struct calibration *c, const struct rt_sequence **at, int64_t n, int64_t rows,
                    struct rt_error *err)
{
	int r = 0;

	for (int64_t i = 0, count; r == 0 && i < n; i += count) {
		count = rt_pack_count(at + i, n - i, rows);
		r = rt_pack(&c->batch[c->n++], at + i, count, err);
		if (r < 0)
			break;
		const int64_t tokens = c->batch[c->n - 1].batch.rows;

		c->tokens += tokens;
		c->most = tokens > c->most ? tokens : c->most;
	}
	return r;
}

int calibration_pack(struct calibration *c, const struct rt_sequences *data, int64_t samples,
                     int64_t rows, struct rt_error *err)
{
	const int64_t              n = samples < data->n ? samples : data->n;
	const struct rt_sequence **at = rt_alloc((size_t)n, sizeof *at);
	int                        r;

	*c = (struct calibration){ .batch = rt_alloc((size_t)n, sizeof *c->batch) };
	for (int64_t i = 0; at && i < n; i++)
		at[i] = &data->at[i];
	r = at && c->batch ? pack_all(c, at, n, rows, err) : rt_fail_nomem(err, "batches");
	rt_free(at);
	if (r < 0)
		calibration_fini(c);
	return r;
}

void calibration_fini(struct calibration *c)
{
	for (int64_t i = 0; i < c->n; i++)
		rt_packed_free(&c->batch[i]);
	rt_free(c->batch);
	*c = (struct calibration){ 0 };
}

/* ---- second moments -------------------------------------------------------------------------- */

enum input input_of(const char *parameter)
{
	return strstr(parameter, ".o_proj.")                                        ? INPUT_O
	       : strstr(parameter, ".gate_proj.") || strstr(parameter, ".up_proj.") ? INPUT_GATE_UP
	       : strstr(parameter, ".down_proj.")                                   ? INPUT_DOWN
	                                                                            : INPUT_QKV;
}

int moments_init(struct moments *s, const struct rt_model *m, bool products, struct rt_error *err)
{
	const struct rt_model_shape *p = rt_model_shape(m);
	int64_t                      widest = 0;
	bool                         there = true;

	*s = (struct moments){ .cols = { p->hidden, p->heads * p->head_dim, p->hidden,
		                         p->feed_forward } };
	for (int i = 0; i < INPUTS; i++) {
		const size_t n = (size_t)s->cols[i];

		s->square[i] = rt_alloc(n, sizeof(double));
		s->product[i] = products ? rt_alloc(n, n * sizeof(double)) : NULL;
		there &= s->square[i] && (s->product[i] || !products);
		widest = s->cols[i] > widest ? s->cols[i] : widest;
	}
	if (products)
		s->part = rt_alloc_aligned((size_t)widest, (size_t)widest * sizeof *s->part);
	if (there && (s->part || !products))
		return 0;
	moments_fini(s);
	return rt_fail_nomem(err, "statistics");
}

void moments_fini(struct moments *s)
{
	for (int i = 0; i < INPUTS; i++) {
		rt_free(s->square[i]);
		rt_free(s->product[i]);
	}
	rt_free(s->part);
	*s = (struct moments){ 0 };
}

void moments_clear(struct moments *s)
{
	for (int i = 0; i < INPUTS; i++) {
		const size_t n = (size_t)s->cols[i];

		memset(s->square[i], 0, n * sizeof(double));
		if (s->product[i])
			memset(s->product[i], 0, n * n * sizeof(double));
	}
	s->tokens = 0;
	s->code = 0;
}

struct addition {
	const float *part;
	double      *to;
};

static void add_piece(void *arg, int64_t first, int64_t last)
{
	const struct addition *a = arg;

	for (int64_t i = first; i < last; i++)
		a->to[i] += (double)a->part[i];
}

/* One batch: x^T x in f32, and that onto the sums. */
static int add_product(struct moments *s, int in, const float *x, int64_t rows, int64_t ld)
{
	const int64_t    n = s->cols[in];
	struct rt_tensor a = rt_matrix(x, rows, n);
	struct addition  more = { s->part, s->product[in] };
	int              r;

	a.stride[0] = ld;
	const struct rt_tensor turned = rt_transpose(a, 0, 1), to = rt_matrix(s->part, n, n);

	r = rt_matmul(&turned, &a, &to, NULL, NULL);
	if (r == 0)
		rt_parallel(n * n, 1 << 16, add_piece, &more);
	return r;
}

void moments_see(struct moments *s, enum rt_watch what, const float *x, int64_t rows, int64_t ld)
{
	const int in = what == RT_WATCH_QKV       ? INPUT_QKV
	               : what == RT_WATCH_O       ? INPUT_O
	               : what == RT_WATCH_GATE_UP ? INPUT_GATE_UP
	               : what == RT_WATCH_DOWN    ? INPUT_DOWN
	                                          : INPUTS;

	if (in == INPUTS)
		return;
	if (in == INPUT_QKV)
		s->tokens += rows;
	for (int64_t r = 0; r < rows; r++)
		for (int64_t i = 0; i < s->cols[in]; i++)
			s->square[in][i] += (double)x[r * ld + i] * (double)x[r * ld + i];
	if (s->product[in] && s->code == 0)
		s->code = add_product(s, in, x, rows, ld);
}

void moments_norm(const struct moments *s, enum input in, float *ret)
{
	for (int64_t i = 0; i < s->cols[in]; i++)
		ret[i] = (float)sqrt(s->square[in][i] / (double)s->tokens);
}

void moments_mean(const struct moments *s, enum input in, float *ret)
{
	for (int64_t i = 0; i < s->cols[in] * s->cols[in]; i++)
		ret[i] = (float)(s->product[in][i] / (double)s->tokens);
}
