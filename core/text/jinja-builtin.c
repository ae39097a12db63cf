/* jinja-builtin.c - the filters, tests and methods that templates may use. */
#include "text/jinja.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct val undefined = { .t = V_UNDEF };

struct val arg(struct args *a, size_t i, const char *name, struct val otherwise)
{
	struct val *named = val_get(&a->named, name, strlen(name));

	return i < a->n ? a->v[i] : named ? *named : otherwise;
}

static struct val text_of(struct run *x, struct val v)
{
	struct rt_text t = RT_TEXT_INIT;

	if (v.t == V_STR)
		return v;
	val_print(x, v, false, &t);
	return val_text(x, &t);
}

/* ---- lists ---- */

static struct val join(struct run *x, struct val v, struct val by, struct val attr)
{
	struct list   *l = val_items(x, v);
	struct rt_text t = RT_TEXT_INIT;

	for (size_t i = 0; l && i < l->n && !x->pool.r && t.len <= JINJA_OUTPUT; i++) {
		if (i && by.t == V_STR)
			rt_text_add_n(&t, by.u.s, by.n);
		val_print(x, attr.t == V_STR ? jinja_attr(x, l->v[i], attr.u.s, attr.n) : l->v[i],
		          false, &t);
	}
	return val_text(x, &t);
}

static struct val items(struct run *x, struct val v)
{
	struct val list = val_list(x);

	if (v.t != V_DICT && v.t != V_UNDEF)
		pool_fail(&x->pool, RT_E_INVAL, "%s has no items", val_name(v));
	for (size_t i = 0; v.t == V_DICT && !x->pool.r && i < v.u.dict->n; i++) {
		const struct val pair = val_list(x);

		val_append(x, pair, v.u.dict->key[i]);
		val_append(x, pair, v.u.dict->value[i]);
		val_append(x, list, pair);
	}
	return list;
}

static struct val path(struct run *x, struct val v, struct val attr)
{
	const char *s = attr.u.s, *dot;

	if (attr.t != V_STR)
		return v;
	if (v.t == V_LIST && attr.n == 1 && *s >= '0' && *s <= '9') /* of a pair */
		return (size_t)(*s - '0') < v.u.list->n ? v.u.list->v[*s - '0'] : undefined;
	while ((dot = strchr(s, '.')) != NULL) {
		v = jinja_attr(x, v, s, (size_t)(dot - s));
		s = dot + 1;
	}
	return jinja_attr(x, v, s, strlen(s));
}

/* Insertion keeps equal items in order; lists in templates are short. */
static struct val sorted(struct run *x, struct val v, struct val attr, bool reverse)
{
	struct list *from = val_items(x, v), *l;
	struct val   ret = val_list(x);

	for (size_t i = 0; from && i < from->n; i++)
		val_append(x, ret, from->v[i]);
	l = ret.u.list;
	for (size_t i = 1; !x->pool.r && i < l->n; i++) {
		const struct val one = l->v[i], key = path(x, one, attr);
		size_t           k = i;

		while (k > 0 && !x->pool.r &&
		       (reverse ? val_order(x, path(x, l->v[k - 1], attr), key) < 0
		                : val_order(x, path(x, l->v[k - 1], attr), key) > 0)) {
			l->v[k] = l->v[k - 1];
			k--;
			if (++x->steps > JINJA_STEPS)
				pool_fail(&x->pool, RT_E_RANGE,
				          "the template takes more than %d steps", JINJA_STEPS);
		}
		l->v[k] = one;
	}
	return ret;
}

static struct val map(struct run *x, struct val v, struct args *a)
{
	const struct val attr = arg(a, 9, "attribute", undefined),
			 name = arg(a, 0, "filter", undefined);
	const struct val otherwise = arg(a, 9, "default", undefined);
	struct list     *l = v.t == V_NONE ? NULL : val_items(x, v);
	struct val       ret = val_list(x);
	struct args      rest = { 0 };

	for (size_t i = 1; i < a->n; i++)
		rest.v[rest.n++] = a->v[i];
	rest.named = a->named;
	for (size_t i = 0; l && i < l->n && !x->pool.r; i++) {
		struct val one = attr.t == V_STR   ? path(x, l->v[i], attr)
		                 : name.t == V_STR ? filter_call(x, name.u.s, l->v[i], &rest)
		                                   : undefined;

		val_append(x, ret, one.t == V_UNDEF ? otherwise : one);
	}
	return ret;
}

