/* jinja-token.c - a template to tokens, and the text between its tags. */
#include "text/jinja-parse.h"

#include <ctype.h>
#include <string.h>

bool jp_bad(const struct parser *x)
{
	return x->p->r != 0;
}

struct node *jp_node(struct parser *x, enum node_type t)
{
	struct node *n = pool_take(x->p, sizeof *n);

	if (n) {
		n->t = t;
		n->line = x->line;
	}
	return n;
}

void jp_fail(struct parser *x, const char *what)
{
	x->p->line = x->line;
	pool_fail(x->p, RT_E_FORMAT, "%s at '%.*s'", what, (int)(x->len < 40 ? x->len : 40),
	          x->word ? x->word : "");
}

/* ---- inside of tags ---- */

static void string_token(struct parser *x)
{
	const char quote = x->s[x->at];
	size_t     i = x->at + 1, n = 0;
	char      *to;

	while (i < x->n && x->s[i] != quote)
		i += x->s[i] == '\\' ? 2 : 1;
	if (i >= x->n) {
		jp_fail(x, "a string does not end");
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

void jp_advance(struct parser *x)
{
	static const char *const two[] = { "==", "!=", "<=", ">=", "//", "**" };
	const char              *s = x->s;

	while (x->at < x->n && isspace((unsigned char)s[x->at]))
		x->line += s[x->at++] == '\n';
	x->word = s + x->at;
	x->len = 0;
	x->t = T_END;
	if (x->at >= x->n || jp_bad(x))
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

bool jp_is(const struct parser *x, const char *word)
{
	return (x->t == T_NAME || x->t == T_OP) && strlen(word) == x->len &&
	       memcmp(x->word, word, x->len) == 0;
}

bool jp_eat(struct parser *x, const char *word)
{
	if (!jp_is(x, word))
		return false;
	jp_advance(x);
	return true;
}

void jp_need(struct parser *x, const char *word)
{
	char what[40] = "expected '";

	if (jp_eat(x, word) || jp_bad(x))
		return;
	strncat(what, word, 20);
	strcat(what, "'");
	jp_fail(x, what);
}

struct node *jp_name(struct parser *x, enum node_type t)
{
	struct node *n = jp_node(x, t);

	if (x->t != T_NAME)
		jp_fail(x, "expected a name");
	if (n && !jp_bad(x)) {
		char *copy = pool_take(x->p, x->len + 1);

		if (copy)
			memcpy(copy, x->word, x->len);
		n->s = copy;
		n->n = x->len;
		jp_advance(x);
	}
	return n;
}

/* ---- between tags ---- */

void jp_close(struct parser *x, char kind)
{
	const char *s = x->s + x->at;
	const bool  sign = x->at < x->n && (*s == '-' || *s == '+');

	if (jp_bad(x))
		return;
	if (x->at + sign + 1 >= x->n || s[sign] != kind || s[sign + 1] != '}') {
		jp_fail(x, kind == '%' ? "expected '%}'" : "expected '}}'");
		return;
	}
	x->strip = sign && *s == '-';
	x->trim = kind == '%' && !(sign && *s == '+');
	x->at += 2u + sign;
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

struct node *jp_text(struct parser *x)
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
	n = end > start ? jp_node(x, N_TEXT) : NULL;
	if (n) {
		n->s = x->s + start;
		n->n = end - start;
	}
	for (size_t i = start; i < tag; i++)
		x->line += x->s[i] == '\n';
	x->at = tag;
	return n;
}

void jp_comment(struct parser *x)
{
	size_t i = x->at + 2;

	while (i + 1 < x->n && !(x->s[i] == '#' && x->s[i + 1] == '}'))
		x->line += x->s[i++] == '\n';
	if (i + 1 >= x->n) {
		jp_fail(x, "a comment does not end");
		return;
	}
	x->strip = x->s[i - 1] == '-' && i - 1 > x->at + 1;
	x->trim = true;
	x->at = i + 2;
}
