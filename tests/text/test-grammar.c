/* test-grammar.c - whatever a grammar lets through fits its schema, and whatever is usual gets
 * through. */
#include "golden.h"
#include "runner.h"
#include "torture.h"

#include "text/tok.h"

#include <retort/chat.h>
#include <retort/grammar.h>
#include <retort/random.h>
#include <retort/schema.h>

#include <string.h>

static struct rt_json *parse(const char *text)
{
	struct rt_json *j;
	struct rt_error err = RT_ERROR_INIT;

	ck_assert_msg(rt_json_parse(text, strlen(text), "test", 1, &j, &err) == 0, "%s: %s", text,
	              err.msg);
	return j;
}

static struct rt_grammar *of_schema(const char *text)
{
	struct rt_json    *schema = text ? parse(text) : NULL;
	struct rt_grammar *g;
	struct rt_error    err = RT_ERROR_INIT;

	ck_assert_msg(rt_grammar_json(&g, schema, &err) == 0, "%s: %s", text, err.msg);
	rt_json_free(schema);
	return g;
}

static struct rt_grammar *of_tools(const char *text, const char *choice)
{
	struct rt_json    *tools = parse(text);
	struct rt_grammar *g;
	struct rt_error    err = RT_ERROR_INIT;

	ck_assert_msg(rt_grammar_calls(&g, tools, choice, &err) == 0, "%s", err.msg);
	rt_json_free(tools);
	return g;
}

/* Bytes of an answer that get through; SIZE_MAX when all do and it may end there. */
static size_t through(const struct rt_grammar *g, const char *text)
{
	struct rt_matcher *m;
	size_t             i = 0;

	ck_assert_int_eq(rt_matcher_new(&m, g, NULL), 0);
	while (text[i] && rt_matcher_put(m, text + i, 1))
		i++;
	if (!text[i] && rt_matcher_may_end(m))
		i = SIZE_MAX;
	rt_matcher_free(m);
	return i;
}

#define OBJECT(properties) "{\"type\":\"object\",\"properties\":{" properties "}}"

/* A schema; answers that fit; answers that do not, with '^' in front of the byte that is refused,
 * or at the end where they may not end. */
