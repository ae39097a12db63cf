/* jinja-eval.c - the values of expressions. */
#include "text/jinja.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { F_RAISE = 1, F_NOW, F_NAMESPACE, F_RANGE, F_DICT };

static const struct val undefined = { .t = V_UNDEF };

bool jinja_step(struct run *x, const struct node *n)
{
	x->pool.line = n->line;
	if (++x->steps > JINJA_STEPS)
		pool_fail(&x->pool, RT_E_RANGE, "the template takes more than %d steps",
		          JINJA_STEPS);
	return x->pool.r == 0;
}

void jinja_let(struct run *x, struct frame *f, const char *name, size_t n, struct val v)
{
	struct val *there = val_get(&f->vars, name, n);

	if (there)
		*there = v;
	else
		val_put(x, &f->vars, (struct val){ .t = V_STR, .u.s = name, .n = n }, v);
}

void jinja_define(struct run *x, const char *name, struct val v)
{
	jinja_let(x, x->global, name, strlen(name), v);
}

static struct val lookup(struct run *x, const struct node *n)
{
	static const struct {
		const char *name;
		int         f;
	} known[] = { { "raise_exception", F_RAISE },
		      { "strftime_now", F_NOW },
		      { "namespace", F_NAMESPACE },
		      { "range", F_RANGE },
		      { "dict", F_DICT } };

	for (struct frame *f = x->frame; f; f = f->up) {
		struct val *v = val_get(&f->vars, n->s, n->n);

		if (v)
			return *v;
	}
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strlen(known[i].name) == n->n && memcmp(known[i].name, n->s, n->n) == 0)
			return (struct val){ .t = V_FUNC, .u.i = known[i].f };
	return (struct val){ .t = V_UNDEF, .u.s = n->s };
}

static struct val loop_attr(struct loop *l, const char *s)
{
	const int64_t i = (int64_t)l->at, n = (int64_t)l->list->n;

	if (strcmp(s, "index") == 0)
		return val_int(i + 1);
	if (strcmp(s, "index0") == 0)
		return val_int(i);
	if (strcmp(s, "first") == 0)
		return val_bool(i == 0);
	if (strcmp(s, "last") == 0)
		return val_bool(i == n - 1);
	if (strcmp(s, "length") == 0)
		return val_int(n);
	if (strcmp(s, "revindex") == 0)
		return val_int(n - i);
	if (strcmp(s, "revindex0") == 0)
		return val_int(n - i - 1);
	if (strcmp(s, "depth") == 0)
		return val_int(l->depth);
	if (strcmp(s, "previtem") == 0 && i > 0)
		return l->list->v[i - 1];
	if (strcmp(s, "nextitem") == 0 && i + 1 < n)
		return l->list->v[i + 1];
	return undefined;
}

struct val jinja_attr(struct run *x, struct val v, const char *s, size_t n)
{
	struct val *member;

	if (v.t == V_DICT || v.t == V_SPACE) {
		member = val_get(v.u.dict, s, n);
		return member ? *member : (struct val){ .t = V_UNDEF, .u.s = s };
	}
	if (v.t == V_LOOP)
		return loop_attr(v.u.loop, s);
	if (v.t == V_UNDEF)
		pool_fail(&x->pool, RT_E_INVAL, "'%s' is undefined, so it has no '%s'",
		          v.u.s ? v.u.s : "this", s);
	return (struct val){ .t = V_UNDEF, .u.s = s };
}

static struct val char_at(struct run *x, struct val v, int64_t i)
{
	struct list  *l = val_items(x, v);
	const int64_t n = l ? (int64_t)l->n : 0;

	i += i < 0 ? n : 0;
	return i >= 0 && i < n ? l->v[i] : undefined;
}

static struct val item(struct run *x, struct val v, struct val k)
{
	if (k.t == V_STR)
		return jinja_attr(x, v, k.u.s, k.n);
	if (v.t == V_DICT) {
		for (size_t i = 0; i < v.u.dict->n; i++)
			if (val_equal(v.u.dict->key[i], k))
				return v.u.dict->value[i];
		return undefined;
	}
	if (v.t == V_UNDEF)
		pool_fail(&x->pool, RT_E_INVAL, "'%s' is undefined, so it has no items",
		          v.u.s ? v.u.s : "this");
	if ((v.t == V_LIST || v.t == V_STR) && k.t == V_INT)
		return char_at(x, v, k.u.i);
	return undefined;
}

static int64_t bound(struct val v, int64_t n, int64_t otherwise, int64_t low, int64_t high)
{
	int64_t i = otherwise;

	if (v.t == V_INT) {
		i = v.u.i < 0 ? v.u.i + n : v.u.i;
		i = i < low ? low : i > high ? high : i;
	}
	return i;
}

