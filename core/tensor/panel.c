/* panel.c - weights into panels.  See panel.h */
#include "tensor/panel.h"

#include <retort/parallel.h>

#include <stdatomic.h>
#include <string.h>

enum { PIECE = 4 }; /* panels that are packed one behind the other */

/* X(type, layout, zero) */
#define TYPES(X)                                                                                   \
	X(RT_Q4_0, b4, 8)                                                                          \
	X(RT_Q4_1, b4_min, 0)                                                                      \
	X(RT_Q5_0, b5, 16)                                                                         \
	X(RT_Q5_1, b5_min, 0)                                                                      \
	X(RT_Q8_0, b8, 128)                                                                        \
	X(RT_Q2_K, b4_min_half, 0)                                                                 \
	X(RT_Q3_K, b4_half, 4)                                                                     \
	X(RT_Q4_K, b4_min, 0)                                                                      \
	X(RT_Q5_K, b5_min, 0)                                                                      \
	X(RT_Q6_K, b6_half, 32)                                                                    \
	X(RT_IQ4_NL, b8, 128)                                                                      \
	X(RT_IQ4_XS, b8, 128)                                                                      \
	X(RT_F16, b16, 0)                                                                          \
	X(RT_BF16, b16, 0)

#define LAYOUT(name, bits, min, half)                                                              \
	static const struct panel_layout layout_##name = { PANEL_##name, bits, min, half };
PANEL_LAYOUTS_ALL(LAYOUT)
LAYOUT(tight, TIGHT_BITS, false, false)

#define TYPE(type, name, zero) [type] = { &layout_##name, zero },
static const struct {
	const struct panel_layout *layout;
	int                        zero;
} types[RT_DTYPES] = { TYPES(TYPE) };

/* The one that the kernels in use multiply fastest; NULL: none. */
static const struct panel_layout *layout_for(const struct kernels *k, uint32_t dtype)
{
	const struct panel_layout *l = types[dtype].layout;

	if (dtype == RT_BF16 && k->panel[PANEL_tight])
		return &layout_tight;
	return l && k->panel[l->number] ? l : NULL;
}

struct packing {
	const struct kernels   *kernels;
	const struct rt_tensor *w;
	const struct panels    *to;
	int64_t                 bytes, row; /* of AFFINE elements as they are stored; of a row */
	atomic_bool             unfit;
};

/* Room for AFFINE columns of each row of a panel. */
union rows {
	struct affine blocks[PANEL_ROWS];
	float         plain[PANEL_ROWS][AFFINE];
	uint16_t      halves[PANEL_ROWS][AFFINE];
	uint32_t      pairs[PANEL_ROWS][AFFINE / 2];
};

/* Rows of a panel and where they are. */
static int rows_of(const struct packing *k, int64_t panel, const char **ret)
{
	const int64_t left = k->to->rows - panel * PANEL_ROWS;

	*ret = left > 0 ? rt_at(k->w, panel * PANEL_ROWS * k->w->stride[0]) : NULL;
	return left < PANEL_ROWS ? (int)(left > 0 ? left : 0) : PANEL_ROWS;
}

/* Types whose blocks hold a scale of f16 and then a group's numbers as panels have them, four bytes
 * of each row: these change places, nothing is computed but for a bit. */
static const struct plain {
	int64_t  bytes; /* of a group's numbers */
	uint64_t flip;  /* bits of eight that a number with a sign has otherwise */
} plain[RT_DTYPES] = { [RT_Q4_0] = { 16, 0 }, [RT_Q8_0] = { 32, 0x8080808080808080 } };

/* A group of each row; false when a scale is not finite.  A known number of bytes becomes moves. */
static inline __attribute__((always_inline)) bool pack_plain_group(const struct kernels *k,
                                                                   const char *from, int64_t row,
                                                                   int rows, const int64_t bytes,
                                                                   uint64_t flip, uint8_t *dst)
{
	union {
		uint64_t eights[PANEL_ROWS * INT_GROUP / 8];
		uint32_t fours[PANEL_ROWS * INT_GROUP / 4];
	} numbers;
	uint16_t scales[PANEL_ROWS] = { 0 };
	int      bad = 0;

	for (int j = 0; j < rows; j++) {
		uint64_t *to = numbers.eights + j * bytes / 8;

		memcpy(&scales[j], from + j * row, sizeof *scales);
		memcpy(to, from + j * row + sizeof *scales, (size_t)bytes);
		for (int64_t i = 0; i < bytes / 8; i++)
			to[i] ^= flip;
		bad |= (scales[j] & 0x7c00) == 0x7c00;
	}
	if (rows < PANEL_ROWS)
		memset(numbers.eights + rows * bytes / 8, 0, (size_t)((PANEL_ROWS - rows) * bytes));
	memcpy(dst, scales, sizeof scales);
	k->interleave(numbers.fours, bytes / 4, PANEL_ROWS, bytes / 4,
	              (uint32_t *)(dst + sizeof scales));
	return !bad;
}

/* Asks memory for a line of each row of a panel; behind their end the next panel begins. */
static void ask(const struct packing *k, int64_t panel, int64_t at)
{
	const char *from;
	const int   rows = rows_of(k, panel + at / k->row, &from);

	for (int j = 0; j < rows; j++)
		__builtin_prefetch(from + j * k->row + at % k->row);
}

/* The processor reads ahead in fewer streams than there are rows: a stretch of each is asked for
 * while the one before is packed. */
