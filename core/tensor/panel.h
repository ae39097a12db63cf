/* panel.h - weights of block types in the order in which integer products read them.
 *
 * A panel is PANEL_ROWS rows of a matrix side by side: 64 bytes hold four neighbours along k of
 * each row, so one vector instruction goes four numbers on in sixteen rows, and nothing is ever
 * added across a vector.  Small types stay small: memory is the limit of a product with one row.
 *
 * Every block type of GGUF becomes one of a few layouts, element = scale * (u - zero) - min with
 * u >= 0 of 4, 5, 6 or 8 bits.  One group of INT8_GROUP along k follows the other, so that a panel
 * is read from one end to the other.  In a group stand, one behind the other,
 *
 *   - scales: 16 as f16, or twice 16 where each half of a group has its own; mins in the same way;
 *   - nibbles, up to 6 bits: byte 64 t + 4 j + c has row j, k = 4 t + c in its low four bits and
 *     k = 16 + 4 t + c in its high ones; 256 bytes;
 *   - the plane of what is above four bits.  5 bits: 64 bytes, bit s of byte 4 j + c belongs to
 *     k = 4 s + c.  6 bits: 128 bytes, two bits each in the same way, four s to 64 bytes;
 *   - or bytes, 8 bits: byte 64 s + 4 j + c has k = 4 s + c; 512 bytes.
 *
 * Scales are the type's own where those are f16; the product of two (K types) is rounded, a
 * relative error below 2^-11.  A matrix with a scale that f16 cannot hold is refused. */
#ifndef TENSOR_PANEL_H
#define TENSOR_PANEL_H

#include <retort/tensor.h>

#include "tensor/kernels.h"

struct panels {
	const struct panel_layout *layout; /* NULL: there are no panels */
	int                        zero;
	int64_t                    rows, k;
	int64_t                    stride; /* bytes from panel to panel */
	uint8_t                   *data;
};

/* Copy w [rows, k] of a block type, rows dense.  *ret has no data when the type has no layout, k
 * is not in whole groups, or a scale does not fit: not an error.  RT_E_NOMEM.  Uses all threads. */
int  panels_pack(struct panels *ret, const struct rt_tensor *w, struct rt_error *err);
void panels_free(struct panels *p);

/* One product of several that share their input. */
struct panels_product {
	const struct panels *w;
	const float         *bias; /* [w->rows] or NULL */
	float               *c;    /* [m, w->rows], rows ldc apart */
	int64_t              ldc;
	bool                 add; /* to c, else c is overwritten */
};

enum { PANELS_TOGETHER = 4 };

/* n <= PANELS_TOGETHER times c = x w^T (+ bias) (+ c), x [m, k] rounded to 8 bits in groups of
 * INT8_GROUP.  A row of c is the same bits for any number of rows beside it.  RT_E_NOMEM. [any] */
int panels_multiply(const float *x, int64_t ldx, int64_t m, const struct panels_product *p, int n,
                    struct rt_error *err);

#endif
