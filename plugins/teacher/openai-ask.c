/* openai-ask.c - many requests at once: out, back, again, until each is answered or has failed.
 *
 * A request takes a slot, and keeps it while it waits for another try, so a server in trouble is
 * asked less.  Money: a request goes out only when what was spent, the most that those under way
 * can cost, and the most that it can cost itself (a token is at least a byte of its body; its
 * max_tokens) stay within max_cost. */
#include "openai.h"

#include "openai-reply.h"
#include "openai-request.h"

#include <retort/memory.h>
#include <retort/random.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Seconds: how long to sleep at most, how soon to look again at what cannot go out yet, and how
 * long replies that are under way are awaited when nobody wants to go on. */
static const double TICK = .1, AGAIN = .05, GRACE = 3;

enum { WHY = 500 };

/* One call of chat(). */
struct asking {
	struct openai                   *o;
	const struct rt_teacher_request *requests;
	int64_t                          n, next, answered;
	rt_reply_fn                     *reply;
	void                            *arg;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const char *id_of(const struct asking *a, const struct openai_slot *s)
{
	const char *id = a->requests[s->index].id;

	return id ? id : "";
}

/* ---- how requests go out ---- */

static int fail_request(struct asking *a, struct openai_slot *s, const char *why,
                        struct rt_error *err)
{
	s->stand = OPENAI_IDLE;
	a->answered++;
	return a->reply(a->arg, s->index, NULL, why, err);
}

/* NULL, or why a request is none that chat completions have. */
static const char *refuse(const struct rt_json *request)
{
	const char *role = rt_json_string(rt_json_get(request, "role"));

	return !role || strcmp(role, "assistant") == 0
	               ? NULL
	               : "chat completions answer as the assistant, they cannot go on as the user; "
	                 "a teacher-local can";
}

/* The next request into a slot that is free. */
static int fill(struct asking *a, struct openai_slot *s, struct rt_error *err)
{
	const struct openai_config *c = a->o->cfg;
	struct rt_json             *body;

	s->index = a->next++;
	if (refuse(a->requests[s->index].body))
		return fail_request(a, s, refuse(a->requests[s->index].body), err);
	s->attempt = 0;
	s->due = 0;
	body = openai_body(a->requests[s->index].body, c->model, a->o->patch);
	rt_text_clear(&s->text);
	rt_json_print(body, RT_JSON_SORT, &s->text);
	s->bound = openai_most_tokens(body) < 0
	                   ? NAN
	                   : ((double)s->text.len * c->input_price +
	                      (double)openai_most_tokens(body) * c->output_price) /
	                             1e6;
	rt_json_free(body);
	if (!body || s->text.failed)
		return rt_fail_nomem(err, "a request");
	openai_key(a->o->url, id_of(a, s), c->draw, s->text.data, s->text.len, s->key);
	s->stand = OPENAI_WAITING;
	return 0;
}

static int deliver(struct asking *a, struct openai_slot *s, const struct rt_text *text,
                   struct rt_error *err)
{
	s->stand = OPENAI_IDLE;
	a->answered++;
	return openai_deliver(a->o, &a->requests[s->index], s->index, text, a->reply, a->arg, err);
}

/* Is the same being asked in another slot?  Then its answer will serve both. */
static bool twin_under_way(const struct openai *o, const struct openai_slot *s)
{
	for (int64_t i = 0; i < o->cfg->parallel; i++) {
		const struct openai_slot *t = &o->slots[i];

		if (t != s && (t->stand == OPENAI_RUNNING || (t->stand && t->attempt > 0)) &&
		    strcmp(t->key, s->key) == 0)
			return true;
	}
	return false;
}

/* 1: it may go out; 0: when others have come back; negative: never. */
static int affordable(const struct openai *o, const struct openai_slot *s, struct rt_error *err)
{
	double  under_way = 0;
	int64_t running = 0;

	for (int64_t i = 0; i < o->cfg->parallel; i++)
		if (o->slots[i].stand == OPENAI_RUNNING) {
			under_way += o->slots[i].bound;
			running++;
		}
	if (o->cfg->max_cost <= 0 || o->spent + under_way + s->bound <= o->cfg->max_cost)
		return 1;
	if (running > 0)
		return 0;
	return rt_fail(err, RT_E_BUDGET,
	               "%.4f of max_cost = %.4f are spent, and the next request can cost up to "
	               "%.4f; raise max_cost and run again, what was answered is kept",
	               o->spent, o->cfg->max_cost, s->bound);
}

/* A slot whose time has come: from the cache, or out. */
static int launch(struct asking *a, struct openai_slot *s, double at, struct rt_error *err)
{
	struct openai *o = a->o;
	struct rt_text kept = RT_TEXT_INIT;
	int            r = openai_cache_find(o->cache, s->key, &kept, err);

	if (r == 1) {
		o->recalled++;
		r = deliver(a, s, &kept, err);
		rt_text_free(&kept);
		return r;
	}
	if (r == 0 && o->cfg->max_cost > 0 && isnan(s->bound))
		return fail_request(a, s, "max_cost is set, and the request has no max_tokens",
		                    err);
	if (r == 0 && (o->gate > at || twin_under_way(o, s))) {
		s->due = fmax(o->gate, at + AGAIN);
		return 0;
	}
	if (r == 0)
		r = affordable(o, s, err);
	if (r == 0)
		s->due = at + AGAIN;
	if (r <= 0)
		return r;
	s->stand = OPENAI_RUNNING;
	return openai_http_send(&o->http, &s->exchange, &s->text, err);
}

static int start(struct asking *a, struct rt_error *err)
{
	int r = 0;

	for (int64_t i = 0; r == 0 && i < a->o->cfg->parallel; i++) {
		struct openai_slot *s = &a->o->slots[i];

		/* What the cache has leaves the slot free again. */
		while (r == 0 && s->stand == OPENAI_IDLE && a->next < a->n) {
			r = fill(a, s, err);
			if (r == 0 && s->stand != OPENAI_IDLE)
				r = launch(a, s, now(), err);
		}
		if (r == 0 && s->stand == OPENAI_WAITING && s->due <= now())
			r = launch(a, s, now(), err);
	}
	return r;
}

/* ---- how answers come back ---- */

/* What is to be done about an exchange that has ended. */
enum verdict { GOOD, RETRY, FAIL, STOP };

/* A status that is no success, as a sentence into *err with its code. */
static enum verdict judge_status(const struct openai *o, const struct openai_exchange *x,
                                 struct rt_error *err)
{
	const long  status = openai_exchange_status(x);
	const char *key = o->secret ? o->cfg->key_env : NULL;
	char        said[WHY];

