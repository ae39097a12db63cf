/* tensor.c - views: shapes, strides, cuts.  See retort/tensor.h */
#include <retort/tensor.h>

#include <assert.h>

struct rt_tensor rt_tensor(void *data, enum rt_dtype dtype, int ndim, const int64_t *dim)
{
	struct rt_tensor t = { .data = data, .ndim = ndim, .dtype = dtype };
	int64_t          stride = 1;

	assert(ndim >= 1 && ndim <= RT_MAX_DIM);
	for (int i = RT_MAX_DIM - 1; i >= 0; i--) {
		t.dim[i] = i < ndim ? dim[i] : 1;
		t.stride[i] = stride;
		stride *= t.dim[i];
	}
	return t;
}

struct rt_tensor rt_vector(const float *data, int64_t n)
{
	return rt_tensor((void *)data, RT_F32, 1, &n);
}

struct rt_tensor rt_matrix(const float *data, int64_t rows, int64_t columns)
{
	return rt_tensor((void *)data, RT_F32, 2, (int64_t[]){ rows, columns });
}

int rt_tensor_init(struct rt_tensor *t, int64_t dtype, int ndim, const int64_t *dim, void *data,
                   struct rt_error *err)
{
	const struct rt_dtype_info *info = rt_dtype_info(dtype);
	int64_t                     n;

	if (!info)
		return rt_fail(err, RT_E_UNSUP, "storage type %lld is not supported",
		               (long long)dtype);
	if (ndim < 1 || ndim > RT_MAX_DIM)
		return rt_fail(err, RT_E_SHAPE, "%d dimensions; 1 to %d are supported", ndim,
		               RT_MAX_DIM);
	n = info->bytes;
	for (int i = 0; i < ndim; i++)
		if (dim[i] < 0 || __builtin_mul_overflow(n, dim[i] ? dim[i] : 1, &n))
			return rt_fail(err, RT_E_SHAPE,
			               "dimension %d of size %lld: below 0, or "
			               "more bytes than can be counted",
			               i, (long long)dim[i]);
	if (dim[ndim - 1] % info->block)
		return rt_fail(err, RT_E_SHAPE,
		               "rows of %lld elements are no whole blocks of %lld "
		               "(%s)",
		               (long long)dim[ndim - 1], (long long)info->block, info->name);
	*t = rt_tensor(data, (enum rt_dtype)dtype, ndim, dim);
	return 0;
}

int64_t rt_numel(const struct rt_tensor *t)
{
	return t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3];
}

int64_t rt_bytes(const struct rt_tensor *t)
{
	const struct rt_dtype_info *info = rt_dtype_info(t->dtype);

	return info ? rt_numel(t) / info->block * info->bytes : 0;
}

bool rt_is_dense(const struct rt_tensor *t)
{
	int64_t stride = 1;

	for (int i = t->ndim - 1; i >= 0; i--) {
		if (t->dim[i] != 1 && t->stride[i] != stride)
			return false;
		stride *= t->dim[i];
	}
	return true;
}

void *rt_at(const struct rt_tensor *t, int64_t index)
{
	const struct rt_dtype_info *info = rt_dtype_info(t->dtype);

	return (char *)t->data + index / info->block * info->bytes;
}

struct rt_tensor rt_transpose(struct rt_tensor t, int a, int b)
{
	const int64_t dim = t.dim[a], stride = t.stride[a];

	assert(a >= 0 && b >= 0 && a < t.ndim && b < t.ndim);
	t.dim[a] = t.dim[b];
	t.stride[a] = t.stride[b];
	t.dim[b] = dim;
	t.stride[b] = stride;
	return t;
}

struct rt_tensor rt_slice(struct rt_tensor t, int dim, int64_t first, int64_t count)
{
	assert(dim >= 0 && dim < t.ndim && first >= 0 && count >= 0);
	assert(first <= t.dim[dim] && count <= t.dim[dim] - first);
	t.data = rt_at(&t, first * t.stride[dim]);
	t.dim[dim] = count;
	return t;
}

struct rt_tensor rt_select(struct rt_tensor t, int dim, int64_t index)
{
	assert(t.ndim > 1);
	t = rt_slice(t, dim, index, 1);
	for (int i = dim; i + 1 < t.ndim; i++) {
		t.dim[i] = t.dim[i + 1];
		t.stride[i] = t.stride[i + 1];
	}
	t.ndim--;
	t.dim[t.ndim] = 1;
	t.stride[t.ndim] = 1;
	return t;
}
