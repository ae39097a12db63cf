/* test-matmul.c - rt_matmul() against sums in double, over shapes, strides and types. */
#include <retort/parallel.h>
#include <retort/tensor.h>

#include "numeric.h"
#include "runner.h"
#include "tensor/gemm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static float *numbers(int64_t n)
{
	static uint32_t seed = 1;

	return random_floats(n, seed++);
}

static float element(const struct rt_tensor *t, int64_t i, int64_t j)
{
	return ((const float *)t->data)[i * t->stride[0] + j * t->stride[1]];
}

/* Sums of k products in any order differ from the exact one by at most about
 * k 2^-24 sum |a||b|; the factor allows for alpha and beta. */
static void check(const struct rt_tensor *a, const struct rt_tensor *b, const struct rt_tensor *c,
                  const float *before, const float *bias, float alpha, float beta, const char *what)
{
	const int64_t m = c->dim[0], n = c->dim[1], k = a->dim[1];

	for (int64_t i = 0; i < m; i++)
		for (int64_t j = 0; j < n; j++) {
			double sum = 0.0, size = 0.0, want;

			for (int64_t p = 0; p < k; p++) {
				const double t = (double)element(a, i, p) * element(b, p, j);

				sum += t;
				size += fabs(t);
			}
			want = alpha * sum + (bias ? bias[j] : 0.0);
			size = fabs(alpha) * size + fabs(want);
			if (beta != 0.0f) {
				want += (double)beta * before[i * n + j];
				size += fabs(beta * before[i * n + j]);
			}
			if (!(fabs(element(c, i, j) - want) <=
			      ((double)k + 8.0) * ldexp(1.0, -24) * size + 1e-30))
				ck_abort_msg(
					"%s, %s: %lld x %lld x %lld at (%lld, %lld): %.9g, want "
					"%.9g",
					kernels()->isa, what, (long long)m, (long long)n,
					(long long)k, (long long)i, (long long)j,
					(double)element(c, i, j), want);
		}
}

static const int64_t shapes[][3] = {
	{ 1, 1, 1 },     { 1, 7, 5 },     { 2, 3, 600 },   { 3, 65, 33 },    { 4, 16, 2049 },
	{ 5, 1, 1000 },  { 8, 100, 37 },  { 9, 33, 1 },    { 13, 31, 517 },  { 14, 32, 64 },
	{ 28, 64, 512 }, { 29, 65, 513 }, { 6, 16, 1 },    { 70, 90, 100 },  { 257, 130, 70 },
	{ 31, 600, 40 }, { 100, 1, 1 },   { 17, 9, 1025 }, { 130, 257, 31 }, { 0, 4, 4 },
	{ 4, 0, 4 },     { 4, 5, 0 },
};

/* To 8 significant bits, ties to even: bf16, but for numbers out of its range. */
static float to_bf16(float x)
{
	int          exponent;
	const double fraction = frexp((double)x, &exponent);

	return (float)ldexp(nearbyint(ldexp(fraction, 8)), exponent - 8);
}

/* One shape with one layout of each operand, and alpha, beta and bias in turn.  With
 * RT_MATMUL_BF16 the sums are those of the rounded operands. */
