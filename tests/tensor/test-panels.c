/* test-panels.c - products of weights in panels against sums in double, for every type that has
 * panels and every instruction set. */
#include <retort/tensor.h>

#include "numeric.h"
#include "runner.h"
#include "tensor/panel.h"

#include <math.h>
#include <string.h>

enum { N = 37, MOST_K = 1312, MOST_M = 27 };

static const struct isa *next_usable(const struct isa *i)
{
	while (i->kernels && !i->usable())
		i++;
	if (i->kernels)
		kernels_set(i->kernels);
	return i;
}

#define EACH_ISA(i)                                                                                \
	for (const struct isa *i = next_usable(isa_all); i->kernels; i = next_usable(i + 1))

/* Weights of a type, and what they are worth. */
struct stored {
	struct rt_tensor t;
	float           *plain;
	int64_t          k;
};

static bool is_wide(int dtype)
{
	return dtype == RT_F16 || dtype == RT_BF16;
}

/* Do the kernels in use multiply it by pairs of bf16? */
static bool in_pairs(int dtype)
{
	return dtype == RT_BF16 && kernels()->panel[PANEL_tight];
}

/* Do the kernels in use have panels for it? */
static bool multiplied(int dtype)
{
	return !is_wide(dtype) || kernels()->panel[PANEL_b16];
}

/* Weights of 16 bits as panels hold them: in a group whose largest begins with 2^e, whole multiples
 * of 2^(e - 12), so that at most half of that is lost, 2^-13 of the largest; of bf16, which has 8
 * digits, nothing down to 2^(e - 5). */
static void round_weights(int dtype, float *w, int64_t n)
{
	for (int64_t g = 0; g < n; g += 32) {
		float top = 0.0f;

		for (int64_t i = g; i < g + 32; i++)
			top = fmaxf(top, fabsf(w[i]));
		if (top == 0.0f)
			continue;
		const int unit = (int)fmax(ilogb(top), -114) - 12;

		for (int64_t i = g; i < g + 32; i++) {
			const float was = w[i];

			w[i] = (float)ldexp(nearbyint(ldexp(was, -unit)), unit);
			ck_assert(fabs((double)was - w[i]) <= ldexp(1.0, unit - 1));
			if (dtype == RT_BF16 && fabs((double)was) >= ldexp(1.0, unit + 7))
				ck_assert(w[i] == was);
		}
	}
}

/* In twelve bits: as it is down to 2^(e - 14), below that to the nearer of 2^(e - 14) and 0. */
static void tighten_weights(float *w, int64_t n)
{
	for (int64_t g = 0; g < n; g += 32) {
		float top = 0x1p-112f;

		for (int64_t i = g; i < g + 32; i++)
			top = fmaxf(top, fabsf(w[i]));
		const float least = ldexpf(1.0f, ilogbf(top) - 14);

		for (int64_t i = g; i < g + 32; i++)
			if (fabsf(w[i]) < least)
				w[i] = fabsf(w[i]) < least / 2 || fabsf(w[i]) < 0x1p-126f
				               ? 0.0f
				               : copysignf(least, w[i]);
	}
}

static bool store(int dtype, const float *w, struct stored *ret)
{
	const struct rt_dtype_info *info = rt_dtype_info(dtype);
	void                       *blocks = random_floats(N * MOST_K, 1);

	if (!info || (info->block == 1 && !is_wide(dtype)))
		return false;
	ret->k = info->block == 256 ? 1280 : MOST_K; /* stretches cut short, too */
	ret->plain = random_floats(N * ret->k, 1);
	ck_assert_int_eq(rt_quantize(dtype, w, N, ret->k, NULL, blocks, NULL), 0);
	ck_assert_int_eq(rt_dequantize(dtype, blocks, N * ret->k, ret->plain, NULL), 0);
	ret->t = rt_tensor(blocks, (enum rt_dtype)dtype, 2, (int64_t[]){ N, ret->k });
	return true;
}

