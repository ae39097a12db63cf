/* kernels.h - the inner loops, one table of them per instruction set.
 *
 * kernels.inc.c is compiled once per instruction set and fills a constant table; isa.c picks
 * one at start.  Everything else in the tensor room is portable and calls through the table.
 *
 * Products use fused multiply-add where the instruction set has it, so tables differ in the
 * last bits; functions without products (conversion, exponentials, their sums) agree to the
 * last bit.  tests/tensor/test-isa.c holds both to it. */
#ifndef TENSOR_KERNELS_H
#define TENSOR_KERNELS_H

#include <retort/tensor.h>

enum {
	AFFINE = 256,      /* elements that are unpacked at once */
	AFFINE_GROUP = 16, /* elements that share scale and min */
	GEMM_MAX_MR = 16,
	GEMM_MAX_NR = 32,
	DOT_ROWS = 4, /* rows and columns that one pass of dots() serves */
	DOT_COLUMNS = 2
};

/* Every block type of GGUF says the same thing in its own way: element = scale * q - min, the
 * scale and min shared by a group of at least 16.  Unpacked to this, all types are
 * dequantized by one loop and multiplied by one integer kernel. */
struct affine {
	int8_t q[AFFINE];
	float  scale[AFFINE / AFFINE_GROUP], min[AFFINE / AFFINE_GROUP];
};

/* n a multiple of the type's block, at most AFFINE. */
typedef void unpack_fn(const void *blocks, int64_t n, struct affine *ret);
typedef void load_fn(const void *src, int64_t n, float *dst);

/* Activations rounded to integers in groups of 32, as the integer kernels want them: to int8_t, at
 * most 127, for weights of up to 8 bits, to int16_t, at most WIDE_MOST, for those of 16.
 *
 * Weights of 16 bits are at most WIDE_MOST + 1 = 2^13, so that the sum of a group stays below
 * 32 * 2^13 * (2^13 - 1) = 2^31 - 2^18, in any order. */
enum { INT_GROUP = 32, WIDE_MOST = 8191 };

/* What activations are rounded to: int8 and int16 as above, or bf16. */
enum panel_input { INPUT_INT8, INPUT_INT16, INPUT_BF16, PANEL_INPUTS };

/* A block of rows of activations, side by side as panels are: q holds four bytes along k (four or
 * two numbers) of each row, then the next four; of integers scale[group][row]; and of int8, for
 * each group, or half of one where the layout of the weights has its scales so, less[part][row]
 * = -zero * sum of q and, with mins, sum[part][row] = scale * sum of q. */
struct input_rows {
	const char    *q;
	const float   *scale, *sum;
	const int32_t *less;
};

/* How a type's weights stand in panels (panel.h).  X(name, bits, has a min, scales for halves) */
#define PANEL_LAYOUTS_NARROW(X)                                                                    \
	X(b4, 4, 0, 0)                                                                             \
	X(b4_min, 4, 1, 0)                                                                         \
	X(b4_half, 4, 0, 1)                                                                        \
	X(b4_min_half, 4, 1, 1)                                                                    \
	X(b5, 5, 0, 0)                                                                             \
	X(b5_min, 5, 1, 0)                                                                         \
	X(b6_half, 6, 0, 1)                                                                        \
	X(b8, 8, 0, 0)

#define PANEL_LAYOUTS_ALL(X) PANEL_LAYOUTS_NARROW(X) X(b16, 16, 0, 0)

/* And bf16 for products of pairs: in twelve bits, and as it is, for many rows. */
#define PANEL_NUMBER(name, bits, min, half) PANEL_##name,
enum { PANEL_LAYOUTS_ALL(PANEL_NUMBER) PANEL_tight, PANEL_loose, PANEL_LAYOUTS };
enum { PANEL_ROWS = 16, PANEL_MOST = 12, PANEL_TWO = 2 * PANEL_ROWS };

struct panel_layout {
	int  number; /* PANEL_... */
	int  bits;
	bool min, half; /* there are mins; scales and mins are for half a group each */
};

static inline bool panel_pairs(const struct panel_layout *l)
{
	return l->number == PANEL_tight || l->number == PANEL_loose;
}

