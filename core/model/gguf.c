/* gguf.c - reading GGUF.  See gguf.h */
#include "model/gguf.h"

#include "model/damage.h"

#include <retort/memory.h>

#include <string.h>

enum { ALIGNMENT = 32, MAX_KEY = 65535 };

static const size_t sizes[GGUF_TYPES] = {
	[GGUF_U8] = 1,  [GGUF_I8] = 1,  [GGUF_U16] = 2, [GGUF_I16] = 2,
	[GGUF_U32] = 4, [GGUF_I32] = 4, [GGUF_F32] = 4, [GGUF_BOOL] = 1,
	[GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
};

/* A place in the file; fails once and for all. */
struct cursor {
	const unsigned char *data;
	size_t               size, at;
	const char          *path;
	struct rt_error     *err;
	int                  code;
};

static const unsigned char *take(struct cursor *c, uint64_t n, const char *what)
{
	const unsigned char *p = c->data + c->at;

	if (c->code != 0)
		return NULL;
	if (n > c->size - c->at) {
		c->code = rt_fail(c->err, RT_E_FORMAT,
		                  "%s: %s of %llu bytes at %zu leaves the file of "
		                  "%zu" CUT_SHORT,
		                  c->path, what, (unsigned long long)n, c->at, c->size);
		return NULL;
	}
	c->at += (size_t)n;
	return p;
}

static uint64_t little(const unsigned char *p, size_t n)
{
	uint64_t x = 0;

	while (n > 0)
		x = x << 8 | p[--n];
	return x;
}

static uint64_t number(struct cursor *c, size_t n, const char *what)
{
	const unsigned char *p = take(c, n, what);

	return p ? little(p, n) : 0;
}

static struct gguf_text text(struct cursor *c, const char *what)
{
	const uint64_t n = number(c, 8, what);
	const void    *p = take(c, n, what);

	return (struct gguf_text){ p, p ? (size_t)n : 0 };
}

static int fail(struct cursor *c, int code, const char *what, struct gguf_text name)
{
	if (c->code == 0)
		c->code = rt_fail(c->err, code, "%s: %.*s: %s", c->path,
		                  name.n < 200 ? (int)name.n : 200, name.data, what);
	return c->code;
}

/* Skip a value; strings are measured one by one. */
static void skip(struct cursor *c, enum gguf_type type, uint64_t count)
{
	if (type == GGUF_STRING) {
		/* Each takes 8 bytes at least, so a count that lies ends soon. */
		for (uint64_t i = 0; c->code == 0 && i < count; i++)
			text(c, "a string");
	} else if (count > (uint64_t)c->size) {
		take(c, UINT64_MAX, "an array");
	} else {
		take(c, count * sizes[type], "a value");
	}
}

static void read_entry(struct cursor *c, struct gguf_entry *e)
{
	uint64_t type;

	e->key = text(c, "a key");
	type = number(c, 4, "a type");
	e->count = 1;
	if (c->code == 0 && (e->key.n == 0 || e->key.n > MAX_KEY))
		fail(c, RT_E_FORMAT, "a key of this length", e->key);
	if (c->code == 0 && type >= GGUF_TYPES)
		fail(c, RT_E_FORMAT, "an unknown type of metadata", e->key);
	if (c->code != 0)
		return;
	e->type = e->item = (enum gguf_type)type;
	if (e->type == GGUF_ARRAY) {
		const uint64_t item = number(c, 4, "a type");

		e->count = number(c, 8, "a count");
		if (c->code == 0 && (item >= GGUF_TYPES || item == GGUF_ARRAY))
			fail(c, RT_E_FORMAT, "an array of arrays or of an unknown type", e->key);
		e->item = (enum gguf_type)item;
	}
	if (c->code != 0)
		return;
	e->data = c->data + c->at;
	skip(c, e->item, e->count);
	e->bytes = (size_t)(c->data + c->at - e->data);
}

/* Name, shape, type and offset; data is placed when the header's end is known. */
static void read_tensor(struct cursor *c, struct gguf_tensor *t, uint64_t *ret_offset)
{
	int64_t  dim[RT_MAX_DIM] = { 1 };
	uint64_t ndim, type;
	int      r;

	t->name = text(c, "a tensor's name");
	ndim = number(c, 4, "a number of dimensions");
	if (c->code == 0 && (ndim < 1 || ndim > RT_MAX_DIM))
		fail(c, RT_E_UNSUP, "a tensor with that many dimensions", t->name);
	for (uint64_t i = 0; c->code == 0 && i < ndim; i++) {
		const uint64_t n = number(c, 8, "a dimension");

		if (n > INT64_MAX)
			fail(c, RT_E_FORMAT, "a dimension above 2^63", t->name);
		dim[ndim - 1 - i] = (int64_t)n;
	}
	type = number(c, 4, "a tensor's type");
	*ret_offset = number(c, 8, "an offset");
	if (c->code != 0)
		return;
	r = rt_tensor_init(&t->tensor, (int64_t)type, (int)ndim, dim, NULL, c->err);
	if (r != 0)
		c->code = rt_within(c->err, r, "%s: tensor %.*s", c->path,
		                    t->name.n < 200 ? (int)t->name.n : 200, t->name.data);
}

static void place_tensors(struct cursor *c, struct gguf *g, const uint64_t *offsets)
{
	const uint64_t start = (c->at + g->alignment - 1) / g->alignment * g->alignment;

	for (int64_t i = 0; c->code == 0 && i < g->n_tensors; i++) {
		struct gguf_tensor *t = &g->tensors[i];
		const uint64_t      bytes = (uint64_t)rt_bytes(&t->tensor);

		if (offsets[i] % g->alignment)
			fail(c, RT_E_FORMAT, "its offset is no multiple of the alignment", t->name);
		else if (start > c->size || offsets[i] > c->size - start ||
		         bytes > c->size - start - offsets[i])
			c->code = rt_fail(
				c->err, RT_E_FORMAT,
				"%s: %.*s: %llu bytes at %llu leave the file of %zu" CUT_SHORT,
				c->path, t->name.n < 200 ? (int)t->name.n : 200, t->name.data,
				(unsigned long long)bytes, (unsigned long long)(start + offsets[i]),
				c->size);
		else
			t->tensor.data = (void *)(c->data + start + offsets[i]);
	}
}

static bool same(struct gguf_text a, struct gguf_text b)
{
	return a.n == b.n && memcmp(a.data, b.data, a.n) == 0;
}

/* No key and no tensor twice.  Quadratic in the number of keys, which are few. */
static void check_twins(struct cursor *c, const struct gguf *g)
{
	for (int64_t i = 0; c->code == 0 && i < g->n_entries; i++)
		for (int64_t j = 0; j < i; j++)
			if (same(g->entries[i].key, g->entries[j].key))
				fail(c, RT_E_FORMAT, "the key is there twice", g->entries[i].key);
}

static void read_all(struct cursor *c, struct gguf *g)
{
	uint64_t  tensors, entries;
	uint64_t *offsets = NULL;

	if (is_lfs_pointer(c->data, c->size)) {
		c->code = rt_fail(c->err, RT_E_FORMAT, "%s " LFS_POINTER, c->path);
		return;
	}
	if (c->size < 4 || memcmp(c->data, "GGUF", 4) != 0) {
		c->code = rt_fail(c->err, RT_E_FORMAT,
		                  "%s: no GGUF file and no folder with a "
		                  "config.json",
		                  c->path);
		return;
	}
	c->at = 4;
	g->version = (uint32_t)number(c, 4, "a version");
	if (c->code == 0 && g->version != 2 && g->version != 3)
		c->code = rt_fail(c->err, RT_E_UNSUP, "%s: GGUF version %lu; 2 and 3 are supported",
		                  c->path, (unsigned long)g->version);
	tensors = number(c, 8, "a count");
	entries = number(c, 8, "a count");
	/* An entry takes 13 bytes at least, a tensor 32. */
	if (c->code == 0 && (entries > c->size / 13 || tensors > c->size / 32 || entries > 65536))
		c->code = rt_fail(
			c->err, RT_E_FORMAT, "%s: %llu keys and %llu tensors in %zu bytes", c->path,
			(unsigned long long)entries, (unsigned long long)tensors, c->size);
	if (c->code != 0)
		return;
	g->entries = rt_alloc((size_t)entries, sizeof *g->entries);
	g->tensors = rt_alloc((size_t)tensors, sizeof *g->tensors);
	offsets = rt_alloc((size_t)tensors, sizeof *offsets);
	if (!g->entries || !g->tensors || !offsets)
		c->code = rt_fail_nomem(c->err, "a GGUF header");
	for (; c->code == 0 && (uint64_t)g->n_entries < entries; g->n_entries++)
		read_entry(c, &g->entries[g->n_entries]);
	check_twins(c, g);
	for (; c->code == 0 && (uint64_t)g->n_tensors < tensors; g->n_tensors++)
		read_tensor(c, &g->tensors[g->n_tensors], &offsets[g->n_tensors]);
	g->alignment = c->code == 0 ? (uint64_t)gguf_int(g, "general.alignment", ALIGNMENT) : 0;
	if (c->code == 0 &&
	    (g->alignment < 1 || g->alignment > 1 << 20 || (g->alignment & (g->alignment - 1))))
		c->code = rt_fail(c->err, RT_E_FORMAT,
		                  "%s: general.alignment = %lld is no power of two", c->path,
		                  (long long)g->alignment);
	if (c->code == 0)
		place_tensors(c, g, offsets);
	rt_free(offsets);
}

int gguf_open(struct gguf *ret, const char *path, struct rt_error *err)
{
	struct gguf   g = { .version = 0 };
	struct cursor c = { .path = path, .err = err };
	const int     r = rt_file_map(&g.map, path, err);

	if (r != 0)
		return r;
	c.data = g.map.data;
	c.size = g.map.size;
	read_all(&c, &g);
	if (c.code == 0)
		*ret = g;
	else
		gguf_close(&g);
	return c.code;
}

void gguf_close(struct gguf *g)
{
	rt_free(g->entries);
	rt_free(g->tensors);
	rt_file_unmap(&g->map);
	memset(g, 0, sizeof *g);
}

/* ---- looking ------------------------------------------------------------------------------ */

const struct gguf_entry *gguf_find(const struct gguf *g, const char *key)
{
	const struct gguf_text want = { key, strlen(key) };

	for (int64_t i = 0; i < g->n_entries; i++)
		if (same(g->entries[i].key, want))
			return &g->entries[i];
	return NULL;
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name)
{
	const struct gguf_text want = { name, strlen(name) };

	for (int64_t i = 0; i < g->n_tensors; i++)
		if (same(g->tensors[i].name, want))
			return &g->tensors[i];
	return NULL;
}

static bool is_int(enum gguf_type t)
{
	return t != GGUF_F32 && t != GGUF_F64 && t != GGUF_STRING && t != GGUF_ARRAY;
}

static int64_t int_at(enum gguf_type type, const unsigned char *p)
{
	const size_t   n = sizes[type];
	const uint64_t x = little(p, n);
	const bool     is_signed = type == GGUF_I8 || type == GGUF_I16 || type == GGUF_I32;

	if (is_signed && x >> (8 * n - 1))
		return (int64_t)(x | ~(uint64_t)0 << 8 * n);
	return (int64_t)x;
}

static double real_at(enum gguf_type type, const unsigned char *p)
{
	const uint64_t bits = little(p, sizes[type]);
	const uint32_t low = (uint32_t)bits;
	double         d;
	float          f;

	if (type == GGUF_F64) {
		memcpy(&d, &bits, sizeof d);
		return d;
	}
	if (type == GGUF_F32) {
		memcpy(&f, &low, sizeof f);
		return f;
	}
	return type == GGUF_U64 ? (double)bits : (double)int_at(type, p);
}

int64_t gguf_int(const struct gguf *g, const char *key, int64_t otherwise)
{
	const struct gguf_entry *e = gguf_find(g, key);

	if (!e || !is_int(e->type) || (e->type == GGUF_U64 && little(e->data, 8) > INT64_MAX))
		return otherwise;
	return int_at(e->type, e->data);
}

double gguf_real(const struct gguf *g, const char *key, double otherwise)
{
	const struct gguf_entry *e = gguf_find(g, key);

	if (!e || e->type == GGUF_STRING || e->type == GGUF_ARRAY)
		return otherwise;
	return real_at(e->type, e->data);
}

static struct gguf_text text_at(const unsigned char *p)
{
	return (struct gguf_text){ (const char *)p + 8, (size_t)little(p, 8) };
}

struct gguf_text gguf_string(const struct gguf *g, const char *key)
{
	const struct gguf_entry *e = gguf_find(g, key);

	return e && e->type == GGUF_STRING ? text_at(e->data) : (struct gguf_text){ NULL, 0 };
}

bool gguf_next_text(struct gguf_iter *i, struct gguf_text *ret)
{
	if (!i->entry || i->entry->item != GGUF_STRING || i->index >= i->entry->count)
		return false;
	*ret = text_at(i->entry->data + i->offset);
	i->offset += 8 + ret->n;
	i->index++;
	return true;
}

bool gguf_next_number(struct gguf_iter *i, double *ret)
{
	if (!i->entry || i->entry->item == GGUF_STRING || i->index >= i->entry->count)
		return false;
	*ret = real_at(i->entry->item, i->entry->data + i->offset);
	i->offset += sizes[i->entry->item];
	i->index++;
	return true;
}