static void one(const int64_t *s, int layout, unsigned flags)
{
	const int64_t    m = s[0], n = s[1], k = s[2];
	float           *pa = numbers(2 * m * k + 1), *pb = numbers(2 * n * k + 1);
	float           *pc = numbers(m * n), *bias = numbers(n), *before = numbers(m * n);
	struct rt_tensor a = rt_matrix(pa, m, k), b = rt_matrix(pb, k, n), c = rt_matrix(pc, m, n);
	struct rt_tensor v = rt_vector(bias, n);
	struct rt_matmul_options o = RT_MATMUL_DEFAULT;

	if (layout & 1)
		a = rt_transpose(rt_matrix(pa, k, m), 0, 1);
	if (layout & 2)
		b = rt_transpose(rt_matrix(pb, n, k), 0, 1);
	if (layout & 4) { /* every other element */
		a.stride[0] *= 2;
		a.stride[1] *= 2;
	}
	if (layout & 8) {
		o.alpha = -0.5f;
		o.beta = layout & 1 ? 1.0f : 0.75f;
	}
	if (layout & 16)
		o.bias = &v;
	if (layout & 8)
		memcpy(pc, before, (size_t)(m * n) * sizeof *pc);
	else
		for (int64_t i = 0; i < m * n; i++)
			pc[i] = NAN; /* with beta = 0 it does not matter */
	o.flags = flags;
	ck_assert_int_eq(rt_matmul(&a, &b, &c, &o, NULL), 0);
	if (flags & RT_MATMUL_BF16) {
		for (int64_t i = 0; i < 2 * m * k; i++)
			pa[i] = to_bf16(o.alpha * pa[i]);
		for (int64_t i = 0; i < 2 * n * k; i++)
			pb[i] = to_bf16(pb[i]);
		o.alpha = 1.0f;
	}
	check(&a, &b, &c, before, o.bias ? bias : NULL, o.alpha, o.beta,
	      flags & RT_MATMUL_BF16 ? "bf16" : "f32");
}

static void on_every_instruction_set(unsigned flags)
{
	for (const struct isa *isa = isa_all; isa->kernels; isa++) {
		if (!isa->usable())
			continue;
		kernels_set(isa->kernels);
		for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
			for (int layout = 0; layout < 32; layout++)
				one(shapes[i], layout, flags);
	}
	kernels_set(NULL);
}

START_TEST(products_agree_with_sums_in_double)
	{
		on_every_instruction_set(0);
	}
END_TEST

START_TEST(products_of_bf16_are_those_of_rounded_operands)
	{
		on_every_instruction_set(RT_MATMUL_BF16);
	}
END_TEST

/* The bound of retort/tensor.h, which holds for exact operands; and it is no empty one: rounding
 * is seen. */
START_TEST(products_of_bf16_stay_within_the_stated_bound)
	{
		enum { M = 33, N = 65, K = 700 };
		float           *x = numbers(M * K), *w = numbers(N * K), *y = numbers(M * N);
		struct rt_tensor a = rt_matrix(x, M, K), b = rt_transpose(rt_matrix(w, N, K), 0, 1);
		struct rt_tensor c = rt_matrix(y, M, N);
		struct rt_matmul_options o = RT_MATMUL_DEFAULT;
		const double             u = ldexp(1.0, -8);
		double                   most = 0.0;

		o.flags = RT_MATMUL_BF16 | RT_MATMUL_ROWS;
		ck_assert_int_eq(rt_matmul(&a, &b, &c, &o, NULL), 0);
		for (int i = 0; i < M * N; i++) {
			double sum = 0.0, size = 0.0, off;

			for (int k = 0; k < K; k++) {
				const double t = (double)x[i / N * K + k] * w[i % N * K + k];

				sum += t;
				size += fabs(t);
			}
			off = fabs(sum - y[i]) / size;
			most = off > most ? off : most;
			ck_assert(off <= 2.0 * u + u * u + K * ldexp(1.0, -23));
		}
		ck_assert_double_gt(most, u / 64.0);
	}
END_TEST

/* Every way to multiply is tried on every shape that it takes, whichever would be chosen. */
START_TEST(each_engine_alone_is_right)
	{
		for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
			const int64_t m = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
			float *pa = numbers(m * k), *pb = numbers(n * k), *pc = numbers(m * n);
			struct rt_tensor a = rt_matrix(pa, m, k), c = rt_matrix(pc, m, n);
			struct rt_tensor b = rt_transpose(rt_matrix(pb, n, k), 0, 1);
			struct product   p = {
				  .m = m, .n = n, .k = k, .c = pc, .ldc = n, .alpha = 1.0f
			};

			p.a = (struct operand){ pa, RT_F32, k, 1 };
			p.b = (struct operand){ pb, RT_F32, k, 1 };
			for (p.serial = false; k > 0; p.serial = true) {
				ck_assert_int_eq(gemm_packed(&p, NULL), 0);
				check(&a, &b, &c, NULL, NULL, 1.0f, 0.0f, "packed");
				ck_assert_int_eq(gemm_rows(&p, NULL), 0);
				check(&a, &b, &c, NULL, NULL, 1.0f, 0.0f, "rows");
				if (m > 0 && n > 0 && blas_usable() && blas_takes(&p)) {
					blas_gemm(&p);
					check(&a, &b, &c, NULL, NULL, 1.0f, 0.0f, "blas");
				}
				if (p.serial)
					break;
			}
		}
	}
