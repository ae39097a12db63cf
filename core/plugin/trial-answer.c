/* trial-answer.c - sampler, judge, rejector, teacher and tool: what deals in tokens and answers. */
#include "plugin/trial.h"

#include <retort/judge.h>
#include <retort/memory.h>
#include <retort/rejector.h>
#include <retort/row.h>
#include <retort/sampler.h>
#include <retort/teacher.h>
#include <retort/tool.h>

#include <math.h>
#include <string.h>

/* ---- sampler ---- */

enum { VOCABULARY = 50, DRAWS = 200 };

struct sampling {
	float       *logits; /* what the sampler gets, and may overwrite */
	const float *normal;
};

static void sampler_prepare(struct trial *t)
{
	struct sampling *d = trial_output(1, sizeof *d);

	d->logits = trial_output(VOCABULARY, sizeof *d->logits);
	d->normal = trial_normal(51, VOCABULARY, 2);
	t->data = d;
}

static int draw(struct trial *t, float *logits, int64_t V, double uniform, int32_t *token,
                struct rt_error *err)
{
	static const int32_t history[] = { 3, 1, 4, 1, 5 };

	*token = -1;
	return t->plugin->ops.sampler->sample(t->state, logits, V, history, 5, uniform, token, err);
}

/* Normal logits; every third token is not allowed. */
static float *fresh(struct trial *t)
{
	const struct sampling *d = t->data;
	float                 *x = memcpy(d->logits, d->normal, VOCABULARY * sizeof *x);

	for (int i = 0; i < VOCABULARY; i += 3)
		x[i] = -INFINITY;
	return x;
}

static int sampler_once(struct trial *t, struct rt_error *err)
{
	int32_t token;
	int     r = draw(t, fresh(t), VOCABULARY, 0.3, &token, err);

	rt_hash_add(&t->digest, &token, sizeof token);
	return r;
}

static void sampler_verify(struct trial *t)
{
	float  *x;
	int32_t token, again;
	bool    inside = true, allowed = true, same = true;
	int     r = 0;

	for (int i = 0; i < DRAWS && r == 0 && inside; i++) {
		r = draw(t, fresh(t), VOCABULARY, (double)i / DRAWS, &token, NULL);
		inside = r == 0 && token >= 0 && token < VOCABULARY;
		allowed = allowed && (!inside || token % 3 != 0);
		draw(t, fresh(t), VOCABULARY, (double)i / DRAWS, &again, NULL);
		same = same && again == token;
	}
	trial_check(t, inside, "tokens lie in the vocabulary", "token %d of %d, code %d", token,
	            VOCABULARY, r);
	trial_check(t, allowed, "a token of -inf is never chosen", "one was");
	trial_check(t, same, "the same chance chooses the same token", "it did not");
	x = fresh(t);
	x[1] = NAN;
	r = draw(t, x, VOCABULARY, 0.5, &token, NULL);
	trial_check(t, r == RT_E_NUMERIC, "a NaN is RT_E_NUMERIC", "returned %d", r);
	x = fresh(t);
	for (int i = 0; i < VOCABULARY; i++)
		x[i] = -INFINITY;
	r = draw(t, x, VOCABULARY, 0.5, &token, NULL);
	trial_check(t, r == RT_E_NUMERIC, "nothing to choose from is RT_E_NUMERIC", "returned %d",
	            r);
	x[VOCABULARY - 1] = 1;
	r = draw(t, x + VOCABULARY - 1, 1, 0.999, &token, NULL);
	trial_check(t, r == 0 && token == 0, "of one token it chooses that", "code %d, token %d", r,
	            token);
}

const struct trial_kind trial_sampler = { sampler_prepare, sampler_once, sampler_verify };

/* ---- judge ---- */

enum { GROUPS = 2, CANDIDATES = 4 };

struct answers {
	struct rt_json       *rows[GROUPS];
	const struct rt_json *candidates[GROUPS][CANDIDATES];
	struct rt_group       groups[GROUPS];
	struct rt_verdict    *verdicts;
};

static const struct rt_json *message(const char *text)
{
	struct rt_json *j = NULL;

	rt_json_parse(text, strlen(text), "candidate", 1, &j, NULL);
	return j;
}