static struct val pick(struct run *x, struct val v, struct args *a, bool by_attr, bool want)
{
	const size_t skip = by_attr;
	struct list *l = v.t == V_NONE ? NULL : val_items(x, v); /* none: nothing to pick from */
	struct val   ret = val_list(x);
	struct args  rest = { 0 };

	for (size_t i = skip + 1; i < a->n; i++)
		rest.v[rest.n++] = a->v[i];
	for (size_t i = 0; l && i < l->n && !x->pool.r; i++) {
		const struct val one = by_attr && a->n ? path(x, l->v[i], a->v[0]) : l->v[i];
		const bool       yes = a->n > skip && a->v[skip].t == V_STR
		                               ? test_call(x, a->v[skip].u.s, one, &rest)
		                               : val_true(one);

		if (yes == want)
			val_append(x, ret, l->v[i]);
	}
	return ret;
}

static struct val edge(struct run *x, struct val v, bool last)
{
	struct list *l = val_items(x, v);

	return l && l->n ? l->v[last ? l->n - 1 : 0] : undefined;
}

static struct val reversed(struct run *x, struct val v, bool unique)
{
	struct list *l = val_items(x, v);
	struct val   ret = val_list(x);
	bool         seen;

	for (size_t i = 0; l && i < l->n && !x->pool.r; i++) {
		seen = false;
		for (size_t k = 0; unique && k < ret.u.list->n && !seen; k++)
			seen = val_equal(ret.u.list->v[k], l->v[i]);
		if (!seen)
			val_append(x, ret, unique ? l->v[i] : l->v[l->n - 1 - i]);
	}
	return v.t == V_STR && !unique ? join(x, ret, undefined, undefined) : ret;
}

static struct val total(struct run *x, struct val v, char what)
{
	struct list *l = val_items(x, v);
	struct val   best = undefined;
	int64_t      sum = 0;

	for (size_t i = 0; l && i < l->n && !x->pool.r; i++) {
		if (what == 's' &&
		    (l->v[i].t != V_INT || __builtin_add_overflow(sum, l->v[i].u.i, &sum)))
			pool_fail(&x->pool, RT_E_INVAL, "sum needs integers");
		else if (what != 's' &&
		         (i == 0 || val_order(x, l->v[i], best) * (what == '<' ? -1 : 1) > 0))
			best = l->v[i];
	}
	return what == 's' ? val_int(sum) : best;
}

/* As transformers has it: tojson(ensure_ascii=False, indent=None, separators=None,
 * sort_keys=False). */
static struct val tojson(struct run *x, struct val v, struct args *a)
{
	const struct val width = arg(a, 1, "indent", undefined),
			 between = arg(a, 2, "separators", undefined);
	const bool        lines = width.t == V_INT && width.u.i >= 0 && width.u.i <= 32;
	struct json_style s = { .indent = lines ? width.u.i : -1,
		                .ascii = val_true(arg(a, 0, "ensure_ascii", undefined)),
		                .comma = lines ? "," : ", ",
		                .colon = ": " };
	struct rt_text    t = RT_TEXT_INIT;

	if (between.t == V_LIST && between.u.list->n == 2 && between.u.list->v[0].t == V_STR &&
	    between.u.list->v[1].t == V_STR) {
		s.comma = between.u.list->v[0].u.s;
		s.colon = between.u.list->v[1].u.s;
	}
	if (val_true(arg(a, 3, "sort_keys", undefined)))
		pool_fail(&x->pool, RT_E_UNSUP, "tojson(sort_keys=true) is not supported");
	val_json(x, v, &s, 0, &t);
	return val_text(x, &t);
}

static struct val number(struct val v, bool real, struct val otherwise)
{
	double d = v.t == V_REAL ? v.u.d : v.t == V_INT ? (double)v.u.i : v.t == V_BOOL ? v.u.b : 0;

