/* test-layers.c - layers one at a time, and blocks that a model is made of. */
#include "runner.h"
#include "temp.h"

#include <retort/model.h>

#include <string.h>

static const char small[] =
	"{\"model_type\":\"qwen2\",\"hidden_size\":64,\"num_hidden_layers\":2,"
	"\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":96,"
	"\"vocab_size\":200,\"max_position_embeddings\":64,\"tie_word_embeddings\":true}";

static const char *const families[] = { "qwen2", "qwen3", "llama" };

static struct rt_model *new_of(const char *family)
{
	char             text[sizeof small], *at;
	struct rt_json  *config = NULL;
	struct rt_model *m = NULL;

	memcpy(text, small, sizeof small);
	at = strstr(text, "qwen2");
	memcpy(at, family, 5);
	ck_assert_int_eq(rt_json_parse(text, sizeof small - 1, "c", 1, &config, NULL), 0);
	ck_assert_int_eq(rt_model_new(&m, config, 1, NULL), 0);
	rt_json_free(config);
	return m;
}

/* What a layer's linear parts get, by place, for one pass of a whole model. */
struct watched {
	float  *at[64];
	int64_t n;
};

static void watch(void *arg, int64_t layer, enum rt_watch what, const float *x, int64_t rows,
                  int64_t columns, int64_t ld)
{
	struct watched *w = arg;
	float          *copy;

	(void)layer;
	if (what == RT_WATCH_LAYER)
		return;
	copy = w->at[w->n++] = malloc((size_t)(rows * columns) * sizeof *copy);
	for (int64_t i = 0; i < rows; i++)
		memcpy(copy + i * columns, x + i * ld, (size_t)columns * sizeof *copy);
}

START_TEST(layers_one_by_one_are_the_whole_pass)
	{
		enum { TOKENS = 9 };
		static const int32_t  token[TOKENS] = { 3, 1, 4, 1, 5, 9, 2, 6, 5 };
		static const int32_t  position[TOKENS] = { 0, 1, 2, 3, 4, 0, 1, 2, 3 };
		const struct rt_span  spans[2] = { { 0, 5, 0, 5, 0 }, { 5, 4, 5, 4, 0 } };
		const struct rt_batch b = { token, position, TOKENS, spans, 2 };
		struct rt_model      *m = new_of(families[_i]);
		const int64_t         hidden = rt_model_shape(m)->hidden;
		const int64_t         layers = rt_model_shape(m)->layers;
		float                *x = malloc((size_t)(TOKENS * hidden) * sizeof *x), *y, *want;
		struct watched        whole = { .n = 0 }, parts = { .n = 0 };
		struct rt_error       err = RT_ERROR_INIT;

		y = malloc((size_t)(TOKENS * hidden) * sizeof *y);
		want = malloc((size_t)(TOKENS * hidden) * sizeof *want);
		ck_assert_int_eq(rt_model_observe(m, &b, watch, &whole, want, NULL), 0);
		ck_assert_int_eq(rt_model_embed(m, &b, x, NULL), 0);
		for (int64_t i = 0; i < layers; i++) {
			ck_assert_int_eq(rt_model_layer(m, i, &b, watch, &parts, x, y, NULL), 0);
			ck_assert_int_eq(rt_model_layer(m, i, &b, NULL, NULL, x, x, NULL), 0);
			ck_assert_mem_eq(x, y, (size_t)(TOKENS * hidden) * sizeof *x);
		}
		/* the same kernels on the same numbers: the same bits */
		ck_assert_int_eq(whole.n, 4 * layers);
		ck_assert_int_eq(parts.n, whole.n);
		for (int64_t i = 0; i < whole.n; i++) {
			const int64_t columns = i % 4 == 3   ? rt_model_shape(m)->feed_forward
			                        : i % 4 == 1 ? rt_model_shape(m)->heads *
			                                               rt_model_shape(m)->head_dim
			                                     : hidden;

			ck_assert_mem_eq(parts.at[i], whole.at[i],
			                 (size_t)(TOKENS * columns) * sizeof(float));
			free(parts.at[i]);
			free(whole.at[i]);
		}
		ck_assert_int_eq(rt_model_layer(m, layers, &b, NULL, NULL, x, x, &err), RT_E_RANGE);
		ck_assert_ptr_nonnull(strstr(err.msg, "layers"));
		free(x);
		free(y);
		free(want);
		rt_model_close(m);
	}