static struct val slice(struct run *x, struct node *n)
{
	const struct val v = jinja_eval(x, n->a), from = n->b ? jinja_eval(x, n->b) : undefined;
	const struct val to = n->c ? jinja_eval(x, n->c) : undefined,
			 by = n->d ? jinja_eval(x, n->d) : undefined;
	struct list   *l = val_items(x, v);
	const int64_t  len = l ? (int64_t)l->n : 0, s = by.t == V_INT ? by.u.i : 1;
	struct rt_text text = RT_TEXT_INIT;
	struct val     ret;
	int64_t        i, end;

	if (s == 0)
		pool_fail(&x->pool, RT_E_INVAL, "a slice with step 0");
	if (x->pool.r)
		return undefined;
	i = s > 0 ? bound(from, len, 0, 0, len) : bound(from, len, len - 1, -1, len - 1);
	end = s > 0 ? bound(to, len, len, 0, len) : bound(to, len, -1, -1, len - 1);
	ret = val_list(x);
	while (s > 0 ? i < end : i > end) {
		if (v.t == V_STR)
			rt_text_add_n(&text, l->v[i].u.s, l->v[i].n);
		else
			val_append(x, ret, l->v[i]);
		if (s > len || s < -len)
			break;
		i += s;
	}
	if (v.t == V_STR)
		return val_text(x, &text);
	return ret;
}

static struct val add(struct run *x, struct val a, struct val b)
{
	struct rt_text t = RT_TEXT_INIT;
	struct val     v;

	if (a.t == V_STR && b.t == V_STR) {
		rt_text_add_n(&t, a.u.s, a.n);
		rt_text_add_n(&t, b.u.s, b.n);
		return val_text(x, &t);
	}
	if (a.t == V_LIST && b.t == V_LIST) {
		v = val_list(x);
		for (size_t i = 0; i < a.u.list->n; i++)
			val_append(x, v, a.u.list->v[i]);
		for (size_t i = 0; i < b.u.list->n; i++)
			val_append(x, v, b.u.list->v[i]);
		return v;
	}
	pool_fail(&x->pool, RT_E_INVAL, "cannot add %s%s%s and %s%s%s", val_name(a),
	          a.t == V_UNDEF && a.u.s ? " " : "", a.t == V_UNDEF && a.u.s ? a.u.s : "",
	          val_name(b), b.t == V_UNDEF && b.u.s ? " " : "",
	          b.t == V_UNDEF && b.u.s ? b.u.s : "");
	return undefined;
}

static bool whole(struct val v, int64_t *i)
{
	*i = v.t == V_BOOL ? v.u.b : v.u.i;
	return v.t == V_INT || v.t == V_BOOL;
}

static struct val arithmetic(struct run *x, int op, struct val a, struct val b)
{
	int64_t i, j, r = 0;
	bool    ints = whole(a, &i), over = false;
	double  p = a.t == V_REAL ? a.u.d : (double)i, q;

	ints = whole(b, &j) && ints;
	q = b.t == V_REAL ? b.u.d : (double)j;
	if ((!ints && !((a.t == V_REAL || whole(a, &i)) && (b.t == V_REAL || whole(b, &j))))) {
		if (op == '+')
			return add(x, a, b);
		pool_fail(&x->pool, RT_E_INVAL, "cannot calculate with %s and %s", val_name(a),
		          val_name(b));
		return undefined;
	}
	if ((op == '/' || op == 'f' || op == '%') && q == 0) {
		pool_fail(&x->pool, RT_E_INVAL, "division by zero");
		return undefined;
	}
	if (ints && op == 'p' && j >= 0 && j < 64) {
		for (r = 1; j > 0 && !over; j--)
			over = __builtin_mul_overflow(r, i, &r);
	} else if (ints && op != '/' && op != 'p') {
		over = (op == 'f' || op == '%') && i == INT64_MIN && j == -1;
		if (op == '+')
			over = __builtin_add_overflow(i, j, &r);
		else if (op == '-')
			over = __builtin_sub_overflow(i, j, &r);
		else if (op == '*')
			over = __builtin_mul_overflow(i, j, &r);
		else if (!over && op == 'f')
			r = i / j - (i % j != 0 && (i < 0) != (j < 0));
		else if (!over)
			r = i % j + ((i % j != 0 && (i % j < 0) != (j < 0)) ? j : 0);
	} else {
		p = op == '+'   ? p + q
		    : op == '-' ? p - q
		    : op == '*' ? p * q
		    : op == '/' ? p / q
		    : op == 'f' ? floor(p / q)
		    : op == 'p' ? pow(p, q)
		                : p - q * floor(p / q);
		return (struct val){ .t = V_REAL, .u.d = p };
	}
	if (over)
		pool_fail(&x->pool, RT_E_RANGE, "an integer does not fit 64 bits");
	return val_int(r);
}

