/* jinja-parse.c - a template to its syntax tree. */
#include "text/jinja.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum tok { T_NAME, T_INT, T_REAL, T_STR, T_OP, T_END };

struct parser {
	struct pool *p;
	const char  *s;
	size_t       n, at;
	int          line;
	bool         trim;  /* the text that follows loses its first newline */
	bool         strip; /* ... all its leading blanks */
	enum tok     t;     /* the token in hand, inside a tag */
	const char  *word;
	size_t       len;
	int          braces; /* of dictionaries that are open */
};

static struct node *expr(struct parser *x);
static struct node *body(struct parser *x, const char *const *until);

static bool bad(const struct parser *x)
{
	return x->p->r != 0;
}

static struct node *make(struct parser *x, enum node_type t)
{
	struct node *n = pool_take(x->p, sizeof *n);

	if (n) {
		n->t = t;
		n->line = x->line;
	}
	return n;
}

static void complain(struct parser *x, const char *what)
{
	x->p->line = x->line;
	pool_fail(x->p, RT_E_FORMAT, "%s at '%.*s'", what, (int)(x->len < 40 ? x->len : 40),
	          x->word ? x->word : "");
}

/* ---- tokens ---- */

static void string_token(struct parser *x)
{
	const char quote = x->s[x->at];
	size_t     i = x->at + 1, n = 0;
	char      *to;

	while (i < x->n && x->s[i] != quote)
		i += x->s[i] == '\\' ? 2 : 1;
	if (i >= x->n) {
		complain(x, "a string does not end");
		return;
	}
	to = pool_take(x->p, i - x->at);
	for (size_t k = x->at + 1; to && k < i; k++) {
		char c = x->s[k];

		x->line += c == '\n';
		if (c == '\\' && k + 1 < i) {
			c = x->s[++k];
			if (c != '\\' && c != '\'' && c != '"' && !strchr("ntr", c))
				to[n++] = '\\';
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
		}
		to[n++] = c;
	}
	x->t = T_STR;
	x->word = to;
	x->len = n;
	x->at = i + 1;
}

static void advance(struct parser *x)
{
	static const char *const two[] = { "==", "!=", "<=", ">=", "//", "**" };
	const char              *s = x->s;

	while (x->at < x->n && isspace((unsigned char)s[x->at]))
		x->line += s[x->at++] == '\n';
	x->word = s + x->at;
	x->len = 0;
	x->t = T_END;
	if (x->at >= x->n || bad(x))
		return;
	if ((x->at + 1 < x->n && (s[x->at] == '%' || (s[x->at] == '}' && !x->braces)) &&
	     s[x->at + 1] == '}') ||
	    (x->at + 2 < x->n && (s[x->at] == '-' || s[x->at] == '+') &&
	     (s[x->at + 1] == '%' || s[x->at + 1] == '}') && s[x->at + 2] == '}'))
		return;
	x->len = 1;
	x->t = T_OP;
	if (isalpha((unsigned char)*x->word) || *x->word == '_') {
		x->t = T_NAME;
		while (x->at + x->len < x->n &&
		       (isalnum((unsigned char)x->word[x->len]) || x->word[x->len] == '_'))
			x->len++;
	} else if (isdigit((unsigned char)*x->word)) {
		x->t = T_INT;
		while (x->at + x->len < x->n &&
		       (isdigit((unsigned char)x->word[x->len]) ||
		        (x->word[x->len] == '.' && x->at + x->len + 1 < x->n &&
		         isdigit((unsigned char)x->word[x->len + 1]))))
			x->t = x->word[x->len++] == '.' ? T_REAL : x->t;
	} else if (*x->word == '\'' || *x->word == '"') {
		string_token(x);
		return;
	} else {
		for (size_t i = 0; i < 6; i++)
			if (x->at + 1 < x->n && memcmp(x->word, two[i], 2) == 0)
				x->len = 2;
	}
	x->at += x->len;
}

static bool is(const struct parser *x, const char *word)
{
	return (x->t == T_NAME || x->t == T_OP) && strlen(word) == x->len &&
	       memcmp(x->word, word, x->len) == 0;
}

