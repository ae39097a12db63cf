/* artifact.c - see artifact.h */
#include "pipeline/artifact.h"

#include "pipeline/pipeline.h"

#include <retort/file.h>
#include <retort/hash.h>
#include <retort/memory.h>
#include <retort/rows.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Half a hash of each id: 64 bits tell ten million ids apart with a chance of 3e-6 to err. */
struct ids {
	uint64_t *at;
	int64_t   n, cap;
};

static int add_id(struct ids *ids, const char *id, size_t n)
{
	struct rt_hash h;
	uint8_t        out[RT_HASH_BYTES];

	if (ids->n == ids->cap) {
		const int64_t cap = ids->cap ? 2 * ids->cap : 1024;
		uint64_t     *more = rt_realloc(ids->at, (size_t)cap, sizeof *more);

		if (!more)
			return RT_E_NOMEM;
		ids->at = more;
		ids->cap = cap;
	}
	rt_hash_init(&h);
	rt_hash_add(&h, id, n);
	rt_hash_end(&h, out);
	memcpy(&ids->at[ids->n++], out, sizeof *ids->at);
	return 0;
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool all_different(struct ids *ids)
{
	if (ids->n > 0)
		qsort(ids->at, (size_t)ids->n, sizeof *ids->at, compare);
	for (int64_t i = 1; i < ids->n; i++)
		if (ids->at[i] == ids->at[i - 1])
			return false;
	return true;
}

static int check_row(const struct rt_json *row, struct ids *ids, const char *path, int64_t line,
                     struct rt_error *err)
{
	const struct rt_json *id = rt_json_get(row, "id");

	if (!rt_json_is(row, RT_JSON_OBJECT))
		return rt_fail(err, RT_E_FORMAT, "%s:%lld: a row must be an object, this is %s",
		               path, (long long)line, rt_json_type_name(row));
	if (!rt_json_is(id, RT_JSON_STRING) || rt_json_length(id) == 0)
		return rt_fail(err, RT_E_FORMAT,
		               "%s:%lld: a row needs an id, a text that is not empty", path,
		               (long long)line);
	return add_id(ids, rt_json_string(id), rt_json_length(id)) < 0
	               ? rt_fail_nomem(err, "row ids")
	               : 0;
}

static int check_rows(const char *path, int64_t *ret, struct rt_error *err)
{
	struct rt_rows *rows;
	struct rt_json *row;
	struct ids      ids = { 0 };
	int             r = rt_rows_open(&rows, path, 0, err);

	if (r < 0)
		return r;
	while ((r = rt_rows_next(rows, &row, err)) == 1) {
		r = check_row(row, &ids, path, rt_rows_line(rows), err);
		rt_json_free(row);
		if (r < 0)
			break;
	}
	*ret = ids.n;
	if (r == 0 && !all_different(&ids))
		r = rt_fail(err, RT_E_FORMAT, "%s: two rows have the same id", path);
	rt_free(ids.at);
	rt_rows_close(rows);
	return r;
}

static int check_metrics(const char *path, struct rt_error *err)
{
	struct rt_json *j;
	int             r = rt_json_read(path, 0, &j, err);

	if (r < 0)
		return r;
	if (!rt_json_is(j, RT_JSON_OBJECT))
		r = rt_fail(err, RT_E_FORMAT, "%s: metrics are an object, this is %s", path,
		            rt_json_type_name(j));
	for (struct rt_json_iter i = rt_json_first(j); r == 0 && i.key; rt_json_next(&i))
		if (!isfinite(rt_json_real(rt_json_get(i.value, "value"), NAN)))
			r = rt_fail(err, RT_E_FORMAT, "%s: '%s' has no finite \"value\"", path,
			            i.key);
		else if (!rt_json_is(rt_json_get(i.value, "n"), RT_JSON_INT))
			r = rt_fail(
				err, RT_E_FORMAT,
				"%s: '%s' does not say on how many things it was measured (\"n\")",
				path, i.key);
	rt_json_free(j);
	return r;
}

/* The depths of a model are the stage's to check; here only that something is there. */
static int check_model(const char *dir, struct rt_error *err)
{
	char *gguf = rt_path_join(dir, "model.gguf"), *config = rt_path_join(dir, "config.json");
	struct rt_map   map = { 0 };
	struct rt_json *j;
	int             r = 0;

	if (!gguf || !config) {
		r = rt_fail_nomem(err, dir);
	} else if (rt_exists(gguf)) {
		r = rt_file_map(&map, gguf, err);
		if (r == 0 && (map.size < 4 || memcmp(map.data, "GGUF", 4) != 0))
			r = rt_fail(err, RT_E_FORMAT, "%s does not begin with GGUF", gguf);
		rt_file_unmap(&map);
	} else {
		r = rt_json_read(config, 0, &j, err);
		if (r == 0)
			rt_json_free(j);
	}
	rt_free(gguf);
	rt_free(config);
	return r;
}

int artifact_check(const char *dir, unsigned type, struct rt_json **ret, struct rt_error *err)
{
	struct rt_json *o = rt_json_new_object();
	char   *path = rt_path_join(dir, type == RT_METRICS ? "metrics.json" : "rows.jsonl");
	int64_t rows = -1;
	int     r = o && path ? 0 : rt_fail_nomem(err, "a manifest");

	if (r == 0 && type == RT_DATASET)
		r = check_rows(path, &rows, err);
	else if (r == 0 && type == RT_METRICS)
		r = check_metrics(path, err);
	else if (r == 0)
		r = check_model(dir, err);
	if (r == 0 && rt_json_set(o, "type", rt_json_new_string(artifact_type_name(type))) < 0)
		r = rt_fail_nomem(err, "a manifest");
	if (r == 0 && rows >= 0 && rt_json_set(o, "rows", rt_json_new_int(rows)) < 0)
		r = rt_fail_nomem(err, "a manifest");
	rt_free(path);
	if (r < 0)
		rt_json_free(o);
	else
		*ret = o;
	return r;
}