static void prepare_answers(struct answers *a)
{
	const char *line = trial_rows;

	for (int g = 0; g < GROUPS; g++) {
		const size_t n = strcspn(line, "\n");

		rt_json_parse(line, n, "row", 1, &a->rows[g], NULL);
		line += n + 1;
		a->candidates[g][0] = rt_row_reference(a->rows[g], 0);
		a->candidates[g][1] =
			message("{\"role\":\"assistant\",\"content\":\"I do not know.\"}");
		a->candidates[g][2] = message(
			"{\"role\":\"assistant\",\"tool_calls\":[{\"type\":\"function\","
			"\"function\":{\"name\":\"weather\",\"arguments\":{\"town\":1}}}]}");
		a->candidates[g][3] = message("{\"role\":\"assistant\",\"content\":\"\"}");
		a->groups[g] = (struct rt_group){ a->rows[g], a->candidates[g], CANDIDATES };
	}
	a->verdicts = trial_output(GROUPS * CANDIDATES, sizeof *a->verdicts);
}

static void judge_prepare(struct trial *t)
{
	t->data = trial_output(1, sizeof(struct answers));
	prepare_answers(t->data);
}

static int judge_once(struct trial *t, struct rt_error *err)
{
	struct answers *a = t->data;
	int r = t->plugin->ops.judge->judge(t->state, a->groups, GROUPS, a->verdicts, err);

	for (int i = 0; r == 0 && i < GROUPS * CANDIDATES; i++)
		rt_hash_add(&t->digest, &a->verdicts[i].score, sizeof a->verdicts[i].score);
	return r;
}

static void judge_verify(struct trial *t)
{
	struct answers    *a = t->data;
	struct rt_verdict *one = trial_output(CANDIDATES, sizeof *one);
	bool               same = true;

	for (int i = 0; i < GROUPS * CANDIDATES; i++) {
		const struct rt_verdict *v = &a->verdicts[i];
		const bool               ended = memchr(v->reason, '\0', sizeof v->reason) != NULL;

		trial_check(t, v->score >= 0 && v->score <= 1, "scores lie in 0 to 1",
		            "candidate %d has %g", i, v->score);
		trial_check(t,
		            ended && rt_utf8_check(v->reason, strlen(v->reason)) ==
		                             strlen(v->reason),
		            "reasons are UTF-8 and end", "that of candidate %d does not", i);
		trial_check(t, ended && (v->score < 1) == (*v->reason != '\0'),
		            "there is a reason exactly when the score is not 1",
		            "candidate %d: %g, '%.40s'", i, v->score, ended ? v->reason : "");
	}
	for (int g = 0; g < GROUPS; g++) {
		if (t->plugin->ops.judge->judge(t->state, &a->groups[g], 1, one, NULL) < 0)
			same = false;
		for (int i = 0; same && i < CANDIDATES; i++)
			same = fabs(one[i].score - a->verdicts[g * CANDIDATES + i].score) <= 0;
	}
	trial_check(t, same, "groups are judged apart from each other",
	            "alone, a group gets other scores");
}

const struct trial_kind trial_judge = { judge_prepare, judge_once, judge_verify };

/* ---- rejector ---- */

struct choosing {
	struct answers answers;
	const double  *scores;
	unsigned char *keep; /* read as bytes: an unwritten bool has no value */
};

static void rejector_prepare(struct trial *t)
{
	static const double scores[CANDIDATES] = { 1, 0.5, 0.5, 0 };
	struct choosing    *d = trial_output(1, sizeof *d);

	prepare_answers(&d->answers);
	d->scores = trial_input(scores, CANDIDATES, sizeof *scores);
	d->keep = trial_output(CANDIDATES, 1);
	t->data = d;
}

static int choose(struct trial *t, const struct rt_group *group, const double *scores,
                  struct rt_error *err)
{
	struct choosing *d = t->data;

	memset(d->keep, 0xff, CANDIDATES);
	return t->plugin->ops.rejector->select(t->state, group, scores, (bool *)d->keep, err);
}

static int rejector_once(struct trial *t, struct rt_error *err)
{
	struct choosing *d = t->data;
	int              r = choose(t, &d->answers.groups[0], d->scores, err);

	rt_hash_add(&t->digest, d->keep, CANDIDATES);
	return r;
}