END_TEST

/* More rows than are shared at once, more stretches of k than are packed at once, either operand
 * shared; and threads change no bit. */
START_TEST(large_products_are_right_however_they_are_cut)
	{
		static const int64_t large[][3] = {
			{ 1030, 1050, 70 }, { 1050, 1030, 70 }, { 50, 40, 20000 },
			{ 40, 50, 20000 },  { 2100, 70, 600 },  { 70, 2100, 600 },
		};

		for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
			const int64_t m = large[i][0], n = large[i][1], k = large[i][2];
			float *pa = numbers(m * k), *pb = numbers(n * k), *pc = numbers(m * n);
			float *pd = numbers(m * n);
			const struct rt_tensor a = rt_slice(rt_matrix(pa, m, k), 0, m - 20, 20);
			const struct rt_tensor c = rt_slice(rt_matrix(pc, m, n), 0, m - 20, 20);
			const struct rt_tensor b = rt_transpose(rt_matrix(pb, n, k), 0, 1);
			struct product         p = {
					.m = m, .n = n, .k = k, .c = pc, .ldc = n, .alpha = 1.0f
			};

			p.a = (struct operand){ pa, RT_F32, k, 1 };
			p.b = (struct operand){ pb, RT_F32, k, 1 };
			ck_assert_int_eq(gemm_packed(&p, NULL), 0);
			check(&a, &b, &c, NULL, NULL, 1.0f, 0.0f, "packed");
			p.c = pd;
			p.serial = true;
			ck_assert_int_eq(gemm_packed(&p, NULL), 0);
			ck_assert_int_eq(memcmp(pc, pd, (size_t)(m * n) * sizeof *pc), 0);
		}
	}
END_TEST

/* Rows a KiB or several apart are packed, others not. */
START_TEST(rows_that_lie_give_the_bits_of_rows_that_are_packed)
	{
		static const int64_t sizes[][2] = { { 45, 100 }, { 100, 45 } };
		enum { K = 600, LD = 1024 };

		for (int i = 0; i < 2; i++) {
			const int64_t  m = sizes[i][0], n = sizes[i][1];
			float         *pa = numbers(m * LD), *pb = numbers(n * K);
			float         *pc = numbers(m * n), *pd = numbers(m * n);
			struct product p = { .m = m, .n = n, .k = K, .ldc = n, .alpha = 1.0f };

			p.b = (struct operand){ pb, RT_F32, K, 1 };
			p.a = (struct operand){ pa, RT_F32, LD, 1 };
			p.c = pc;
			ck_assert_int_eq(gemm_packed(&p, NULL), 0);
			for (int64_t r = 0; r < m; r++)
				memmove(pa + r * K, pa + r * LD, K * sizeof *pa);
			p.a = (struct operand){ pa, RT_F32, K, 1 };
			p.c = pd;
			ck_assert_int_eq(gemm_packed(&p, NULL), 0);
			ck_assert_int_eq(memcmp(pc, pd, (size_t)(m * n) * sizeof *pc), 0);
		}
	}
END_TEST

