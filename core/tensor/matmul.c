/* matmul.c - rt_matmul(): shapes are checked, each matrix goes to the product that suits it. */
#include <retort/memory.h>
#include <retort/parallel.h>
#include <retort/tensor.h>

#include "tensor/dtype.h"
#include "tensor/gemm.h"
#include "tensor/kernels.h"

#include <math.h>
#include <stdatomic.h>

enum {
	FEW = 8,             /* rows of a for which packing b does not pay */
	TINY = 300000,       /* products that are done before another thread has begun */
	SMALL = 64 * 64 * 64 /* and those that are too small for BLAS */
};

struct call {
	struct rt_tensor         a, b, c; /* four dimensions */
	struct rt_matmul_options o;
	bool                     serial;
	atomic_int               code; /* of a failure in some piece */
};

static struct rt_tensor pad(const struct rt_tensor *t)
{
	struct rt_tensor r = *t;
	const int        shift = RT_MAX_DIM - t->ndim;

	for (int i = 0; i < RT_MAX_DIM; i++) {
		r.dim[i] = i < shift ? 1 : t->dim[i - shift];
		r.stride[i] = i < shift ? 0 : t->stride[i - shift];
		if (r.dim[i] == 1 && i < 2)
			r.stride[i] = 0; /* repeats */
	}
	r.ndim = RT_MAX_DIM;
	return r;
}

static int check_operand(const struct rt_tensor *t, int along, const char *name,
                         struct rt_error *err)
{
	const struct dtype *d = dtype_of(t->dtype);

	if (!d || !d->info.to_float)
		return rt_fail(err, RT_E_UNSUP,
		               "matrix %s has storage type %u, which cannot be "
		               "multiplied",
		               name, (unsigned)t->dtype);
	if (d->info.block == 1)
		return 0;
	if (t->stride[along] != 1 || t->dim[along] % d->info.block ||
	    t->stride[5 - along] % d->info.block || t->stride[0] % d->info.block ||
	    t->stride[1] % d->info.block)
		return rt_fail(err, RT_E_SHAPE,
		               "blocks of %s (%s) must lie along the sum and be "
		               "whole",
		               name, d->info.name);
	return 0;
}

static int check(const struct call *k, struct rt_error *err)
{
	const int64_t *a = k->a.dim, *b = k->b.dim, *c = k->c.dim;
	int            r;

	if (k->c.dtype != RT_F32)
		return rt_fail(err, RT_E_UNSUP, "a product is f32, not of storage type %u",
		               (unsigned)k->c.dtype);
	if (a[3] != b[2] || c[2] != a[2] || c[3] != b[3])
		return rt_fail(err, RT_E_SHAPE,
		               "%lld x %lld times %lld x %lld does not give "
		               "%lld x %lld",
		               (long long)a[2], (long long)a[3], (long long)b[2], (long long)b[3],
		               (long long)c[2], (long long)c[3]);
	for (int i = 0; i < 2; i++)
		if ((a[i] != c[i] && a[i] != 1) || (b[i] != c[i] && b[i] != 1))
			return rt_fail(err, RT_E_SHAPE,
			               "batches of %lld and %lld matrices do not "
			               "give %lld",
			               (long long)a[i], (long long)b[i], (long long)c[i]);
	if (k->o.bias && (k->o.bias->dtype != RT_F32 || k->o.bias->ndim != 1 ||
	                  k->o.bias->dim[0] != c[3] || k->o.bias->stride[0] != 1))
		return rt_fail(err, RT_E_SHAPE, "a bias is f32 [%lld]", (long long)c[3]);
	r = check_operand(&k->a, 3, "a", err);
	return r ? r : check_operand(&k->b, 2, "b", err);
}

/* c = beta c + bias, in front of the product; true when the product must add to it. */
static bool prepare(const struct call *k, const struct product *p)
{
	const float *bias = k->o.bias ? k->o.bias->data : NULL;

	if (k->o.beta == 0.0f && !bias && p->k > 0)
		return false;
	if (k->o.beta == 1.0f && !bias)
		return true;
	for (int64_t i = 0; i < p->m; i++) {
		float *c = p->c + i * p->ldc;

		for (int64_t j = 0; j < p->n; j++)
			c[j] = (k->o.beta != 0.0f ? k->o.beta * c[j] : 0.0f) +
			       (bias ? bias[j] : 0.0f);
	}
	return true;
}