static void rejector_verify(struct trial *t)
{
	static const double scores[][CANDIDATES] = { { 1, 1, 1, 1 },
		                                     { 0, 0, 0, 0 },
		                                     { 0, 0.5, 0.5, 1 } };
	struct choosing    *d = t->data;
	unsigned char       first[CANDIDATES];
	struct rt_error     err = RT_ERROR_INIT;
	struct rt_group     one = d->answers.groups[1];

	for (size_t s = 0; s < sizeof scores / sizeof *scores; s++) {
		const double *sealed = trial_input(scores[s], CANDIDATES, sizeof *scores[s]);
		int           r = choose(t, &d->answers.groups[1], sealed, &err), odd = 0;

		memcpy(first, d->keep, sizeof first);
		for (int i = 0; i < CANDIDATES; i++)
			odd += first[i] > 1;
		trial_check(t, r == 0 && odd == 0, "keep is written for every candidate",
		            "code %d, %d are not: %s", r, odd, err.msg);
		choose(t, &d->answers.groups[1], sealed, NULL);
		trial_check(t, memcmp(first, d->keep, sizeof first) == 0,
		            "the same scores keep the same candidates", "they did not");
	}
	one.n = 1;
	trial_check(t, choose(t, &one, d->scores, &err) == 0 && d->keep[1] == 0xff,
	            "one candidate alone is decided, and no other", "it is not: %s", err.msg);
}

const struct trial_kind trial_rejector = { rejector_prepare, rejector_once, rejector_verify };

/* ---- teacher ---- */

enum { REQUESTS = 3 };

struct teaching {
	struct rt_teacher_request requests[REQUESTS];
	int                       replies[REQUESTS], failed, strange, badly_formed;
	char                      why[200];
};

static void teacher_prepare(struct trial *t)
{
	static const char *const bodies[REQUESTS] = {
		"{\"messages\":[{\"role\":\"user\",\"content\":\"What is 2 + 2?\"}]}",
		("{\"messages\":[{\"role\":\"system\",\"content\":\"Be "
		 "brief.\"},{\"role\":\"user\",\"content\":\"Hello\"}],"
		 "\"n\":2,\"temperature\":0.7}"),
		"{\"messages\":[{\"role\":\"user\",\"content\":\"\"}],\"max_tokens\":8}",
	};
	static const char *const ids[REQUESTS] = { "a", "b", "c" };
	struct teaching         *d = trial_output(1, sizeof *d);

	memset(d, 0, sizeof *d);
	for (int i = 0; i < REQUESTS; i++)
		d->requests[i] = (struct rt_teacher_request){ ids[i], message(bodies[i]) };
	t->data = d;
}

/* Does it have choices, each with an assistant's message, arguments being objects or text? */
static bool well_formed(const struct rt_json *reply)
{
	const struct rt_json *choices = rt_json_get(reply, "choices");

	for (size_t i = 0; i < rt_json_length(choices); i++) {
		const struct rt_json *m = rt_json_get(rt_json_at(choices, i), "message");
		const char           *role = rt_json_string(rt_json_get(m, "role"));

		if (!role || strcmp(role, "assistant") != 0)
			return false;
	}
	return rt_json_length(choices) > 0;
}

static int take_reply(void *arg, int64_t index, const struct rt_json *reply, const char *why,
                      struct rt_error *err)
{
	struct teaching *d = arg;

	(void)err;
	if (index < 0 || index >= REQUESTS) {
		d->strange++;
		return 0;
	}
	d->replies[index]++;
	if (reply) {
		d->badly_formed += !well_formed(reply);
	} else {
		d->failed++;
		snprintf(d->why, sizeof d->why, "%s", why ? why : "it does not say why");
	}
	return 0;
}

static int teacher_once(struct trial *t, struct rt_error *err)
{
	struct teaching *d = t->data;

	memset(d->replies, 0, sizeof d->replies);
	d->failed = d->strange = d->badly_formed = 0;
	return t->plugin->ops.teacher->chat(t->state, d->requests, REQUESTS, take_reply, d, err);
}

static int stop_at_once(void *arg, int64_t index, const struct rt_json *reply, const char *why,
                        struct rt_error *err)
{
	(void)index, (void)reply, (void)why;
	++*(int *)arg;
	return rt_fail(err, RT_E_CANCEL, "stop");
}

/* The user's next message: by the user, or refused with a sentence. */
struct turn {
	bool answered, user, said;
};

static int take_turn(void *arg, int64_t index, const struct rt_json *reply, const char *why,
                     struct rt_error *err)
{
	struct turn          *d = arg;
	const struct rt_json *m =
		rt_json_get(rt_json_at(rt_json_get(reply, "choices"), 0), "message");
	const char *role = rt_json_string(rt_json_get(m, "role"));

