/* test-choices.c - judge-rouge, judge-llm with a teacher that says what the test says, and
 * rejector-diverse. */
#include "plugins/instance.h"
#include "runner.h"

#include <retort/judge.h>
#include <retort/rejector.h>
#include <retort/teacher.h>

#include <stdio.h>

extern const struct rt_plugin retort_plugin_judge_rouge, retort_plugin_judge_llm,
	retort_plugin_rejector_diverse;

static void hear(void *arg, const char *stage, enum rt_level level, const char *text)
{
	(void)arg, (void)stage, (void)level, (void)text;
}

static const struct context_sink sink = { .log = hear };
static struct rt_context         context = { .sink = &sink, .stage = "s", .seed = 1 };
static const char               *script; /* what the teacher says; NULL: it fails */
static int                       asked, calls;

static int chat(void *state, const struct rt_teacher_request *q, int64_t n, rt_reply_fn *reply,
                void *arg, struct rt_error *err)
{
	int r = 0;

	(void)state;
	calls++;
	for (int64_t i = n - 1; r == 0 && i >= 0; i--) { /* in any order */
		struct rt_json *j = script ? json_of("{\"choices\":[{\"message\":{}}]}") : NULL;

		(void)q;
		asked++;
		if (j)
			rt_json_set(
				rt_json_get(rt_json_at(rt_json_get(j, "choices"), 0), "message"),
				"content", rt_json_new_string(script));
		r = reply(arg, i, j, j ? NULL : "no idea", err);
		rt_json_free(j);
	}
	return r;
}

static const struct rt_teacher_ops teacher_ops = { .size = sizeof teacher_ops, .chat = chat };
static const struct rt_plugin      teacher = { .kind = RT_KIND_TEACHER,
	                                       .name = "scripted",
	                                       .ops.teacher = &teacher_ops };

#define SAYS(text) "{\"role\":\"assistant\",\"content\":\"" text "\"}"
#define ROW                                                                                        \
	"{\"id\":\"r\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}," SAYS(                 \
		"play some jazz now") "]}"

enum { MOST = 32 };

struct given {
	struct rt_json       *row, *own[MOST];
	const struct rt_json *at[MOST];
	struct rt_group       g;
};

static void give(struct given *x, const char *const *answers, int64_t n)
{
	x->row = json_of(ROW);
	for (int64_t i = 0; i < n; i++)
		x->at[i] = x->own[i] = json_of(answers[i]);
	x->g = (struct rt_group){ x->row, x->at, n };
}

static void drop(struct given *x)
{
	rt_json_free(x->row);
	for (int64_t i = 0; i < x->g.n; i++)
		rt_json_free(x->own[i]);
}

/* ---- rouge ---- */

START_TEST(rouge_is_the_f1_of_common_words)
	{
		static const char *const answers[] = { SAYS("Play some JAZZ, now!"),
			                               SAYS("play jazz"), SAYS("now play"),
			                               SAYS("stop") };
		static const double      scores[] = { 1, 2. * 2 / 6, 2. * 1 / 6, 0 };
		struct rt_verdict        v[4];
		struct given             x;
		void *state = rt_alloc_aligned(1, retort_plugin_judge_rouge.state_size);

		give(&x, answers, 4);
		ck_assert_int_eq(
			retort_plugin_judge_rouge.ops.judge->judge(state, &x.g, 1, v, NULL), 0);
		for (int i = 0; i < 4; i++) {
			ck_assert_double_eq_tol(v[i].score, scores[i], 1e-12);
			ck_assert_int_eq(!*v[i].reason, scores[i] == 1);
		}
		drop(&x);
		rt_free(state);
	}
END_TEST

/* ---- llm ---- */

static struct instance_of new_judge(struct rt_component *t, int scale)
{
	struct instance_of         i = instance_new(&retort_plugin_judge_llm, &context);
	const struct rt_component *p = t;

	*t = (struct rt_component){ .plugin = &teacher, .context = &context };
	instance_set(&i, "teacher", &p, sizeof p);
	instance_set(&i, "scale", &scale, sizeof scale);
	ck_assert_int_eq(instance_open(&i, NULL), 0);
	asked = calls = 0;
	return i;
}

static const struct {
	const char *reply;
	int         scale; /* 0: 0..1, 1: 1..5 */
	double      score;
	const char *reason;
} replies[] = {
	{ "{\"score\": 1, \"reason\": \"fine\"}", 0, 1, "" },
	{ "{\"score\": 0.25, \"reason\": \"late\"}", 0, .25, "late" },
	{ "It {is} late. {\"x\":{\"score\":1}} "
	  "So:\n```json\n{\"reason\":\"late\",\"score\":4}\n```",
	  1, .75, "late" },
	{ "{\"score\": \"5\"}", 1, 1, "" },
	{ "{\"score\": 1}", 1, 0, "not as good as can be" },
	{ "{\"score\": 6, \"reason\": \"great\"}", 1, 0, "the judge's reply has no score" },
	{ "{\"score\": null}", 0, 0, "the judge's reply has no score" },
	{ "five of five", 1, 0, "the judge's reply has no score" },
	{ "{\"score\": 1", 0, 0, "the judge's reply has no score" },
	{ NULL, 0, 0, "the judge gave no reply" },
};

