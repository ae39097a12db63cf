/* test-isa.c - instruction sets against each other, one thread against several, and the wishes
 * of RETORT_ISA. */
#include "tensor/nn.h"
#include "tensor/panel.h"

#include "numeric.h"
#include "runner.h"

#include <retort/parallel.h>
#include <retort/random.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- one instruction set against the portable kernels ------------------------------------- */

enum { SIZE = 4096 };

/* Values over many magnitudes, with infinities and a subnormal. */
static void hard_floats(float *x, int64_t n)
{
	uint32_t seed = 5;

	for (int64_t i = 0; i < n; i++)
		x[i] = random_next(&seed) * ldexpf(1.0f, (int)(seed >> 3) % 40 - 20);
	x[3] = 0.0f;
	x[5] = 1e-40f;
	x[7] = -300.0f;
	x[9] = 88.5f;
}

/* dropout() as its header says it: from the numbers of rt_philox(). */
static void drop_plainly(const struct draws *d, uint32_t block, float *x, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		const uint32_t at = (uint32_t)(i % DROPOUT_CHUNK);
		const uint32_t counter[4] = {
			block + (uint32_t)(i / DROPOUT_CHUNK) * DROPOUT_BLOCKS +
				at % DROPOUT_BLOCKS,
			d->counter[0], d->counter[1], d->counter[2]
		};
		uint32_t out[4], draw;

		rt_philox(counter, d->key, out);
		draw = out[at / DROPOUT_BLOCKS % 4] >> (at / DROPOUT_BLOCKS < 4 ? 0 : 16) & 0xffff;
		x[i] *= draw < d->limit ? 0 : d->scale;
	}
}

static void every_bit_equal(const struct kernels *k)
{
	const struct kernels *g = &kernels_generic;
	const struct draws    draws = { { 7, 1 }, { 3, 4, 5 }, 20000, 1.5f };
	static float          x[SIZE], y[SIZE], a[SIZE], b[SIZE], c[SIZE], d[SIZE];

	hard_floats(x, SIZE);
	memcpy(y, random_floats(SIZE, 3), sizeof y);
	for (int64_t n = 0; n < 600; n++) {
		ck_assert(k->max(x, n) == g->max(x, n));
		ck_assert(k->sum_exp(x, n, 88.5f, a) == g->sum_exp(x, n, 88.5f, b));
		ck_assert_mem_eq(a, b, sizeof(float) * (size_t)n);
		ck_assert(k->sum_products(x, y, n) == g->sum_products(x, y, n));
		k->swiglu(x, y, a, n);
		g->swiglu(x, y, b, n);
		ck_assert_mem_eq(a, b, sizeof(float) * (size_t)n);
		k->swiglu_backward(x, y, x + 1, a, c, n);
		g->swiglu_backward(x, y, x + 1, b, d, n);
		ck_assert_mem_eq(a, b, sizeof(float) * (size_t)n);
		ck_assert_mem_eq(c, d, sizeof(float) * (size_t)n);
		memcpy(a, x, sizeof a);
		memcpy(b, x, sizeof b);
		k->dropout(&draws, 1000, a, n);
		drop_plainly(&draws, 1000, b, n);
		ck_assert_mem_eq(a, b, sizeof a);
		k->bf16_round(a, n);
		g->bf16_round(b, n);
		ck_assert_mem_eq(a, b, sizeof a);
	}
	for (int dtype = 0; dtype < RT_DTYPES; dtype++) {
		if (!g->load[dtype])
			continue;
		g->load[dtype](x, 1024, a); /* any bytes will do; they hold no NaN but for floats */
		k->load[dtype](x, 1024, b);
		ck_assert_mem_eq(a, b, sizeof(float) * 1024);
	}
}

START_TEST(functions_without_fused_products_agree_to_the_last_bit)
	{
		for (const struct isa *isa = isa_all; isa->kernels; isa++)
			if (isa->usable())
				every_bit_equal(isa->kernels);
	}
END_TEST

/* A panel: element [p][i] is that of row i at p, 0 beyond `count`; nothing is written behind it. */
static void panel_is_exact(const struct kernels *k, bool across, int count, int width, int64_t n)
{
	enum { LD = 101, BEYOND = 64 };
	static float src[GEMM_MAX_NR * LD], dst[GEMM_MAX_NR * LD + BEYOND];

	for (int i = 0; i < GEMM_MAX_NR * LD; i++)
		src[i] = (float)(i + 1);
	memset(dst, 0x55, sizeof dst);
	(across ? k->pack_across : k->pack)(src, across ? GEMM_MAX_NR : LD, count, width, n, dst);
	for (int64_t i = 0; i < n * width + BEYOND; i++) {
		const int64_t p = i / width, row = i % width;
		const float   want = row >= count ? 0.0f
		                     : across     ? src[p * GEMM_MAX_NR + row]
		                                  : src[row * LD + p];

		if (i < n * width)
			ck_assert_msg(dst[i] == want, "%s %s, %d of %d rows, %lld: element %lld",
			              k->isa, across ? "across" : "along", count, width,
			              (long long)n, (long long)i);
		else
			ck_assert_mem_eq(&dst[i], "UUUU", sizeof dst[i]);
	}
}