/* What panels of the kernels in use hold. */
static void hold(int dtype, struct stored *s)
{
	ck_assert_int_eq(rt_dequantize(dtype, s->t.data, N * s->k, s->plain, NULL), 0);
	if (in_pairs(dtype))
		tighten_weights(s->plain, N * s->k);
	else if (is_wide(dtype))
		round_weights(dtype, s->plain, N * s->k);
}

/* To bf16: at most half of its last digit off. */
static void rounded_bf16(const float *x, int64_t k, float *ret)
{
	uint16_t q[MOST_K];

	kernels()->bf16_row(x, k, q);
	ck_assert_int_eq(rt_dequantize(RT_BF16, q, k, ret, NULL), 0);
	for (int64_t i = 0; i < k; i++)
		ck_assert_float_le(fabsf(ret[i] - x[i]), fabsf(x[i]) * 0x1p-8f);
}

/* What a row of x is after rounding: at most half a step, 1/254 or 1/16382 of the largest in its
 * group, off. */
static void rounded(int dtype, const float *x, int64_t k, float *ret)
{
	if (in_pairs(dtype)) {
		rounded_bf16(x, k, ret);
		return;
	}
	int8_t      q8[MOST_K];
	int16_t     q[MOST_K], sums[MOST_K / 16];
	float       scale[MOST_K / 32];
	const float steps = is_wide(dtype) ? 16382.0f : 254.0f;

	if (is_wide(dtype))
		kernels()->int16_row(x, k, q, scale);
	else
		kernels()->int8_row(x, k, q8, scale, sums);
	for (int64_t i = 0; i < k; i++) {
		if (!is_wide(dtype))
			q[i] = q8[i];
		float top = 0.0f;

		for (int64_t g = i / 32 * 32; g < i / 32 * 32 + 32; g++)
			top = fmaxf(top, fabsf(x[g]));
		ret[i] = scale[i / 32] * q[i];
		ck_assert_float_le(fabsf(ret[i] - x[i]), top / steps * 1.0001f + top * 0x1p-23f);
	}
}

/* With the activations as they were rounded, what is left is f32 rounding of sums of groups, or of
 * as many pairs as there are, and that of a K type's scales and mins to f16: half of 2^-10 of each.
 */
static void check_row(int dtype, const struct stored *w, const float *x, const float *y,
                      const double *before)
{
	const double step = rt_dtype_info(dtype)->block == 256 ? ldexp(1.0, -11) : 0.0;
	float        r[MOST_K];

	rounded(dtype, x, w->k, r);
	for (int j = 0; j < N; j++) {
		double sum = before[j], size = fabs(before[j]), most = 0.0;

		for (int64_t i = 0; i < w->k; i++) {
			sum += (double)r[i] * w->plain[j * w->k + i];
			size += fabs((double)r[i] * w->plain[j * w->k + i]);
			most += fabs((double)r[i]);
		}
		/* scale * q and min are larger than their difference, at most 3 here. */
		const double slack = in_pairs(dtype)
		                             ? (double)w->k * ldexp(size, -24)
		                             : (40 * ldexp(1.0, -24) + step) * (size + 3.0 * most);

		ck_assert_msg(fabs(sum - y[j]) <= slack, "%s, %s: %.9g, want %.9g", kernels()->isa,
		              rt_dtype_info(dtype)->name, (double)y[j], sum);
	}
}

START_TEST(every_type_multiplies_as_its_dequantized_self)
	{
		const float *w = random_floats(N * MOST_K, 3),
			    *x = random_floats(MOST_M * MOST_K, 4);
		const double zero[N] = { 0 };
		int          types = 0;

		for (int dtype = 0; dtype < RT_DTYPES; dtype++) {
			struct stored s;
			struct panels p;

			if (!store(dtype, w, &s))
				continue;
			types++;
			EACH_ISA(isa)
			{
				float                 y[MOST_M * N];
				struct panels_product o = { .w = &p, .c = y, .ldc = N };

				ck_assert_int_eq(panels_pack(&p, &s.t, NULL), 0);
				ck_assert(!p.data == !multiplied(dtype));
				if (!p.data)
					continue;
				hold(dtype, &s);
				ck_assert_int_eq(panels_multiply(x, s.k, MOST_M, &o, 1, NULL), 0);
				for (int i = 0; i < MOST_M; i++)
					check_row(dtype, &s, x + i * s.k, y + i * N, zero);
				panels_free(&p);
			}
		}
		ck_assert_int_eq(types, 14);
		kernels_set(NULL);
	}
