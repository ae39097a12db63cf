/* @KIND@-@NAME@.c - a model in two files that any program can read: a table and the bytes.
 *
 *   model.@NAME@.json  { "config": {}, "tensors": [ { "name":, "dtype":, "shape": [], "offset": } ] }
 *   model.@NAME@.bin   the elements of every tensor, each beginning at a multiple of 64 */
#include <retort/file.h>
#include <retort/format.h>
#include <retort/memory.h>

#include <string.h>

#define TABLE "model.@NAME@.json"
#define BYTES "model.@NAME@.bin"

enum { ALIGN = 64 };

/* What one read() lends. */
struct model {
	struct rt_json         *table;
	struct rt_map           map;
	struct rt_named_tensor *tensors;
};

static int probe(const void *state, const char *path)
{
	char *table = rt_path_join(path, TABLE);
	int   r = table && rt_exists(table);

	(void)state;
	rt_free(table);
	return r;
}

static void free_model(struct model *m)
{
	if (!m)
		return;
	rt_file_unmap(&m->map);
	rt_json_free(m->table);
	rt_free(m->tensors);
	rt_free(m);
}

static void release(void *state, struct rt_weights *w)
{
	(void)state;
	free_model(w->own);
	*w = (struct rt_weights){ 0 };
}

/* One row of the table, held against the size of the file. */
static int read_tensor(const struct model *m, const struct rt_json *row, struct rt_named_tensor *t,
                       struct rt_error *err)
{
	const char           *name = rt_json_string(rt_json_get(row, "name"));
	const char           *type = rt_json_string(rt_json_get(row, "dtype"));
	const struct rt_json *shape = rt_json_get(row, "shape");
	const int64_t         offset = rt_json_int(rt_json_get(row, "offset"), -1);
	const size_t          ndim = rt_json_length(shape);
	int64_t               dim[RT_MAX_DIM];
	int                   r;

	if (!name || !type || ndim < 1 || ndim > RT_MAX_DIM)
		return rt_fail(err, RT_E_FORMAT, "tensor '%s' lacks a name, a type or a shape", name ? name : "?");
	for (size_t i = 0; i < ndim; i++)
		dim[i] = rt_json_int(rt_json_at(shape, i), -1);
	r = rt_tensor_init(&t->tensor, rt_dtype_find(type), (int)ndim, dim, NULL, err);
	if (r < 0)
		return rt_within(err, r, "tensor %s", name);
	if (offset < 0 || offset % ALIGN || offset > (int64_t)m->map.size ||
	    rt_bytes(&t->tensor) > (int64_t)m->map.size - offset)
		return rt_fail(err, RT_E_FORMAT, "tensor %s: %lld bytes at %lld are not in " BYTES " of %zu bytes", name,
		               (long long)rt_bytes(&t->tensor), (long long)offset, m->map.size);
	t->name = name;
	t->tensor.data = (char *)(uintptr_t)m->map.data + offset;
	return 0;
}

static int read_model(struct model *m, const char *table, const char *bytes, struct rt_error *err)
{
	const struct rt_json *rows;
	int                   r = rt_json_read(table, 0, &m->table, err);

	if (r == 0)
		r = rt_file_map(&m->map, bytes, err);
	rows = rt_json_get(m->table, "tensors");
	if (r == 0)
		m->tensors = rt_alloc(rt_json_length(rows), sizeof *m->tensors);
	if (r == 0 && !m->tensors)
		r = rt_fail_nomem(err, "a list of tensors");
	for (size_t i = 0; r == 0 && i < rt_json_length(rows); i++)
		r = read_tensor(m, rt_json_at(rows, i), &m->tensors[i], err);
	return r;
}

static int read_(void *state, const char *path, struct rt_weights *ret, struct rt_error *err)
{
	char         *table = rt_path_join(path, TABLE), *bytes = rt_path_join(path, BYTES);
	struct model *m = rt_alloc(1, sizeof *m);
	int           r = table && bytes && m ? read_model(m, table, bytes, err) : rt_fail_nomem(err, "a model");

	(void)state;
	rt_free(table);
	rt_free(bytes);
	if (r < 0) {
		free_model(m);
		return rt_within(err, r, "%s", path);
	}
	*ret = (struct rt_weights){ .config = rt_json_get(m->table, "config"),
		                    .tensors = m->tensors,
		                    .n = (int64_t)rt_json_length(rt_json_get(m->table, "tensors")),
		                    .own = m };
	return 0;
}

