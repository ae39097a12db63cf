/* checkpoint.c - a model's weights out of a folder of Hugging Face's form.  See checkpoint.h */
#include "model/checkpoint.h"

#include <retort/file.h>

#include <string.h>

static bool is_vector(const struct model_config *c, int64_t index)
{
	int64_t rows, columns;

	weights_shape(c, index, &rows, &columns);
	return columns == 0;
}

/* Vectors become f32; matrices stay where they are, unless their address is odd. */
static int settle(struct model *m, struct rt_tensor *t, bool vector, struct rt_error *err)
{
	const struct rt_dtype_info *info = rt_dtype_info(t->dtype);
	const uintptr_t             align = info->block == 1 ? (uintptr_t)info->bytes : 2;
	struct rt_arena            *room = &m->checkpoint->copies;
	const int64_t               n = rt_numel(t);
	void                       *copy;

	if (vector && t->dtype != RT_F32) {
		copy = rt_arena_alloc(room, (size_t)n, sizeof(float));
		if (!copy)
			return rt_fail_nomem(err, "a vector");
		const int r = rt_dequantize(t->dtype, t->data, n, copy, err);

		*t = rt_tensor(copy, RT_F32, t->ndim, t->dim);
		return r;
	}
	if ((uintptr_t)t->data % align == 0)
		return 0;
	copy = rt_arena_alloc(room, (size_t)rt_bytes(t), 1);
	if (!copy)
		return rt_fail_nomem(err, "a tensor");
	t->data = memcpy(copy, t->data, (size_t)rt_bytes(t));
	return 0;
}

int checkpoint_adopt(struct model *m, int64_t index, const char *name, const struct rt_tensor *t,
                     const char *path, struct rt_error *err)
{
	struct rt_tensor           *at = &m->weights.t[index];
	const struct rt_dtype_info *info = rt_dtype_info(t->dtype);
	int64_t                     rows, columns;
	const bool                  has = weights_shape(&m->config, index, &rows, &columns);

	if (!has)
		return rt_fail(err, RT_E_UNSUP,
		               "%s: tensor %s has no place in a %s model with this "
		               "configuration",
		               path, name, m->config.type);
	if (at->data)
		return rt_fail(err, RT_E_FORMAT, "%s: tensor %s is there twice", path, name);
	if (!info->to_float || t->ndim != (columns ? 2 : 1) || t->dim[0] != rows ||
	    (columns && t->dim[1] != columns))
		return rt_fail(err, RT_E_SHAPE,
		               "%s: tensor %s is %s [%lld, %lld], the configuration "
		               "wants [%lld, %lld]",
		               path, name, info->name, (long long)t->dim[0], (long long)t->dim[1],
		               (long long)rows, (long long)columns);
	*at = *t;
	return settle(m, at, is_vector(&m->config, index), err);
}

int checkpoint_complete(struct model *m, enum weights_style style, const char *path,
                        struct rt_error *err)
{
	struct rt_tensor *t = m->weights.t;

	if (m->config.tied) {
		if (!t[W_EMBED].data)
			t[W_EMBED] = t[W_HEAD];
		t[W_HEAD] = t[W_EMBED];
	}
	for (int64_t i = 0; i < m->weights.n; i++) {
		int64_t rows, columns;
		char    name[WEIGHTS_NAME];

		if (t[i].data || !weights_shape(&m->config, i, &rows, &columns))
			continue;
		weights_name(i, style, name);
		return rt_fail(err, RT_E_FORMAT, "%s: tensor %s is missing", path, name);
	}
	return 0;
}

/* ---- a folder ----------------------------------------------------------------------------- */

/* Tensors that older versions stored and that are computed anyway. */
static bool is_harmless(const char *name)
{
	const char  *tail = "rotary_emb.inv_freq";
	const size_t n = strlen(name), m = strlen(tail);

	return n >= m && strcmp(name + n - m, tail) == 0;
}