static bool contains(struct run *x, struct val v, struct val in)
{
	struct list *l;

	if (in.t == V_STR && v.t == V_STR) {
		for (size_t i = 0; i + v.n <= in.n; i++)
			if (memcmp(in.u.s + i, v.u.s, v.n) == 0)
				return true;
		return false;
	}
	l = val_items(x, in);
	for (size_t i = 0; l && i < l->n; i++)
		if (val_equal(l->v[i], v))
			return true;
	return false;
}

static struct val binary(struct run *x, struct node *n)
{
	const struct val a = jinja_eval(x, n->a), b = jinja_eval(x, n->b);
	struct rt_text   t = RT_TEXT_INIT;

	if (x->pool.r)
		return undefined;
	x->pool.line = n->line;
	switch (n->op) {
	case '~':
		val_print(x, a, false, &t);
		val_print(x, b, false, &t);
		return val_text(x, &t);
	case 'e': return val_bool(val_equal(a, b));
	case 'n': return val_bool(!val_equal(a, b));
	case '<': return val_bool(val_order(x, a, b) < 0);
	case '>': return val_bool(val_order(x, a, b) > 0);
	case 'l': return val_bool(val_order(x, a, b) <= 0);
	case 'g': return val_bool(val_order(x, a, b) >= 0);
	case 'i': return val_bool(contains(x, a, b));
	case 'o': return val_bool(!contains(x, a, b));
	default: return arithmetic(x, n->op, a, b);
	}
}

void jinja_arguments(struct run *x, struct node *list, struct args *a)
{
	*a = (struct args){ 0 };
	for (; list && !x->pool.r; list = list->next) {
		struct node *e = list->a;

		if (e->t == N_KEYWORD)
			val_put(x, &a->named, (struct val){ .t = V_STR, .u.s = e->s, .n = e->n },
			        jinja_eval(x, e->a));
		else if (a->n < 8)
			a->v[a->n++] = jinja_eval(x, e);
		else
			pool_fail(&x->pool, RT_E_RANGE, "more than 8 arguments");
	}
}

struct val jinja_macro(struct run *x, struct node *m, struct args *a, const struct val *caller)
{
	struct frame f = { .up = x->global }, *old = x->frame;
	struct val   v;
	size_t       i = 0;

	x->frame = &f;
	for (struct node *p = m->a; p && !x->pool.r; p = p->next, i++) {
		struct val *named = val_get(&a->named, p->s, p->n);

		jinja_let(x, &f, p->s, p->n,
		          i < a->n ? a->v[i]
		          : named  ? *named
		          : p->a   ? jinja_eval(x, p->a)
		                   : (struct val){ .t = V_UNDEF, .u.s = p->s });
	}
	if (caller)
		jinja_let(x, &f, "caller", 6, *caller);
	v = jinja_capture(x, m->b);
	x->frame = old;
	x->leave = 0;
	return v;
}

static struct val now(struct run *x, struct args *a)
{
	char       text[256], format[128];
	time_t     t = (time_t)x->now;
	struct tm  tm;
	struct val f = arg(a, 0, "format", undefined);

	if (f.t != V_STR || f.n >= sizeof format) {
		pool_fail(&x->pool, RT_E_INVAL, "strftime_now needs a format");
		return undefined;
	}
	memcpy(format, f.u.s, f.n);
	format[f.n] = '\0';
	localtime_r(&t, &tm);
	return val_str(x, text, strftime(text, sizeof text, format, &tm));
}

static struct val range(struct run *x, struct args *a)
{
	const int64_t    from = a->n > 1 && a->v[0].t == V_INT ? a->v[0].u.i : 0;
	const struct val last = a->v[a->n > 1];
	const int64_t    to = last.t == V_INT ? last.u.i : 0,
		      by = a->n > 2 && a->v[2].t == V_INT ? a->v[2].u.i : 1;
	struct val v = val_list(x);

	if (by == 0 || last.t != V_INT)
		pool_fail(&x->pool, RT_E_INVAL, "range needs integers, and a step that is not 0");
	for (int64_t i = from; !x->pool.r && (by > 0 ? i < to : i > to); i += by) {
		if (++x->steps > JINJA_STEPS)
			pool_fail(&x->pool, RT_E_RANGE, "the template takes more than %d steps",
			          JINJA_STEPS);
		val_append(x, v, val_int(i));
		if (by > 0 ? i > INT64_MAX - by : i < INT64_MIN - by)
			break;
	}
	return v;
}

