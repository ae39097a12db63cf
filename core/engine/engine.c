/* engine.c - requests in, answers out: slots are filled, all of them go one token on, and those
 * that have ended make room.  See retort/generate.h
 *
 * Prompts (prompt.c) and the next tokens of all sequences go together, by products whose rows do
 * not depend on one another. */
#include "engine/engine.h"

#include <retort/memory.h>

#include <string.h>
#include <time.h>
#include <unistd.h>

double engine_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct model_run engine_run(struct rt_engine *e, unsigned matmul_flags)
{
	return (struct model_run){ .cache = &e->cache,
		                   .room = &e->room,
		                   .panels = e->panels,
		                   .matmul_flags = matmul_flags };
}

int engine_pass(struct rt_engine *e, int64_t rows, int64_t spans, const struct model_run *run,
                struct rt_error *err)
{
	const struct rt_batch b = { e->token, e->position, rows, e->spans, spans };

	return model_forward(&e->m->m, &b, run, e->hidden, err);
}

int64_t engine_read_bytes(const struct rt_engine *e)
{
	return model_read_bytes(&e->m->m, e->panels);
}

/* ---- life ----------------------------------------------------------------------------------- */

int rt_engine_open(struct rt_engine **ret, const struct rt_model *m,
                   const struct rt_engine_options *options, struct rt_error *err)
{
	struct rt_engine *e = rt_alloc(1, sizeof *e);

	if (!e)
		return rt_fail_nomem(err, "an engine");
	e->m = m;
	if (options)
		e->o = *options;
	if (e->o.sequences <= 0)
		e->o.sequences = 16;
	if (e->o.chunk <= 0)
		e->o.chunk = 512;
	if (e->o.memory <= 0)
		e->o.memory = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 4;
	if (!e->o.exact) {
		e->panels = model_pack(&m->m, err);
		if (!e->panels) {
			rt_free(e);
			return RT_E_NOMEM;
		}
	}
	*ret = e;
	return 0;
}

static void let_go(struct rt_engine *e)
{
	for (int64_t i = 0; i < e->n_slots; i++)
		slot_clear(&e->slots[i]);
	rt_free(e->slots);
	rt_free(e->token);
	rt_free(e->position);
	rt_free(e->spans);
	rt_free(e->parts);
	rt_free(e->known);
	rt_free(e->last);
	rt_free(e->hidden);
	rt_free(e->logits);
	rt_free(e->logps);
	rt_free(e->choosing);
	model_cache_fini(&e->cache);
	e->slots = NULL;
	e->token = e->position = NULL;
	e->spans = NULL;
	e->parts = NULL;
	e->choosing = NULL;
	e->known = NULL;
	e->last = e->hidden = e->logits = e->logps = NULL;
	e->n_slots = e->reach = e->n_parts = e->queued = 0;
}

void rt_engine_close(struct rt_engine *e)
{
	if (!e)
		return;
	let_go(e);
	model_tape_fini(&e->room);
	allow_free(e->allow);
	rt_free(e->panels);
	rt_free(e);
}

