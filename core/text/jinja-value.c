/* jinja-value.c - memory and values of the template interpreter: making, comparing, printing. */
#include "text/jinja.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64 * 1024 };

void pool_fail(struct pool *p, int code, const char *fmt, ...)
{
	char    text[600];
	va_list ap;

	if (p->r)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	p->r = rt_fail(p->err, code, "line %d: %s", p->line, text);
}

void *pool_take(struct pool *p, size_t n)
{
	void *ret;

	n = (n + 15) & ~(size_t)15;
	if (p->r)
		return NULL;
	if (n > p->left) {
		const size_t take = n > CHUNK ? n : CHUNK;

		if (p->arena.used + take > JINJA_MEMORY) {
			pool_fail(p, RT_E_RANGE, "the template takes more than %d MiB",
			          JINJA_MEMORY >> 20);
			return NULL;
		}
		p->at = rt_arena_alloc(&p->arena, take, 1);
		p->left = p->at ? take : 0;
		if (!p->at) {
			pool_fail(p, RT_E_NOMEM, "out of memory for a template");
			return NULL;
		}
	}
	ret = p->at;
	p->at += n;
	p->left -= n;
	return ret;
}

static const struct val undefined = { .t = V_UNDEF };

struct val val_str(struct run *x, const char *s, size_t n)
{
	char *copy = pool_take(&x->pool, n + 1);

	if (!copy)
		return undefined;
	memcpy(copy, s, n);
	return (struct val){ .t = V_STR, .u.s = copy, .n = n };
}

struct val val_text(struct run *x, struct rt_text *t)
{
	struct val v = undefined;

	if (t->failed)
		pool_fail(&x->pool, RT_E_NOMEM, "out of memory for a template");
	else if (t->len > JINJA_OUTPUT)
		pool_fail(&x->pool, RT_E_RANGE, "a string of more than %d MiB", JINJA_OUTPUT >> 20);
	else
		v = val_str(x, t->data, t->len);
	rt_text_free(t);
	return v;
}

struct val val_int(int64_t i)
{
	return (struct val){ .t = V_INT, .u.i = i };
}

struct val val_bool(bool b)
{
	return (struct val){ .t = V_BOOL, .u.b = b };
}

struct val val_list(struct run *x)
{
	struct list *l = pool_take(&x->pool, sizeof *l);

	return l ? (struct val){ .t = V_LIST, .u.list = l } : undefined;
}

struct val val_dict(struct run *x)
{
	struct dict *d = pool_take(&x->pool, sizeof *d);

	return d ? (struct val){ .t = V_DICT, .u.dict = d } : undefined;
}

static void *more(struct run *x, void *old, size_t n, size_t *cap)
{
	void *p;

	if (n < *cap)
		return old;
	p = pool_take(&x->pool, (*cap ? 2 * *cap : 8) * sizeof(struct val));
	if (!p)
		return NULL;
	if (n)
		memcpy(p, old, n * sizeof(struct val));
	return p;
}

void val_append(struct run *x, struct val list, struct val v)
{
	struct list *l = list.u.list;
	void        *p;

	if (list.t != V_LIST || x->pool.r)
		return;
	p = more(x, l->v, l->n, &l->cap);
	if (!p)
		return;
	if (l->n == l->cap)
		l->cap = l->cap ? 2 * l->cap : 8;
	l->v = p;
	l->v[l->n++] = v;
}

void val_put(struct run *x, struct dict *d, struct val key, struct val v)
{
	void *k, *p;

	for (size_t i = 0; i < d->n; i++)
		if (val_equal(d->key[i], key)) {
			d->value[i] = v;
			return;
		}
	k = more(x, d->key, d->n, &d->cap); /* both or none: cap is of both */
	p = more(x, d->value, d->n, &d->cap);
	if (!k || !p)
		return;
	if (d->n == d->cap)
		d->cap = d->cap ? 2 * d->cap : 8;
	d->key = k;
	d->value = p;
	d->key[d->n] = key;
	d->value[d->n++] = v;
}

struct val *val_get(const struct dict *d, const char *key, size_t n)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->key[i].t == V_STR && d->key[i].n == n && memcmp(d->key[i].u.s, key, n) == 0)
			return &d->value[i];
	return NULL;
}

