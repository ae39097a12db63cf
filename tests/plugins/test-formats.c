/* test-formats.c - format-compressed-tensors: what its package packed, what we pack, and files that
 * say what is not so. */
#include <retort/blocks.h>
#include <retort/format.h>
#include <retort/memory.h>
#include <retort/random.h>
#include <retort/safetensors.h>

#include "golden.h"
#include "runner.h"
#include "temp.h"
#include "torture.h"

#include <math.h>
#include <string.h>

extern const struct rt_plugin retort_plugin_format_compressed_tensors;

static const struct rt_format_ops *ops(void)
{
	return retort_plugin_format_compressed_tensors.ops.format;
}

static const char *golden_folder(void)
{
	static char path[4096];
	const char *wish = getenv("RETORT_GOLDEN");

	snprintf(path, sizeof path, "%s/compressed-tensors", wish && *wish ? wish : GOLDEN_DIR);
	return path;
}

static const struct rt_tensor *find(const struct rt_weights *w, const char *name)
{
	for (int64_t i = 0; i < w->n; i++)
		if (strcmp(w->tensors[i].name, name) == 0)
			return &w->tensors[i].tensor;
	ck_abort_msg("no tensor %s", name);
	return NULL;
}

static struct rt_weights read_ok(const char *path)
{
	struct rt_weights w = { 0 };
	struct rt_error   err = RT_ERROR_INIT;

	ck_assert_msg(ops()->read(NULL, path, &w, &err) == 0, "%s", err.msg);
	return w;
}

/* ---- what the package packed ------------------------------------------------------------------
 */

/* Layers of the golden folder, and the types that hold their numbers: 4 bits; 8 bits a row; 4 bits
 * with zero points, which want a fifth; scales that f16 has not; 8 bits with zero points, which
 * want a ninth, in rows that are no whole blocks; 3 bits; 6 bits. */
static const struct {
	const char *name;
	uint32_t    dtype;
} layers[] = { { "model.a.weight", RT_Q4_0 }, { "model.b.weight", RT_Q8_0 },
	       { "model.c.weight", RT_Q5_0 }, { "model.d.weight", RT_F32 },
	       { "model.e.weight", RT_F32 },  { "model.f.weight", RT_Q4_0 },
	       { "model.g.weight", RT_Q8_0 }, { "model.norm.weight", RT_BF16 } };

START_TEST(what_the_package_packed_is_read_to_the_bit)
	{
		struct rt_weights       w = read_ok(golden_folder());
		struct rt_safetensors   want;
		const struct rt_tensor *got = find(&w, layers[_i].name), *t;
		char                    path[4200];
		float                  *x;

		snprintf(path, sizeof path, "%s/want.safetensors", golden_folder());
		ck_assert_int_eq(rt_safetensors_open(&want, path, NULL), 0);
		t = rt_safetensors_find(&want, layers[_i].name);
		ck_assert_ptr_nonnull(t);
		ck_assert_int_eq(w.n, 8);
		ck_assert_int_eq(got->dtype, layers[_i].dtype);
		ck_assert_int_eq(rt_numel(got), rt_numel(t));
		ck_assert_int_eq(got->dim[0], t->dim[0]);
		x = rt_alloc((size_t)rt_numel(t), sizeof *x);
		ck_assert_int_eq(rt_dequantize(got->dtype, got->data, rt_numel(got), x, NULL), 0);
		/* whole numbers of 9 bits times scales: exact in f32 */
		for (int64_t i = 0; i < rt_numel(t); i++)
			ck_assert_msg(x[i] == ((const float *)t->data)[i], "%s[%lld] = %a, want %a",
			              layers[_i].name, (long long)i, (double)x[i],
			              (double)((const float *)t->data)[i]);
		rt_free(x);
		rt_safetensors_close(&want);
		ck_assert_ptr_null(rt_json_get(w.config, "quantization_config"));
		ck_assert_str_eq(rt_json_string(rt_json_get(w.extra, "format")), "pack-quantized");
		ops()->release(NULL, &w);
	}
END_TEST

/* ---- there and back ---------------------------------------------------------------------------
 */

enum { ROWS = 6, COLS = 192 };

struct model {
	struct rt_json        *config;
	struct rt_named_tensor t[8];
	struct rt_weights      w;
	struct rt_arena        room;
};

