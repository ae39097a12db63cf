/* packed-write.c - see packed.h */
#include "packed.h"

#include <retort/blocks.h>

#include <string.h>

enum { BLOCK = 32 };

static int64_t divisor(int64_t a, int64_t b)
{
	while (b) {
		const int64_t c = a % b;

		a = b;
		b = c;
	}
	return a;
}

/* Codes and scales of one row; memory for both. */
struct row {
	uint8_t *codes;
	float   *scales;
};

static int row_init(struct row *r, int64_t cols, struct rt_error *err)
{
	r->codes = rt_alloc((size_t)cols, 1);
	r->scales = rt_alloc((size_t)(cols / BLOCK), sizeof *r->scales);
	return r->codes && r->scales ? 0 : rt_fail_nomem(err, "a row of codes");
}

static void row_fini(struct row *r)
{
	rt_free(r->codes);
	rt_free(r->scales);
}

static int row_read(struct row *r, const struct rt_tensor *t, int64_t row, struct rt_error *err)
{
	return rt_blocks_unpack(t->dtype, rt_at(t, row * t->dim[1]), t->dim[1], r->codes, r->scales,
	                        err);
}

int packed_run(const struct rt_tensor *t, int64_t most, int64_t *ret, struct rt_error *err)
{
	const int64_t blocks = t->dim[1] / BLOCK;
	int64_t       run = divisor(blocks, most);
	struct row    row = { 0 };
	int           r = row_init(&row, t->dim[1], err);

	for (int64_t i = 0; r == 0 && run > 1 && i < t->dim[0]; i++) {
		r = row_read(&row, t, i, err);
		for (int64_t k = 1; r == 0 && k < blocks; k++)
			if (memcmp(&row.scales[k], &row.scales[k - 1], sizeof *row.scales) != 0)
				run = divisor(run, k);
	}
	row_fini(&row);
	if (r == 0)
		*ret = run;
	return r;
}

/* A block's codes are `bits` words. */
static void pack(const uint8_t *codes, int64_t cols, int64_t bits, uint8_t *to)
{
	for (int64_t i = 0; i < cols; i++) {
		const int64_t at = i * bits;

		to[at / 8] |= (uint8_t)(codes[i] << at % 8);
		if (at % 8 + bits > 8)
			to[at / 8 + 1] |= (uint8_t)(codes[i] >> (8 - at % 8));
	}
}

int packed_codes(const struct rt_tensor *t, uint8_t **ret, struct rt_error *err)
{
	const int64_t bits = rt_block_bits(t->dtype), size = t->dim[1] * bits / 8;
	uint8_t      *to = rt_alloc((size_t)t->dim[0], (size_t)size);
	struct row    row = { 0 };
	int           r = row_init(&row, t->dim[1], err);

	if (r == 0 && !to)
		r = rt_fail_nomem(err, "packed codes");
	for (int64_t i = 0; r == 0 && i < t->dim[0]; i++) {
		r = row_read(&row, t, i, err);
		if (r == 0)
			pack(row.codes, t->dim[1], bits, to + i * size);
	}
	row_fini(&row);
	if (r < 0)
		rt_free(to);
	else
		*ret = to;
	return r;
}

int packed_scales(const struct rt_tensor *t, int64_t group, uint8_t **ret, struct rt_error *err)
{
	const int64_t each = t->dim[1] / group, blocks = group / BLOCK;
	uint8_t      *to = rt_alloc((size_t)t->dim[0], (size_t)each * 2);
	struct row    row = { 0 };
	int           r = row_init(&row, t->dim[1], err);

	if (r == 0 && !to)
		r = rt_fail_nomem(err, "scales");
	for (int64_t i = 0; r == 0 && i < t->dim[0]; i++) {
		r = row_read(&row, t, i, err);
		for (int64_t k = 0; r == 0 && k < each; k++)
			r = rt_quantize(RT_F16, &row.scales[k * blocks], 1, 1, NULL,
			                to + 2 * (i * each + k), err);
	}
	row_fini(&row);
	if (r < 0)
		rt_free(to);
	else
		*ret = to;
	return r;
}
