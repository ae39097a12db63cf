/* grammar-shape.c - what is settled when all nodes are there: choices between choices become one,
 * and how deep a value has to go.  See grammar-make.h */
#include "text/grammar-make.h"

#include <string.h>

static int within_tool(struct compiler *c, const struct made *m, int r)
{
	return m->tool ? rt_within(c->err, r, "tool '%s', parameters", m->tool) : r;
}

/* ---- choices -------------------------------------------------------------------------------- */

struct found {
	struct grammar_node *v[GRAMMAR_WORDS_MOST];
	size_t               n;
	uint32_t             stamp;
};

/* All forms of a choice that are no choices themselves, each once. */
static int find(struct compiler *c, struct grammar_node *node, struct found *f)
{
	int r = 0;

	if (node->stamp == f->stamp)
		return 0;
	node->stamp = f->stamp;
	for (size_t i = 0; node->kind == GRAMMAR_ANY_OF && r == 0 && i < node->n; i++)
		r = find(c, node->of[i], f);
	if (node->kind != GRAMMAR_ANY_OF) {
		if (f->n == GRAMMAR_WORDS_MOST)
			return rt_fail(c->err, RT_E_RANGE, "it has more than %d forms",
			               GRAMMAR_WORDS_MOST);
		f->v[f->n++] = node;
	}
	return r;
}

/* Forms that begin alike are followed side by side. */
static int check_forms(struct compiler *c, const struct found *f)
{
	size_t objects = 0, arrays = 0;

	for (size_t i = 0; i < f->n; i++) {
		objects += f->v[i]->kind == GRAMMAR_OBJECT || f->v[i]->kind == GRAMMAR_OPEN;
		arrays += f->v[i]->kind == GRAMMAR_ARRAY;
	}
	if (objects <= GRAMMAR_THREADS && arrays <= GRAMMAR_THREADS &&
	    f->n - objects - arrays <= GRAMMAR_THREADS)
		return 0;
	return rt_fail(c->err, RT_E_RANGE, "a choice has %zu forms, the limit is %d of a kind",
	               f->n, GRAMMAR_THREADS);
}

/* A choice between choices becomes one: no byte is spent on the way, and no schema that refers to
 * itself, or doubles at every step, makes it long. */
int grammar_flatten(struct compiler *c)
{
	struct found *f = rt_alloc(1, sizeof *f);
	int           r = f ? 0 : rt_fail_nomem(c->err, "a grammar");

	for (size_t i = 0; r == 0 && i < c->n; i++) {
		struct grammar_node *node = c->made[i].node;

		f->n = 0;
		f->stamp++;
		r = find(c, node, f);
		if (r == 0 && f->n == 0)
			r = rt_fail(c->err, RT_E_FORMAT, "a schema refers to nothing but itself");
		if (r == 0)
			r = check_forms(c, f);
		if (r < 0) {
			r = within_tool(c, &c->made[i], r);
			break;
		}
		node->of = rt_arena_alloc(&c->g->room, f->n, sizeof(struct grammar_node *));
		node->n = f->n;
		if (node->of)
			memcpy(node->of, f->v, f->n * sizeof(struct grammar_node *));
		else
			r = rt_fail_nomem(c->err, "a grammar");
	}
	rt_free(f);
	return r;
}

/* ---- heights -------------------------------------------------------------------------------- */

enum { ENDLESS = 1 << 20 };

static int height_of(const struct grammar_node *n)
{
	int h = n->kind == GRAMMAR_ANY_OF ? ENDLESS : 0;

	switch (n->kind) {
	case GRAMMAR_ANY_OF:
		for (size_t i = 0; i < n->n; i++)
			if (n->of[i]->height < h)
				h = n->of[i]->height;
		return h;
	case GRAMMAR_OBJECT:
		for (size_t i = 0; i < n->n; i++)
			if (n->required[i / 64] >> i % 64 & 1 && n->of[i]->height > h)
				h = n->of[i]->height;
		return h + 1;
	case GRAMMAR_ARRAY: return n->least > 0 ? n->of[0]->height + 1 : 1;
	case GRAMMAR_OPEN:
	case GRAMMAR_STRING:
	case GRAMMAR_NUMBER:
	case GRAMMAR_WORDS:
	case GRAMMAR_CALL:
	case GRAMMAR_CALLS:
	case GRAMMAR_WHOLE:
	default: return 1;
	}
}

int grammar_heights(struct compiler *c, int most)
{
	bool change = true;

	for (struct grammar_node *n = c->g->all; n; n = n->next)
		n->height = ENDLESS;
	while (change) {
		change = false;
		for (struct grammar_node *n = c->g->all; n; n = n->next) {
			const int h = height_of(n);

			change = change || h < n->height;
			n->height = h < n->height ? h : n->height;
		}
	}
	for (size_t i = 0; i < c->n; i++)
		if (c->made[i].node->height > most)
			return within_tool(c, &c->made[i],
			                   rt_fail(c->err, RT_E_RANGE,
			                           "a value has to nest deeper than %d", most));
	return 0;
}