/* Codes at random, one scale for each `group` columns. */
static void add_coded(struct model *m, const char *name, enum rt_dtype dtype, int64_t group)
{
	const int64_t    dim[2] = { ROWS, COLS }, n = ROWS * COLS;
	uint8_t         *codes = rt_arena_alloc(&m->room, (size_t)n, 1);
	float           *scales = rt_arena_alloc(&m->room, (size_t)(n / group), sizeof *scales);
	struct rt_tensor t = rt_tensor(NULL, dtype, 2, dim);

	for (int64_t i = 0; i < n; i++)
		codes[i] =
			(uint8_t)rt_random_below(9, dtype, (uint64_t)i, 1u << rt_block_bits(dtype));
	for (int64_t i = 0; i < n / group; i++)
		scales[i] = (float)(1 + i) / (i % 2 ? -1024 : 1024);
	t.data = rt_arena_alloc(&m->room, (size_t)rt_bytes(&t), 1);
	ck_assert_int_eq(rt_blocks_pack(dtype, ROWS, COLS, group, codes, scales, t.data, NULL), 0);
	m->t[m->w.n++] = (struct rt_named_tensor){ name, t };
}

static void add_floats(struct model *m, const char *name, enum rt_dtype dtype)
{
	const int64_t    dim[2] = { ROWS, COLS }, n = ROWS * COLS;
	float           *x = rt_arena_alloc(&m->room, (size_t)n, sizeof *x);
	struct rt_tensor t = rt_tensor(NULL, dtype, 2, dim);

	for (int64_t i = 0; i < n; i++)
		x[i] = (float)rt_random_normal(10, dtype, (uint64_t)i);
	t.data = rt_arena_alloc(&m->room, (size_t)rt_bytes(&t), 1);
	ck_assert_int_eq(rt_quantize(dtype, x, ROWS, COLS, NULL, t.data, NULL), 0);
	m->t[m->w.n++] = (struct rt_named_tensor){ name, t };
}

static void model_init(struct model *m)
{
	static const char text[] = "{\"model_type\":\"qwen2\",\"tie_word_embeddings\":true}";

	*m = (struct model){ .room = RT_ARENA_INIT };
	ck_assert_int_eq(rt_json_parse(text, sizeof text - 1, "c", 1, &m->config, NULL), 0);
	m->w = (struct rt_weights){ .config = m->config, .tensors = m->t };
	ck_assert_int_eq(rt_mkdir_all(temp_path("m"), NULL), 0);
}

static void model_fini(struct model *m)
{
	rt_json_free(m->config);
	rt_arena_free(&m->room);
}

static void write_ok(const struct model *m)
{
	struct rt_error err = RT_ERROR_INIT;

	ck_assert_msg(ops()->write(NULL, temp_path("m"), &m->w, &err) == 0, "%s", err.msg);
}

static void same_bytes(const struct model *m, const struct rt_weights *w, int64_t i)
{
	const struct rt_tensor *a = &m->t[i].tensor, *b = find(w, m->t[i].name);

	ck_assert_int_eq(a->dtype, b->dtype);
	ck_assert_mem_eq(a->data, b->data, (size_t)rt_bytes(a));
}

static const struct rt_json *weights_of(const struct rt_json *config, const char *group)
{
	const struct rt_json *groups =
		rt_json_get(rt_json_get(config, "quantization_config"), "config_groups");

	return rt_json_get(rt_json_get(groups, group), "weights");
}

/* Blocks of each type, and the groups that they merge to: 3 blocks a row of 6 have one scale. */
static const struct {
	enum rt_dtype dtype;
	int64_t       group;
} runs[] = { { RT_Q4_0, 32 }, { RT_Q4_0, 96 },  { RT_Q4_0, 192 },
	     { RT_Q5_0, 64 }, { RT_Q8_0, 192 }, { RT_Q8_0, 32 } };