	openai_complaint(x->body.data, x->body.len, said, sizeof said);
	openai_scrub(o, said);
	if (status == 401 || status == 403) {
		rt_fail(err, RT_E_INVAL, "%s refuses %s%s (status %ld: %s); %s", o->url,
		        key ? "the key in " : "a request without a key", key ? key : "", status,
		        said, key ? "set a valid one and run again" : "set key_env");
		return STOP;
	}
	if (status == 402 || (status == 429 && openai_no_credit(x->body.data, x->body.len))) {
		rt_fail(err, RT_E_BUDGET,
		        "the account has no credit (status %ld: %s); add some and run again, what "
		        "was answered is kept",
		        status, said);
		return STOP;
	}
	if (status >= 300 && status < 400) {
		rt_fail(err, RT_E_INVAL,
		        "%s redirects (status %ld), which is not followed, for the key would go "
		        "along; set url to where the server is",
		        o->url, status);
		return STOP;
	}
	rt_fail(err, RT_E_IO, "the server says %ld%s%s", status, *said ? ": " : "", said);
	return status == 408 || status == 409 || status == 425 || status == 429 || status >= 500
	               ? RETRY
	               : FAIL;
}

static enum verdict judge_body(const struct openai_exchange *x, struct rt_json **ret,
                               struct rt_error *err)
{
	const int r = openai_reply(x->body.data, x->body.len, ret, err);

	return r == 0 ? GOOD : r == RT_E_NOMEM ? STOP : r == RT_E_IO ? RETRY : FAIL;
}

static enum verdict judge(const struct openai *o, const struct openai_exchange *x,
                          enum openai_end end, struct rt_json **ret, struct rt_error *err)
{
	const long status = openai_exchange_status(x);

