/* test-stories.c - a real trained model, written by us as a folder and as a GGUF file, tells its
 * story word for word.
 *
 * stories260K comes in the layout of llama2.c: seven integers, then f32 weights, one kind after
 * another for all layers; rotary pairs are neighbours, not halves. */
#include "golden.h"
#include "runner.h"
#include "temp.h"

#include "model/checkpoint.h"

#include <string.h>

enum { DIM, FORWARD, LAYERS, HEADS, KV_HEADS, VOCABULARY, CONTEXT, HEADER };

static char   *weights_bin, *words_bin, *page;
static int32_t shape[HEADER];

static const float *next_block;

/* The next n floats of the file, at any address. */
static void take(float *dst, int64_t n)
{
	memcpy(dst, next_block, (size_t)n * sizeof *dst);
	next_block += n;
}

/* Row (head, half, i) is the file's row (head, 2 i + half). */
static void take_turned(float *dst, int64_t heads, int64_t size, int64_t columns)
{
	for (int64_t h = 0; h < heads; h++)
		for (int64_t i = 0; i < size; i++)
			take(dst + (h * size + i % 2 * size / 2 + i / 2) * columns, columns);
}

static void take_layers(struct model *m, int part, int64_t heads)
{
	for (int64_t l = 0; l < m->config.layers; l++) {
		const struct rt_tensor *t = weights_at(&m->weights, l, part);

		if (heads)
			take_turned(t->data, heads, m->config.head_dim, t->dim[1]);
		else
			take(t->data, rt_numel(t));
	}
}

static void read_model(struct model *m)
{
	char            text[512];
	struct rt_json *j = NULL;

	snprintf(text, sizeof text,
	         "{\"model_type\":\"llama\",\"hidden_size\":%d,\"intermediate_size\":%d,"
	         "\"num_hidden_layers\":%d,\"num_attention_heads\":%d,\"num_key_value_heads\":%d,"
	         "\"vocab_size\":%d,\"max_position_embeddings\":%d,\"rms_norm_eps\":1e-5,"
	         "\"tie_word_embeddings\":true,\"rope_theta\":10000.0}",
	         (int)shape[DIM], (int)shape[FORWARD], (int)shape[LAYERS], (int)shape[HEADS],
	         (int)shape[KV_HEADS], (int)shape[VOCABULARY], (int)shape[CONTEXT]);
	*m = (struct model){ .thawed = true };
	ck_assert_int_eq(rt_json_parse(text, strlen(text), "stories", 1, &j, NULL), 0);
	ck_assert_int_eq(model_config_init(&m->config, j, "stories", NULL), 0);
	rt_json_free(j);
	ck_assert_int_eq(weights_zeros(&m->weights, &m->config, NULL), 0);
	next_block = (const float *)(weights_bin + sizeof shape);
	take(m->weights.t[W_EMBED].data, rt_numel(&m->weights.t[W_EMBED]));
	take_layers(m, L_ATTN_NORM, 0);
	take_layers(m, L_Q, m->config.heads);
	take_layers(m, L_K, m->config.kv_heads);
	take_layers(m, L_V, 0);
	take_layers(m, L_O, 0);
	take_layers(m, L_MLP_NORM, 0);
	take_layers(m, L_GATE, 0);
	take_layers(m, L_DOWN, 0);
	take_layers(m, L_UP, 0);
	take(m->weights.t[W_NORM].data, m->config.hidden);
}

/* The piece of a token: after 4 bytes, a score, a length and the text of each. */
static struct gguf_text piece_of(int32_t token)
{
	const char *p = words_bin + 4;
	int32_t     n;

	for (;; p += 8 + n) {
		memcpy(&n, p + 4, sizeof n);
		if (token-- == 0)
			return (struct gguf_text){ p + 8, (size_t)n };
	}
}

static void add_piece(struct rt_text *t, int32_t token)
{
	struct gguf_text p = piece_of(token);
	unsigned         byte;

	if (p.n == 6 && sscanf(p.data, "<0x%2x>", &byte) == 1)
		rt_text_add_char(t, (char)byte);
	else if (t->len == 0 && p.n > 0 && p.data[0] == ' ') /* the first word has none */
		rt_text_add_n(t, p.data + 1, p.n - 1);
	else
		rt_text_add_n(t, p.data, p.n);
}

static int32_t best_of(const float *x, int64_t n)
{
	int64_t best = 0;

	for (int64_t i = 1; i < n; i++)
		best = x[i] > x[best] ? i : best;
	return (int32_t)best;
}

/* 200 tokens after the beginning-of-text token, the best each time. */
static void tell(const char *path, struct rt_text *story)
{
	struct model       m;
	struct model_cache cache;
	struct rt_error    err = RT_ERROR_INIT;
	struct model_run   run = { .cache = &cache };
	float              hidden[64], logits[512];
	int32_t            token = 1;

	ck_assert_msg(model_open(&m, path, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(m.config.hidden, 64);
	ck_assert_int_eq(model_cache_init(&cache, &m, 256, NULL), 0);
	for (int32_t i = 0; i < 200; i++) {
		const struct rt_span  span = { 0, 1, 0, i + 1, 0 };
		const struct rt_batch b = { &token, &i, 1, &span, 1 };

		ck_assert_int_eq(model_forward(&m, &b, &run, hidden, NULL), 0);
		ck_assert_int_eq(
			model_logits(&m, hidden, 1, &(struct model_run){ 0 }, logits, NULL), 0);
		token = best_of(logits, m.config.vocabulary);
		ck_assert_int_ne(token, 1);
		add_piece(story, token);
	}
	model_cache_fini(&cache);
	model_close(&m);
}

START_TEST(the_story_comes_out_word_for_word)
	{
		struct model   m;
		struct rt_text folder = RT_TEXT_INIT, gguf = RT_TEXT_INIT;
		const char    *want;

		weights_bin = golden_read("stories260K/stories260K.bin", NULL);
		words_bin = golden_read("stories260K/tok512.bin", NULL);
		page = golden_read("stories260K/stories260K.md", NULL);
		if (!weights_bin || !words_bin || !page)
			return;
		memcpy(shape, weights_bin, sizeof shape);
		read_model(&m);
		ck_assert_int_eq(rt_mkdir_all(temp_path("m"), NULL), 0);
		ck_assert_int_eq(checkpoint_write_folder(&m, temp_path("m"), RT_F32, 0, NULL), 0);
		ck_assert_int_eq(checkpoint_write_gguf(&m, temp_path("m.gguf"), RT_F32, NULL, NULL),
		                 0);
		model_close(&m);
		tell(temp_path("m"), &folder);
		tell(temp_path("m.gguf"), &gguf);
		want = strstr(page, "Once upon a time");
		ck_assert_ptr_nonnull(want);
		ck_assert_uint_gt(folder.len, 400);
		ck_assert_msg(strncmp(folder.data, want, folder.len) == 0, "%s", folder.data);
		ck_assert_str_eq(gguf.data, folder.data);
		rt_text_free(&folder);
		rt_text_free(&gguf);
		free(weights_bin);
		free(words_bin);
		free(page);
	}
END_TEST

RUNNER("stories", 120, {
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	tcase_add_test(tc, the_story_comes_out_word_for_word);
})
