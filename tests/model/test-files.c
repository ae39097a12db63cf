/* test-files.c - safetensors and config.json: what is written is read back, and what lies or is
 * not supported is refused with a sentence that names it. */
#include "golden.h"
#include "runner.h"
#include "temp.h"
#include "torture.h"

#include "model/checkpoint.h"

#include <math.h>
#include <string.h>

/* ---- safetensors --------------------------------------------------------------------------- */

/* A file with this header; `data` bytes follow. */
static const char *file_of(const char *header, size_t data)
{
	char         bytes[4096] = { 0 };
	const size_t n = strlen(header);

	ck_assert_uint_lt(n + data + 8, sizeof bytes);
	for (int i = 0; i < 8; i++)
		bytes[i] = (char)(n >> 8 * i);
	memcpy(bytes + 8, header, n);
	return temp_write("t.safetensors", bytes, 8 + n + data);
}

START_TEST(tensors_are_read_back_as_they_were_written)
	{
		float                  a[6] = { 1, 2, 3, 4, 5, 6 };
		uint16_t               b[4] = { 7, 8, 9, 10 };
		int64_t                c[1] = { -5 };
		struct rt_named_tensor t[] = {
			{ "a", rt_tensor(a, RT_F32, 2, (int64_t[]){ 2, 3 }) },
			{ "\xc3\xa9", rt_tensor(b, RT_BF16, 1, (int64_t[]){ 4 }) },
			{ "c", rt_tensor(c, RT_I64, 1, (int64_t[]){ 1 }) },
			{ "none", rt_tensor(a, RT_F32, 2, (int64_t[]){ 0, 3 }) }
		};
		struct rt_safetensors s;

		ck_assert_int_eq(rt_safetensors_write(temp_path("w.safetensors"), t, 4, NULL, NULL),
		                 0);
		ck_assert_int_eq(rt_safetensors_open(&s, temp_path("w.safetensors"), NULL), 0);
		ck_assert_int_eq(s.n, 4);
		for (int i = 0; i < 4; i++) {
			const struct rt_tensor *got = rt_safetensors_find(&s, t[i].name);

			ck_assert_ptr_nonnull(got);
			ck_assert_int_eq(got->ndim, t[i].tensor.ndim);
			ck_assert_int_eq(got->dtype, t[i].tensor.dtype);
			ck_assert_int_eq(rt_bytes(got), rt_bytes(&t[i].tensor));
			ck_assert_int_eq(memcmp(got->data, t[i].tensor.data, (size_t)rt_bytes(got)),
			                 0);
			ck_assert_uint_eq((uintptr_t)s.tensors[0].tensor.data % 8, 0);
		}
		rt_safetensors_close(&s);
	}
END_TEST

static const struct {
	const char *header;
	size_t      data;
	const char *message;
} lies[] = {
	{ "[]", 0, "t.safetensors: the header is an array, want an object" },
	{ "{\"a\":1}", 0, "t.safetensors: tensor a lacks dtype, shape or data_offsets" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,12]}}", 12,
	  "t.safetensors: tensor a takes 8 bytes, its offsets span 12" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4,
	  "t.safetensors: tensor a lies from 0 to 8 of 4 bytes"
	  "; it is cut short or damaged: get it again" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8,
	  "t.safetensors: tensor a lies from 8 to 0 of 8 bytes"
	  "; it is cut short or damaged: get it again" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8,
	  "t.safetensors: tensor a: dimension 0 of size -2: below 0, or more bytes than can be "
	  "counted" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0,
	  "t.safetensors: tensor a: dimension 0 of size 4611686018427387904: below 0, or more "
	  "bytes "
	  "than can be counted" },
	{ "{\"a\":{\"dtype\":\"F99\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
	  "t.safetensors: tensor a of type F99 with 1 dimensions is not supported" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
	  "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}",
	  6, "t.safetensors: tensor b begins at 2, the data before it ends at 4" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
	  "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
	  12, "t.safetensors: tensor b begins at 8, the data before it ends at 4" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 9,
	  "t.safetensors: 5 bytes of data belong to no tensor" },
};