static const struct {
	const char *schema, *good[8], *bad[10];
} cases[] = {
	{ "{\"type\":\"string\"}",
	  { "\"\"", " \"a\" ", "\"\\u00e9\\n\\\"\"", "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
	  { "^1", "\"a^\n\"", "\"\\^q\"", "\"\\u12^x\"", "\"\\ud^8", "\"^\xff", "\"\xc3^\"",
	    "\"\xed^\xa0", "\"a\" ^x", "\"a^" } },
	{ "{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
	  { "\"ab\"", "\"\xc3\xa9\xc3\xa9\xc3\xa9\"", "\"\\u00e9\\\"\"" },
	  { "\"a^\"", "\"abc^d", "\"abc^\\" } },
	{ "{\"type\":\"integer\"}", { "0", "-12", "7 " }, { "0^1", "1^.0", "1^e3", "-^", "^" } },
	{ "{\"type\":\"number\"}",
	  { "0.5", "-1e-7", "3", "1.25E+10" },
	  { "^.5", "1.^", "1e^", "-^.", "0^1", "1e12^3" } },
	{ "{\"type\":\"integer\",\"minimum\":12,\"maximum\":140}",
	  { "12", "19", "99", "100", "140" },
	  { "^0", "^-", "14^1", "2^", "15^0", "11^ ", "1^" } },
	{ "{\"type\":\"integer\",\"exclusiveMinimum\":-20,\"maximum\":-3}",
	  { "-3", "-19", "-10" },
	  { "^1", "-^2", "-^0", "-1^ " } },
	{ "{\"type\":\"number\",\"minimum\":0,\"exclusiveMaximum\":1}",
	  { "0", "0.5", "0.999", "-0" },
	  { "^1", "0^e", "-0.^1", "^2" } },
	{ "{\"type\":\"number\",\"minimum\":0.25,\"maximum\":0.75}",
	  { "0.25", "0.3", "0.75", "0.7" },
	  { "^1", "0.^1", "0.2^4", "0.75^1", "0.^8", "0^ " } },
	{ "{\"enum\":[\"a\",\"ab\",1,12,null,{\"k\":[true]}]}",
	  { "\"a\"", "\"ab\"", "1", "12", "null", "{\"k\":[true]}" },
	  { "\"^b", "\"ab^c", "1^3", "nu^", "^tr" } },
	{ "{\"type\":\"number\",\"exclusiveMinimum\":0}",
	  { "0.00000000000001", "1", "0.5" },
	  { "^-", "0.0000000000000^0", "0^ " } },
	{ "{\"type\":\"number\",\"minimum\":0.0982,\"maximum\":0.0991}",
	  { "0.0982", "0.0991", "0.099" },
	  { "0.098^1", "0.09^7", "0.^1", "^1" } },
	{ "{\"type\":\"number\",\"maximum\":-0.009}", { "-0.009", "-1" }, { "^1", "-0.00^8" } },
	{ "{\"type\":\"number\",\"minimum\":8370,\"maximum\":8370}",
	  { "8370", "8370.0" },
	  { "837^1", "8370.0^1", "^-" } },
	{ "{\"type\":\"number\",\"exclusiveMinimum\":0.986}", { "0.9861" }, { "0.986^ " } },
	{ "{\"type\":\"number\",\"minimum\":123456789012345.5}", { "200000000000000" }, { "^-" } },
	{ "{\"type\":\"object\",\"required\":[\"x\"],\"additionalProperties\":{\"type\":"
	  "\"string\"}}",
	  { "{\"x\":\"\"}" },
	  { "{\"x\":^1", "{^}", "{\"^y" } },
	{ "{\"type\":\"object\",\"properties\":{\"x\":false,\"y\":{\"$ref\":\"#/$defs/d\"}},"
	  "\"$defs\":{\"d\":{\"type\":\"array\",\"items\":false}}}",
	  { "{\"y\":[]}" },
	  { "{\"^x", "{\"y\":[^1" } },
	{ "{\"properties\":{\"x\":{\"$ref\":\"#/$defs/d\",\"enum\":[\"a\",1]}},\"$defs\":{\"d\":{"
	  "\"type\":\"string\"}}}",
	  { "{\"x\":\"a\"}" },
	  { "{\"x\":^1" } },
	{ "{\"properties\":{\"next\":{\"$ref\":\"#\"}}}", { "{\"next\":{}}" }, { "^[" } },
	{ "{\"type\":\"array\",\"items\":{\"anyOf\":[" OBJECT("\"a\":{}") "," OBJECT(
		  "\"a\":{},\"b\":{}") "]}}",
	  { "[{\"a\":1},{\"a\":1},{\"a\":1},{\"a\":1},{\"a\":1},{\"a\":1},{\"a\":1,\"b\":2}]" },
	  { "[{\"^c" } },
	{ "{\"type\":\"string\",\"enum\":[\"a\",3]}", { "\"a\"" }, { "^3" } },
	{ "{\"type\":[\"boolean\",\"null\"]}", { "true", "false", "null" }, { "tru^f", "^\"" } },
	{ "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":2}",
	  { "[1]", "[ 1 , 2 ]" },
	  { "[^]", "[1,2^,", "[1,^]", "[^\"", "[1^" } },
	{ OBJECT("\"a\":{\"type\":\"integer\"},\"ab\":{\"type\":\"string\"}"),
	  { "{}", "{\"ab\":\"x\",\"a\":1}", "{ \"a\" : 1 }", "{\"a\":12}" },
	  { "{\"^b", "{\"a\":1,\"a^\"", "{\"a\":1,^}", "{\"a\":1,\"ab\":\"\"^,", "{\"a\":^\"",
	    "{\"a\":1" } },
	{ "{\"properties\":{\"a\":{}},\"required\":[\"a\",\"b\"]}",
	  { "{\"a\":{},\"b\":[1,\"x\",null]}", "{\"b\":1,\"a\":2}" },
	  { "{^}", "{\"a\":1^}", "{\"^c" } },
	{ "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}",
	  { "{}", "{\"x\":1,\"y\":2}", "{\"\xc3\xa9\":3}" },
	  { "{\"x\":1,\"x^\"", "{\"x\":^\"", "{\"^\\" } },
	{ "{\"type\":\"object\",\"additionalProperties\":false}", { "{}" }, { "{^\"" } },
	{ "{\"anyOf\":[{\"type\":\"integer\"}," OBJECT("\"a\":{\"const\":1}") "," OBJECT(
		  "\"a\":{\"const\":2},\"b\":{}") "]}",
	  { "5", "{\"a\":1}", "{\"a\":2,\"b\":0}", "{\"b\":0}" },
	  { "{\"a\":1^,\"b\"", "{\"a\":^3" } },
	{ "{\"$ref\":\"#/$defs/tree\",\"$defs\":{\"tree\":" OBJECT(
		  "\"value\":{\"type\":\"integer\"},\"left\":{\"$ref\":\"#/$defs/tree\"}") "}}",
	  { "{\"left\":{\"left\":{\"value\":1}}}" },
	  { "{\"left\":^1" } },
	{ "{\"allOf\":[{\"type\":\"boolean\"}],\"title\":\"t\"}", { "true" }, { "^1" } },
	{ "{}", { "1", "[{\"a\":[]}]", "\"x\"", "null" }, { "^x", "[1,^]" } },
	{ NULL, { "{}", "{\"a\":[1,{}]}" }, { "^[", "^1" } },
};

