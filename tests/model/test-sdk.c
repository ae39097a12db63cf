/* test-sdk.c - retort/model.h as a plugin sees it: gradients, files, parts, new models, text.
 *
 * Bounds of gradients and loss are those of test-golden.c: 1e-4 of the largest in a tensor, 1e-5.
 */
#include "golden.h"
#include "runner.h"
#include "temp.h"
#include "torture.h"

#include "model/checkpoint.h"
#include "model/rt-model.h"

#include <math.h>
#include <string.h>

static const char *golden_path(const char *name)
{
	static char paths[4][4096];
	static int  next;
	const char *wish = getenv("RETORT_GOLDEN");
	char       *p = paths[next++ % 4];

	snprintf(p, sizeof paths[0], "%s/%s", wish && *wish ? wish : GOLDEN_DIR, name);
	return p;
}

static struct rt_model *open_model(const char *path, unsigned flags)
{
	struct rt_error  err = RT_ERROR_INIT;
	struct rt_model *m = NULL;

	ck_assert_msg(rt_model_open(&m, path, flags, &err) == 0, "%s", err.msg);
	return m;
}

static struct rt_json *parse(const char *text)
{
	struct rt_json *j = NULL;
	struct rt_error err = RT_ERROR_INIT;

	ck_assert_msg(rt_json_parse(text, strlen(text), "test", 1, &j, &err) == 0, "%s", err.msg);
	return j;
}

/* Are all parameters the same numbers? */
static void same_parameters(const struct rt_model *a, const struct rt_model *b)
{
	ck_assert_int_eq(rt_model_parameters(a), rt_model_parameters(b));
	for (int64_t i = 0; i < rt_model_parameters(a); i++) {
		const struct rt_parameter p = rt_model_parameter(a, i),
					  q = rt_model_parameter(b, i);
		const int64_t n = rt_numel(&p.tensor);
		float        *x = malloc((size_t)n * sizeof *x);
		float        *y = malloc((size_t)n * sizeof *y);

		ck_assert_str_eq(p.name, q.name);
		ck_assert_int_eq(rt_dequantize(p.tensor.dtype, p.tensor.data, n, x, NULL), 0);
		ck_assert_int_eq(rt_dequantize(q.tensor.dtype, q.tensor.data, n, y, NULL), 0);
		ck_assert_msg(memcmp(x, y, (size_t)n * sizeof *x) == 0, "%s differs", p.name);
		free(x);
		free(y);
	}
}

/* ---- gradients ------------------------------------------------------------------------------- */

enum { B = 2, T = 72, ROWS = B * T };

struct batch {
	int32_t        token[ROWS], position[ROWS], label[ROWS];
	float          coef[ROWS], logp[ROWS];
	struct rt_span spans[B];
	int64_t        counted;
};

static void take_batch(struct batch *b, const struct rt_safetensors *golden)
{
	const int32_t *labels = rt_safetensors_find(golden, "labels")->data;

	b->counted = 0;
	memcpy(b->token, rt_safetensors_find(golden, "input_ids")->data, sizeof b->token);
	for (int i = 0; i < ROWS; i++) {
		b->position[i] = i % T;
		b->label[i] = i % T == T - 1 ? RT_IGNORE : labels[i + 1];
		b->counted += b->label[i] != RT_IGNORE;
	}
	for (int i = 0; i < ROWS; i++)
		b->coef[i] = -1.f / (float)b->counted;
	for (int i = 0; i < B; i++)
		b->spans[i] = (struct rt_span){ i * T, T, i * T, T, 0 };
}

static void check_gradient(const struct rt_model *m, const struct rt_gradients *g, int64_t i,
                           const struct rt_safetensors *golden)
{
	const struct rt_parameter p = rt_model_parameter(m, i);
	const float              *got = rt_gradients_at(g, i);
	const struct rt_tensor   *want;
	char                      key[128];
	double                    largest = 1e-20;

	snprintf(key, sizeof key, "grad.%s", p.name);
	want = rt_safetensors_find(golden, key);
	ck_assert_msg(want != NULL, "no golden %s", key);
	for (int64_t k = 0; k < rt_numel(want); k++)
		largest = fmax(largest, fabs(((const float *)want->data)[k]));
	for (int64_t k = 0; k < rt_numel(want); k++)
		ck_assert_msg(fabs((double)got[k] - ((const float *)want->data)[k]) <=
		                      1e-4 * largest,
		              "%s[%lld]", key, (long long)k);
}

