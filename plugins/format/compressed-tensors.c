/* compressed-tensors.c - format-compressed-tensors: the directories that vLLM and transformers
 * load, in the layout "pack-quantized" (packed.h).
 *
 * Symmetric codes of 4, 5 or 8 bits with scales of f16 are what blocks of q4_0, q5_0 and q8_0 hold:
 * they are read and written without loss, blocks side by side that have one scale as one group.
 *
 * Embedding, norms and biases are stored plain, each in the type that it has; a quantized embedding
 * as f16, whose rounding (2^-11 of a value, 2^-25 at least) is within half a step of its blocks;
 * one that is f16 before is not rounded at all. So torch_dtype is float16, or float32 where the
 * embedding is: in bfloat16 readers would round the scales. */
#include "packed.h"

#include <retort/blocks.h>
#include <retort/file.h>
#include <retort/format.h>
#include <retort/safetensors.h>

#include <stdlib.h>
#include <string.h>

static const char *const parts[] = { "weight_packed", "weight_scale", "weight_shape",
	                             "weight_zero_point", "weight_g_idx" };
enum { PARTS = 5, CONFIG = 1 << 20, NAME = 200 };

/* ---- reading --------------------------------------------------------------------------------- */

/* What one read() lends. */
struct model {
	struct rt_safetensors_folder files;
	struct rt_json              *config, *extra;
	struct rt_named_tensor      *all; /* of all files, by name */
	struct rt_named_tensor      *tensors;
	int64_t                      n_all, n;
	struct rt_arena              room;
};

static void free_model(struct model *m)
{
	if (!m)
		return;
	rt_safetensors_folder_close(&m->files);
	rt_json_free(m->config);
	rt_json_free(m->extra);
	rt_free(m->all);
	rt_free(m->tensors);
	rt_arena_free(&m->room);
	rt_free(m);
}

static void release(void *state, struct rt_weights *w)
{
	(void)state;
	free_model(w->own);
	*w = (struct rt_weights){ 0 };
}

static int read_config(const char *path, struct rt_json **ret, struct rt_error *err)
{
	char *file = rt_path_join(path, "config.json");
	int   r = file ? rt_json_read(file, CONFIG, ret, err) : rt_fail_nomem(err, "a path");

	rt_free(file);
	return r;
}

static int probe(const void *state, const char *path)
{
	struct rt_json *config = NULL;
	const bool      is = read_config(path, &config, NULL) == 0 && scheme_is(config);

	(void)state;
	rt_json_free(config);
	return is;
}