START_TEST(what_fits_gets_through_and_nothing_else)
	{
		struct rt_grammar *g = of_schema(cases[_i].schema);

		for (int i = 0; i < 8 && cases[_i].good[i]; i++)
			ck_assert_msg(through(g, cases[_i].good[i]) == SIZE_MAX, "%s: %s",
			              cases[_i].schema, cases[_i].good[i]);
		for (int i = 0; i < 10 && cases[_i].bad[i]; i++) {
			const char  *bad = cases[_i].bad[i];
			const size_t at = strcspn(bad, "^");
			char         text[256];

			snprintf(text, sizeof text, "%.*s%s", (int)at, bad,
			         bad[at] ? bad + at + 1 : "");
			ck_assert_msg(through(g, text) == at, "%s: %s: %zu", cases[_i].schema, bad,
			              through(g, text));
		}
		rt_grammar_free(g);
	}
END_TEST

/* ---- walks ---------------------------------------------------------------------------------- */

/* A byte that may come, by chance; such as lead to an end where it has gone on for long. */
static int step(struct rt_matcher *m, uint64_t seed, uint64_t n)
{
	static const char ends[] = "\"}],:>/truefalsn0123456789.{[_abcdefg";
	char              may[256];
	int               count = 0;

	for (size_t i = 0; n > 60 && i < sizeof ends - 1; i++)
		if (rt_matcher_may(m, ends + i, 1) &&
		    (i < 3 || rt_random_uniform(seed, 2, 64 * n + i) < 0.7))
			return (unsigned char)ends[i];
	for (int c = 0; c < 256; c++) {
		const char byte = (char)c;

		if (rt_matcher_may(m, &byte, 1))
			may[count++] = byte;
	}
	return count ? (unsigned char)may[(int)(rt_random_uniform(seed, 1, n) * count)] : -1;
}

/* An answer by chance alone, until it may end and chance has it so. */
static size_t walk(const struct rt_grammar *g, uint64_t seed, char *text, size_t size)
{
	struct rt_matcher *m;
	size_t             n = 0;

	ck_assert_int_eq(rt_matcher_new(&m, g, NULL), 0);
	for (;;) {
		static const char any[] = "/tool_call>TOOL_CALLS]}{,:\xc3\xa9|python_tag|>";
		const bool        end = rt_matcher_may_end(m);
		int               c;

		if (rt_matcher_takes_text(m))
			ck_assert(rt_matcher_may(m, any, sizeof any - 1));

		if (end && rt_random_uniform(seed, 3, n) < (n > 60 ? 0.9 : 0.3))
			break;
		c = step(m, seed, n);
		ck_assert_msg(c >= 0 || end, "nothing may follow %.*s", (int)n, text);
		if (c < 0)
			break;
		ck_assert_uint_lt(n + 1, size);
		text[n++] = (char)c;
		ck_assert(rt_matcher_put(m, text + n - 1, 1));
	}
	text[n] = '\0';
	rt_matcher_free(m);
	return n;
}