START_TEST(every_storage_type_multiplies_as_its_dequantized_self)
	{
		static const int64_t ms[] = { 1, 4, 7, 33 };
		enum { N = 19, K = 1280 };

		for (int dtype = 0; dtype < RT_DTYPES; dtype++) {
			const struct rt_dtype_info *info = rt_dtype_info(dtype);
			float                      *w, *plain;
			void                       *stored;

			if (!info || !info->from_float)
				continue;
			w = numbers(N * K);
			plain = numbers(N * K);
			stored = numbers(N * K * 2);
			ck_assert_int_eq(rt_quantize(dtype, w, N, K, NULL, stored, NULL), 0);
			ck_assert_int_eq(rt_dequantize(dtype, stored, N * K, plain, NULL), 0);
			for (size_t i = 0; i < sizeof ms / sizeof *ms; i++) {
				const int64_t    m = ms[i];
				float           *x = numbers(m * K), *y = numbers(m * N);
				struct rt_tensor a = rt_matrix(x, m, K), c = rt_matrix(y, m, N);
				struct rt_tensor b = rt_matrix(plain, N, K);
				struct rt_tensor q = rt_tensor(stored, (enum rt_dtype)dtype, 2,
				                               (int64_t[]){ N, K });

				b = rt_transpose(b, 0, 1);
				q = rt_transpose(q, 0, 1);
				ck_assert_int_eq(rt_matmul(&a, &q, &c, NULL, NULL), 0);
				check(&a, &b, &c, NULL, NULL, 1.0f, 0.0f, info->name);
			}
		}
	}
END_TEST

/* The other way round, as the gradient of the input needs it: y [m, n] times w [n, k]. */
START_TEST(blocks_may_lie_along_the_columns_only_if_that_is_refused)
	{
		struct rt_error  err = RT_ERROR_INIT;
		unsigned char    bytes[34 * 4 * 2] = { 0 };
		float            x[4] = { 0 }, y[64];
		struct rt_tensor w = rt_tensor(bytes, RT_Q8_0, 2, (int64_t[]){ 4, 64 });
		struct rt_tensor a = rt_matrix(x, 1, 4), c = rt_matrix(y, 1, 64);

		ck_assert_int_eq(rt_matmul(&a, &w, &c, NULL, &err), RT_E_SHAPE);
		ck_assert_str_eq(err.msg, "blocks of b (q8_0) must lie along the sum and be whole");
	}
END_TEST

START_TEST(batches_repeat_single_matrices)
	{
		enum { B = 6, M = 11, N = 13, K = 17 };
		float *x = numbers(B * M * K), *w = numbers(N * K), *y = numbers(B * M * N);
		struct rt_tensor a = rt_tensor(x, RT_F32, 4, (int64_t[]){ 2, 3, M, K });
		struct rt_tensor b = rt_transpose(rt_matrix(w, N, K), 0, 1);
		struct rt_tensor c = rt_tensor(y, RT_F32, 4, (int64_t[]){ 2, 3, M, N });

		ck_assert_int_eq(rt_matmul(&a, &b, &c, NULL, NULL), 0);
		for (int i = 0; i < B; i++) {
			const struct rt_tensor ai = rt_select(rt_select(a, 0, i / 3), 0, i % 3);
			const struct rt_tensor ci = rt_select(rt_select(c, 0, i / 3), 0, i % 3);

			check(&ai, &b, &ci, NULL, NULL, 1.0f, 0.0f, "batch");
		}
	}
END_TEST

/* A result whose rows are not contiguous: the transpose of a dense matrix. */
START_TEST(the_result_may_be_a_transposed_view)
	{
		enum { M = 11, N = 13, K = 17 };
		float           *x = numbers(M * K), *w = numbers(N * K), *y = numbers(M * N);
		struct rt_tensor a = rt_matrix(x, M, K), b = rt_transpose(rt_matrix(w, N, K), 0, 1);
		struct rt_tensor c = rt_transpose(rt_matrix(y, N, M), 0, 1);

		ck_assert_int_eq(rt_matmul(&a, &b, &c, NULL, NULL), 0);
		check(&a, &b, &c, NULL, NULL, 1.0f, 0.0f, "transposed result");
	}
END_TEST