bool val_true(struct val v)
{
	switch (v.t) {
	case V_UNDEF:
	case V_NONE: return false;
	case V_BOOL: return v.u.b;
	case V_INT: return v.u.i != 0;
	case V_REAL: return v.u.d != 0;
	case V_STR: return v.n != 0;
	case V_LIST: return v.u.list->n != 0;
	case V_DICT: return v.u.dict->n != 0;
	default: return true;
	}
}

static bool number(struct val v, double *d)
{
	*d = v.t == V_BOOL ? v.u.b : v.t == V_INT ? (double)v.u.i : v.t == V_REAL ? v.u.d : 0;
	return v.t == V_BOOL || v.t == V_INT || v.t == V_REAL;
}

static bool equal(struct val a, struct val b, int depth)
{
	double x, y;

	if (depth > JINJA_DEPTH)
		return false;
	if (a.t == V_INT && b.t == V_INT)
		return a.u.i == b.u.i;
	if (number(a, &x) && number(b, &y))
		return x == y;
	if (a.t != b.t)
		return false;
	if (a.t == V_STR)
		return a.n == b.n && memcmp(a.u.s, b.u.s, a.n) == 0;
	if (a.t == V_LIST) {
		for (size_t i = 0; i < a.u.list->n && i < b.u.list->n; i++)
			if (!equal(a.u.list->v[i], b.u.list->v[i], depth + 1))
				return false;
		return a.u.list->n == b.u.list->n;
	}
	if (a.t == V_DICT) {
		for (size_t i = 0; i < a.u.dict->n; i++) {
			struct val *o = a.u.dict->key[i].t == V_STR
			                        ? val_get(b.u.dict, a.u.dict->key[i].u.s,
			                                  a.u.dict->key[i].n)
			                        : NULL;

			if (!o || !equal(a.u.dict->value[i], *o, depth + 1))
				return false;
		}
		return a.u.dict->n == b.u.dict->n;
	}
	return a.t == V_NONE || a.t == V_UNDEF || a.u.i == b.u.i;
}

bool val_equal(struct val a, struct val b)
{
	return equal(a, b, 0);
}

const char *val_name(struct val v)
{
	static const char *const names[] = { "undefined",   "none",     "a boolean", "an integer",
		                             "a float",     "a string", "a list",    "a mapping",
		                             "a namespace", "a loop",   "a macro",   "a function" };

	return names[v.t];
}

int val_order(struct run *x, struct val a, struct val b)
{
	double p, q;

	if (number(a, &p) && number(b, &q))
		return (p > q) - (p < q);
	if (a.t == V_STR && b.t == V_STR) {
		const int r = memcmp(a.u.s, b.u.s, a.n < b.n ? a.n : b.n);

		return r ? (r > 0) - (r < 0) : (a.n > b.n) - (a.n < b.n);
	}
	pool_fail(&x->pool, RT_E_INVAL, "%s and %s have no order", val_name(a), val_name(b));
	return 0;
}

