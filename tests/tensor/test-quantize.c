/* test-quantize.c - block types against the reference, bit for bit, and their errors. */
#include <retort/tensor.h>

#include "golden.h"
#include "runner.h"
#include "tensor/kernels.h"

#include <math.h>
#include <string.h>

struct region {
	const char *at;
	int64_t     bytes, rows, columns;
};

static struct region region(const char *bin, const json_t *type, const char *key)
{
	const json_t *r = json_object_get(type, key), *shape = json_object_get(r, "shape");

	return (struct region){ bin + golden_int(r, "offset"), golden_int(r, "bytes"),
				json_integer_value(json_array_get(shape, 0)),
				json_integer_value(json_array_get(shape, 1)) };
}

/* NaN may differ in its payload, nothing else may. */
static void same_floats(const char *type, const float *got, const float *want, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		if (memcmp(&got[i], &want[i], sizeof *got) != 0 &&
		    !(isnan(got[i]) && isnan(want[i])))
			ck_abort_msg("%s, %s: element %lld is %a, want %a", kernels()->isa, type,
				     (long long)i, (double)got[i], (double)want[i]);
}

static void check_dequantized(const char *name, int64_t dtype, struct region bytes,
			      struct region floats)
{
	const int64_t n = floats.rows * floats.columns;
	float        *want = malloc((size_t)n * sizeof *want), *got = malloc((size_t)n * sizeof *got);

	memcpy(want, floats.at, (size_t)n * sizeof *want);
	ck_assert_int_eq(floats.bytes, n * (int64_t)sizeof *want);
	for (const struct isa *isa = isa_all; isa->kernels; isa++)
		if (isa->usable()) {
			kernels_set(isa->kernels);
			ck_assert_int_eq(rt_dequantize(dtype, bytes.at, n, got, NULL), 0);
			same_floats(name, got, want, n);
		}
	kernels_set(NULL);
	free(want);
	free(got);
}

static void check_quantized(const char *name, int64_t dtype, struct region x, struct region bytes)
{
	float         *in = malloc((size_t)x.bytes);
	unsigned char *got = calloc(1, (size_t)bytes.bytes);

	memcpy(in, x.at, (size_t)x.bytes);
	ck_assert_int_eq(rt_quantize(dtype, in, x.rows, x.columns, NULL, got, NULL), 0);
	for (int64_t i = 0; i < bytes.bytes; i++)
		if (got[i] != (unsigned char)bytes.at[i])
			ck_abort_msg("%s: byte %lld is %02x, want %02x", name, (long long)i, got[i],
				     (unsigned char)bytes.at[i]);
	free(in);
	free(got);
}

/* One file of vectors; how many types of it we know. */
static int run_vectors(const char *json, const char *bin, bool quantize)
{
	json_t *j = golden_json(json);
	char   *data = golden_read(bin, NULL);
	json_t *type;
	size_t  i;
	int     known = 0;

	if (!j || !data)
		return -1;
	json_array_foreach(json_object_get(j, "types"), i, type) {
		const char   *name = json_string_value(json_object_get(type, "type"));
		const int64_t dtype = golden_int(type, "ggml_type");

		if (!rt_dtype_info(dtype))
			continue;
		known++;
		ck_assert_int_eq(rt_dtype_find(name), dtype);
		ck_assert_int_eq(rt_dtype_info(dtype)->bytes, golden_int(type, "block_bytes"));
		check_dequantized(name, dtype,
				  region(data, type, quantize ? "quantized" : "bytes"),
				  region(data, type, "dequantized"));
		if (quantize) {
			const json_t *in = json_object_get(j, "input");
			json_t       *wrap = json_pack("{s:O}", "input", in);

			check_quantized(name, dtype, region(data, wrap, "input"),
					region(data, type, "quantized"));
			json_decref(wrap);
		}
	}
	json_decref(j);
	free(data);
	return known;
}

START_TEST(simple_types_quantize_to_the_bits_of_the_reference)
{
	ck_assert_int_ge(run_vectors("gguf/quantize.json", "gguf/quantize.bin", true), 7);
}
END_TEST

START_TEST(all_types_dequantize_to_the_bits_of_the_reference)
{
	ck_assert_int_ge(run_vectors("gguf/dequantize.json", "gguf/dequantize.bin", false), 14);
}
END_TEST

/* Deterministic numbers that look like weights: sums of uniform ones. */
static void weights(float *x, int64_t n, uint32_t seed)
{
	for (int64_t i = 0; i < n; i++) {
		float sum = 0.0f;

		for (int k = 0; k < 6; k++) {
			seed = seed * 1664525u + 1013904223u;
			sum += (float)(seed >> 8) / 16777216.0f - 0.5f;
		}
		x[i] = 0.03f * sum;
	}
}

static double square_error(int dtype, const float *x, int64_t n, const float *importance)
{
	float *y = malloc((size_t)n * sizeof *y);
	void  *bytes = malloc((size_t)n * 4);
	double e = 0.0, size = 0.0;

	ck_assert_int_eq(rt_quantize(dtype, x, 1, n, importance, bytes, NULL), 0);
	ck_assert_int_eq(rt_dequantize(dtype, bytes, n, y, NULL), 0);
	for (int64_t i = 0; i < n; i++) {
		const double w = importance ? importance[i] : 1.0, d = (double)x[i] - y[i];

		e += w * d * d;
		size += w * x[i] * x[i];
	}
	free(y);
	free(bytes);
	return e / size;
}