START_TEST(blocks_come_back_the_same_and_equal_scales_are_one_group)
	{
		struct model          m;
		struct rt_weights     w;
		struct rt_json       *config = NULL;
		const struct rt_json *weights, *q;

		model_init(&m);
		add_floats(&m, "model.embed_tokens.weight", RT_BF16);
		add_coded(&m, "model.layers.0.mlp.up_proj.weight", runs[_i].dtype, runs[_i].group);
		add_coded(&m, "model.layers.0.mlp.gate_proj.weight", runs[_i].dtype,
		          runs[_i].group);
		write_ok(&m);
		ck_assert_int_eq(ops()->probe(NULL, temp_path("m")), 1);
		w = read_ok(temp_path("m"));
		for (int64_t i = 0; i < m.w.n; i++)
			same_bytes(&m, &w, i);
		ops()->release(NULL, &w);
		ck_assert_int_eq(rt_json_read(temp_path("m/config.json"), 0, &config, NULL), 0);
		q = rt_json_get(config, "quantization_config");
		weights = weights_of(config, "group_0");
		ck_assert_int_eq(rt_json_int(rt_json_get(weights, "group_size"), 0),
		                 runs[_i].group);
		ck_assert_int_eq(rt_json_int(rt_json_get(weights, "num_bits"), 0),
		                 rt_block_bits(runs[_i].dtype));
		ck_assert_str_eq(rt_json_string(rt_json_at(rt_json_get(q, "ignore"), 0)),
		                 "lm_head");
		ck_assert_ptr_null(rt_json_get(q, "sparsity_config"));
		ck_assert_str_eq(rt_json_string(rt_json_get(config, "torch_dtype")), "float16");
		rt_json_free(config);
		model_fini(&m);
	}
END_TEST

START_TEST(layers_of_two_types_are_two_groups_and_plain_ones_are_ignored)
	{
		struct model          m;
		struct rt_weights     w;
		struct rt_json       *config = NULL;
		const struct rt_json *q, *groups;
		float                 want[COLS], got[COLS];

		model_init(&m);
		add_floats(&m, "model.embed_tokens.weight", RT_Q8_0);
		add_coded(&m, "model.layers.0.mlp.up_proj.weight", RT_Q4_0, 64);
		add_coded(&m, "model.layers.1.mlp.up_proj.weight", RT_Q4_0, 96);
		add_coded(&m, "model.layers.0.mlp.gate_proj.weight", RT_Q8_0, 32);
		add_floats(&m, "model.layers.1.mlp.gate_proj.weight", RT_F16);
		write_ok(&m);
		w = read_ok(temp_path("m"));
		for (int64_t i = 1; i < m.w.n; i++)
			same_bytes(&m, &w, i);
		/* the embedding as f16: 2^-11 of a value, and half of f16's smallest step */
		ck_assert_int_eq(find(&w, m.t[0].name)->dtype, RT_F16);
		ck_assert_int_eq(rt_dequantize(RT_Q8_0, m.t[0].tensor.data, COLS, want, NULL), 0);
		ck_assert_int_eq(
			rt_dequantize(RT_F16, find(&w, m.t[0].name)->data, COLS, got, NULL), 0);
		for (int i = 0; i < COLS; i++)
			ck_assert(fabs((double)want[i] - (double)got[i]) <=
			          0x1p-11 * fabs((double)want[i]) + 0x1p-25);
		ops()->release(NULL, &w);
		ck_assert_int_eq(rt_json_read(temp_path("m/config.json"), 0, &config, NULL), 0);
		q = rt_json_get(config, "quantization_config");
		groups = rt_json_get(q, "config_groups");
		/* 2 and 3 blocks to a scale have no common group but single ones */
		ck_assert_int_eq(
			rt_json_int(rt_json_get(weights_of(config, "group_0"), "group_size"), 0),
			32);
		ck_assert_str_eq(
			rt_json_string(rt_json_at(
				rt_json_get(rt_json_get(groups, "group_1"), "targets"), 0)),
			"model.layers.0.mlp.gate_proj");
		ck_assert_str_eq(rt_json_string(rt_json_at(rt_json_get(q, "ignore"), 1)),
		                 "model.layers.1.mlp.gate_proj");
		rt_json_free(config);
		model_fini(&m);
	}
END_TEST

START_TEST(a_layer_of_another_block_type_is_refused)
	{
		struct model    m;
		struct rt_error err = RT_ERROR_INIT;

		model_init(&m);
		add_floats(&m, "model.layers.0.mlp.up_proj.weight", RT_Q4_1);
		ck_assert_int_eq(ops()->write(NULL, temp_path("m"), &m.w, &err), RT_E_UNSUP);
		ck_assert_str_eq(err.msg,
		                 "model.layers.0.mlp.up_proj.weight is q4_1, which pack-quantized "
		                 "cannot hold; quantize to q4_0, q5_0 or q8_0");
		model_fini(&m);
	}
END_TEST

/* ---- files that say what is not so -------------------------------------------------------------
 */

/* config.json with one text in place of another. */
static void write_config(const char *from, const char *to)
{
	char       *text = golden_read("compressed-tensors/config.json", NULL);
	const char *at = strstr(text, from);
	FILE       *f = fopen(temp_path("m/config.json"), "wb");

	ck_assert_msg(at != NULL, "no %s", from);
	ck_assert_ptr_nonnull(f);
	fwrite(text, 1, (size_t)(at - text), f);
	fputs(to, f);
	fputs(at + strlen(from), f);
	ck_assert_int_eq(fclose(f), 0);
	free(text);
}

