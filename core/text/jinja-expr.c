/* jinja-expr.c - the expressions of a template, by their precedence. */
#include "text/jinja-parse.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static struct node *unary(struct parser *x, bool filters);

static struct node *constant(struct parser *x, struct val v)
{
	struct node *n = jp_node(x, N_CONST);

	if (n)
		n->v = v;
	jp_advance(x);
	return n;
}

/* Items to a closing bracket; with names, `name=value` is possible. */
static struct node *items(struct parser *x, const char *close, bool named)
{
	struct node *first = NULL, **last = &first;

	while (!jp_bad(x) && !jp_is(x, close)) {
		struct node *e = jp_expr(x);

		if (named && e && e->t == N_NAME && jp_is(x, "=")) {
			struct node *k = jp_node(x, N_KEYWORD);

			jp_advance(x);
			if (!k)
				break;
			k->s = e->s;
			k->n = e->n;
			k->a = jp_expr(x);
			e = k;
		}
		if (e) {
			struct node *slot =
				jp_node(x, N_GROUP); /* a cell, so that e->next stays free */

			if (!slot)
				break;
			slot->a = e;
			*last = slot;
			last = &slot->next;
		}
		if (!jp_eat(x, ","))
			break;
	}
	jp_need(x, close);
	return first;
}

static struct node *dict(struct parser *x)
{
	struct node *n = jp_node(x, N_DICTOF), **last;

	x->braces++;
	jp_advance(x);
	last = n ? &n->a : NULL;
	while (last && !jp_bad(x) && !jp_is(x, "}")) {
		struct node *slot = jp_node(x, N_GROUP);

		if (!slot)
			break;
		slot->a = jp_expr(x);
		jp_need(x, ":");
		slot->b = jp_expr(x);
		*last = slot;
		last = &slot->next;
		if (!jp_eat(x, ","))
			break;
	}
	x->braces--;
	jp_need(x, "}");
	return n;
}

static struct node *paren(struct parser *x)
{
	struct node *e, *list;

	jp_advance(x);
	if (jp_is(x, ")")) {
		jp_advance(x);
		return jp_node(x, N_LISTOF);
	}
	e = jp_expr(x);
	if (!jp_is(x, ",")) {
		jp_need(x, ")");
		return e;
	}
	jp_advance(x);
	list = jp_node(x, N_LISTOF);
	if (list)
		list->a = jp_node(x, N_GROUP);
	if (!list || !list->a)
		return NULL;
	list->a->a = e;
	list->a->next = items(x, ")", false);
	return list;
}

static struct node *primary(struct parser *x)
{
	struct val   v = { .t = V_UNDEF };
	struct node *n;

	if (x->t == T_STR) {
		struct rt_text t = RT_TEXT_INIT;
		char          *copy;

		while (x->t == T_STR && !jp_bad(x)) { /* neighbours are one */
			rt_text_add_n(&t, x->word, x->len);
			jp_advance(x);
		}
		copy = pool_take(x->p, t.len + 1);
		if (copy)
			memcpy(copy, t.data, t.len);
		n = jp_node(x, N_CONST);
		if (n)
			n->v = (struct val){ .t = V_STR, .u.s = copy, .n = t.len };
		if (t.failed)
			pool_fail(x->p, RT_E_NOMEM, "out of memory for a template");
		rt_text_free(&t);
		return n;
	}
	if (x->t == T_INT || x->t == T_REAL) {
		v.t = x->t == T_INT ? V_INT : V_REAL;
		if (x->t == T_INT)
			v.u.i = strtoll(x->word, NULL, 10);
		else
			v.u.d = strtod(x->word, NULL);
		return constant(x, v);
	}
	if (jp_is(x, "true") || jp_is(x, "True") || jp_is(x, "false") || jp_is(x, "False")) {
		v.t = V_BOOL;
		v.u.b = tolower((unsigned char)*x->word) == 't';
		return constant(x, v);
	}
	if (jp_is(x, "none") || jp_is(x, "None")) {
		v.t = V_NONE;
		return constant(x, v);
	}
	if (x->t == T_NAME)
		return jp_name(x, N_NAME);
	if (jp_is(x, "("))
		return paren(x);
	if (jp_is(x, "{"))
		return dict(x);
	if (jp_is(x, "[")) {
		n = jp_node(x, N_LISTOF);
		jp_advance(x);
		if (n)
			n->a = items(x, "]", false);
		return n;
	}
	jp_fail(x, "expected an expression");
	return NULL;
}

