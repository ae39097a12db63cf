/* local.c - teacher-local: a checkpoint answers, by the engine of retort itself.
 *
 * What a request gets depends on its id, its content and the seed, not on what is asked beside it.
 * It also scores given tokens. */
#include "local-form.h"
#include "local-user.h"

#include <retort/generate.h>
#include <retort/memory.h>
#include <retort/row.h>
#include <retort/stage.h>
#include <retort/teacher.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_N = 64, MAX_STOPS = 16 };

struct config {
	const struct rt_artifact *model;
	const char               *path, *gguf;
	int64_t                   sequences, top_k;
	double                    min_p;
	bool                      exact, strict;
	struct rt_component      *sampler;
};

struct state {
	const struct config *cfg;
	struct rt_context   *context;
	struct rt_model     *m;
	struct rt_engine    *e;
};

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct config, model, MODEL, "The model of a stage that answers."),
	RT_PARAM_PATH(struct config, path, NULL, "Or that of a Hugging Face directory.",
	              .flags = RT_P_FOLDER),
	RT_PARAM_PATH(struct config, gguf, NULL, "Or that of a GGUF file."),
	RT_PARAM_INT(struct config, sequences, 32, 1, 4096, NULL,
	             "Answers that are computed at once.", .flags = RT_P_NOKEY),
	RT_PARAM_INT(struct config, top_k, 0, 0, 1 << 20, "tokens",
	             "Only the most likely tokens are drawn; 0: all."),
	RT_PARAM_REAL(struct config, min_p, 0, 0, 1, NULL,
	              "Tokens below this share of the most likely one are not drawn."),
	RT_PARAM_BOOL(struct config, exact, false,
	              "Whether activations stay in 32 bits also where 8 or 16 are faster."),
	RT_PARAM_BOOL(struct config, strict, false,
	              "Whether calls always fit their tools' schemas: other tokens are not drawn."),
	RT_PARAM_COMPONENT(struct config, sampler, SAMPLER, NULL,
	                   "Draws tokens instead of temperature, top_p, top_k and min_p."),
	RT_PARAM_END
};

/* ---- requests ------------------------------------------------------------------------------- */

/* One request of the teacher: a prompt, and a choice for each of n. */
struct ask {
	struct rt_ids   prompt;
	int64_t         n, done, tokens;
	struct rt_json *choices[MAX_N];
	const char     *stop[MAX_STOPS + 2]; /* those of the request, `after`, NULL */
	char           *after;               /* what the template writes behind a user's message */
	char            why[200];
};

struct batch {
	struct state                    *st;
	const struct rt_teacher_request *requests;
	struct ask                      *asks;
	struct rt_request               *queue;
	struct forms                     forms;
	struct {
		int64_t ask, choice;
	} * of; /* [queue] */
	int64_t      n, queued;
	rt_reply_fn *reply;
	void        *arg;
};

/* FNV-1a: a stream of random numbers of its own for each request, wherever it stands. */
static uint64_t stream_of(const char *id, int64_t choice)
{
	uint64_t h = 1469598103934665603u;

	for (; *id; id++)
		h = (h ^ (unsigned char)*id) * 1099511628211u;
	return (h ^ (uint64_t)choice) * 1099511628211u;
}

static void take_stops(struct ask *a, const struct rt_json *stop)
{
	int n = 0;

	if (rt_json_string(stop))
		a->stop[n++] = rt_json_string(stop);
	for (size_t i = 0; rt_json_is(stop, RT_JSON_ARRAY) && i < rt_json_length(stop); i++)
		if (n < MAX_STOPS && rt_json_string(rt_json_at(stop, i)))
			a->stop[n++] = rt_json_string(rt_json_at(stop, i));
	if (a->after)
		a->stop[n++] = a->after;
	a->stop[n] = NULL;
}