static const char *const plain[] = { "qwen2-tiny", "qwen3-tiny", "llama-tiny" };

START_TEST(gradients_through_the_sdk_are_those_of_transformers)
	{
		struct rt_model      *m = open_model(golden_path(plain[_i]), RT_MODEL_TRAIN);
		struct rt_safetensors golden;
		struct rt_tape       *tape;
		struct rt_gradients  *g;
		struct batch          b;
		const int64_t         n = rt_model_shape(m)->hidden;
		float                *hidden = malloc((size_t)(2 * ROWS * n) * sizeof *hidden);
		struct rt_batch       batch = { b.token, b.position, ROWS, b.spans, B };
		double                loss = 0, sum = 0;
		char                  name[64];

		snprintf(name, sizeof name, "%s/golden.safetensors", plain[_i]);
		ck_assert_int_eq(rt_safetensors_open(&golden, golden_path(name), NULL), 0);
		take_batch(&b, &golden);
		ck_assert_int_eq(rt_tape_new(&tape, true, NULL), 0);
		ck_assert_int_eq(rt_gradients_new(&g, m, NULL), 0);
		ck_assert_int_eq(rt_model_forward(m, &batch, tape, hidden, NULL), 0);
		ck_assert_int_eq(rt_model_logps(m, hidden, ROWS, b.label, b.coef, b.logp, NULL,
		                                hidden + ROWS * n, g, NULL),
		                 0);
		ck_assert_int_eq(rt_model_backward(m, &batch, tape, hidden + ROWS * n, g, NULL), 0);
		for (int i = 0; i < ROWS; i++)
			loss -= b.logp[i] / (double)b.counted;
		ck_assert_double_eq_tol(
			loss, *(const float *)rt_safetensors_find(&golden, "loss")->data, 1e-5);
		for (int64_t i = 0; i < rt_model_parameters(m); i++) {
			const struct rt_tensor t = rt_model_parameter(m, i).tensor;

			check_gradient(m, g, i, &golden);
			for (int64_t k = 0; k < rt_numel(&t); k++)
				sum += pow(rt_gradients_at(g, i)[k], 2);
		}
		/* Both add in double: they differ by the order alone. */
		ck_assert_double_eq_tol(rt_gradients_norm(g), sqrt(sum), 1e-12 * sqrt(sum));
		rt_gradients_zero(g);
		ck_assert_double_eq(rt_gradients_norm(g), 0);
		rt_gradients_free(g);
		rt_tape_free(tape);
		rt_model_close(m);
		rt_safetensors_close(&golden);
		free(hidden);
	}
END_TEST

/* ---- files ----------------------------------------------------------------------------------- */

START_TEST(a_written_model_is_the_same_model)
	{
		struct rt_model *m = open_model(golden_path(plain[_i]), 0), *w;
		struct rt_error  err = RT_ERROR_INIT;

		ck_assert_int_eq(rt_mkdir_all(temp_path("m"), NULL), 0);
		ck_assert_msg(rt_model_write(m, temp_path("m"), RT_F32, NULL, &err) == 0, "%s",
		              err.msg);
		w = open_model(temp_path("m"), 0);
		same_parameters(m, w);
		rt_model_close(w);
		ck_assert_msg(rt_model_write_gguf(m, temp_path("m.gguf"), RT_F32, NULL, &err) == 0,
		              "%s", err.msg);
		w = open_model(temp_path("m.gguf"), 0);
		same_parameters(m, w);
		rt_model_close(w);
		ck_assert_int_eq(rt_model_write(m, temp_path("m"), RT_Q8_0, NULL, &err),
		                 RT_E_UNSUP);
		ck_assert_ptr_nonnull(
			strstr(err.msg, "a folder holds f32, f16 or bf16 weights, not q8_0"));
		rt_model_close(m);
	}
END_TEST

static int count_shards(void *arg, const char *name, bool is_dir, struct rt_error *err)
{
	(void)is_dir, (void)err;
	*(int *)arg += strncmp(name, "model-0", 7) == 0;
	return 0;
}