END_TEST

/* The same bits for 1, 2, ... 27 rows, however they are divided among the kernels. */
START_TEST(a_row_does_not_depend_on_those_beside_it)
	{
		const float *w = random_floats(N * MOST_K, 5),
			    *x = random_floats(MOST_M * MOST_K, 6);

		for (int dtype = 0; dtype < RT_DTYPES; dtype++) {
			struct stored s;
			struct panels p;

			if (!store(dtype, w, &s))
				continue;
			EACH_ISA(isa)
			{
				float                 all[MOST_M * N], some[MOST_M * N];
				struct panels_product o = { .w = &p, .c = all, .ldc = N };

				ck_assert_int_eq(panels_pack(&p, &s.t, NULL), 0);
				if (!p.data)
					continue;
				ck_assert_int_eq(panels_multiply(x, s.k, MOST_M, &o, 1, NULL), 0);
				o.c = some;
				for (int m = 1; m < MOST_M; m++) {
					const int from = MOST_M - m;

					ck_assert_int_eq(panels_multiply(x + from * s.k, s.k, m, &o,
					                                 1, NULL),
					                 0);
					ck_assert_mem_eq(some, all + from * N,
					                 (size_t)(m * N) * sizeof *some);
				}
				panels_free(&p);
			}
		}
		kernels_set(NULL);
	}
END_TEST

/* Products of different layouts that share their input; biases, sums into what is there, rows of
 * input and results that lie apart. */
START_TEST(several_products_share_their_input)
	{
		enum { PARTS = PANELS_TOGETHER };
		static const int types[PARTS] = { RT_Q4_0, RT_Q4_K, RT_Q6_K, RT_BF16 };
		const float     *w = random_floats(N * MOST_K, 7), *bias = random_floats(N, 8);
		float        *x = random_floats(5 * 900, 9), *y = random_floats(5 * PARTS * 50, 10);
		double       *before = doubles(y, 5 * PARTS * 50);
		const int     parts = multiplied(RT_BF16) ? PARTS : PARTS - 1;
		struct stored s[PARTS];
		struct panels p[PARTS];
		struct panels_product o[PARTS];

		for (int t = 0; t < parts; t++) {
			ck_assert(store(types[t], w, &s[t]));
			s[t].t.dim[1] = s[t].t.stride[0] = s[t].k = 768;
			ck_assert_int_eq(rt_quantize(types[t], w, N, 768, NULL, s[t].t.data, NULL),
			                 0);
			hold(types[t], &s[t]);
			ck_assert_int_eq(panels_pack(&p[t], &s[t].t, NULL), 0);
			o[t] = (struct panels_product){ &p[t], t == 1 ? bias : NULL, y + t * 50,
				                        PARTS * 50, t != 0 };
		}
		ck_assert_int_eq(panels_multiply(x, 900, 5, o, parts, NULL), 0);
		for (int t = 0; t < parts; t++) {
			for (int r = 0; r < 5; r++) {
				const double *was = before + r * PARTS * 50 + t * 50;
				const float  *got = y + r * PARTS * 50 + t * 50;
				double        from[N];

				for (int j = 0; j < N; j++)
					from[j] =
						(t != 0 ? was[j] : 0.0) + (t == 1 ? bias[j] : 0.0);
				check_row(types[t], &s[t], x + r * 900, got, from);
				for (int j = N; j < 50; j++) /* beside the result */
					ck_assert(got[j] == (float)was[j]);
			}
			panels_free(&p[t]);
		}
	}
END_TEST