static bool eat(struct parser *x, const char *word)
{
	if (!is(x, word))
		return false;
	advance(x);
	return true;
}

static void need(struct parser *x, const char *word)
{
	char what[40] = "expected '";

	if (eat(x, word) || bad(x))
		return;
	strncat(what, word, 20);
	strcat(what, "'");
	complain(x, what);
}

static struct node *name(struct parser *x, enum node_type t)
{
	struct node *n = make(x, t);

	if (x->t != T_NAME)
		complain(x, "expected a name");
	if (n && !bad(x)) {
		char *copy = pool_take(x->p, x->len + 1);

		if (copy)
			memcpy(copy, x->word, x->len);
		n->s = copy;
		n->n = x->len;
		advance(x);
	}
	return n;
}

/* ---- expressions ---- */

static struct node *unary(struct parser *x, bool filters);

static struct node *constant(struct parser *x, struct val v)
{
	struct node *n = make(x, N_CONST);

	if (n)
		n->v = v;
	advance(x);
	return n;
}

/* Items to a closing bracket; with names, `name=value` is possible. */
static struct node *items(struct parser *x, const char *close, bool named)
{
	struct node *first = NULL, **last = &first;

	while (!bad(x) && !is(x, close)) {
		struct node *e = expr(x);

		if (named && e && e->t == N_NAME && is(x, "=")) {
			struct node *k = make(x, N_KEYWORD);

			advance(x);
			if (!k)
				break;
			k->s = e->s;
			k->n = e->n;
			k->a = expr(x);
			e = k;
		}
		if (e) {
			struct node *slot =
				make(x, N_GROUP); /* a cell, so that e->next stays free */

			if (!slot)
				break;
			slot->a = e;
			*last = slot;
			last = &slot->next;
		}
		if (!eat(x, ","))
			break;
	}
	need(x, close);
	return first;
}

static struct node *dict(struct parser *x)
{
	struct node *n = make(x, N_DICTOF), **last;

	x->braces++;
	advance(x);
	last = n ? &n->a : NULL;
	while (last && !bad(x) && !is(x, "}")) {
		struct node *slot = make(x, N_GROUP);

		if (!slot)
			break;
		slot->a = expr(x);
		need(x, ":");
		slot->b = expr(x);
		*last = slot;
		last = &slot->next;
		if (!eat(x, ","))
			break;
	}
	x->braces--;
	need(x, "}");
	return n;
}

static struct node *paren(struct parser *x)
{
	struct node *e, *list;

	advance(x);
	if (is(x, ")")) {
		advance(x);
		return make(x, N_LISTOF);
	}
	e = expr(x);
	if (!is(x, ",")) {
		need(x, ")");
		return e;
	}
	advance(x);
	list = make(x, N_LISTOF);
	if (list)
		list->a = make(x, N_GROUP);
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

		while (x->t == T_STR && !bad(x)) { /* neighbours are one */
			rt_text_add_n(&t, x->word, x->len);
			advance(x);
		}
		copy = pool_take(x->p, t.len + 1);
		if (copy)
			memcpy(copy, t.data, t.len);
		n = make(x, N_CONST);
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
	if (is(x, "true") || is(x, "True") || is(x, "false") || is(x, "False")) {
		v.t = V_BOOL;
		v.u.b = tolower((unsigned char)*x->word) == 't';
		return constant(x, v);
	}
	if (is(x, "none") || is(x, "None")) {
		v.t = V_NONE;
		return constant(x, v);
	}
	if (x->t == T_NAME)
		return name(x, N_NAME);
	if (is(x, "("))
		return paren(x);
	if (is(x, "{"))
		return dict(x);
	if (is(x, "[")) {
		n = make(x, N_LISTOF);
		advance(x);
		if (n)
			n->a = items(x, "]", false);
		return n;
	}
	complain(x, "expected an expression");
	return NULL;
}

static struct node *subscript(struct parser *x, struct node *of)
{
	struct node *n = make(x, N_ITEM), *first = NULL;