static struct node *subscript(struct parser *x, struct node *of)
{
	struct node *n = jp_node(x, N_ITEM), *first = NULL;

	jp_advance(x);
	if (!n)
		return NULL;
	n->a = of;
	if (!jp_is(x, ":"))
		first = jp_expr(x);
	n->b = first;
	if (jp_eat(x, ":")) {
		n->t = N_SLICE;
		if (!jp_is(x, ":") && !jp_is(x, "]"))
			n->c = jp_expr(x);
		if (jp_eat(x, ":") && !jp_is(x, "]"))
			n->d = jp_expr(x);
	}
	jp_need(x, "]");
	return n;
}

static struct node *postfix(struct parser *x, struct node *e)
{
	while (!jp_bad(x)) {
		struct node *n;

		if (jp_is(x, "[")) {
			e = subscript(x, e);
		} else if (jp_is(x, ".")) {
			jp_advance(x);
			if (x->t == T_INT) {
				n = jp_node(x, N_ITEM);
				if (n)
					n->b = primary(x);
			} else {
				n = jp_name(x, N_ATTR);
			}
			if (n)
				n->a = e;
			e = n;
		} else if (jp_is(x, "(")) {
			n = jp_node(x, N_CALL);
			jp_advance(x);
			if (n) {
				n->a = e;
				n->b = items(x, ")", true);
			}
			e = n;
		} else {
			break;
		}
	}
	return e;
}

struct node *jp_filter(struct parser *x, struct node *e)
{
	struct node *n = jp_name(x, N_FILTER);

	if (!n)
		return NULL;
	n->a = e;
	if (jp_eat(x, "("))
		n->b = items(x, ")", true);
	return n;
}

static struct node *test(struct parser *x, struct node *e)
{
	const bool   no = jp_eat(x, "not");
	struct node *n;

	if (x->t == T_OP && (jp_is(x, "==") || jp_is(x, "!=")))
		x->t = T_NAME;
	n = jp_name(x, N_TEST);
	if (!n)
		return NULL;
	n->a = e;
	n->op = no;
	if (jp_eat(x, "(")) {
		n->b = items(x, ")", true);
	} else if (x->t == T_STR || x->t == T_INT || jp_is(x, "[") ||
	           (x->t == T_NAME && !jp_is(x, "else") && !jp_is(x, "and") && !jp_is(x, "or") &&
	            !jp_is(x, "if") && !jp_is(x, "is") && !jp_is(x, "in") && !jp_is(x, "not"))) {
		n->b = jp_node(x, N_GROUP);
		if (n->b)
			n->b->a = postfix(x, primary(x));
	}
	return n;
}

static struct node *unary(struct parser *x, bool filters)
{
	struct node *e;

	if (++x->p->depth > JINJA_DEPTH)
		jp_fail(x, "too deep");
	if (jp_is(x, "-") || jp_is(x, "+")) {
		const bool minus = jp_is(x, "-");

		jp_advance(x);
		e = unary(x, false);
		if (minus) {
			struct node *n = jp_node(x, N_NEG);

			if (n)
				n->a = e;
			e = n;
		}
	} else {
		e = jp_bad(x) ? NULL : primary(x);
	}
	e = postfix(x, e);
	while (filters && !jp_bad(x)) {
		if (jp_eat(x, "|"))
			e = jp_filter(x, e);
		else if (jp_eat(x, "is"))
			e = test(x, e);
		else
			break;
		if (jp_is(x, ".") || jp_is(x, "["))
			e = postfix(x, e);
	}
	x->p->depth--;
	return e;
}

static struct node *binary(struct parser *x, struct node *a, int op, struct node *b)
{
	struct node *n = jp_node(x, N_BINARY);

