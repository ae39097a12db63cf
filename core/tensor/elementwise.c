/* elementwise.c - sums, biases and gates.  See nn.h */
#include <retort/parallel.h>

#include "tensor/kernels.h"
#include "tensor/nn.h"

enum {
	GRAIN = 1 << 15, /* elements that a piece of work takes, about */
	COLUMNS = 64     /* columns of a piece that sums over rows */
};

struct job {
	struct nn_heads a, b, c, d, e;
	const float    *x;
	float          *y;
};

static int64_t rows_of(struct nn_heads x)
{
	const int64_t width = x.heads * x.n;

	return width > 0 ? 1 + GRAIN / width : 1;
}

static void add_piece(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;

	for (int64_t i = first; i < last; i++)
		j->y[i] += j->x[i];
}

void nn_add(float *dst, const float *src, int64_t n)
{
	struct job j = { .y = dst, .x = src };

	rt_parallel(n, GRAIN, add_piece, &j);
}

static void bias_piece(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;

	for (int64_t r = first; r < last; r++) {
		float *row = j->a.data + r * j->a.ld;

		for (int64_t i = 0; i < j->a.heads * j->a.n; i++)
			row[i] += j->x[i];
	}
}

void nn_bias(struct nn_heads x, const float *bias)
{
	struct job j = { .a = x, .x = bias };

	rt_parallel(x.rows, rows_of(x), bias_piece, &j);
}

static void bias_sum(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;
	double            sum[COLUMNS] = { 0 };

	for (int64_t r = 0; r < j->a.rows; r++) {
		const float *row = j->a.data + r * j->a.ld + first;

		for (int64_t i = 0; i < last - first; i++)
			sum[i] += row[i];
	}
	for (int64_t i = 0; i < last - first; i++)
		j->y[first + i] += (float)sum[i];
}

void nn_bias_backward(struct nn_heads dy, float *dbias)
{
	struct job j = { .a = dy, .y = dbias };

	rt_parallel(dy.heads * dy.n, COLUMNS, bias_sum, &j);
}

static void swiglu_piece(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;

	for (int64_t r = first; r < last; r++)
		kernels()->swiglu(j->a.data + r * j->a.ld, j->b.data + r * j->b.ld,
		                  j->c.data + r * j->c.ld, j->a.n);
}

void nn_swiglu(struct nn_heads gate, struct nn_heads up, struct nn_heads y)
{
	struct job j = { .a = gate, .b = up, .c = y };

	rt_parallel(gate.rows, rows_of(gate), swiglu_piece, &j);
}

static void swiglu_backward_piece(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;

	for (int64_t r = first; r < last; r++)
		kernels()->swiglu_backward(j->a.data + r * j->a.ld, j->b.data + r * j->b.ld,
		                           j->c.data + r * j->c.ld, j->d.data + r * j->d.ld,
		                           j->e.data + r * j->e.ld, j->a.n);
}

void nn_swiglu_backward(struct nn_heads gate, struct nn_heads up, struct nn_heads dy,
                        struct nn_heads dgate, struct nn_heads dup)
{
	struct job j = { .a = gate, .b = up, .c = dy, .d = dgate, .e = dup };

	rt_parallel(gate.rows, rows_of(gate), swiglu_backward_piece, &j);
}
