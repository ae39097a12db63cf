/* jinja-parse.c - the statements of a template: tokens to its syntax tree. */
#include "text/jinja-parse.h"

#include <ctype.h>
#include <string.h>

static struct node *body(struct parser *x, const char *const *until);

static struct node *names(struct parser *x)
{
	struct node *first = NULL, **last = &first;

	do {
		const bool   open = jp_eat(x, "(");
		struct node *n = open ? names(x) : jp_name(x, N_NAME);

		if (open)
			jp_need(x, ")");
		*last = n;
		while (*last)
			last = &(*last)->next;
	} while (!jp_bad(x) && jp_eat(x, ",") && !jp_is(x, "in"));
	return first;
}

static struct node *for_tag(struct parser *x)
{
	static const char *const ends[] = { "else", "endfor", NULL }, *const end[] = { "endfor",
		                                                                       NULL };
	struct node *n = jp_node(x, N_FOR), *iter;

	if (!n)
		return NULL;
	n->a = names(x);
	jp_need(x, "in");
	iter = jp_logic(x, true);
	n->b = iter;
	if (jp_eat(x, "if")) {
		n->v.u.macro = jp_expr(x); /* the condition */
		n->op = 1;
	}
	if (jp_is(x, "recursive"))
		jp_fail(x, "recursive loops are not supported");
	jp_close(x, '%');
	n->c = body(x, ends);
	if (jp_is(x, "else")) {
		jp_advance(x);
		jp_close(x, '%');
		n->d = body(x, end);
	}
	jp_advance(x);
	jp_close(x, '%');
	return n;
}

static struct node *if_tag(struct parser *x)
{
	static const char *const ends[] = { "elif", "else", "endif", NULL }, *const end[] = {
		"endif", NULL
	};
	struct node *n = jp_node(x, N_IF);

	if (++x->p->depth > JINJA_DEPTH)
		jp_fail(x, "too deep");
	if (!n || jp_bad(x))
		return NULL;
	n->a = jp_tuple(x);
	jp_close(x, '%');
	n->b = body(x, ends);
	if (jp_eat(x, "elif")) {
		n->c = if_tag(x);
		x->p->depth--;
		return n; /* the innermost took the endif */
	}
	if (jp_eat(x, "else")) {
		jp_close(x, '%');
		n->c = body(x, end);
	}
	jp_advance(x);
	jp_close(x, '%');
	x->p->depth--;
	return n;
}

static struct node *set_tag(struct parser *x)
{
	static const char *const end[] = { "endset", NULL };
	struct node             *n = jp_node(x, N_SET), *target;

	if (!n)
		return NULL;
	target = jp_name(x, N_NAME);
	if (jp_eat(x, ".")) {
		struct node *attr = jp_name(x, N_ATTR);

		if (attr)
			attr->a = target;
		target = attr;
	} else if (jp_eat(x, ",")) {
		if (target)
			target->next = names(x);
	}
	n->a = target;
	if (jp_eat(x, "=")) {
		n->b = jp_tuple(x);
		jp_close(x, '%');
		return n;
	}
	n->t = N_SETBLOCK;
	if (jp_eat(x, "|"))
		n->c = jp_filter(x, NULL);
	jp_close(x, '%');
	n->b = body(x, end);
	jp_advance(x);
	jp_close(x, '%');
	return n;
}

static struct node *macro_tag(struct parser *x)
{
	static const char *const end[] = { "endmacro", NULL };
	struct node             *n = jp_name(x, N_MACRO), **last;

	if (!n)
		return NULL;
	jp_need(x, "(");
	last = &n->a;
	while (!jp_bad(x) && !jp_is(x, ")")) {
		struct node *p = jp_name(x, N_NAME);

		if (!p)
			break;
		if (jp_eat(x, "="))
			p->a = jp_expr(x);
		*last = p;
		last = &p->next;
		if (!jp_eat(x, ","))
			break;
	}
	jp_need(x, ")");
	jp_close(x, '%');
	n->b = body(x, end);
	jp_advance(x);
	jp_close(x, '%');
	return n;
}

static struct node *wrapped(struct parser *x, enum node_type t, const char *end_name)
{
	const char  *end[] = { NULL, NULL };
	struct node *n = jp_node(x, t);