	if (v.t == V_STR) {
		char *end;

		d = strtod(v.u.s, &end);
		if (end == v.u.s)
			return otherwise;
	}
	if (real)
		return (struct val){ .t = V_REAL, .u.d = d };
	return v.t == V_INT ? v : fabs(d) < 9e18 ? val_int((int64_t)d) : otherwise;
}

struct val filter_call(struct run *x, const char *name, struct val v, struct args *a)
{
#define F(word) (strcmp(name, word) == 0)
	const struct val none = undefined;

	if (F("tojson"))
		return tojson(x, v, a);
	if (F("length") || F("count"))
		return val_int(val_length(x, v));
	if (F("default") || F("d"))
		return v.t == V_UNDEF || (val_true(arg(a, 1, "boolean", none)) && !val_true(v))
		               ? arg(a, 0, "default_value", val_str(x, "", 0))
		               : v;
	if (F("safe") || F("list"))
		return F("list") ? (struct val){ .t = V_LIST, .u.list = val_items(x, v) } : v;
	if (F("join"))
		return join(x, v, arg(a, 0, "d", none), arg(a, 1, "attribute", none));
	if (F("first") || F("last"))
		return edge(x, v, F("last"));
	if (F("items"))
		return items(x, v);
	if (F("dictsort"))
		return sorted(x, items(x, v), val_str(x, "0", 1), false);
	if (F("sort"))
		return sorted(x, v, arg(a, 9, "attribute", none),
		              val_true(arg(a, 0, "reverse", none)));
	if (F("map"))
		return map(x, v, a);
	if (F("select") || F("reject"))
		return pick(x, v, a, false, F("select"));
	if (F("selectattr") || F("rejectattr"))
		return pick(x, v, a, true, F("selectattr"));
	if (F("reverse") || F("unique"))
		return reversed(x, v, F("unique"));
	if (F("sum") || F("min") || F("max"))
		return total(x, v, F("sum") ? 's' : F("min") ? '<' : '>');
	if (F("int") || F("float"))
		return number(v, F("float"), arg(a, 0, "default", val_int(0)));
	if (F("abs"))
		return v.t == V_REAL ? (struct val){ .t = V_REAL, .u.d = fabs(v.u.d) }
		                     : val_int(v.u.i < 0 && v.u.i > INT64_MIN ? -v.u.i : v.u.i);
	v = text_of(x, v);
	if (x->pool.r)
		return undefined;
	if (F("string"))
		return v;
	if (F("trim"))
		return string_strip(x, v, arg(a, 0, "chars", none), true, true);
	if (F("upper") || F("lower") || F("capitalize") || F("title"))
		return string_letters(x, v, *name);
	if (F("replace"))
		return string_replace(x, v, arg(a, 0, "old", none), arg(a, 1, "new", none), -1);
	if (F("indent"))
		return string_indent(x, v, a);
	pool_fail(&x->pool, RT_E_UNSUP, "the filter '%.60s' is not supported", name);
	return undefined;
#undef F
}

bool test_call(struct run *x, const char *name, struct val v, struct args *a)
{
#define T(word) (strcmp(name, word) == 0)
	const struct val b = arg(a, 0, "other", undefined);

	if (T("defined") || T("undefined"))
		return (v.t == V_UNDEF) == T("undefined");
	if (T("none"))
		return v.t == V_NONE;
	if (T("string"))
		return v.t == V_STR;
	if (T("mapping"))
		return v.t == V_DICT;
	if (T("iterable") || T("sequence"))
		return v.t == V_LIST || v.t == V_STR || v.t == V_DICT || v.t == V_UNDEF;
	if (T("number"))
		return v.t == V_INT || v.t == V_REAL || v.t == V_BOOL;
	if (T("integer") || T("float"))
		return v.t == (T("integer") ? V_INT : V_REAL);
	if (T("boolean"))
		return v.t == V_BOOL;
	if (T("true") || T("false"))
		return v.t == V_BOOL && v.u.b == T("true");
	if (T("callable"))
		return v.t == V_FUNC || v.t == V_MACRO;
	if (T("odd") || T("even"))
		return v.t == V_INT && (v.u.i % 2 != 0) == T("odd");
	if (T("divisibleby"))
		return v.t == V_INT && b.t == V_INT && b.u.i > 0 && v.u.i % b.u.i == 0;
	if (T("eq") || T("equalto") || T("==") || T("sameas"))
		return val_equal(v, b) && (!T("sameas") || v.t == b.t);
	if (T("ne") || T("!="))
		return !val_equal(v, b);
	if (T("lt") || T("gt"))
		return val_order(x, v, b) * (T("lt") ? -1 : 1) > 0;
	if (T("le") || T("ge"))
		return val_order(x, v, b) * (T("le") ? -1 : 1) >= 0;
	if (T("in")) {
		struct list *l = b.t == V_STR ? NULL : val_items(x, b);

		for (size_t i = 0; l && i < l->n; i++)
			if (val_equal(l->v[i], v))
				return true;
		return b.t == V_STR && v.t == V_STR && string_seek(b.u.s, b.n, v) != NULL;
	}
	pool_fail(&x->pool, RT_E_UNSUP, "the test '%.60s' is not supported", name);
	return false;
#undef T
}

