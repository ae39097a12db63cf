/* blas.c - the only file that knows a BLAS: large f32 products by OpenBLAS.
 *
 * OpenBLAS picks its kernels by processor, and releases have picked wrong ones for processors
 * younger than themselves.  So it is tried once on a handful of shapes against sums in double;
 * if it is wrong, our own kernels do the work.  One that dies of an illegal instruction cannot
 * be caught that way: OPENBLAS_CORETYPE (Haswell works on all with AVX2) is the remedy. */
#include "tensor/gemm.h"

#include <retort/memory.h>
#include <retort/parallel.h>

#include "tensor/kernels.h"

#include <cblas.h>

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
	PIECE_M = 256, /* of c, that one call computes: the cut depends on the shape alone */
	PIECE_N = 512
};

static struct {
	bool usable;
	char text[192];
} blas;

static void sgemm(const struct product *p, int64_t i, int64_t j, int64_t m, int64_t n)
{
	const bool   ta = p->a.k != 1, tb = p->b.k == 1;
	const float *a = (const float *)p->a.data + i * p->a.row;
	const float *b = (const float *)p->b.data + j * p->b.row;

	cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans,
	            (int)m, (int)n, (int)p->k, p->alpha, a, (int)(ta ? p->a.k : p->a.row), b,
	            (int)(tb ? p->b.row : p->b.k), p->add ? 1.0f : 0.0f, p->c + i * p->ldc + j,
	            (int)p->ldc);
}

static bool fits(const struct operand *o)
{
	return o->dtype == RT_F32 && (o->row == 1 || o->k == 1) && o->row > 0 && o->k > 0 &&
	       o->row <= INT_MAX && o->k <= INT_MAX;
}

bool blas_takes(const struct product *p)
{
	return fits(&p->a) && fits(&p->b) && p->k <= INT_MAX && p->ldc <= INT_MAX &&
	       (p->a.k == 1 ? p->a.row >= p->k : p->a.k >= p->m) &&
	       (p->b.k == 1 ? p->b.row >= p->k : p->b.k >= p->n) && p->ldc >= p->n;
}

/* Numbers with little pattern, exact in float. */
static float sample(int64_t i)
{
	return (float)((i * 7919 + 13) % 2003 - 1001) / 1024.0f;
}

static bool right(const struct product *p)
{
	const float *a = p->a.data, *b = p->b.data;

	for (int64_t i = 0; i < p->m; i++)
		for (int64_t j = 0; j < p->n; j++) {
			double sum = 0.0, size = 0.0;

			for (int64_t k = 0; k < p->k; k++) {
				const double t = (double)a[i * p->a.row + k * p->a.k] *
				                 b[j * p->b.row + k * p->b.k];

				sum += t;
				size += fabs(t);
			}
			/* A NaN fails the comparison, too. */
			if (!(fabs(p->c[i * p->ldc + j] - sum) <= 1e-5 * size + 1e-6))
				return false;
		}
	return true;
}

/* One shape in all four layouts, with edges that are no multiple of any kernel's block. */
static bool try_shape(int64_t m, int64_t n, int64_t k, float *room)
{
	float *a = room, *b = a + m * k, *c = b + n * k;

	for (int64_t i = 0; i < m * k + n * k; i++)
		room[i] = sample(i);
	for (int layout = 0; layout < 4; layout++) {
		struct product p = { .m = m, .n = n, .k = k, .c = c, .ldc = n, .alpha = 1.0f };

		p.a = (struct operand){ a, RT_F32, layout & 1 ? 1 : k, layout & 1 ? m : 1 };
		p.b = (struct operand){ b, RT_F32, layout & 2 ? 1 : k, layout & 2 ? n : 1 };
		if (!blas_takes(&p))
			continue;
		for (int64_t i = 0; i < m * n; i++)
			c[i] = NAN; /* an element that is not written shows */
		sgemm(&p, 0, 0, m, n);
		if (!right(&p))
			return false;
	}
	return true;
}

static bool self_check(void)
{
	static const int64_t shapes[][3] = { { 5, 7, 3 },    { 33, 17, 65 },   { 64, 64, 64 },
		                             { 1, 100, 50 }, { 97, 131, 300 }, { 256, 48, 500 } };
	float               *room = rt_alloc_aligned(300000, sizeof *room);
	bool                 ok = room != NULL;

	for (size_t i = 0; ok && i < sizeof shapes / sizeof *shapes; i++)
		ok = try_shape(shapes[i][0], shapes[i][1], shapes[i][2], room);
	rt_free(room);
	return ok;
}

/* "OpenBLAS 0.3.21" out of a string that goes on with build options. */
static int version_length(const char *config)
{
	const size_t word = strcspn(config, " ");

	return (int)(word + (config[word] ? 1 + strcspn(config + word + 1, " ") : 0));
}

static void start(void)
{
	const char *config = openblas_get_config();

	openblas_set_num_threads(1); /* the pool of retort/parallel.h has the threads */
	blas.usable = self_check();
	snprintf(blas.text, sizeof blas.text,
	         blas.usable ? "%.*s (%s)"
	                     : "own kernels: %.*s (%s) gives wrong results on this processor; set "
	                       "OPENBLAS_CORETYPE=Haswell",
	         version_length(config), config, openblas_get_corename());
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

bool blas_usable(void)
{
	pthread_once(&once, start);
	return blas.usable;
}

/* Measured with OpenBLAS 0.3.21 on two cores: equal to ours on one thread (AVX2 128 to 128
 * GFLOP/s, AVX-512 240 to 240) and two thirds of ours when the pool calls it from two, because
 * it takes a lock.  So it works where we have no kernels for the processor. */
bool blas_preferred(void)
{
	return kernels() == &kernels_generic && blas_usable();
}

const char *rt_blas(void)
{
	if (kernels() != &kernels_generic)
		return "own kernels";
	blas_usable();
	return blas.text;
}

static void piece(void *arg, int64_t first, int64_t last)
{
	const struct product *p = arg;
	const int64_t         across = (p->n + PIECE_N - 1) / PIECE_N;

	for (int64_t t = first; t < last; t++) {
		const int64_t i = t / across * PIECE_M, j = t % across * PIECE_N;

		sgemm(p, i, j, p->m - i < PIECE_M ? p->m - i : PIECE_M,
		      p->n - j < PIECE_N ? p->n - j : PIECE_N);
	}
}

void blas_gemm(const struct product *p)
{
	const int64_t across = (p->n + PIECE_N - 1) / PIECE_N;
	const int64_t pieces = (p->m + PIECE_M - 1) / PIECE_M * across;

	if (p->serial)
		piece((void *)p, 0, pieces);
	else
		rt_parallel(pieces, 1, piece, (void *)p);
}
