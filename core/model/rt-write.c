/* rt-write.c - a model to a folder that others can load, and the proof of it.  See retort/model.h
 */
#include "model/rt-model.h"

#include <retort/file.h>
#include <retort/memory.h>

#include <string.h>

enum { CHUNK = 1 << 20 }; /* floats that are compared at once */

static const char *const text_files[] = { "tokenizer.json",
	                                  "tokenizer_config.json",
	                                  "special_tokens_map.json",
	                                  "vocab.json",
	                                  "merges.txt",
	                                  "added_tokens.json",
	                                  "chat_template.jinja",
	                                  "generation_config.json",
	                                  NULL };

static int copy_text(const char *from, const char *to, const char *name, struct rt_error *err)
{
	char          *source = rt_path_join(from, name), *target = rt_path_join(to, name);
	struct rt_text bytes = RT_TEXT_INIT;
	int            r = source && target ? 0 : rt_fail_nomem(err, "a path");

	if (r == 0 && rt_exists(source)) {
		r = rt_file_read(source, 0, &bytes, err);
		if (r == 0)
			r = rt_file_write(target, bytes.data, bytes.len, err);
	}
	rt_text_free(&bytes);
	rt_free(source);
	rt_free(target);
	return r;
}

int rt_model_copy_text(const char *from, const char *to, struct rt_error *err)
{
	char *place = model_place(from);
	int   r = place ? 0 : rt_fail_nomem(err, "a path");

	if (r == 0 && model_is_gguf(place))
		r = model_text_from_gguf(place, to, err);
	else
		for (int i = 0; r == 0 && text_files[i]; i++)
			r = copy_text(place, to, text_files[i], err);
	rt_free(place);
	return r;
}

/* Rows of `mine`, stored as dtype, are what was written.  A vector was widened when it was read,
 * without loss. */
static int compare_rows(const struct rt_tensor *mine, const struct rt_tensor *written,
                        enum rt_dtype dtype, int64_t first, int64_t rows, float *x, char *y,
                        struct rt_error *err)
{
	const int64_t columns = mine->ndim == 2 ? mine->dim[1] : 1, n = rows * columns;
	const struct rt_dtype_info *info = rt_dtype_info(dtype);
	const void                 *at = rt_at(written, first * columns);
	bool                        same = true;
	const void                 *from = rt_at(mine, first * columns);
	int                         r = 0;

	if (mine->dtype == dtype && info->block > 1) {
		memcpy(y, from, (size_t)(n / info->block * info->bytes));
	} else {
		r = rt_dequantize(mine->dtype, from, n, x, err);
		if (r == 0)
			r = rt_quantize(dtype, x, rows, columns, NULL, y, err);
	}
	if (r == 0 && written->dtype == dtype)
		same = memcmp(y, at, (size_t)(n / info->block * info->bytes)) == 0;
	else if (r == 0) {
		r = rt_dequantize(dtype, y, n, x, err);
		same = memcmp(x, at, (size_t)n * sizeof *x) == 0;
	}
	return r == 0 && !same ? rt_fail(err, RT_E_IO, "the file does not hold what was written")
	                       : r;
}

static int compare(const struct rt_tensor *mine, const struct rt_tensor *written,
                   enum rt_dtype dtype, struct rt_error *err)
{
	const int64_t columns = mine->ndim == 2 ? mine->dim[1] : 1;
	const int64_t step = CHUNK / columns > 0 ? CHUNK / columns : 1;
	float        *x = rt_alloc_aligned((size_t)step, (size_t)columns * sizeof *x);
	char         *y = rt_alloc_aligned((size_t)step, (size_t)columns * sizeof *x);
	int           r = x && y ? 0 : rt_fail_nomem(err, "a comparison");

	for (int64_t i = 0; r == 0 && i < mine->dim[0]; i += step)
		r = compare_rows(mine, written, dtype, i,
		                 mine->dim[0] - i < step ? mine->dim[0] - i : step, x, y, err);
	rt_free(x);
	rt_free(y);
	return r;
}

int model_compare(const struct rt_model *m, const char *path, int64_t dtype, struct rt_error *err)
{
	struct model w;
	int          r = model_open(&w, path, err);

	if (r < 0)
		return r;
	for (int64_t i = 0; r == 0 && i < m->parameters; i++) {
		const int64_t           at = m->index[i];
		const struct rt_tensor *mine = &m->m.weights.t[at];
		char                    name[WEIGHTS_NAME];

		weights_name(at, NAME_HF, name);
		r = compare(mine, &w.weights.t[at],
		            model_is_gguf(path) ? rt_gguf_type(mine, dtype) : (enum rt_dtype)dtype,
		            err);
		if (r < 0)
			r = rt_within(err, r, "tensor %s", name);
	}
	model_close(&w);
	return r;
}

int rt_model_write(const struct rt_model *m, const char *folder, enum rt_dtype dtype,
                   const char *text, struct rt_error *err)
{
	int r = checkpoint_write_folder(&m->m, folder, dtype, 0, err);

	if (r == 0 && text)
		r = rt_model_copy_text(text, folder, err);
	if (r == 0)
		r = model_compare(m, folder, dtype, err);
	return r < 0 ? rt_within(err, r, "%s", folder) : 0;
}