START_TEST(shards_hold_the_model_and_one_file_takes_their_index_away)
	{
		struct rt_model *m = open_model(golden_path("qwen2-tiny"), 0), *w;
		int              shards = 0;

		ck_assert_int_eq(rt_mkdir_all(temp_path("m"), NULL), 0);
		ck_assert_int_eq(
			checkpoint_write_folder(&m->m, temp_path("m"), RT_F32, 100000, NULL), 0);
		ck_assert_int_eq(rt_list_dir(temp_path("m"), count_shards, &shards, NULL), 0);
		ck_assert_int_ge(shards, 5); /* 640 kB of weights */
		ck_assert(rt_exists(temp_path("m/model.safetensors.index.json")));
		w = open_model(temp_path("m"), 0);
		same_parameters(m, w);
		rt_model_close(w);
		ck_assert_int_eq(rt_model_write(m, temp_path("m"), RT_F32, NULL, NULL), 0);
		ck_assert(!rt_exists(temp_path("m/model.safetensors.index.json")));
		w = open_model(temp_path("m"), 0);
		same_parameters(m, w);
		rt_model_close(w);
		rt_model_close(m);
	}
END_TEST

START_TEST(a_block_type_that_does_not_fit_falls_back_as_the_header_says)
	{
		static const struct {
			enum rt_dtype asked, fits32;
		} falls[] = { { RT_Q2_K, RT_Q4_0 }, { RT_Q3_K, RT_Q4_0 }, { RT_Q4_K, RT_Q5_0 },
			      { RT_Q5_K, RT_Q5_1 }, { RT_Q6_K, RT_Q8_0 }, { RT_IQ4_XS, RT_IQ4_NL },
			      { RT_Q8_0, RT_Q8_0 }, { RT_BF16, RT_BF16 } };
		const struct rt_tensor vector = rt_tensor(NULL, RT_F32, 1, (int64_t[]){ 256 });
		const struct rt_tensor by256 = rt_tensor(NULL, RT_F32, 2, (int64_t[]){ 2, 256 });
		const struct rt_tensor by32 = rt_tensor(NULL, RT_F32, 2, (int64_t[]){ 2, 96 });
		const struct rt_tensor odd = rt_tensor(NULL, RT_F32, 2, (int64_t[]){ 2, 5 });

		for (size_t i = 0; i < sizeof falls / sizeof *falls; i++) {
			const enum rt_dtype t = falls[i].asked;

			ck_assert_int_eq(rt_gguf_type(&vector, t), RT_F32);
			ck_assert_int_eq(rt_gguf_type(&by256, t), t);
			ck_assert_int_eq(rt_gguf_type(&by32, t), falls[i].fits32);
			ck_assert_int_eq(rt_gguf_type(&odd, t), t == RT_BF16 ? t : RT_F16);
		}
	}
END_TEST

/* ---- parts ----------------------------------------------------------------------------------- */

static int64_t parts_of(const struct rt_model *m, struct rt_named_tensor *t, struct rt_parameter *p)
{
	for (int64_t i = 0; i < rt_model_parameters(m); i++) {
		p[i] = rt_model_parameter(m, i);
		t[i] = (struct rt_named_tensor){ p[i].name, p[i].tensor };
	}
	return rt_model_parameters(m);
}

START_TEST(a_model_of_parts_is_the_model_and_what_is_wrong_is_named)
	{
		struct rt_model       *m = open_model(golden_path("qwen3-tiny"), 0), *a;
		struct rt_named_tensor t[256];
		struct rt_parameter    p[256];
		const int64_t          n = parts_of(m, t, p);
		const struct rt_json  *config = rt_model_config(m);
		struct rt_error        err = RT_ERROR_INIT;
		char                   want[256];

		ck_assert_int_eq(rt_model_assemble(&a, config, t, n, NULL, NULL), 0);
		same_parameters(m, a);
		ck_assert_ptr_eq(rt_model_parameter(a, n - 1).tensor.data, p[n - 1].tensor.data);
		rt_model_close(a);
		ck_assert_int_eq(rt_model_assemble(&a, config, t, n - 1, NULL, &err), RT_E_FORMAT);
		snprintf(want, sizeof want, "the new model: tensor %s is missing", p[n - 1].name);
		ck_assert_str_eq(err.msg, want);
		t[0].name = "model.layers.0.mlp.extra";
		ck_assert_int_eq(rt_model_assemble(&a, config, t, n, NULL, &err), RT_E_UNSUP);
		ck_assert_str_eq(err.msg, "the new model has no tensor model.layers.0.mlp.extra");
		rt_model_close(m);
	}
END_TEST

static const char small[] =
	"{\"model_type\":\"qwen2\",\"hidden_size\":64,\"num_hidden_layers\":2,"
	"\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":96,"
	"\"vocab_size\":%d,\"max_position_embeddings\":64,\"tie_word_embeddings\":true}";