/* 16-bit sums of AVX2 are at their limit when all products are largest and have one sign. */
START_TEST(the_largest_products_do_not_overflow)
	{
		enum { K = 256 };

		for (int dtype = 0; dtype < RT_DTYPES; dtype++) {
			const struct rt_dtype_info *info = rt_dtype_info(dtype);
			unsigned char               blocks[2 * PANEL_ROWS * K];
			struct rt_tensor            t = rt_tensor(blocks, (enum rt_dtype)dtype, 2,
			                                          (int64_t[]){ PANEL_ROWS, K });
			float                       plain[PANEL_ROWS * K];
			struct panels               p;

			if (!info || info->block == 1)
				continue;
			/* Scales of 2^-8 or so, all other bits set, then none. */
			for (int fill = 0; fill < 2; fill++) {
				memset(blocks, fill ? 0x1f : 0xe0, sizeof blocks);
				ck_assert_int_eq(
					rt_dequantize(dtype, blocks, PANEL_ROWS * K, plain, NULL),
					0);
				ck_assert_int_eq(panels_pack(&p, &t, NULL), 0);
				EACH_ISA(isa)
				{
					float                 x[2 * K], y[2 * PANEL_ROWS];
					struct panels_product o = { .w = &p,
						                    .c = y,
						                    .ldc = PANEL_ROWS };

					for (int i = 0; p.data && i < 2 * K; i++)
						x[i] = i < K ? 1.0f : -1.0f;
					if (!p.data || panels_multiply(x, K, 2, &o, 1, NULL) != 0)
						continue;
					for (int r = 0; r < 2; r++) {
						double sum = 0.0, size = 0.0;

						for (int i = 0; i < K; i++) {
							sum += (double)x[r * K + i] * plain[i];
							size += fabs((double)plain[i]);
						}
						ck_assert_msg(fabs(sum - y[r * PANEL_ROWS]) <=
						                      ldexp(size, -9),
						              "%s, %s: %.9g, want %.9g",
						              kernels()->isa, info->name,
						              (double)y[r * PANEL_ROWS], sum);
					}
				}
				panels_free(&p);
			}
		}
		kernels_set(NULL);
	}
END_TEST

/* An activation that is not a number, or infinite, shows in its row and in no other. */
START_TEST(what_is_not_finite_shows)
	{
		const float *w = random_floats(N * MOST_K, 5);
		float       *x = random_floats(3 * MOST_K, 6);

		x[MOST_K + 77] = _i / 2 == 0 ? NAN : -INFINITY;
		EACH_ISA(isa)
		{
			const int             dtype = _i % 2 ? RT_BF16 : RT_Q4_0;
			struct stored         s;
			struct panels         p;
			float                 y[3 * N];
			struct panels_product o = { .w = &p, .c = y, .ldc = N };

			if (!multiplied(dtype))
				continue;
			ck_assert(store(dtype, w, &s));
			ck_assert_int_eq(panels_pack(&p, &s.t, NULL), 0);
			ck_assert_int_eq(panels_multiply(x, s.k, 3, &o, 1, NULL), 0);
			for (int i = 0; i < 3 * N; i++)
				ck_assert(isfinite(y[i]) == (i / N != 1));
			panels_free(&p);
		}
		kernels_set(NULL);
	}
END_TEST

START_TEST(what_does_not_fit_has_no_panels)
	{
		struct panels    p;
		unsigned char    blocks[144] = { 0 };
		float            x[64];
		const uint16_t   largest = 0x7bff; /* 65504 */
		struct rt_tensor t = rt_tensor(blocks, RT_Q4_K, 2, (int64_t[]){ 1, 256 });
		struct rt_tensor plain = rt_matrix(x, 1, 64);

		memcpy(blocks, &largest, sizeof largest);
		blocks[4] = 1; /* 65504 times 1 fits */
		ck_assert_int_eq(panels_pack(&p, &t, NULL), 0);
		ck_assert_ptr_nonnull(p.data);
		panels_free(&p);
		blocks[4] = 2;
		ck_assert_int_eq(panels_pack(&p, &t, NULL), 0);
		ck_assert_ptr_null(p.data);
		ck_assert_int_eq(panels_pack(&p, &plain, NULL), 0);
		ck_assert_ptr_null(p.data);
	}
END_TEST

/* ---- 16 bits -------------------------------------------------------------------------------- */