START_TEST(a_verdict_is_read_or_its_lack_is_the_reason)
	{
		static const char *const answers[] = { SAYS("a") };
		struct rt_component      t;
		struct instance_of       i = new_judge(&t, replies[_i].scale);
		struct rt_verdict        v;
		struct given             x;

		give(&x, answers, 1);
		script = replies[_i].reply;
		ck_assert_int_eq(retort_plugin_judge_llm.ops.judge->judge(i.component.state, &x.g,
		                                                          1, &v, NULL),
		                 0);
		ck_assert_double_eq_tol(v.score, replies[_i].score, 1e-12);
		ck_assert_str_eq(v.reason, replies[_i].reason);
		drop(&x);
		instance_close(&i);
	}
END_TEST

START_TEST(all_groups_are_asked_for_at_once_and_equal_answers_once)
	{
		static const char *const answers[] = { SAYS("a"), SAYS("b"), SAYS("a") };
		struct rt_component      t;
		struct instance_of       i = new_judge(&t, 0);
		struct rt_verdict        v[6];
		struct given             x;
		struct rt_group          groups[2];

		give(&x, answers, 3);
		groups[0] = groups[1] = x.g;
		script = "{\"score\":0.5,\"reason\":\"so so\"}";
		ck_assert_int_eq(retort_plugin_judge_llm.ops.judge->judge(i.component.state, groups,
		                                                          2, v, NULL),
		                 0);
		ck_assert_int_eq(calls, 1);
		ck_assert_int_eq(asked, 4);
		for (int k = 0; k < 6; k++)
			ck_assert_str_eq(v[k].reason, "so so");
		drop(&x);
		instance_close(&i);
	}
END_TEST

START_TEST(a_teacher_that_cannot_judge_ends_it)
	{
		char                text[MOST][64];
		const char         *answers[MOST];
		struct rt_error     err = RT_ERROR_INIT;
		struct rt_component t;
		struct instance_of  i = new_judge(&t, 0);
		struct rt_verdict   v[MOST];
		struct given        x;

		for (int k = 0; k < MOST; k++) {
			snprintf(text[k], sizeof text[k], SAYS("%d"), k);
			answers[k] = text[k];
		}
		give(&x, answers, MOST);
		script = "good";
		ck_assert_int_eq(retort_plugin_judge_llm.ops.judge->judge(i.component.state, &x.g,
		                                                          1, v, &err),
		                 RT_E_FORMAT);
		ck_assert_str_eq(err.msg, "32 of 32 answers have no score, more than max_failed = "
		                          "0.05 allows; is the teacher one that can judge?");
		drop(&x);
		instance_close(&i);
	}
END_TEST

/* ---- diverse ---- */

START_TEST(the_best_stays_and_those_that_differ_from_it)
	{
		static const char *const answers[] = {
			SAYS("play some loud jazz now"),
			SAYS("play some soft jazz now"),
			SAYS("what is the weather like"),
			SAYS("wake me at six"),
			"{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"play\","
			"\"arguments\":{\"some\":\"soft jazz now\"}}}]}",
			SAYS("call my mother")
		};
		static const double scores[] = { .8, .9, .9, .2, .7, .6 };
		static const bool   want[] = { false, true, true, false, true, false };
		struct instance_of  i = instance_new(&retort_plugin_rejector_diverse, &context);
		const double        threshold = .5;
		const int64_t       count = 3;
		struct given        x;
		bool                keep[6];

		instance_set(&i, "threshold", &threshold, sizeof threshold);
		instance_set(&i, "count", &count, sizeof count);
		ck_assert_int_eq(instance_open(&i, NULL), 0);
		give(&x, answers, 6);
		ck_assert_int_eq(retort_plugin_rejector_diverse.ops.rejector->select(
					 i.component.state, &x.g, scores, keep, NULL),
		                 0);
		for (int k = 0; k < 6; k++)
			ck_assert_int_eq(keep[k], want[k]);
		drop(&x);
		instance_close(&i);
	}
END_TEST

RUNNER("choices", 60, {
	tcase_add_test(tc, rouge_is_the_f1_of_common_words);
	TABLE_TEST(tc, a_verdict_is_read_or_its_lack_is_the_reason, replies);
	tcase_add_test(tc, all_groups_are_asked_for_at_once_and_equal_answers_once);
	tcase_add_test(tc, a_teacher_that_cannot_judge_ends_it);
	tcase_add_test(tc, the_best_stays_and_those_that_differ_from_it);
})