struct val jinja_call(struct run *x, struct val f, struct args *a)
{
	struct val v;

	if (x->pool.r)
		return undefined;
	if (f.t == V_MACRO)
		return jinja_macro(x, f.u.macro, a, NULL);
	if (f.t == V_FUNC && f.u.i == F_RAISE) {
		v = arg(a, 0, "message", undefined);
		pool_fail(&x->pool, RT_E_INVAL, "%.*s", (int)(v.t == V_STR && v.n < 500 ? v.n : 0),
		          v.t == V_STR ? v.u.s : "");
	} else if (f.t == V_FUNC && f.u.i == F_NOW) {
		return now(x, a);
	} else if (f.t == V_FUNC && f.u.i == F_RANGE) {
		return range(x, a);
	} else if (f.t == V_FUNC) {
		v = val_dict(x);
		if (v.t == V_DICT)
			*v.u.dict = a->named;
		v.t = v.t == V_DICT && f.u.i == F_NAMESPACE ? V_SPACE : v.t;
		return v;
	} else {
		pool_fail(&x->pool, RT_E_INVAL, "%s%s%s cannot be called", val_name(f),
		          f.t == V_UNDEF && f.u.s ? " " : "", f.t == V_UNDEF && f.u.s ? f.u.s : "");
	}
	return undefined;
}

static struct val call(struct run *x, struct node *n)
{
	struct args a;
	struct val  of;

	if (n->a->t == N_ATTR) {
		of = jinja_eval(x, n->a->a);
		jinja_arguments(x, n->b, &a);
		x->pool.line = n->line;
		if (!x->pool.r && method_known(of, n->a->s))
			return method_call(x, of, n->a->s, &a);
		return jinja_call(x, jinja_attr(x, of, n->a->s, n->a->n), &a);
	}
	of = jinja_eval(x, n->a);
	jinja_arguments(x, n->b, &a);
	x->pool.line = n->line;
	return jinja_call(x, of, &a);
}

static struct val dict_of(struct run *x, struct node *n)
{
	struct val v = val_dict(x);

	for (struct node *i = n->a; i && v.t == V_DICT && !x->pool.r; i = i->next) {
		const struct val key = jinja_eval(x, i->a);

		val_put(x, v.u.dict, key, jinja_eval(x, i->b));
	}
	return v;
}

static struct val eval_node(struct run *x, struct node *n)
{
	struct args a;
	struct val  v;

	switch (n->t) {
	case N_CONST: return n->v;
	case N_NAME: return lookup(x, n);
	case N_LISTOF:
		v = val_list(x);
		for (struct node *i = n->a; i; i = i->next)
			val_append(x, v, jinja_eval(x, i->a));
		return v;
	case N_DICTOF: return dict_of(x, n);
	case N_ATTR: return jinja_attr(x, jinja_eval(x, n->a), n->s, n->n);
	case N_ITEM: v = jinja_eval(x, n->a); return item(x, v, jinja_eval(x, n->b));
	case N_SLICE: return slice(x, n);
	case N_CALL: return call(x, n);
	case N_FILTER:
		v = jinja_eval(x, n->a);
		jinja_arguments(x, n->b, &a);
		return x->pool.r ? undefined : filter_call(x, n->s, v, &a);
	case N_TEST:
		v = jinja_eval(x, n->a);
		jinja_arguments(x, n->b, &a);
		return x->pool.r ? undefined : val_bool(test_call(x, n->s, v, &a) != (n->op != 0));
	case N_NOT: return val_bool(!val_true(jinja_eval(x, n->a)));
	case N_NEG: return arithmetic(x, '-', val_int(0), jinja_eval(x, n->a));
	case N_AND: v = jinja_eval(x, n->a); return val_true(v) ? jinja_eval(x, n->b) : v;
	case N_OR: v = jinja_eval(x, n->a); return val_true(v) ? v : jinja_eval(x, n->b);
	case N_BINARY: return binary(x, n);
	case N_IFELSE:
		return val_true(jinja_eval(x, n->a)) ? jinja_eval(x, n->b)
		       : n->c                        ? jinja_eval(x, n->c)
		                                     : undefined;
	default: return undefined;
	}
}

struct val jinja_eval(struct run *x, struct node *n)
{
	struct val v = undefined;

	if (!n || !jinja_step(x, n))
		return v;
	if (++x->pool.depth > JINJA_DEPTH)
		pool_fail(&x->pool, RT_E_RANGE, "too deep");
	else
		v = eval_node(x, n);
	x->pool.depth--;
	return x->pool.r ? undefined : v;
}
