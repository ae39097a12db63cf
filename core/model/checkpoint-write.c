/* checkpoint-write.c - a model to a Hugging Face folder or a GGUF file.  See checkpoint.h */
#include "model/checkpoint.h"

#include <retort/file.h>
#include <retort/model.h>

#include <stdio.h>
#include <string.h>

enum { CHUNK = 1 << 20 }; /* floats that are converted at once */

static const int64_t DEFAULT_SHARD = 5000000000;

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

/* Rows [first, first + n) of t as dtype: blocks that are of this type already as they are. */
static int convert_rows(const struct rt_tensor *t, const struct order *o, enum rt_dtype dtype,
                        int64_t first, int64_t n, float *x, char *y, struct rt_error *err)
{
	const struct rt_dtype_info *to = rt_dtype_info(dtype);
	const int64_t               columns = t->ndim == 2 ? t->dim[1] : 1;
	const size_t                row = (size_t)(columns / to->block * to->bytes);
	int                         r;

	if (t->dtype == dtype && to->block > 1) {
		for (int64_t i = 0; i < n; i++, y += row)
			memcpy(y, rt_at(t, row_at(o, first + i) * columns), row);
		return 0;
	}
	r = load_rows(t, o, first, n, x, err);
	return r < 0 ? r : rt_quantize(dtype, x, n, columns, NULL, y, err);
}

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

		r = convert_rows(t, o, dtype, i, n, x, y, err);
		if (r == 0)
			sink(arg, y, (size_t)(n * columns / to->block * to->bytes));
	}
	rt_free(x);
	rt_free(y);
	return r;
}

/* ---- a folder ----------------------------------------------------------------------------- */

enum { SHARD_NAME = 64 };

