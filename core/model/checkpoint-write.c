/* checkpoint-write.c - a model to a Hugging Face folder or a GGUF file.  See checkpoint.h */
#include "model/checkpoint.h"

#include <retort/file.h>

#include <stdio.h>
#include <string.h>

enum { CHUNK = 1 << 20 }; /* floats that are converted at once */

/* Rows of a parameter in the order in which they are stored. */
struct order {
	bool    turned; /* halves interleaved, as llama's q and k are in GGUF */
	int64_t half;
};

static int64_t row_at(const struct order *o, int64_t row)
{
	const int64_t h = row / (2 * o->half), r = row % (2 * o->half);

	return o->turned ? h * 2 * o->half + r % 2 * o->half + r / 2 : row;
}

/* Rows [first, first + n) of t as floats. */
static int load_rows(const struct rt_tensor *t, const struct order *o, int64_t first, int64_t n,
                     float *dst, struct rt_error *err)
{
	const int64_t columns = t->ndim == 2 ? t->dim[1] : 1;
	int           r = 0;

	if (!o->turned)
		return rt_dequantize(t->dtype, rt_at(t, first * columns), n * columns, dst, err);
	for (int64_t i = 0; r == 0 && i < n; i++)
		r = rt_dequantize(t->dtype, rt_at(t, row_at(o, first + i) * columns), columns,
		                  dst + i * columns, err);
	return r;
}

typedef void sink_fn(void *arg, const void *bytes, size_t n);

/* All rows in another type, chunk by chunk, to a sink. */
static int convert(const struct rt_tensor *t, const struct order *o, enum rt_dtype dtype,
                   sink_fn *sink, void *arg, struct rt_error *err)
{
	const struct rt_dtype_info *to = rt_dtype_info(dtype);
	const int64_t               columns = t->ndim == 2 ? t->dim[1] : 1;
	const int64_t               step = CHUNK / columns > 0 ? CHUNK / columns : 1;
	const int64_t               rows = t->dim[0] < step ? t->dim[0] : step;
	float                      *x = rt_alloc_aligned((size_t)rows, (size_t)columns * sizeof *x);
	void *y = rt_alloc_aligned((size_t)rows, (size_t)(columns / to->block * to->bytes));
	int   r = x && y ? 0 : rt_fail_nomem(err, "a conversion");

	for (int64_t i = 0; r == 0 && i < t->dim[0]; i += step) {
		const int64_t n = t->dim[0] - i < step ? t->dim[0] - i : step;

		r = load_rows(t, o, i, n, x, err);
		if (r == 0)
			r = rt_quantize(dtype, x, n, columns, NULL, y, err);
		if (r == 0)
			sink(arg, y, (size_t)(n * columns / to->block * to->bytes));
	}
	rt_free(x);
	rt_free(y);
	return r;
}

/* ---- a folder ----------------------------------------------------------------------------- */

struct buffer {
	char *at;
};

static void to_buffer(void *arg, const void *bytes, size_t n)
{
	struct buffer *b = arg;

	memcpy(b->at, bytes, n);
	b->at += n;
}

static const char *dtype_name(enum rt_dtype dtype)
{
	return dtype == RT_F32    ? "float32"
	       : dtype == RT_BF16 ? "bfloat16"
	       : dtype == RT_F16  ? "float16"
	                          : NULL;
}

/* The configuration under the names of the newer or the older spelling, as it was. */
static int write_config(const struct model *m, const char *folder, enum rt_dtype dtype,
                        struct rt_error *err)
{
	char           *path = rt_path_join(folder, "config.json");
	struct rt_json *c = rt_json_copy(m->config.json);
	int             r = path && c ? 0 : RT_E_NOMEM;

	if (r == 0)
		r |= rt_json_set(c, rt_json_get(c, "dtype") ? "dtype" : "torch_dtype",
		                 rt_json_new_string(dtype_name(dtype)));
	r = r ? rt_fail_nomem(err, "a configuration") : rt_json_write(c, RT_JSON_INDENT, path, err);
	rt_json_free(c);
	rt_free(path);
	return r;
}

/* Names and converted tensors, in memory of the arena. */
static int gather(const struct model *m, enum rt_dtype dtype, struct rt_arena *room,
                  struct rt_named_tensor *out, int64_t *ret_n, struct rt_error *err)
{
	const struct order straight = { false, 1 };
	int64_t            n = 0;
	int                r = 0;