static inline enum panel_input panel_input(const struct panel_layout *l)
{
	if (panel_pairs(l))
		return INPUT_BF16;
	return l->bits == 16 ? INPUT_INT16 : INPUT_INT8;
}

/* Panels that one call of a kernel multiplies; where there are two, they are interleaved,
 * group by group. */
static inline int panel_at_once(const struct panel_layout *l)
{
	return panel_pairs(l) ? 2 : 1;
}

/* Bytes of a group with its scales and mins. */
static inline int64_t panel_group(const struct panel_layout *l)
{
	const int scales = panel_pairs(l) ? 0 : (l->half ? 2 : 1) * (l->min ? 2 : 1);

	return PANEL_ROWS * (2 * scales + INT_GROUP * l->bits / 8);
}

/* Twelve bits: bytes of a group of one panel, and of the exponents before the groups of two. */
enum { TIGHT_BITS = 12, TIGHT_GROUP = PANEL_ROWS * INT_GROUP * TIGHT_BITS / 8 };

static inline int64_t tight_head(int64_t groups)
{
	return (groups * PANEL_TWO + 127) / 128 * 128;
}

/* Bytes from a panel to the next; of two that are interleaved, half of both. */
static inline int64_t panel_stride(const struct panel_layout *l, int64_t groups)
{
	return (l->number == PANEL_tight ? tight_head(groups) / 2 : 0) + groups * panel_group(l);
}

/* PANEL_ROWS unpacked rows, `groups` of each, into a panel.  false when a scale is not kept by f16.
 */
typedef bool panel_pack_fn(const struct panel_layout *l, int zero, const struct affine *w,
                           int64_t groups, uint8_t *dst);

/* The same of PANEL_ROWS rows of f16 or bf16 that were loaded as floats, AFFINE apart: into panels
 * of 16 bits.  false when one is not finite. */
typedef bool panel_pack_wide_fn(const float *w, int64_t groups, uint8_t *dst);

/* `groups` of one of two panels from pairs of bf16, four bytes of each row side by side, into
 * twelve bits and exponents. */
typedef void panel_tighten_fn(const uint8_t *pairs, int64_t groups, uint8_t *dst,
                              uint8_t *exponents);

/* Two panels of twelve bits, interleaved, to pairs of bf16: for each pair of k a line of each. */
typedef void panel_loosen_fn(const uint8_t *w, int64_t groups, uint8_t *dst);

/* PANEL_ROWS rows of weights over `groups` groups times a block of as many rows as panel_block()
 * says: ret[r * PANEL_ROWS + j]; of two panels, ret[r * PANEL_TWO + j].  Each is a sum over groups
 * in their order. */
typedef void panel_fn(const uint8_t *w, int64_t groups, const struct input_rows *a, int rows,
                      float *ret);

/* mr rows of a as gemm() reads them: number p of row i at i * row + p * k.  A panel that gemm.c
 * packs has them side by side, row 1 and k mr; f32 that lies row by row needs no packing, row ld
 * and k 1. */
struct strip {
	const float *at;
	int64_t      row, k;
};

/* c (mr x nr, rows ldc apart) = or += a b, b a panel: k rows of nr. */
typedef void gemm_fn(int64_t k, const struct strip *a, const float *b, float *c, int64_t ldc,
                     bool add);
typedef void pack_fn(const float *src, int64_t ld, int count, int width, int64_t k, float *dst);

/* Random numbers that leave elements out: a key of Philox4x32-10, the upper words of its counter,
 * and of 65536 values of a draw those below `limit` that make an element 0; others times scale. */
struct draws {
	uint32_t key[2], counter[3], limit;
	float    scale;
};

/* Elements that a number of blocks of 128 bits draws for. */
enum { DROPOUT_BLOCKS = 16, DROPOUT_CHUNK = 8 * DROPOUT_BLOCKS };

struct kernels {
	const char *isa;

	/* dst = src as float; NULL for types that are not numbers of the tensor room. */
	load_fn   *load[RT_DTYPES];
	unpack_fn *unpack[RT_DTYPES]; /* block types only */

	int      mr, nr;
	gemm_fn *gemm;
	/* Pack `count` (at most mr or nr) rows of k contiguous floats, `ld` apart, into a panel
	 * `width` wide, padded with zeros. */
	pack_fn *pack;