START_TEST(panels_hold_their_rows_and_nothing_behind_them_is_touched)
	{
		for (const struct isa *isa = isa_all; isa->kernels; isa++) {
			const struct kernels *k = isa->kernels;

			for (int side = 0; isa->usable() && side < 4; side++)
				for (int count = 1; count <= (side % 2 ? k->mr : k->nr); count++)
					for (int64_t n = 1; n <= 50; n++)
						panel_is_exact(k, side > 1, count,
						               side % 2 ? k->mr : k->nr, n);
		}
	}
END_TEST

/* The bound of retort/tensor.h for two ways to add K products: K 2^-23 sum |a||b|. */
START_TEST(products_agree_within_the_stated_bound)
	{
		enum { M = 37, N = 53, K = 777 };
		float           *x = random_floats(M * K, 1), *w = random_floats(N * K, 2);
		static float     want[M * N], got[M * N];
		struct rt_tensor a = rt_matrix(x, M, K), b = rt_transpose(rt_matrix(w, N, K), 0, 1);
		struct rt_tensor c = rt_matrix(want, M, N), d = rt_matrix(got, M, N);

		kernels_set(&kernels_generic);
		ck_assert_int_eq(rt_matmul(&a, &b, &c, NULL, NULL), 0);
		for (const struct isa *isa = isa_all; isa->kernels; isa++) {
			if (!isa->usable())
				continue;
			kernels_set(isa->kernels);
			ck_assert_int_eq(rt_matmul(&a, &b, &d, NULL, NULL), 0);
			for (int i = 0; i < M * N; i++) {
				double size = 0.0;

				for (int k = 0; k < K; k++)
					size += fabs((double)x[i / N * K + k] * w[i % N * K + k]);
				ck_assert(fabs((double)want[i] - got[i]) <=
				          K * ldexp(1.0, -23) * size);
			}
		}
		kernels_set(NULL);
	}
END_TEST

/* Every table rounds activations to the same numbers. */
START_TEST(rounded_rows_have_the_same_bits)
	{
		enum { N = 800 };
		float  *x = random_floats(N, 1), scale[2][N / 32], wide_scale[2][N / 32];
		int8_t  q[2][N];
		int16_t wide[2][N], sums[2][N / 16];

		memset(x + 64, 0, 32 * sizeof *x);
		x[100] = NAN;
		kernels_generic.int8_row(x, N, q[0], scale[0], sums[0]);
		kernels_generic.int16_row(x, N, wide[0], wide_scale[0]);
		for (const struct isa *isa = isa_all; isa->kernels; isa++) {
			if (!isa->usable())
				continue;
			isa->kernels->int8_row(x, N, q[1], scale[1], sums[1]);
			ck_assert_mem_eq(q[0], q[1], sizeof q[0]);
			ck_assert_mem_eq(scale[0], scale[1], sizeof scale[0]);
			ck_assert_mem_eq(sums[0], sums[1], sizeof sums[0]);
			isa->kernels->int16_row(x, N, wide[1], wide_scale[1]);
			ck_assert_mem_eq(wide[0], wide[1], sizeof wide[0]);
			ck_assert_mem_eq(wide_scale[0], wide_scale[1], sizeof wide_scale[0]);
		}
	}
END_TEST

/* ---- threads ------------------------------------------------------------------------------ */

enum { T = 150, V = 1000, D = 96, OUT = T * D * 4 + V * D + 2 * T * V };

static void multiply_panels(const float *w, const float *x, float *y)
{
	unsigned char         *blocks = (unsigned char *)random_floats(V * D, 5);
	const struct rt_tensor t = rt_tensor(blocks, RT_Q8_0, 2, (int64_t[]){ V, D });
	struct panels          p = panels_plan(&t);
	struct panels_product  o = { .w = &p, .c = y, .ldc = V };
	uint8_t               *memory = rt_alloc_aligned((size_t)panels_bytes(&p), 1);

	ck_assert_int_eq(rt_quantize(RT_Q8_0, w, V, D, NULL, blocks, NULL), 0);
	panels_fill(&p, &t, memory);
	ck_assert_int_eq(panels_multiply(x, D, T, &o, 1, NULL), 0);
	rt_free(memory);
}