static void pack_plain(struct packing *k, int64_t panel)
{
	enum { STRETCH = 512, LINE = 64 };
	const struct plain *p = &plain[k->w->dtype];
	const int64_t       block = (int64_t)sizeof(uint16_t) + p->bytes;
	const char         *from;
	const int           rows = rows_of(k, panel, &from);
	uint8_t            *dst = k->to->data + panel * k->to->stride;
	bool                fit = true;

	for (int64_t at = 0, asked = 0; at < k->to->k / INT_GROUP * block; at += block) {
		for (; asked < at + STRETCH; asked += LINE)
			ask(k, panel, asked);
		fit &= p->bytes == 32 ? pack_plain_group(k->kernels, from + at, k->row, rows, 32,
		                                         p->flip, dst)
		                      : pack_plain_group(k->kernels, from + at, k->row, rows, 16,
		                                         p->flip, dst);
		dst += panel_group(k->to->layout);
	}
	if (!fit)
		atomic_store(&k->unfit, true);
}

/* Into one of two panels that are interleaved. */
static void pack_tight(struct packing *k, int64_t panel)
{
	const struct panels *to = k->to;
	const int64_t        groups = to->k / INT_GROUP, second = panel % 2;
	const char          *from;
	const int            rows = rows_of(k, panel, &from);
	uint8_t             *exponents = to->data + (panel - second) * to->stride;
	uint8_t             *dst = exponents + tight_head(groups);
	union rows           w;
	int                  bad = 0;

	exponents += second * PANEL_ROWS;
	dst += second * panel_group(to->layout);
	if (rows < PANEL_ROWS)
		memset(&w, 0, sizeof w);
	for (int64_t c = 0; c < to->k; c += AFFINE) {
		const int64_t n = to->k - c < AFFINE ? to->k - c : AFFINE;
		uint32_t      pairs[AFFINE / 2 * PANEL_ROWS];

		for (int j = 0; j < rows; j++) {
			memcpy(w.halves[j], from + j * k->row + c * 2, (size_t)n * 2);
			for (int64_t i = 0; i < n; i++)
				bad |= (w.halves[j][i] & 0x7f80) == 0x7f80;
		}
		k->kernels->interleave(w.pairs[0], AFFINE / 2, PANEL_ROWS, n / 2, pairs);
		k->kernels->panel_tighten((const uint8_t *)pairs, n / INT_GROUP, dst, exponents);
		dst += 2 * AFFINE / INT_GROUP * panel_group(to->layout);
		exponents += AFFINE / INT_GROUP * PANEL_TWO;
	}
	if (bad)
		atomic_store(&k->unfit, true);
}

static void pack_panel(struct packing *k, int64_t panel)
{
	const struct panels *to = k->to;
	const char          *from;
	const int            rows = rows_of(k, panel, &from);
	uint8_t             *dst = to->data + panel * to->stride;
	union rows           w;

	if (rows < PANEL_ROWS) /* those that are not there */
		memset(&w, 0, sizeof w);
	for (int64_t c = 0; c < to->k; c += AFFINE, from += k->bytes) {
		const int64_t n = to->k - c < AFFINE ? to->k - c : AFFINE;
		bool          fit;

		if (panel_input(to->layout) == INPUT_INT16) {
			for (int j = 0; j < rows; j++)
				k->kernels->load[k->w->dtype](from + j * k->row, n, w.plain[j]);
			fit = k->kernels->panel_pack_wide(w.plain[0], n / INT_GROUP, dst);
		} else {
			for (int j = 0; j < rows; j++)
				k->kernels->unpack[k->w->dtype](from + j * k->row, n, &w.blocks[j]);
			fit = k->kernels->panel_pack(to->layout, to->zero, w.blocks, n / INT_GROUP,
			                             dst);
		}
		if (!fit)
			atomic_store(&k->unfit, true);
		dst += n / INT_GROUP * panel_group(to->layout);
	}
}

static void pack_piece(void *arg, int64_t first, int64_t last)
{
	struct packing *k = arg;
	void (*pack)(struct packing *, int64_t) = pack_panel;

	if (k->to->layout == &layout_tight)
		pack = pack_tight;
	else if (plain[k->w->dtype].bytes)
		pack = pack_plain;
	for (int64_t p = first; p < last; p++)
		pack(k, p);
}

/* Where two are interleaved, there are two of the last, too. */
static int64_t panels_kept(const struct panels *p)
{
	const int64_t n = panels_of(p);

	return n + n % panel_at_once(p->layout);
}

struct panels panels_plan(const struct rt_tensor *w)
{
	const struct panel_layout *layout =
		rt_dtype_info(w->dtype) ? layout_for(kernels(), w->dtype) : NULL;
	struct panels ret = { 0 };

	if (!layout || w->ndim != 2 || w->dim[0] == 0 || w->dim[1] == 0 || w->stride[1] != 1 ||
	    w->stride[0] != w->dim[1] || w->dim[1] % INT_GROUP)
		return ret;
	ret.layout = layout;
	ret.zero = types[w->dtype].zero;
	ret.rows = w->dim[0];
	ret.k = w->dim[1];
	ret.stride = panel_stride(layout, ret.k / INT_GROUP);
	return ret;
}

int64_t panels_bytes(const struct panels *p)
{
	return p->layout ? (panels_kept(p) * p->stride + 63) / 64 * 64 : 0;
}

void panels_fill(struct panels *p, const struct rt_tensor *w, uint8_t *memory)
{
	const struct rt_dtype_info *info = rt_dtype_info(w->dtype);
	struct packing              k = { .kernels = kernels(), .w = w, .to = p };

	p->data = memory;
	k.bytes = AFFINE / info->block * info->bytes;
	k.row = w->stride[0] / info->block * info->bytes;
	rt_parallel(panels_kept(p), PIECE, pack_piece, &k);
	if (atomic_load(&k.unfit))
		*p = (struct panels){ 0 };
}
