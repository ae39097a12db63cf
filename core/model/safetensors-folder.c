/* safetensors-folder.c - the shards of a model.  See retort/safetensors.h */
#include <retort/memory.h>
#include <retort/safetensors.h>

#include <string.h>

static int add_file(struct rt_safetensors_folder *f, const char *folder, const char *name,
                    struct rt_error *err)
{
	struct rt_safetensors *files = rt_realloc(f->files, (size_t)f->n + 1, sizeof *files);
	char                 **paths;
	int                    r;

	if (files)
		f->files = files;
	paths = rt_realloc(f->paths, (size_t)f->n + 1, sizeof *paths);
	if (paths)
		f->paths = paths;
	if (!files || !paths || !(paths[f->n] = rt_path_join(folder, name)))
		return rt_fail_nomem(err, "a list of files");
	r = rt_safetensors_open(&files[f->n], paths[f->n], err);
	if (r == 0)
		f->n++;
	else
		rt_free(paths[f->n]);
	return r;
}

static bool opened_before(const struct rt_json *map, const char *key, const char *file)
{
	for (struct rt_json_iter i = rt_json_first(map); i.key && strcmp(i.key, key) != 0;
	     rt_json_next(&i)) {
		const char *other = rt_json_string(i.value);

		if (other && strcmp(other, file) == 0)
			return true;
	}
	return false;
}

/* Every shard once, in the order of their first mention. */
static int add_shards(struct rt_safetensors_folder *f, const char *folder, const char *index,
                      struct rt_error *err)
{
	struct rt_json       *json = NULL;
	const struct rt_json *map;
	int                   r = rt_json_read(index, 0, &json, err);

	if (r != 0)
		return r;
	map = rt_json_get(json, "weight_map");
	if (!rt_json_is(map, RT_JSON_OBJECT))
		r = rt_fail(err, RT_E_FORMAT, "%s: no weight_map", index);
	for (struct rt_json_iter i = rt_json_first(map); r == 0 && i.key; rt_json_next(&i)) {
		const char *file = rt_json_string(i.value);

		if (!file || !*file || strchr(file, '/') || file[0] == '.')
			r = rt_fail(err, RT_E_FORMAT,
			            "%s: the file of %s is not a name in this folder", index,
			            i.key);
		else if (!opened_before(map, i.key, file))
			r = add_file(f, folder, file, err);
	}
	rt_json_free(json);
	return r;
}

int rt_safetensors_folder_open(struct rt_safetensors_folder *ret, const char *path,
                               struct rt_error *err)
{
	struct rt_safetensors_folder f = { 0 };
	char                        *index = rt_path_join(path, "model.safetensors.index.json");
	int                          r;

	if (!index)
		r = rt_fail_nomem(err, "a path");
	else if (rt_exists(index))
		r = add_shards(&f, path, index, err);
	else
		r = add_file(&f, path, "model.safetensors", err);
	rt_free(index);
	if (r == 0)
		*ret = f;
	else
		rt_safetensors_folder_close(&f);
	return r;
}

void rt_safetensors_folder_close(struct rt_safetensors_folder *f)
{
	for (int64_t i = 0; i < f->n; i++) {
		rt_safetensors_close(&f->files[i]);
		rt_free(f->paths[i]);
	}
	rt_free(f->files);
	rt_free(f->paths);
	*f = (struct rt_safetensors_folder){ 0 };
}