START_TEST(whatever_gets_through_fits_the_schema)
	{
		const char        *text = cases[_i].schema;
		struct rt_json    *schema = text ? parse(text) : NULL;
		struct rt_grammar *g = of_schema(text);
		static char        answer[1 << 16];

		for (uint64_t seed = 0; seed < 300; seed++) {
			const size_t    n = walk(g, seed, answer, sizeof answer);
			struct rt_json *value;
			struct rt_error err = RT_ERROR_INIT;
			char            why[200] = "";

			ck_assert_msg(rt_json_parse(answer, n, "answer", 1, &value, &err) == 0,
			              "%s: %s: %s", text, answer, err.msg);
			ck_assert_msg(!schema || rt_schema_fits(schema, value, why, sizeof why,
			                                        &err) == 1,
			              "%s: %s: %s %s", text, answer, why, err.msg);
			rt_json_free(value);
		}
		rt_json_free(schema);
		rt_grammar_free(g);
	}
END_TEST

/* ---- calls ---------------------------------------------------------------------------------- */

static const char tools[] =
	"[{\"type\":\"function\",\"function\":{\"name\":\"weather\",\"parameters\":{\"type\":"
	"\"object\",\"properties\":{\"city\":{\"type\":\"string\"},\"days\":{\"type\":\"integer\","
	"\"minimum\":1,\"maximum\":7}},\"required\":[\"city\"]}}},"
	"{\"type\":\"function\",\"function\":{\"name\":\"we\",\"parameters\":{\"type\":\"object\","
	"\"properties\":{}}}},{\"name\":\"now\"},"
	"{\"name\":\"free\",\"parameters\":{\"type\":[\"object\",\"null\"]}}]";

#define WEATHER "{\"name\":\"weather\",\"arguments\":{\"city\":\"Rome\"}}"

static const struct {
	const char *choice, *good[6], *bad[8];
} answers[] = {
	{ NULL,
	  { "", "hello <b> [x] { }", "<tool_call>" WEATHER "</tool_call>",
	    "Let me see.\n<tool_call>\n" WEATHER "\n</tool_call>\n<tool_call>{\"name\": \"now\", "
	    "\"arguments\": {}}</tool_call> done",
	    "<tool_call>{\"name\":\"we\",\"arguments\":{}}</tool_call>",
	    "<tool_call>{\"name\":\"free\",\"arguments\":{\"a\":[1]}}</tool_call>" },
	  { " ^{\"name\":\"x\"", "a [TOOL_CALLS^]", "<|python_tag|^>",
	    "<tool_call>{\"name\":\"we^t", "<tool_call>{\"name\":\"we\",\"arguments\":{^\"",
	    "<tool_call>{\"^arguments\"", "<tool_call>" WEATHER "^",
	    "<tool_call>{\"name\":\"weather\",\"arguments\":{\"city\":\"a</tool_call^>" } },
	{ "required",
	  { "<tool_call>" WEATHER "</tool_call>",
	    "\n<tool_call>" WEATHER "</tool_call>\n<tool_call>" WEATHER "</tool_call>" },
	  { "^", "^a", "<tool_call>" WEATHER "</tool_call>^a",
	    "<tool_call>" WEATHER "</tool_call><tool^" } },
	{ "now",
	  { "<tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>" },
	  { "^", "<tool_call>{\"name\":\"^w" } },
	{ "none", { "", "hello <tool_cal" }, { "<tool_call^>" } },
};

START_TEST(calls_get_through_in_text_or_alone)
	{
		struct rt_grammar *g = of_tools(tools, answers[_i].choice);

		for (int i = 0; i < 6 && answers[_i].good[i]; i++)
			ck_assert_msg(through(g, answers[_i].good[i]) == SIZE_MAX, "%s: %zu",
			              answers[_i].good[i], through(g, answers[_i].good[i]));
		for (int i = 0; i < 8 && answers[_i].bad[i]; i++) {
			const char  *bad = answers[_i].bad[i];
			const size_t at = strcspn(bad, "^");
			char         text[256];

			snprintf(text, sizeof text, "%.*s%s", (int)at, bad, bad + at + 1);
			ck_assert_msg(through(g, text) == at, "%s: %zu", bad, through(g, text));
		}
		rt_grammar_free(g);
	}
