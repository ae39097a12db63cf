/* jinja-parse.h - what the parts of the template parser share: the place in the text, the token in
 * hand.  Tokens and text between tags (jinja-token.c), expressions (jinja-expr.c), statements
 * (jinja-parse.c); each reads from the token in hand on, and leaves the one after it in hand. */
#ifndef TEXT_JINJA_PARSE_H
#define TEXT_JINJA_PARSE_H

#include "text/jinja.h"

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

/* ---- jinja-token.c ---- */
bool         jp_bad(const struct parser *x);              /* an error came before */
struct node *jp_node(struct parser *x, enum node_type t); /* of this line; NULL after an error */
void         jp_fail(struct parser *x, const char *what);
void         jp_advance(struct parser *x);
bool         jp_is(const struct parser *x, const char *word);
bool         jp_eat(struct parser *x, const char *word); /* past it, if it is there */
void         jp_need(struct parser *x, const char *word);
struct node *jp_name(struct parser *x, enum node_type t);

/* The end of a tag: -%}, +%}, %} or }}; kind is '%' or '}'. */
void jp_close(struct parser *x, char kind);

/* Text up to the next tag, trimmed on both sides as the tags say.  NULL when nothing is left. */
struct node *jp_text(struct parser *x);
void         jp_comment(struct parser *x);

/* ---- jinja-expr.c ---- */
struct node *jp_expr(struct parser *x);
struct node *jp_tuple(struct parser *x); /* or several, with commas between them */
struct node *jp_filter(struct parser *x,
                       struct node   *e);           /* what stands after a bar, applied to e */
struct node *jp_logic(struct parser *x, bool or); /* no `if ... else`: that of a loop is its own */

#endif
