/* bench-model.c - models by name, with weights made up, as files.  See bench.h
 *
 * What a number is makes no difference to how long it takes.  So one pool of numbers is drawn and
 * rounded to a type once, and every matrix of that type is a stretch of the same buffer, which is
 * as large as the largest matrix. */
#include "cli/bench.h"

#include "model/weights.h"

#include <retort/memory.h>
#include <retort/random.h>

#include <stdio.h>
#include <string.h>

/* Columns of the pool are what every block divides; its rows, a prime number of them, do not divide
 * what models have: rows of a matrix differ. */
enum { POOL_COLUMNS = 256, POOL_ROWS = 4099, POOL = POOL_COLUMNS * POOL_ROWS };

const struct bench_shape bench_shapes[] = {
	{ "qwen2.5-0.5b", 896, 24, 4864, 14, 2, 151936 },
	{ "0.4b", 896, 18, 4864, 14, 2, 151936 },
	{ "10m", 320, 8, 896, 5, 1, 4096 },
	{ "2m", 192, 4, 512, 6, 2, 2048 },
	{ .name = NULL },
};

enum { TYPE_Q4_K_M = 2 };
const char *const bench_types[] = { "q8_0", "q4_0", "q4_k_m", "bf16", "f16", "f32", NULL };

struct making {
	const struct bench_job *j;
	struct rt_json         *config;
	struct model_config     c;
	float                  *pool, *ones;       /* ones: what norms multiply by */
	void                   *buffer[RT_DTYPES]; /* NULL until a matrix is of that type */
	struct rt_named_tensor *tensors;
	char (*names)[WEIGHTS_NAME];
	int64_t n;
};

static void free_making(struct making *k)
{
	model_config_fini(&k->c);
	rt_json_free(k->config);
	rt_free(k->pool);
	rt_free(k->ones);
	for (int i = 0; i < RT_DTYPES; i++)
		rt_free(k->buffer[i]);
	rt_free(k->tensors);
	rt_free(k->names);
}

static int make_config(struct making *k, struct rt_error *err)
{
	const struct bench_shape *s = k->j->shape;
	const int64_t             vocabulary = k->j->vocabulary ? k->j->vocabulary : s->vocabulary;
	struct rt_text            t = RT_TEXT_INIT;
	int                       r;

	rt_text_printf(&t,
	               "{\"model_type\":\"qwen2\",\"architectures\":[\"Qwen2ForCausalLM\"],"
	               "\"hidden_act\":\"silu\",\"hidden_size\":%lld,\"num_hidden_layers\":%lld,"
	               "\"intermediate_size\":%lld,\"num_attention_heads\":%lld,"
	               "\"num_key_value_heads\":%lld,\"vocab_size\":%lld,"
	               "\"max_position_embeddings\":32768,\"rope_theta\":1000000.0,"
	               "\"rms_norm_eps\":1e-6,\"tie_word_embeddings\":true}",
	               (long long)s->hidden, (long long)s->layers, (long long)s->feed_forward,
	               (long long)s->heads, (long long)s->kv_heads, (long long)vocabulary);
	r = t.failed ? rt_fail_nomem(err, "a shape")
	             : rt_json_parse(t.data, t.len, s->name, 1, &k->config, err);
	if (r == 0)
		r = model_config_init(&k->c, k->config, s->name, err);
	rt_text_free(&t);
	return r;
}

/* Uniform numbers with the deviation of new weights, .02. */
static int draw_pool(struct making *k, struct rt_error *err)
{
	k->pool = rt_alloc_aligned(POOL, sizeof *k->pool);
	k->ones = rt_alloc_aligned((size_t)k->c.hidden, sizeof *k->ones);
	if (!k->pool || !k->ones)
		return rt_fail_nomem(err, "weights");
	for (int64_t i = 0; i < k->c.hidden; i++)
		k->ones[i] = 1;
	for (uint64_t i = 0; i < POOL; i++)
		k->pool[i] = (float)(.02 * 3.4641016 * (rt_random_uniform(1, 0, i) - .5));
	return 0;
}