/* Why a request cannot be answered as it is meant; NULL when it can. */
static const char *refuse(const struct rt_json *body)
{
	const struct rt_json *stop = rt_json_get(body, "stop");
	const char           *role = rt_json_string(rt_json_get(body, "role"));
	const int64_t         n = rt_json_int(rt_json_get(body, "n"), 1);

	if (role && strcmp(role, "assistant") != 0 && strcmp(role, "user") != 0)
		return "role other than assistant and user is not supported here";
	if (role && strcmp(role, "user") == 0 && form_is_asked(body))
		return "response_format and tool_choice are for what the assistant says";
	if (n < 1 || n > MAX_N)
		return "n is not within 1 and 64";
	if (rt_json_is(stop, RT_JSON_ARRAY) && rt_json_length(stop) > MAX_STOPS)
		return "it has more than 16 stop strings";
	if (rt_json_int(rt_json_get(body, "top_logprobs"), 0) > 0)
		return "top_logprobs is not supported here";
	return NULL;
}

static bool for_user(const struct rt_json *body)
{
	const char *role = rt_json_string(rt_json_get(body, "role"));

	return role && strcmp(role, "user") == 0;
}

static int encode(struct batch *b, int64_t i, struct rt_error *err)
{
	const struct rt_json *body = b->requests[i].body;
	const struct rt_chat  chat = { .messages = rt_json_get(body, "messages"),
		                       .tools = rt_json_get(body, "tools"),
		                       .kwargs = rt_json_get(body, "chat_template_kwargs"),
		                       .generation_prompt = true };
	struct ask           *a = &b->asks[i];
	struct rt_text        text = RT_TEXT_INIT;
	struct rt_ids         mask = RT_IDS_INIT;
	struct rt_error       own;
	int                   r;

	r = for_user(body) ? user_prompt(b->st->m, body, &a->prompt, &a->after, &own)
	                   : rt_model_encode_chat(b->st->m, &chat, &text, &a->prompt, &mask, &own);
	rt_text_free(&text);
	rt_ids_free(&mask);
	if (r == RT_E_NOMEM) {
		if (err)
			*err = own;
		return r;
	}
	if (r < 0)
		snprintf(a->why, sizeof a->why, "%.190s", own.msg);
	else if ((int64_t)a->prompt.len >= rt_model_shape(b->st->m)->context)
		snprintf(a->why, sizeof a->why,
		         "its prompt has %zu tokens, the model was made for %lld", a->prompt.len,
		         (long long)rt_model_shape(b->st->m)->context);
	return 0;
}

/* What the answer may be.  A form that cannot be kept to refuses the request. */
static int take_form(struct batch *b, int64_t i, const struct rt_grammar **ret,
                     struct rt_error *err)
{
	struct ask     *a = &b->asks[i];
	struct rt_error own;
	int r = forms_get(&b->forms, b->st->m, b->requests[i].body, b->st->cfg->strict, ret, &own);

	if (r < 0 && r != RT_E_NOMEM) {
		snprintf(a->why, sizeof a->why, "%.190s", own.msg);
		return 0;
	}
	if (r < 0 && err)
		*err = own;
	return r;
}

static int enqueue(struct batch *b, int64_t i, struct rt_error *err)
{
	const struct config     *c = b->st->cfg;
	const struct rt_json    *body = b->requests[i].body;
	struct ask              *a = &b->asks[i];
	const struct rt_sampling sampling = { .temperature = rt_json_real(
						      rt_json_get(body, "temperature"), 1),
		                              .top_p = rt_json_real(rt_json_get(body, "top_p"), 1),
		                              .min_p = c->min_p,
		                              .top_k = c->top_k };
	const uint64_t           seed =
		(uint64_t)rt_json_int(rt_json_get(body, "seed"), (int64_t)rt_seed(b->st->context));
	const struct rt_grammar *grammar = NULL;
	const char              *why = refuse(body);
	int                      r = why ? 0 : encode(b, i, err);

	if (why)
		snprintf(a->why, sizeof a->why, "%s", why);
	if (r == 0 && !a->why[0] && !for_user(body))
		r = take_form(b, i, &grammar, err);
	if (r < 0 || a->why[0])
		return r;
	a->n = rt_json_int(rt_json_get(body, "n"), 1);
	take_stops(a, rt_json_get(body, "stop"));
	for (int64_t k = 0; k < a->n; k++) {
		struct rt_request *q = &b->queue[b->queued];

		*q = (struct rt_request){ .prompt = a->prompt.data,
			                  .n = (int64_t)a->prompt.len,
			                  .sampling = sampling,
			                  .seed = seed,
			                  .stream = stream_of(b->requests[i].id, k),
			                  .grammar = grammar,
			                  .stop = a->stop[0] ? a->stop : NULL };
		q->max_tokens = rt_json_int(rt_json_get(body, "max_tokens"), 512);
		if (c->sampler) {
			q->sampler = c->sampler->plugin->ops.sampler;
			q->sampler_state = c->sampler->state;
		}
		b->of[b->queued].ask = i;
		b->of[b->queued++].choice = k;
	}
	return 0;
}