static int adopt_file(struct model *m, const struct rt_safetensors *s, const char *path,
                      struct rt_error *err)
{
	int r = 0;

	for (int64_t i = 0; r == 0 && i < s->n; i++) {
		const int64_t index = weights_find(s->tensors[i].name, NAME_HF, m->config.layers);

		if (index >= 0)
			r = checkpoint_adopt(m, index, s->tensors[i].name, &s->tensors[i].tensor,
			                     path, err);
		else if (!is_harmless(s->tensors[i].name))
			r = rt_fail(err, RT_E_UNSUP,
			            "%s: tensor %s is not part of a %s model of "
			            "%lld layers",
			            path, s->tensors[i].name, m->config.type,
			            (long long)m->config.layers);
	}
	return r;
}

int checkpoint_open_folder(struct model *m, const char *path, struct rt_error *err)
{
	struct rt_safetensors_folder *files = &m->checkpoint->files;
	char                         *config = rt_path_join(path, "config.json");
	struct rt_json               *json = NULL;
	int                           r;

	r = config ? rt_json_read(config, 0, &json, err) : rt_fail_nomem(err, "a path");
	if (r == 0)
		r = model_config_init(&m->config, json, config, err);
	if (r == 0)
		r = weights_init(&m->weights, m->config.layers, err);
	if (r == 0)
		r = rt_safetensors_folder_open(files, path, err);
	for (int64_t i = 0; r == 0 && i < files->n; i++)
		r = adopt_file(m, &files->files[i], files->paths[i], err);
	if (r == 0)
		r = checkpoint_complete(m, NAME_HF, path, err);
	rt_json_free(json);
	rt_free(config);
	return r;
}

int model_open(struct model *ret, const char *path, struct rt_error *err)
{
	struct model m = { .checkpoint = rt_alloc(1, sizeof *m.checkpoint) };
	char        *config = rt_path_join(path, "config.json");
	int          r;

	if (!m.checkpoint || !config)
		r = rt_fail_nomem(err, "a model");
	else if (rt_exists(config))
		r = checkpoint_open_folder(&m, path, err);
	else
		r = checkpoint_open_gguf(&m, path, err);
	rt_free(config);
	if (r == 0)
		*ret = m;
	else
		model_close(&m);
	return r;
}

void checkpoint_release(const struct checkpoint *c, const struct rt_tensor *t)
{
	rt_file_release(&c->gguf.map, t->data, rt_bytes(t));
	for (int64_t i = 0; i < c->files.n; i++)
		rt_file_release(&c->files.files[i].map, t->data, rt_bytes(t));
}

static void let_go(struct checkpoint *c)
{
	if (!c)
		return;
	rt_safetensors_folder_close(&c->files);
	gguf_close(&c->gguf);
	rt_arena_free(&c->copies);
	rt_free(c);
}

void model_close(struct model *m)
{
	let_go(m->checkpoint);
	if (m->thawed)
		weights_free_zeros(&m->weights);
	else
		weights_fini(&m->weights);
	model_config_fini(&m->config);
	*m = (struct model){ 0 };
}

int model_thaw(struct model *m, struct rt_error *err)
{
	struct weights w;
	int            r = m->thawed ? 0 : weights_zeros(&w, &m->config, err);

	if (r != 0 || m->thawed)
		return r;
	for (int64_t i = 0; r == 0 && i < w.n; i++) {
		const struct rt_tensor *t = &m->weights.t[i];

		if (t->data && !(i == W_HEAD && m->config.tied))
			r = rt_dequantize(t->dtype, t->data, rt_numel(t), w.t[i].data, err);
	}
	if (r != 0) {
		weights_free_zeros(&w);
		return r;
	}
	let_go(m->checkpoint);
	weights_fini(&m->weights);
	m->checkpoint = NULL;
	m->weights = w;
	m->thawed = true;
	return 0;
}