	end[0] = end_name;
	if (!n)
		return NULL;
	if (t == N_CALLBLOCK)
		n->a = jp_expr(x);
	if (t == N_FILTERBLOCK)
		n->a = jp_filter(x, NULL);
	jp_close(x, '%');
	n->b = body(x, end);
	jp_advance(x);
	jp_close(x, '%');
	return n;
}

static struct node *raw_tag(struct parser *x)
{
	struct node *n = jp_node(x, N_TEXT);

	jp_close(x, '%');
	for (size_t i = x->at; n && !jp_bad(x) && i + 2 < x->n; i++)
		if (x->s[i] == '{' && x->s[i + 1] == '%') {
			const size_t start = x->at;

			x->at = i + 2;
			if (x->at < x->n && x->s[x->at] == '-')
				x->at++;
			jp_advance(x);
			if (jp_is(x, "endraw")) {
				n->s = x->s + start;
				n->n = i - start;
				jp_advance(x);
				jp_close(x, '%');
				return n;
			}
			x->at = start;
		}
	jp_fail(x, "a raw block does not end");
	return NULL;
}

static struct node *statement(struct parser *x)
{
	struct node *n;

	if (jp_eat(x, "if")) {
		n = if_tag(x);
		return n;
	}
	if (jp_eat(x, "for"))
		return for_tag(x);
	if (jp_eat(x, "set"))
		return set_tag(x);
	if (jp_eat(x, "macro"))
		return macro_tag(x);
	if (jp_eat(x, "call"))
		return wrapped(x, N_CALLBLOCK, "endcall");
	if (jp_eat(x, "filter"))
		return wrapped(x, N_FILTERBLOCK, "endfilter");
	if (jp_eat(x, "generation")) /* marks what the assistant wrote: found without it */
		return wrapped(x, N_GROUP, "endgeneration");
	if (jp_is(x, "raw")) {
		jp_advance(x);
		return raw_tag(x);
	}
	if (jp_is(x, "break") || jp_is(x, "continue")) {
		n = jp_node(x, jp_is(x, "break") ? N_BREAK : N_CONTINUE);
		jp_advance(x);
		jp_close(x, '%');
		return n;
	}
	jp_fail(x, "an unknown statement");
	return NULL;
}

/* Statements up to one of the words `until` (NULL: the end), which is then in hand. */
static struct node *body(struct parser *x, const char *const *until)
{
	struct node *first = NULL, **last = &first, *n;
	const int    line = x->line;

	if (++x->p->depth > JINJA_DEPTH)
		jp_fail(x, "too deep");
	while (!jp_bad(x)) {
		n = jp_text(x);
		if (n) {
			*last = n;
			last = &n->next;
		}
		if (x->at >= x->n || jp_bad(x))
			break;
		if (x->s[x->at + 1] == '#') {
			jp_comment(x);
			continue;
		}
		n = NULL;
		x->at += 2;
		if (x->at < x->n && (x->s[x->at] == '-' || x->s[x->at] == '+'))
			x->at++;
		if (x->s[x->at - 1] == '{' ||
		    (x->at >= 3 && x->s[x->at - 2] == '{' && x->s[x->at - 3] == '{')) {
			jp_advance(x);
			n = jp_node(x, N_OUT);
			if (n)
				n->a = jp_tuple(x);
			jp_close(x, '}');
		} else {
			jp_advance(x);
			for (int i = 0; until && until[i]; i++)
				if (jp_is(x, until[i])) {
					x->p->depth--;
					return first;
				}
			n = statement(x);
		}
		if (n) {
			*last = n;
			last = &n->next;
		}
	}
	if (until && !jp_bad(x)) {
		x->p->line = line;
		pool_fail(x->p, RT_E_FORMAT, "a block that begins here has no '%s'", until[0]);
	}
	x->p->depth--;
	return first;
}

struct node *jinja_parse(struct pool *p, const char *s, size_t n)
{
	struct parser x = { .p = p, .s = s, .n = n, .line = 1 };
	struct node  *first = body(&x, NULL);

	return jp_bad(&x) ? NULL : first;
}