/* ---- answers -------------------------------------------------------------------------------- */

static struct rt_json *logprobs(const struct state *st, const struct rt_answer *a)
{
	const struct rt_tokenizer *t = rt_model_tokenizer(st->m);
	struct rt_json            *o = rt_json_new_object(), *list = rt_json_new_array();
	int                        r = o && list ? 0 : RT_E_NOMEM;

	for (int64_t i = 0; r == 0 && i < a->n; i++) {
		struct rt_json *one = rt_json_new_object();
		size_t          n = 0;
		const char     *text = rt_tokenizer_token(t, a->id[i], &n);

		if (one) {
			r |= rt_json_set(one, "token",
			                 rt_json_new_string_n(text ? text : "", text ? n : 0));
			r |= rt_json_set(one, "id", rt_json_new_int(a->id[i]));
			r |= rt_json_set(one, "logprob", rt_json_new_real((double)a->logp[i]));
		}
		r |= rt_json_append(list, one);
	}
	if (r == 0)
		return rt_json_set(o, "content", list) == 0 ? o : NULL;
	rt_json_free(list);
	rt_json_free(o);
	return NULL;
}

/* A message that is text, whatever it looks like: what a user says, or JSON that was asked for. */
static int text_message(const struct rt_answer *a, const char *role, struct rt_json **ret,
                        struct rt_error *err)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_json_set(o, "role", rt_json_new_string(role));
		r |= rt_json_set(o, "content", rt_json_new_string_n(a->text, a->text_n));
	}
	if (r == 0) {
		*ret = o;
		return 0;
	}
	rt_json_free(o);
	return rt_fail_nomem(err, "a message");
}

static int choice(const struct batch *b, int64_t q, const struct rt_answer *a, struct rt_json **ret,
                  struct rt_error *err)
{
	const struct rt_json *body = b->requests[b->of[q].ask].body;
	struct rt_json       *o = NULL, *message = NULL;
	int                   r = for_user(body)       ? text_message(a, "user", &message, err)
	                          : form_is_json(body) ? text_message(a, "assistant", &message, err)
	                                               : rt_chat_message(a->text, a->text_n, &message, err);
	const bool            cut = a->finish == RT_FINISH_LENGTH || a->finish == RT_FINISH_STUCK;
	const char           *why = cut                                  ? "length"
	                            : rt_json_get(message, "tool_calls") ? "tool_calls"
	                                                                 : "stop";

	if (r < 0)
		return r;
	o = rt_json_new_object();
	if (o) {
		r |= rt_json_set(o, "index", rt_json_new_int(b->of[q].choice));
		r |= rt_json_set(o, "finish_reason", rt_json_new_string(why));
		r |= rt_json_set(o, "message", rt_json_ref(message));
		if (rt_json_bool(rt_json_get(body, "logprobs"), false))
			r |= rt_json_set(o, "logprobs", logprobs(b->st, a));
	}
	rt_json_free(message);
	*ret = o;
	return o && r == 0 ? 0 : rt_fail_nomem(err, "an answer");
}

static struct rt_json *whole(const struct ask *a)
{
	struct rt_json *o = rt_json_new_object(), *list = rt_json_new_array(),
		       *usage = rt_json_new_object();
	int r = o && list && usage ? 0 : RT_E_NOMEM;