/* A matrix [PANEL_ROWS, 32] of 16 bits, every row of one number in even places and one in odd ones.
 */
static struct rt_tensor two_numbers(enum rt_dtype dtype, uint16_t even, uint16_t odd)
{
	uint16_t *w = (uint16_t *)random_floats(PANEL_ROWS * 16, 1);

	for (int i = 0; i < PANEL_ROWS * 32; i++)
		w[i] = i % 2 ? odd : even;
	return rt_tensor(w, dtype, 2, (int64_t[]){ PANEL_ROWS, 32 });
}

/* y = x w^T by panels; false where the kernels in use have none. */
static bool one_row(const struct rt_tensor *w, const float *x, float *y)
{
	struct panels         p;
	struct panels_product o = { .w = &p, .c = y, .ldc = w->dim[0] };

	ck_assert_int_eq(panels_pack(&p, w, NULL), 0);
	ck_assert(!p.data == !multiplied(w->dtype));
	if (p.data)
		ck_assert_int_eq(panels_multiply(x, w->dim[1], 1, &o, 1, NULL), 0);
	panels_free(&p);
	return multiplied(w->dtype);
}

/* A group is a sum of integers, exactly; so its product is that of its scales, and rounded twice as
 * any f32.  The largest of both sides come to 32 * 8160 * 8191, close to 2^31. */
START_TEST(a_group_is_summed_exactly)
	{
		static const uint16_t numbers[] = { 0x3ff8, 0xbff8, 0x3c00,
			                            0x0000 };         /* +-1.99 1 0 */
		static const int      q[] = { 8160, -8160, 4096, 0 }; /* of a scale of 2^-12 */

		for (int i = 0; i < 16; i++) {
			const int              even = i / 4, odd = i % 4;
			const struct rt_tensor w = two_numbers(RT_F16, numbers[even], numbers[odd]);
			float                  x[32], y[PANEL_ROWS];

			for (int j = 0; j < 32; j++)
				x[j] = j % 2 ? 3.0f : j % 4 ? -3.0f : 1.0f;
			EACH_ISA(isa)
			{
				int16_t r[32];
				float   scale;
				int64_t sum = 0;

				if (!one_row(&w, x, y))
					continue;
				kernels()->int16_row(x, 32, r, &scale);
				for (int j = 0; j < 32; j++)
					sum += (int64_t)r[j] * (j % 2 ? q[odd] : q[even]);
				for (int j = 0; j < PANEL_ROWS; j++)
					ck_assert_msg(y[j] == (float)sum * ldexpf(scale, -12),
					              "%s: %.9g, want %lld times %.9g",
					              kernels()->isa, (double)y[j], (long long)sum,
					              ldexp(scale, -12));
			}
		}
		kernels_set(NULL);
	}
END_TEST

START_TEST(the_largest_sum_of_16_bits_does_not_overflow)
	{
		for (int i = 0; i < 4; i++) {
			static const uint16_t  tops[] = { 0x3fff, 0xbfff, 0x3ff8, 0xbff8 };
			const int              sign = i % 2;
			const struct rt_tensor w =
				two_numbers(i < 2 ? RT_BF16 : RT_F16, tops[i], tops[i]);
			float x[32], y[PANEL_ROWS];

			for (int j = 0; j < 32; j++)
				x[j] = 1.0f;
			EACH_ISA(isa)
			{
				if (!one_row(&w, x, y))
					continue;
				for (int j = 0; j < PANEL_ROWS; j++)
					ck_assert(fabs((double)y[j] * (sign ? -1.0 : 1.0) -
					               32 * 1.9921875) <= 64 * 0x1p-23);
			}
		}
		kernels_set(NULL);
	}
END_TEST

