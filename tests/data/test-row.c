/* test-row.c - rows, schemas and figures, against values that are known. */
#include <retort/metrics.h>
#include <retort/row.h>
#include <retort/schema.h>

#include "runner.h"

#include <stdio.h>
#include <string.h>

static struct rt_json *parse(const char *text)
{
	struct rt_json *j;

	ck_assert_int_eq(rt_json_parse(text, strlen(text), "test", 1, &j, NULL), 0);
	return j;
}

/* A value against a schema: what is wrong, "" when nothing. */
static const struct {
	const char *schema, *value, *why;
} fits[] = {
	{ "{\"type\":\"string\"}", "\"a\"", "" },
	{ "{\"type\":\"integer\"}", "3.0", "" },
	{ "{\"type\":\"integer\"}", "3.5", "is a real number, not integer" },
	{ "{\"type\":[\"string\",\"null\"]}", "null", "" },
	{ "{\"type\":\"dict\",\"properties\":{\"a\":{\"type\":\"float\"}}}", "{\"a\":\"x\"}",
	  "a: is a string, not float" },
	{ "{\"required\":[\"a\"]}", "{}", "'a' is missing" },
	{ "{\"properties\":{},\"additionalProperties\":false}", "{\"b\":1}",
	  "'b' is not among its properties" },
	{ "{\"enum\":[1,\"x\"]}", "1.0", "" },
	{ "{\"enum\":[1,\"x\"]}", "\"y\"", "is not one of the values that are allowed" },
	{ "{\"items\":{\"minimum\":2}}", "[2,3,1]", "[2]: 1 is less than 2" },
	{ "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\"}]}", "[]", "" },
	{ "{\"oneOf\":[{\"minimum\":1},{\"minimum\":2}]}", "3",
	  "fits 2 of the forms, exactly one is allowed" },
	{ "{\"maxLength\":2}", "\"\\u00e9\\u00e9\"", "" },
	{ "{\"$ref\":\"#/$defs/s\",\"$defs\":{\"s\":{\"type\":\"string\"}}}", "1",
	  "is an integer, not string" },
};

START_TEST(a_value_fits_its_schema_or_the_reason_is_told)
	{
		struct rt_json *schema = parse(fits[_i].schema), *value;
		char            text[64], why[120];

		snprintf(text, sizeof text, "[%s]", fits[_i].value);
		value = parse(text);
		ck_assert_int_eq(
			rt_schema_fits(schema, rt_json_at(value, 0), why, sizeof why, NULL),
			!*fits[_i].why);
		ck_assert_str_eq(why, fits[_i].why);
		rt_json_free(schema);
		rt_json_free(value);
	}
END_TEST

START_TEST(an_unknown_keyword_is_an_error_and_not_ignored)
	{
		struct rt_json *schema = parse("{\"properties\":{\"a\":{\"patern\":\"x\"}}}");
		struct rt_error err = RT_ERROR_INIT;

		ck_assert_int_eq(rt_schema_check(schema, &err), RT_E_UNSUP);
		ck_assert_str_eq(err.msg, "a: the schema keyword 'patern' is not supported");
		rt_json_free(schema);
	}
END_TEST

START_TEST(a_schema_that_refers_to_itself_ends)
	{
		struct rt_json *schema = parse("{\"$ref\":\"#\"}");

		ck_assert_int_lt(rt_schema_fits(schema, schema, NULL, 0, NULL), 0);
		rt_json_free(schema);
	}
END_TEST

START_TEST(prompt_and_references_are_told_apart)
	{
		struct rt_json *row =
			parse("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":"
		              "\"assistant\",\"content\":"
		              "\"b\"},{\"role\":\"user\",\"content\":\"c\"},{\"role\":"
		              "\"assistant\",\"content\":\" d \"}],"
		              "\"accepted\":[{\"role\":\"assistant\",\"content\":\"e\"}]}");
		struct rt_text t = RT_TEXT_INIT;

		ck_assert_uint_eq(rt_row_prompt(row), 3);
		rt_answer_text(rt_row_reference(row, 0), &t);
		rt_answer_text(rt_row_reference(row, 1), &t);
		ck_assert_str_eq(t.data, "de");
		ck_assert_ptr_null(rt_row_reference(row, 2));
		rt_text_free(&t);
		rt_json_free(row);
	}
END_TEST

START_TEST(equal_calls_are_equal_bytes_whatever_the_order_of_keys)
	{
		struct rt_json *a = parse("{\"tool_calls\":[{\"function\":{\"name\":\"f\","
		                          "\"arguments\":{\"x\":1,\"y\":2}}}]}");
		struct rt_json *b = parse("{\"tool_calls\":[{\"function\":{\"arguments\":{\"y\":2,"
		                          "\"x\":1},\"name\":\"f\"}}]}");
		struct rt_text  s = RT_TEXT_INIT, t = RT_TEXT_INIT;

		rt_answer_text(a, &s);
		rt_answer_text(b, &t);
		ck_assert_str_eq(s.data, t.data);
		rt_text_free(&s);
		rt_text_free(&t);
		rt_json_free(a);
		rt_json_free(b);
	}