START_TEST(headers_that_lie_are_refused)
	{
		struct rt_safetensors s;
		struct rt_error       err = RT_ERROR_INIT;

		ck_assert_int_lt(
			rt_safetensors_open(&s, file_of(lies[_i].header, lies[_i].data), &err), 0);
		ck_assert_str_eq(temp_strip(err.msg), lies[_i].message);
	}
END_TEST

START_TEST(lengths_that_lie_are_refused)
	{
		struct rt_safetensors s;
		struct rt_error       err = RT_ERROR_INIT;

		ck_assert_int_lt(rt_safetensors_open(&s, temp_write("t", "\1\0", 2), &err), 0);
		ck_assert_str_eq(temp_strip(err.msg), "t: 2 bytes are no safetensors file"
		                                      "; it is cut short or damaged: get it again");
		ck_assert_int_lt(rt_safetensors_open(
					 &s,
					 temp_write("t", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10),
					 &err),
		                 0);
		ck_assert_str_eq(temp_strip(err.msg),
		                 "t: a header of 18446744073709551615 bytes in a file of 10"
		                 "; it is cut short or damaged: get it again");
		ck_assert_int_lt(
			rt_safetensors_open(&s, temp_write("t", "\2\0\0\0\0\0\0\0{\"", 10), &err),
			0);
		ck_assert_int_lt(rt_safetensors_open(&s, temp_write("t", "", 0), &err), 0);
		ck_assert_int_lt(
			rt_safetensors_open(
				&s,
				temp_write("t", "version https://git-lfs.github.com/spec/v1\n", 43),
				&err),
			0);
		ck_assert_str_eq(temp_strip(err.msg), "t is a pointer of Git LFS, not the file "
		                                      "itself: get that by `git lfs pull`");
	}
END_TEST

/* Every byte of a small file's header in turn becomes something else. */
START_TEST(damaged_headers_are_refused_or_harmless)
	{
		const char *header =
			"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]}}";
		char copy[128];

		for (size_t at = 0; at < strlen(header); at++)
			for (int v = 1; v < 256; v += 11) {
				struct rt_safetensors s;

				strcpy(copy, header);
				copy[at] = (char)v;
				if (rt_safetensors_open(&s, file_of(copy, 8), NULL) == 0) {
					for (int64_t i = 0; i < s.n; i++)
						ck_assert_int_le(rt_bytes(&s.tensors[i].tensor), 8);
					rt_safetensors_close(&s);
				}
			}
	}
END_TEST

/* ---- config.json --------------------------------------------------------------------------- */

#define BASE                                                                                       \
	"\"hidden_size\":64,\"num_hidden_layers\":4,\"num_attention_heads\":8,"                    \
	"\"intermediate_size\":96,\"vocab_size\":100"

static int read_config(const char *more, struct model_config *c, struct rt_error *err)
{
	char            text[2048];
	struct rt_json *j = NULL;
	int             r;

	snprintf(text, sizeof text, "{" BASE ",%s}", more);
	ck_assert_int_eq(rt_json_parse(text, strlen(text), "c", 1, &j, err), 0);
	r = model_config_init(c, j, "c", err);
	rt_json_free(j);
	return r;
}