static const char *const string_methods[] = { "strip",      "lstrip",   "rstrip",     "split",
	                                      "startswith", "endswith", "replace",    "upper",
	                                      "lower",      "title",    "capitalize", "join",
	                                      "find",       "count",    "splitlines", "format",
	                                      NULL };
static const char *const dict_methods[] = { "items", "keys", "values", "get", NULL };

bool method_known(struct val v, const char *name)
{
	const char *const *list = v.t == V_STR    ? string_methods
	                          : v.t == V_DICT ? dict_methods
	                                          : NULL;

	for (; list && *list; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

static struct val dict_method(struct run *x, struct val v, const char *name, struct args *a)
{
	struct val list;

	if (strcmp(name, "items") == 0)
		return items(x, v);
	if (strcmp(name, "get") == 0) {
		const struct val key = arg(a, 0, "key", undefined);
		struct val      *there = key.t == V_STR ? val_get(v.u.dict, key.u.s, key.n) : NULL;

		return there ? *there : arg(a, 1, "default", (struct val){ .t = V_NONE });
	}
	list = val_list(x);
	for (size_t i = 0; i < v.u.dict->n; i++)
		val_append(x, list, *name == 'k' ? v.u.dict->key[i] : v.u.dict->value[i]);
	return list;
}

struct val method_call(struct run *x, struct val v, const char *name, struct args *a)
{
#define M(word) (strcmp(name, word) == 0)
	const struct val one = arg(a, 0, "sep", undefined), two = arg(a, 1, "maxsplit", undefined);
	const char      *hit;
	int64_t          n = 0;

	if (v.t == V_DICT)
		return dict_method(x, v, name, a);
	if (M("strip") || M("lstrip") || M("rstrip"))
		return string_strip(x, v, one, *name != 'r', *name != 'l');
	if (M("split"))
		return string_split(x, v, one, two.t == V_INT ? two.u.i : -1);
	if (M("splitlines"))
		return string_split(x,
		                    v.n && v.u.s[v.n - 1] == '\n' ? val_str(x, v.u.s, v.n - 1) : v,
		                    val_str(x, "\n", 1), -1);
	if (M("startswith") || M("endswith"))
		return val_bool(string_affix(v, one, *name == 'e'));
	if (M("replace"))
		return string_replace(x, v, one, two, arg(a, 2, "count", val_int(-1)).u.i);
	if (M("format"))
		return string_format(x, v, a);
	if (M("join"))
		return join(x, one, v, undefined);
	if (M("find") || M("count")) {
		if (one.t != V_STR || one.n == 0) {
			pool_fail(&x->pool, RT_E_INVAL, "%s needs a string that is not empty",
			          name);
			return undefined;
		}
		hit = string_seek(v.u.s, v.n, one);
		if (M("find"))
			return val_int(
				hit ? val_length(x, (struct val){ .t = V_STR,
			                                          .u.s = v.u.s,
			                                          .n = (size_t)(hit - v.u.s) })
				    : -1);
		for (; hit; n++)
			hit = string_seek(hit + one.n, v.n - (size_t)(hit - v.u.s) - one.n, one);
		return val_int(n);
	}
	return string_letters(x, v, *name);
#undef M
}
