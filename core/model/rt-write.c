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
	int r = 0;

	for (int i = 0; r == 0 && text_files[i]; i++)
		r = copy_text(from, to, text_files[i], err);
	return r;
}

/* Some rows of a tensor, rounded to dtype, are what was written. */
static int compare(const struct rt_tensor *mine, const struct rt_tensor *written,
                   enum rt_dtype dtype, struct rt_error *err)
{
	const int64_t size = rt_dtype_info(dtype)->bytes, n = rt_numel(mine);
	float        *x = rt_alloc_aligned(CHUNK, sizeof *x);
	char         *y = rt_alloc_aligned(CHUNK, sizeof *x);
	int           r = x && y ? 0 : rt_fail_nomem(err, "a comparison");

	/* A vector was widened when it was read, without loss. */
	for (int64_t i = 0; r == 0 && i < n; i += CHUNK) {
		const int64_t count = n - i < CHUNK ? n - i : CHUNK;
		bool          same;

		r = rt_dequantize(mine->dtype, rt_at(mine, i), count, x, err);
		if (r == 0)
			r = rt_quantize(dtype, x, 1, count, NULL, y, err);
		if (r < 0)
			break;
		if (written->dtype == dtype)
			same = memcmp(y, rt_at(written, i), (size_t)(count * size)) == 0;
		else {
			r = rt_dequantize(dtype, y, count, x, err);
			same = memcmp(x, rt_at(written, i), (size_t)count * sizeof *x) == 0;
		}
		if (r == 0 && !same)
			r = rt_fail(err, RT_E_IO, "the file does not hold what was written");
	}
	rt_free(x);
	rt_free(y);
	return r;
}

static int check(const struct rt_model *m, const char *folder, enum rt_dtype dtype,
                 struct rt_error *err)
{
	struct model w;
	int          r = model_open(&w, folder, err);

	if (r < 0)
		return r;
	for (int64_t i = 0; r == 0 && i < m->parameters; i++) {
		const int64_t at = m->index[i];
		char          name[WEIGHTS_NAME];

		weights_name(at, NAME_HF, name);
		r = compare(&m->m.weights.t[at], &w.weights.t[at], dtype, err);
		if (r < 0)
			r = rt_within(err, r, "tensor %s", name);
	}
	model_close(&w);
	return r;
}

int rt_model_write(const struct rt_model *m, const char *folder, enum rt_dtype dtype,
                   const char *text, struct rt_error *err)
{
	int r = checkpoint_write_folder(&m->m, folder, dtype, err);

	if (r == 0 && text)
		r = rt_model_copy_text(text, folder, err);
	if (r == 0)
		r = check(m, folder, dtype, err);
	return r < 0 ? rt_within(err, r, "%s", folder) : 0;
}