/* { name, dtype, shape, offset } */
static struct rt_json *new_row(const struct rt_named_tensor *t, int64_t offset)
{
	struct rt_json *row = rt_json_new_object(), *shape = rt_json_new_array();
	int             r = row && shape ? 0 : RT_E_NOMEM;

	for (int i = 0; r == 0 && i < t->tensor.ndim; i++)
		r = rt_json_append(shape, rt_json_new_int(t->tensor.dim[i]));
	if (r == 0)
		r |= rt_json_set(row, "name", rt_json_new_string(t->name));
	if (r == 0)
		r |= rt_json_set(row, "dtype", rt_json_new_string(rt_dtype_info(t->tensor.dtype)->name));
	if (r == 0)
		r |= rt_json_set(row, "shape", rt_json_ref(shape));
	if (r == 0)
		r |= rt_json_set(row, "offset", rt_json_new_int(offset));
	rt_json_free(shape);
	if (r < 0) {
		rt_json_free(row);
		return NULL;
	}
	return row;
}

/* The bytes into `f`, a row for each tensor into `rows`. */
static int write_tensors(struct rt_file *f, const struct rt_weights *w, struct rt_json *rows, struct rt_error *err)
{
	static const char zeros[ALIGN];

	for (int64_t i = 0; i < w->n; i++) {
		const struct rt_tensor *t = &w->tensors[i].tensor;

		if (!rt_is_dense(t))
			return rt_fail(err, RT_E_UNSUP, "tensor %s has gaps between its elements", w->tensors[i].name);
		if (rt_json_append(rows, new_row(&w->tensors[i], rt_file_size(f))) < 0)
			return rt_fail_nomem(err, "a table of tensors");
		rt_file_put(f, t->data, (size_t)rt_bytes(t));
		rt_file_put(f, zeros, (size_t)(-rt_file_size(f) & (ALIGN - 1)));
	}
	return 0;
}

static int write_bytes(const char *path, const struct rt_weights *w, struct rt_json *rows, struct rt_error *err)
{
	struct rt_file *f;
	int             r = rt_file_create(&f, path, err);

	if (r < 0)
		return r;
	r = write_tensors(f, w, rows, err);
	if (r == 0)
		return rt_file_commit(f, err);
	rt_file_discard(f);
	return r;
}

static int write_table(const char *path, const struct rt_weights *w, struct rt_json *rows, struct rt_error *err)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0)
		r |= rt_json_set(o, "config", w->config ? rt_json_ref(w->config) : rt_json_new_object());
	if (r == 0)
		r |= rt_json_set(o, "tensors", rt_json_ref(rows));
	r = r == 0 ? rt_json_write(o, RT_JSON_INDENT, path, err) : rt_fail_nomem(err, "a table of tensors");
	rt_json_free(o);
	return r;
}

/* What was written must be read back the same. */
static int compare(const char *path, const struct rt_weights *w, struct rt_error *err)
{
	struct rt_weights again;
	int               r = read_(NULL, path, &again, err);

	if (r < 0)
		return r;
	if (again.n != w->n)
		r = rt_fail(err, RT_E_IO, "%s: %lld tensors were read back, %lld written", path, (long long)again.n,
		            (long long)w->n);
	for (int64_t i = 0; r == 0 && i < w->n; i++)
		if (memcmp(again.tensors[i].tensor.data, w->tensors[i].tensor.data,
		           (size_t)rt_bytes(&w->tensors[i].tensor)) != 0)
			r = rt_fail(err, RT_E_IO, "%s: tensor %s was not read back as written", path, w->tensors[i].name);
	release(NULL, &again);
	return r;
}

static int write_(void *state, const char *path, const struct rt_weights *w, struct rt_error *err)
{
	char           *table = rt_path_join(path, TABLE), *bytes = rt_path_join(path, BYTES);
	struct rt_json *rows = rt_json_new_array();
	int             r = table && bytes && rows ? 0 : rt_fail_nomem(err, "a model");

	(void)state;
	if (r == 0)
		r = write_bytes(bytes, w, rows, err);
	if (r == 0)
		r = write_table(table, w, rows, err);
	rt_json_free(rows);
	rt_free(table);
	rt_free(bytes);
	return r == 0 ? compare(path, w, err) : r;
}

static const struct rt_format_ops ops = {
	.size = sizeof ops, .probe = probe, .read = read_, .release = release, .write = write_
};

RT_PLUGIN(@KIND@_@ID@, @KINDUP@,
          .name = "@NAME@", .version = "0.1", .license = "Apache-2.0",
          .summary = "A table in JSON and a file of bytes, for any program to read.",
          .ops.format = &ops);
