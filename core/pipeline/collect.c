/* collect.c - see store.h: walking over objects, verifying them, removing what nobody refers to. */
#include "pipeline/files.h"
#include "pipeline/store.h"

#include <retort/file.h>
#include <retort/hash.h>
#include <retort/memory.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* Which keys are to stay: a JSON object used as a set. */
struct mark {
	const struct store *store;
	struct rt_json     *keys;
};

static bool is_key(const char *name)
{
	return strlen(name) == RT_HASH_HEX - 1 &&
	       strspn(name, "0123456789abcdef") == RT_HASH_HEX - 1;
}

struct each {
	store_fn *fn;
	void     *arg;
};

static int each_entry(void *arg, const char *name, bool is_dir, struct rt_error *err)
{
	const struct each *e = arg;

	return is_dir && is_key(name) ? e->fn(e->arg, name, err) : 0;
}

int store_each(const struct store *s, store_fn *fn, void *arg, struct rt_error *err)
{
	struct each e = { fn, arg };
	char       *path = store_path(s, "objects", NULL, NULL);
	int r = path ? rt_list_dir(path, each_entry, &e, err) : rt_fail_nomem(err, "the store");

	rt_free(path);
	return r;
}

int store_verify(const struct store *s, const char *key, struct rt_error *err)
{
	struct rt_json *manifest;
	int             r = store_manifest(s, key, &manifest, err);

	if (r < 0)
		return r;
	for (struct rt_json_iter i = rt_json_first(rt_json_get(manifest, "outputs"));
	     r == 0 && i.key; rt_json_next(&i)) {
		char *dir = store_path(s, "objects", key, i.key);

		r = dir ? files_compare(dir, rt_json_get(i.value, "files"), err)
		        : rt_fail_nomem(err, key);
		rt_free(dir);
	}
	rt_json_free(manifest);
	return r;
}

static int check_size(const char *dir, const char *folder, const struct rt_json *file,
                      struct rt_error *err)
{
	const char   *name = rt_json_string(rt_json_get(file, "path"));
	const int64_t want = rt_json_int(rt_json_get(file, "size"), -1);
	char         *path = rt_path_join(dir, name ? name : "?");
	struct stat   st;
	int           r = 0;

	if (!path)
		r = rt_fail_nomem(err, dir);
	else if (stat(path, &st) != 0 && errno != ENOENT)
		r = rt_fail_errno(err, "cannot look at %s", path);
	else if (stat(path, &st) != 0)
		r = rt_fail(err, RT_E_FORMAT,
		            "%s is missing, it had %lld bytes when it was finished: remove the "
		            "folder %s and run again; `retort runs verify` looks at all",
		            path, (long long)want, folder);
	else if (st.st_size != want)
		r = rt_fail(err, RT_E_FORMAT,
		            "%s has %lld bytes, and had %lld when it was finished: remove the "
		            "folder %s and run again; `retort runs verify` looks at all",
		            path, (long long)st.st_size, (long long)want, folder);
	rt_free(path);
	return r;
}

int store_check_sizes(const struct store *s, const char *key, struct rt_error *err)
{
	char           *folder = store_path(s, "objects", key, NULL);
	struct rt_json *manifest = NULL;
	int r = folder ? store_manifest(s, key, &manifest, err) : rt_fail_nomem(err, key);

	for (struct rt_json_iter i = rt_json_first(rt_json_get(manifest, "outputs"));
	     r == 0 && i.key; rt_json_next(&i)) {
		const struct rt_json *files = rt_json_get(i.value, "files");
		char                 *dir = rt_path_join(folder, i.key);

		if (!dir)
			r = rt_fail_nomem(err, key);
		for (size_t k = 0; r == 0 && k < rt_json_length(files); k++)
			r = check_size(dir, folder, rt_json_at(files, k), err);
		rt_free(dir);
	}
	rt_json_free(manifest);
	rt_free(folder);
	return r;
}

/* Mark an object and, through its manifest, what it was made from.  A key that is not there (not
 * made yet) is marked too: its work folder stays. */