	advance(x);
	if (!n)
		return NULL;
	n->a = of;
	if (!is(x, ":"))
		first = expr(x);
	n->b = first;
	if (eat(x, ":")) {
		n->t = N_SLICE;
		if (!is(x, ":") && !is(x, "]"))
			n->c = expr(x);
		if (eat(x, ":") && !is(x, "]"))
			n->d = expr(x);
	}
	need(x, "]");
	return n;
}

static struct node *postfix(struct parser *x, struct node *e)
{
	while (!bad(x)) {
		struct node *n;

		if (is(x, "[")) {
			e = subscript(x, e);
		} else if (is(x, ".")) {
			advance(x);
			if (x->t == T_INT) {
				n = make(x, N_ITEM);
				if (n)
					n->b = primary(x);
			} else {
				n = name(x, N_ATTR);
			}
			if (n)
				n->a = e;
			e = n;
		} else if (is(x, "(")) {
			n = make(x, N_CALL);
			advance(x);
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

static struct node *filter(struct parser *x, struct node *e)
{
	struct node *n = name(x, N_FILTER);

	if (!n)
		return NULL;
	n->a = e;
	if (eat(x, "("))
		n->b = items(x, ")", true);
	return n;
}

static struct node *test(struct parser *x, struct node *e)
{
	const bool   no = eat(x, "not");
	struct node *n;

	if (x->t == T_OP && (is(x, "==") || is(x, "!=")))
		x->t = T_NAME;
	n = name(x, N_TEST);
	if (!n)
		return NULL;
	n->a = e;
	n->op = no;
	if (eat(x, "(")) {
		n->b = items(x, ")", true);
	} else if (x->t == T_STR || x->t == T_INT || is(x, "[") ||
	           (x->t == T_NAME && !is(x, "else") && !is(x, "and") && !is(x, "or") &&
	            !is(x, "if") && !is(x, "is") && !is(x, "in") && !is(x, "not"))) {
		n->b = make(x, N_GROUP);
		if (n->b)
			n->b->a = postfix(x, primary(x));
	}
	return n;
}

static struct node *unary(struct parser *x, bool filters)
{
	struct node *e;

	if (++x->p->depth > JINJA_DEPTH)
		complain(x, "too deep");
	if (is(x, "-") || is(x, "+")) {
		const bool minus = is(x, "-");

		advance(x);
		e = unary(x, false);
		if (minus) {
			struct node *n = make(x, N_NEG);

			if (n)
				n->a = e;
			e = n;
		}
	} else {
		e = bad(x) ? NULL : primary(x);
	}
	e = postfix(x, e);
	while (filters && !bad(x)) {
		if (eat(x, "|"))
			e = filter(x, e);
		else if (eat(x, "is"))
			e = test(x, e);
		else
			break;
		if (is(x, ".") || is(x, "["))
			e = postfix(x, e);
	}
	x->p->depth--;
	return e;
}

static struct node *binary(struct parser *x, struct node *a, int op, struct node *b)
{
	struct node *n = make(x, N_BINARY);

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

	while (!bad(x) && (is(x, "*") || is(x, "/") || is(x, "//") || is(x, "%") || is(x, "**"))) {
		const int op = x->len == 2 ? (*x->word == '/' ? 'f' : 'p') : *x->word;

		advance(x);
		e = binary(x, e, op, unary(x, true));
	}
	return e;
}

static struct node *concat(struct parser *x)
{
	struct node *e = product(x);

	while (!bad(x) && eat(x, "~"))
		e = binary(x, e, '~', product(x));
	return e;
}

static struct node *sum(struct parser *x)
{
	struct node *e = concat(x);

	while (!bad(x) && (is(x, "+") || is(x, "-"))) {
		const int op = *x->word;

		advance(x);
		e = binary(x, e, op, concat(x));
	}
	return e;
}

static struct node *compare(struct parser *x)
{
	struct node *e = sum(x), *all = NULL;

	while (!bad(x)) {
		struct node *right, *one, *both;
		int          op = 0;

		if (is(x, "==") || is(x, "!=") || is(x, "<=") || is(x, ">="))
			op = *x->word == '='   ? 'e'
			     : *x->word == '!' ? 'n'
			     : *x->word == '<' ? 'l'
			                       : 'g';
		else if (is(x, "<") || is(x, ">"))
			op = *x->word;
		else if (is(x, "in"))
			op = 'i';
		else if (is(x, "not"))
			op = 'o';
		else
			break;
		advance(x);
		if (op == 'o')
			need(x, "in");
		right = sum(x);
		one = binary(x, e, op, right);
		both = all ? make(x, N_AND) : one; /* a < b < c */
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

	if (!is(x, "not"))
		return compare(x);
	if (++x->p->depth > JINJA_DEPTH)
		complain(x, "too deep");
	n = make(x, N_NOT);
	advance(x);
	if (n && !bad(x))
		n->a = negation(x);
	x->p->depth--;
	return n;
}

static struct node *logic(struct parser *x, bool or)
{
	struct node *e = or ? logic(x, false) : negation(x);

	while (!bad(x) && eat(x, or ? "or" : "and")) {
		struct node *n = make(x, or ? N_OR : N_AND);

		if (!n)
			return NULL;
		n->a = e;
		n->b = or ? logic(x, false) : negation(x);
		e = n;
	}
	return e;
}

static struct node *expr(struct parser *x)
{
	struct node *e;

	if (++x->p->depth > JINJA_DEPTH)
		complain(x, "too deep");
	e = bad(x) ? NULL : logic(x, true);
	while (!bad(x) && eat(x, "if")) {
		struct node *n = make(x, N_IFELSE);

		if (!n)
			return NULL;
		n->b = e;
		n->a = logic(x, true);
		n->c = eat(x, "else") ? expr(x) : NULL;
		e = n;
	}
	x->p->depth--;
	return e;
}

/* An expression, or several with commas between them: a tuple. */
static struct node *tuple(struct parser *x)
{
	struct node *e = expr(x), *list, **last;

	if (!is(x, ","))
		return e;
	list = make(x, N_LISTOF);
	last = list ? &list->a : NULL;
	while (last && e && !bad(x)) {
		struct node *slot = make(x, N_GROUP);

		if (!slot)
			break;
		slot->a = e;
		*last = slot;
		last = &slot->next;
		if (!eat(x, ",") || x->t == T_END)
			break;
		e = expr(x);
	}
	return list;
}

/* ---- statements ---- */

/* The end of a tag: -%}, +%}, %} or }}. */
static void close_tag(struct parser *x, char kind)
{
	const char *s = x->s + x->at;
	const bool  sign = x->at < x->n && (*s == '-' || *s == '+');

	if (bad(x))
		return;
	if (x->at + sign + 1 >= x->n || s[sign] != kind || s[sign + 1] != '}') {
		complain(x, kind == '%' ? "expected '%}'" : "expected '}}'");
		return;
	}
	x->strip = sign && *s == '-';
	x->trim = kind == '%' && !(sign && *s == '+');
	x->at += 2u + sign;
}

static struct node *names(struct parser *x)
{
	struct node *first = NULL, **last = &first;

	do {
		const bool   open = eat(x, "(");
		struct node *n = open ? names(x) : name(x, N_NAME);

		if (open)
			need(x, ")");
		*last = n;
		while (*last)
			last = &(*last)->next;
	} while (!bad(x) && eat(x, ",") && !is(x, "in"));
	return first;
}

static struct node *for_tag(struct parser *x)
{
	static const char *const ends[] = { "else", "endfor", NULL }, *const end[] = { "endfor",
		                                                                       NULL };
	struct node *n = make(x, N_FOR), *iter;

	if (!n)
		return NULL;
	n->a = names(x);
	need(x, "in");
	iter = logic(x, true);
	n->b = iter;
	if (eat(x, "if")) {
		n->v.u.macro = expr(x); /* the condition */
		n->op = 1;
	}
	if (is(x, "recursive"))
		complain(x, "recursive loops are not supported");
	close_tag(x, '%');
	n->c = body(x, ends);
	if (is(x, "else")) {
		advance(x);
		close_tag(x, '%');
		n->d = body(x, end);
	}
	advance(x);
	close_tag(x, '%');
	return n;
}

static struct node *if_tag(struct parser *x)
{
	static const char *const ends[] = { "elif", "else", "endif", NULL }, *const end[] = {
		"endif", NULL
	};
	struct node *n = make(x, N_IF);

	if (++x->p->depth > JINJA_DEPTH)
		complain(x, "too deep");
	if (!n || bad(x))
		return NULL;
	n->a = tuple(x);
	close_tag(x, '%');
	n->b = body(x, ends);
	if (eat(x, "elif")) {
		n->c = if_tag(x);
		x->p->depth--;
		return n; /* the innermost took the endif */
	}
	if (eat(x, "else")) {
		close_tag(x, '%');
		n->c = body(x, end);
	}
	advance(x);
	close_tag(x, '%');
	x->p->depth--;
	return n;
}

static struct node *set_tag(struct parser *x)
{
	static const char *const end[] = { "endset", NULL };
	struct node             *n = make(x, N_SET), *target;

	if (!n)
		return NULL;
	target = name(x, N_NAME);
	if (eat(x, ".")) {
		struct node *attr = name(x, N_ATTR);

		if (attr)
			attr->a = target;
		target = attr;
	} else if (eat(x, ",")) {
		if (target)
			target->next = names(x);
	}
	n->a = target;
	if (eat(x, "=")) {
		n->b = tuple(x);
		close_tag(x, '%');
		return n;
	}
	n->t = N_SETBLOCK;
	if (eat(x, "|"))
		n->c = filter(x, NULL);
	close_tag(x, '%');
	n->b = body(x, end);
	advance(x);
	close_tag(x, '%');
	return n;
}

static struct node *macro_tag(struct parser *x)
{
	static const char *const end[] = { "endmacro", NULL };
	struct node             *n = name(x, N_MACRO), **last;

	if (!n)
		return NULL;
	need(x, "(");
	last = &n->a;
	while (!bad(x) && !is(x, ")")) {
		struct node *p = name(x, N_NAME);

		if (!p)
			break;
		if (eat(x, "="))
			p->a = expr(x);
		*last = p;
		last = &p->next;
		if (!eat(x, ","))
			break;
	}
	need(x, ")");
	close_tag(x, '%');
	n->b = body(x, end);
	advance(x);
	close_tag(x, '%');
	return n;
}

static struct node *wrapped(struct parser *x, enum node_type t, const char *end_name)
{
	const char  *end[] = { NULL, NULL };
	struct node *n = make(x, t);

	end[0] = end_name;
	if (!n)
		return NULL;
	if (t == N_CALLBLOCK)
		n->a = expr(x);
	if (t == N_FILTERBLOCK)
		n->a = filter(x, NULL);
	close_tag(x, '%');
	n->b = body(x, end);
	advance(x);
	close_tag(x, '%');
	return n;
}

static struct node *raw_tag(struct parser *x)
{
	struct node *n = make(x, N_TEXT);

	close_tag(x, '%');
	for (size_t i = x->at; n && !bad(x) && i + 2 < x->n; i++)
		if (x->s[i] == '{' && x->s[i + 1] == '%') {
			const size_t start = x->at;

			x->at = i + 2;
			if (x->at < x->n && x->s[x->at] == '-')
				x->at++;
			advance(x);
			if (is(x, "endraw")) {
				n->s = x->s + start;
				n->n = i - start;
				advance(x);
				close_tag(x, '%');
				return n;
			}
			x->at = start;
		}
	complain(x, "a raw block does not end");
	return NULL;
}

static struct node *statement(struct parser *x)
{
	struct node *n;

	if (eat(x, "if")) {
		n = if_tag(x);
		return n;
	}
	if (eat(x, "for"))
		return for_tag(x);
	if (eat(x, "set"))
		return set_tag(x);
	if (eat(x, "macro"))
		return macro_tag(x);
	if (eat(x, "call"))
		return wrapped(x, N_CALLBLOCK, "endcall");
	if (eat(x, "filter"))
		return wrapped(x, N_FILTERBLOCK, "endfilter");
	if (eat(x, "generation")) /* marks what the assistant wrote: found without it */
		return wrapped(x, N_GROUP, "endgeneration");
	if (is(x, "raw")) {
		advance(x);
		return raw_tag(x);
	}
	if (is(x, "break") || is(x, "continue")) {
		n = make(x, is(x, "break") ? N_BREAK : N_CONTINUE);
		advance(x);
		close_tag(x, '%');
		return n;
	}
	complain(x, "an unknown statement");
	return NULL;
}

static bool blank_before(const struct parser *x, size_t start, size_t *at)
{
	size_t i = *at;

	while (i > start && (x->s[i - 1] == ' ' || x->s[i - 1] == '\t'))
		i--;
	if (i > 0 && x->s[i - 1] != '\n')
		return false;
	*at = i;
	return true;
}

/* Text up to the next tag, trimmed on both sides as the tags say.  NULL when nothing is left. */
static struct node *text(struct parser *x)
{
	size_t       start = x->at, end, tag;
	struct node *n;

	for (tag = start; tag < x->n; tag++)
		if (x->s[tag] == '{' && tag + 1 < x->n && strchr("{%#", x->s[tag + 1]) &&
		    x->s[tag + 1])
			break;
	end = tag;
	if (x->strip)
		while (start < end && isspace((unsigned char)x->s[start]))
			x->line += x->s[start++] == '\n';
	else if (x->trim && start < end && x->s[start] == '\n')
		start++, x->line++;
	x->strip = x->trim = false;
	if (tag + 2 < x->n && x->s[tag + 2] == '-')
		while (end > start && isspace((unsigned char)x->s[end - 1]))
			end--;
	else if (tag + 2 < x->n && x->s[tag + 1] != '{' && x->s[tag + 2] != '+')
		blank_before(x, start, &end);
	if (tag == x->n && end > start && x->s[end - 1] == '\n') /* the last newline of a file */
		end--;
	n = end > start ? make(x, N_TEXT) : NULL;
	if (n) {
		n->s = x->s + start;
		n->n = end - start;
	}
	for (size_t i = start; i < tag; i++)
		x->line += x->s[i] == '\n';
	x->at = tag;
	return n;
}

static void comment(struct parser *x)
{
	size_t i = x->at + 2;

	while (i + 1 < x->n && !(x->s[i] == '#' && x->s[i + 1] == '}'))
		x->line += x->s[i++] == '\n';
	if (i + 1 >= x->n) {
		complain(x, "a comment does not end");
		return;
	}
	x->strip = x->s[i - 1] == '-' && i - 1 > x->at + 1;
	x->trim = true;
	x->at = i + 2;
}

/* Statements up to one of the words `until` (NULL: the end), which is then in hand. */
static struct node *body(struct parser *x, const char *const *until)
{
	struct node *first = NULL, **last = &first, *n;
	const int    line = x->line;

	if (++x->p->depth > JINJA_DEPTH)
		complain(x, "too deep");
	while (!bad(x)) {
		n = text(x);
		if (n) {
			*last = n;
			last = &n->next;
		}
		if (x->at >= x->n || bad(x))
			break;
		if (x->s[x->at + 1] == '#') {
			comment(x);
			continue;
		}
		n = NULL;
		x->at += 2;
		if (x->at < x->n && (x->s[x->at] == '-' || x->s[x->at] == '+'))
			x->at++;
		if (x->s[x->at - 1] == '{' ||
		    (x->at >= 3 && x->s[x->at - 2] == '{' && x->s[x->at - 3] == '{')) {
			advance(x);
			n = make(x, N_OUT);
			if (n)
				n->a = tuple(x);
			close_tag(x, '}');
		} else {
			advance(x);
			for (int i = 0; until && until[i]; i++)
				if (is(x, until[i])) {
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
	if (until && !bad(x)) {
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

	return bad(&x) ? NULL : first;
}
