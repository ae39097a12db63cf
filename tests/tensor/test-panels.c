/* test-panels.c - products of weights in panels against sums in double, for every type that has
 * panels and every instruction set. */
#include "panels.h"

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

				p = pack(&s.t);
				ck_assert(!p.data == !multiplied(dtype));
				if (!p.data)
					continue;
				hold(dtype, &s);
				ck_assert_int_eq(panels_multiply(x, s.k, MOST_M, &o, 1, NULL), 0);
				for (int i = 0; i < MOST_M; i++)
					check_row(dtype, &s, x + i * s.k, y + i * N, zero);
				rt_free(p.data);
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

				p = pack(&s.t);
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
				rt_free(p.data);
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
			p[t] = pack(&s[t].t);
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
			rt_free(p[t].data);
		}
	}
END_TEST

/* Blocks of n bytes whose scales are 2^-8 or so, and whose numbers are all the largest or all the
 * least: of the K types some are, as scales of 6 bits stand among them. */
static void extremes(int dtype, bool largest, unsigned char *blocks, size_t n)
{
	const size_t bytes = (size_t)rt_dtype_info(dtype)->bytes;
	const size_t head = dtype == RT_Q4_1 || dtype == RT_Q5_1 ? 4 : 2;

	memset(blocks, largest ? 0x1f : 0xe0, n);
	if (dtype != RT_Q8_0 && dtype != RT_Q4_0 && dtype != RT_Q4_1 && dtype != RT_Q5_0 &&
	    dtype != RT_Q5_1)
		return;
	for (size_t i = 0; i + bytes <= n; i += bytes)
		memset(blocks + i + head,
		       dtype == RT_Q8_0 ? (largest ? 0x7f : 0x80) : (largest ? 0xff : 0),
		       bytes - head);
}

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
			for (int fill = 0; fill < 2; fill++) {
				extremes(dtype, fill, blocks, sizeof blocks);
				ck_assert_int_eq(
					rt_dequantize(dtype, blocks, PANEL_ROWS * K, plain, NULL),
					0);
				p = pack(&t);
				ck_assert_ptr_nonnull(p.data);
				EACH_ISA(isa)
				{
					float                 x[2 * K], y[2 * PANEL_ROWS];
					struct panels_product o = { .w = &p,
						                    .c = y,
						                    .ldc = PANEL_ROWS };

					for (int i = 0; i < 2 * K; i++)
						x[i] = i < K ? 1.0f : -1.0f;
					ck_assert_int_eq(panels_multiply(x, K, 2, &o, 1, NULL), 0);
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
				rt_free(p.data);
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
			p = pack(&s.t);
			ck_assert_int_eq(panels_multiply(x, s.k, 3, &o, 1, NULL), 0);
			for (int i = 0; i < 3 * N; i++)
				ck_assert(isfinite(y[i]) == (i / N != 1));
			rt_free(p.data);
		}
		kernels_set(NULL);
	}
END_TEST

/* A scale that is not finite, in the last block of the last row. */
START_TEST(scales_that_are_not_finite_have_no_panels)
	{
		static const int      types[] = { RT_Q4_0, RT_Q5_0, RT_Q8_0 };
		static const uint16_t scales[] = { 0x7c00, 0xfc00, 0x7e01 };
		const int             dtype = types[_i % 3];
		const float          *w = random_floats(N * MOST_K, 5);
		struct stored         s;
		struct panels         p;

		ck_assert(store(dtype, w, &s));
		memcpy((char *)s.t.data + rt_bytes(&s.t) - (size_t)rt_dtype_info(dtype)->bytes,
		       &scales[_i / 3], sizeof *scales);
		p = pack(&s.t);
		ck_assert_ptr_null(p.data);
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
		p = pack(&t);
		ck_assert_ptr_nonnull(p.data);
		rt_free(p.data);
		blocks[4] = 2;
		p = pack(&t);
		ck_assert_ptr_null(p.data);
		p = pack(&plain);
		ck_assert_ptr_null(p.data);
	}
END_TEST

RUNNER("panels", 300, {
	tcase_add_test(tc, every_type_multiplies_as_its_dequantized_self);
	tcase_add_test(tc, a_row_does_not_depend_on_those_beside_it);
	tcase_add_test(tc, several_products_share_their_input);
	tcase_add_test(tc, the_largest_products_do_not_overflow);
	tcase_add_loop_test(tc, what_is_not_finite_shows, 0, 4);
	tcase_add_loop_test(tc, scales_that_are_not_finite_have_no_panels, 0, 9);
	tcase_add_test(tc, what_does_not_fit_has_no_panels);
})
