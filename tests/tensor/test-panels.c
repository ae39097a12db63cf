/* test-panels.c - products of weights in panels against sums in double, for every block type and
 * instruction set. */
#include <retort/tensor.h>

#include "numeric.h"
#include "runner.h"
#include "tensor/panel.h"

#include <math.h>
#include <string.h>

enum { N = 37, MOST_K = 800, MOST_M = 27 };

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

static bool store(int dtype, const float *w, struct stored *ret)
{
	const struct rt_dtype_info *info = rt_dtype_info(dtype);
	void                       *blocks = random_floats(N * MOST_K, 1);

	if (!info || info->block == 1)
		return false;
	ret->k = info->block == 256 ? 768 : MOST_K; /* a stretch of 256 cut short, too */
	ret->plain = random_floats(N * ret->k, 1);
	ck_assert_int_eq(rt_quantize(dtype, w, N, ret->k, NULL, blocks, NULL), 0);
	ck_assert_int_eq(rt_dequantize(dtype, blocks, N * ret->k, ret->plain, NULL), 0);
	ret->t = rt_tensor(blocks, (enum rt_dtype)dtype, 2, (int64_t[]){ N, ret->k });
	return true;
}

/* What a row of x is after rounding: at most half a step, 1/254 of the largest in its group, off.
 */
static void rounded(const float *x, int64_t k, float *ret)
{
	int8_t  q[MOST_K];
	float   scale[MOST_K / 32];
	int16_t sums[MOST_K / 16];

	kernels()->int8_row(x, k, q, scale, sums);
	for (int64_t i = 0; i < k; i++) {
		float top = 0.0f;

		for (int64_t g = i / 32 * 32; g < i / 32 * 32 + 32; g++)
			top = fmaxf(top, fabsf(x[g]));
		ret[i] = scale[i / 32] * q[i];
		ck_assert_float_le(fabsf(ret[i] - x[i]), top / 254.0f * 1.0001f);
	}
}

/* With the activations as they were rounded, what is left is f32 rounding of sums of groups, and
 * that of a K type's scales and mins to f16: half of 2^-10 of each. */
static void check_row(int dtype, const struct stored *w, const float *x, const float *y,
                      const double *before)
{
	const double step = rt_dtype_info(dtype)->block == 256 ? ldexp(1.0, -11) : 0.0;
	float        r[MOST_K];

	rounded(x, w->k, r);
	for (int j = 0; j < N; j++) {
		double sum = before[j], size = fabs(before[j]), most = 0.0;

		for (int64_t i = 0; i < w->k; i++) {
			sum += (double)r[i] * w->plain[j * w->k + i];
			size += fabs((double)r[i] * w->plain[j * w->k + i]);
			most += fabs((double)r[i]);
		}
		/* scale * q and min are larger than their difference, at most 3 here. */
		ck_assert_msg(fabs(sum - y[j]) <= 40 * ldexp(1.0, -24) * (size + 3.0 * most) +
		                                          step * (size + 3.0 * most),
		              "%s, %s: %.9g, want %.9g", kernels()->isa, rt_dtype_info(dtype)->name,
		              (double)y[j], sum);
	}
}

START_TEST(every_block_type_multiplies_as_its_dequantized_self)
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
				ck_assert_ptr_nonnull(p.data);
				ck_assert_int_eq(panels_multiply(x, s.k, MOST_M, &o, 1, NULL), 0);
				for (int i = 0; i < MOST_M; i++)
					check_row(dtype, &s, x + i * s.k, y + i * N, zero);
				panels_free(&p);
			}
		}
		ck_assert_int_eq(types, 12);
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
			ck_assert_int_eq(panels_pack(&p, &s.t, NULL), 0);
			EACH_ISA(isa)
			{
				float                 all[MOST_M * N], some[MOST_M * N];
				struct panels_product o = { .w = &p, .c = all, .ldc = N };

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
			}
			panels_free(&p);
		}
		kernels_set(NULL);
	}
END_TEST

/* Products of different layouts that share their input; biases, sums into what is there, rows of
 * input and results that lie apart. */
START_TEST(several_products_share_their_input)
	{
		static const int types[] = { RT_Q4_0, RT_Q4_K, RT_Q6_K };
		const float     *w = random_floats(N * MOST_K, 7), *bias = random_floats(N, 8);
		float           *x = random_floats(5 * 900, 9), *y = random_floats(5 * 3 * 50, 10);
		double          *before = doubles(y, 5 * 3 * 50);
		struct stored    s[3];
		struct panels    p[3];
		struct panels_product o[3];

		for (int t = 0; t < 3; t++) {
			ck_assert(store(types[t], w, &s[t]));
			s[t].t.dim[1] = s[t].t.stride[0] = s[t].k = 768;
			ck_assert_int_eq(rt_quantize(types[t], w, N, 768, NULL, s[t].t.data, NULL),
			                 0);
			ck_assert_int_eq(
				rt_dequantize(types[t], s[t].t.data, N * 768, s[t].plain, NULL), 0);
			ck_assert_int_eq(panels_pack(&p[t], &s[t].t, NULL), 0);
			o[t] = (struct panels_product){ &p[t], t == 1 ? bias : NULL, y + t * 50,
				                        150, t != 0 };
		}
		ck_assert_int_eq(panels_multiply(x, 900, 5, o, 3, NULL), 0);
		for (int t = 0; t < 3; t++) {
			for (int r = 0; r < 5; r++) {
				double from[N];

				for (int j = 0; j < N; j++)
					from[j] = (t != 0 ? before[r * 150 + t * 50 + j] : 0.0) +
					          (t == 1 ? bias[j] : 0.0);
				check_row(types[t], &s[t], x + r * 900, y + r * 150 + t * 50, from);
				for (int j = N; j < 50; j++) /* beside the result */
					ck_assert(y[r * 150 + t * 50 + j] ==
					          (float)before[r * 150 + t * 50 + j]);
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

		x[MOST_K + 77] = _i == 0 ? NAN : -INFINITY;
		EACH_ISA(isa)
		{
			struct stored         s;
			struct panels         p;
			float                 y[3 * N];
			struct panels_product o = { .w = &p, .c = y, .ldc = N };

			ck_assert(store(RT_Q4_0, w, &s));
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

RUNNER("panels", 300, {
	tcase_add_test(tc, every_block_type_multiplies_as_its_dequantized_self);
	tcase_add_test(tc, a_row_does_not_depend_on_those_beside_it);
	tcase_add_test(tc, several_products_share_their_input);
	tcase_add_test(tc, the_largest_products_do_not_overflow);
	tcase_add_loop_test(tc, what_is_not_finite_shows, 0, 2);
	tcase_add_test(tc, what_does_not_fit_has_no_panels);
})