	/* ret[c * DOT_ROWS + r] = x[r * ldx ...] . y[c * ldy ...] for `rows` <= DOT_ROWS rows and
	 * `columns` <= DOT_COLUMNS columns, y of a plain type; NULL for types that are loaded
	 * first. The bits do not depend on rows and columns. */
	void (*dots[RT_DTYPES])(const float *x, int64_t ldx, int rows, const void *y, int64_t ldy,
	                        int columns, int64_t n, float *ret);
	/* y[n] += sum of weight[r] x[r * ld ...], row after row. */
	void (*weigh)(const float *weight, int64_t rows, const float *x, int64_t ld, float *y,
	              int64_t n);

	/* One row of activations to int8: q[n], scale and sum of q per group of 32/16. */
	void (*int8_row)(const float *x, int64_t n, int8_t *q, float *scale, int16_t *sums);
	/* The same to int16, which needs no sums. */
	void (*int16_row)(const float *x, int64_t n, int16_t *q, float *scale);
	/* And to bf16. */
	void (*bf16_row)(const float *x, int64_t n, uint16_t *q);
	/* A panel of weights in a layout times rows of activations; see panel.h.  NULL for 16 bits
	 * where no instruction multiplies pairs of them: floats are as fast there. */
	panel_fn *panel[PANEL_LAYOUTS];
	/* How many of `rows` >= 1 rows make the next block: a divisor of PANEL_MOST where there
	 * are as many as that. */
	int (*panel_block)(int64_t rows);
	/* Multiplications of a product that one thread has done before another has begun and is
	 * heard of, where those are near each other: below it, one does them all. */
	int64_t panel_alone;
	/* dst[i][row] = src[row * ld + i], i < n, a multiple of 4. */
	void (*interleave)(const uint32_t *src, int64_t ld, int rows, int64_t n, uint32_t *dst);
	panel_pack_fn      *panel_pack;
	panel_pack_wide_fn *panel_pack_wide;
	panel_tighten_fn   *panel_tighten; /* both NULL where PANEL_tight has no kernel */
	panel_loosen_fn    *panel_loosen;

	/* Over long rows: largest element (NaN if there is one), sum of exp(x - shift), the
	 * same with dst = exp(x - shift), and x - shift summed with these as weights. */
	float (*max)(const float *x, int64_t n);
	double (*sum_exp)(const float *x, int64_t n, float shift, float *dst);
	double (*sum_squares)(const float *x, int64_t n);
	double (*sum_products)(const float *x, const float *y, int64_t n);

	/* y = silu(gate) * up, and the gradients of both. */
	void (*swiglu)(const float *gate, const float *up, float *y, int64_t n);
	void (*swiglu_backward)(const float *gate, const float *up, const float *dy, float *dgate,
	                        float *dup, int64_t n);

	/* A row of n elements, in place; `block` is the lowest word of its first counter. */
	void (*dropout)(const struct draws *d, uint32_t block, float *x, int64_t n);

	/* pack() for `count` rows that are neighbours, `ld` floats from one of k to the next. */
	pack_fn *pack_across;

	/* Products of bf16: a number of a panel is a pair, one of an even k in the low half and
	 * the next (or 0) in the high half, and gemm_bf16() counts pairs.  Packing rounds;
	 * subnormal numbers may become 0.  NULL where no instruction multiplies pairs. */
	gemm_fn *gemm_bf16;
	pack_fn *pack_bf16, *pack_across_bf16;
	void (*bf16_round)(float *x, int64_t n); /* in place */
};

extern const struct kernels kernels_generic, kernels_avx2, kernels_avx512, kernels_vnni,
	kernels_bf16, kernels_neon; /* those of this build exist */

/* The chosen table. [any] */
const struct kernels *kernels(void);

/* Every table of this build, best first, a NULL one at the end.  Only usable ones may be
 * called: the processor has the instructions. */
struct isa {
	const struct kernels *kernels;
	const char           *wish; /* what RETORT_ISA calls it */
	bool (*usable)(void);
};
extern const struct isa isa_all[];

/* Tests put a table in place; NULL goes back to the choice made at start. */
void kernels_set(const struct kernels *k);

#endif