static const struct {
	const char *more, *message;
} refusals[] = {
	{ "\"model_type\":\"gemma\"",
	  "c: model_type gemma is not supported; qwen2, qwen3, llama and mistral are" },
	{ "\"model_type\":\"llama\",\"hidden_act\":\"gelu\"",
	  "c: hidden_act = \"gelu\" is not supported (only \"silu\" is)" },
	{ "\"model_type\":\"llama\",\"quantization_config\":{\"quant_method\":\"x\"}",
	  "c: the weights are quantized by x; format-x reads them, where there is such a plugin, "
	  "as `format` of stage-model" },
	{ "\"model_type\":\"llama\",\"quantization_config\":{\"bits\":4}",
	  "c: quantization_config = {\"bits\": 4} is not supported (only null is)" },
	{ "\"model_type\":\"llama\",\"num_key_value_heads\":3",
	  "c: 8 attention heads are no multiple of 3 key-value heads" },
	{ "\"model_type\":\"llama\",\"num_key_value_heads\":\"3\"",
	  "c: num_key_value_heads is a string, want an integer" },
	{ "\"model_type\":\"llama\",\"head_dim\":7", "c: head_dim 7 is odd" },
	{ "\"model_type\":\"llama\",\"rope_scaling\":{\"type\":\"su\",\"factor\":2}",
	  "c: rotary scaling su is not supported; default, linear, dynamic, llama3 and yarn are" },
	{ "\"model_type\":\"qwen3\",\"num_key_value_heads\":2,\"layer_types\":[\"full_attention\"]",
	  "c: layer_types has 1 entries for 4 layers" },
	{ "\"model_type\":\"llama\",\"final_logit_softcapping\":30.0",
	  "c: final_logit_softcapping = 30.0 is not supported (only 0.0 is)" },
};

START_TEST(what_is_not_supported_is_named)
	{
		struct model_config c;
		struct rt_error     err = RT_ERROR_INIT;

		ck_assert_int_lt(read_config(refusals[_i].more, &c, &err), 0);
		ck_assert_str_eq(err.msg, refusals[_i].message);
	}
END_TEST

START_TEST(both_spellings_and_family_defaults_are_understood)
	{
		struct model_config c;

		ck_assert_int_eq(
			read_config(
				"\"model_type\":\"llama\",\"rope_theta\":5e5,\"torch_dtype\":"
				"\"bfloat16\",\"rope_scaling\":{\"type\":\"linear\",\"factor\":4}",
				&c, NULL),
			0);
		ck_assert_int_eq(c.kv_heads, 8);
		ck_assert_int_eq(c.head_dim, 8);
		ck_assert(c.rope.kind == ROPE_LINEAR && c.rope.factor == 4.0 &&
		          c.rope.theta == 5e5);
		ck_assert_int_eq(c.dtype, RT_BF16);
		ck_assert(!c.bias_qkv && !c.tied && !c.qk_norm);
		model_config_fini(&c);
		ck_assert_int_eq(
			read_config("\"model_type\":\"qwen3\",\"num_key_value_heads\":2,\"dtype\":"
		                    "\"float16\",\"rope_parameters\":{\"rope_type\":\"yarn\","
		                    "\"rope_theta\":"
		                    "1e6,\"factor\":2.0,\"original_max_position_embeddings\":1024}",
		                    &c, NULL),
			0);
		ck_assert_int_eq(c.head_dim, 128);
		ck_assert(c.qk_norm && c.rope.kind == ROPE_YARN && c.rope.original == 1024);
		model_config_fini(&c);
		ck_assert_int_eq(
			read_config("\"model_type\":\"mistral\",\"sliding_window\":7", &c, NULL),
			0);
		ck_assert_int_eq(c.window[3], 7);
		model_config_fini(&c);
		ck_assert_int_eq(
			read_config("\"model_type\":\"mistral\",\"sliding_window\":null", &c, NULL),
			0);
		ck_assert_int_eq(c.window[0], 0);
		model_config_fini(&c);
		ck_assert_int_eq(
			read_config(
				"\"model_type\":\"qwen2\",\"num_key_value_heads\":8,\"use_sliding_"
				"window\":true,\"sliding_window\":9,\"max_window_layers\":2",
				&c, NULL),
			0);
		ck_assert(c.bias_qkv && !c.bias_o && c.window[1] == 0 && c.window[2] == 9);
		model_config_fini(&c);
	}
END_TEST