static struct rt_model *new_model(int vocabulary, uint64_t seed)
{
	char             text[512];
	struct rt_json  *config;
	struct rt_model *m = NULL;

	snprintf(text, sizeof text, small, vocabulary);
	config = parse(text);
	ck_assert_int_eq(rt_model_new(&m, config, seed, NULL), 0);
	rt_json_free(config);
	return m;
}

/* Deviation of n draws is off by 1 / sqrt(2n) of itself, a standard error; five are allowed. */
static void check_drawn(const struct rt_parameter *p)
{
	const int64_t n = rt_numel(&p->tensor);
	const float  *x = p->tensor.data;
	const bool    residual = strstr(p->name, "o_proj") || strstr(p->name, "down_proj");
	const double  want = residual ? .02 / 2 : .02; /* 2 layers: sqrt(4) */
	double        sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += (double)x[i] * x[i];
	if (p->tensor.ndim == 2)
		ck_assert_double_eq_tol(sqrt(sum / (double)n), want,
		                        5 * want / sqrt(2. * (double)n));
	else
		ck_assert_double_eq(sum, strstr(p->name, "bias") ? 0 : (double)n);
}

START_TEST(a_new_model_is_drawn_as_the_header_says_and_by_its_seed)
	{
		struct rt_model *a = new_model(200, 1), *b = new_model(200, 1),
				*c = new_model(200, 2);

		same_parameters(a, b);
		ck_assert_mem_ne(rt_model_parameter(a, 0).tensor.data,
		                 rt_model_parameter(c, 0).tensor.data, 256);
		for (int64_t i = 0; i < rt_model_parameters(a); i++) {
			const struct rt_parameter p = rt_model_parameter(a, i);

			check_drawn(&p);
		}
		rt_model_close(a);
		rt_model_close(b);
		rt_model_close(c);
	}
END_TEST

/* ---- text ------------------------------------------------------------------------------------ */

static const struct {
	const char *eos;
	int64_t     n;
	int32_t     at[3];
	const char *error; /* or NULL */
} stop_cases[] = {
	{ "7", 1, { 7 }, NULL },
	{ "[7, 9, 7]", 2, { 7, 9 }, NULL },
	{ "null", 0, { 0 }, NULL },
	{ "\"x\"",
	  0,
	  { 0 },
	  "generation_config.json: eos_token_id is a string, not a number or a list" },
	{ "200",
	  0,
	  { 0 },
	  "generation_config.json: the stop token 200 is not among the model's 200" },
};

START_TEST(stop_tokens_are_a_number_or_a_list)
	{
		struct rt_model *m = new_model(200, 1), *w = NULL;
		struct rt_error  err = RT_ERROR_INIT;
		char             text[64];
		const int32_t   *stops;
		int64_t          n;
		int              r;

		ck_assert_int_eq(rt_model_write(m, temp_folder, RT_F32, NULL, NULL), 0);
		rt_model_close(m);
		snprintf(text, sizeof text, "{\"eos_token_id\":%s}", stop_cases[_i].eos);
		temp_write("generation_config.json", text, strlen(text));
		r = rt_model_open(&w, temp_folder, 0, &err);
		if (stop_cases[_i].error) {
			ck_assert_int_lt(r, 0);
			ck_assert_ptr_nonnull(strstr(err.msg, stop_cases[_i].error));
			return;
		}
		ck_assert_msg(r == 0, "%s", err.msg);
		stops = rt_model_stops(w, &n);
		ck_assert_int_eq(n, stop_cases[_i].n);
		for (int64_t i = 0; i < n; i++)
			ck_assert_int_eq(stops[i], stop_cases[_i].at[i]);
		rt_model_close(w);
	}
END_TEST

static const struct {
	const char *folder;
	int         vocabulary;
} tokenizers[] = { { "tok-llama3-style", 710 },
	           { "tok-llama2-style", 1000 },
	           { "tok-qwen2.5", 151936 } };