	for (int64_t i = 0; r == 0 && i < a->n; i++)
		r |= rt_json_append(list, rt_json_ref(a->choices[i]));
	if (r == 0) {
		r |= rt_json_set(usage, "prompt_tokens", rt_json_new_int((int64_t)a->prompt.len));
		r |= rt_json_set(usage, "completion_tokens", rt_json_new_int(a->tokens));
		r |= rt_json_set(o, "choices", rt_json_ref(list));
		r |= rt_json_set(o, "usage", rt_json_ref(usage));
		r |= rt_json_set(o, "model", rt_json_new_string("local"));
	}
	rt_json_free(list);
	rt_json_free(usage);
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

static int answered(void *arg, int64_t q, const struct rt_answer *answer, struct rt_error *err)
{
	struct batch   *b = arg;
	const int64_t   i = b->of[q].ask;
	struct ask     *a = &b->asks[i];
	struct rt_json *reply;
	int             r = choice(b, q, answer, &a->choices[b->of[q].choice], err);

	if (r < 0)
		return r;
	if (rt_cancelled(b->st->context))
		return rt_fail(err, RT_E_CANCEL, "cancelled");
	a->tokens += answer->n;
	if (++a->done < a->n)
		return 0;
	reply = whole(a);
	r = reply ? b->reply(b->arg, i, reply, NULL, err) : rt_fail_nomem(err, "a reply");
	rt_json_free(reply);
	return r;
}

static int queue_all(struct batch *b, struct rt_error *err)
{
	const size_t most = (size_t)b->n * MAX_N; /* as many as one may ask for */
	int          r = 0;

	b->asks = rt_alloc((size_t)b->n, sizeof *b->asks);
	b->queue = rt_alloc(most, sizeof *b->queue);
	b->of = rt_alloc(most, sizeof *b->of);
	if (!b->asks || !b->queue || !b->of)
		return rt_fail_nomem(err, "requests");
	for (int64_t i = 0; r == 0 && i < b->n; i++)
		r = enqueue(b, i, err);
	for (int64_t i = 0; r == 0 && i < b->n; i++)
		if (b->asks[i].why[0])
			r = b->reply(b->arg, i, NULL, b->asks[i].why, err);
	return r;
}

static int chat(void *state, const struct rt_teacher_request *requests, int64_t n,
                rt_reply_fn *reply, void *arg, struct rt_error *err)
{
	struct batch b = { .st = state, .requests = requests, .n = n, .reply = reply, .arg = arg };
	int          r = queue_all(&b, err);

	if (r == 0)
		r = rt_generate(b.st->e, b.queue, b.queued, answered, NULL, &b, err);
	for (int64_t i = 0; b.asks && i < n; i++) {
		for (int64_t k = 0; k < b.asks[i].n; k++)
			rt_json_free(b.asks[i].choices[k]);
		rt_ids_free(&b.asks[i].prompt);
		rt_free(b.asks[i].after);
	}
	rt_free(b.asks);
	rt_free(b.queue);
	rt_free(b.of);
	forms_free(&b.forms);
	return r;
}

/* ---- scoring -------------------------------------------------------------------------------- */

/* The k largest of n logits as log-probabilities, best first; logits of chosen ones are lost. */
static void top_of(float *logits, int64_t n, int64_t k, int32_t *id, float *logp)
{
	double  sum = 0;
	float   max = logits[0];
	int64_t have = 0;

	for (int64_t i = 1; i < n; i++)
		max = logits[i] > max ? logits[i] : max;
	for (int64_t i = 0; i < n; i++)
		sum += exp((double)(logits[i] - max));
	for (int64_t i = 0; i < n; i++) {
		const float x = (float)((double)(logits[i] - max) - log(sum));
		int64_t     at;

		if (have == k && x <= logp[k - 1])
			continue;
		at = have < k ? have++ : k - 1;
		for (; at > 0 && x > logp[at - 1]; at--) {
			logp[at] = logp[at - 1];
			id[at] = id[at - 1];
		}
		logp[at] = x;
		id[at] = (int32_t)i;
	}
}

static int top_rows(const struct state *st, const float *hidden, int64_t rows, int64_t k,
                    int32_t *top_id, float *top_logp, struct rt_error *err)
{
	const struct rt_model_shape *s = rt_model_shape(st->m);
	const int64_t                step = 1 + (16 << 20) / s->vocabulary;
	float *logits = rt_alloc_aligned((size_t)(step * s->vocabulary), sizeof *logits);
	int    r = logits ? 0 : rt_fail_nomem(err, "logits");

	for (int64_t i = 0; r == 0 && i < rows; i += step) {
		const int64_t n = rows - i < step ? rows - i : step;

		r = rt_model_logits(st->m, hidden + i * s->hidden, n, logits, err);
		for (int64_t q = 0; r == 0 && q < n; q++)
			top_of(logits + q * s->vocabulary, s->vocabulary, k, top_id + (i + q) * k,
			       top_logp + (i + q) * k);
	}
	rt_free(logits);
	return r;
}

static int score(void *state, const int32_t *ids, int64_t n, int64_t first, int64_t k,
                 float *logprob, int32_t *top_id, float *top_logprob, struct rt_error *err)
{
	const struct state          *st = state;
	const struct rt_model_shape *s = rt_model_shape(st->m);
	const struct rt_span         span = { 0, n, 0, n, 0 };
	float   *hidden = rt_alloc_aligned((size_t)(n * s->hidden), sizeof *hidden);
	int32_t *position = rt_alloc((size_t)n, sizeof *position);
	int      r = hidden && position ? 0 : rt_fail_nomem(err, "hidden states");

	if (r == 0 && (first < 1 || first >= n || k < 0 || k > s->vocabulary))
		r = rt_fail(err, RT_E_RANGE, "cannot score from %lld of %lld tokens, top %lld",
		            (long long)first, (long long)n, (long long)k);
	for (int64_t i = 0; r == 0 && i < n; i++)
		position[i] = (int32_t)i;
	if (r == 0) {
		const struct rt_batch b = { ids, position, n, &span, 1 };

		r = rt_model_forward(st->m, &b, NULL, hidden, err);
	}
	if (r == 0)
		r = rt_model_logps(st->m, hidden + (first - 1) * s->hidden, n - first, ids + first,
		                   NULL, logprob, NULL, NULL, NULL, err);
	if (r == 0 && k > 0)
		r = top_rows(st, hidden + (first - 1) * s->hidden, n - first, k, top_id,
		             top_logprob, err);
	rt_free(hidden);
	rt_free(position);
	return r;
}

/* ---- life ----------------------------------------------------------------------------------- */

static int check(const void *config, struct rt_error *err)
{
	const struct config *c = config;

	return !!c->model + !!c->path + !!c->gguf == 1
	               ? 0
	               : rt_fail(err, RT_E_USAGE, "give one of model, path and gguf");
}

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	struct state                  *st = state;
	const struct config           *cfg = config;
	const struct rt_engine_options o = { .sequences = cfg->sequences, .exact = cfg->exact };
	const char *path = cfg->model ? cfg->model->path : cfg->path ? cfg->path : cfg->gguf;
	int         r;