/* Values of transformers 4.57's rotary functions for head_dim 8, theta 10000, factor 4 over an
 * original context of 64: frequencies read off cos and sin at position 1. */
static const struct {
	const char *scaling;
	int32_t     last;
	double      frequency[4], size;
} ropes[] = {
	{ "{\"rope_type\":\"default\"}", 1, { 1.0, 0.1, 0.01, 0.001 }, 1.0 },
	{ "{\"rope_type\":\"linear\",\"factor\":4.0}", 1, { 0.25, 0.025, 0.0025, 0.00025 }, 1.0 },
	/* theta' = 10000 (4 * 256 / 64 - 3)^(8 / 6) = 305674.8 */
	{ "{\"rope_type\":\"dynamic\",\"factor\":4.0,\"original_max_position_embeddings\":64}",
	  255,
	  { 1.0, 0.0425290, 0.00180872, 0.0000769231 },
	  1.0 },
	/* turns over the context: 10.2, 1.02, 0.10, 0.01; between 1 and 4 smooth, below 1 slow */
	{ "{\"rope_type\":\"llama3\",\"factor\":4.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4."
	  "0,"
	  "\"original_max_position_embeddings\":64}",
	  1,
	  { 1.0, 0.0254648, 0.0025, 0.00025 },
	  1.0 },
	/* bounds: floor(-0.496), ceil(1.009) = 0, 2; ramp 0, 1/2, 1, 1; size 0.1 ln 4 + 1 */
	{ "{\"rope_type\":\"yarn\",\"factor\":4.0,\"original_max_position_embeddings\":64}",
	  1,
	  { 1.0, 0.0625, 0.0025, 0.00025 },
	  1.1386294 },
};

START_TEST(rotary_scalings_give_the_frequencies_of_their_papers)
	{
		struct model_config c;
		struct rt_error     err = RT_ERROR_INIT;
		char                more[512];
		const int32_t       position[2] = { 1, ropes[_i].last };
		float               cosine[8], sine[8];

		snprintf(more, sizeof more,
		         "\"model_type\":\"llama\",\"max_position_embeddings\":256,"
		         "\"rope_parameters\":%s",
		         ropes[_i].scaling);
		ck_assert_msg(read_config(more, &c, &err) == 0, "%s", err.msg);
		config_rope_tables(&c, position, 2, 0, cosine, sine);
		for (int i = 0; i < 4; i++) {
			ck_assert_double_eq_tol(atan2(sine[i], cosine[i]), ropes[_i].frequency[i],
			                        1e-4 * ropes[_i].frequency[i]);
			ck_assert_double_eq_tol(hypot(sine[i], cosine[i]), ropes[_i].size, 1e-6);
		}
		model_config_fini(&c);
	}
END_TEST

/* ---- folders ------------------------------------------------------------------------------- */