static void to_file(void *arg, const void *bytes, size_t n)
{
	rt_file_put(arg, bytes, n);
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

/* The tensors that are written, in their order, and the shard of each. */
struct plan {
	struct rt_named_tensor *tensors; /* shapes; no data */
	int64_t                *index;   /* in the model's weights */
	int64_t                *shard;
	int64_t                 n, shards, bytes;
	struct rt_arena         room;
};

static int make_plan(const struct model *m, enum rt_dtype dtype, int64_t most, struct plan *p,
                     struct rt_error *err)
{
	const size_t n = (size_t)m->weights.n;
	int64_t      filled = 0;

	p->tensors = rt_arena_alloc(&p->room, n, sizeof *p->tensors);
	p->index = rt_arena_alloc(&p->room, n, sizeof *p->index);
	p->shard = rt_arena_alloc(&p->room, n, sizeof *p->shard);
	if (!p->tensors || !p->index || !p->shard)
		return rt_fail_nomem(err, "a checkpoint");
	for (int64_t i = 0; i < m->weights.n; i++) {
		const struct rt_tensor *t = &m->weights.t[i];
		char                   *name;
		int64_t                 bytes;

		if (!t->data || (i == W_HEAD && m->config.tied))
			continue;
		name = rt_arena_alloc(&p->room, WEIGHTS_NAME, 1);
		if (!name)
			return rt_fail_nomem(err, "a checkpoint");
		weights_name(i, NAME_HF, name);
		p->tensors[p->n] =
			(struct rt_named_tensor){ name, rt_tensor(NULL, dtype, t->ndim, t->dim) };
		bytes = rt_bytes(&p->tensors[p->n].tensor);
		if (p->shards == 0 || filled + bytes > most) {
			p->shards++;
			filled = 0;
		}
		filled += bytes;
		p->bytes += bytes;
		p->index[p->n] = i;
		p->shard[p->n++] = p->shards - 1;
	}
	return 0;
}

static void shard_name(const struct plan *p, int64_t shard, char name[SHARD_NAME])
{
	if (p->shards == 1)
		snprintf(name, SHARD_NAME, "model.safetensors");
	else
		snprintf(name, SHARD_NAME, "model-%05lld-of-%05lld.safetensors",
		         (long long)shard + 1, (long long)p->shards);
}

static int write_shard(const struct model *m, const struct plan *p, int64_t shard,
                       const char *folder, const struct rt_json *metadata, struct rt_error *err)
{
	const struct order straight = { false, 1 };
	char               name[SHARD_NAME], *path;
	struct rt_file    *f = NULL;
	int64_t            first = 0, last;
	int                r;

	while (p->shard[first] < shard)
		first++;
	for (last = first; last < p->n && p->shard[last] == shard;)
		last++;
	shard_name(p, shard, name);
	path = rt_path_join(folder, name);
	r = path ? rt_safetensors_begin(&f, path, p->tensors + first, last - first, metadata, err)
	         : rt_fail_nomem(err, "a path");
	for (int64_t i = first; r == 0 && i < last; i++) {
		r = convert(&m->weights.t[p->index[i]], &straight,
		            (enum rt_dtype)p->tensors[i].tensor.dtype, to_file, f, err);
		if (r != 0)
			r = rt_within(err, r, "tensor %s", p->tensors[i].name);
	}
	if (r == 0)
		r = rt_file_commit(f, err);
	else
		rt_file_discard(f);
	rt_free(path);
	return r;
}

/* Which shard holds what; one that was there from before would lead readers astray. */
static int write_index(const struct plan *p, const char *folder, struct rt_error *err)
{
	char           *path = rt_path_join(folder, "model.safetensors.index.json");
	struct rt_json *o = rt_json_new_object(), *meta = rt_json_new_object();
	struct rt_json *map = rt_json_new_object();
	int             r = path && o && meta && map ? 0 : RT_E_NOMEM;

	for (int64_t i = 0; r == 0 && i < p->n; i++) {
		char name[SHARD_NAME];

		shard_name(p, p->shard[i], name);
		r = rt_json_set(map, p->tensors[i].name, rt_json_new_string(name));
	}
	if (r == 0) {
		r |= rt_json_set(meta, "total_size", rt_json_new_int(p->bytes));
		r |= rt_json_set(o, "metadata", rt_json_ref(meta));
		r |= rt_json_set(o, "weight_map", rt_json_ref(map));
	}
	if (r < 0)
		r = rt_fail_nomem(err, "an index");
	else if (p->shards > 1)
		r = rt_json_write(o, RT_JSON_INDENT, path, err);
	else
		r = rt_remove_all(path, err);
	rt_json_free(map);
	rt_json_free(meta);
	rt_json_free(o);
	rt_free(path);
	return r;
}

int checkpoint_write_folder(const struct model *m, const char *path, enum rt_dtype dtype,
                            int64_t shard, struct rt_error *err)
{
	struct plan     p = { .room = RT_ARENA_INIT };
	struct rt_json *metadata = rt_json_new_object();
	int             r;

	if (!dtype_name(dtype))
		r = rt_fail(err, RT_E_UNSUP, "a folder holds f32, f16 or bf16 weights, not %s",
		            rt_dtype_info(dtype)->name);
	else if (m->config.rope.divisor)
		r = rt_fail(err, RT_E_UNSUP,
		            "the rotary frequencies of this GGUF file are not those of a known "
		            "scaling: they have no spelling in a config.json");
	else if (!metadata || rt_json_set(metadata, "format", rt_json_new_string("pt")) != 0)
		r = rt_fail_nomem(err, "a checkpoint");
	else
		r = make_plan(m, dtype, shard ? shard : DEFAULT_SHARD, &p, err);
	for (int64_t i = 0; r == 0 && i < p.shards; i++)
		r = write_shard(m, &p, i, path, metadata, err);
	if (r == 0)
		r = write_index(&p, path, err);
	if (r == 0)
		r = write_config(m, path, dtype, err);
	rt_json_free(metadata);
	rt_arena_free(&p.room);
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

/* The type of most of the layers' numbers. */
static enum rt_dtype usual_type(const struct model *m, int64_t dtype)
{
	int64_t n[RT_DTYPES] = { 0 };
	int     best = RT_F32;

	for (int64_t i = W_LAYERS; i < m->weights.n; i++) {
		const struct rt_tensor *t = &m->weights.t[i];

		if (!t->data || t->ndim < 2)
			continue;
		const int type = (int)(dtype == RT_AS_STORED ? t->dtype : dtype);

		n[type] += rt_numel(t);
		best = n[type] > n[best] ? type : best;
	}
	return (enum rt_dtype)best;
}

static int put_metadata(const struct model *m, enum rt_dtype dtype, const struct gguf_writer *extra,
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
	if (extra)
		gguf_put_entries(w, extra);
	return put_scaling(m, w, err);
}

enum rt_dtype rt_gguf_type(const struct rt_tensor *t, int64_t dtype)
{
	static const enum rt_dtype smaller[RT_DTYPES] = {
		[RT_Q2_K] = RT_Q4_0, [RT_Q3_K] = RT_Q4_0, [RT_Q4_K] = RT_Q5_0,
		[RT_Q5_K] = RT_Q5_1, [RT_Q6_K] = RT_Q8_0, [RT_IQ4_XS] = RT_IQ4_NL
	};

	if (t->ndim == 1)
		return RT_F32;
	if (dtype == RT_AS_STORED)
		dtype = t->dtype;
	if (t->dim[1] % rt_dtype_info(dtype)->block && smaller[dtype])
		dtype = smaller[dtype];
	return t->dim[1] % rt_dtype_info(dtype)->block ? RT_F16 : (enum rt_dtype)dtype;
}

static struct rt_tensor stored(const struct model *m, int64_t index, int64_t dtype)
{
	const struct rt_tensor *t = &m->weights.t[index];

	return rt_tensor(NULL, rt_gguf_type(t, dtype), t->ndim, t->dim);
}

static void to_gguf(void *arg, const void *bytes, size_t n)
{
	gguf_data(arg, bytes, n);
}

static int put_weights(const struct model *m, int64_t dtype, struct gguf_writer *w,
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
		r = convert(&m->weights.t[i], &o, (enum rt_dtype)stored(m, i, dtype).dtype, to_gguf,
		            w, err);
		gguf_pad(w);
		weights_name(i, NAME_GGUF, name);
		if (r != 0)
			r = rt_within(err, r, "tensor %s", name);
	}
	return r;
}

int checkpoint_write_gguf(const struct model *m, const char *path, int64_t dtype,
                          const struct gguf_writer *extra, struct rt_error *err)
{
	const int64_t      half = m->config.head_dim / 2;
	float             *divisor = config_rope_divisor(&m->config);
	struct gguf_writer w;
	int                r;

	gguf_writer_init(&w);
	r = put_metadata(m, usual_type(m, dtype), extra, &w, err);
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