static void refused(const char *want)
{
	struct rt_weights w = { 0 };
	struct rt_error   err = RT_ERROR_INIT;
	char              whole[1024];

	ck_assert_int_lt(ops()->read(NULL, temp_path("m"), &w, &err), 0);
	snprintf(whole, sizeof whole, "%s: %s", temp_path("m"), want);
	ck_assert_str_eq(err.msg, whole);
}

static const struct {
	const char *from, *to, *want;
} settings[] = {
	{ "\"compressed-tensors\"", "\"gptq\"",
	  "config.json does not say that it is quantized by compressed-tensors "
	  "(quantization_config.quant_method)" },
	{ "\"format\": \"pack-quantized\"", "\"format\": \"int-quantized\"",
	  "quantization_config: format = \"int-quantized\" is not supported" },
	{ "\"format\": \"pack-quantized\",", "", "quantization_config has no format" },
	{ "\"quantization_status\": \"compressed\"", "\"quantization_status\": \"frozen\"",
	  "quantization_config: quantization_status = \"frozen\" is not supported" },
	{ "\"kv_cache_scheme\": null", "\"kv_cache_scheme\": {\"num_bits\":8}",
	  "quantization_config: kv_cache_scheme = {\"num_bits\":8} is not supported" },
	{ "\"sparsity_config\": {}", "\"sparsity_config\": {\"format\":\"sparse-bitmask\"}",
	  "quantization_config: sparsity_config = {\"format\":\"sparse-bitmask\"} is not "
	  "supported" },
	{ "\"transform_config\": {}", "\"transform_config\": {\"u\":1}",
	  "quantization_config: transform_config = {\"u\":1} is not supported" },
	{ "\"type\": \"int\"", "\"type\": \"float\"",
	  "group_0: quantization_config: type = \"float\" is not supported" },
	{ "\"num_bits\": 4", "\"num_bits\": 9",
	  "group_0: quantization_config: num_bits = 9 is not supported" },
	{ "\"dynamic\": false", "\"dynamic\": true",
	  "group_0: quantization_config: dynamic = true is not supported" },
	{ "\"strategy\": \"group\"", "\"strategy\": \"block\"",
	  "group_0: quantization_config: strategy = \"block\" is not supported" },
	{ "\"input_activations\": null", "\"input_activations\": {}",
	  "group_0: quantization_config: input_activations = {} is not supported" },
	{ "\"config_groups\"", "\"groups\"", "quantization_config has no config_groups" },
	{ "\"num_bits\": 4", "\"num_bits\": 5",
	  "model.a.weight: no config group of quantization_config packs 64 columns in 8 words, "
	  "symmetric, with a scale for 32 of them" },
};

START_TEST(what_the_configuration_means_and_we_cannot_is_named)
	{
		char  *bytes;
		size_t n;

		ck_assert_int_eq(rt_mkdir_all(temp_path("m"), NULL), 0);
		bytes = golden_read("compressed-tensors/model.safetensors", &n);
		temp_write("m/model.safetensors", bytes, n);
		free(bytes);
		write_config(settings[_i].from, settings[_i].to);
		refused(settings[_i].want);
	}
END_TEST

