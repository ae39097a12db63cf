/* slot.c - one request: its tokens, its end.  See engine.h */
#include "engine/engine.h"

#include <retort/memory.h>
#include <retort/parallel.h>
#include <retort/random.h>

#include "tensor/kernels.h"

#include <math.h>
#include <string.h>

void slot_clear(struct slot *s)
{
	const struct slot old = *s;

	rt_free(s->id);
	rt_free(s->logp);
	rt_free(s->prompt_logp);
	rt_free(s->top_id);
	rt_free(s->top_logp);
	stream_fini(&s->stream);
	rt_matcher_free(s->matcher);
	*s = (struct slot){ .first = old.first,
		            .known = old.known,
		            .known_n = old.known_n,
		            .queued = old.queued,
		            .last = old.last };
}

static int make_room(struct rt_engine *e, struct slot *s, struct rt_error *err)
{
	const struct rt_request *q = s->q;
	const size_t             n = (size_t)s->most, top = (size_t)q->top;

	s->id = rt_alloc(n + 1, sizeof *s->id);
	s->logp = rt_alloc(n + 1, sizeof *s->logp);
	if (q->prompt_logps)
		s->prompt_logp = rt_alloc((size_t)q->n, sizeof *s->prompt_logp);
	if (top) {
		s->top_id = rt_alloc(n, top * sizeof *s->top_id);
		s->top_logp = rt_alloc(n, top * sizeof *s->top_logp);
	}
	if (!s->id || !s->logp || (q->prompt_logps && !s->prompt_logp) ||
	    (top && (!s->top_id || !s->top_logp)))
		return rt_fail_nomem(err, "an answer");
	return stream_init(&s->stream, rt_model_tokenizer(e->m), q->stop, s->most + 1, err);
}

int slot_begin(struct rt_engine *e, struct slot *s, const struct rt_request *q, int64_t index,
               struct rt_error *err)
{
	const int64_t left = e->reach - q->n;

	s->q = q;
	s->index = index;
	s->stop = -1;
	s->most = q->max_tokens < left ? q->max_tokens : left;
	s->begun = engine_now();
	s->waits = true;
	if (q->grammar) {
		int r = e->allow ? 0 : allow_new(&e->allow, e->m, err);

		if (r == 0)
			r = rt_matcher_new(&s->matcher, q->grammar, err);
		if (r < 0)
			return r;
	}
	return make_room(e, s, err);
}

/* The k largest of logps, best first, by insertion: k is small, and few numbers get in. */
static void best(const float *logps, int64_t V, int64_t k, int32_t *id, float *logp)
{
	int64_t n = 0;

	for (int64_t i = 0; i < V; i++) {
		int64_t at = n;

		if (n == k && logps[i] <= logp[k - 1])
			continue;
		if (n < k)
			n++;
		else
			at = k - 1;
		for (; at > 0 && logps[i] > logp[at - 1]; at--) {
			logp[at] = logp[at - 1];
			id[at] = id[at - 1];
		}
		logp[at] = logps[i];
		id[at] = (int32_t)i;
	}
	for (; n < k; n++) {
		id[n] = -1;
		logp[n] = -INFINITY;
	}
}

/* The tokens that end an answer. */
static const int32_t *stops_of(const struct rt_engine *e, const struct slot *s, int64_t *ret_n)
{
	const int32_t *stops = rt_model_stops(e->m, ret_n);

	if (s->q->ignore_stops)
		*ret_n = 0;
	return stops;
}

static bool is_stop(const struct rt_engine *e, const struct slot *s, int32_t id)
{
	int64_t        n;
	const int32_t *stops = stops_of(e, s, &n);

	for (int64_t i = 0; i < n; i++)
		if (stops[i] == id)
			return true;
	return false;
}

/* One token by the n-th number of chance. */
static int draw_one(struct slot *s, float *logits, int64_t V, uint64_t n)
{
	const struct rt_request *q = s->q;
	const double             chance = rt_random_uniform(q->seed, q->stream, n);

	if (!q->sampler)
		return rt_sample(&q->sampling, logits, V, chance, &s->drawn, &s->error);
	return q->sampler->sample(q->sampler_state, logits, V, s->id, s->n, chance, &s->drawn,
	                          &s->error);
}

/* One token, that may stand there: should it not, it is drawn again, with another number, among
 * those that may.  So the tokens of an answer that fits by itself are not touched, and seldom have
 * all tokens to be tried.  logps: as logits were, where they are overwritten; else NULL. */
