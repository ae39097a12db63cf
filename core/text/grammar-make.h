/* grammar-make.h - how a grammar is made.  See grammar.h for what is made. */
#ifndef TEXT_GRAMMAR_MAKE_H
#define TEXT_GRAMMAR_MAKE_H

#include "text/grammar.h"

enum {
	GRAMMAR_SCHEMAS = 4096,
	GRAMMAR_WORDS_MOST = 4096, /* of an enum, tools, forms of a choice */
};

/* A schema, and the choice (GRAMMAR_ANY_OF) that stands for it: from its beginning on, so that it
 * may refer to itself. */
struct made {
	const struct rt_json *schema;
	struct grammar_node  *node;
	const char           *tool; /* whose parameters it is of; or NULL */
};

struct compiler {
	struct rt_grammar    *g;
	const struct rt_json *root; /* of the schema, for $ref */
	const char           *tool; /* at hand, or NULL */
	struct made           made[GRAMMAR_SCHEMAS];
	size_t                n;
	int                   depth;
	struct rt_error      *err;
};

/* A node with room for n words and n others. */
int grammar_node(struct compiler *c, enum grammar_kind kind, size_t n, struct grammar_node **ret);

/* The node of a value of this schema; NULL: of any value. */
int grammar_value(struct compiler *c, const struct rt_json *schema, struct grammar_node **ret);

/* A value as JSON, in the memory of the grammar. */
int grammar_spell(struct compiler *c, const struct rt_json *value, struct grammar_word *w);
int grammar_by_bytes(const void *a, const void *b); /* of words, for qsort() */

/* At the end: choices between choices become one each; then how deep values have to go, `most` at
 * most. */
int grammar_flatten(struct compiler *c);
int grammar_heights(struct compiler *c, int most);

#endif