	st->cfg = cfg;
	st->context = c;
	r = rt_model_open(&st->m, path, 0, err);
	if (r == 0 && (!rt_model_tokenizer(st->m) || !rt_model_template(st->m)))
		r = rt_fail(err, RT_E_FORMAT, "%s comes without %s", path,
		            rt_model_tokenizer(st->m) ? "a chat template" : "a tokenizer");
	if (r == 0 && cfg->strict)
		r = form_check(st->m, err);
	return r < 0 ? r : rt_engine_open(&st->e, st->m, &o, err);
}

static void close_(void *state)
{
	struct state *st = state;

	rt_engine_close(st->e);
	rt_model_close(st->m);
}

static double price(const void *config, double calls, double input_tokens, double output_tokens)
{
	(void)config, (void)calls, (void)input_tokens, (void)output_tokens;
	return 0;
}

static const struct rt_teacher_ops ops = {
	.size = sizeof ops, .chat = chat, .price = price, .score = score
};

RT_PLUGIN(teacher_local, TEACHER, .name = "local", .version = "1.0", .license = "Apache-2.0",
          .summary = "A checkpoint answers, on this machine.", .config_size = sizeof(struct config),
          .params = params, .state_size = sizeof(struct state), .check = check, .open = open_,
          .close = close_, .ops.teacher = &ops);
