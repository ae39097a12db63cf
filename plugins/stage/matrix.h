/* matrix.h - one matrix in few bits. */
#ifndef STAGE_MATRIX_H
#define STAGE_MATRIX_H

#include "calibration.h"

#include <retort/quantizer.h>

/* How. */
struct recipe {
	const struct rt_component *quantizer; /* NULL: every block is fitted by itself */
	int64_t                    group;     /* columns that share a scale; 0: a block's */
	const struct moments      *moments;   /* of its layer; NULL: nothing was seen */
};

/* The parameter's numbers into `to`, which has its shape and memory.  The quantizer is asked where
 * the type of `to` has codes (retort/blocks.h). */
int matrix_quantize(const struct recipe *recipe, const struct rt_parameter *p,
                    const struct rt_tensor *to, struct rt_error *err);

/* |to - p| / |p| in the Frobenius norm. */
int matrix_error(const struct rt_parameter *p, const struct rt_tensor *to, double *ret,
                 struct rt_error *err);

#endif