/* The golden tensors with one of them left out (dtype RT_DTYPES), or replaced by zeros. */
static const struct {
	const char *name;
	uint32_t    dtype;
	int64_t     dim[2];
	const char *want;
} tensors[] = {
	{ "model.a.weight_scale", RT_DTYPES, { 0 }, "model.a.weight: weight_scale is missing" },
	{ "model.a.weight_shape", RT_DTYPES, { 0 }, "model.a.weight: weight_shape is missing" },
	{ "model.a.weight_packed", RT_DTYPES, { 0 }, "model.a.weight: weight_packed is missing" },
	{ "model.a.weight_shape",
	  RT_I64,
	  { 2, 0 },
	  "model.a.weight: weight_shape is [0, 0], weight_packed has 4 rows" },
	{ "model.a.weight_shape",
	  RT_F32,
	  { 2, 0 },
	  "model.a.weight: weight_shape must be two integers and weight_packed a matrix of int32" },
	{ "model.a.weight_packed",
	  RT_I32,
	  { 3, 8 },
	  "model.a.weight: weight_shape is [4, 64], weight_packed has 3 rows" },
	{ "model.a.weight_packed",
	  RT_I32,
	  { 4, 7 },
	  "model.a.weight: no config group of quantization_config packs 64 columns in 7 words, "
	  "symmetric, with a scale for 32 of them" },
	{ "model.a.weight_scale",
	  RT_F16,
	  { 4, 3 },
	  "model.a.weight: weight_scale is [4, 3]; want 4 rows, and a number of groups that "
	  "divides "
	  "64 columns" },
	{ "model.a.weight_scale",
	  RT_F16,
	  { 4, 0 },
	  "model.a.weight: no config group of quantization_config packs 64 columns in 8 words, "
	  "symmetric, with a scale for 64 of them" },
	{ "model.a.weight_scale",
	  RT_I32,
	  { 4, 2 },
	  "model.a.weight: scales of type i32; f32, f16 and bf16 are read" },
	{ "model.c.weight_zero_point",
	  RT_I32,
	  { 1, 2 },
	  "model.c.weight: weight_zero_point is i32 [1, 2], want i32 [2, 2]" },
	{ "model.c.weight_zero_point",
	  RT_DTYPES,
	  { 0 },
	  "model.c.weight: no config group of quantization_config packs 128 columns in 16 words, "
	  "symmetric, with a scale for 64 of them" },
};

static void write_tensors(const char *name, uint32_t dtype, const int64_t dim[2])
{
	static const char      zeros[4096];
	struct rt_safetensors  s;
	struct rt_named_tensor t[40];
	char                   path[4200];
	int64_t                n = 0;

	snprintf(path, sizeof path, "%s/model.safetensors", golden_folder());
	ck_assert_int_eq(rt_safetensors_open(&s, path, NULL), 0);
	for (int64_t i = 0; i < s.n; i++) {
		t[n] = s.tensors[i];
		if (strcmp(t[n].name, name) == 0 && dtype == RT_DTYPES)
			continue;
		if (strcmp(t[n].name, name) == 0)
			t[n].tensor =
				rt_tensor((void *)(uintptr_t)zeros, dtype, dim[1] ? 2 : 1, dim);
		n++;
	}
	ck_assert_int_eq(rt_mkdir_all(temp_path("m"), NULL), 0);
	ck_assert_int_eq(rt_safetensors_write(temp_path("m/model.safetensors"), t, n, NULL, NULL),
	                 0);
	rt_safetensors_close(&s);
	write_config("qwen2", "qwen2");
}

START_TEST(tensors_that_do_not_agree_are_named)
	{
		write_tensors(tensors[_i].name, tensors[_i].dtype, tensors[_i].dim);
		refused(tensors[_i].want);
	}
END_TEST

START_TEST(a_scale_that_is_not_finite_is_refused)
	{
		struct rt_safetensors s;
		struct rt_text        file = RT_TEXT_INIT;
		size_t                at;

		write_tensors("model.d.weight_scale", RT_F32, (int64_t[]){ 3, 1 });
		ck_assert_int_eq(rt_safetensors_open(&s, temp_path("m/model.safetensors"), NULL),
		                 0);
		at = (size_t)((const char *)rt_safetensors_find(&s, "model.d.weight_scale")->data -
		              (const char *)s.map.data);
		rt_safetensors_close(&s);
		ck_assert_int_eq(rt_file_read(temp_path("m/model.safetensors"), 0, &file, NULL), 0);
		memcpy(file.data + at + 4, &(float){ INFINITY }, 4);
		temp_write("m/model.safetensors", file.data, file.len);
		rt_text_free(&file);
		refused("model.d.weight: scale 1 is inf");
	}
END_TEST