/* The shortest decimal form that reads back to the same double, as Python writes it. */
static void print_real(double d, struct rt_text *out)
{
	char s[40], *e;
	int  digits, exponent;

	if (!isfinite(d)) {
		rt_text_add(out, isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
		return;
	}
	for (digits = 1; digits < 17; digits++) {
		snprintf(s, sizeof s, "%.*e", digits - 1, d);
		if (strtod(s, NULL) == d)
			break;
	}
	snprintf(s, sizeof s, "%.*e", digits - 1, d);
	e = strchr(s, 'e');
	exponent = e ? atoi(e + 1) : 0;
	if (exponent < -4 || exponent >= 16) {
		*e = '\0';
		rt_text_printf(out, "%se%c%02d", s, exponent < 0 ? '-' : '+', abs(exponent));
		return;
	}
	rt_text_printf(out, "%.*f", digits - 1 > exponent ? digits - 1 - exponent : 1, d);
}

static void repr_string(struct val v, struct rt_text *out)
{
	const char quote = memchr(v.u.s, '\'', v.n) && !memchr(v.u.s, '"', v.n) ? '"' : '\'';

	rt_text_add_char(out, quote);
	for (size_t i = 0; i < v.n; i++) {
		const char c = v.u.s[i];

		if (c == quote || c == '\\')
			rt_text_printf(out, "\\%c", c);
		else if (c == '\n' || c == '\t' || c == '\r')
			rt_text_add(out, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
		else if ((unsigned char)c < 32 || c == 127)
			rt_text_printf(out, "\\x%02x", (unsigned)(unsigned char)c);
		else
			rt_text_add_char(out, c);
	}
	rt_text_add_char(out, quote);
}

void val_print(struct run *x, struct val v, bool repr, struct rt_text *out)
{
	if (++x->pool.depth > JINJA_DEPTH || out->len > JINJA_OUTPUT)
		pool_fail(&x->pool, RT_E_RANGE, "a value is too deep or too long to print");
	if (x->pool.r)
		goto out;
	switch (v.t) {
	case V_UNDEF: break;
	case V_NONE: rt_text_add(out, "None"); break;
	case V_BOOL: rt_text_add(out, v.u.b ? "True" : "False"); break;
	case V_INT: rt_text_printf(out, "%lld", (long long)v.u.i); break;
	case V_REAL: print_real(v.u.d, out); break;
	case V_STR:
		if (repr)
			repr_string(v, out);
		else
			rt_text_add_n(out, v.u.s, v.n);
		break;
	case V_LIST:
		rt_text_add_char(out, '[');
		for (size_t i = 0; i < v.u.list->n; i++) {
			rt_text_add(out, i ? ", " : "");
			val_print(x, v.u.list->v[i], true, out);
		}
		rt_text_add_char(out, ']');
		break;
	case V_DICT:
		rt_text_add_char(out, '{');
		for (size_t i = 0; i < v.u.dict->n; i++) {
			rt_text_add(out, i ? ", " : "");
			val_print(x, v.u.dict->key[i], true, out);
			rt_text_add(out, ": ");
			val_print(x, v.u.dict->value[i], true, out);
		}
		rt_text_add_char(out, '}');
		break;
	default: rt_text_printf(out, "<%s>", val_name(v)); break;
	}
out:
	x->pool.depth--;
}

static void json_string(struct val v, bool ascii, struct rt_text *out)
{
	static const char plain[] = "\b\t\n\f\r\"\\";

	rt_text_add_char(out, '"');
	for (size_t i = 0, n; i < v.n; i += n) {
		const uint32_t c = rt_utf8_decode(v.u.s + i, v.n - i, &n);
		const char    *short_form = c && c < 128 ? strchr(plain, (int)c) : NULL;

		if (short_form)
			rt_text_printf(out, "\\%c", "btnfr\"\\"[short_form - plain]);
		else if (ascii && c > 0xffff)
			rt_text_printf(out, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10),
			               0xdc00 + (c & 0x3ff));
		else if (c < 32 || (ascii && c > 126))
			rt_text_printf(out, "\\u%04x", (unsigned)c);
		else
			rt_text_add_n(out, v.u.s + i, n);
	}
	rt_text_add_char(out, '"');
}

static void line(const struct json_style *s, int level, struct rt_text *out)
{
	if (s->indent < 0)
		return;
	rt_text_add_char(out, '\n');
	for (int64_t i = 0; i < s->indent * level; i++)
		rt_text_add_char(out, ' ');
}

static void json_dict(struct run *x, const struct dict *d, const struct json_style *s, int level,
                      struct rt_text *out)
{
	rt_text_add_char(out, '{');
	for (size_t i = 0; i < d->n; i++) {
		const bool text = d->key[i].t == V_STR;

		rt_text_add(out, i ? s->comma : "");
		line(s, level + 1, out);
		rt_text_add(out, text ? "" : "\"");
		val_json(x, d->key[i], s, level + 1, out);
		rt_text_add(out, text ? "" : "\"");
		rt_text_add(out, s->colon);
		val_json(x, d->value[i], s, level + 1, out);
	}
	if (d->n)
		line(s, level, out);
	rt_text_add_char(out, '}');
}

void val_json(struct run *x, struct val v, const struct json_style *s, int level,
              struct rt_text *out)
{
	struct list *l = v.u.list;

	if (level > JINJA_DEPTH || out->len > JINJA_OUTPUT)
		pool_fail(&x->pool, RT_E_RANGE, "a value is too deep or too long for tojson");
	if (x->pool.r)
		return;
	if (v.t == V_STR) {
		json_string(v, s->ascii, out);
	} else if (v.t == V_NONE || v.t == V_BOOL) {
		rt_text_add(out, v.t == V_NONE ? "null" : v.u.b ? "true" : "false");
	} else if (v.t == V_REAL && !isfinite(v.u.d)) {
		rt_text_add(out, isnan(v.u.d) ? "NaN" : v.u.d < 0 ? "-Infinity" : "Infinity");
	} else if (v.t == V_INT || v.t == V_REAL) {
		val_print(x, v, false, out);
	} else if (v.t == V_LIST) {
		rt_text_add_char(out, '[');
		for (size_t i = 0; i < l->n; i++) {
			rt_text_add(out, i ? s->comma : "");
			line(s, level + 1, out);
			val_json(x, l->v[i], s, level + 1, out);
		}
		if (l->n)
			line(s, level, out);
		rt_text_add_char(out, ']');
	} else if (v.t == V_DICT) {
		json_dict(x, v.u.dict, s, level, out);
	} else {
		pool_fail(&x->pool, RT_E_INVAL, "%s has no JSON form%s%s", val_name(v),
		          v.t == V_UNDEF && v.u.s ? ": " : "",
		          v.t == V_UNDEF && v.u.s ? v.u.s : "");
	}
}

struct val val_from_json(struct run *x, const struct rt_json *j)
{
	struct val v = undefined;

	switch (rt_json_type(j)) {
	case RT_JSON_NULL: v.t = V_NONE; break;
	case RT_JSON_BOOL: v = val_bool(rt_json_bool(j, false)); break;
	case RT_JSON_INT: v = val_int(rt_json_int(j, 0)); break;
	case RT_JSON_REAL:
		v.t = V_REAL;
		v.u.d = rt_json_real(j, 0);
		break;
	case RT_JSON_STRING: v = val_str(x, rt_json_string(j), rt_json_length(j)); break;
	case RT_JSON_ARRAY:
		v = val_list(x);
		for (size_t i = 0; !x->pool.r && i < rt_json_length(j); i++)
			val_append(x, v, val_from_json(x, rt_json_at(j, i)));
		break;
	case RT_JSON_OBJECT:
		v = val_dict(x);
		for (struct rt_json_iter i = rt_json_first(j); !x->pool.r && i.key;
		     rt_json_next(&i))
			val_put(x, v.u.dict, val_str(x, i.key, strlen(i.key)),
			        val_from_json(x, i.value));
		break;
	}
	return v;
}

struct list *val_items(struct run *x, struct val v)
{
	struct val list;

	if (v.t == V_LIST)
		return v.u.list;
	list = val_list(x);
	if (list.t != V_LIST)
		return NULL;
	if (v.t == V_DICT)
		for (size_t i = 0; i < v.u.dict->n; i++)
			val_append(x, list, v.u.dict->key[i]);
	else if (v.t == V_STR)
		for (size_t i = 0, n; i < v.n; i += n) {
			rt_utf8_decode(v.u.s + i, v.n - i, &n);
			val_append(x, list, val_str(x, v.u.s + i, n));
		}
	else if (v.t != V_UNDEF)
		pool_fail(&x->pool, RT_E_INVAL, "%s cannot be iterated over", val_name(v));
	return list.u.list;
}

int64_t val_length(struct run *x, struct val v)
{
	int64_t n = 0;

	if (v.t == V_STR)
		for (size_t i = 0; i < v.n; i++)
			n += ((unsigned char)v.u.s[i] & 0xc0) != 0x80;
	else if (v.t == V_LIST)
		n = (int64_t)v.u.list->n;
	else if (v.t == V_DICT)
		n = (int64_t)v.u.dict->n;
	else if (v.t != V_UNDEF)
		pool_fail(&x->pool, RT_E_INVAL, "%s has no length", val_name(v));
	return n;
}