static int draw(const struct rt_engine *e, struct slot *s, float *logits, const float *logps)
{
	const uint64_t again = (uint64_t)1 << 62;
	const int64_t  V = rt_model_shape(e->m)->vocabulary;
	int            r = draw_one(s, logits, V, (uint64_t)s->n);
	int64_t        n;
	const int32_t *stops;

	if (r == 0 && (s->drawn < 0 || s->drawn >= V))
		r = rt_fail(&s->error, RT_E_RANGE, "the sampler chose token %d of %lld",
		            (int)s->drawn, (long long)V);
	if (r < 0 || !s->matcher)
		return r;
	if (is_stop(e, s, s->drawn) ? rt_matcher_may_end(s->matcher)
	                            : allow_token(e->allow, s->matcher, s->drawn))
		return 0;
	if (logps)
		memcpy(logits, logps, (size_t)V * sizeof *logits);
	stops = stops_of(e, s, &n);
	s->stuck = allow_mask(e->allow, s->matcher, stops, n, logits) == 0;
	return s->stuck ? 0 : draw_one(s, logits, V, (uint64_t)s->n | again);
}

/* Text that is ready goes out. */
static int tell(struct rt_engine *e, struct slot *s, int32_t id, struct rt_error *err)
{
	size_t      n;
	const char *text = stream_take(&s->stream, false, &n);

	return e->tell ? e->tell(e->arg, s->index, id, text, n, err) : 0;
}

/* Are log-probabilities of all tokens needed: for others than the one that is drawn, or because
 * drawing overwrites the logits? */
static bool wants_all(const struct rt_request *q)
{
	return q->top > 0 || q->sampler || (q->sampling.temperature > 0 && q->sampling.top_k != 1);
}

static float log_sum_exp(const float *x, int64_t n)
{
	const float top = kernels()->max(x, n);

	return top + (float)log(kernels()->sum_exp(x, n, top, NULL));
}

/* One slot of a pass draws: as many at once as there are threads. */
static void draw_piece(void *arg, int64_t first, int64_t last)
{
	struct rt_engine *e = arg;
	const int64_t     V = rt_model_shape(e->m)->vocabulary;

	for (int64_t i = first; i < last; i++) {
		struct slot *s = e->choosing[i];
		float       *logits = e->logits + i * V, *logps = e->logps + i * V;
		const bool   all = wants_all(s->q);
		const float  lse = all ? 0 : log_sum_exp(logits, V);

		s->code = all ? nn_log_softmax(logits, 1, V, logps, false, &s->error) : 0;
		if (s->q->sampler) /* a plugin's are called one after another */
			continue;
		if (s->code == 0)
			s->code = draw(e, s, logits, all ? logps : NULL);
		if (s->code == 0)
			s->drawn_logp = all ? logps[s->drawn] : logits[s->drawn] - lse;
	}
}

/* The token that was drawn: the end, or one more; logps of all, where they are wanted. */
static int take(struct rt_engine *e, struct slot *s, const float *logps, struct rt_error *err)
{
	const int64_t V = rt_model_shape(e->m)->vocabulary, top = s->q->top;
	const int32_t id = s->drawn;
	int           r;

	if (s->n == 0)
		s->first_token = engine_now() - s->begun;
	if (s->stuck) {
		s->finish = rt_matcher_may_end(s->matcher) ? RT_FINISH_STOP : RT_FINISH_STUCK;
		return 0;
	}
	if (is_stop(e, s, id)) {
		s->finish = RT_FINISH_STOP;
		s->stop = id;
		s->stop_logp = s->drawn_logp;
		return 0;
	}
	if (top)
		best(logps, V, top, s->top_id + s->n * top, s->top_logp + s->n * top);
	s->logp[s->n] = s->drawn_logp;
	s->id[s->n++] = id;
	if (s->matcher)
		allow_put(e->allow, s->matcher, id);
	r = stream_put(&s->stream, id, err);
	if (r < 0)
		return r;
	if (s->stream.cut != SIZE_MAX)
		s->finish = RT_FINISH_STRING;
	else if (s->n == s->most)
		s->finish = RT_FINISH_LENGTH;
	return tell(e, s, id, err);
}

int slots_choose(struct rt_engine *e, int64_t n, struct rt_error *err)
{
	const int64_t V = rt_model_shape(e->m)->vocabulary;
	int           r = 0;

	rt_parallel(n, 1, draw_piece, e);
	for (int64_t i = 0; r == 0 && i < n; i++) {
		struct slot *s = e->choosing[i];

		if (s->code == 0 && s->q->sampler) {
			s->code = draw(e, s, e->logits + i * V, e->logps + i * V);
			if (s->code == 0)
				s->drawn_logp = e->logps[i * V + s->drawn];
		}
		r = s->code;
		if (r == 0 && !s->stuck && !isfinite(s->drawn_logp))
			r = rt_fail(&s->error, RT_E_NUMERIC, "the logits are not finite");
		if (r < 0) {
			if (err)
				*err = s->error;
			return rt_within(err, r, "request %lld, token %lld", (long long)s->index,
			                 (long long)s->n);
		}
		r = take(e, s, e->logps + i * V, err);
	}
	return r;
}
