/* test-judges.c - the judges that compare, on the values of STAR's paper and plain cases. */
#include <retort/judge.h>

#include "runner.h"

#include <retort/memory.h>

#include <string.h>

extern const struct rt_plugin retort_plugin_judge_call_match, retort_plugin_judge_exact;

#define CALL(name, arguments) "{\"function\":{\"name\":\"" name "\",\"arguments\":" arguments "}}"
#define GOLD                  CALL("play", "{\"song\":\"hey jude\",\"vol\":30}")

/* Candidate's calls against the reference play{song:"hey jude",vol:30} (STAR, Ni 2026, eq. 7). */
static const struct {
	const char *calls;
	double      match;
	const char *exact; /* its reason, "" when exact */
} cases[] = {
	{ GOLD, 1, "" },
	{ CALL("play", "{\"vol\":30,\"song\":\"hey jude\"}"), 1, "" },
	{ CALL("play", "{\"song\":\"hey jude\",\"vol\":20}"), .5, "other arguments" },
	{ CALL("play", "{\"song\":\"jude\",\"vol\":30}"), .833333, "other arguments" },
	{ CALL("play", "{\"song\":\"hey jude\"}"), .5, "other arguments" },
	{ GOLD "," CALL("stop", "{}"), .5, "a call too many" },
	{ CALL("stop", "{\"song\":\"hey jude\",\"vol\":30}"), 0, "other function" },
	{ "", 0, "text where a call was due" },
};

static struct rt_json *parse(const char *text)
{
	struct rt_json *j;

	ck_assert_int_eq(rt_json_parse(text, strlen(text), "test", 1, &j, NULL), 0);
	return j;
}

static struct rt_verdict verdict_of(const struct rt_plugin *p, const char *calls)
{
	struct rt_text  t = RT_TEXT_INIT;
	struct rt_json *row =
		parse("{\"id\":\"1\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"},"
	              "{\"role\":\"assistant\",\"tool_calls\":[" GOLD "]}]}");
	struct rt_json       *answer;
	const struct rt_json *list[1];
	struct rt_group       g = { row, list, 1 };
	struct rt_verdict     v;
	void                 *state = rt_alloc_aligned(1, p->state_size + 1);

	rt_text_printf(&t, "{\"role\":\"assistant\",\"tool_calls\":[%s]}", calls);
	list[0] = answer = parse(t.data);
	ck_assert_int_eq(p->ops.judge->judge(state, &g, 1, &v, NULL), 0);
	rt_free(state);
	rt_json_free(row);
	rt_json_free(answer);
	rt_text_free(&t);
	return v;
}

START_TEST(call_match_gives_the_published_values)
	{
		/* six decimals are what is published */
		ck_assert_double_eq_tol(
			verdict_of(&retort_plugin_judge_call_match, cases[_i].calls).score,
			cases[_i].match, 5e-7);
	}
END_TEST

START_TEST(exact_is_one_or_says_why_not)
	{
		const struct rt_verdict v = verdict_of(&retort_plugin_judge_exact, cases[_i].calls);

		ck_assert_str_eq(v.reason, cases[_i].exact);
		ck_assert_double_eq(v.score, !*cases[_i].exact);
	}
END_TEST

START_TEST(a_row_without_a_reference_is_an_error_that_names_it)
	{
		struct rt_json *row = parse(
			"{\"id\":\"r7\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]}");
		struct rt_json       *answer = parse("{\"role\":\"assistant\",\"content\":\"a\"}");
		const struct rt_json *list[1] = { answer };
		struct rt_group       g = { row, list, 1 };
		struct rt_error       err = RT_ERROR_INIT;
		struct rt_verdict     v;

		ck_assert_int_eq(retort_plugin_judge_exact.ops.judge->judge(NULL, &g, 1, &v, &err),
		                 RT_E_FORMAT);
		ck_assert_str_eq(err.msg, "row 'r7' has no reference answer to compare with");
		rt_json_free(row);
		rt_json_free(answer);
	}
END_TEST

RUNNER("judges", 60, {
	TABLE_TEST(tc, call_match_gives_the_published_values, cases);
	TABLE_TEST(tc, exact_is_one_or_says_why_not, cases);
	tcase_add_test(tc, a_row_without_a_reference_is_an_error_that_names_it);
})