	for (int64_t i = 0; r == 0 && i < m->weights.n; i++) {
		const struct rt_tensor *t = &m->weights.t[i];
		char                   *name;
		struct buffer           b;

		if (!t->data || (i == W_HEAD && m->config.tied))
			continue;
		name = rt_arena_alloc(room, WEIGHTS_NAME, 1);
		b.at = rt_arena_alloc(room, (size_t)rt_numel(t),
		                      (size_t)rt_dtype_info(dtype)->bytes);
		if (!name || !b.at)
			return rt_fail_nomem(err, "a checkpoint");
		weights_name(i, NAME_HF, name);
		out[n].name = name;
		out[n++].tensor = rt_tensor(b.at, dtype, t->ndim, t->dim);
		r = convert(t, &straight, dtype, to_buffer, &b, err);
		if (r != 0)
			r = rt_within(err, r, "tensor %s", name);
	}
	*ret_n = n;
	return r;
}

int checkpoint_write_folder(const struct model *m, const char *path, enum rt_dtype dtype,
                            struct rt_error *err)
{
	struct rt_arena         room = RT_ARENA_INIT;
	struct rt_named_tensor *tensors = rt_alloc((size_t)m->weights.n, sizeof *tensors);
	struct rt_json         *metadata = rt_json_new_object();
	char                   *file = rt_path_join(path, "model.safetensors");
	int64_t                 n = 0;
	int                     r;

	if (!dtype_name(dtype))
		r = rt_fail(err, RT_E_UNSUP, "a folder holds f32, f16 or bf16 weights");
	else if (m->config.rope.divisor)
		r = rt_fail(err, RT_E_UNSUP,
		            "the rotary frequencies of this GGUF file have no "
		            "spelling in a config.json");
	else if (!tensors || !metadata || !file)
		r = rt_fail_nomem(err, "a checkpoint");
	else
		r = gather(m, dtype, &room, tensors, &n, err);
	if (r == 0 && rt_json_set(metadata, "format", rt_json_new_string("pt")) != 0)
		r = rt_fail_nomem(err, "a checkpoint");
	if (r == 0)
		r = safetensors_write(file, tensors, n, metadata, err);
	if (r == 0)
		r = write_config(m, path, dtype, err);
	rt_arena_free(&room);
	rt_free(tensors);
	rt_json_free(metadata);
	rt_free(file);
	return r;
}

/* ---- GGUF --------------------------------------------------------------------------------- */

static const struct {
	enum rt_dtype dtype;
	int           file_type; /* llama.cpp's numbers */
} file_types[] = { { RT_F32, 0 },     { RT_F16, 1 },     { RT_Q4_0, 2 },  { RT_Q4_1, 3 },
	           { RT_Q8_0, 7 },    { RT_Q5_0, 8 },    { RT_Q5_1, 9 },  { RT_Q2_K, 10 },
	           { RT_Q3_K, 12 },   { RT_Q4_K, 15 },   { RT_Q5_K, 17 }, { RT_Q6_K, 18 },
	           { RT_IQ4_NL, 25 }, { RT_IQ4_XS, 30 }, { RT_BF16, 32 } };

static const char *architecture(const struct model *m)
{
	return strcmp(m->config.type, "mistral") == 0 ? "llama" : m->config.type;
}

static const char *key_of(const struct model *m, const char *tail, char key[128])
{
	snprintf(key, 128, "%s.%s", architecture(m), tail);
	return key;
}

static int put_scaling(const struct model *m, struct gguf_writer *w, struct rt_error *err)
{
	const struct rope *p = &m->config.rope;
	char               key[128];

	if (p->kind == ROPE_DYNAMIC)
		return rt_fail(err, RT_E_UNSUP, "dynamic rotary scaling has no spelling in GGUF");
	if (p->kind != ROPE_LINEAR && p->kind != ROPE_YARN)
		return 0;
	gguf_put_string(w, key_of(m, "rope.scaling.type", key),
	                p->kind == ROPE_LINEAR ? "linear" : "yarn");
	gguf_put_real(w, key_of(m, "rope.scaling.factor", key), p->factor);
	gguf_put_int(w, key_of(m, "rope.scaling.original_context_length", key), GGUF_U32,
	             p->original);
	return 0;
}

static int put_metadata(const struct model *m, enum rt_dtype dtype, const struct gguf *extra,
                        struct gguf_writer *w, struct rt_error *err)
{
	const struct model_config *c = &m->config;
	const struct {
		const char *tail;
		int64_t     value;
	} rows[] = { { "context_length", c->context },
		     { "embedding_length", c->hidden },
		     { "block_count", c->layers },
		     { "feed_forward_length", c->feed_forward },
		     { "attention.head_count", c->heads },
		     { "attention.head_count_kv", c->kv_heads },
		     { "attention.key_length", c->head_dim },
		     { "attention.value_length", c->head_dim },
		     { "rope.dimension_count", c->head_dim },
		     { "vocab_size", c->vocabulary } };
	char key[128];

