/* dtype.h - the table of storage types, as the tensor room sees it. */
#ifndef TENSOR_DTYPE_H
#define TENSOR_DTYPE_H

#include <retort/tensor.h>

struct dtype {
	struct rt_dtype_info info;
	/* One row, whole blocks; importance[n] or NULL.  NULL for types that nothing is
	 * rounded to. */
	void (*store)(const float *src, int64_t n, const float *importance, void *dst);
};

/* NULL for a number that is none. [any] */
const struct dtype *dtype_of(int64_t dtype);

#endif
