/* bench-infer.c - the parts that answer: prompts, tokens one by one, whole requests.  See bench.h
 */
#include "cli/bench.h"

#include "engine/engine.h"

#include <retort/memory.h>
#include <retort/random.h>

enum { SHORT_PROMPT = 16, WARM_TOKENS = 4 };

/* A model that answers, and what it is asked. */
struct session {
	struct rt_model   *m;
	struct rt_engine  *e;
	int32_t           *ids; /* [n][prompt] */
	struct rt_request *requests;
	int64_t            n, prompt;
};

/* When the tokens of one call of rt_generate() came: the first ones of all its sequences come
 * before any second one. */
struct times {
	int64_t n, told;
	double  begun, first, last;
};

static void close_session(struct session *s)
{
	rt_engine_close(s->e);
	rt_model_close(s->m);
	rt_free(s->ids);
	rt_free(s->requests);
}

static int check_length(const struct rt_model *m, int64_t prompt, int64_t tokens,
                        struct rt_error *err)
{
	const int64_t most = rt_model_shape(m)->context;

	if (prompt + tokens <= most)
		return 0;
	return rt_fail(err, RT_E_RANGE,
	               "%lld prompt tokens and %lld more, and the model was made for %lld; ask for "
	               "fewer with --prompt and --tokens",
	               (long long)prompt, (long long)tokens, (long long)most);
}

/* n sequences of random prompts, with room for `tokens` more each. */
static int open_session(struct session *s, const struct bench_job *j, int64_t n, int64_t prompt,
                        int64_t tokens, struct rt_error *err)
{
	const struct rt_engine_options o = { .sequences = n, .tokens = n * (prompt + tokens) };
	int                            r = rt_model_open(&s->m, j->path, 0, err);

	if (r == 0)
		r = check_length(s->m, prompt, tokens, err);
	if (r == 0)
		r = rt_engine_open(&s->e, s->m, &o, err);
	if (r < 0)
		return r;
	s->n = n;
	s->prompt = prompt;
	s->ids = rt_alloc((size_t)(n * prompt), sizeof *s->ids);
	s->requests = rt_alloc((size_t)n, sizeof *s->requests);
	if (!s->ids || !s->requests)
		return rt_fail_nomem(err, "requests");
	for (int64_t i = 0; i < n * prompt; i++)
		s->ids[i] = (int32_t)rt_random_below(1, 1, (uint64_t)i,
		                                     (uint64_t)rt_model_shape(s->m)->vocabulary);
	for (int64_t i = 0; i < n; i++)
		s->requests[i] = (struct rt_request){ .prompt = s->ids + i * prompt,
			                              .n = prompt,
			                              .ignore_stops = true };
	return 0;
}

static int on_token(void *arg, int64_t index, int32_t id, const char *text, size_t n,
                    struct rt_error *err)
{
	struct times *t = arg;

	(void)index, (void)text, (void)n, (void)err;
	if (id < 0)
		return 0;
	t->last = engine_now();
	if (++t->told == t->n)
		t->first = t->last;
	return 0;
}

static int on_answer(void *arg, int64_t index, const struct rt_answer *a, struct rt_error *err)
{
	(void)arg, (void)index, (void)a, (void)err;
	return 0;
}

/* Answers of `tokens` tokens each. */
static int answer(struct session *s, int64_t tokens, struct times *ret, struct rt_error *err)
{
	int r;

	for (int64_t i = 0; i < s->n; i++)
		s->requests[i].max_tokens = tokens;
	*ret = (struct times){ .n = s->n, .begun = engine_now() };
	r = rt_generate(s->e, s->requests, s->n, on_answer, on_token, ret, err);
	if (r == 0 && ret->told != s->n * tokens)
		r = rt_fail(err, RT_E_INVAL, "%lld tokens were answered instead of %lld",
		            (long long)ret->told, (long long)(s->n * tokens));
	return r;
}

static void describe(const struct session *s, struct bench_result *ret)
{
	ret->parameters = rt_model_shape(s->m)->parameters;
	ret->weights = rt_model_shape(s->m)->bytes;
	ret->dtype = rt_model_shape(s->m)->dtype;
}

int bench_prefill(const struct bench_job *j, struct bench_result *ret, struct rt_error *err)
{
	struct session s = { .n = 0 };
	struct times   t;
	int            r = open_session(&s, j, 1, j->prompt, 1, err);

	for (int64_t i = -1; r == 0 && i < j->repeat; i++) {
		r = answer(&s, 1, &t, err);
		if (i >= 0)
			ret->seconds[ret->n++] = t.first - t.begun;
	}
	if (r == 0) {
		describe(&s, ret);
		ret->tokens = (double)j->prompt;
		ret->flops = bench_flops(rt_model_shape(s.m), 1, j->prompt, 1);
	}
	close_session(&s);
	return r;
}

int bench_decode(const struct bench_job *j, struct bench_result *ret, struct rt_error *err)
{
	const int64_t  warm = j->tokens < WARM_TOKENS ? j->tokens : WARM_TOKENS;
	struct session s = { .n = 0 };
	struct times   t;
	int            r = open_session(&s, j, j->sequences, SHORT_PROMPT, j->tokens + 1, err);

	for (int64_t i = -1; r == 0 && i < j->repeat; i++) {
		r = answer(&s, 1 + (i < 0 ? warm : j->tokens), &t, err);
		if (i >= 0)
			ret->seconds[ret->n++] = t.last - t.first;
	}
	if (r == 0) {
		describe(&s, ret);
		ret->tokens = (double)(j->tokens * j->sequences);
		ret->bytes =
			(double)j->tokens *
			bench_bytes(s.e, j->sequences, SHORT_PROMPT + (double)(j->tokens + 1) / 2);
	}
	close_session(&s);
	return r;
}

int bench_request(const struct bench_job *j, struct bench_result *ret, struct rt_error *err)
{
	struct session s = { .n = 0 };
	struct times   t;
	int            r = open_session(&s, j, 1, j->prompt, j->tokens, err);

	for (int64_t i = -1; r == 0 && i < j->repeat; i++) {
		r = answer(&s, j->tokens, &t, err);
		if (i >= 0)
			ret->seconds[ret->n++] = t.last - t.begun;
	}
	if (r == 0)
		describe(&s, ret);
	close_session(&s);
	return r;
}

int bench_load(const struct bench_job *j, struct bench_result *ret, struct rt_error *err)
{
	const double   begun = engine_now();
	struct session s = { .n = 0 };
	struct times   t;
	int            r = open_session(&s, j, 1, SHORT_PROMPT, 1, err);

	if (r == 0)
		r = answer(&s, 1, &t, err);
	if (r == 0) {
		ret->seconds[ret->n++] = t.first - begun;
		describe(&s, ret);
	}
	close_session(&s);
	return r;
}