/* Every text of the vectors gets its ids. */
static void check_vectors(const struct rt_tokenizer *t, const char *folder)
{
	char    name[64], *text_of;
	json_t *j, *list, *item;
	size_t  i, size = 0;

	snprintf(name, sizeof name, "%s/vectors.json", folder);
	text_of = golden_read(name, &size);
	j = json_loadb(text_of, size, JSON_ALLOW_NUL, NULL);
	free(text_of);
	list = json_object_get(j, "encodings");
	ck_assert_uint_gt(json_array_size(list), 10);
	json_array_foreach(list, i, item)
	{
		const json_t *text = json_object_get(item, "text"),
			     *ids = json_object_get(item, "ids");
		struct rt_ids got = RT_IDS_INIT;

		ck_assert_int_eq(rt_tokenizer_encode(t, json_string_value(text),
		                                     json_string_length(text), RT_ENCODE_SPECIAL,
		                                     &got, NULL),
		                 0);
		ck_assert_uint_eq(got.len, json_array_size(ids));
		for (size_t k = 0; k < got.len; k++)
			ck_assert_int_eq(got.data[k], json_integer_value(json_array_get(ids, k)));
		rt_ids_free(&got);
	}
	json_decref(j);
}

START_TEST(a_tokenizer_goes_to_gguf_and_back_with_every_id)
	{
		const char      *folder = tokenizers[_i].folder;
		struct rt_model *m, *w;
		struct rt_error  err = RT_ERROR_INIT;

		if (!rt_exists(golden_path(folder)))
			return;
		m = new_model(tokenizers[_i].vocabulary, 1);
		ck_assert_msg(rt_model_write_gguf(m, temp_path("m.gguf"), RT_F32,
		                                  golden_path(folder), &err) == 0,
		              "%s", err.msg);
		w = open_model(temp_path("m.gguf"), 0);
		ck_assert_int_eq(rt_tokenizer_size(rt_model_tokenizer(w)),
		                 tokenizers[_i].vocabulary);
		check_vectors(rt_model_tokenizer(w), folder);
		ck_assert_int_eq(rt_mkdir_all(temp_path("back"), NULL), 0);
		ck_assert_msg(rt_model_write(w, temp_path("back"), RT_F32, temp_path("m.gguf"),
		                             &err) == 0,
		              "%s", err.msg);
		rt_model_close(w);
		w = open_model(temp_path("back"), 0);
		check_vectors(rt_model_tokenizer(w), folder);
		rt_model_close(w);
		rt_model_close(m);
	}
END_TEST

START_TEST(template_and_stops_go_to_gguf_and_back)
	{
		static const char template[] = "{% for m in messages %}{{ m.content }}{% endfor %}";
		struct rt_model *m = new_model(720, 1), *w;
		struct rt_error  err = RT_ERROR_INIT;
		char             text[512];
		int64_t          n;
		const int32_t   *stops;

		snprintf(text, sizeof text, "%s/text", temp_folder);
		ck_assert_int_eq(rt_mkdir_all(text, NULL), 0);
		ck_assert_int_eq(rt_model_copy_text(golden_path("tok-llama3-style"), text, NULL),
		                 0);
		temp_write("text/chat_template.jinja", template, sizeof template - 1);
		temp_write("text/generation_config.json", "{\"eos_token_id\":[5,3]}", 22);
		ck_assert_msg(rt_model_write_gguf(m, temp_path("a.gguf"), RT_F32, text, &err) == 0,
		              "%s", err.msg);
		ck_assert_int_eq(rt_mkdir_all(temp_path("b"), NULL), 0);
		ck_assert_int_eq(rt_model_copy_text(temp_path("a.gguf"), temp_path("b"), NULL), 0);
		w = open_model(temp_path("b"), RT_MODEL_TEXT);
		ck_assert_str_eq(rt_template_source(rt_model_template(w)), template);
		stops = rt_model_stops(w, &n);
		ck_assert_int_eq(n, 2);
		ck_assert_int_eq(stops[0], 5);
		ck_assert_int_eq(stops[1], 3);
		rt_model_close(w);
		temp_write("text/generation_config.json", "{\"eos_token_id\":[5,3,4,6]}", 26);
		ck_assert_int_eq(rt_model_write_gguf(m, temp_path("a.gguf"), RT_F32, text, &err),
		                 RT_E_UNSUP);
		ck_assert_ptr_nonnull(strstr(err.msg, "4 stop tokens, and GGUF has names for 3"));
		rt_model_close(m);
	}
END_TEST

START_TEST(more_tokens_than_rows_are_refused)
	{
		struct rt_model *m = new_model(100, 1);
		struct rt_error  err = RT_ERROR_INIT;

		ck_assert_int_eq(rt_model_write_gguf(m, temp_path("a.gguf"), RT_F32,
		                                     golden_path("tok-llama3-style"), &err),
		                 RT_E_SHAPE);
		ck_assert_ptr_nonnull(strstr(
			err.msg, "the tokenizer has 702 tokens, the model only 100 rows for them"));
		ck_assert(!rt_exists(temp_path("a.gguf")));
		rt_model_close(m);
	}
