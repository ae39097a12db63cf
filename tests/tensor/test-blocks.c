/* test-blocks.c - block types against the reference, bit for bit. */
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
	float *want = malloc((size_t)n * sizeof *want), *got = malloc((size_t)n * sizeof *got);

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
	json_array_foreach(json_object_get(j, "types"), i, type)
	{
		const char   *name = json_string_value(json_object_get(type, "type"));
		const int64_t dtype = golden_int(type, "ggml_type");

		if (!rt_dtype_info(dtype))
			continue;
		known++;
		ck_assert_int_eq(rt_dtype_find(name), dtype);
		ck_assert_int_eq(rt_dtype_info(dtype)->bytes, golden_int(type, "block_bytes"));
		check_dequantized(name, dtype, region(data, type, quantize ? "quantized" : "bytes"),
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
		ck_assert_int_ge(run_vectors("gguf/dequantize.json", "gguf/dequantize.bin", false),
		                 14);
	}
END_TEST

RUNNER("blocks", 120, {
	tcase_add_test(tc, simple_types_quantize_to_the_bits_of_the_reference);
	tcase_add_test(tc, all_types_dequantize_to_the_bits_of_the_reference);
})
