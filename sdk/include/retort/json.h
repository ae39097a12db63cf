/* retort/json.h - JSON values, by way of the Jansson library.
 *
 * A value is reference-counted: functions that make one return a new reference that the
 * caller releases with rt_json_free(); functions that look inside lend theirs.  Objects
 * keep the order of their keys.  Integers are 64-bit; numbers with a fraction or an
 * exponent are double.  Strings are valid UTF-8 and may hold U+0000.
 *
 * Reading is strict: duplicate keys, trailing text, integers that do not fit, invalid
 * UTF-8, and nesting deeper than 512 are errors with line and column.
 *
 * References may be taken and given back in any thread; a value that several threads see must not
 * be changed. */
#ifndef RETORT_JSON_H
#define RETORT_JSON_H

#include <retort/error.h>
#include <retort/text.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rt_json;

enum rt_json_type {
	RT_JSON_NULL,
	RT_JSON_BOOL,
	RT_JSON_INT,
	RT_JSON_REAL,
	RT_JSON_STRING,
	RT_JSON_ARRAY,
	RT_JSON_OBJECT
};

/* Read n bytes.  `name` (a path) and `line` (of the first byte, from 1) begin the message. */
int rt_json_parse(const char *text, size_t n, const char *name, int64_t line, struct rt_json **ret,
                  struct rt_error *err);

/* Read a file of at most `limit` bytes (0: 1 GiB). */
int rt_json_read(const char *path, int64_t limit, struct rt_json **ret, struct rt_error *err);

/* How to write.  Reals are written so that they read back to the same double. */
enum {
	RT_JSON_SORT = 1,   /* keys in byte order: a canonical form for hashing */
	RT_JSON_INDENT = 2, /* two spaces a level */
	RT_JSON_SPACED = 4, /* ", " and ": " on one line, as Python's json.dumps does */
	RT_JSON_ASCII = 8   /* \uXXXX for everything past ASCII */
};
/* Appends to `out`; check out->failed. */
void rt_json_print(const struct rt_json *j, unsigned flags, struct rt_text *out);
/* Write to a file, atomically, with a newline at the end. */
int rt_json_write(const struct rt_json *j, unsigned flags, const char *path, struct rt_error *err);

struct rt_json *rt_json_ref(const struct rt_json *j);  /* one more reference; NULL is fine */
void            rt_json_free(struct rt_json *j);       /* one reference less; NULL is fine */
struct rt_json *rt_json_copy(const struct rt_json *j); /* deep; NULL when out of memory */
bool            rt_json_equal(const struct rt_json *a, const struct rt_json *b);

/* Looking.  All accept NULL, which has the type RT_JSON_NULL and no members. */
enum rt_json_type rt_json_type(const struct rt_json *j);
const char       *rt_json_type_name(const struct rt_json *j); /* "a string", "null", ... */
bool              rt_json_is(const struct rt_json *j, enum rt_json_type type); /* false for NULL */
bool              rt_json_bool(const struct rt_json *j, bool otherwise);
int64_t         rt_json_int(const struct rt_json *j, int64_t otherwise); /* of a real: otherwise */
double          rt_json_real(const struct rt_json *j, double otherwise); /* of an int: its value */
const char     *rt_json_string(const struct rt_json *j);                 /* NULL unless a string */
size_t          rt_json_length(const struct rt_json *j); /* bytes of a string, items, members */
struct rt_json *rt_json_get(const struct rt_json *object, const char *key); /* or NULL */
struct rt_json *rt_json_at(const struct rt_json *array, size_t i);          /* or NULL */

/* Members in order:
 *     for (struct rt_json_iter i = rt_json_first(o); i.key; rt_json_next(&i)) ... i.key, i.value */
struct rt_json_iter {
	const char           *key;
	struct rt_json       *value;
	const struct rt_json *object;
	void                 *state;
};
struct rt_json_iter rt_json_first(const struct rt_json *object);
void                rt_json_next(struct rt_json_iter *i);

/* Making.  NULL when out of memory; strings must be valid UTF-8 (else NULL).  A real that
 * is not finite has no JSON form: it becomes null. */
struct rt_json *rt_json_new_object(void);
struct rt_json *rt_json_new_array(void);
struct rt_json *rt_json_new_string(const char *s); /* NULL makes null */
struct rt_json *rt_json_new_string_n(const char *s, size_t n);
struct rt_json *rt_json_new_int(int64_t i);
struct rt_json *rt_json_new_real(double r);
struct rt_json *rt_json_new_bool(bool b);
struct rt_json *rt_json_new_null(void);

/* Put a value into a container.  They take over the reference of `value`, also when they
 * fail; a NULL value (out of memory while it was made) fails.  So a tree can be built
 * without checks in between:
 *     r |= rt_json_set(o, "id", rt_json_new_string(id));
 * 0 or RT_E_NOMEM; RT_E_RANGE when an array has no place i to replace. */
int rt_json_set(struct rt_json *object, const char *key, struct rt_json *value);
int rt_json_append(struct rt_json *array, struct rt_json *value);
int rt_json_replace(struct rt_json *array, size_t i, struct rt_json *value);
int rt_json_remove(struct rt_json *object, const char *key); /* absent is fine */

#endif
