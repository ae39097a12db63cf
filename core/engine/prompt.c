/* prompt.c - prompts go through the model: many at once, and nothing twice.
 *
 * A prompt is cut into parts of PART tokens from its beginning on, and rows of a pass do not depend
 * on one another.  So parts of several prompts share a pass, and what a neighbour has computed for
 * the same first parts is copied, without a change of any bit: n answers to one prompt compute it
 * once, and rows that begin with the same instructions share those. */
#include "engine/engine.h"

#include <string.h>

enum { PART = 64 };

static int64_t part_of(const struct rt_engine *e)
{
	return e->o.chunk < PART ? e->o.chunk : PART;
}

/* Log-probabilities of the prompt's tokens behind a part, from its hidden rows. */
static int score(struct rt_engine *e, const struct part *p, const float *hidden,
                 struct rt_error *err)
{
	const struct rt_request *q = p->slot->q;
	const int64_t            scored = p->at + p->n < q->n ? p->n : p->n - 1;

	if (!p->slot->prompt_logp || scored < 1)
		return 0;
	return rt_model_logps(e->m, hidden, scored, q->prompt + p->at + 1, NULL,
	                      p->slot->prompt_logp + p->at + 1, NULL, NULL, NULL, err);
}

static void lay_out(struct rt_engine *e)
{
	int64_t row = 0;

	for (int64_t i = 0; i < e->n_parts; i++) {
		const struct part p = e->parts[i];

		memcpy(e->token + row, p.slot->q->prompt + p.at, (size_t)p.n * sizeof *e->token);
		for (int64_t k = 0; k < p.n; k++)
			e->position[row + k] = (int32_t)(p.at + k);
		e->spans[i] = (struct rt_span){ row, p.n, p.slot->first, p.at + p.n, p.slot->q->n };
		row += p.n;
	}
}

/* What is in the queue, in one pass. */
static int compute(struct rt_engine *e, struct rt_error *err)
{
	struct model_run run = engine_run(e, RT_MATMUL_MANY);
	const int64_t    width = rt_model_shape(e->m)->hidden;
	int64_t          row = 0;
	int              r = 0;

	if (e->n_parts == 0)
		return 0;
	lay_out(e);
	run.round_bf16 = !e->o.exact;
	r = engine_pass(e, e->queued, e->n_parts, &run, err);
	for (int64_t i = 0; r == 0 && i < e->n_parts; i++) {
		const struct part *p = &e->parts[i];
		struct slot       *s = p->slot;

		r = score(e, p, e->hidden + row * width, err);
		row += p->n;
		s->length = p->at + p->n;
		if (s->length < s->q->n)
			continue;
		memcpy(s->last, e->hidden + (row - 1) * width, (size_t)width * sizeof *s->last);
		s->queued = false;
	}
	e->computed += e->queued;
	e->n_parts = e->queued = 0;
	return r;
}

/* First tokens of all whose prompt has been computed. */
int prompt_flush(struct rt_engine *e, struct rt_error *err)
{
	const struct model_run run = engine_run(e, RT_MATMUL_ROWS);
	const int64_t          width = rt_model_shape(e->m)->hidden;
	int64_t                rows = 0;
	int                    r = compute(e, err);

	for (int64_t i = 0; r == 0 && i < e->n_slots; i++) {
		struct slot *s = &e->slots[i];

		if (s->waits && s->most == 0) {
			s->finish = RT_FINISH_LENGTH;
		} else if (s->waits) {
			memcpy(e->hidden + rows * width, s->last, (size_t)width * sizeof *s->last);
			e->choosing[rows++] = s;
		}
		s->waits = false;
	}
	if (r < 0 || rows == 0)
		return r;
	r = model_logits(&e->m->m, e->hidden, rows, &run, e->logits, err);
	return r < 0 ? r : slots_choose(e, rows, err);
}

/* Tokens at the beginning of the slot's prompt whose keys and values another slot has: whole parts,
 * and not the last token, whose hidden state is wanted; or all of the same prompt. */
static int64_t shared(const struct rt_engine *e, const struct slot *s, const struct slot *other)
{
	const struct rt_request *q = s->q;
	const int64_t            part = part_of(e);
	int64_t                  n = 0;

	/* Frequencies that follow the length of the whole. */
	if (e->m->m.config.rope.kind == ROPE_DYNAMIC && other->known_n != q->n)
		return 0;
	while (n < q->n && n < other->known_n && q->prompt[n] == other->known[n])
		n++;
	if (n == q->n && n == other->known_n)
		return n;
	return (n < q->n ? n : n - 1) / part * part;
}

/* Copy what is there already; *ret tokens. */
static int take_shared(struct rt_engine *e, struct slot *s, int64_t *ret, struct rt_error *err)
{
	const struct slot *best = NULL;
	int                r = 0;

	*ret = 0;
	if (s->prompt_logp) /* those want every row */
		return 0;
	for (int64_t i = 0; i < e->n_slots; i++) {
		const int64_t n = shared(e, s, &e->slots[i]);

		if (n > *ret) {
			best = &e->slots[i];
			*ret = n;
		}
	}
	if (!best)
		return 0;
	if (best->queued)
		r = compute(e, err);
	if (best != s) {
		model_cache_copy(&e->cache, &e->m->m, best->first, s->first, *ret);
		if (*ret == s->q->n)
			memcpy(s->last, best->last,
			       (size_t)rt_model_shape(e->m)->hidden * sizeof *s->last);
	}
	return r;
}

int prompt_queue(struct rt_engine *e, struct slot *s, struct rt_error *err)
{
	int64_t at, n;
	int     r = take_shared(e, s, &at, err);

	memcpy(s->known, s->q->prompt, (size_t)s->q->n * sizeof *s->known);
	s->known_n = s->q->n;
	s->length = at;
	s->queued = at < s->q->n;
	for (; r == 0 && at < s->q->n; at += n) {
		n = s->q->n - at < part_of(e) ? s->q->n - at : part_of(e);
		if (e->queued + n > e->o.chunk)
			r = compute(e, err);
		e->parts[e->n_parts++] = (struct part){ s, at, n };
		e->queued += n;
	}
	return r;
}