static int by_name(const void *a, const void *b)
{
	const struct rt_named_tensor *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int gather(struct model *m, struct rt_error *err)
{
	int64_t n = 0;

	for (int64_t i = 0; i < m->files.n; i++)
		n += m->files.files[i].n;
	m->all = rt_alloc((size_t)n, sizeof *m->all);
	m->tensors = rt_alloc((size_t)n, sizeof *m->tensors);
	if (!m->all || !m->tensors)
		return rt_fail_nomem(err, "a list of tensors");
	for (int64_t i = 0; i < m->files.n; i++)
		for (int64_t k = 0; k < m->files.files[i].n; k++)
			m->all[m->n_all++] = m->files.files[i].tensors[k];
	qsort(m->all, (size_t)m->n_all, sizeof *m->all, by_name);
	for (int64_t i = 1; i < m->n_all; i++)
		if (strcmp(m->all[i].name, m->all[i - 1].name) == 0)
			return rt_fail(err, RT_E_FORMAT, "tensor %s is there twice",
			               m->all[i].name);
	return 0;
}

/* Which part of a layer a tensor is, or -1; *ret_n: letters of its layer's name with the dot. */
static int part_of(const char *name, size_t *ret_n)
{
	const size_t n = strlen(name);

	for (int i = 0; i < PARTS; i++) {
		const size_t m = strlen(parts[i]);

		if (n > m && strcmp(name + n - m, parts[i]) == 0 && name[n - m - 1] == '.') {
			*ret_n = n - m;
			return i;
		}
	}
	return -1;
}

static const struct rt_tensor *find(const struct model *m, const char *layer, size_t n, int part)
{
	char                          name[NAME + 32];
	const struct rt_named_tensor  key = { .name = name };
	const struct rt_named_tensor *at;

	memcpy(name, layer, n);
	strcpy(name + n, parts[part]);
	at = bsearch(&key, m->all, (size_t)m->n_all, sizeof *m->all, by_name);
	return at ? &at->tensor : NULL;
}

/* The layer of which tensor `i` is a part, once: at the part that comes first by name. */
static int read_layer(struct model *m, const struct scheme *s, int64_t i, size_t n,
                      struct rt_error *err)
{
	const char             *name = m->all[i].name;
	const struct rt_tensor *of[PARTS];
	struct rt_named_tensor *to = &m->tensors[m->n];
	char                   *own;
	int                     r;

	if (n > NAME)
		return rt_fail(err, RT_E_FORMAT, "a tensor has a name of %zu letters",
		               strlen(name));
	if (i > 0 && strncmp(m->all[i - 1].name, name, n) == 0 &&
	    part_of(m->all[i - 1].name, &(size_t){ 0 }) >= 0)
		return 0;
	for (int k = 0; k < PARTS; k++)
		of[k] = find(m, name, n, k);
	own = rt_arena_alloc(&m->room, n + sizeof "weight", 1);
	if (!own)
		return rt_fail_nomem(err, "a name");
	memcpy(own, name, n);
	strcpy(own + n, "weight");
	to->name = own;
	r = packed_read(&(struct packed){ of[0], of[1], of[2], of[3], of[4] }, s, &m->room,
	                &to->tensor, err);
	m->n += r == 0;
	return r < 0 ? rt_within(err, r, "%s", own) : 0;
}

static int read_tensors(struct model *m, const struct scheme *s, struct rt_error *err)
{
	int r = gather(m, err);

	for (int64_t i = 0; r == 0 && i < m->n_all; i++) {
		size_t n = 0;

		if (part_of(m->all[i].name, &n) >= 0)
			r = read_layer(m, s, i, n, err);
		else
			m->tensors[m->n++] = m->all[i];
	}
	return r;
}

static int read_model(struct model *m, const char *path, struct rt_error *err)
{
	struct scheme s;
	int           r = read_config(path, &m->config, err);

	if (r == 0 && !scheme_is(m->config))
		r = rt_fail(err, RT_E_FORMAT,
		            "config.json does not say that it is quantized by compressed-tensors "
		            "(quantization_config.quant_method)");
	if (r < 0)
		return r;
	m->extra = rt_json_ref(rt_json_get(m->config, "quantization_config"));
	r = scheme_read(&s, m->extra, err);
	if (r == 0 && rt_json_remove(m->config, "quantization_config") < 0)
		r = rt_fail_nomem(err, "a configuration");
	if (r == 0)
		r = rt_safetensors_folder_open(&m->files, path, err);
	return r == 0 ? read_tensors(m, &s, err) : r;
}

static int read_(void *state, const char *path, struct rt_weights *ret, struct rt_error *err)
{
	struct model *m = rt_alloc(1, sizeof *m);
	int           r = m ? read_model(m, path, err) : rt_fail_nomem(err, "a model");

	(void)state;
	if (r < 0) {
		free_model(m);
		return rt_within(err, r, "%s", path);
	}
	*ret = (struct rt_weights){
		.config = m->config, .tensors = m->tensors, .n = m->n, .extra = m->extra, .own = m
	};
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* A tensor of the file, and what of the model it is made from. */
enum kind { PLAIN, CODES, SCALES, SHAPE };
struct piece {
	enum kind               kind;
	const struct rt_tensor *from;
	int64_t                 group;
};

/* Layers of one type. */
struct family {
	uint32_t dtype;
	int64_t  run, n; /* blocks to a scale; layers */
};

struct writing {
	const struct rt_weights *w;
	struct family            families[3];
	struct rt_named_tensor  *tensors; /* of the file; no data */
	struct piece            *pieces;
	int64_t                  n;
	struct rt_json          *targets[3], *ignore;
	struct rt_arena          room;
};

static bool is_embedding(const char *name)
{
	return strcmp(name, "model.embed_tokens.weight") == 0;
}

/* The family of a linear layer that has codes, or NULL. */
static struct family *family_of(struct writing *o, const struct rt_named_tensor *t)
{
	for (int i = 0; i < 3; i++)
		if (o->families[i].dtype == t->tensor.dtype && !is_embedding(t->name))
			return &o->families[i];
	return NULL;
}

static int find_runs(struct writing *o, struct rt_error *err)
{
	int r = 0;

	for (int64_t i = 0; r == 0 && i < o->w->n; i++) {
		const struct rt_named_tensor *t = &o->w->tensors[i];
		struct family                *f = family_of(o, t);

		if (!rt_is_dense(&t->tensor))
			return rt_fail(err, RT_E_UNSUP, "tensor %s has gaps between its elements",
			               t->name);
		if (!f)
			continue;
		f->n++;
		r = packed_run(&t->tensor, f->run, &f->run, err);
	}
	return r;
}

/* "model.layers.0.mlp.up_proj.weight" as the module "model.layers.0.mlp.up_proj". */
static int add_name(struct rt_json *list, const char *name)
{
	const size_t n = strlen(name), m = sizeof ".weight" - 1;

	return rt_json_append(list, rt_json_new_string_n(name, n > m ? n - m : n));
}

static int add(struct writing *o, const char *name, const char *part, struct rt_tensor shape,
               struct piece piece)
{
	const size_t n = strlen(name), m = part ? n - (sizeof "weight" - 1) : n;
	char        *own = rt_arena_alloc(&o->room, n + 32, 1);

	if (!own)
		return RT_E_NOMEM;
	memcpy(own, name, m);
	strcpy(own + m, part ? part : "");
	o->tensors[o->n] = (struct rt_named_tensor){ own, shape };
	o->pieces[o->n++] = piece;
	return 0;
}

static int add_layer(struct writing *o, const struct rt_named_tensor *t, const struct family *f)
{
	const struct rt_tensor *from = &t->tensor;
	const int64_t           group = 32 * f->run, bits = rt_block_bits(from->dtype);
	const int64_t           codes[2] = { from->dim[0], from->dim[1] * bits / 32 };
	const int64_t           scales[2] = { from->dim[0], from->dim[1] / group };
	int                     r = add(o, t->name, parts[0], rt_tensor(NULL, RT_I32, 2, codes),
	                                (struct piece){ CODES, from, group });

	r |= add(o, t->name, parts[1], rt_tensor(NULL, RT_F16, 2, scales),
	         (struct piece){ SCALES, from, group });
	r |= add(o, t->name, parts[2], rt_tensor(NULL, RT_I64, 1, (int64_t[]){ 2 }),
	         (struct piece){ SHAPE, from, group });
	return r | add_name(o->targets[f - o->families], t->name);
}

/* Embedding, norm, bias, or a linear layer that is not quantized. */
static int add_plain(struct writing *o, const struct rt_named_tensor *t, struct rt_error *err)
{
	const struct rt_tensor *from = &t->tensor;
	const bool              blocks = rt_dtype_info(from->dtype)->block > 1;
	const uint32_t          dtype = blocks ? RT_F16 : from->dtype;
	int                     r = 0;

	if (blocks && !is_embedding(t->name))
		return rt_fail(err, RT_E_UNSUP,
		               "%s is %s, which pack-quantized cannot hold; quantize to q4_0, q5_0 "
		               "or q8_0",
		               t->name, rt_dtype_info(from->dtype)->name);
	if (from->ndim == 2 && !is_embedding(t->name))
		r = add_name(o->ignore, t->name);
	r |= add(o, t->name, NULL, rt_tensor(NULL, (enum rt_dtype)dtype, from->ndim, from->dim),
	         (struct piece){ PLAIN, from, 0 });
	return r < 0 ? rt_fail_nomem(err, "a list of tensors") : 0;
}

static int plan(struct writing *o, struct rt_error *err)
{
	const bool tied = rt_json_bool(rt_json_get(o->w->config, "tie_word_embeddings"), false);
	bool       there;
	int        r;

	o->tensors = rt_alloc((size_t)o->w->n, 3 * sizeof *o->tensors);
	o->pieces = rt_alloc((size_t)o->w->n, 3 * sizeof *o->pieces);
	o->ignore = rt_json_new_array();
	there = o->tensors && o->pieces && o->ignore;
	for (int i = 0; i < 3; i++)
		there &= (o->targets[i] = rt_json_new_array()) != NULL;
	r = there ? find_runs(o, err) : rt_fail_nomem(err, "a list of tensors");
	if (r == 0 && tied && rt_json_append(o->ignore, rt_json_new_string("lm_head")) < 0)
		r = rt_fail_nomem(err, "a list of layers");
	for (int64_t i = 0; r == 0 && i < o->w->n; i++) {
		const struct rt_named_tensor *t = &o->w->tensors[i];
		const struct family          *f = family_of(o, t);

		if (!f)
			r = add_plain(o, t, err);
		else if (add_layer(o, t, f) < 0)
			r = rt_fail_nomem(err, "a list of tensors");
	}
	return r;
}

/* ---- bytes */

static int put_plain(struct rt_file *f, const struct rt_tensor *from, uint32_t dtype,
                     struct rt_error *err)
{
	const int64_t columns = from->ndim == 2 ? from->dim[1] : from->dim[0];
	float        *x;
	uint16_t     *y;
	int           r = 0;

	if (from->dtype == dtype) {
		rt_file_put(f, from->data, (size_t)rt_bytes(from));
		return 0;
	}
	x = rt_alloc_aligned((size_t)columns, sizeof *x);
	y = rt_alloc_aligned((size_t)columns, sizeof *y);
	if (!x || !y)
		r = rt_fail_nomem(err, "a conversion");
	for (int64_t i = 0; r == 0 && i < rt_numel(from); i += columns) {
		r = rt_dequantize(from->dtype, rt_at(from, i), columns, x, err);
		if (r == 0)
			r = rt_quantize(dtype, x, 1, columns, NULL, y, err);
		if (r == 0)
			rt_file_put(f, y, (size_t)columns * sizeof *y);
	}
	rt_free(x);
	rt_free(y);
	return r;
}

static int put_piece(struct rt_file *f, const struct piece *p, const struct rt_tensor *to,
                     struct rt_error *err)
{
	uint8_t *bytes = NULL;
	int      r = 0;

	switch (p->kind) {
	case PLAIN: return put_plain(f, p->from, to->dtype, err);
	case SHAPE: rt_file_put(f, p->from->dim, 2 * sizeof *p->from->dim); return 0;
	case CODES: r = packed_codes(p->from, &bytes, err); break;
	case SCALES: r = packed_scales(p->from, p->group, &bytes, err); break;
	}
	if (r == 0)
		rt_file_put(f, bytes, (size_t)rt_bytes(to));
	rt_free(bytes);
	return r;
}

static int write_tensors(const struct writing *o, const char *path, struct rt_error *err)
{
	char           *file = rt_path_join(path, "model.safetensors");
	struct rt_json *metadata = rt_json_new_object();
	struct rt_file *f = NULL;
	int             r = file && rt_json_set(metadata, "format", rt_json_new_string("pt")) == 0
	                            ? rt_safetensors_begin(&f, file, o->tensors, o->n, metadata, err)
	                            : rt_fail_nomem(err, "a model");

	for (int64_t i = 0; r == 0 && i < o->n; i++) {
		r = put_piece(f, &o->pieces[i], &o->tensors[i].tensor, err);
		if (r < 0)
			r = rt_within(err, r, "tensor %s", o->tensors[i].name);
	}
	if (r == 0)
		r = rt_file_commit(f, err);
	else
		rt_file_discard(f);
	rt_json_free(metadata);
	rt_free(file);
	return r;
}

/* ---- the configuration */

static struct rt_json *new_scheme(const struct writing *o)
{
	struct scheme_group groups[3];
	int                 n = 0;

	for (int i = 0; i < 3; i++)
		if (o->families[i].n)
			groups[n++] =
				(struct scheme_group){ .bits = rt_block_bits(o->families[i].dtype),
				                       .group = 32 * o->families[i].run,
				                       .targets = o->targets[i] };
	if (n == 1)
		groups[0].targets = NULL;
	return scheme_write(groups, n, o->ignore);
}

/* What readers take numbers to. */
static const char *torch_dtype(const struct writing *o)
{
	bool codes = false, wide = false, half = true;

	for (int64_t i = 0; i < o->n; i++) {
		const uint32_t dtype = o->tensors[i].tensor.dtype;

		codes |= o->pieces[i].kind == CODES;
		if (o->pieces[i].kind == PLAIN && o->tensors[i].tensor.ndim == 2) {
			wide |= dtype == RT_F32;
			half &= dtype == RT_F16;
		}
	}
	return wide ? "float32" : codes || half ? "float16" : "bfloat16";
}

static int write_config(const struct writing *o, const char *path, struct rt_error *err)
{
	char           *file = rt_path_join(path, "config.json");
	struct rt_json *c = o->w->config ? rt_json_copy(o->w->config) : rt_json_new_object();
	const char     *key = rt_json_get(c, "dtype") ? "dtype" : "torch_dtype";
	int             r = file && c ? 0 : RT_E_NOMEM;

	if (r == 0)
		r = rt_json_set(c, key, rt_json_new_string(torch_dtype(o)));
	if (r == 0)
		r = rt_json_set(c, "quantization_config", new_scheme(o));
	r = r == 0 ? rt_json_write(c, RT_JSON_INDENT, file, err)
	           : rt_fail_nomem(err, "a configuration");
	rt_json_free(c);
	rt_free(file);
	return r;
}

/* ---- the proof */

static const struct rt_tensor *find_tensor(const struct rt_weights *w, const char *name)
{
	for (int64_t i = 0; i < w->n; i++)
		if (strcmp(w->tensors[i].name, name) == 0)
			return &w->tensors[i].tensor;
	return NULL;
}

/* Are a row of blocks and a row of f16 the same numbers, but for the rounding? */
static int same_rounded(const struct rt_tensor *a, const struct rt_tensor *b, bool *ret,
                        struct rt_error *err)
{
	const int64_t columns = a->dim[1];
	float        *x = rt_alloc((size_t)columns, sizeof *x);
	uint16_t     *y = rt_alloc((size_t)columns, sizeof *y);
	int           r = x && y ? 0 : rt_fail_nomem(err, "a comparison");

	*ret = true;
	for (int64_t i = 0; r == 0 && i < rt_numel(a); i += columns) {
		r = rt_dequantize(a->dtype, rt_at(a, i), columns, x, err);
		if (r == 0)
			r = rt_quantize(b->dtype, x, 1, columns, NULL, y, err);
		*ret = r == 0 && *ret && memcmp(y, rt_at(b, i), (size_t)columns * sizeof *y) == 0;
	}
	rt_free(x);
	rt_free(y);
	return r;
}

static int compare(const char *path, const struct rt_weights *w, struct rt_error *err)
{
	struct rt_weights again;
	int               r = read_(NULL, path, &again, err);

	if (r < 0)
		return r;
	if (again.n != w->n)
		r = rt_fail(err, RT_E_IO, "%s: %lld tensors were read back, %lld written", path,
		            (long long)again.n, (long long)w->n);
	for (int64_t i = 0; r == 0 && i < w->n; i++) {
		const struct rt_tensor *a = &w->tensors[i].tensor,
				       *b = find_tensor(&again, w->tensors[i].name);
		bool same = b && b->ndim == a->ndim && rt_numel(a) == rt_numel(b);

		if (same && a->dtype == b->dtype)
			same = memcmp(a->data, b->data, (size_t)rt_bytes(a)) == 0;
		else if (same && is_embedding(w->tensors[i].name) && b->dtype == RT_F16)
			r = same_rounded(a, b, &same, err);
		else
			same = false;
		if (r == 0 && !same)
			r = rt_fail(err, RT_E_IO, "%s: tensor %s was not read back as written",
			            path, w->tensors[i].name);
	}
	release(NULL, &again);
	return r;
}

static int write_(void *state, const char *path, const struct rt_weights *w, struct rt_error *err)
{
	struct writing o = {
		.w = w,
		.families = { { RT_Q4_0, 0, 0 }, { RT_Q5_0, 0, 0 }, { RT_Q8_0, 0, 0 } },
		.room = RT_ARENA_INIT
	};
	int r = plan(&o, err);

	(void)state;
	if (r == 0)
		r = write_tensors(&o, path, err);
	if (r == 0)
		r = write_config(&o, path, err);
	for (int i = 0; i < 3; i++)
		rt_json_free(o.targets[i]);
	rt_json_free(o.ignore);
	rt_free(o.tensors);
	rt_free(o.pieces);
	rt_arena_free(&o.room);
	return r == 0 ? compare(path, w, err) : r;
}

static const struct rt_format_ops ops = {
	.size = sizeof ops, .probe = probe, .read = read_, .release = release, .write = write_
};

RT_PLUGIN(format_compressed_tensors, FORMAT, .name = "compressed-tensors", .version = "1.0",
          .license = "Apache-2.0",
          .summary = "Directories of the layout pack-quantized that vLLM and transformers load.",
          .ops.format = &ops);
