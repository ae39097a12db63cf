/* grammar.c - an answer goes through a grammar.  See grammar.h, grammar-step.h */
#include "text/grammar-step.h"

#include <string.h>

struct rt_matcher {
	struct grammar_set sets[3], *now, *a, *b; /* a and b: where a byte leads */
};

static void feed(struct grammar_set *out, struct grammar_thread *t, unsigned char c);

void thread_copy(struct grammar_thread *to, const struct grammar_thread *from)
{
	to->depth = from->depth;
	to->blanks = from->blanks;
	memcpy(to->f, from->f, (size_t)from->depth * sizeof *to->f);
}

/* Forms that have come to the same. */
static bool same(const struct grammar_thread *a, const struct grammar_thread *b)
{
	return a->depth == b->depth && a->blanks == b->blanks &&
	       memcmp(a->f, b->f, (size_t)a->depth * sizeof *a->f) == 0;
}

static void put(struct grammar_set *out, struct grammar_thread *t, int blanks)
{
	t->blanks = blanks;
	for (int i = 0; i < out->n; i++)
		if (same(&out->t[i], t))
			return;
	if (out->n < GRAMMAR_THREADS)
		thread_copy(&out->t[out->n++], t);
}

void thread_keep(struct grammar_set *out, struct grammar_thread *t)
{
	put(out, t, 0);
}

bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\n' || c == '\t';
}

/* One blank, or a line's end and its indentation.  Of them threads count: 1 is a blank, LINE a
 * line's end, and each blank behind it one more. */
void thread_keep_blank(struct grammar_set *out, struct grammar_thread *t, unsigned char c)
{
	enum { LINE = 2 };
	const bool first = t->blanks == 0;
	const bool indents = t->blanks >= LINE && t->blanks < LINE + GRAMMAR_INDENT;

	if (first && c == '\n')
		put(out, t, LINE);
	else if (first && c == ' ')
		put(out, t, 1);
	else if (indents && c != '\n')
		put(out, t, t->blanks + 1);
}

void thread_keep_phase(struct grammar_set *out, struct grammar_thread *t, struct grammar_frame *f,
                       uint8_t phase)
{
	f->phase = phase;
	f->at = 0;
	thread_keep(out, t);
}

void thread_end(struct grammar_set *out, struct grammar_thread *t)
{
	t->depth--;
	thread_keep(out, t);
}

static void begin_one(struct grammar_set *out, const struct grammar_thread *t,
                      const struct grammar_node *node, unsigned char c)
{
	struct grammar_thread own;

	if (t->depth + node->height > GRAMMAR_DEPTH)
		return;
	thread_copy(&own, t);
	own.blanks = 0;
	own.f[own.depth++] = (struct grammar_frame){ .node = node, .last = (uint16_t)node->n };
	feed(out, &own, c);
}

/* Choices have no choices among their forms: see grammar_flatten(). */
void value_begin(struct grammar_set *out, struct grammar_thread *t, const struct grammar_node *node,
                 unsigned char c)
{
	if (node->kind != GRAMMAR_ANY_OF)
		begin_one(out, t, node, c);
	else
		for (size_t i = 0; i < node->n; i++)
			begin_one(out, t, node->of[i], c);
}

/* Ends a value that has no end of its own? */
static bool ends_so(const struct grammar_frame *f)
{
	return f->node->kind == GRAMMAR_WORDS    ? word_ends(f)
	       : f->node->kind == GRAMMAR_NUMBER ? number_whole(f)
	                                         : false;
}

static void open_ended(struct grammar_set *out, struct grammar_thread *t, struct grammar_frame *f,
                       unsigned char c)
{
	const struct grammar_frame before = *f;

	if (f->node->kind == GRAMMAR_WORDS ? word_narrow(f, c) : number_put(f, c)) {
		thread_keep(out, t);
	} else if (ends_so(&before)) {
		t->depth--;
		feed(out, t, c);
	}
}

static void feed(struct grammar_set *out, struct grammar_thread *t, unsigned char c)
{
	struct grammar_frame *f = &t->f[t->depth - 1];

	switch (f->node->kind) {
	case GRAMMAR_OBJECT:
	case GRAMMAR_OPEN: object_step(out, t, f, c); break;
	case GRAMMAR_ARRAY: array_step(out, t, f, c); break;
	case GRAMMAR_STRING: string_step(out, t, f, c); break;
	case GRAMMAR_NUMBER:
	case GRAMMAR_WORDS: open_ended(out, t, f, c); break;
	case GRAMMAR_CALL: call_step(out, t, f, c); break;
	case GRAMMAR_CALLS: calls_step(out, t, f, c); break;
	case GRAMMAR_WHOLE: whole_step(out, t, f, c); break;
	case GRAMMAR_ANY_OF: break; /* value_begin() resolves them */
	}
}

/* Where n bytes lead from here: a set, or NULL. */
static struct grammar_set *follow(struct rt_matcher *m, const char *bytes, size_t n)
{
	struct grammar_set *from = m->now, *to = m->a;

	for (size_t i = 0; i < n; i++) {
		struct grammar_thread own;

		to->n = 0;
		for (int k = 0; k < from->n; k++) {
			thread_copy(&own, &from->t[k]);
			feed(to, &own, (unsigned char)bytes[i]);
		}
		if (to->n == 0)
			return NULL;
		from = to;
		to = to == m->a ? m->b : m->a;
	}
	return from;
}

int rt_matcher_new(struct rt_matcher **ret, const struct rt_grammar *g, struct rt_error *err)
{
	struct rt_matcher *m = rt_alloc(1, sizeof *m);

	if (!m)
		return rt_fail_nomem(err, "an answer's grammar");
	m->now = &m->sets[0];
	m->a = &m->sets[1];
	m->b = &m->sets[2];
	m->now->n = 1;
	m->now->t[0].depth = 1;
	m->now->t[0].f[0] = (struct grammar_frame){ .node = g->top };
	*ret = m;
	return 0;
}

void rt_matcher_free(struct rt_matcher *m)
{
	rt_free(m);
}

bool rt_matcher_may(struct rt_matcher *m, const char *bytes, size_t n)
{
	return follow(m, bytes, n) != NULL;
}

bool rt_matcher_put(struct rt_matcher *m, const char *bytes, size_t n)
{
	struct grammar_set *to = follow(m, bytes, n), *was = m->now;

	if (!to)
		return false;
	if (to != was) {
		m->now = to;
		*(to == m->a ? &m->a : &m->b) = was;
	}
	return true;
}

static bool thread_may_end(const struct grammar_thread *t)
{
	int depth = t->depth;

	while (depth > 1 && ends_so(&t->f[depth - 1]))
		depth--;
	return depth == 1 && answer_may_end(t->f);
}

bool rt_matcher_may_end(const struct rt_matcher *m)
{
	for (int i = 0; i < m->now->n; i++)
		if (thread_may_end(&m->now->t[i]))
			return true;
	return false;
}

bool rt_matcher_takes_text(const struct rt_matcher *m)
{
	for (int i = 0; i < m->now->n; i++) {
		const struct grammar_thread *t = &m->now->t[i];
		const struct grammar_frame  *f = &t->f[t->depth - 1];

		if (value_takes_text(f) || answer_takes_text(f))
			return true;
	}
	return false;
}

bool rt_matcher_in_string(const struct rt_matcher *m)
{
	for (int i = 0; i < m->now->n; i++) {
		const struct grammar_thread *t = &m->now->t[i];

		if (value_in_string(&t->f[t->depth - 1]))
			return true;
	}
	return false;
}