/* Columns in groups that are not in their order, as "actorder": "group" had them. */
START_TEST(columns_in_groups_out_of_order_are_dequantized)
	{
		struct rt_safetensors  s;
		struct rt_named_tensor t[40];
		int32_t                order[64];
		struct rt_weights      plain, w;
		float                  x[64], y[64];
		char                   path[4200];
		int64_t                n = 0;

		for (int i = 0; i < 64; i++)
			order[i] = i % 2;
		snprintf(path, sizeof path, "%s/model.safetensors", golden_folder());
		ck_assert_int_eq(rt_safetensors_open(&s, path, NULL), 0);
		for (; n < s.n; n++)
			t[n] = s.tensors[n];
		t[n++] = (struct rt_named_tensor){ "model.a.weight_g_idx",
			                           rt_tensor(order, RT_I32, 1, (int64_t[]){ 64 }) };
		ck_assert_int_eq(rt_mkdir_all(temp_path("m"), NULL), 0);
		ck_assert_int_eq(
			rt_safetensors_write(temp_path("m/model.safetensors"), t, n, NULL, NULL),
			0);
		write_config("qwen2", "qwen2");
		plain = read_ok(golden_folder());
		w = read_ok(temp_path("m"));
		ck_assert_int_eq(find(&w, "model.a.weight")->dtype, RT_F32);
		memcpy(y, find(&w, "model.a.weight")->data, sizeof y);
		ck_assert_int_eq(
			rt_dequantize(RT_Q4_0, find(&plain, "model.a.weight")->data, 64, x, NULL),
			0);
		/* the same codes, the scale of the other group for half of them */
		for (int i = 0; i < 64; i++) {
			const struct rt_tensor *scale =
				rt_safetensors_find(&s, "model.a.weight_scale");
			float two[2];

			ck_assert_int_eq(rt_dequantize(scale->dtype, scale->data, 2, two, NULL), 0);
			ck_assert(y[i] == roundf(x[i] / two[i / 32]) * two[i % 2]);
		}
		ops()->release(NULL, &plain);
		ops()->release(NULL, &w);
		order[9] = 2;
		ck_assert_int_eq(
			rt_safetensors_write(temp_path("m/model.safetensors"), t, n, NULL, NULL),
			0);
		rt_safetensors_close(&s);
		refused("model.a.weight: column 9 is in group 2 of 2");
	}
END_TEST

/* Every byte of the header changed, one at a time: read or refused, and nothing else. */
START_TEST(a_byte_that_changed_does_no_harm)
	{
		size_t n, header;
		char  *bytes = golden_read("compressed-tensors/model.safetensors", &n);
		int    refusals = 0;

		header = 8 + (unsigned char)bytes[0] + 256u * (unsigned char)bytes[1];
		ck_assert_int_eq(rt_mkdir_all(temp_path("m"), NULL), 0);
		write_config("qwen2", "qwen2");
		for (size_t i = 0; i < header; i++) {
			struct rt_weights w = { 0 };
			const char        was = bytes[i];

			bytes[i] = was == '1' ? '9' : was == '"' ? ' ' : '1';
			temp_write("m/model.safetensors", bytes, n);
			if (ops()->read(NULL, temp_path("m"), &w, NULL) == 0)
				ops()->release(NULL, &w);
			else
				refusals++;
			bytes[i] = was;
		}
		ck_assert_int_gt(refusals, (int)header / 2);
		free(bytes);
	}
END_TEST

static int read_golden(struct rt_error *err)
{
	struct rt_weights w = { 0 };
	const int         r = ops()->read(NULL, golden_folder(), &w, err);

	if (r == 0)
		ops()->release(NULL, &w);
	return r;
}

static struct model tortured;

static int write_again(struct rt_error *err)
{
	return ops()->write(NULL, temp_path("m"), &tortured.w, err);
}

START_TEST(memory_may_run_out_anywhere)
	{
		ck_assert_int_gt(torture("alloc", read_golden, RT_E_NOMEM), 30);
		model_init(&tortured);
		add_floats(&tortured, "model.embed_tokens.weight", RT_Q8_0);
		add_coded(&tortured, "model.layers.0.mlp.up_proj.weight", RT_Q4_0, 64);
		add_coded(&tortured, "model.layers.0.mlp.gate_proj.weight", RT_Q8_0, 32);
		ck_assert_int_gt(torture("alloc", write_again, RT_E_NOMEM), 100);
		model_fini(&tortured);
	}
END_TEST

RUNNER("formats", 600, {
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	TABLE_TEST(tc, what_the_package_packed_is_read_to_the_bit, layers);
	TABLE_TEST(tc, blocks_come_back_the_same_and_equal_scales_are_one_group, runs);
	tcase_add_test(tc, layers_of_two_types_are_two_groups_and_plain_ones_are_ignored);
	tcase_add_test(tc, a_layer_of_another_block_type_is_refused);
	TABLE_TEST(tc, what_the_configuration_means_and_we_cannot_is_named, settings);
	TABLE_TEST(tc, tensors_that_do_not_agree_are_named, tensors);
	tcase_add_test(tc, a_scale_that_is_not_finite_is_refused);
	tcase_add_test(tc, columns_in_groups_out_of_order_are_dequantized);
	tcase_add_test(tc, a_byte_that_changed_does_no_harm);
	tcase_add_test(tc, memory_may_run_out_anywhere);
})