END_TEST

/* What a reader finds in an answer are calls that the tools allow, or none. */
START_TEST(no_call_that_gets_through_is_wrong)
	{
		struct rt_grammar *g = of_tools(tools, answers[_i].choice);
		struct rt_json    *list = parse(tools);
		static char        answer[1 << 16];
		size_t             seen = 0;

		for (uint64_t seed = 0; seed < 300; seed++) {
			const size_t    n = walk(g, seed, answer, sizeof answer);
			struct rt_text  content = RT_TEXT_INIT;
			struct rt_json *calls;
			struct rt_error err = RT_ERROR_INIT;

			ck_assert_msg(rt_chat_calls(answer, n, &calls, &content, &err) == 0,
			              "%s: %s", answer, err.msg);
			for (size_t i = 0; i < rt_json_length(calls); i++) {
				const struct rt_json *f =
					rt_json_get(rt_json_at(calls, i), "function");
				const char *name = rt_json_string(rt_json_get(f, "name"));
				int         fits = -1;

				for (size_t k = 0; k < rt_json_length(list); k++) {
					const struct rt_json *t = rt_json_at(list, k), *p;

					if (rt_json_get(t, "function"))
						t = rt_json_get(t, "function");
					p = rt_json_get(t, "parameters");
					if (strcmp(rt_json_string(rt_json_get(t, "name")), name) ==
					    0)
						fits = !p || rt_schema_fits(
								     p, rt_json_get(f, "arguments"),
								     NULL, 0, NULL);
				}
				ck_assert_msg(fits == 1, "%s", answer);
			}
			seen += rt_json_length(calls);
			rt_json_free(calls);
			rt_text_free(&content);
		}
		if (answers[_i].choice && strcmp(answers[_i].choice, "none") != 0)
			ck_assert_uint_ge(seen, 300);
		rt_json_free(list);
		rt_grammar_free(g);
	}
END_TEST

/* ---- refusals ------------------------------------------------------------------------------- */