END_TEST

/* A parameter as blocks that rt_quantize() would not make. */
static void requantize(struct rt_named_tensor *t, const struct rt_parameter *p)
{
	const int64_t       n = rt_numel(&p->tensor);
	const enum rt_dtype type = rt_gguf_type(&p->tensor, p->layer % 2 ? RT_Q4_0 : RT_Q8_0);
	float              *x = malloc((size_t)n * sizeof *x);

	*t = (struct rt_named_tensor){ p->name,
		                       rt_tensor(NULL, type, p->tensor.ndim, p->tensor.dim) };
	t->tensor.data = malloc((size_t)rt_bytes(&t->tensor));
	ck_assert_int_eq(rt_dequantize(p->tensor.dtype, p->tensor.data, n, x, NULL), 0);
	ck_assert_int_eq(rt_quantize(type, x, p->tensor.dim[0],
	                             p->tensor.ndim == 2 ? p->tensor.dim[1] : 1, NULL,
	                             t->tensor.data, NULL),
	                 0);
	/* its largest number would stand at the end of the grid */
	if (type == RT_Q4_0)
		memset((char *)t->tensor.data + 2, 0x99, 16);
	else if (type == RT_Q8_0)
		memset((char *)t->tensor.data + 2, 3, 32);
	free(x);
}

/* llama's rows of q and k stand in another order in the file. */
START_TEST(blocks_go_to_gguf_as_they_are)
	{
		struct rt_model        *m = new_of(families[_i]), *q, *w;
		const int64_t           n = rt_model_parameters(m);
		struct rt_parameter    *p = calloc((size_t)n, sizeof *p);
		struct rt_named_tensor *t = calloc((size_t)n, sizeof *t);
		struct rt_error         err = RT_ERROR_INIT;
		int64_t                 blocks = 0;

		for (int64_t i = 0; i < n; i++) {
			p[i] = rt_model_parameter(m, i);
			requantize(&t[i], &p[i]);
		}
		ck_assert_msg(rt_model_assemble(&q, rt_model_config(m), t, n, NULL, &err) == 0,
		              "%s", err.msg);
		ck_assert_int_eq(rt_mkdir_all(temp_path("m"), NULL), 0);
		ck_assert_msg(rt_model_write_gguf(q, temp_path("m/model.gguf"), RT_AS_STORED, NULL,
		                                  &err) == 0,
		              "%s", err.msg);
		/* the folder is the file */
		ck_assert_int_eq(rt_model_open(&w, temp_path("m"), 0, NULL), 0);
		for (int64_t i = 0; i < n; i++) {
			const struct rt_tensor back = rt_model_parameter(w, i).tensor;

			ck_assert_int_eq(back.dtype, t[i].tensor.dtype);
			ck_assert_mem_eq(back.data, t[i].tensor.data,
			                 (size_t)rt_bytes(&t[i].tensor));
			blocks += rt_dtype_info(back.dtype)->block > 1;
		}
		ck_assert_int_gt(blocks, 8);
		rt_model_close(w);
		rt_model_close(q);
		rt_model_close(m);
		for (int64_t i = 0; i < n; i++)
			free(t[i].tensor.data);
		free(t);
		free(p);
	}
END_TEST

RUNNER("layers", 120, {
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	TABLE_TEST(tc, layers_one_by_one_are_the_whole_pass, families);
	TABLE_TEST(tc, blocks_go_to_gguf_as_they_are, families);
})
