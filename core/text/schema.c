/* schema.c - see retort/schema.h */
#include "text/schema.h"

#include <retort/row.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
	MAX_DEPTH = 64,  /* of a schema */
	MAX_STEPS = 512, /* of a value in it: references count */
	PATH = 200
};

/* One comparison: a value against a schema, somewhere inside the whole. */
struct match {
	const struct rt_json *root; /* of the schema, for $ref */
	char                 *why;
	size_t                why_size;
	char                  path[PATH]; /* of the value: .a.b[2] */
	int                   depth;
	struct rt_error      *err;
};

static int fits(struct match *m, const struct rt_json *schema, const struct rt_json *value);

static int no(struct match *m, const char *fmt, ...) RT_PRINTF(2, 3);

static int no(struct match *m, const char *fmt, ...)
{
	char    text[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (m->why)
		snprintf(m->why, m->why_size, "%s%s%s", *m->path ? m->path + (*m->path == '.') : "",
		         *m->path ? ": " : "", text);
	return 0;
}

/* The names of types, with those that BFCL and Python give them. */
static const struct {
	const char *name;
	unsigned    types; /* bits 1 << enum rt_json_type */
} types[] = {
	{ "object", 1 << RT_JSON_OBJECT },
	{ "dict", 1 << RT_JSON_OBJECT },
	{ "array", 1 << RT_JSON_ARRAY },
	{ "tuple", 1 << RT_JSON_ARRAY },
	{ "string", 1 << RT_JSON_STRING },
	{ "integer", 1 << RT_JSON_INT },
	{ "boolean", 1 << RT_JSON_BOOL },
	{ "null", 1 << RT_JSON_NULL },
	{ "number", 1 << RT_JSON_INT | 1 << RT_JSON_REAL },
	{ "float", 1 << RT_JSON_INT | 1 << RT_JSON_REAL },
	{ "any", ~0u },
};

unsigned schema_types(const struct rt_json *name)
{
	const char *s = rt_json_string(name);

	for (size_t i = 0; s && i < sizeof types / sizeof *types; i++)
		if (strcmp(types[i].name, s) == 0)
			return types[i].types;
	return 0;
}

static int type_bits(struct match *m, const struct rt_json *name, unsigned *bits)
{
	const unsigned known = schema_types(name);
	const char    *s = rt_json_string(name);

	*bits |= known;
	return known ? 1
	             : rt_fail(m->err, RT_E_FORMAT, "the schema has an unknown type '%s'",
	                       s ? s : "?");
}

static bool whole(double r)
{
	return isfinite(r) && r == floor(r);
}

static int check_type(struct match *m, const struct rt_json *want, const struct rt_json *value)
{
	unsigned bits = 0;
	int      r = 1;

	if (rt_json_is(want, RT_JSON_ARRAY))
		for (size_t i = 0; r == 1 && i < rt_json_length(want); i++)
			r = type_bits(m, rt_json_at(want, i), &bits);
	else
		r = type_bits(m, want, &bits);
	if (r < 0 || bits & 1u << rt_json_type(value))
		return r;
	if (rt_json_is(value, RT_JSON_REAL) && bits & 1u << RT_JSON_INT &&
	    whole(rt_json_real(value, 0.5)))
		return 1; /* 3.0 is an integer (draft 6 on) */
	return no(m, "is %s, not %s", rt_json_type_name(value),
	          rt_json_string(want) ? rt_json_string(want) : "of a type that is allowed");
}

static bool number_equal(const struct rt_json *a, const struct rt_json *b)
{
	return (rt_json_is(a, RT_JSON_INT) || rt_json_is(a, RT_JSON_REAL)) &&
	       (rt_json_is(b, RT_JSON_INT) || rt_json_is(b, RT_JSON_REAL)) &&
	       rt_json_real(a, 0) == rt_json_real(b, 1);
}

static bool equal(const struct rt_json *a, const struct rt_json *b)
{
	return rt_json_equal(a, b) || number_equal(a, b);
}

static int check_enum(struct match *m, const struct rt_json *want, const struct rt_json *value)
{
	for (size_t i = 0; i < rt_json_length(want); i++)
		if (equal(rt_json_at(want, i), value))
			return 1;
	return no(m, "is not one of the values that are allowed");
}

static int check_const(struct match *m, const struct rt_json *want, const struct rt_json *value)
{
	return equal(want, value) ? 1 : no(m, "is not the one value that is allowed");
}

static int check_required(struct match *m, const struct rt_json *want, const struct rt_json *value)
{
	for (size_t i = 0; rt_json_is(value, RT_JSON_OBJECT) && i < rt_json_length(want); i++) {
		const char *key = rt_json_string(rt_json_at(want, i));

		if (key && !rt_json_get(value, key))
			return no(m, "'%s' is missing", key);
	}
	return 1;
}

/* Go one step into the value and compare there. */
static int inside(struct match *m, const struct rt_json *schema, const struct rt_json *value,
                  const char *key, size_t index)
{
	const size_t n = strlen(m->path);
	int          r;

	if (key)
		snprintf(m->path + n, sizeof m->path - n, ".%s", key);
	else
		snprintf(m->path + n, sizeof m->path - n, "[%zu]", index);
	r = fits(m, schema, value);
	m->path[n] = '\0';
	return r;
}

static int check_properties(struct match *m, const struct rt_json *want,
                            const struct rt_json *value)
{
	int r = 1;

	for (struct rt_json_iter i = rt_json_first(want); r == 1 && i.key; rt_json_next(&i)) {
		const struct rt_json *member = rt_json_get(value, i.key);

		if (member)
			r = inside(m, i.value, member, i.key, 0);
	}
	return r;
}

static int check_items(struct match *m, const struct rt_json *want, const struct rt_json *value)
{
	int r = 1;

	for (size_t i = 0; r == 1 && rt_json_is(value, RT_JSON_ARRAY) && i < rt_json_length(value);
	     i++)
		r = inside(m, want, rt_json_at(value, i), NULL, i);
	return r;
}

static int check_any(struct match *m, const struct rt_json *want, const struct rt_json *value)
{
	for (size_t i = 0; i < rt_json_length(want); i++) {
		int r = fits(m, rt_json_at(want, i), value);

		if (r != 0)
			return r;
	}
	return no(m, "fits none of the forms that are allowed");
}

static int check_all(struct match *m, const struct rt_json *want, const struct rt_json *value)
{
	int r = 1;

	for (size_t i = 0; r == 1 && i < rt_json_length(want); i++)
		r = fits(m, rt_json_at(want, i), value);
	return r;
}

static int check_one(struct match *m, const struct rt_json *want, const struct rt_json *value)
{
	int n = 0;

	for (size_t i = 0; i < rt_json_length(want); i++) {
		int r = fits(m, rt_json_at(want, i), value);

		if (r < 0)
			return r;
		n += r;
	}
	return n == 1 ? 1 : no(m, "fits %d of the forms, exactly one is allowed", n);
}

static int check_not(struct match *m, const struct rt_json *want, const struct rt_json *value)
{
	int r = fits(m, want, value);

	return r < 0 ? r : r == 0 ? 1 : no(m, "has the form that is not allowed");
}

/* Code points, as JSON Schema counts them. */
static int64_t characters(const struct rt_json *string)
{
	const char *s = rt_json_string(string);
	int64_t     n = 0;

	for (size_t i = 0; i < rt_json_length(string); i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

static int check_length(struct match *m, double limit, enum rt_json_type type, int sign,
                        const struct rt_json *value)
{
	int64_t n;

	if (!rt_json_is(value, type))
		return 1;
	n = type == RT_JSON_STRING ? characters(value) : (int64_t)rt_json_length(value);
	return sign * ((double)n - limit) >= 0
	               ? 1
	               : no(m, "has %lld %s, %s %g", (long long)n,
	                    type == RT_JSON_STRING ? "characters" : "items",
	                    sign > 0 ? "needs at least" : "may have", limit);
}

static int check_min_length(struct match *m, const struct rt_json *w, const struct rt_json *v)
{
	return check_length(m, rt_json_real(w, 0), RT_JSON_STRING, 1, v);
}

static int check_max_length(struct match *m, const struct rt_json *w, const struct rt_json *v)
{
	return check_length(m, rt_json_real(w, 0), RT_JSON_STRING, -1, v);
}

static int check_min_items(struct match *m, const struct rt_json *w, const struct rt_json *v)
{
	return check_length(m, rt_json_real(w, 0), RT_JSON_ARRAY, 1, v);
}

static int check_max_items(struct match *m, const struct rt_json *w, const struct rt_json *v)
{
	return check_length(m, rt_json_real(w, 0), RT_JSON_ARRAY, -1, v);
}

static int check_unique(struct match *m, const struct rt_json *w, const struct rt_json *v)
{
	for (size_t i = 0;
	     rt_json_bool(w, false) && rt_json_is(v, RT_JSON_ARRAY) && i < rt_json_length(v); i++)
		for (size_t k = 0; k < i; k++)
			if (equal(rt_json_at(v, i), rt_json_at(v, k)))
				return no(m, "has the same item twice");
	return 1;
}

static bool is_number(const struct rt_json *v)
{
	return rt_json_is(v, RT_JSON_INT) || rt_json_is(v, RT_JSON_REAL);
}

static bool is_count(const struct rt_json *v)
{
	const double x = rt_json_real(v, -1);

	return x >= 0 && x == floor(x);
}

static int check_minimum(struct match *m, const struct rt_json *w, const struct rt_json *v)
{
	const double x = rt_json_real(v, 0), limit = rt_json_real(w, 0);

	return !is_number(v) || x >= limit ? 1 : no(m, "%g is less than %g", x, limit);
}

static int check_maximum(struct match *m, const struct rt_json *w, const struct rt_json *v)
{
	const double x = rt_json_real(v, 0), limit = rt_json_real(w, 0);

	return !is_number(v) || x <= limit ? 1 : no(m, "%g is more than %g", x, limit);
}

static int check_above(struct match *m, const struct rt_json *w, const struct rt_json *v)
{
	const double x = rt_json_real(v, 0), limit = rt_json_real(w, 0);

	return !is_number(v) || x > limit ? 1 : no(m, "%g is not more than %g", x, limit);
}

static int check_below(struct match *m, const struct rt_json *w, const struct rt_json *v)
{
	const double x = rt_json_real(v, 0), limit = rt_json_real(w, 0);

	return !is_number(v) || x < limit ? 1 : no(m, "%g is not less than %g", x, limit);
}

static int check_multiple(struct match *m, const struct rt_json *w, const struct rt_json *v)
{
	const double step = rt_json_real(w, 1), x = rt_json_real(v, 0);

	return !is_number(v) || step <= 0 || whole(x / step)
	               ? 1
	               : no(m, "%g is no multiple of %g", x, step);
}

/* "#/$defs/x": a step for each name between slashes. */
int schema_target(const struct rt_json *root, const struct rt_json *ref, const struct rt_json **ret,
                  struct rt_error *err)
{
	const char           *s = rt_json_string(ref);
	const struct rt_json *at = root;
	char                  part[128];

	if (!s || s[0] != '#')
		return rt_fail(err, RT_E_UNSUP,
		               "the schema refers to '%s'; only references into itself (#/...)",
		               s ? s : "?");
	for (s++; at && *s == '/'; s += strcspn(s + 1, "/") + 1) {
		snprintf(part, sizeof part, "%.*s", (int)strcspn(s + 1, "/"), s + 1);
		at = rt_json_get(at, part);
	}
	if (!at)
		return rt_fail(err, RT_E_FORMAT,
		               "the schema refers to '%s', which it does not have",
		               rt_json_string(ref));
	*ret = at;
	return 0;
}

static int check_ref(struct match *m, const struct rt_json *want, const struct rt_json *value)
{
	const struct rt_json *target;
	int                   r = schema_target(m->root, want, &target, m->err);

	return r < 0 ? r : fits(m, target, value);
}

typedef int keyword_fn(struct match *m, const struct rt_json *want, const struct rt_json *value);

static const struct {
	const char *name;
	keyword_fn *check; /* NULL: restricts nothing */
	char holds; /* 's' a schema, 'l' a list of them, 'm' members that are, 't' types, 'n' a
	             * number, 'c' a count, 'k' a list of keys, 'b' a boolean, 'v' a list, 0
	             * anything */
} keywords[] = {
	{ "type", check_type, 't' },
	{ "enum", check_enum, 'v' },
	{ "const", check_const, 0 },
	{ "required", check_required, 'k' },
	{ "properties", check_properties, 'm' },
	{ "items", check_items, 's' },
	{ "anyOf", check_any, 'l' },
	{ "allOf", check_all, 'l' },
	{ "oneOf", check_one, 'l' },
	{ "not", check_not, 's' },
	{ "minLength", check_min_length, 'c' },
	{ "maxLength", check_max_length, 'c' },
	{ "minItems", check_min_items, 'c' },
	{ "maxItems", check_max_items, 'c' },
	{ "uniqueItems", check_unique, 'b' },
	{ "minimum", check_minimum, 'n' },
	{ "maximum", check_maximum, 'n' },
	{ "exclusiveMinimum", check_above, 'n' },
	{ "exclusiveMaximum", check_below, 'n' },
	{ "multipleOf", check_multiple, 'n' },
	{ "$ref", check_ref, 0 },
	{ "additionalProperties", NULL, 's' }, /* beside properties, see check_others() */
	{ "$defs", NULL, 'm' },
	{ "definitions", NULL, 'm' },
	{ "title", NULL, 0 },
	{ "description", NULL, 0 },
	{ "default", NULL, 0 },
	{ "examples", NULL, 0 },
	{ "format", NULL, 0 },
	{ "deprecated", NULL, 0 },
	{ "readOnly", NULL, 0 },
	{ "writeOnly", NULL, 0 },
	{ "optional", NULL, 0 },
	{ "$schema", NULL, 0 },
	{ "$id", NULL, 0 },
	{ "$comment", NULL, 0 },
};

/* Members that `properties` does not name. */
static int check_others(struct match *m, const struct rt_json *schema, const struct rt_json *value)
{
	const struct rt_json *others = rt_json_get(schema, "additionalProperties");
	const struct rt_json *known = rt_json_get(schema, "properties");
	int                   r = 1;

	if (!others || !rt_json_is(value, RT_JSON_OBJECT))
		return 1;
	for (struct rt_json_iter i = rt_json_first(value); r == 1 && i.key; rt_json_next(&i)) {
		if (rt_json_get(known, i.key))
			continue;
		if (rt_json_is(others, RT_JSON_BOOL))
			r = rt_json_bool(others, true)
			            ? 1
			            : no(m, "'%s' is not among its properties", i.key);
		else
			r = inside(m, others, i.value, i.key, 0);
	}
	return r;
}

static int fits(struct match *m, const struct rt_json *schema, const struct rt_json *value)
{
	int r = 1;

	if (rt_json_is(schema, RT_JSON_BOOL))
		return rt_json_bool(schema, true) ? 1 : no(m, "is not allowed");
	if (!rt_json_is(schema, RT_JSON_OBJECT))
		return rt_fail(m->err, RT_E_FORMAT, "a schema must be an object, this is %s",
		               rt_json_type_name(schema));
	if (++m->depth > MAX_STEPS)
		return rt_fail(m->err, RT_E_FORMAT, "a value nests deeper than %d schemas",
		               MAX_STEPS);
	for (struct rt_json_iter i = rt_json_first(schema); r == 1 && i.key; rt_json_next(&i)) {
		size_t k = 0;

		while (k < sizeof keywords / sizeof *keywords &&
		       strcmp(keywords[k].name, i.key) != 0)
			k++;
		if (k == sizeof keywords / sizeof *keywords)
			r = rt_fail(m->err, RT_E_UNSUP, "the schema keyword '%s' is not supported",
			            i.key);
		else if (keywords[k].check)
			r = keywords[k].check(m, i.value, value);
	}
	if (r == 1)
		r = check_others(m, schema, value);
	m->depth--;
	return r;
}

int rt_schema_fits(const struct rt_json *schema, const struct rt_json *value, char *why, size_t n,
                   struct rt_error *err)
{
	struct match m = { .root = schema, .why = n > 0 ? why : NULL, .why_size = n, .err = err };

	int r;

	if (n > 0)
		why[0] = '\0';
	r = fits(&m, schema, value);
	if (r == 1 && n > 0)
		why[0] = '\0'; /* of a form that did not fit, where another did */
	return r;
}

int schema_fits(const struct rt_json *root, const struct rt_json *schema,
                const struct rt_json *value, struct rt_error *err)
{
	struct match m = { .root = root, .err = err };

	return fits(&m, schema, value);
}

static int check_schema(const struct rt_json *schema, int depth, struct rt_error *err);

static int check_types(const struct rt_json *value, struct rt_error *err)
{
	struct match m = { .err = err };
	unsigned     bits = 0;
	int          r = 1;

	if (!rt_json_is(value, RT_JSON_ARRAY))
		return type_bits(&m, value, &bits);
	for (size_t i = 0; r == 1 && i < rt_json_length(value); i++)
		r = type_bits(&m, rt_json_at(value, i), &bits);
	return r;
}

/* A keyword's value is of the kind that restricts something: "2" as a limit would not. */
static int check_value(const char *keyword, char holds, const struct rt_json *value,
                       struct rt_error *err)
{
	bool fits = true;

	if (holds == 't')
		return check_types(value, err) < 0 ? RT_E_FORMAT : 0;
	if (holds == 'n' || holds == 'c')
		fits = is_number(value);
	if (holds == 'c' && fits && !is_count(value))
		return rt_fail(err, RT_E_FORMAT,
		               "the schema keyword '%s' is %g, want a whole number from 0 on",
		               keyword, rt_json_real(value, 0));
	if (holds == 'b')
		fits = rt_json_is(value, RT_JSON_BOOL);
	if (holds == 'v' || holds == 'k' || holds == 'l')
		fits = rt_json_is(value, RT_JSON_ARRAY);
	if (holds == 'm')
		fits = rt_json_is(value, RT_JSON_OBJECT);
	for (size_t i = 0; holds == 'k' && fits && i < rt_json_length(value); i++)
		fits = rt_json_string(rt_json_at(value, i)) != NULL;
	return fits ? 0
	            : rt_fail(err, RT_E_FORMAT, "the schema keyword '%s' cannot be %s", keyword,
	                      holds == 'k' && rt_json_is(value, RT_JSON_ARRAY)
	                              ? "a list of anything but names"
	                              : rt_json_type_name(value));
}

/* The schemas that a keyword's value holds. */
static int check_held(char holds, const struct rt_json *value, int depth, struct rt_error *err)
{
	int r = 0;

	if (holds == 's')
		return check_schema(value, depth + 1, err);
	if (holds == 'l')
		for (size_t i = 0; r == 0 && i < rt_json_length(value); i++)
			r = check_schema(rt_json_at(value, i), depth + 1, err);
	if (holds == 'm')
		for (struct rt_json_iter i = rt_json_first(value); r == 0 && i.key;
		     rt_json_next(&i)) {
			r = check_schema(i.value, depth + 1, err);
			if (r < 0)
				return rt_within(err, r, "%s", i.key);
		}
	return r;
}

static int check_schema(const struct rt_json *schema, int depth, struct rt_error *err)
{
	int r = 0;

	if (rt_json_is(schema, RT_JSON_BOOL))
		return 0;
	if (!rt_json_is(schema, RT_JSON_OBJECT))
		return rt_fail(err, RT_E_FORMAT, "a schema must be an object, this is %s",
		               rt_json_type_name(schema));
	if (depth > MAX_DEPTH)
		return rt_fail(err, RT_E_FORMAT, "the schema nests deeper than %d", MAX_DEPTH);
	for (struct rt_json_iter i = rt_json_first(schema); r == 0 && i.key; rt_json_next(&i)) {
		size_t k = 0;

		while (k < sizeof keywords / sizeof *keywords &&
		       strcmp(keywords[k].name, i.key) != 0)
			k++;
		if (k == sizeof keywords / sizeof *keywords)
			return rt_fail(err, RT_E_UNSUP, "the schema keyword '%s' is not supported",
			               i.key);
		r = check_value(i.key, keywords[k].holds, i.value, err);
		if (r == 0)
			r = check_held(keywords[k].holds, i.value, depth, err);
	}
	return r;
}

int rt_schema_check(const struct rt_json *schema, struct rt_error *err)
{
	return check_schema(schema, 0, err);
}

int rt_schema_check_tools(const struct rt_json *tools, const char *where, struct rt_error *err)
{
	for (size_t i = 0; i < rt_json_length(tools); i++) {
		const struct rt_json *tool = rt_tool_at(tools, i);
		const struct rt_json *schema = rt_json_get(tool, "parameters");
		const char           *name = rt_json_string(rt_json_get(tool, "name"));
		const int             r = schema ? rt_schema_check(schema, err) : 0;

		if (r < 0)
			return rt_within(err, r, "%s: tool %s", where, name ? name : "?");
	}
	return 0;
}