/* Products of numbers of few digits, and their sums, are exact in f32. */
START_TEST(pairs_of_short_numbers_are_summed_exactly)
	{
		static const struct {
			uint16_t bits;
			float    value;
		} numbers[] = { { 0x3fff, 1.9921875f },
			        { 0xbfff, -1.9921875f },
			        { 0x3f80, 1.0f },
			        { 0x0000, 0.0f } };

		for (int i = 0; i < 16; i++) {
			const struct rt_tensor w =
				two_numbers(RT_BF16, numbers[i / 4].bits, numbers[i % 4].bits);
			float x[32], y[PANEL_ROWS], sum = 0.0f;

			for (int j = 0; j < 32; j++) {
				x[j] = j % 2 ? 3.0f : j % 4 ? -3.0f : 1.0f + (float)j;
				sum += x[j] * numbers[j % 2 ? i % 4 : i / 4].value;
			}
			EACH_ISA(isa)
			{
				if (!in_pairs(RT_BF16))
					continue;
				ck_assert(one_row(&w, x, y));
				for (int j = 0; j < PANEL_ROWS; j++)
					ck_assert_float_eq(y[j], sum);
			}
		}
		kernels_set(NULL);
	}
END_TEST

/* Each number of bf16 comes out of a product with a row that is 0 but for one 1.  Rows are of one
 * exponent more each, from the least that there is; panels are odd, groups have all distances. */
START_TEST(twelve_bits_keep_bf16)
	{
		enum { ROWS = 254, K = 96 };
		uint16_t              *w = (uint16_t *)random_floats(ROWS * K / 2, 13);
		const struct rt_tensor t = rt_tensor(w, RT_BF16, 2, (int64_t[]){ ROWS, K });
		float                  plain[ROWS * K], y[ROWS];

		for (int i = 0; i < ROWS * K; i++) {
			const int below = (i * 7 + i / 32) % 18, top = i / K + 1;

			w[i] = (uint16_t)((w[i] & 0x807f) | (below < top ? top - below : 0) << 7);
		}
		EACH_ISA(isa)
		{
			if (!in_pairs(RT_BF16))
				continue;
			ck_assert_int_eq(rt_dequantize(RT_BF16, w, ROWS * K, plain, NULL), 0);
			tighten_weights(plain, ROWS * K);
			for (int i = 0; i < K; i++) {
				float x[K] = { 0 };

				x[i] = 1.0f;
				ck_assert(one_row(&t, x, y));
				for (int j = 0; j < ROWS; j++)
					ck_assert_msg(y[j] == plain[j * K + i],
					              "row %d, %d: %a, want %a", j, i, (double)y[j],
					              (double)plain[j * K + i]);
			}
		}
		kernels_set(NULL);
	}
END_TEST

static float bf16(float x)
{
	uint16_t q;
	float    ret;

	kernels()->bf16_row(&x, 1, &q);
	ck_assert_int_eq(rt_dequantize(RT_BF16, &q, 1, &ret, NULL), 0);
	return ret;
}

/* Numbers of bf16 at the ends of its range, with activations at the other end; none, one alone. */
START_TEST(scales_reach_as_far_as_bf16_does)
	{
		static const struct {
			uint16_t even, odd;
			float    x;
			double   slack; /* of what counts as nothing */
		} cases[] = {
			{ 0x7f7f, 0xff00, 1e-20f, 0.0 },             /* 3.4e38, -1.7e38 */
			{ 0x0080, 0x8100, 1e20f, 0.0 },              /* 1.2e-38, -2.4e-38 */
			{ 0x0001, 0x0040, 1e20f, 32e20 * 0x1p-126 }, /* subnormal: half a unit */
			{ 0x0000, 0x8000, 1e30f, 0.0 },
			{ 0x3f80, 0x0000, 1.0f, 0.0 },
			{ 0x3f80, 0x0000, 0.0f, 0.0 },
			{ 0x3f80, 0x3f80, 1e-38f, 32e-30 },
		};

		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			const struct rt_tensor w =
				two_numbers(RT_BF16, cases[i].even, cases[i].odd);
			float x[32], y[PANEL_ROWS], plain[32];

			ck_assert_int_eq(rt_dequantize(RT_BF16, w.data, 32, plain, NULL), 0);
			EACH_ISA(isa)
			{
				double sum = 0.0, size = 0.0;

				for (int j = 0; j < 32; j++) {
					x[j] = in_pairs(RT_BF16) ? bf16(cases[i].x) : cases[i].x;
					sum += (double)x[j] * plain[j];
					size += fabs((double)x[j] * plain[j]);
				}
				if (!one_row(&w, x, y))
					continue;
				for (int j = 0; j < PANEL_ROWS; j++)
					ck_assert_msg(fabs(y[j] - sum) <=
					                      size * 0x1p-22 + cases[i].slack,
					              "%s, %zu: %.9g, want %.9g", kernels()->isa, i,
					              (double)y[j], sum);
			}
		}
		kernels_set(NULL);
	}
