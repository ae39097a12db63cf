/* test-panels-wide.c - panels of f16 and bf16: integers of 16 bits, twelve bits and pairs. */
#include "base/fault.h"
#include "panels.h"

#include <stdio.h>

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

	p = pack(w);
	ck_assert(!p.data == !multiplied(w->dtype));
	if (p.data)
		ck_assert_int_eq(panels_multiply(x, w->dim[1], 1, &o, 1, NULL), 0);
	rt_free(p.data);
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
 * exponent more each, from the least that there is to the largest, twice; the last of 17 panels is
 * half empty, groups have all distances. */
START_TEST(twelve_bits_keep_bf16)
	{
		enum { ROWS = 264, K = 96 };
		uint16_t              *w = (uint16_t *)random_floats(ROWS * K / 2, 13);
		const struct rt_tensor t = rt_tensor(w, RT_BF16, 2, (int64_t[]){ ROWS, K });
		float                  plain[ROWS * K], y[ROWS];

		for (int i = 0; i < ROWS * K; i++) {
			const int below = (i * 7 + i / 32) % 18, top = i / K % 254 + 1;

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
				p = pack(&w);
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

/* Where rows are many weights are bf16 again, in pieces of ten panels and 120 rows; the last piece
 * has one panel. */
static const struct many {
	int rows, k, m;
} many[] = {
	{ 650, 1312, 250 }, /* pieces of many blocks */
	{ 32, 32, 25 },     /* two matrices of one block, by one thread */
};

START_TEST(many_rows_are_the_same_bits_as_few)
	{
		enum { SOME = 24 };
		const int    rows = many[_i].rows, k = many[_i].k, m = many[_i].m;
		const float *x = random_floats(m * k, 3);
		uint32_t    *from = (uint32_t *)random_floats(2 * rows * k, 4);
		uint16_t    *w = (uint16_t *)from;
		float *all = random_floats(m * 2 * rows, 5), *some = random_floats(m * 2 * rows, 6);

		for (int i = 0; i < 2 * rows * k; i++)
			w[i] = (uint16_t)(from[i] >> 16);
		EACH_ISA(isa)
		{
			struct panels         p[2];
			struct panels_product o[2];

			if (!in_pairs(RT_BF16))
				continue;
			for (int t = 0; t < 2; t++) {
				const struct rt_tensor b = rt_tensor(w + t * rows * k, RT_BF16, 2,
				                                     (int64_t[]){ rows, k });

				p[t] = pack(&b);
				o[t] = (struct panels_product){ .w = &p[t],
					                        .c = all + t * rows,
					                        .ldc = 2 * rows };
			}
			ck_assert_int_eq(panels_multiply(x, k, m, o, 2, NULL), 0);
			for (int row = 0; row < m; row += SOME) {
				for (int t = 0; t < 2; t++)
					o[t].c = some + row * 2 * rows + t * rows;
				ck_assert_int_eq(panels_multiply(x + row * k, k,
				                                 m - row < SOME ? m - row : SOME, o,
				                                 2, NULL),
				                 0);
			}
			ck_assert_mem_eq(all, some, (size_t)m * 2 * (size_t)rows * sizeof *all);
			rt_free(p[0].data);
			rt_free(p[1].data);
		}
		kernels_set(NULL);
	}
END_TEST

/* Its Nth allocation fails; there must be one. */
static int multiply_without(int n, const float *x, int64_t k, int64_t m,
                            const struct panels_product *o)
{
	struct rt_error err = RT_ERROR_INIT;
	char            wish[32];
	int             r;

	snprintf(wish, sizeof wish, "alloc:%d", n);
	ck_assert_int_eq(fault_set(wish, NULL), 0);
	r = panels_multiply(x, k, m, o, 1, &err);
	ck_assert_int_ge(fault_seen_allocs(), n);
	fault_set(NULL, NULL);
	return r;
}

/* No memory for rounded rows is a failure; without any for bf16 the twelve bits stay what they are.
 * Comes first: memory that a product has had is kept for the next. */
START_TEST(without_memory_for_bf16_twelve_bits_do)
	{
		enum { ROWS = 650, K = 1312, M = 250 };
		const float           *x = random_floats(M * K, 3);
		uint16_t              *w = (uint16_t *)random_floats(ROWS * K, 4);
		float                 *want = random_floats(M * ROWS, 5);
		float                 *got = random_floats(M * ROWS, 6);
		const struct rt_tensor b = rt_tensor(w, RT_BF16, 2, (int64_t[]){ ROWS, K });
		struct panels          p;
		struct panels_product  o = { .w = &p, .c = got, .ldc = ROWS };

		if (!in_pairs(RT_BF16))
			return;
		for (int i = 0; i < ROWS * K; i++)
			w[i] = (uint16_t)(0x3f00 + i % 251);
		p = pack(&b);
		ck_assert_int_eq(multiply_without(1, x, K, M, &o), RT_E_NOMEM);
		ck_assert_int_eq(multiply_without(2, x, K, M, &o), 0);
		o.c = want;
		ck_assert_int_eq(panels_multiply(x, K, M, &o, 1, NULL), 0);
		ck_assert_mem_eq(got, want, M * ROWS * sizeof *got);
		rt_free(p.data);
	}
END_TEST

RUNNER("panels-wide", 300, {
	tcase_add_test(tc, without_memory_for_bf16_twelve_bits_do);
	TABLE_TEST(tc, many_rows_are_the_same_bits_as_few, many);
	tcase_add_test(tc, a_group_is_summed_exactly);
	tcase_add_test(tc, the_largest_sum_of_16_bits_does_not_overflow);
	tcase_add_test(tc, pairs_of_short_numbers_are_summed_exactly);
	tcase_add_test(tc, twelve_bits_keep_bf16);
	tcase_add_test(tc, scales_reach_as_far_as_bf16_does);
	tcase_add_test(tc, weights_that_are_not_finite_have_no_panels);
	tcase_add_test(tc, sixteen_bits_are_close_to_the_plain_product);
})