static const struct {
	const char *tools, *choice, *says;
} refused[] = {
	{ "[]", NULL, "there are no tools to call" },
	{ "[{\"name\":\"a\"}]", "b", "there is no tool 'b' to choose" },
	{ "[{\"name\":\"a\"},{\"name\":\"a\"}]", NULL, "there are two tools 'a'" },
	{ "[{\"parameters\":{}}]", NULL, "a tool has no name" },
	{ "[{\"name\":\"a\",\"parameters\":{\"type\":\"string\"}}]", NULL,
	  "tool 'a', parameters: they must be of type object" },
	{ "[{\"name\":\"a\",\"parameters\":" OBJECT(
		  "\"x\":{\"type\":\"integer\",\"multipleOf\":5}") "}]",
	  NULL,
	  "tool 'a', parameters: x: 'multipleOf' cannot be kept to while an answer is written" },
	{ "[{\"name\":\"a\",\"parameters\":" OBJECT("\"x\":{\"items\":{\"pattern\":\"a\"}}") "}]",
	  NULL, "tool 'a', parameters: x: the schema keyword 'pattern' is not supported" },
	{ "[{\"name\":\"a\",\"parameters\":" OBJECT(
		  "\"x\":{\"type\":\"array\",\"items\":{\"not\":{}}}") "}]",
	  NULL,
	  "tool 'a', parameters: x: items: 'not' cannot be kept to while an answer is written" },
	{ "[{\"name\":\"a\",\"parameters\":{\"type\":\"object\",\"anyOf\":[{}]}}]", NULL,
	  "tool 'a', parameters: 'anyOf' beside 'type' cannot be kept to while an answer is "
	  "written" },
	{ "[{\"name\":\"a\",\"parameters\":{\"required\":[\"x\"],\"additionalProperties\":false}}]",
	  NULL, "tool 'a', parameters: 'x' is required, and not allowed" },
	{ "[{\"name\":\"a\",\"parameters\":{\"additionalProperties\":{\"pattern\":\"a\"}}}]", NULL,
	  "tool 'a', parameters: the schema keyword 'pattern' is not supported" },
	{ "[{\"name\":\"a\",\"parameters\":{\"$ref\":\"#/default\",\"default\":{\"pattern\":1}}}]",
	  NULL, "tool 'a', parameters: the schema keyword 'pattern' is not supported" },
	{ "[{\"name\":\"a\",\"parameters\":" OBJECT("\"x\":{\"exclusiveMinimum\":true}") "}]", NULL,
	  "tool 'a', parameters: x: the schema keyword 'exclusiveMinimum' cannot be true or "
	  "false" },
	{ "[{\"name\":\"a\",\"parameters\":" OBJECT("\"x\":{\"maxLength\":\"2\"}") "}]", NULL,
	  "tool 'a', parameters: x: the schema keyword 'maxLength' cannot be a string" },
	{ "[{\"name\":\"a\",\"parameters\":" OBJECT("\"x\":{\"type\":[\"string\",\"foo\"]}") "}]",
	  NULL, "tool 'a', parameters: x: the schema has an unknown type 'foo'" },
	{ "[{\"name\":\"a\",\"parameters\":{\"required\":[1]}}]", NULL,
	  "tool 'a', parameters: the schema keyword 'required' cannot be a list of anything but "
	  "names" },
	{ "[{\"name\":\"a\",\"parameters\":" OBJECT("\"x\":{\"minItems\":-1}") "}]", NULL,
	  "tool 'a', parameters: x: the schema keyword 'minItems' is -1, want a whole number "
	  "from 0 on" },
	{ "[{\"name\":\"a\",\"parameters\":" OBJECT("\"x\":{\"maxLength\":2.5}") "}]", NULL,
	  "tool 'a', parameters: x: the schema keyword 'maxLength' is 2.5, want a whole number "
	  "from 0 on" },
	{ "[{\"name\":\"a\",\"parameters\":" OBJECT("\"x\":{\"minItems\":2,\"maxItems\":1}") "}]",
	  NULL, "tool 'a', parameters: x: minItems is 2, maxItems is 1" },
	{ "[{\"name\":\"a\",\"parameters\":{\"required\":[\"x\"],\"properties\":{\"x\":{\"$ref\":"
	  "\"#\"}}}}]",
	  NULL, "tool 'a', parameters: a value has to nest deeper than 32" },
	{ "[{\"name\":\"a\",\"parameters\":{\"$ref\":\"#\"}}]", NULL,
	  "tool 'a', parameters: a schema refers to nothing but itself" },
	{ "[{\"name\":\"a\",\"parameters\":" OBJECT("\"x\":{\"minimum\":3,\"maximum\":2}") "}]",
	  NULL, "tool 'a', parameters: x: no number of 15 digits is within its limits" },
	{ "[{\"name\":\"a\",\"parameters\":" OBJECT(
		  "\"x\":{\"type\":\"string\",\"enum\":[1]}") "}]",
	  NULL, "tool 'a', parameters: x: no value is allowed" },
	{ "[{\"name\":\"a\",\"parameters\":" OBJECT("\"x\":{\"enum\":[\"</tool_call>\"]}") "}]",
	  NULL, "tool 'a', parameters: x: \"</tool_call>\" has a mark of tool calls in it" },
};

START_TEST(what_cannot_be_kept_to_is_refused)
	{
		struct rt_json    *list = parse(refused[_i].tools);
		struct rt_grammar *g;
		struct rt_error    err = RT_ERROR_INIT;

		ck_assert_int_lt(rt_grammar_calls(&g, list, refused[_i].choice, &err), 0);
		ck_assert_str_eq(err.msg, refused[_i].says);
		rt_json_free(list);
	}
END_TEST

static struct rt_json *schema_at_hand, *tools_at_hand;

static int live(struct rt_error *err)
{
	struct rt_grammar *a = NULL, *b = NULL;
	struct rt_matcher *m = NULL;
	int                r = rt_grammar_json(&a, schema_at_hand, err);

	if (r == 0)
		r = rt_grammar_calls(&b, tools_at_hand, NULL, err);
	if (r == 0)
		r = rt_matcher_new(&m, b, err);
	rt_matcher_free(m);
	rt_grammar_free(a);
	rt_grammar_free(b);
	return r;
}

