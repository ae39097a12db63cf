/* test-blocks.c - block types against the reference, bit for bit. */
#include <retort/blocks.h>
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

/* ---- codes and scales ------------------------------------------------------------------------ */

static const struct {
	enum rt_dtype dtype;
	int64_t       bits;
} coded[] = { { RT_Q4_0, 4 }, { RT_Q5_0, 5 }, { RT_Q8_0, 8 } };

START_TEST(codes_and_scales_become_blocks_and_come_back)
	{
		enum { ROWS = 3, COLS = 128, GROUP = 64, N = ROWS * COLS };
		const int64_t   bits = coded[_i].bits;
		float           scales[N / GROUP], x[N], again[N / 32];
		uint8_t         codes[N], back[N], blocks[N / 32 * 34];
		struct rt_error err = RT_ERROR_INIT;

		/* every code there is, scales of both signs that f16 has, and 0 */
		for (int i = 0; i < N; i++)
			codes[i] = (uint8_t)((i * 7 + i / 32) % (1 << bits));
		for (int i = 0; i < N / GROUP; i++)
			scales[i] = i == 2 ? 0 : (float)(i % 2 ? -.375 : .0625) * (float)(i + 1);
		ck_assert_int_eq(rt_block_bits(coded[_i].dtype), bits);
		ck_assert_msg(rt_blocks_pack(coded[_i].dtype, ROWS, COLS, GROUP, codes, scales,
		                             blocks, &err) == 0,
		              "%s", err.msg);
		ck_assert_int_eq(rt_dequantize(coded[_i].dtype, blocks, N, x, NULL), 0);
		for (int i = 0; i < N; i++)
			ck_assert(x[i] ==
			          scales[i / GROUP] * (float)(codes[i] - (1 << (bits - 1))));
		ck_assert_int_eq(rt_blocks_unpack(coded[_i].dtype, blocks, N, back, again, &err),
		                 0);
		ck_assert_mem_eq(back, codes, N);
		for (int i = 0; i < N / 32; i++)
			ck_assert(again[i] == scales[i * 32 / GROUP]);
	}
END_TEST

START_TEST(what_blocks_cannot_keep_is_refused)
	{
		uint8_t         codes[64] = { 15 }, blocks[2 * 34];
		float           scales[2] = { 1, 1 };
		struct rt_error err = RT_ERROR_INIT;

		scales[1] = 1 + 0x1p-12f; /* f16 has 11 bits */
		codes[32] = 1;
		ck_assert_int_eq(rt_blocks_pack(RT_Q4_0, 1, 64, 32, codes, scales, blocks, &err),
		                 RT_E_NUMERIC);
		ck_assert_str_eq(err.msg, "row 0, column 32: code 1 with the scale 1.00024 cannot "
		                          "be kept as q4_0");
		scales[1] = NAN;
		ck_assert_int_eq(rt_blocks_pack(RT_Q4_0, 1, 64, 32, codes, scales, blocks, &err),
		                 RT_E_NUMERIC);
		scales[1] = 1;
		codes[3] = 16;
		ck_assert_int_eq(rt_blocks_pack(RT_Q4_0, 1, 64, 32, codes, scales, blocks, &err),
		                 RT_E_NUMERIC);
		ck_assert_int_eq(rt_blocks_pack(RT_Q4_1, 1, 64, 32, codes, scales, blocks, &err),
		                 RT_E_UNSUP);
		ck_assert_str_eq(err.msg, "q4_1 has no codes with one zero: q4_0, q5_0, q8_0 do");
		ck_assert_int_eq(rt_blocks_pack(RT_Q4_0, 1, 64, 48, codes, scales, blocks, &err),
		                 RT_E_SHAPE);
		ck_assert_str_eq(err.msg, "groups of 48 in 64 columns are not whole blocks of 32");
		ck_assert_int_eq(rt_blocks_unpack(RT_Q4_0, blocks, 33, codes, scales, &err),
		                 RT_E_SHAPE);
	}
END_TEST

RUNNER("blocks", 120, {
	TABLE_TEST(tc, codes_and_scales_become_blocks_and_come_back, coded);
	tcase_add_test(tc, what_blocks_cannot_keep_is_refused);
	tcase_add_test(tc, simple_types_quantize_to_the_bits_of_the_reference);
	tcase_add_test(tc, all_types_dequantize_to_the_bits_of_the_reference);
})