END_TEST

/* ---- out of memory --------------------------------------------------------------------------- */

static int live(struct rt_error *err)
{
	const int32_t         id[5] = { 1, 2, 3, 4, 5 }, position[5] = { 0, 1, 2, 3, 4 };
	const struct rt_span  span = { 0, 5, 0, 5, 0 };
	const struct rt_batch b = { id, position, 5, &span, 1 };
	struct rt_model      *m, *a = NULL;
	struct rt_tape       *tape = NULL;
	struct rt_gradients  *g = NULL;
	float                 hidden[5 * 64], dhidden[5 * 64], coef[5] = { 1, 1, 1, 1, 1 };
	int                   r = rt_model_open(&m, golden_path("qwen2-tiny"), RT_MODEL_TRAIN, err);

	if (r < 0)
		return r;
	r = rt_tape_new(&tape, false, err);
	if (r == 0)
		r = rt_gradients_new(&g, m, err);
	if (r == 0)
		r = rt_model_forward(m, &b, tape, hidden, err);
	if (r == 0)
		r = rt_model_logps(m, hidden, 5, id, coef, NULL, NULL, dhidden, g, err);
	if (r == 0)
		r = rt_model_backward(m, &b, tape, dhidden, g, err);
	if (r == 0)
		r = rt_model_write(m, temp_folder, RT_BF16, NULL, err);
	if (r == 0)
		r = rt_model_write_gguf(m, temp_path("m.gguf"), RT_Q8_0, NULL, err);
	if (r == 0)
		r = rt_model_new(&a, rt_model_config(m), 1, err);
	rt_model_close(a);
	rt_gradients_free(g);
	rt_tape_free(tape);
	rt_model_close(m);
	return r;
}

START_TEST(memory_may_run_out_anywhere)
	{
		ck_assert_int_gt(torture("alloc", live, RT_E_NOMEM), 50);
	}
END_TEST

/* A tokenizer's way to GGUF and back allocates thousands of times: every 97th fails in turn.  A
 * regular expression that finds no memory for its machine code is interpreted, and all is well. */
START_TEST(memory_may_run_out_while_a_tokenizer_is_translated)
	{
		struct rt_model *m = new_model(710, 1);
		int              failed = 0;

		for (int n = 1;; n += 97) {
			struct rt_error err = RT_ERROR_INIT;
			char            wish[32];
			long            seen;
			int             r;

			snprintf(wish, sizeof wish, "alloc:%d", n);
			ck_assert_int_eq(fault_set(wish, NULL), 0);
			r = rt_model_write_gguf(m, temp_path("m.gguf"), RT_F32,
			                        golden_path("tok-llama3-style"), &err);
			if (r == 0)
				r = rt_model_copy_text(temp_path("m.gguf"), temp_folder, &err);
			seen = fault_seen_allocs();
			fault_set(NULL, NULL);
			ck_assert_msg(r == 0 || (r == RT_E_NOMEM && seen >= n), "%s: %d %s", wish,
			              r, err.msg);
			failed += r < 0;
			if (seen < n)
				break;
		}
		ck_assert_int_gt(failed, 20);
		rt_model_close(m);
	}
END_TEST

RUNNER("sdk", 1800, {
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	TABLE_TEST(tc, gradients_through_the_sdk_are_those_of_transformers, plain);
	TABLE_TEST(tc, a_written_model_is_the_same_model, plain);
	tcase_add_test(tc, shards_hold_the_model_and_one_file_takes_their_index_away);
	tcase_add_test(tc, a_block_type_that_does_not_fit_falls_back_as_the_header_says);
	tcase_add_test(tc, a_model_of_parts_is_the_model_and_what_is_wrong_is_named);
	tcase_add_test(tc, a_new_model_is_drawn_as_the_header_says_and_by_its_seed);
	TABLE_TEST(tc, stop_tokens_are_a_number_or_a_list, stop_cases);
	TABLE_TEST(tc, a_tokenizer_goes_to_gguf_and_back_with_every_id, tokenizers);
	tcase_add_test(tc, template_and_stops_go_to_gguf_and_back);
	tcase_add_test(tc, more_tokens_than_rows_are_refused);
	tcase_add_test(tc, memory_may_run_out_anywhere);
	tcase_add_test(tc, memory_may_run_out_while_a_tokenizer_is_translated);
})