END_TEST

START_TEST(weights_that_are_not_finite_have_no_panels)
	{
		static const struct {
			int      dtype;
			uint16_t bits;
		} cases[] = { { RT_BF16, 0x7f80 }, { RT_BF16, 0xff80 }, { RT_BF16, 0x7fc0 },
			      { RT_BF16, 0xff81 }, { RT_F16, 0x7c00 },  { RT_F16, 0xfc00 },
			      { RT_F16, 0x7e00 },  { RT_F16, 0xfc01 } };

		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
			EACH_ISA(isa)
			{
				struct rt_tensor w =
					two_numbers((enum rt_dtype)cases[i].dtype, 0, 0);
				struct panels p;

				((uint16_t *)w.data)[PANEL_ROWS * 32 - 7] = cases[i].bits;
				ck_assert_int_eq(panels_pack(&p, &w, NULL), 0);
				ck_assert_ptr_null(p.data);
			}
		kernels_set(NULL);
	}
END_TEST

/* Both sides rounded to 2^-13 and 2^-14 of the largest in their groups; of pairs, weights to 2^-15
 * of that, activations to 2^-8 of each at most, and that many sums of pairs. */
START_TEST(sixteen_bits_are_close_to_the_plain_product)
	{
		const float     *w = random_floats(N * MOST_K, 11), *x = random_floats(MOST_K, 12);
		static const int types[] = { RT_F16, RT_BF16 };

		for (int t = 0; t < 2; t++)
			EACH_ISA(isa)
			{
				struct stored s;
				float         y[N];

				ck_assert(store(types[t], w, &s));
				ck_assert_int_eq(rt_dequantize(types[t], s.t.data, N * MOST_K,
				                               s.plain, NULL),
				                 0);
				if (!one_row(&s.t, x, y))
					continue;
				for (int j = 0; j < N; j++) {
					double sum = 0.0, most = 0.0;

					for (int64_t i = 0; i < MOST_K; i++) {
						sum += (double)x[i] * s.plain[j * MOST_K + i];
						/* both at most 1 */
						const double
							a = fabs((double)x[i]),
							b = fabs((double)s.plain[j * MOST_K + i]);

						most += in_pairs(types[t])
						                ? a * b *
						                                  (0x1p-8 +
						                                   MOST_K *
						                                           0x1p-24) +
						                          a * 0x1p-15
						                : a * 0x1p-13 + b * 0x1p-14;
					}
					ck_assert(fabs(sum - y[j]) <= most * 1.001);
				}
			}
		kernels_set(NULL);
	}
END_TEST

RUNNER("panels", 300, {
	tcase_add_test(tc, every_type_multiplies_as_its_dequantized_self);
	tcase_add_test(tc, a_row_does_not_depend_on_those_beside_it);
	tcase_add_test(tc, several_products_share_their_input);
	tcase_add_test(tc, the_largest_products_do_not_overflow);
	tcase_add_loop_test(tc, what_is_not_finite_shows, 0, 4);
	tcase_add_test(tc, what_does_not_fit_has_no_panels);
	tcase_add_test(tc, a_group_is_summed_exactly);
	tcase_add_test(tc, twelve_bits_keep_bf16);
	tcase_add_test(tc, pairs_of_short_numbers_are_summed_exactly);
	tcase_add_test(tc, the_largest_sum_of_16_bits_does_not_overflow);
	tcase_add_test(tc, scales_reach_as_far_as_bf16_does);
	tcase_add_test(tc, weights_that_are_not_finite_have_no_panels);
	tcase_add_test(tc, sixteen_bits_are_close_to_the_plain_product);
})