/* A bit of everything that adds, on enough rows for several pieces. */
static void compute(float *out)
{
	float              *x = random_floats(T * D, 1), *w = random_floats(V * D, 2);
	float              *lse = random_floats(T * 6, 3), *norm = random_floats(D, 4);
	int32_t             label[T];
	struct rt_tensor    weight = rt_matrix(w, V, D), inputs = rt_matrix(x, T, D);
	struct rt_tensor    turned = rt_transpose(weight, 0, 1);
	struct rt_tensor    logits = rt_matrix(out + 4 * T * D + V * D, T, V);
	struct nn_head      head = { &weight, 1.0f, 60 * 4 * V, true, 0 };
	struct rt_span      span = { 0, T, 0, T, 0 };
	struct nn_attention o = { &span, 1, 0, 0.25f };
	struct nn_heads h = { x, T, 6, 16, D }, kv = { x, T, 2, 16, D }, y = { out, T, 6, 16, D };
	struct nn_heads dq = { out + T * D, T, 6, 16, D }, dk = { out + 2 * T * D, T, 2, 16, D };
	struct nn_heads dv = { out + 2 * T * D + 32, T, 2, 16, D }, rows = { x, T, 1, D, D };
	double          loss;

	multiply_panels(w, x, out + 4 * T * D + V * D + T * V);
	for (int i = 0; i < T; i++)
		label[i] = i * 7 % V;
	ck_assert_int_eq(nn_attention(&o, h, kv, kv, y, lse, NULL), 0);
	ck_assert_int_eq(nn_attention_backward(&o, h, kv, kv, y, lse, h, dq, dk, dv, NULL), 0);
	ck_assert_int_eq(nn_cross_entropy(&head, rows, label, 1.0f, &loss, NULL, out + 3 * T * D,
	                                  out + 4 * T * D, NULL),
	                 0);
	nn_embedding_backward(label, rows, out + 4 * T * D);
	nn_rmsnorm(rows, norm, 1e-6, rows, lse);
	nn_rmsnorm_backward(rows, norm, lse, rows, rows, false, out + 4 * T * D);
	memcpy(out + 3 * T * D, x, sizeof *x * T * D / 2);
	ck_assert_int_eq(
		rt_matmul(&inputs, &turned, &logits,
	                  &(const struct rt_matmul_options){ .alpha = 1, .flags = RT_MATMUL_BF16 },
	                  NULL),
		0);
}

/* Comes first, as it forks: behind a process's first call of the pool nobody may. */
START_TEST(any_number_of_threads_gives_the_same_bits)
	{
		static const char *const threads[] = { "1", "2", "5" };
		const size_t             bytes = 3 * OUT * sizeof(float);
		float *all = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		                  -1, 0);

		ck_assert(all != MAP_FAILED);
		for (int i = 0; i < 3; i++) { /* the pool is started once in a process */
			const pid_t child = fork();
			int         status;

			if (child == 0) {
				setenv("RETORT_THREADS", threads[i], 1);
				if (rt_threads() != atoi(threads[i]))
					_exit(1);
				compute(all + i * OUT);
				_exit(0);
			}
			ck_assert_int_eq(waitpid(child, &status, 0), child);
			ck_assert_int_eq(status, 0);
		}
		ck_assert(all[0] != 0.0f && all[OUT - 1] != 0.0f);
		ck_assert(memcmp(all, all + OUT, OUT * sizeof *all) == 0);
		ck_assert(memcmp(all, all + 2 * OUT, OUT * sizeof *all) == 0);
		munmap(all, bytes);
	}
END_TEST

/* ---- the choice --------------------------------------------------------------------------- */

START_TEST(a_wish_is_met_or_refused_with_a_sentence)
	{
		struct rt_error err = RT_ERROR_INIT;
		bool            lacking = false;

		setenv("RETORT_ISA", "generic", 1);
		ck_assert_int_eq(rt_isa_init(&err), 0);
		ck_assert_str_eq(rt_isa(), "generic");
		setenv("RETORT_ISA", "avx3", 1);
		ck_assert_int_eq(rt_isa_init(&err), RT_E_USAGE);
		ck_assert_str_eq(err.msg,
		                 "RETORT_ISA=avx3 is unknown; use generic, avx2, avx512 or neon");
#if defined(__x86_64__)
		setenv("RETORT_ISA", "neon", 1);
		lacking = true;
#elif defined(__aarch64__)
		setenv("RETORT_ISA", "avx2", 1);
		lacking = true;
#endif
		if (lacking) {
			ck_assert_int_eq(rt_isa_init(&err), RT_E_USAGE);
			ck_assert_ptr_nonnull(
				strstr(err.msg, "this processor or this build lacks it"));
		}
		setenv("RETORT_ISA", "", 1);
		ck_assert_int_eq(rt_isa_init(&err), 0);
		for (const struct isa *isa = isa_all; isa->kernels; isa++)
			if (isa->usable()) {
				ck_assert_str_eq(rt_isa(), isa->kernels->isa);
				break;
			}
		ck_assert_uint_gt(strlen(rt_blas()), 5);
	}
END_TEST

RUNNER("isa", 120, {
	tcase_add_test(tc, any_number_of_threads_gives_the_same_bits);
	tcase_add_test(tc, functions_without_fused_products_agree_to_the_last_bit);
	tcase_add_test(tc, panels_hold_their_rows_and_nothing_behind_them_is_touched);
	tcase_add_test(tc, products_agree_within_the_stated_bound);
	tcase_add_test(tc, rounded_rows_have_the_same_bits);
	tcase_add_test(tc, a_wish_is_met_or_refused_with_a_sentence);
})
