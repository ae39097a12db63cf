/* packed-read.c - see packed.h */
#include "packed.h"

#include <retort/blocks.h>

#include <math.h>
#include <string.h>

enum { BLOCK = 32 };

/* A layer that has been checked. */
struct layer {
	const struct packed *p;
	int64_t              rows, cols, words, bits, groups, group; /* group: columns */
	int64_t             *order;                                  /* group of each column */
	bool                 in_order;
	float               *scales; /* [rows][groups] */
};

/* Code i of a row of bytes, lowest bits first. */
static int64_t code_at(const uint8_t *row, int64_t bits, int64_t i)
{
	const int64_t at = i * bits;
	unsigned      x = row[at / 8];

	if (at % 8 + bits > 8)
		x |= (unsigned)row[at / 8 + 1] << 8;
	return x >> at % 8 & ((1u << bits) - 1);
}

static int64_t integer_at(const struct rt_tensor *t, int64_t i)
{
	int64_t x;
	int32_t y;

	if (t->dtype == RT_I32) {
		memcpy(&y, rt_at(t, i), sizeof y);
		return y;
	}
	memcpy(&x, rt_at(t, i), sizeof x);
	return x;
}

static bool is_integer(const struct rt_tensor *t)
{
	return t->dtype == RT_I32 || t->dtype == RT_I64;
}

/* ---- what the file says -----------------------------------------------------------------------
 */

static int check_shape(struct layer *l, struct rt_error *err)
{
	const struct rt_tensor *shape = l->p->shape, *codes = l->p->codes;

	if (!is_integer(shape) || rt_numel(shape) != 2 || codes->dtype != RT_I32 ||
	    codes->ndim != 2)
		return rt_fail(err, RT_E_SHAPE,
		               "weight_shape must be two integers and weight_packed a matrix of "
		               "int32");
	l->rows = integer_at(shape, 0);
	l->cols = integer_at(shape, 1);
	l->words = codes->dim[1];
	if (l->rows < 1 || l->cols < 1 || l->rows != codes->dim[0] ||
	    l->cols > INT64_MAX / 64 / l->rows)
		return rt_fail(err, RT_E_SHAPE,
		               "weight_shape is [%lld, %lld], weight_packed has %lld rows",
		               (long long)l->rows, (long long)l->cols, (long long)codes->dim[0]);
	return 0;
}

/* One scale a group; groups are as many columns each, in order or as weight_g_idx says. */
static int check_groups(struct layer *l, const struct scheme *s, struct rt_error *err)
{
	const struct rt_tensor *scale = l->p->scale;

	l->groups = scale->ndim == 2 ? scale->dim[1] : 1;
	if (scale->ndim > 2 || scale->dim[0] != l->rows || l->groups < 1 || l->cols % l->groups)
		return rt_fail(err, RT_E_SHAPE,
		               "weight_scale is [%lld, %lld]; want %lld rows, and a number of "
		               "groups that divides %lld columns",
		               (long long)scale->dim[0], (long long)l->groups, (long long)l->rows,
		               (long long)l->cols);
	l->group = l->cols / l->groups;
	l->bits = scheme_bits(s, l->cols, l->words, l->group, !l->p->zero, err);
	return l->bits < 0 ? (int)l->bits : 0;
}

static int check_zero(const struct layer *l, struct rt_error *err)
{
	const struct rt_tensor *z = l->p->zero;
	const int64_t           words = (l->rows * l->bits + 31) / 32;

	if (!z ||
	    (z->dtype == RT_I32 && z->ndim == 2 && z->dim[0] == words && z->dim[1] == l->groups))
		return 0;
	return rt_fail(err, RT_E_SHAPE,
	               "weight_zero_point is %s [%lld, %lld], want i32 [%lld, %lld]",
	               rt_dtype_info(z->dtype)->name, (long long)z->dim[0], (long long)z->dim[1],
	               (long long)words, (long long)l->groups);
}

static int read_order(struct layer *l, struct rt_error *err)
{
	const struct rt_tensor *o = l->p->order;

	l->order = rt_alloc((size_t)l->cols, sizeof *l->order);
	if (!l->order)
		return rt_fail_nomem(err, "the groups of a layer");
	l->in_order = true;
	if (o && (!is_integer(o) || o->ndim != 1 || o->dim[0] != l->cols))
		return rt_fail(err, RT_E_SHAPE, "weight_g_idx is not %lld integers",
		               (long long)l->cols);
	for (int64_t i = 0; i < l->cols; i++) {
		l->order[i] = o ? integer_at(o, i) : i / l->group;
		if (l->order[i] < 0 || l->order[i] >= l->groups)
			return rt_fail(err, RT_E_RANGE, "column %lld is in group %lld of %lld",
			               (long long)i, (long long)l->order[i], (long long)l->groups);
		l->in_order &= l->order[i] == i / l->group;
	}
	return 0;
}