	for (int64_t i = 0; i < c->layers; i++)
		if (c->window[i])
			return rt_fail(err, RT_E_UNSUP,
			               "the sliding window of layer %lld has no "
			               "spelling in GGUF for %s",
			               (long long)i, architecture(m));
	gguf_put_string(w, "general.architecture", architecture(m));
	gguf_put_string(w, "general.type", "model");
	for (size_t i = 0; i < sizeof file_types / sizeof *file_types; i++)
		if (file_types[i].dtype == dtype)
			gguf_put_int(w, "general.file_type", GGUF_U32, file_types[i].file_type);
	gguf_put_int(w, "general.quantization_version", GGUF_U32, 2);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		gguf_put_int(w, key_of(m, rows[i].tail, key), GGUF_U32, rows[i].value);
	gguf_put_real(w, key_of(m, "attention.layer_norm_rms_epsilon", key), c->norm_eps);
	gguf_put_real(w, key_of(m, "rope.freq_base", key), c->rope.theta);
	for (int64_t i = 0; extra && i < extra->n_entries; i++)
		if (extra->entries[i].key.n > 10 &&
		    memcmp(extra->entries[i].key.data, "tokenizer.", 10) == 0)
			gguf_put_entry(w, &extra->entries[i]);
	return put_scaling(m, w, err);
}

/* What a parameter is stored as. */
static struct rt_tensor stored(const struct model *m, int64_t index, enum rt_dtype dtype)
{
	const struct rt_tensor *t = &m->weights.t[index];
	enum rt_dtype           type = t->ndim == 1 ? RT_F32 : dtype;

	if (t->ndim == 2 && t->dim[1] % rt_dtype_info(dtype)->block)
		type = RT_F16;
	return rt_tensor(NULL, type, t->ndim, t->dim);
}

static void to_file(void *arg, const void *bytes, size_t n)
{
	gguf_data(arg, bytes, n);
}

static int put_weights(const struct model *m, enum rt_dtype dtype, struct gguf_writer *w,
                       struct rt_error *err)
{
	const bool llama = strcmp(architecture(m), "llama") == 0;
	int        r = 0;

	for (int64_t i = 0; r == 0 && i < m->weights.n; i++) {
		const int64_t      part = i < W_LAYERS ? -1 : (i - W_LAYERS) % LAYER_PARTS;
		const struct order o = { llama && (part == L_Q || part == L_K || part == L_Q_BIAS ||
			                           part == L_K_BIAS),
			                 m->config.head_dim / 2 };
		char               name[WEIGHTS_NAME];

		if (!m->weights.t[i].data || (i == W_HEAD && m->config.tied))
			continue;
		r = convert(&m->weights.t[i], &o, (enum rt_dtype)stored(m, i, dtype).dtype, to_file,
		            w, err);
		gguf_pad(w);
		weights_name(i, NAME_GGUF, name);
		if (r != 0)
			r = rt_within(err, r, "tensor %s", name);
	}
	return r;
}

int checkpoint_write_gguf(const struct model *m, const char *path, enum rt_dtype dtype,
                          const struct gguf *extra, struct rt_error *err)
{
	const int64_t      half = m->config.head_dim / 2;
	float             *divisor = config_rope_divisor(&m->config);
	struct gguf_writer w;
	int                r;

	gguf_writer_init(&w);
	r = put_metadata(m, dtype, extra, &w, err);
	if (divisor) {
		const struct rt_tensor t = rt_vector(divisor, half);

		gguf_declare(&w, "rope_freqs.weight", &t);
	}
	for (int64_t i = 0; i < m->weights.n; i++) {
		struct rt_tensor t;
		char             name[WEIGHTS_NAME];

		if (!m->weights.t[i].data || (i == W_HEAD && m->config.tied))
			continue;
		t = stored(m, i, dtype);
		weights_name(i, NAME_GGUF, name);
		gguf_declare(&w, name, &t);
	}
	if (r == 0)
		r = gguf_begin(&w, path, err);
	if (r == 0 && divisor) {
		gguf_data(&w, divisor, (size_t)half * sizeof *divisor);
		gguf_pad(&w);
	}
	if (r == 0)
		r = put_weights(m, dtype, &w, err);
	if (r == 0)
		r = gguf_end(&w, err);
	gguf_writer_fini(&w);
	rt_free(divisor);
	return r;
}