/* Squared error over squared size, on weights() of seed 1: what the search finds and 2 % for
 * other compilers.  llama.cpp (b11434) leaves 8.57e-2, 2.19e-2, 4.90e-3, 1.26e-3, 2.99e-4,
 * 5.54e-3 and 5.63e-3 on the same numbers. */
static const struct {
	int    dtype;
	double bound;
} errors[] = { { RT_Q2_K, 6.70e-2 },   { RT_Q3_K, 2.02e-2 },   { RT_Q4_K, 4.73e-3 },
	       { RT_Q5_K, 1.15e-3 },   { RT_Q6_K, 2.62e-4 },   { RT_IQ4_NL, 5.22e-3 },
	       { RT_IQ4_XS, 5.28e-3 } };

START_TEST(searched_types_stay_within_their_error)
{
	enum { N = 8192 };
	static float x[N];
	double       e;

	weights(x, N, 1);
	e = square_error(errors[_i].dtype, x, N, NULL);
	ck_assert_msg(e <= errors[_i].bound, "%s: %.4e", rt_dtype_info(errors[_i].dtype)->name, e);
}
END_TEST

START_TEST(importance_moves_the_error_to_where_it_does_not_matter)
{
	enum { N = 4096 };
	static float x[N], w[N];

	weights(x, N, 2);
	for (int i = 0; i < N; i++)
		w[i] = i % 4 == 0 ? 10.0f : 0.1f;
	/* The weighted error with the weights known is well below that without. */
	for (size_t t = 0; t < sizeof errors / sizeof *errors; t++) {
		const int     dtype = errors[t].dtype;
		unsigned char bytes[N * 2];
		float         y[N];
		double        blind = 0.0, size = 0.0;

		ck_assert_int_eq(rt_quantize(dtype, x, 1, N, NULL, bytes, NULL), 0);
		ck_assert_int_eq(rt_dequantize(dtype, bytes, N, y, NULL), 0);
		for (int i = 0; i < N; i++) {
			blind += w[i] * ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
			size += w[i] * (double)x[i] * x[i];
		}
		ck_assert_double_lt(square_error(dtype, x, N, w), 0.97 * blind / size);
	}
}
END_TEST

START_TEST(zeros_and_extremes_survive)
{
	static const float values[] = { 0.0f, -0.0f, 1e-30f, 1e-8f, 3e4f, -6e4f };

	for (int dtype = 0; dtype < RT_DTYPES; dtype++)
		for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
			float         x[256], y[256];
			unsigned char bytes[2048];

			if (!rt_dtype_info(dtype) || !rt_dtype_info(dtype)->from_float)
				continue;
			for (int i = 0; i < 256; i++)
				x[i] = values[v];
			ck_assert_int_eq(rt_quantize(dtype, x, 1, 256, NULL, bytes, NULL), 0);
			ck_assert_int_eq(rt_dequantize(dtype, bytes, 256, y, NULL), 0);
			/* A constant is met to the precision of an f16 scale of 4-bit levels. */
			for (int i = 0; i < 256; i++)
				ck_assert_msg(fabsf(y[i] - x[i]) <= 0.07f * fabsf(x[i]) + 1e-6f,
					      "%s: %g became %g", rt_dtype_info(dtype)->name,
					      (double)x[i], (double)y[i]);
		}
}
END_TEST

START_TEST(what_is_not_finite_is_an_error)
{
	float         x[512] = { 0 };
	unsigned char bytes[2048];
	float         w[256] = { 1.0f };

	x[300] = INFINITY;
	ck_assert_int_eq(rt_quantize(RT_Q4_0, x, 2, 256, NULL, bytes, NULL), RT_E_NUMERIC);
	x[300] = NAN;
	ck_assert_int_eq(rt_quantize(RT_Q6_K, x, 2, 256, NULL, bytes, NULL), RT_E_NUMERIC);
	w[7] = -1.0f;
	x[300] = 0.0f;
	ck_assert_int_eq(rt_quantize(RT_Q6_K, x, 2, 256, w, bytes, NULL), RT_E_NUMERIC);
}
END_TEST

START_TEST(odd_lengths_and_unknown_types_are_refused)
{
	struct rt_error err = RT_ERROR_INIT;
	float           x[64] = { 0 };
	unsigned char   bytes[256];

	ck_assert_int_eq(rt_quantize(RT_Q4_0, x, 1, 33, NULL, bytes, &err), RT_E_SHAPE);
	ck_assert_str_eq(err.msg, "33 elements of q4_0 are no whole blocks of 32");
	ck_assert_int_eq(rt_dequantize(9, bytes, 32, x, &err), RT_E_UNSUP);
	ck_assert_int_eq(rt_quantize(RT_I8, x, 1, 32, NULL, bytes, &err), RT_E_UNSUP);
	ck_assert_int_eq(rt_dtype_find("q9_9"), -1);
}
END_TEST

RUNNER("quantize", 120, {
	tcase_add_test(tc, simple_types_quantize_to_the_bits_of_the_reference);
	tcase_add_test(tc, all_types_dequantize_to_the_bits_of_the_reference);
	TABLE_TEST(tc, searched_types_stay_within_their_error, errors);
	tcase_add_test(tc, importance_moves_the_error_to_where_it_does_not_matter);
	tcase_add_test(tc, zeros_and_extremes_survive);
	tcase_add_test(tc, what_is_not_finite_is_an_error);
	tcase_add_test(tc, odd_lengths_and_unknown_types_are_refused);
})