START_TEST(missing_and_left_over_tensors_are_named)
	{
		const char *config =
			"{\"model_type\":\"llama\",\"hidden_size\":4,\"num_hidden_layers\":1,"
			"\"num_attention_heads\":2,\"intermediate_size\":4,\"vocab_size\":3}";
		float                  x[64] = { 0 };
		struct rt_named_tensor t[] = {
			{ "model.norm.weight", rt_tensor(x, RT_F32, 1, (int64_t[]){ 4 }) },
			{ "model.layers.0.self_attn.rotary_emb.inv_freq",
			  rt_tensor(x, RT_F32, 1, (int64_t[]){ 1 }) },
			{ "model.layers.0.mlp.experts", rt_tensor(x, RT_F32, 1, (int64_t[]){ 4 }) }
		};
		struct rt_error err = RT_ERROR_INIT;
		struct model    m;

		temp_write("config.json", config, strlen(config));
		ck_assert_int_lt(model_open(&m, temp_folder, &err), 0); /* no weights at all */
		ck_assert_int_eq(
			rt_safetensors_write(temp_path("model.safetensors"), t, 2, NULL, NULL), 0);
		ck_assert_int_eq(model_open(&m, temp_folder, &err), RT_E_FORMAT);
		ck_assert_ptr_nonnull(
			strstr(err.msg, ": tensor model.embed_tokens.weight is missing"));
		ck_assert_int_eq(
			rt_safetensors_write(temp_path("model.safetensors"), t, 3, NULL, NULL), 0);
		ck_assert_int_eq(model_open(&m, temp_folder, &err), RT_E_UNSUP);
		ck_assert_str_eq(temp_strip(err.msg),
		                 "model.safetensors: tensor model.layers.0.mlp.experts is "
		                 "not part of a llama model of 1 layers");
		t[0].tensor.dim[0] = 5;
		ck_assert_int_eq(
			rt_safetensors_write(temp_path("model.safetensors"), t, 1, NULL, NULL), 0);
		ck_assert_int_eq(model_open(&m, temp_folder, &err), RT_E_SHAPE);
		ck_assert_str_eq(temp_strip(err.msg),
		                 "model.safetensors: tensor model.norm.weight is f32 [5, 1],"
		                 " the configuration wants [4, 0]");
	}
END_TEST

/* ---- out of memory ------------------------------------------------------------------------- */

static char tiny[4096];

/* Open, one step of training, close. */
static int live(struct rt_error *err)
{
	const int32_t         id[5] = { 1, 2, 3, 4, 5 }, position[5] = { 0, 1, 2, 3, 4 };
	const struct rt_span  span = { 0, 5, 0, 5, 0 };
	const struct rt_batch b = { id, position, 5, &span, 1 };
	struct model_tape     tape = { 0 };
	struct model_run      run = { .tape = &tape };
	struct weights        g = { 0 };
	struct model          m;
	struct nn_head        head;
	float                 hidden[5 * 64], dhidden[5 * 64];
	struct nn_heads       h = { hidden, 5, 1, 64, 64 };
	double                loss;
	int                   r = model_open(&m, tiny, err);

	if (r != 0)
		return r;
	r = weights_zeros(&g, &m.config, err);
	if (r == 0)
		r = model_forward(&m, &b, &run, hidden, err);
	head = model_head(&m);
	if (r == 0)
		r = nn_cross_entropy(&head, h, id, 1.0f, &loss, NULL, dhidden, g.t[W_HEAD].data,
		                     err);
	if (r == 0)
		r = model_backward(&m, &b, &tape, dhidden, &g, err);
	if (r == 0)
		r = checkpoint_write_gguf(&m, temp_path("m.gguf"), RT_F32, NULL, err);
	weights_free_zeros(&g);
	model_tape_fini(&tape);
	model_close(&m);
	return r;
}

START_TEST(memory_may_run_out_anywhere)
	{
		const char *wish = getenv("RETORT_GOLDEN");

		snprintf(tiny, sizeof tiny, "%s/qwen2-tiny", wish && *wish ? wish : GOLDEN_DIR);
		if (rt_exists(tiny))
			ck_assert_int_gt(torture("alloc", live, RT_E_NOMEM), 20);
	}
END_TEST

RUNNER("files", 120, {
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	tcase_add_test(tc, tensors_are_read_back_as_they_were_written);
	TABLE_TEST(tc, headers_that_lie_are_refused, lies);
	tcase_add_test(tc, lengths_that_lie_are_refused);
	tcase_add_test(tc, damaged_headers_are_refused_or_harmless);
	TABLE_TEST(tc, what_is_not_supported_is_named, refusals);
	tcase_add_test(tc, both_spellings_and_family_defaults_are_understood);
	TABLE_TEST(tc, rotary_scalings_give_the_frequencies_of_their_papers, ropes);
	tcase_add_test(tc, missing_and_left_over_tensors_are_named);
	tcase_add_test(tc, memory_may_run_out_anywhere);
})
