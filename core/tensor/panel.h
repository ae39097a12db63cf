/* panel.h - weights in the order in which integer products read them.
 *
 * A panel is PANEL_ROWS rows of a matrix side by side: 64 bytes hold four neighbours along k of
 * each row (two, of 16 bits), so one vector instruction goes that far in sixteen rows, and nothing
 * is ever added across a vector.  Small types stay small: memory is the limit of a product with one
 * row.
 *
 * Every block type of GGUF becomes one of a few layouts, element = scale * (u - zero) - min with
 * u >= 0 of 4, 5, 6 or 8 bits; f16 and bf16 become scale * q, q of 16 bits with a sign, but bf16
 * stays bf16, in twelve bits, where the processor multiplies pairs of it.  One group of INT_GROUP
 * along k follows the other, so that a panel is read from one end to the other.  In a group stand,
 * one behind the other,
 *
 *   - scales: 16 as f16, or twice 16 where each half of a group has its own; mins in the same way;
 *     of 16 bits as bf16;
 *   - nibbles, up to 6 bits: byte 64 t + 4 j + c has row j, k = 4 t + c in its low four bits and
 *     k = 16 + 4 t + c in its high ones; 256 bytes;
 *   - the plane of what is above four bits.  5 bits: 64 bytes, bit s of byte 4 j + c belongs to
 *     k = 4 s + c.  6 bits: 128 bytes, two bits each in the same way, four s to 64 bytes;
 *   - or bytes, 8 bits: byte 64 s + 4 j + c has k = 4 s + c; 512 bytes;
 *   - or 16 bits: two bytes from 64 s + 4 j + 2 c have k = 2 s + c; 1024 bytes;
 *   - or twelve bits (tight), 768 bytes: for each four s of those a line of how far their exponents
 *     are below the largest of their row and group, s mod 4 in bits 4 (s mod 4) of two bytes, and
 *     two lines of signs and fractions, where they are in bf16, odd s with their bytes exchanged.
 *     Two panels are interleaved group by group; those exponents, 32 to a group, stand before all
 *     groups.  While many rows are multiplied, some panels are bf16 again (loose), in memory of the
 *     product: for each pair of k 64 bytes of each of the two, 4 j + 2 c as above.
 *
 * Scales are the type's own where those are f16; the product of two (K types) is rounded, a
 * relative error below 2^-11.  A matrix with a scale that f16 cannot hold is refused.
 *
 * Of f16 and bf16 the scale is 2^(e - 12) where the largest of the group begins with 2^e (e at
 * least -114), and |q| <= 2^13: what is lost is at most 2^-13 of the largest, and nothing of a
 * number whose last digit is not below the scale, as bf16 down to 2^(e - 5) and f16 down to 2^(e -
 * 2).  Twelve bits keep a number of bf16 as it is down to 2^(e - 14), and round others to that or
 * 0: at most 2^-15 of the largest is lost; subnormal numbers become 0.  A matrix with a number that
 * is not finite is refused. */
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

/* How w [rows, k] will stand in panels, without data yet.  No layout where the type has none, or
 * the kernels in use no product for it, where rows are not dense or k is not in whole groups. */
struct panels panels_plan(const struct rt_tensor *w);

/* Bytes of all panels, a multiple of 64; 0 without a layout. */
int64_t panels_bytes(const struct panels *p);

static inline int64_t panels_of(const struct panels *p)
{
	return (p->rows + PANEL_ROWS - 1) / PANEL_ROWS;
}

/* Copy the weights that were planned for, which have a layout, into panels_bytes() of memory at a
 * multiple of 64, which stays the caller's.  No layout and no data afterwards when a scale does not
 * fit or a number is not finite.  Uses all threads. */
void panels_fill(struct panels *p, const struct rt_tensor *w, uint8_t *memory);

/* One product of several that share their input. */
struct panels_product {
	const struct panels *w;
	const float         *bias; /* [w->rows] or NULL */
	float               *c;    /* [m, w->rows], rows ldc apart */
	int64_t              ldc;
	bool                 add; /* to c, else c is overwritten */
};

enum { PANELS_TOGETHER = 4 };

/* n <= PANELS_TOGETHER times c = x w^T (+ bias) (+ c), x [m, k] rounded in groups of INT_GROUP: to
 * 8 bits, at most 1/254 of the largest of its group off; for weights of 16 bits to 14, at most
 * 1/16382; a group whose largest is below 1e-30 becomes 0.  For weights that stay bf16 to bf16, at
 * most 2^-8 of each number; those below 2^-126 become 0, those above bf16's largest, 3.39e38,
 * infinite.  A row of c is the same bits for any number of rows beside it.  RT_E_NOMEM. [any] */
int panels_multiply(const float *x, int64_t ldx, int64_t m, const struct panels_product *p, int n,
                    struct rt_error *err);

#endif
