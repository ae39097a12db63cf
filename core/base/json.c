/* json.c - JSON values, see retort/json.h.  The only file that knows about Jansson. */
#include <retort/json.h>

#include <retort/file.h>
#include <retort/memory.h>

#include "base/fault.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 512 };

static _Thread_local bool starved; /* an allocation failed */

/* While a text is read: where to go when memory runs out.  Jansson's lexer goes on with a token
 * buffer that could not grow, and then writes past its end, so it must not see the failure.  What
 * it holds at that moment is lost; a test's failure is therefore had before it starts. */
static _Thread_local jmp_buf *escape;

static void *give(size_t n)
{
	void *p = escape ? malloc(n) : rt_realloc(NULL, n, 1);

	if (p)
		return p;
	starved = true;
	if (escape)
		longjmp(*escape, 1);
	return NULL;
}

static pthread_once_t prepared = PTHREAD_ONCE_INIT;

static void prepare(void)
{
	json_set_alloc_funcs(give, rt_free);
}

/* In front of every call that allocates. */
static void begin(void)
{
	pthread_once(&prepared, prepare);
	starved = false;
}

static json_t *in(const struct rt_json *j)
{
	return (json_t *)(uintptr_t)j;
}

static struct rt_json *out(json_t *j)
{
	return (struct rt_json *)j;
}

/* Where the text nests deeper than we read: true, with line and column counted from 1. */
static bool too_deep(const char *s, size_t n, int64_t *line, int64_t *column)
{
	int  depth = 0;
	bool quoted = false;

	*line = 1;
	*column = 0;
	for (size_t i = 0; i < n; i++) {
		*column += ((unsigned char)s[i] & 0xc0) != 0x80;
		if (s[i] == '\n') {
			++*line;
			*column = 0;
		} else if (quoted) {
			if (s[i] == '\\')
				i++, ++*column;
			else
				quoted = s[i] != '"';
		} else if (s[i] == '"') {
			quoted = true;
		} else if (s[i] == '[' || s[i] == '{') {
			if (++depth > DEEPEST)
				return true;
		} else if (s[i] == ']' || s[i] == '}') {
			depth--;
		}
	}
	return false;
}

/* Jansson's text may quote bytes that are not UTF-8: it ends in front of them. */
static int explain(const json_error_t *e, const char *name, int64_t line, struct rt_error *err)
{
	const int n = (int)rt_utf8_check(e->text, strlen(e->text));

	return rt_fail(err, RT_E_FORMAT, "%s:%lld:%d: %.*s", name,
	               (long long)(line + (e->line > 1 ? e->line - 1 : 0)),
	               e->column > 1 ? e->column : 1, n, e->text);
}

/* NULL with `starved` set when memory ran out, else with *e. */
static json_t *load(const char *text, size_t n, json_error_t *e)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
	jmp_buf      here;
	json_t      *j;

	begin();
	starved = fault_alloc();
	if (starved)
		return NULL;
	if (setjmp(here) != 0) {
		escape = NULL;
		return NULL;
	}
	escape = &here;
	j = json_loadb(text, n, flags, e);
	escape = NULL;
	return j;
}

int rt_json_parse(const char *text, size_t n, const char *name, int64_t line, struct rt_json **ret,
                  struct rt_error *err)
{
	json_error_t e;
	json_t      *j;
	int64_t      at, column;

	if (too_deep(text, n, &at, &column))
		return rt_fail(err, RT_E_FORMAT, "%s:%lld:%lld: nested deeper than %d", name,
		               (long long)(line + at - 1), (long long)column, DEEPEST);
	j = load(text, n, &e);
	if (!j && starved)
		return rt_fail(err, RT_E_NOMEM, "%s:%lld: out of memory for JSON", name,
		               (long long)line);
	if (!j)
		return explain(&e, name, line, err);
	*ret = out(j);
	return 0;
}

int rt_json_read(const char *path, int64_t limit, struct rt_json **ret, struct rt_error *err)
{
	struct rt_text t = RT_TEXT_INIT;
	int            r = rt_file_read(path, limit, &t, err);

	if (r == 0)
		r = rt_json_parse(t.data, t.len, path, 1, ret, err);
	rt_text_free(&t);
	return r;
}

/* Jansson counts atomically, but its inline functions first read the count plainly to spare
 * constants (true, null), while another thread may be counting.  These read it atomically. */
static bool is_constant(const json_t *v)
{
	return __atomic_load_n(&v->refcount, __ATOMIC_RELAXED) == (size_t)-1;
}

struct rt_json *rt_json_ref(const struct rt_json *j)
{
	json_t *v = in(j);

	if (v && !is_constant(v))
		__atomic_add_fetch(&v->refcount, 1, __ATOMIC_ACQ_REL);
	return out(v);
}

void rt_json_free(struct rt_json *j)
{
	json_t *v = in(j);

	if (v && !is_constant(v) && __atomic_sub_fetch(&v->refcount, 1, __ATOMIC_ACQ_REL) == 0)
		json_delete(v);
}

struct rt_json *rt_json_copy(const struct rt_json *j)
{
	json_t *copy;