END_TEST

/* Wilson's interval by the textbook: 10 of 20 is [.299, .701], 0 of 10 ends at .278. */
START_TEST(wilsons_interval_is_the_known_one)
	{
		double low, high;

		rt_wilson(10, 20, &low, &high);
		ck_assert_double_eq_tol(low, 0.2993, 5e-5);
		ck_assert_double_eq_tol(high, 0.7007, 5e-5);
		rt_wilson(0, 10, &low, &high);
		ck_assert_double_eq(low, 0);
		ck_assert_double_eq_tol(high, 0.2775, 5e-5);
	}
END_TEST

static void score_bounds(double sum, double squares, int64_t n, double *low, double *high)
{
	struct rt_json *m = rt_json_new_object();

	ck_assert_int_eq(rt_metric_score(m, "s", sum, squares, n), 0);
	*low = rt_json_real(rt_json_get(rt_json_get(m, "s"), "low"), -1);
	*high = rt_json_real(rt_json_get(rt_json_get(m, "s"), "high"), -1);
	rt_json_free(m);
}

/* Of yes and no it is Wilson's; half as much variance makes the mean as sure as twice as many. */
START_TEST(a_mean_of_scores_has_an_interval_within_0_and_1)
	{
		double low, high, a, b;

		score_bounds(10, 10, 20, &low, &high);
		rt_wilson(10, 20, &a, &b);
		ck_assert_double_eq_tol(low, a, 1e-12);
		ck_assert_double_eq_tol(high, b, 1e-12);
		score_bounds(10, 7.5, 20, &low, &high); /* a variance of 1/8, not of 1/4 */
		rt_wilson(20, 40, &a, &b);
		ck_assert_double_eq_tol(low, a, 1e-12);
		ck_assert_double_eq_tol(high, b, 1e-12);
		score_bounds(0, 0, 60, &low, &high);
		ck_assert_double_eq(low, 0);
		ck_assert_double_eq_tol(high, 0.0602, 5e-5);
		score_bounds(1, 1, 20, &low, &high);
		ck_assert_double_gt(low, 0);
	}
END_TEST

/* 100 rows, 10 better and 4 worse: the paired normal interval is .06 +- .0724, and this one is
 * apart from it by less than 1 / n.  No difference in 20 rows: the chance that rows differ is below
 * 3 / 20 with 95 %, so that is about what the mean may be; never nothing. */
START_TEST(a_difference_of_scores_has_an_interval_within_1_that_is_never_empty)
	{
		struct rt_json *m = rt_json_new_object(), *few, *none, *all;

		ck_assert_int_eq(rt_metric_difference(m, "few", 6, 14, 100), 0);
		ck_assert_int_eq(rt_metric_difference(m, "none", 0, 0, 20), 0);
		ck_assert_int_eq(rt_metric_difference(m, "all", -20, 20, 20), 0);
		few = rt_json_get(m, "few");
		none = rt_json_get(m, "none");
		all = rt_json_get(m, "all");
		ck_assert_double_eq_tol(rt_json_real(rt_json_get(few, "value"), 9), .06, 1e-12);
		ck_assert_double_eq_tol(rt_json_real(rt_json_get(few, "low"), 9), -.0124, .01);
		ck_assert_double_eq_tol(rt_json_real(rt_json_get(few, "high"), 9), .1324, .01);
		ck_assert_double_eq_tol(rt_json_real(rt_json_get(none, "low"), 9), -.1, .05);
		ck_assert_double_eq_tol(rt_json_real(rt_json_get(none, "high"), 9), .1, .05);
		ck_assert_double_eq(rt_json_real(rt_json_get(all, "low"), 9), -1);
		ck_assert_double_gt(rt_json_real(rt_json_get(all, "high"), 9), -1);
		rt_json_free(m);
	}
END_TEST

RUNNER("row", 60, {
	tcase_add_test(tc, a_difference_of_scores_has_an_interval_within_1_that_is_never_empty);
	tcase_add_test(tc, a_mean_of_scores_has_an_interval_within_0_and_1);
	TABLE_TEST(tc, a_value_fits_its_schema_or_the_reason_is_told, fits);
	tcase_add_test(tc, an_unknown_keyword_is_an_error_and_not_ignored);
	tcase_add_test(tc, a_schema_that_refers_to_itself_ends);
	tcase_add_test(tc, prompt_and_references_are_told_apart);
	tcase_add_test(tc, equal_calls_are_equal_bytes_whatever_the_order_of_keys);
	tcase_add_test(tc, wilsons_interval_is_the_known_one);
})