START_TEST(shapes_that_do_not_fit_are_named)
	{
		struct rt_error  err = RT_ERROR_INIT;
		float            x[64] = { 0 };
		struct rt_tensor a = rt_matrix(x, 2, 3), b = rt_matrix(x, 4, 5),
				 c = rt_matrix(x, 2, 5);
		struct rt_tensor         bias = rt_vector(x, 4);
		struct rt_matmul_options o = RT_MATMUL_DEFAULT;

		ck_assert_int_eq(rt_matmul(&a, &b, &c, NULL, &err), RT_E_SHAPE);
		ck_assert_str_eq(err.msg, "2 x 3 times 4 x 5 does not give 2 x 5");
		b = rt_matrix(x, 3, 5);
		o.bias = &bias;
		ck_assert_int_eq(rt_matmul(&a, &b, &c, &o, &err), RT_E_SHAPE);
		ck_assert_str_eq(err.msg, "a bias is f32 [5]");
		b.dtype = 9;
		ck_assert_int_eq(rt_matmul(&a, &b, &c, NULL, &err), RT_E_UNSUP);
	}
END_TEST

START_TEST(infinity_is_reported_when_asked)
	{
		float                    x[4] = { 1.0f, INFINITY, 1.0f, 1.0f }, y[4];
		struct rt_tensor         a = rt_matrix(x, 2, 2), c = rt_matrix(y, 2, 2);
		struct rt_matmul_options o = RT_MATMUL_DEFAULT;

		ck_assert_int_eq(rt_matmul(&a, &a, &c, &o, NULL), 0);
		o.flags = RT_MATMUL_CHECK;
		ck_assert_int_eq(rt_matmul(&a, &a, &c, &o, NULL), RT_E_NUMERIC);
	}
END_TEST

/* 3 billion elements in a sparse mapping: row 2 begins past element 2^31. */
START_TEST(indices_are_64_bits_wide)
	{
		const int64_t    columns = 1500000000, bytes = 3 * columns;
		int8_t          *w = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
		                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		float            x[2] = { 1.0f, 2.0f }, y[3];
		struct rt_tensor a = rt_matrix(x, 1, 2), b, c = rt_matrix(y, 1, 3);

		if (w == MAP_FAILED)
			return; /* no address space for it, such as in 32 bits */
		b = rt_tensor(w, RT_I8, 2, (int64_t[]){ 3, columns });
		ck_assert_int_eq(rt_numel(&b), 4500000000);
		w[2 * columns + columns - 2] = 5;
		w[2 * columns + columns - 1] = 7;
		b = rt_transpose(rt_slice(b, 1, columns - 2, 2), 0, 1);
		ck_assert_int_eq(rt_matmul(&a, &b, &c, NULL, NULL), 0);
		ck_assert_float_eq(y[1], 0.0f);
		ck_assert_float_eq(y[2], 19.0f);
		munmap(w, (size_t)bytes);
	}
END_TEST

RUNNER("matmul", 300, {
	tcase_add_test(tc, products_agree_with_sums_in_double);
	tcase_add_test(tc, products_of_bf16_are_those_of_rounded_operands);
	tcase_add_test(tc, products_of_bf16_stay_within_the_stated_bound);
	tcase_add_test(tc, each_engine_alone_is_right);
	tcase_add_test(tc, large_products_are_right_however_they_are_cut);
	tcase_add_test(tc, rows_that_lie_give_the_bits_of_rows_that_are_packed);
	tcase_add_test(tc, every_storage_type_multiplies_as_its_dequantized_self);
	tcase_add_test(tc, blocks_may_lie_along_the_columns_only_if_that_is_refused);
	tcase_add_test(tc, batches_repeat_single_matrices);
	tcase_add_test(tc, the_result_may_be_a_transposed_view);
	tcase_add_test(tc, shapes_that_do_not_fit_are_named);
	tcase_add_test(tc, infinity_is_reported_when_asked);
	tcase_add_test(tc, indices_are_64_bits_wide);
})