	(void)index, (void)err;
	*d = (struct turn){ reply != NULL, role && strcmp(role, "user") == 0, why && *why };
	return 0;
}

static void verify_turn(struct trial *t)
{
	static const char body[] = "{\"messages\":[],\"role\":\"user\",\"max_tokens\":8}";
	const struct rt_teacher_request q = { "u", message(body) };
	struct turn                     d = { false, false, false };
	struct rt_error                 err = RT_ERROR_INIT;
	const int r = t->plugin->ops.teacher->chat(t->state, &q, 1, take_turn, &d, &err);

	trial_check(t, r == 0 && (d.answered ? d.user : d.said),
	            "asked for the user's message it gives that, or refuses with a sentence",
	            "it %s: %s", d.answered ? "answers as somebody else" : "does neither", err.msg);
}

static void teacher_verify(struct trial *t)
{
	struct teaching *d = t->data;
	int              told = 0, r;

	for (int i = 0; i < REQUESTS; i++)
		trial_check(t, d->replies[i] == 1 && d->strange == 0,
		            "every request is answered once", "request %d %d times", i,
		            d->replies[i]);
	if (d->failed)
		trial_say(t, TRIAL_SKIP, "replies have choices with messages",
		          "%d of %d failed: %s", d->failed, REQUESTS, d->why);
	else
		trial_check(t, d->badly_formed == 0, "replies have choices with messages",
		            "%d do not", d->badly_formed);
	verify_turn(t);
	r = t->plugin->ops.teacher->chat(t->state, d->requests, REQUESTS, stop_at_once, &told,
	                                 NULL);
	trial_check(t, r == RT_E_CANCEL && told == 1, "chat stops when it is told to",
	            "returned %d after %d replies", r, told);
	if (RT_HAS(t->plugin->ops.teacher, price)) {
		const double price = t->plugin->ops.teacher->price(t->config, 10, 1000, 100);

		trial_check(t, isnan(price) || price >= 0, "a price is a number from 0, or unknown",
		            "it is %g", price);
	}
}

const struct trial_kind trial_teacher = { teacher_prepare, teacher_once, teacher_verify };

/* ---- tool ---- */

/* Only the plugin knows what its functions want: no arguments at all is what every one must be able
 * to refuse, in a result. */
static void tool_prepare(struct trial *t)
{
	t->data = (void *)(uintptr_t)message("{}");
}

static const char *function_of(const struct trial *t, int64_t i)
{
	return t->plugin->ops.tool->function(t->state, i);
}

static int call(struct trial *t, const char *name, struct rt_json **ret, struct rt_error *err)
{
	*ret = NULL;
	return t->plugin->ops.tool->call(t->state, name, t->data, ret, err);
}

static int tool_once(struct trial *t, struct rt_error *err)
{
	struct rt_json *result;
	struct rt_text  text = RT_TEXT_INIT;
	int             r = 0;

	if (!function_of(t, 0))
		return rt_fail(err, RT_E_UNSUP, "serves no function");
	for (int64_t i = 0; r == 0 && function_of(t, i); i++) {
		r = call(t, function_of(t, i), &result, err);
		if (r < 0)
			break;
		rt_text_add(&text, function_of(t, i));
		rt_json_print(result, RT_JSON_SORT, &text);
		rt_json_free(result);
	}
	rt_hash_add(&t->digest, text.data, text.len);
	r = r == 0 && text.failed ? rt_fail_nomem(err, "a result") : r;
	rt_text_free(&text);
	return r;
}

static void tool_verify(struct trial *t)
{
	struct rt_json *a, *b;
	const char     *name;

	for (int64_t i = 0; (name = function_of(t, i)); i++) {
		bool twice = false;

		for (int64_t k = 0; k < i; k++)
			twice = twice || strcmp(function_of(t, k), name) == 0;
		trial_check(t, *name && !twice, "functions have names, each its own",
		            "'%s' is there twice, or empty", name);
		if (call(t, name, &a, NULL) < 0 || call(t, name, &b, NULL) < 0)
			continue;
		trial_check(t, a && rt_json_equal(a, b), "the same arguments give the same result",
		            "'%s' did not", name);
	}
}

const struct trial_kind trial_tool = { tool_prepare, tool_once, tool_verify };
