/* gemm.c - own matrix products: packing, blocking, threads.  See gemm.h
 *
 * c is cut into blocks of MAX_M x MAX_N, sums into stretches of MAX_K.  For each, the operands
 * are packed once into panels (as wide as the register block, any storage type turned to float
 * on the way), then the panels are multiplied.  All cuts depend on the shape alone, so results
 * do not depend on the number of threads. */
#include "tensor/gemm.h"

#include <retort/parallel.h>

#include "tensor/dtype.h"
#include "tensor/kernels.h"

#include <stdatomic.h>
#include <string.h>

enum {
	MAX_K = 512, /* a multiple of every block; two panels of it fit the first cache */
	MAX_M = 1024,
	MAX_N = 4096,
	PIECE_A = 8, /* panels of a and b that one piece of work multiplies */
	PIECE_B = 4
};

struct job {
	const struct product *p;
	const struct kernels *kernels;
	float                *a, *b;      /* packed */
	int64_t               i0, j0, k0; /* the block at hand */
	int64_t               m, n, k;
	int64_t               across; /* pieces along n */
};

/* `count` rows from `row`, [k0, k0 + n) of each, as a panel `width` wide. */
static void pack_panel(const struct kernels *kn, const struct operand *o, int64_t row, int count,
                       int width, int64_t k0, int64_t n, float *dst)
{
	const struct rt_dtype_info *info = rt_dtype_info(o->dtype);
	const int64_t               origin = row * o->row + k0 * o->k;
	const char                 *data = (const char *)o->data;
	float                       rows[GEMM_MAX_NR * (MAX_K + 16)];

#define AT(index) (data + (index) / info->block * info->bytes)
	if (o->k == 1 && o->dtype == RT_F32) {
		kn->pack((const float *)o->data + origin, o->row, count, width, n, dst);
	} else if (o->k == 1) {
		/* The odd row length keeps rows from sharing cache sets. */
		for (int i = 0; i < count; i++)
			kn->load[o->dtype](AT(origin + i * o->row), n, rows + i * (MAX_K + 16));
		kn->pack(rows, MAX_K + 16, count, width, n, dst);
	} else {
		for (int64_t p = 0; p < n; p++, dst += width) {
			if (o->row == 1)
				kn->load[o->dtype](AT(origin + p * o->k), count, dst);
			else
				for (int i = 0; i < count; i++)
					kn->load[o->dtype](AT(origin + p * o->k + i * o->row), 1,
					                   dst + i);
			for (int i = count; i < width; i++)
				dst[i] = 0.0f;
		}
	}
#undef AT
}

static int part(int64_t size, int64_t first, int width)
{
	return (int)(size - first < width ? size - first : width);
}

static int64_t up(int64_t n, int64_t step)
{
	return (n + step - 1) / step;
}

static void pack_a(const struct job *j, int64_t t)
{
	const int w = j->kernels->mr;
	float    *dst = j->a + t * w * j->k;

	pack_panel(j->kernels, &j->p->a, j->i0 + t * w, part(j->m, t * w, w), w, j->k0, j->k, dst);
	if (j->p->alpha != 1.0f)
		for (int64_t i = 0; i < w * j->k; i++)
			dst[i] *= j->p->alpha;
}

static void pack_b(const struct job *j, int64_t t)
{
	const int w = j->kernels->nr;

	pack_panel(j->kernels, &j->p->b, j->j0 + t * w, part(j->n, t * w, w), w, j->k0, j->k,
	           j->b + t * w * j->k);
}

/* Panels of b, unless they are packed already, then those of a. */
static void pack(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;
	const int64_t     of_b = j->i0 == 0 ? up(j->n, j->kernels->nr) : 0;

	for (int64_t t = first; t < last; t++)
		if (t < of_b)
			pack_b(j, t);
		else
			pack_a(j, t - of_b);
}

/* One register block, through a buffer where it sticks out of c. */
static void tile(const struct job *j, int64_t i, int64_t n, bool add)
{
	const struct kernels *kn = j->kernels;
	const float          *a = j->a + i * j->k, *b = j->b + n * j->k;
	float                *c = j->p->c + (j->i0 + i) * j->p->ldc + j->j0 + n;
	const int             rows = part(j->m, i, kn->mr), columns = part(j->n, n, kn->nr);
	float                 buffer[GEMM_MAX_MR * GEMM_MAX_NR];

	if (rows == kn->mr && columns == kn->nr) {
		kn->gemm(j->k, a, b, c, j->p->ldc, add);
		return;
	}
	kn->gemm(j->k, a, b, buffer, kn->nr, false);
	for (int r = 0; r < rows; r++)
		for (int s = 0; s < columns; s++) {
			const float x = buffer[r * kn->nr + s];

			c[r * j->p->ldc + s] = add ? x + c[r * j->p->ldc + s] : x;
		}
}

static void multiply(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;
	const int64_t     high = (int64_t)PIECE_A * j->kernels->mr;
	const int64_t     wide = (int64_t)PIECE_B * j->kernels->nr;
	const bool        add = j->p->add || j->k0 > 0;

	for (int64_t t = first; t < last; t++) {
		const int64_t i0 = t / j->across * high, n0 = t % j->across * wide;
		const int64_t i1 = i0 + high < j->m ? i0 + high : j->m;
		const int64_t n1 = n0 + wide < j->n ? n0 + wide : j->n;

		for (int64_t n = n0; n < n1; n += j->kernels->nr)
			for (int64_t i = i0; i < i1; i += j->kernels->mr)
				tile(j, i, n, add);
	}
}

static void each(const struct job *j, int64_t n, int64_t grain, rt_piece_fn *fn)
{
	if (j->p->serial)
		fn((void *)j, 0, n);
	else
		rt_parallel(n, grain, fn, (void *)j);
}

static int64_t at_most(int64_t n, int64_t limit)
{
	return n < limit ? n : limit;
}

/* One stretch of k of one block of columns: a block of rows at a time. */
static void stretch(struct job *j)
{
	const struct kernels *kn = j->kernels;
	const int64_t         of_b = up(j->n, kn->nr);

	for (j->i0 = 0; j->i0 < j->p->m; j->i0 += j->m) {
		j->m = at_most(j->p->m - j->i0, MAX_M / kn->mr * kn->mr);
		j->across = up(j->n, (int64_t)PIECE_B * kn->nr);
		each(j, up(j->m, kn->mr) + (j->i0 == 0 ? of_b : 0), PIECE_B, pack);
		each(j, up(j->m, (int64_t)PIECE_A * kn->mr) * j->across, 1, multiply);
	}
}

int gemm_packed(const struct product *p, struct rt_error *err)
{
	struct job    j = { .p = p, .kernels = kernels() };
	const int64_t k = at_most(p->k, MAX_K);
	const int64_t size_a = up((at_most(p->m, MAX_M) + GEMM_MAX_MR) * k, 16) * 16;
	const int64_t size_b = (at_most(p->n, MAX_N) + GEMM_MAX_NR) * k;

	j.a = workspace_take((size_t)(size_a + size_b) * sizeof *j.a);
	if (!j.a)
		return rt_fail_nomem(err, "a matrix product");
	j.b = j.a + size_a;
	for (j.j0 = 0; j.j0 < p->n; j.j0 += j.n) {
		j.n = at_most(p->n - j.j0, MAX_N / j.kernels->nr * j.kernels->nr);
		for (j.k0 = 0; j.k0 < p->k; j.k0 += j.k) {
			j.k = at_most(p->k - j.k0, MAX_K);
			stretch(&j);
		}
	}
	workspace_give(j.a);
	return 0;
}