static int read_scales(struct layer *l, struct rt_error *err)
{
	const struct rt_tensor *s = l->p->scale;
	const int64_t           n = l->rows * l->groups;
	int                     r;

	l->scales = rt_alloc((size_t)n, sizeof *l->scales);
	if (!l->scales)
		return rt_fail_nomem(err, "the scales of a layer");
	if (s->dtype != RT_F32 && s->dtype != RT_F16 && s->dtype != RT_BF16)
		return rt_fail(err, RT_E_UNSUP, "scales of type %s; f32, f16 and bf16 are read",
		               rt_dtype_info(s->dtype)->name);
	r = rt_dequantize(s->dtype, s->data, n, l->scales, err);
	for (int64_t i = 0; r == 0 && i < n; i++)
		if (!isfinite(l->scales[i]))
			r = rt_fail(err, RT_E_NUMERIC, "scale %lld is %g", (long long)i,
			            (double)l->scales[i]);
	return r;
}

/* ---- what it stands for -----------------------------------------------------------------------
 */

/* Whole numbers that scales multiply, of one row. */
static void numbers_of(const struct layer *l, int64_t row, int64_t *ret)
{
	const int64_t           middle = (int64_t)1 << (l->bits - 1);
	const uint8_t          *at = (const uint8_t *)l->p->codes->data + row * l->words * 4;
	const struct rt_tensor *zero = l->p->zero;

	for (int64_t i = 0; i < l->cols; i++) {
		ret[i] = code_at(at, l->bits, i) - middle;
		if (!zero)
			continue;
		/* packed along the rows: the row's bits lie in one word, or in two */
		const int64_t  bit = row * l->bits, word = bit / 32;
		const uint32_t low = (uint32_t)integer_at(zero, word * l->groups + l->order[i]);
		uint64_t       both = low;

		if (bit % 32 + l->bits > 32)
			both |= (uint64_t)(uint32_t)integer_at(zero,
			                                       (word + 1) * l->groups + l->order[i])
			        << 32;
		ret[i] -= (int64_t)(both >> bit % 32 & ((1u << l->bits) - 1)) - middle;
	}
}

/* The block type that holds all these numbers, or f32. */
static enum rt_dtype type_for(const struct layer *l)
{
	const int64_t need = l->bits + (l->p->zero ? 1 : 0);

	if (!l->in_order || l->group % BLOCK || need > 8)
		return RT_F32;
	for (int64_t i = 0; i < l->rows * l->groups; i++) {
		uint16_t half;
		float    back;

		if (rt_quantize(RT_F16, &l->scales[i], 1, 1, NULL, &half, NULL) < 0 ||
		    rt_dequantize(RT_F16, &half, 1, &back, NULL) < 0 || back != l->scales[i])
			return RT_F32;
	}
	return need <= 4 ? RT_Q4_0 : need <= 5 ? RT_Q5_0 : RT_Q8_0;
}

static int make_row(const struct layer *l, int64_t row, int64_t *numbers, uint8_t *codes,
                    const struct rt_tensor *to, struct rt_error *err)
{
	const float  *scales = l->scales + row * l->groups;
	const int64_t bits = rt_block_bits(to->dtype);
	float        *out = to->data;

	numbers_of(l, row, numbers);
	if (bits) {
		for (int64_t i = 0; i < l->cols; i++)
			codes[i] = (uint8_t)(numbers[i] + (1 << (bits - 1)));
		return rt_blocks_pack(to->dtype, 1, l->cols, l->group, codes, scales,
		                      rt_at(to, row * l->cols), err);
	}
	for (int64_t i = 0; i < l->cols; i++)
		out[row * l->cols + i] = (float)numbers[i] * scales[l->order[i]];
	return 0;
}

static int make(const struct layer *l, struct rt_arena *room, struct rt_tensor *ret,
                struct rt_error *err)
{
	const int64_t dim[2] = { l->rows, l->cols };
	int64_t      *numbers = rt_alloc((size_t)l->cols, sizeof *numbers);
	uint8_t      *codes = rt_alloc((size_t)l->cols, 1);
	int           r;

	*ret = rt_tensor(NULL, type_for(l), 2, dim);
	ret->data = rt_arena_alloc(room, (size_t)rt_bytes(ret), 1);
	r = numbers && codes && ret->data ? 0 : rt_fail_nomem(err, "a layer");
	for (int64_t i = 0; r == 0 && i < l->rows; i++)
		r = make_row(l, i, numbers, codes, ret, err);
	rt_free(numbers);
	rt_free(codes);
	return r;
}

int packed_read(const struct packed *p, const struct scheme *s, struct rt_arena *room,
                struct rt_tensor *ret, struct rt_error *err)
{
	struct layer l = { .p = p };
	int          r = 0;

	if (!p->codes || !p->scale || !p->shape)
		r = rt_fail(err, RT_E_FORMAT, "%s is missing",
		            !p->codes   ? "weight_packed"
		            : !p->scale ? "weight_scale"
		                        : "weight_shape");
	if (r == 0)
		r = check_shape(&l, err);
	if (r == 0)
		r = check_groups(&l, s, err);
	if (r == 0)
		r = check_zero(&l, err);
	if (r == 0)
		r = read_order(&l, err);
	if (r == 0)
		r = read_scales(&l, err);
	if (r == 0)
		r = make(&l, room, ret, err);
	rt_free(l.order);
	rt_free(l.scales);
	return r;
}