static int mark_key(struct mark *m, const char *key, struct rt_error *err)
{
	struct rt_json *manifest;
	int             r;

	if (!is_key(key) || rt_json_get(m->keys, key))
		return 0;
	if (rt_json_set(m->keys, key, rt_json_new_bool(true)) < 0)
		return rt_fail_nomem(err, "the keys in use");
	if (!store_has(m->store, key))
		return 0;
	r = store_manifest(m->store, key, &manifest, err);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < rt_json_length(rt_json_get(manifest, "inputs")); i++) {
		const char *in = rt_json_string(
			rt_json_get(rt_json_at(rt_json_get(manifest, "inputs"), i), "key"));

		if (in)
			r = mark_key(m, in, err);
	}
	rt_json_free(manifest);
	return r;
}

static int mark_run(void *arg, const char *name, bool is_dir, struct rt_error *err)
{
	struct mark    *m = arg;
	struct rt_json *run, *stages;
	int             r;

	if (!is_dir || name[0] == '.')
		return 0;
	r = store_run(m->store, name, &run, err);
	if (r < 0)
		return r == RT_E_NOENT ? 0 : r;
	stages = rt_json_get(run, "stages");
	for (size_t i = 0; r == 0 && i < rt_json_length(stages); i++) {
		const char *key = rt_json_string(rt_json_get(rt_json_at(stages, i), "key"));

		r = key ? mark_key(m, key, err) : 0;
	}
	rt_json_free(run);
	return r;
}

struct sweep {
	const struct store   *store;
	const struct rt_json *keep;
	const char           *area;
	bool                  dry;
	struct store_garbage *count;
};

static int64_t manifest_bytes(const struct rt_json *manifest)
{
	int64_t sum = 0;

	for (struct rt_json_iter i = rt_json_first(rt_json_get(manifest, "outputs")); i.key;
	     rt_json_next(&i))
		for (size_t k = 0; k < rt_json_length(rt_json_get(i.value, "files")); k++)
			sum += rt_json_int(
				rt_json_get(rt_json_at(rt_json_get(i.value, "files"), k), "size"),
				0);
	return sum;
}

static void count_object(struct sweep *w, const char *key)
{
	struct rt_json *manifest;

	w->count->objects++;
	if (store_manifest(w->store, key, &manifest, NULL) == 0) {
		w->count->bytes += manifest_bytes(manifest);
		rt_json_free(manifest);
	}
}

/* Objects that are referred to, and what belongs to those that are still to be made. */
static bool is_needed(const struct sweep *w, const char *name)
{
	if (!is_key(name) || !rt_json_get(w->keep, name) || strcmp(w->area, "tmp") == 0)
		return false;
	return strcmp(w->area, "work") != 0 || !store_has(w->store, name);
}

static int sweep_entry(void *arg, const char *name, bool is_dir, struct rt_error *err)
{
	struct sweep *w = arg;
	char         *path;
	int           r;

	(void)is_dir;
	if (is_needed(w, name))
		return 0;
	if (strcmp(w->area, "objects") == 0)
		count_object(w, name);
	else
		w->count->others += strcmp(w->area, "locks") != 0;
	if (w->dry)
		return 0;
	path = store_path(w->store, w->area, name, NULL);
	r = path ? rt_remove_all(path, err) : rt_fail_nomem(err, name);
	rt_free(path);
	return r;
}

int store_collect(struct store *s, bool dry, struct store_garbage *ret, struct rt_error *err)
{
	static const char *const sweeps[] = { "objects", "work", "tmp", "locks" };
	struct mark              m = { s, rt_json_new_object() };
	struct sweep             w = { .store = s, .keep = m.keys, .dry = dry, .count = ret };
	int                      r = m.keys ? 0 : rt_fail_nomem(err, "the keys in use");

	*ret = (struct store_garbage){ 0 };
	if (r == 0)
		r = rt_list_dir(store_dir(s), mark_run, &m, err);
	for (size_t i = 0; r == 0 && i < sizeof sweeps / sizeof *sweeps; i++) {
		char *path = store_path(s, sweeps[i], NULL, NULL);

		w.area = sweeps[i];
		r = path ? rt_list_dir(path, sweep_entry, &w, err)
		         : rt_fail_nomem(err, "the store");
		rt_free(path);
	}
	rt_json_free(m.keys);
	return r;
}