	switch (end) {
	case OPENAI_ANSWERED:
		return status >= 200 && status < 300 ? judge_body(x, ret, err)
		                                     : judge_status(o, x, err);
	case OPENAI_UNREACHED:
		rt_fail(err, RT_E_IO, "%s cannot be reached: %s", o->url, x->error);
		return RETRY;
	case OPENAI_BROKEN:
		rt_fail(err, RT_E_IO, "no whole reply came: %s", x->error);
		return RETRY;
	case OPENAI_TOO_LARGE:
		rt_fail(err, RT_E_RANGE, "the reply is larger than %d MiB", OPENAI_MOST_BODY >> 20);
		return FAIL;
	case OPENAI_IMPOSSIBLE:
		rt_fail(err, RT_E_IO, "%s cannot be asked: %s", o->url, x->error);
		return STOP;
	default: rt_fail_nomem(err, "a reply"); return STOP;
	}
}

/* Was it perhaps paid for, without a word about how much?  Then it counts with the most. */
static void doubt(struct openai *o, const struct openai_slot *s, enum openai_end end)
{
	const long status = openai_exchange_status(&s->exchange);

	if (end == OPENAI_UNREACHED || end == OPENAI_IMPOSSIBLE ||
	    (end == OPENAI_ANSWERED && (status < 200 || status >= 300)))
		return;
	o->doubtful++;
	if (o->cfg->max_cost > 0)
		o->spent += s->bound;
}

/* Let a slot wait for another try, or give its request up. */
static int try_again(struct asking *a, struct openai_slot *s, enum openai_end end,
                     const struct rt_error *why, struct rt_error *err)
{
	struct openai *o = a->o;
	const double   told = openai_wait_told(&s->exchange.wait);
	const uint64_t stream = strtoull(s->key + 48, NULL, 16); /* the last 64 bits */
	double         wait;

	if (told > o->cfg->max_wait)
		return rt_fail(err, RT_E_BUSY,
		               "%s; the server asks to wait for %.0f s, longer than max_wait = %g; "
		               "run again later, what was answered is kept",
		               why->msg, told, o->cfg->max_wait);
	if (s->attempt >= o->cfg->retries && end == OPENAI_UNREACHED)
		return rt_fail(err, RT_E_IO,
		               "%s, after %lld tries; is the server running? what was answered is "
		               "kept",
		               why->msg, (long long)s->attempt + 1);
	if (s->attempt >= o->cfg->retries)
		return fail_request(a, s, why->msg, err);
	s->attempt++;
	wait = fmax(told, openai_wait_own(s->attempt, rt_random_uniform(rt_seed(o->context), stream,
	                                                                (uint64_t)s->attempt)));
	s->due = now() + wait;
	s->stand = OPENAI_WAITING;
	rt_log(o->context, RT_LOG_INFO, "row '%s': %s; try %lld of %lld in %.1f s", id_of(a, s),
	       why->msg, (long long)s->attempt + 1, (long long)o->cfg->retries + 1, wait);
	return 0;
}

/* An exchange has ended.  Not wanted: a reply is only kept. */
static int finish(struct asking *a, struct openai_slot *s, enum openai_end end, bool wanted,
                  struct rt_error *err)
{
	struct openai  *o = a->o;
	struct rt_error why = RT_ERROR_INIT;
	struct rt_json *reply = NULL;
	struct rt_text  text = RT_TEXT_INIT;
	enum verdict    v = judge(o, &s->exchange, end, &reply, &why);
	const double    told = openai_wait_told(&s->exchange.wait);
	int             r = 0;

	s->stand = OPENAI_IDLE;
	if (told > 0 && told <= o->cfg->max_wait)
		o->gate = fmax(o->gate, now() + told);
	if (v == GOOD)
		r = openai_keep(o, s, id_of(a, s), reply, &text, err);
	else
		doubt(o, s, end);
	rt_json_free(reply);
	if (v == GOOD && r == 0 && wanted)
		r = deliver(a, s, &text, err);
	rt_text_free(&text);
	if (v == GOOD || !wanted)
		return r;
	if (v == STOP)
		return rt_fail(err, why.code, "%s", why.msg);
	return v == RETRY ? try_again(a, s, end, &why, err) : fail_request(a, s, why.msg, err);
}

static int collect(struct asking *a, bool wanted, struct rt_error *err)
{
	struct openai_exchange *x;
	enum openai_end         end;
	int                     r = openai_http_move(&a->o->http, err);

	while (r == 0 && (x = openai_http_next(&a->o->http, &end)))
		r = finish(a, x->owner, end, wanted, err);
	return r;
}

/* ---- the loop ---- */

/* How long there is nothing to do but wait for the network. */
static double idle_time(const struct asking *a)
{
	const double at = now();
	double       sleep = TICK;

	for (int64_t i = 0; i < a->o->cfg->parallel; i++)
		if (a->o->slots[i].stand == OPENAI_WAITING)
			sleep = fmin(sleep, a->o->slots[i].due - at);
	return fmax(sleep, 0);
}

static bool any_running(const struct openai *o)
{
	for (int64_t i = 0; i < o->cfg->parallel; i++)
		if (o->slots[i].stand == OPENAI_RUNNING)
			return true;
	return false;
}

/* Nobody wants to go on.  What is under way may be paid for: it is awaited a little, and kept. */
static void leave(struct asking *a)
{
	struct openai *o = a->o;
	const double   end = now() + GRACE;
	int            r = 0;

	while (r == 0 && any_running(o) && now() < end) {
		r = collect(a, false, NULL);
		if (r == 0 && any_running(o))
			r = openai_http_sleep(&o->http, TICK, NULL);
	}
	for (int64_t i = 0; i < o->cfg->parallel; i++) {
		if (o->slots[i].stand == OPENAI_RUNNING)
			openai_http_abort(&o->http, &o->slots[i].exchange);
		o->slots[i].stand = OPENAI_IDLE;
	}
}

int openai_chat(void *state, const struct rt_teacher_request *requests, int64_t n,
                rt_reply_fn *reply, void *arg, struct rt_error *err)
{
	struct asking a = { state, requests, n, 0, 0, reply, arg };
	int           r = 0;

	while (r == 0 && a.answered < n) {
		if (rt_cancelled(a.o->context))
			r = rt_fail(err, RT_E_CANCEL, "cancelled");
		if (r == 0)
			r = start(&a, err);
		if (r == 0)
			r = collect(&a, true, err);
		if (r == 0 && a.answered < n)
			r = openai_http_sleep(&a.o->http, idle_time(&a), err);
	}
	leave(&a);
	return r;
}
