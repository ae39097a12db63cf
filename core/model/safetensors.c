/* safetensors.c - one file of named tensors.  See retort/safetensors.h */
#include <retort/safetensors.h>

#include "model/damage.h"

#include <retort/memory.h>

#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 100 << 20 }; /* bytes, as in the reference implementation */

static const struct {
	const char   *name;
	enum rt_dtype dtype;
} types[] = { { "F32", RT_F32 }, { "F16", RT_F16 }, { "BF16", RT_BF16 }, { "F64", RT_F64 },
	      { "I8", RT_I8 },   { "I16", RT_I16 }, { "I32", RT_I32 },   { "I64", RT_I64 } };

static int type_of(const char *name)
{
	for (size_t i = 0; name && i < sizeof types / sizeof *types; i++)
		if (strcmp(types[i].name, name) == 0)
			return (int)types[i].dtype;
	return -1;
}

static const char *name_of(uint32_t dtype)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].dtype == dtype)
			return types[i].name;
	return NULL;
}

static uint64_t u64(const unsigned char *p)
{
	uint64_t x = 0;

	for (int i = 7; i >= 0; i--)
		x = x << 8 | p[i];
	return x;
}

/* One entry of the header; where its data begins and ends, counted from the header's end. */
static int read_entry(const char *path, const char *name, const struct rt_json *entry, char *data,
                      int64_t size, struct rt_tensor *ret, int64_t *ret_end, struct rt_error *err)
{
	const char           *type = rt_json_string(rt_json_get(entry, "dtype"));
	const struct rt_json *shape = rt_json_get(entry, "shape");
	const struct rt_json *offsets = rt_json_get(entry, "data_offsets");
	const int             dtype = type_of(type);
	const size_t          ndim = rt_json_length(shape);
	const int64_t         begin = rt_json_int(rt_json_at(offsets, 0), -1);
	const int64_t         end = rt_json_int(rt_json_at(offsets, 1), -1);
	int64_t               dim[RT_MAX_DIM] = { 1 };
	int                   r;

	if (!type || !rt_json_is(shape, RT_JSON_ARRAY) || rt_json_length(offsets) != 2)
		return rt_fail(err, RT_E_FORMAT, "%s: tensor %s lacks dtype, shape or data_offsets",
		               path, name);
	if (dtype < 0 || ndim > RT_MAX_DIM)
		return rt_fail(err, RT_E_UNSUP,
		               "%s: tensor %s of type %s with %zu dimensions is not "
		               "supported",
		               path, name, type, ndim);
	for (size_t i = 0; i < ndim; i++)
		dim[i] = rt_json_int(rt_json_at(shape, i), -1);
	if (begin < 0 || end < begin || end > size)
		return rt_fail(err, RT_E_FORMAT,
		               "%s: tensor %s lies from %lld to %lld of %lld bytes" CUT_SHORT, path,
		               name, (long long)begin, (long long)end, (long long)size);
	r = rt_tensor_init(ret, dtype, ndim ? (int)ndim : 1, dim, data + begin, err);
	if (r != 0)
		return rt_within(err, r, "%s: tensor %s", path, name);
	if (rt_bytes(ret) != end - begin)
		return rt_fail(err, RT_E_FORMAT,
		               "%s: tensor %s takes %lld bytes, its offsets span "
		               "%lld",
		               path, name, (long long)rt_bytes(ret), (long long)(end - begin));
	*ret_end = end;
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct rt_named_tensor *x = a, *y = b;
	const char                   *p = x->tensor.data, *q = y->tensor.data;

	if (p != q)
		return p < q ? -1 : 1;
	return rt_bytes(&x->tensor) < rt_bytes(&y->tensor) ? -1 : 1; /* empty ones first */
}

/* In order of place each tensor begins where the last one ended, and nothing is left. */
static int check_cover(const char *path, struct rt_safetensors *s, const char *data, int64_t size,
                       struct rt_error *err)
{
	int64_t at = 0;

	qsort(s->tensors, (size_t)s->n, sizeof *s->tensors, by_place);
	for (int64_t i = 0; i < s->n; i++) {
		const struct rt_tensor *t = &s->tensors[i].tensor;
		const int64_t           begin = (const char *)t->data - data;

		if (begin != at)
			return rt_fail(err, RT_E_FORMAT,
			               "%s: tensor %s begins at %lld, the data "
			               "before it ends at %lld",
			               path, s->tensors[i].name, (long long)begin, (long long)at);
		at += rt_bytes(t);
	}
	if (at != size)
		return rt_fail(err, RT_E_FORMAT, "%s: %lld bytes of data belong to no tensor", path,
		               (long long)(size - at));
	return 0;
}

static int read_header(struct rt_safetensors *s, const char *path, struct rt_error *err)
{
	const unsigned char *bytes = s->map.data;
	uint64_t             length;
	char                *data;
	int64_t              size;
	int                  r;

	if (s->map.size < 8)
		return rt_fail(err, RT_E_FORMAT, "%s: %zu bytes are no safetensors file" CUT_SHORT,
		               path, s->map.size);
	if (is_lfs_pointer(bytes, s->map.size))
		return rt_fail(err, RT_E_FORMAT, "%s " LFS_POINTER, path);
	length = u64(bytes);
	if (length > MAX_HEADER || length > s->map.size - 8)
		return rt_fail(err, RT_E_FORMAT,
		               "%s: a header of %llu bytes in a file of %zu" CUT_SHORT, path,
		               (unsigned long long)length, s->map.size);
	r = rt_json_parse((const char *)bytes + 8, (size_t)length, path, 1, &s->header, err);
	if (r != 0)
		return r;
	if (!rt_json_is(s->header, RT_JSON_OBJECT))
		return rt_fail(err, RT_E_FORMAT, "%s: the header is %s, want an object", path,
		               rt_json_type_name(s->header));
	s->tensors = rt_alloc(rt_json_length(s->header) + 1, sizeof *s->tensors);
	if (!s->tensors)
		return rt_fail_nomem(err, "tensors");
	data = (char *)s->map.data + 8 + length;
	size = (int64_t)(s->map.size - 8 - length);
	for (struct rt_json_iter i = rt_json_first(s->header); r == 0 && i.key; rt_json_next(&i)) {
		struct rt_named_tensor *t = &s->tensors[s->n];
		int64_t                 end;

		if (strcmp(i.key, "__metadata__") == 0)
			continue;
		t->name = i.key;
		r = read_entry(path, i.key, i.value, data, size, &t->tensor, &end, err);
		s->n += r == 0;
	}
	return r ? r : check_cover(path, s, data, size, err);
}