START_TEST(any_allocation_may_fail)
	{
		schema_at_hand = parse(cases[0].schema);
		tools_at_hand = parse(tools);
		ck_assert_int_gt(torture("alloc", live, RT_E_NOMEM), 5);
		rt_json_free(schema_at_hand);
		rt_json_free(tools_at_hand);
	}
END_TEST

/* A choice that doubles at every step would have 2^20 forms. */
START_TEST(a_schema_that_doubles_is_no_burden)
	{
		struct rt_text     t = RT_TEXT_INIT;
		struct rt_grammar *g;

		rt_text_add(&t, "{\"$ref\":\"#/$defs/0\",\"$defs\":{");
		for (int i = 0; i < 20; i++)
			rt_text_printf(&t,
			               "\"%d\":{\"anyOf\":[{\"$ref\":\"#/$defs/%d\"},{\"$ref\":"
			               "\"#/$defs/%d\"},{\"const\":%d}]},",
			               i, i + 1, i + 1, i);
		rt_text_add(&t, "\"20\":{\"const\":20}}}");
		g = of_schema(t.data);
		ck_assert_uint_eq(through(g, "0"), SIZE_MAX);
		rt_grammar_free(g);
		rt_text_free(&t);
	}
END_TEST

START_TEST(depth_has_its_limit)
	{
		struct rt_grammar *g = of_schema("{}");
		char               text[80];

		memset(text, '[', sizeof text - 1);
		text[sizeof text - 1] = '\0';
		ck_assert_uint_eq(through(g, text), 33);
		rt_grammar_free(g);
	}
END_TEST

/* ---- tokens --------------------------------------------------------------------------------- */

static const char *const tokenizers[] = { "tok-qwen2.5", "tok-llama3-style", "gpt2" };

/* The bytes of tokens, one after the other, are the text, where rt_tokenizer_decode() gives it. */
START_TEST(bytes_of_tokens_are_the_text)
	{
		static const char text[] =
			"Caf\xc3\xa9 {\"a\": 12} \xf0\x9f\x98\x80\xe6\xbc\xa2 x  y\n";
		const char          *root = getenv("RETORT_GOLDEN");
		char                 path[4096];
		struct rt_tokenizer *t;
		struct rt_decoder   *d;
		struct rt_ids        ids = RT_IDS_INIT;
		struct rt_text       bytes = RT_TEXT_INIT;
		struct rt_error      err = RT_ERROR_INIT;

		snprintf(path, sizeof path, "%s/%s", root && *root ? root : GOLDEN_DIR,
		         tokenizers[_i]);
		ck_assert_msg(rt_tokenizer_open(&t, path, &err) == 0, "%s", err.msg);
		ck_assert_int_eq(rt_decoder_new(&d, t, 0, NULL), 0);
		ck_assert_int_eq(rt_tokenizer_encode(t, text, sizeof text - 1, 0, &ids, NULL), 0);
		for (size_t i = 0; i < ids.len; i++)
			ck_assert_int_eq(tok_bytes(d, ids.data[i], &bytes, NULL), 0);
		ck_assert_str_eq(bytes.data, text);
		rt_text_free(&bytes);
		rt_ids_free(&ids);
		rt_decoder_free(d);
		rt_tokenizer_free(t);
	}
END_TEST

RUNNER("grammar", 120, {
	TABLE_TEST(tc, what_fits_gets_through_and_nothing_else, cases);
	TABLE_TEST(tc, whatever_gets_through_fits_the_schema, cases);
	TABLE_TEST(tc, calls_get_through_in_text_or_alone, answers);
	TABLE_TEST(tc, no_call_that_gets_through_is_wrong, answers);
	TABLE_TEST(tc, what_cannot_be_kept_to_is_refused, refused);
	tcase_add_test(tc, any_allocation_may_fail);
	tcase_add_test(tc, a_schema_that_doubles_is_no_burden);
	tcase_add_test(tc, depth_has_its_limit);
	TABLE_TEST(tc, bytes_of_tokens_are_the_text, tokenizers);
})
