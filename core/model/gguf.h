/* gguf.h - GGUF files: typed metadata, then tensors.  Versions 2 and 3, little-endian.
 *
 * Reading maps the file and believes nothing: every count, length, type and offset is checked
 * against what is left of the file before it is used.  Keys, strings and tensor names point
 * into the map and are not terminated; lookups compare lengths.
 *
 * Shapes: GGUF writes the innermost dimension first; here the outermost comes first, as in
 * every rt_tensor. */
#ifndef MODEL_GGUF_H
#define MODEL_GGUF_H

#include <retort/file.h>
#include <retort/tensor.h>

enum gguf_type {
	GGUF_U8,
	GGUF_I8,
	GGUF_U16,
	GGUF_I16,
	GGUF_U32,
	GGUF_I32,
	GGUF_F32,
	GGUF_BOOL,
	GGUF_STRING,
	GGUF_ARRAY,
	GGUF_U64,
	GGUF_I64,
	GGUF_F64,
	GGUF_TYPES
};

struct gguf_text {
	const char *data; /* not terminated */
	size_t      n;
};

struct gguf_entry {
	struct gguf_text     key;
	enum gguf_type       type;
	enum gguf_type       item;  /* of an array's items */
	uint64_t             count; /* items of an array; 1 otherwise */
	const unsigned char *data;  /* the value, or an array's first item */
	size_t               bytes; /* of all of it */
};

struct gguf_tensor {
	struct gguf_text name;
	struct rt_tensor tensor;
};

struct gguf {
	struct rt_map       map;
	uint32_t            version;
	uint64_t            alignment;
	struct gguf_entry  *entries;
	int64_t             n_entries;
	struct gguf_tensor *tensors;
	int64_t             n_tensors;
};

/* RT_E_FORMAT with what is wrong and where; RT_E_UNSUP for a version, a tensor type or more
 * than RT_MAX_DIM dimensions; RT_E_IO, RT_E_NOENT, RT_E_NOMEM. [any] */
int  gguf_open(struct gguf *ret, const char *path, struct rt_error *err);
void gguf_close(struct gguf *g);

/* Lookups: NULL or `otherwise` when the key is absent or of another type.  Integers and bools
 * of any width that fit, reals of either width (an integer counts). */
const struct gguf_entry  *gguf_find(const struct gguf *g, const char *key);
int64_t                   gguf_int(const struct gguf *g, const char *key, int64_t otherwise);
double                    gguf_real(const struct gguf *g, const char *key, double otherwise);
struct gguf_text          gguf_string(const struct gguf *g, const char *key); /* data NULL: none */
const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name);

/* Items of an array in turn: start with *at = 0; false at the end.  gguf_next_text() for
 * strings, gguf_next_number() for the rest. */
struct gguf_iter {
	const struct gguf_entry *entry;
	uint64_t                 index;
	size_t                   offset;
};
bool gguf_next_text(struct gguf_iter *i, struct gguf_text *ret);
bool gguf_next_number(struct gguf_iter *i, double *ret);

/* ---- writing ------------------------------------------------------------------------------ */

/* Gather metadata, declare tensors, then hand their bytes over in the order of declaration:
 *     gguf_writer_init(&w);  gguf_put_string(&w, ...);  gguf_declare(&w, ...);
 *     gguf_begin(&w, path, err);  gguf_data(&w, bytes, n); ...;  gguf_end(&w, err)
 * Version 3.  Out of memory shows in gguf_begin(). */
struct gguf_writer {
	struct rt_text  entries, tensors;
	uint64_t        n_entries, n_tensors, offset;
	struct rt_file *file;
};

void gguf_writer_init(struct gguf_writer *w);
void gguf_put_int(struct gguf_writer *w, const char *key, enum gguf_type type, int64_t value);
void gguf_put_real(struct gguf_writer *w, const char *key, double value); /* as f32 */
void gguf_put_string(struct gguf_writer *w, const char *key, const char *value);
void gguf_put_entry(struct gguf_writer *w, const struct gguf_entry *e);       /* a copy */
void gguf_put_entries(struct gguf_writer *w, const struct gguf_writer *from); /* all of another */

/* An array: its head, then `count` items of the type. */
void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_type item, uint64_t count);
void gguf_item_text(struct gguf_writer *w, const char *s, size_t n);
void gguf_item_i32(struct gguf_writer *w, int32_t x);
void gguf_item_f32(struct gguf_writer *w, float x);
void gguf_declare(struct gguf_writer *w, const char *name, const struct rt_tensor *t);

int  gguf_begin(struct gguf_writer *w, const char *path, struct rt_error *err);
void gguf_data(struct gguf_writer *w, const void *bytes, size_t n); /* part of a tensor */
void gguf_pad(struct gguf_writer *w);                               /* after each tensor */
int  gguf_end(struct gguf_writer *w, struct rt_error *err);
void gguf_writer_fini(struct gguf_writer *w); /* drops an unfinished file */

#endif