	if (n) {
		n->a = a;
		n->b = b;
		n->op = op;
	}
	return n;
}

static struct node *product(struct parser *x)
{
	struct node *e = unary(x, true);

	while (!jp_bad(x) && (jp_is(x, "*") || jp_is(x, "/") || jp_is(x, "//") || jp_is(x, "%") ||
	                      jp_is(x, "**"))) {
		const int op = x->len == 2 ? (*x->word == '/' ? 'f' : 'p') : *x->word;

		jp_advance(x);
		e = binary(x, e, op, unary(x, true));
	}
	return e;
}

static struct node *concat(struct parser *x)
{
	struct node *e = product(x);

	while (!jp_bad(x) && jp_eat(x, "~"))
		e = binary(x, e, '~', product(x));
	return e;
}

static struct node *sum(struct parser *x)
{
	struct node *e = concat(x);

	while (!jp_bad(x) && (jp_is(x, "+") || jp_is(x, "-"))) {
		const int op = *x->word;

		jp_advance(x);
		e = binary(x, e, op, concat(x));
	}
	return e;
}

static struct node *compare(struct parser *x)
{
	struct node *e = sum(x), *all = NULL;

	while (!jp_bad(x)) {
		struct node *right, *one, *both;
		int          op = 0;

		if (jp_is(x, "==") || jp_is(x, "!=") || jp_is(x, "<=") || jp_is(x, ">="))
			op = *x->word == '='   ? 'e'
			     : *x->word == '!' ? 'n'
			     : *x->word == '<' ? 'l'
			                       : 'g';
		else if (jp_is(x, "<") || jp_is(x, ">"))
			op = *x->word;
		else if (jp_is(x, "in"))
			op = 'i';
		else if (jp_is(x, "not"))
			op = 'o';
		else
			break;
		jp_advance(x);
		if (op == 'o')
			jp_need(x, "in");
		right = sum(x);
		one = binary(x, e, op, right);
		both = all ? jp_node(x, N_AND) : one; /* a < b < c */
		if (all && both) {
			both->a = all;
			both->b = one;
		}
		all = both;
		e = right;
	}
	return all ? all : e;
}

static struct node *negation(struct parser *x)
{
	struct node *n;

	if (!jp_is(x, "not"))
		return compare(x);
	if (++x->p->depth > JINJA_DEPTH)
		jp_fail(x, "too deep");
	n = jp_node(x, N_NOT);
	jp_advance(x);
	if (n && !jp_bad(x))
		n->a = negation(x);
	x->p->depth--;
	return n;
}

struct node *jp_logic(struct parser *x, bool or)
{
	struct node *e = or ? jp_logic(x, false) : negation(x);

	while (!jp_bad(x) && jp_eat(x, or ? "or" : "and")) {
		struct node *n = jp_node(x, or ? N_OR : N_AND);

		if (!n)
			return NULL;
		n->a = e;
		n->b = or ? jp_logic(x, false) : negation(x);
		e = n;
	}
	return e;
}

struct node *jp_expr(struct parser *x)
{
	struct node *e;

	if (++x->p->depth > JINJA_DEPTH)
		jp_fail(x, "too deep");
	e = jp_bad(x) ? NULL : jp_logic(x, true);
	while (!jp_bad(x) && jp_eat(x, "if")) {
		struct node *n = jp_node(x, N_IFELSE);

		if (!n)
			return NULL;
		n->b = e;
		n->a = jp_logic(x, true);
		n->c = jp_eat(x, "else") ? jp_expr(x) : NULL;
		e = n;
	}
	x->p->depth--;
	return e;
}

struct node *jp_tuple(struct parser *x)
{
	struct node *e = jp_expr(x), *list, **last;

	if (!jp_is(x, ","))
		return e;
	list = jp_node(x, N_LISTOF);
	last = list ? &list->a : NULL;
	while (last && e && !jp_bad(x)) {
		struct node *slot = jp_node(x, N_GROUP);

		if (!slot)
			break;
		slot->a = e;
		*last = slot;
		last = &slot->next;
		if (!jp_eat(x, ",") || x->t == T_END)
			break;
		e = jp_expr(x);
	}
	return list;
}