int rt_safetensors_open(struct rt_safetensors *ret, const char *path, struct rt_error *err)
{
	struct rt_safetensors s = { .n = 0 };
	int                   r = rt_file_map(&s.map, path, err);

	if (r == 0)
		r = read_header(&s, path, err);
	if (r == 0)
		*ret = s;
	else
		rt_safetensors_close(&s);
	return r;
}

void rt_safetensors_close(struct rt_safetensors *s)
{
	rt_json_free(s->header);
	rt_free(s->tensors);
	rt_file_unmap(&s->map);
	memset(s, 0, sizeof *s);
}

const struct rt_tensor *rt_safetensors_find(const struct rt_safetensors *s, const char *name)
{
	for (int64_t i = 0; i < s->n; i++)
		if (strcmp(s->tensors[i].name, name) == 0)
			return &s->tensors[i].tensor;
	return NULL;
}

/* ---- writing ------------------------------------------------------------------------------ */

static struct rt_json *entry_of(const struct rt_tensor *t, int64_t at)
{
	struct rt_json *e = rt_json_new_object(), *shape = rt_json_new_array();
	struct rt_json *offsets = rt_json_new_array();
	int             r = 0;

	for (int i = 0; shape && i < t->ndim; i++)
		r |= rt_json_append(shape, rt_json_new_int(t->dim[i]));
	if (offsets) {
		r |= rt_json_append(offsets, rt_json_new_int(at));
		r |= rt_json_append(offsets, rt_json_new_int(at + rt_bytes(t)));
	}
	if (!e) {
		rt_json_free(shape);
		rt_json_free(offsets);
		return NULL;
	}
	r |= rt_json_set(e, "dtype", rt_json_new_string(name_of(t->dtype)));
	r |= rt_json_set(e, "shape", shape);
	r |= rt_json_set(e, "data_offsets", offsets);
	if (r != 0) {
		rt_json_free(e);
		return NULL;
	}
	return e;
}

/* The header, padded so that the data begins at a multiple of 8. */
static int make_header(const struct rt_named_tensor *tensors, int64_t n,
                       const struct rt_json *metadata, struct rt_text *out, struct rt_error *err)
{
	struct rt_json *h = rt_json_new_object();
	int64_t         at = 0;
	int             r = h ? 0 : RT_E_NOMEM;

	if (r == 0 && metadata)
		r |= rt_json_set(h, "__metadata__", rt_json_ref(metadata));
	for (int64_t i = 0; r == 0 && i < n; i++) {
		r = rt_json_set(h, tensors[i].name, entry_of(&tensors[i].tensor, at));
		at += rt_bytes(&tensors[i].tensor);
	}
	if (r == 0)
		rt_json_print(h, 0, out);
	while (!out->failed && out->len % 8)
		rt_text_add_char(out, ' ');
	rt_json_free(h);
	return r == 0 && !out->failed ? 0 : rt_fail_nomem(err, "a safetensors header");
}

static int check_tensors(const struct rt_named_tensor *tensors, int64_t n, struct rt_error *err)
{
	for (int64_t i = 0; i < n; i++)
		if (!name_of(tensors[i].tensor.dtype) || !rt_is_dense(&tensors[i].tensor))
			return rt_fail(err, RT_E_UNSUP,
			               "tensor %s cannot be written as it is: "
			               "safetensors holds dense tensors of plain types",
			               tensors[i].name);
	return 0;
}

int rt_safetensors_begin(struct rt_file **ret, const char *path,
                         const struct rt_named_tensor *tensors, int64_t n,
                         const struct rt_json *metadata, struct rt_error *err)
{
	struct rt_text header = RT_TEXT_INIT;
	unsigned char  length[8];
	int            r = check_tensors(tensors, n, err);

	if (r == 0)
		r = make_header(tensors, n, metadata, &header, err);
	if (r == 0)
		r = rt_file_create(ret, path, err);
	if (r == 0) {
		for (int i = 0; i < 8; i++)
			length[i] = (unsigned char)((uint64_t)header.len >> 8 * i);
		rt_file_put(*ret, length, sizeof length);
		rt_file_put(*ret, header.data, header.len);
	}
	rt_text_free(&header);
	return r;
}

int rt_safetensors_write(const char *path, const struct rt_named_tensor *tensors, int64_t n,
                         const struct rt_json *metadata, struct rt_error *err)
{
	struct rt_file *f;
	int             r = rt_safetensors_begin(&f, path, tensors, n, metadata, err);

	if (r < 0)
		return r;
	for (int64_t i = 0; i < n; i++)
		rt_file_put(f, tensors[i].tensor.data, (size_t)rt_bytes(&tensors[i].tensor));
	return rt_file_commit(f, err);
}
