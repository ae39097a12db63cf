/* gguf-write.c - writing GGUF, version 3.  See gguf.h */
#include "model/gguf.h"

#include <string.h>

enum { ALIGNMENT = 32 };

static void put(struct rt_text *t, uint64_t x, int bytes)
{
	for (int i = 0; i < bytes; i++)
		rt_text_add_char(t, (char)(x >> 8 * i));
}

static void put_text(struct rt_text *t, const char *s, size_t n)
{
	put(t, n, 8);
	rt_text_add_n(t, s, n);
}

void gguf_writer_init(struct gguf_writer *w)
{
	*w = (struct gguf_writer){ .entries = RT_TEXT_INIT, .tensors = RT_TEXT_INIT };
}

static void begin_entry(struct gguf_writer *w, const char *key, enum gguf_type type)
{
	put_text(&w->entries, key, strlen(key));
	put(&w->entries, type, 4);
	w->n_entries++;
}

void gguf_put_int(struct gguf_writer *w, const char *key, enum gguf_type type, int64_t value)
{
	const bool wide = type == GGUF_U64 || type == GGUF_I64;
	const bool byte = type == GGUF_U8 || type == GGUF_I8 || type == GGUF_BOOL;

	begin_entry(w, key, type);
	put(&w->entries, (uint64_t)value,
	    wide                                   ? 8
	    : byte                                 ? 1
	    : type == GGUF_U16 || type == GGUF_I16 ? 2
	                                           : 4);
}

void gguf_put_real(struct gguf_writer *w, const char *key, double value)
{
	begin_entry(w, key, GGUF_F32);
	gguf_item_f32(w, (float)value);
}

void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_type item, uint64_t count)
{
	begin_entry(w, key, GGUF_ARRAY);
	put(&w->entries, item, 4);
	put(&w->entries, count, 8);
}

void gguf_item_text(struct gguf_writer *w, const char *s, size_t n)
{
	put_text(&w->entries, s, n);
}

void gguf_item_i32(struct gguf_writer *w, int32_t x)
{
	put(&w->entries, (uint32_t)x, 4);
}

void gguf_item_f32(struct gguf_writer *w, float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof bits);
	put(&w->entries, bits, 4);
}

void gguf_put_string(struct gguf_writer *w, const char *key, const char *value)
{
	begin_entry(w, key, GGUF_STRING);
	put_text(&w->entries, value, strlen(value));
}

void gguf_put_entry(struct gguf_writer *w, const struct gguf_entry *e)
{
	put_text(&w->entries, e->key.data, e->key.n);
	put(&w->entries, e->type, 4);
	if (e->type == GGUF_ARRAY) {
		put(&w->entries, e->item, 4);
		put(&w->entries, e->count, 8);
	}
	rt_text_add_n(&w->entries, e->data, e->bytes);
	w->n_entries++;
}

void gguf_put_entries(struct gguf_writer *w, const struct gguf_writer *from)
{
	rt_text_add_n(&w->entries, from->entries.data, from->entries.len);
	w->entries.failed |= from->entries.failed;
	w->n_entries += from->n_entries;
}

void gguf_declare(struct gguf_writer *w, const char *name, const struct rt_tensor *t)
{
	put_text(&w->tensors, name, strlen(name));
	put(&w->tensors, (uint64_t)t->ndim, 4);
	for (int i = t->ndim - 1; i >= 0; i--)
		put(&w->tensors, (uint64_t)t->dim[i], 8);
	put(&w->tensors, t->dtype, 4);
	put(&w->tensors, w->offset, 8);
	w->offset += ((uint64_t)rt_bytes(t) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	w->n_tensors++;
}

int gguf_begin(struct gguf_writer *w, const char *path, struct rt_error *err)
{
	struct rt_text head = RT_TEXT_INIT;
	int            r;

	rt_text_add_n(&head, "GGUF", 4);
	put(&head, 3, 4);
	put(&head, w->n_tensors, 8);
	put(&head, w->n_entries, 8);
	if (head.failed || w->entries.failed || w->tensors.failed)
		r = rt_fail_nomem(err, "a GGUF header");
	else
		r = rt_file_create(&w->file, path, err);
	if (r == 0) {
		rt_file_put(w->file, head.data, head.len);
		rt_file_put(w->file, w->entries.data, w->entries.len);
		rt_file_put(w->file, w->tensors.data, w->tensors.len);
		gguf_pad(w);
	}
	rt_text_free(&head);
	return r;
}

void gguf_data(struct gguf_writer *w, const void *bytes, size_t n)
{
	rt_file_put(w->file, bytes, n);
}

void gguf_pad(struct gguf_writer *w)
{
	static const char zeros[ALIGNMENT];
	const int64_t     over = rt_file_size(w->file) % ALIGNMENT;

	if (over)
		rt_file_put(w->file, zeros, (size_t)(ALIGNMENT - over));
}

int gguf_end(struct gguf_writer *w, struct rt_error *err)
{
	struct rt_file *f = w->file;

	w->file = NULL;
	return rt_file_commit(f, err);
}

void gguf_writer_fini(struct gguf_writer *w)
{
	rt_text_free(&w->entries);
	rt_text_free(&w->tensors);
	rt_file_discard(w->file);
	w->file = NULL;
}
