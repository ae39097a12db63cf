/* embedding.c - rows of a table by token, and their gradient.  See nn.h */
#include <retort/parallel.h>

#include "tensor/dtype.h"
#include "tensor/kernels.h"
#include "tensor/nn.h"

enum { GRAIN = 1 << 14, COLUMNS = 64 };

struct job {
	const struct rt_tensor *table;
	const int32_t          *id;
	struct nn_heads         y;
	float                  *dtable;
};

static void look_up(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;

	for (int64_t r = first; r < last; r++)
		kernels()->load[j->table->dtype](rt_at(j->table, j->id[r] * j->table->stride[0]),
		                                 j->y.n, j->y.data + r * j->y.ld);
}

int nn_embedding(const struct rt_tensor *table, const int32_t *id, struct nn_heads y,
                 struct rt_error *err)
{
	struct job j = { .table = table, .id = id, .y = y };

	if (table->ndim != 2 || table->dim[1] != y.n || table->stride[1] != 1 || y.heads != 1)
		return rt_fail(err, RT_E_SHAPE,
		               "a table of %lld columns does not give rows of %lld",
		               (long long)table->dim[1], (long long)y.n);
	if (!dtype_of(table->dtype))
		return rt_fail(err, RT_E_UNSUP, "a table of storage type %u",
		               (unsigned)table->dtype);
	for (int64_t r = 0; r < y.rows; r++)
		if (id[r] < 0 || id[r] >= table->dim[0])
			return rt_fail(err, RT_E_RANGE,
			               "token %ld at position %lld is outside the "
			               "vocabulary of %lld",
			               (long)id[r], (long long)r, (long long)table->dim[0]);
	rt_parallel(y.rows, 1 + GRAIN / (y.n + 1), look_up, &j);
	return 0;
}

/* A piece owns columns, so rows add up in their order whatever the threads do. */
static void scatter(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;

	for (int64_t r = 0; r < j->y.rows; r++) {
		const float *dy = j->y.data + r * j->y.ld;
		float       *d = j->dtable + (int64_t)j->id[r] * j->y.n;

		for (int64_t i = first; i < last; i++)
			d[i] += dy[i];
	}
}

void nn_embedding_backward(const int32_t *id, struct nn_heads dy, float *dtable)
{
	struct job j = { .id = id, .y = dy, .dtable = dtable };

	rt_parallel(dy.n, COLUMNS, scatter, &j);
}