	begin();
	copy = json_deep_copy(in(j));
	if (starved) {
		json_decref(copy);
		copy = NULL;
	}
	return out(copy);
}

bool rt_json_equal(const struct rt_json *a, const struct rt_json *b)
{
	return json_equal(in(a), in(b));
}

enum rt_json_type rt_json_type(const struct rt_json *j)
{
	static const enum rt_json_type types[] = {
		[JSON_OBJECT] = RT_JSON_OBJECT, [JSON_ARRAY] = RT_JSON_ARRAY,
		[JSON_STRING] = RT_JSON_STRING, [JSON_INTEGER] = RT_JSON_INT,
		[JSON_REAL] = RT_JSON_REAL,     [JSON_TRUE] = RT_JSON_BOOL,
		[JSON_FALSE] = RT_JSON_BOOL,    [JSON_NULL] = RT_JSON_NULL,
	};

	return j ? types[json_typeof(in(j))] : RT_JSON_NULL;
}

const char *rt_json_type_name(const struct rt_json *j)
{
	static const char *const names[] = {
		[RT_JSON_NULL] = "null",        [RT_JSON_BOOL] = "true or false",
		[RT_JSON_INT] = "an integer",   [RT_JSON_REAL] = "a real number",
		[RT_JSON_STRING] = "a string",  [RT_JSON_ARRAY] = "an array",
		[RT_JSON_OBJECT] = "an object",
	};

	return names[rt_json_type(j)];
}

bool rt_json_is(const struct rt_json *j, enum rt_json_type type)
{
	return j && rt_json_type(j) == type;
}

bool rt_json_bool(const struct rt_json *j, bool otherwise)
{
	return rt_json_is(j, RT_JSON_BOOL) ? json_is_true(in(j)) : otherwise;
}

int64_t rt_json_int(const struct rt_json *j, int64_t otherwise)
{
	return rt_json_is(j, RT_JSON_INT) ? (int64_t)json_integer_value(in(j)) : otherwise;
}

double rt_json_real(const struct rt_json *j, double otherwise)
{
	return j && json_is_number(in(j)) ? json_number_value(in(j)) : otherwise;
}

const char *rt_json_string(const struct rt_json *j)
{
	return json_string_value(in(j));
}

size_t rt_json_length(const struct rt_json *j)
{
	switch (rt_json_type(j)) {
	case RT_JSON_STRING: return json_string_length(in(j));
	case RT_JSON_ARRAY: return json_array_size(in(j));
	case RT_JSON_OBJECT: return json_object_size(in(j));
	default: return 0;
	}
}

struct rt_json *rt_json_get(const struct rt_json *object, const char *key)
{
	return out(json_object_get(in(object), key));
}

struct rt_json *rt_json_at(const struct rt_json *array, size_t i)
{
	return out(json_array_get(in(array), i));
}

static void look(struct rt_json_iter *i)
{
	i->key = i->state ? json_object_iter_key(i->state) : NULL;
	i->value = i->state ? out(json_object_iter_value(i->state)) : NULL;
}

struct rt_json_iter rt_json_first(const struct rt_json *object)
{
	struct rt_json_iter i = { .object = object, .state = json_object_iter(in(object)) };

	look(&i);
	return i;
}

void rt_json_next(struct rt_json_iter *i)
{
	i->state = json_object_iter_next(in(i->object), i->state);
	look(i);
}

struct rt_json *rt_json_new_object(void)
{
	begin();
	return out(json_object());
}

struct rt_json *rt_json_new_array(void)
{
	begin();
	return out(json_array());
}

struct rt_json *rt_json_new_string_n(const char *s, size_t n)
{
	begin();
	return out(json_stringn(s, n));
}

struct rt_json *rt_json_new_string(const char *s)
{
	return s ? rt_json_new_string_n(s, strlen(s)) : rt_json_new_null();
}

struct rt_json *rt_json_new_int(int64_t i)
{
	begin();
	return out(json_integer(i));
}

struct rt_json *rt_json_new_real(double r)
{
	begin();
	return isfinite(r) ? out(json_real(r)) : rt_json_new_null();
}

struct rt_json *rt_json_new_bool(bool b)
{
	return out(json_boolean(b));
}

struct rt_json *rt_json_new_null(void)
{
	return out(json_null());
}

static int put(int r)
{
	return r == 0 ? 0 : RT_E_NOMEM;
}

int rt_json_set(struct rt_json *object, const char *key, struct rt_json *value)
{
	begin();
	return put(json_object_set_new(in(object), key, in(value)));
}

int rt_json_append(struct rt_json *array, struct rt_json *value)
{
	begin();
	return put(json_array_append_new(in(array), in(value)));
}

int rt_json_replace(struct rt_json *array, size_t i, struct rt_json *value)
{
	const bool inside = i < rt_json_length(array);
	int        r;

	begin();
	r = put(json_array_set_new(in(array), i, in(value)));
	return inside ? r : RT_E_RANGE;
}

int rt_json_remove(struct rt_json *object, const char *key)
{
	json_object_del(in(object), key);
	return 0;
}