/* The buffer of a type: its pool, again and again. */
static int fill_buffer(struct making *k, enum rt_dtype type, struct rt_error *err)
{
	const struct rt_dtype_info *info = rt_dtype_info(type);
	const size_t                pool = (size_t)(POOL / info->block * info->bytes);
	const size_t all = (size_t)((k->c.vocabulary > k->c.feed_forward ? k->c.vocabulary
	                                                                 : k->c.feed_forward) *
	                            k->c.hidden / info->block * info->bytes);
	char        *p = rt_alloc_aligned(all + pool, 1);
	int          r;

	if (!p)
		return rt_fail_nomem(err, "weights");
	k->buffer[type] = p;
	r = rt_quantize(type, k->pool, POOL_ROWS, POOL_COLUMNS, NULL, p, err);
	for (size_t at = pool; at < all; at += pool)
		memcpy(p + at, p, pool);
	return r;
}

/* Does llama.cpp's mix Q4_K_M give the matrices of this layer that matter most more bits?  An
 * eighth of the layers at either end, and every third between them (llama_tensor_get_type()). */
static bool more_bits(int64_t layer, int64_t layers)
{
	return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

static enum rt_dtype wanted(const struct making *k, int64_t index)
{
	const char   *name = bench_types[k->j->type];
	const int64_t layer = (index - W_LAYERS) / LAYER_PARTS;
	const int64_t part = index < W_LAYERS ? -1 : (index - W_LAYERS) % LAYER_PARTS;

	if (k->j->type != TYPE_Q4_K_M)
		return (enum rt_dtype)rt_dtype_find(name);
	if (index == W_EMBED)
		return RT_Q6_K;
	return (part == L_V || part == L_DOWN) && more_bits(layer, k->c.layers) ? RT_Q6_K : RT_Q4_K;
}

static int add_tensor(struct making *k, int64_t index, struct rt_error *err)
{
	struct rt_named_tensor *t = &k->tensors[k->n];
	enum rt_dtype           type;
	int64_t                 dim[2];
	bool                    norm;
	int                     r = 0;

	if (!weights_shape(&k->c, index, &dim[0], &dim[1]) || (index == W_HEAD && k->c.tied))
		return 0;
	t->name = k->names[k->n++];
	weights_name(index, NAME_HF, k->names[k->n - 1]);
	t->tensor = rt_tensor(NULL, RT_F32, dim[1] ? 2 : 1, dim);
	type = rt_gguf_type(&t->tensor, wanted(k, index));
	if (!k->buffer[type])
		r = fill_buffer(k, type, err);
	norm = !dim[1] && strstr(t->name, "norm");
	t->tensor = rt_tensor(norm ? k->ones : k->buffer[type], type, dim[1] ? 2 : 1, dim);
	return r;
}

static int add_tensors(struct making *k, struct rt_error *err)
{
	const int64_t n = W_LAYERS + k->c.layers * LAYER_PARTS;
	int           r = 0;

	k->tensors = rt_alloc((size_t)n, sizeof *k->tensors);
	k->names = rt_alloc((size_t)n, sizeof *k->names);
	if (!k->tensors || !k->names)
		return rt_fail_nomem(err, "weights");
	for (int64_t i = 0; r == 0 && i < n; i++)
		r = add_tensor(k, i, err);
	return r;
}

int bench_write(const struct bench_job *j, struct bench_result *ret, struct rt_error *err)
{
	struct making    k = { .j = j };
	struct rt_model *m = NULL;
	int              r = make_config(&k, err);

	(void)ret;
	if (r == 0)
		r = draw_pool(&k, err);
	if (r == 0)
		r = add_tensors(&k, err);
	if (r == 0)
		r = rt_model_assemble(&m, k.config, k.tensors, k.n, NULL, err);
	if (r == 0)
		r = rt_model_write_gguf(m, j->path, RT_AS_STORED, NULL, err);
	rt_model_close(m);
	free_making(&k);
	return r;
}