static int make_slots(struct rt_engine *e, int64_t slots, int64_t reach, struct rt_error *err)
{
	const struct rt_model_shape *s = rt_model_shape(e->m);
	const int64_t                rows = slots > e->o.chunk ? slots : e->o.chunk;
	int                          r;

	if (slots <= e->n_slots && reach <= e->reach)
		return 0;
	let_go(e);
	e->slots = rt_alloc((size_t)slots, sizeof *e->slots);
	e->token = rt_alloc((size_t)rows, sizeof *e->token);
	e->position = rt_alloc((size_t)rows, sizeof *e->position);
	e->spans = rt_alloc((size_t)rows, sizeof *e->spans);
	e->parts = rt_alloc((size_t)rows, sizeof *e->parts);
	e->known = rt_alloc((size_t)slots, (size_t)reach * sizeof *e->known);
	e->last = rt_alloc_aligned((size_t)(slots * s->hidden), sizeof *e->last);
	e->hidden = rt_alloc_aligned((size_t)(rows * s->hidden), sizeof *e->hidden);
	e->logits = rt_alloc_aligned((size_t)(slots * s->vocabulary), sizeof *e->logits);
	e->logps = rt_alloc_aligned((size_t)(slots * s->vocabulary), sizeof *e->logps);
	e->choosing = rt_alloc((size_t)slots, sizeof *e->choosing);
	if (!e->slots || !e->token || !e->position || !e->spans || !e->parts || !e->known ||
	    !e->last || !e->hidden || !e->logits || !e->logps || !e->choosing)
		r = rt_fail_nomem(err, "an engine");
	else
		r = model_cache_init(&e->cache, &e->m->m, slots * reach, err);
	if (r < 0) {
		let_go(e);
		return r;
	}
	e->n_slots = slots;
	e->reach = reach;
	for (int64_t i = 0; i < slots; i++)
		e->slots[i] = (struct slot){ .first = i * reach,
			                     .known = e->known + i * reach,
			                     .last = e->last + i * s->hidden };
	return 0;
}

/* ---- requests ------------------------------------------------------------------------------- */

static int check_request(const struct rt_engine *e, const struct rt_request *q, int64_t index,
                         struct rt_error *err)
{
	const struct rt_model_shape *s = rt_model_shape(e->m);

	if (q->n < 1)
		return rt_fail(err, RT_E_INVAL, "request %lld has no prompt", (long long)index);
	if (q->n > s->context)
		return rt_fail(err, RT_E_RANGE,
		               "request %lld has %lld tokens, the model was made for %lld",
		               (long long)index, (long long)q->n, (long long)s->context);
	if (q->top < 0 || q->top > 1000 || q->max_tokens < 0)
		return rt_fail(err, RT_E_RANGE, "request %lld: top 0 to 1000, max_tokens from 0",
		               (long long)index);
	if (q->stop && !rt_model_tokenizer(e->m))
		return rt_fail(err, RT_E_INVAL,
		               "request %lld has stop strings, and the model has no tokenizer",
		               (long long)index);
	for (int64_t i = 0; i < q->n; i++)
		if (q->prompt[i] < 0 || q->prompt[i] >= s->vocabulary)
			return rt_fail(err, RT_E_RANGE,
			               "request %lld: token %ld is not among the model's %lld",
			               (long long)index, (long)q->prompt[i],
			               (long long)s->vocabulary);
	return 0;
}

/* How many sequences at once, and how long the longest may become. */
static int plan(struct rt_engine *e, const struct rt_request *q, int64_t n, struct rt_error *err)
{
	const struct rt_model_shape *s = rt_model_shape(e->m);
	const int64_t row = 2 * s->layers * s->kv_heads * s->head_dim * (int64_t)sizeof(float);
	int64_t       reach = 1, slots = n < e->o.sequences ? n : e->o.sequences, most;

	for (int64_t i = 0; i < n; i++) {
		const int64_t r = check_request(e, &q[i], i, err);
		const int64_t room = s->context - q[i].n;
		const int64_t all = q[i].n + (q[i].max_tokens < room ? q[i].max_tokens : room);

		if (r < 0)
			return (int)r;
		reach = all > reach ? all : reach;
	}
	most = e->o.tokens > 0 ? e->o.tokens : e->o.memory / row;
	if (most < reach)
		return rt_fail(
			err, RT_E_RANGE,
			"a request of %lld tokens needs %lld MB of keys and values, the limit "
			"is %lld tokens; ask for fewer, or allow more memory",
			(long long)reach, (long long)(reach * row / 1000000), (long long)most);
	if (slots * reach > most)
		slots = most / reach;
	return make_slots(e, slots, reach, err);
}

/* The requests of a call. */
struct line {
	const struct rt_request *requests;
	int64_t                  n, next, busy; /* all, the next to begin, those that go on */
	rt_answer_fn            *fn;
	void                    *arg;
};