static int multiply(const struct product *p, unsigned flags, struct rt_error *err)
{
	const double size = (double)p->m * (double)p->n * (double)p->k;
	const bool   rows = p->a.dtype == RT_F32 && p->a.k == 1 && p->b.k == 1;

	if (p->m == 0 || p->n == 0 || p->k == 0)
		return 0;
	if (p->bf16 || flags & RT_MATMUL_MANY)
		return gemm_packed(p, err);
	if (rows && (p->m <= FEW || flags & RT_MATMUL_ROWS))
		return gemm_rows(p, err);
	if (size > SMALL && blas_takes(p) && blas_preferred()) {
		blas_gemm(p);
		return 0;
	}
	return gemm_packed(p, err);
}

/* c whose rows are not contiguous: through a dense one. */
static int through_buffer(struct call *k, struct product *p, int64_t column, struct rt_error *err)
{
	float *c = p->c, *dense = rt_alloc_aligned((size_t)p->m, (size_t)p->n * sizeof *dense);
	int    r;

	if (!dense)
		return rt_fail_nomem(err, "a matrix product");
	for (int64_t i = 0; i < p->m; i++)
		for (int64_t j = 0; j < p->n; j++)
			dense[i * p->n + j] = k->o.beta != 0.0f ? c[i * p->ldc + j * column] : 0.0f;
	p->c = dense;
	const int64_t ldc = p->ldc;

	p->ldc = p->n;
	p->add = prepare(k, p);
	r = multiply(p, k->o.flags, err);
	for (int64_t i = 0; i < p->m && r == 0; i++)
		for (int64_t j = 0; j < p->n; j++)
			c[i * ldc + j * column] = dense[i * p->n + j];
	rt_free(dense);
	return r;
}

static int check_finite(const struct product *p, struct rt_error *err)
{
	for (int64_t i = 0; i < p->m; i++)
		for (int64_t j = 0; j < p->n; j++)
			if (!isfinite(p->c[i * p->ldc + j]))
				return rt_fail(err, RT_E_NUMERIC,
				               "element (%lld, %lld) of a product "
				               "is %g",
				               (long long)i, (long long)j,
				               (double)p->c[i * p->ldc + j]);
	return 0;
}

static int one(struct call *k, int64_t index, struct rt_error *err)
{
	const int64_t  x = index / k->c.dim[1], y = index % k->c.dim[1];
	const int64_t  column = k->c.dim[3] == 1 ? 1 : k->c.stride[3];
	const int64_t *as = k->a.stride, *bs = k->b.stride, *cs = k->c.stride;
	struct product p = { .m = k->c.dim[2],
		             .n = k->c.dim[3],
		             .k = k->a.dim[3],
		             .ldc = cs[2],
		             .alpha = k->o.alpha,
		             .bf16 = k->o.flags & RT_MATMUL_BF16 };
	int            r;

	p.a = (struct operand){ rt_at(&k->a, x * as[0] + y * as[1]), k->a.dtype, as[2], as[3] };
	p.b = (struct operand){ rt_at(&k->b, x * bs[0] + y * bs[1]), k->b.dtype, bs[3], bs[2] };
	p.c = (float *)k->c.data + x * cs[0] + y * cs[1];
	p.serial = k->serial || (double)p.m * (double)p.n * (double)p.k <= TINY;
	if (p.k == 1)
		p.a.k = p.b.k = 1; /* a stride that is never walked */
	if (column != 1)
		return through_buffer(k, &p, column, err);
	p.add = prepare(k, &p);
	r = multiply(&p, k->o.flags, err);
	return r == 0 && k->o.flags & RT_MATMUL_CHECK ? check_finite(&p, err) : r;
}

static void batch_piece(void *arg, int64_t first, int64_t last)
{
	struct call *k = arg;

	for (int64_t i = first; i < last; i++) {
		const int r = one(k, i, NULL);

		if (r != 0)
			atomic_store(&k->code, r);
	}
}

int rt_matmul(const struct rt_tensor *a, const struct rt_tensor *b, const struct rt_tensor *c,
              const struct rt_matmul_options *options, struct rt_error *err)
{
	static const struct rt_matmul_options standard = RT_MATMUL_DEFAULT;
	struct call                           k = {
					  .a = pad(a), .b = pad(b), .c = pad(c), .o = options ? *options : standard
	};
	const int64_t batch = k.c.dim[0] * k.c.dim[1];
	int           r = check(&k, err);

	if (r != 0)
		return r;
	/* Many matrices of less than a few million products: a thread for each. */
	k.serial = batch >= 4 && (double)k.c.dim[2] * (double)k.c.dim[3] * (double)k.a.dim[3] < 4e6;
	if (k.serial) {
		rt_parallel(batch, 1, batch_piece, &k);
		r = atomic_load(&k.code);
		return r ? rt_fail(err, r, "a batched product failed: %s", rt_code_text(r)) : 0;
	}
	for (int64_t i = 0; i < batch && r == 0; i++)
		r = one(&k, i, err);
	return r;
}
