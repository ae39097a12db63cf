/* dtype.c - storage types: one table, and conversion of stretches and views. */
#include "tensor/dtype.h"

#include <retort/memory.h>
#include <retort/parallel.h>

#include "tensor/block.h"
#include "tensor/half.h"
#include "tensor/kernels.h"
#include "tensor/quantize.h"

#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#define STORE_NUMBERS(name, type, convert)                                                         \
	static void store_##name(const float *src, int64_t n, const float *importance, void *dst)  \
	{                                                                                          \
		(void)importance;                                                                  \
		for (int64_t i = 0; i < n; i++) {                                                  \
			const type x = convert(src[i]);                                            \
                                                                                                   \
			memcpy((char *)dst + i * (int64_t)sizeof x, &x, sizeof x);                 \
		}                                                                                  \
	}

STORE_NUMBERS(f32, float, (float))
STORE_NUMBERS(f64, double, (double))
STORE_NUMBERS(f16, uint16_t, f32_to_f16)
STORE_NUMBERS(bf16, uint16_t, f32_to_bf16)

#define NUMBER(name, size, store)                                                                  \
	{                                                                                          \
		{ name, 1, size, true, (store) != NULL }, store                                    \
	}
#define BLOCK(type, number, size, count)                                                           \
	[number] = { { #type, count, size, true, true }, quantize_##type },

static const struct dtype table[RT_DTYPES] = { [RT_F32] = NUMBER("f32", 4, store_f32),
	                                       [RT_F16] = NUMBER("f16", 2, store_f16),
	                                       [RT_BF16] = NUMBER("bf16", 2, store_bf16),
	                                       [RT_F64] = NUMBER("f64", 8, store_f64),
	                                       [RT_I8] = NUMBER("i8", 1, NULL),
	                                       [RT_I16] = NUMBER("i16", 2, NULL),
	                                       [RT_I32] = NUMBER("i32", 4, NULL),
	                                       [RT_I64] = NUMBER("i64", 8, NULL),
	                                       BLOCK_TYPES(BLOCK) };

const struct dtype *dtype_of(int64_t dtype)
{
	return dtype >= 0 && dtype < RT_DTYPES && table[dtype].info.name ? &table[dtype] : NULL;
}

const struct rt_dtype_info *rt_dtype_info(int64_t dtype)
{
	const struct dtype *t = dtype_of(dtype);

	return t ? &t->info : NULL;
}

int rt_dtype_find(const char *name)
{
	for (int i = 0; i < RT_DTYPES; i++)
		if (table[i].info.name && strcasecmp(table[i].info.name, name) == 0)
			return i;
	return -1;
}

static int whole_blocks(const struct dtype *t, int64_t dtype, int64_t n, struct rt_error *err)
{
	if (!t)
		return rt_fail(err, RT_E_UNSUP, "storage type %lld is not supported",
		               (long long)dtype);
	if (n < 0 || n % t->info.block)
		return rt_fail(err, RT_E_SHAPE, "%lld elements of %s are no whole blocks of %lld",
		               (long long)n, t->info.name, (long long)t->info.block);
	return 0;
}

int rt_dequantize(int64_t dtype, const void *src, int64_t n, float *dst, struct rt_error *err)
{
	const int r = whole_blocks(dtype_of(dtype), dtype, n, err);

	if (r == 0)
		kernels()->load[dtype](src, n, dst);
	return r;
}

struct quantize_job {
	const struct dtype *type;
	const float        *src, *importance;
	char               *dst;
	int64_t             columns, row_bytes;
	atomic_bool         bad;
};

/* x - x is 0 for every number and NaN for the rest. */
static bool all_finite(const float *x, int64_t n)
{
	float sum = 0.0f;

	for (int64_t i = 0; i < n; i++)
		sum += x[i] - x[i];
	return sum == 0.0f;
}

static void quantize_rows(void *arg, int64_t first, int64_t last)
{
	struct quantize_job *j = arg;

	for (int64_t row = first; row < last; row++) {
		const float *src = j->src + row * j->columns;

		if (j->type->info.block > 1 && !all_finite(src, j->columns))
			atomic_store(&j->bad, true);
		else
			j->type->store(src, j->columns, j->importance, j->dst + row * j->row_bytes);
	}
}

int rt_quantize(int64_t dtype, const float *src, int64_t rows, int64_t columns,
                const float *importance, void *dst, struct rt_error *err)
{
	struct quantize_job j = { .type = dtype_of(dtype),
		                  .src = src,
		                  .importance = importance,
		                  .dst = dst,
		                  .columns = columns };
	const int           r = whole_blocks(j.type, dtype, columns, err);

	if (r != 0)
		return r;
	if (!j.type->store)
		return rt_fail(err, RT_E_UNSUP, "cannot round to %s", j.type->info.name);
	if (importance)
		for (int64_t i = 0; i < columns; i++)
			if (!(importance[i] >= 0.0f) || importance[i] - importance[i] != 0.0f)
				return rt_fail(err, RT_E_NUMERIC, "importance of column %lld is %g",
				               (long long)i, (double)importance[i]);
	j.row_bytes = columns / j.type->info.block * j.type->info.bytes;
	rt_parallel(rows, columns > 0 ? 1 + 4096 / columns : 1, quantize_rows, &j);
	if (atomic_load(&j.bad))
		return rt_fail(err, RT_E_NUMERIC, "an element to be rounded to %s is not finite",
		               j.type->info.name);
	return 0;
}

/* The part of a view that dim[0] to dim[2] number as `row`. */
static int64_t row_offset(const struct rt_tensor *t, int64_t row)
{
	const int64_t k = row % t->dim[2], j = row / t->dim[2] % t->dim[1];
	const int64_t i = row / t->dim[2] / t->dim[1];

	return i * t->stride[0] + j * t->stride[1] + k * t->stride[2];
}

/* The same tensor with four dimensions, missing ones in front. */
static struct rt_tensor pad(const struct rt_tensor *t)
{
	struct rt_tensor r = *t;
	const int        shift = RT_MAX_DIM - t->ndim;

	for (int i = 0; i < RT_MAX_DIM; i++) {
		r.dim[i] = i < shift ? 1 : t->dim[i - shift];
		r.stride[i] = i < shift ? 0 : t->stride[i - shift];
	}
	r.ndim = RT_MAX_DIM;
	return r;
}

static void gather(const struct rt_tensor *t, int64_t row, float *buffer)
{
	const int64_t at = row_offset(t, row), n = t->dim[3];

	if (t->stride[3] == 1)
		kernels()->load[t->dtype](rt_at(t, at), n, buffer);
	else
		for (int64_t i = 0; i < n; i++)
			kernels()->load[t->dtype](rt_at(t, at + i * t->stride[3]), 1, buffer + i);
}

int rt_convert(const struct rt_tensor *src, struct rt_tensor *dst, struct rt_error *err)
{
	const struct dtype    *from = dtype_of(src->dtype), *to = dtype_of(dst->dtype);
	const struct rt_tensor s = pad(src);
	const int64_t          n = s.dim[3], rows = n ? rt_numel(&s) / n : 0;
	float                 *buffer;
	int                    r = 0;

	if (!from || !to || !to->store || (from->info.block > 1 && s.stride[3] != 1))
		return rt_fail(err, RT_E_UNSUP, "cannot convert this view of %s to %s",
		               from ? from->info.name : "an unknown type",
		               to ? to->info.name : "an unknown type");
	if (memcmp(s.dim, pad(dst).dim, sizeof s.dim) != 0 || !rt_is_dense(dst) ||
	    n % to->info.block || n % from->info.block)
		return rt_fail(err, RT_E_SHAPE,
		               "a conversion wants equal shapes, whole blocks and "
		               "a dense target");
	buffer = rt_alloc_aligned((size_t)n, sizeof *buffer);
	if (!buffer)
		return rt_fail_nomem(err, "a conversion");
	for (int64_t row = 0; row < rows && r == 0; row++) {
		gather(&s, row, buffer);
		r = rt_quantize(dst->dtype, buffer, 1, n, NULL, rt_at(dst, row * n), err);
	}
	rt_free(buffer);
	return r;
}