static int answer(struct rt_engine *e, struct slot *s, rt_answer_fn *fn, void *arg,
                  struct rt_error *err)
{
	const int64_t    n = stream_end(&s->stream, err);
	struct rt_answer a = { .id = s->id,
		               .n = n,
		               .logp = s->logp,
		               .prompt_logp = s->prompt_logp,
		               .top_id = s->top_id,
		               .top_logp = s->top_logp,
		               .finish = s->finish,
		               .stop = s->stop,
		               .stop_logp = s->stop_logp,
		               .first_seconds = s->first_token,
		               .seconds = engine_now() - s->begun };
	const char      *rest;
	size_t           rest_n;
	int              r = 0;

	if (n < 0)
		return (int)n;
	if (rt_model_tokenizer(e->m)) {
		a.text = s->stream.text.data;
		a.text_n = s->stream.text.len;
	}
	rest = stream_take(&s->stream, true, &rest_n);
	if (e->tell && rest_n > 0)
		r = e->tell(arg, s->index, -1, rest, rest_n, err);
	if (r == 0)
		r = fn(arg, s->index, &a, err);
	slot_clear(s);
	return r;
}

/* All sequences go one token on. */
static int advance(struct rt_engine *e, struct rt_error *err)
{
	const struct model_run pass = engine_run(e, RT_MATMUL_ROWS);
	int64_t                rows = 0;
	int                    r;

	for (int64_t i = 0; i < e->n_slots; i++) {
		struct slot *s = &e->slots[i];

		if (!s->q)
			continue;
		e->token[rows] = s->id[s->n - 1];
		e->position[rows] = (int32_t)s->length++;
		e->spans[rows] = (struct rt_span){ rows, 1, s->first, s->length, 0 };
		e->choosing[rows++] = s;
	}
	r = engine_pass(e, rows, rows, &pass, err);
	if (r == 0)
		r = model_logits(&e->m->m, e->hidden, rows, &pass, e->logits, err);
	return r < 0 ? r : slots_choose(e, rows, err);
}

/* Those that have ended make room, and others begin; what ends with its first token makes room once
 * more. */
static int fill(struct rt_engine *e, struct line *l, struct rt_error *err)
{
	bool begun = true;
	int  r = 0;

	while (r == 0 && begun) {
		begun = false;
		for (int64_t i = 0; r == 0 && i < e->n_slots; i++) {
			struct slot *s = &e->slots[i];

			if (s->q && s->finish) {
				r = answer(e, s, l->fn, l->arg, err);
				l->busy--;
			}
			if (r == 0 && !s->q && l->next < l->n) {
				r = slot_begin(e, s, &l->requests[l->next], l->next, err);
				if (r == 0)
					r = prompt_queue(e, s, err);
				l->next++;
				l->busy++;
				begun = true;
			}
		}
		if (r == 0)
			r = prompt_flush(e, err);
	}
	return r;
}

static int run(struct rt_engine *e, struct line *l, struct rt_error *err)
{
	int r = 0;

	while (r == 0 && (l->next < l->n || l->busy > 0)) {
		r = fill(e, l, err);
		if (r == 0 && l->busy > 0)
			r = advance(e, err);
	}
	return r;
}

int rt_generate(struct rt_engine *e, const struct rt_request *requests, int64_t n, rt_answer_fn *fn,
                rt_token_fn *token, void *arg, struct rt_error *err)
{
	struct line l = { .requests = requests, .n = n, .fn = fn, .arg = arg };
	int         r = n > 0 ? plan(e, requests, n, err) : 0;

	e->tell = token;
	e->arg = arg;
	e->computed = 0;
	/* The weights may be others than those of the last call. */
	for (int64_t i = 0; i < e->n_slots; i++)
		e->slots[i].known_n = 0;
	if (r == 0)
		r = run(e, &l, err);
	for (int64_t i = 0; i < e->n_slots; i++)
		slot_clear(&e->slots[i]);
	e->n_parts = e->queued = 0;
	return r;
}
