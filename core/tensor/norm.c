/* norm.c - RMSNorm and rotary positions.  See nn.h */
#include <retort/parallel.h>

#include "tensor/kernels.h"
#include "tensor/nn.h"

#include <math.h>

enum { GRAIN = 1 << 14, COLUMNS = 64, STRETCH = 256 };

struct job {
	struct nn_heads x, y, dx;
	const float    *weight, *scale;
	float          *ret_scale, *dweight;
	double          eps;
	bool            add;
};

static float *head(struct nn_heads x, int64_t r, int64_t h)
{
	return x.data + r * x.ld + h * x.n;
}

static int64_t rows_of(struct nn_heads x)
{
	return 1 + GRAIN / (x.heads * x.n + 1);
}

static void forward(void *arg, int64_t first, int64_t last)
{
	const struct job     *j = arg;
	const struct kernels *kn = kernels();
	const int64_t         n = j->x.n;

	for (int64_t r = first; r < last; r++)
		for (int64_t h = 0; h < j->x.heads; h++) {
			const float *x = head(j->x, r, h);
			float       *y = head(j->y, r, h);
			const float  s =
				(float)(1.0 / sqrt(kn->sum_squares(x, n) / (double)n + j->eps));

			for (int64_t i = 0; i < n; i++)
				y[i] = x[i] * s * j->weight[i];
			if (j->ret_scale)
				j->ret_scale[r * j->x.heads + h] = s;
		}
}

void nn_rmsnorm(struct nn_heads x, const float *weight, double eps, struct nn_heads y,
                float *ret_scale)
{
	struct job j = { .x = x, .y = y, .weight = weight, .eps = eps, .ret_scale = ret_scale };

	rt_parallel(x.rows, rows_of(x), forward, &j);
}

static double sum_of_three(const float *x, const float *w, const float *dy, int64_t n)
{
	double sum = 0.0;

	for (int64_t first = 0; first < n; first += STRETCH) {
		const int64_t m = n - first < STRETCH ? n - first : STRETCH;
		float         t[STRETCH];

		for (int64_t i = 0; i < m; i++)
			t[i] = w[first + i] * dy[first + i];
		sum += kernels()->sum_products(x + first, t, m);
	}
	return sum;
}

/* With y = x s w: dx = s (w dy) - x s^3 / n sum(x w dy). */
static void backward(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;
	const int64_t     n = j->x.n;

	for (int64_t r = first; r < last; r++)
		for (int64_t h = 0; h < j->x.heads; h++) {
			const float *x = head(j->x, r, h), *dy = head(j->y, r, h);
			float       *dx = head(j->dx, r, h);
			const float  s = j->scale[r * j->x.heads + h];
			const double sum = sum_of_three(x, j->weight, dy, n);
			const float  back = (float)(sum / (double)n) * s * s * s;

			for (int64_t i = 0; i < n; i++) {
				const float d = s * (j->weight[i] * dy[i]) - x[i] * back;

				dx[i] = j->add ? dx[i] + d : d;
			}
		}
}

static void backward_weight(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;
	double            sum[COLUMNS] = { 0 };

	for (int64_t r = 0; r < j->x.rows; r++)
		for (int64_t h = 0; h < j->x.heads; h++) {
			const float *x = head(j->x, r, h) + first, *dy = head(j->y, r, h) + first;
			const float  s = j->scale[r * j->x.heads + h];

			for (int64_t i = 0; i < last - first; i++)
				sum[i] += (double)(x[i] * s) * dy[i];
		}
	for (int64_t i = 0; i < last - first; i++)
		j->dweight[first + i] += (float)sum[i];
}

void nn_rmsnorm_backward(struct nn_heads x, const float *weight, const float *scale,
                         struct nn_heads dy, struct nn_heads dx, bool add, float *dweight)
{
	struct job j = { .x = x,
		         .y = dy,
		         .dx = dx,
		         .weight = weight,
		         .scale = scale,
		         .dweight = dweight,
		         .add = add };

	/* First, because dx may be dy. */
	if (dweight)
		rt_parallel(x.n, COLUMNS, backward_weight, &j);
	if (dx.data)
		rt_parallel(x.rows, rows_of(x), backward, &j);
}

/* ---- rotary positions ------------------------------------------------------------------- */

struct turn {
	struct nn_heads x;
	const float    *cos, *sin;
	int64_t         half;
	float           sign;
};

static void turn(void *arg, int64_t first, int64_t last)
{
	const struct turn *t = arg;

	for (int64_t r = first; r < last; r++) {
		const float *c = t->cos + r * t->half;
		const float *s = t->sin + r * t->half;

		for (int64_t h = 0; h < t->x.heads; h++) {
			float *a = head(t->x, r, h), *b = a + t->half;

			for (int64_t i = 0; i < t->half; i++) {
				const float u = a[i], v = b[i], w = t->sign * s[i];

				a[i] = u * c[i] - v * w;
				b[i] = v * c[i] + u * w;
			}
		}
	}
}

void nn_rotary(struct nn_heads x, const float *cos, const float *sin, int64_t dim, bool backward)
{
	struct turn t = {
		.x = x, .cos = cos, .sin = sin, .half = dim / 2, .sign = backward ? -1.0f : 1.0f
	};

	rt_parallel(x.rows, rows_of(x), turn, &t);
}
