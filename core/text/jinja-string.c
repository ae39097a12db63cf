/* jinja-string.c - what filters and methods do with strings. */
#include "text/jinja.h"
#include "text/normal.h"

#include <string.h>

static const struct val undefined = { .t = V_UNDEF };

static bool in_set(struct val set, uint32_t c)
{
	for (size_t i = 0, n; i < set.n; i += n)
		if (rt_utf8_decode(set.u.s + i, set.n - i, &n) == c)
			return true;
	return false;
}

struct val string_strip(struct run *x, struct val v, struct val set, bool left, bool right)
{
	const char *s = v.u.s;
	size_t      n = v.n, len;

	while (left && n > 0) {
		const uint32_t c = rt_utf8_decode(s, n, &len);

		if (set.t == V_STR ? !in_set(set, c) : !normal_is_space(c))
			break;
		s += len;
		n -= len;
	}
	while (right && n > 0) {
		size_t   back = 1;
		uint32_t c;

		while (back < n && ((unsigned char)s[n - back] & 0xc0) == 0x80)
			back++;
		c = rt_utf8_decode(s + n - back, back, &len);
		if (set.t == V_STR ? !in_set(set, c) : !normal_is_space(c))
			break;
		n -= back;
	}
	return val_str(x, s, n);
}

const char *string_seek(const char *s, size_t n, struct val what)
{
	for (size_t i = 0; i + what.n <= n; i++)
		if (memcmp(s + i, what.u.s, what.n) == 0)
			return s + i;
	return NULL;
}

struct val string_split(struct run *x, struct val v, struct val by, int64_t limit)
{
	struct val list = val_list(x);
	size_t     i = 0, len;

	if (by.t == V_STR && by.n == 0)
		pool_fail(&x->pool, RT_E_INVAL, "split by an empty string");
	while (by.t == V_STR && !x->pool.r) {
		const char *hit = limit-- == 0 ? NULL : string_seek(v.u.s + i, v.n - i, by);

		val_append(x, list,
		           val_str(x, v.u.s + i, hit ? (size_t)(hit - v.u.s) - i : v.n - i));
		if (!hit)
			return list;
		i = (size_t)(hit - v.u.s) + by.n;
	}
	while (i < v.n && !x->pool.r) {
		size_t start;

		while (i < v.n && normal_is_space(rt_utf8_decode(v.u.s + i, v.n - i, &len)))
			i += len;
		start = i;
		if (limit-- == 0)
			i = v.n;
		while (i < v.n && !normal_is_space(rt_utf8_decode(v.u.s + i, v.n - i, &len)))
			i += len;
		if (i > start)
			val_append(x, list, val_str(x, v.u.s + start, i - start));
	}
	return list;
}

struct val string_replace(struct run *x, struct val v, struct val from, struct val to,
                          int64_t limit)
{
	struct rt_text t = RT_TEXT_INIT;
	size_t         i = 0;

	if (from.t != V_STR || to.t != V_STR || from.n == 0) {
		pool_fail(&x->pool, RT_E_INVAL, "replace needs two strings, the first not empty");
		return undefined;
	}
	for (const char *hit;
	     limit-- != 0 && (hit = string_seek(v.u.s + i, v.n - i, from)) != NULL;) {
		rt_text_add_n(&t, v.u.s + i, (size_t)(hit - v.u.s) - i);
		rt_text_add_n(&t, to.u.s, to.n);
		i = (size_t)(hit - v.u.s) + from.n;
		if (t.len > JINJA_OUTPUT)
			break;
	}
	rt_text_add_n(&t, v.u.s + i, v.n - i);
	return val_text(x, &t);
}

bool string_affix(struct val v, struct val a, bool end)
{
	if (a.t == V_LIST) {
		for (size_t i = 0; i < a.u.list->n; i++)
			if (string_affix(v, a.u.list->v[i], end))
				return true;
		return false;
	}
	return a.t == V_STR && a.n <= v.n && memcmp(v.u.s + (end ? v.n - a.n : 0), a.u.s, a.n) == 0;
}

/* mode: 'u' upper, 'l' lower, 'c' capitalize, 't' title */
struct val string_letters(struct run *x, struct val v, char mode)
{
	struct rt_text t = RT_TEXT_INIT;
	bool           start = true;

	for (size_t i = 0, n; i < v.n; i += n) {
		const uint32_t c = rt_utf8_decode(v.u.s + i, v.n - i, &n);

		if (mode == 'u' || (start && (mode == 'c' || mode == 't')))
			normal_upper(v.u.s + i, n, &t);
		else
			normal_lower(v.u.s + i, n, &t);
		start = mode == 't' && (!normal_is_word(c) || c == '_');
	}
	return val_text(x, &t);
}

struct val string_indent(struct run *x, struct val v, struct args *a)
{
	const struct val width = arg(a, 0, "width", val_int(4));
	const bool       first = val_true(arg(a, 1, "first", val_bool(false)));
	const bool       blank = val_true(arg(a, 2, "blank", val_bool(false)));
	struct rt_text   t = RT_TEXT_INIT;
	int64_t          n = width.t == V_INT ? width.u.i : 0;

	for (size_t i = 0; i <= v.n;) {
		const char *end = memchr(v.u.s + i, '\n', v.n - i);
		size_t      len = end ? (size_t)(end - v.u.s) - i : v.n - i;

		if (i == 0 ? first : len > 0 || blank)
			for (int64_t k = 0; width.t == V_INT && k < n && t.len <= JINJA_OUTPUT; k++)
				rt_text_add_char(&t, ' ');
		if ((i == 0 ? first : len > 0 || blank) && width.t == V_STR)
			rt_text_add_n(&t, width.u.s, width.n);
		rt_text_add_n(&t, v.u.s + i, len + (end != NULL));
		i += len + 1;
	}
	return val_text(x, &t);
}

/* str.format() as far as templates go: {}, {0} and {name}, without a format of the number. */
struct val string_format(struct run *x, struct val v, struct args *a)
{
	struct rt_text t = RT_TEXT_INIT;
	size_t         next = 0;

	for (size_t i = 0; i < v.n && !x->pool.r && t.len <= JINJA_OUTPUT; i++) {
		const char  c = v.u.s[i];
		const char *end = c == '{' ? memchr(v.u.s + i, '}', v.n - i) : NULL, *name;
		struct val *named, one = undefined;

		if ((c == '{' || c == '}') && i + 1 < v.n && v.u.s[i + 1] == c) {
			rt_text_add_char(&t, c);
			i++;
			continue;
		}
		if (c != '{') {
			rt_text_add_char(&t, c);
			continue;
		}
		name = v.u.s + i + 1;
		named = end ? val_get(&a->named, name, (size_t)(end - name)) : NULL;
		if (named)
			one = *named;
		else if (end == name && next < a->n)
			one = a->v[next++];
		else if (end == name + 1 && *name >= '0' && (size_t)(*name - '0') < a->n)
			one = a->v[*name - '0'];
		else
			pool_fail(&x->pool, RT_E_UNSUP, "format: nothing is given for '%.*s'",
			          (int)(end ? end - name + 2 : 1), name - 1);
		val_print(x, one, false, &t);
		i = end ? (size_t)(end - v.u.s) : v.n;
	}
	return val_text(x, &t);
}
