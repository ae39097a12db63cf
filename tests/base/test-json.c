/* test-json.c - JSON: strict reading, exact messages, exact writing. */
#include <retort/json.h>
#include <retort/memory.h>

#include "runner.h"
#include "temp.h"
#include "torture.h"

#include <math.h>
#include <string.h>

static struct rt_json *parse(const char *text)
{
	struct rt_error err = RT_ERROR_INIT;
	struct rt_json *j = NULL;

	ck_assert_msg(rt_json_parse(text, strlen(text), "t", 1, &j, &err) == 0, "%s: %s", text,
	              err.msg);
	return j;
}

static const struct {
	const char *text;
	size_t      n;
	const char *want;
} wrong[] = {
#define WRONG(text, want)                                                                          \
	{                                                                                          \
		text, sizeof(text) - 1, want                                                       \
	}
	WRONG("", "t:5:1: unexpected token near end of file"),
	WRONG("{\"a\": 1,\n \"a\": 2}", "t:6:4: duplicate object key near '\"a\"'"),
	WRONG("{\"a\": 1,\n }", "t:6:2: string or '}' expected near '}'"),
	WRONG("[1, 2", "t:5:5: ']' expected near end of file"),
	WRONG("{} x", "t:5:4: end of file expected near 'x'"),
	WRONG("{}{}", "t:5:3: end of file expected near '{'"),
	WRONG("nul", "t:5:3: invalid token near 'nul'"),
	WRONG("[\n\n[01]]", "t:7:2: invalid token near '0'"),
	WRONG("9223372036854775808", "t:5:19: too big integer near '9223372036854775808'"),
	WRONG("-9223372036854775809",
	      "t:5:20: too big negative integer near '-9223372036854775809'"),
	WRONG("[1e999]", "t:5:6: real number overflow near '1e999'"),
	WRONG("NaN", "t:5:3: invalid token near 'NaN'"),
	WRONG("\"\xff\"", "t:5:1: unable to decode byte 0xff near '\"'"),
	WRONG("\"\xc3", "t:5:1: unable to decode byte 0xc3 near '\"'"),
	WRONG("\"\\ud800\"", "t:5:8: invalid Unicode '\\uD800' near '\"\\ud800\"'"),
	WRONG("\"a\nb\"", "t:5:2: unexpected newline near '\"a'"),
	WRONG("\"a\0b\"", "t:5:2: control character 0x0 near '\"a'"),
	WRONG("{\"a\\u0000\": 1}",
	      "t:5:10: NUL byte in object key not supported near '\"a\\u0000\"'"),
#undef WRONG
};

START_TEST(each_mistake_has_its_line_column_and_sentence)
	{
		struct rt_error err = RT_ERROR_INIT;
		struct rt_json *j = NULL;

		ck_assert_int_eq(rt_json_parse(wrong[_i].text, wrong[_i].n, "t", 5, &j, &err),
		                 RT_E_FORMAT);
		ck_assert_str_eq(err.msg, wrong[_i].want);
		ck_assert_ptr_null(j);
	}
END_TEST

START_TEST(depth_512_is_read_and_513_is_not)
	{
		struct rt_error err = RT_ERROR_INIT;
		struct rt_json *j = NULL;
		char            text[2000];

		memset(text, '[', 512);
		memset(text + 512, ']', 512);
		ck_assert_int_eq(rt_json_parse(text, 1024, "t", 1, &j, &err), 0);
		rt_json_free(j);
		memset(text, '[', 600);
		text[1] = '\n';
		ck_assert_int_eq(rt_json_parse(text, 600, "t", 3, &j, &err), RT_E_FORMAT);
		ck_assert_str_eq(err.msg, "t:4:512: nested deeper than 512");
		memset(text, '[', sizeof text);
		text[0] = text[1999] = '"';
		text[10] = '\\';
		text[11] = '"';
		ck_assert_int_eq(rt_json_parse(text, sizeof text, "t", 1, &j, &err), 0);
		rt_json_free(j);
	}
END_TEST

/* Text in, text out: compact, the same when NULL. */
static const struct {
	const char *in, *out;
} same[] = {
	{ "null", NULL },
	{ "[true,false,null]", NULL },
	{ "{\"b\":1,\"a\":[],\"c\":{}}", NULL },
	{ "9223372036854775807", NULL },
	{ "-9223372036854775808", NULL },
	{ "0.1", NULL },
	{ "-0.0", NULL },
	{ "1.0", NULL },
	{ "1e0", "1.0" },
	{ "123456789012345680.0", "1.2345678901234568e+17" },
	{ "1000000000000000.0", NULL },
	{ "1e16", "1e+16" },
	{ "0.0001", NULL },
	{ "0.00012345", NULL },
	{ "0.00001", "1e-05" },
	{ "1.5e-7", "1.5e-07" },
	{ "5e-324", NULL },
	{ "1.7976931348623157e+308", NULL },
	{ "0.30000000000000004", NULL },
	{ "100.25", NULL },
	{ "3.141592653589793", NULL },
	{ "\"\\u0000\\u001f\\b\\f\\n\\r\\t\\\"\\\\/\x7f\"", NULL },
	{ "\"\xc3\xa9\xf0\x9f\x98\x80\"", NULL },
	{ "\"\\u00e9\\ud83d\\ude00\"", "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
	{ " [ 1 , 2 ] ", "[1,2]" },
};

START_TEST(what_is_read_is_written_the_same)
	{
		struct rt_text  t = RT_TEXT_INIT;
		struct rt_json *j = parse(same[_i].in);

		rt_json_print(j, 0, &t);
		ck_assert_str_eq(t.data, same[_i].out ? same[_i].out : same[_i].in);
		rt_text_free(&t);
		rt_json_free(j);
	}
END_TEST

static const struct {
	unsigned    flags;
	const char *want;
} layouts[] = {
	{ 0, "{\"b\":[1,2.5],\"a\":{\"\xc3\xa9\xf0\x9f\x98\x80\":\"\"},\"e\":[],\"o\":{}}" },
	{ RT_JSON_SPACED,
	  "{\"b\": [1, 2.5], \"a\": {\"\xc3\xa9\xf0\x9f\x98\x80\": \"\"}, \"e\": [], \"o\": {}}" },
	{ RT_JSON_SORT,
	  "{\"a\":{\"\xc3\xa9\xf0\x9f\x98\x80\":\"\"},\"b\":[1,2.5],\"e\":[],\"o\":{}}" },
	{ RT_JSON_ASCII,
	  "{\"b\":[1,2.5],\"a\":{\"\\u00e9\\ud83d\\ude00\":\"\"},\"e\":[],\"o\":{}}" },
	{ RT_JSON_INDENT | RT_JSON_SORT, "{\n  \"a\": {\n    \"\xc3\xa9\xf0\x9f\x98\x80\": \"\"\n  "
	                                 "},\n  \"b\": [\n    1,\n    2.5\n  ],\n"
	                                 "  \"e\": [],\n  \"o\": {}\n}" },
};

START_TEST(each_layout_is_exact)
	{
		struct rt_text  t = RT_TEXT_INIT;
		struct rt_json *j = parse(layouts[0].want);

		rt_json_print(j, layouts[_i].flags, &t);
		ck_assert_str_eq(t.data, layouts[_i].want);
		rt_text_free(&t);
		rt_json_free(j);
	}
END_TEST

START_TEST(every_double_reads_back_the_same)
	{
		struct rt_text t = RT_TEXT_INIT;

		for (uint64_t i = 0; i < 20000; i++) {
			uint64_t        bits = i * 0x9e3779b97f4a7c15u;
			struct rt_json *j, *again;
			double          d;

			memcpy(&d, &bits, sizeof d);
			if (!isfinite(d))
				continue;
			j = rt_json_new_real(d);
			rt_text_clear(&t);
			rt_json_print(j, 0, &t);
			again = parse(t.data);
			ck_assert(rt_json_is(again, RT_JSON_REAL));
			ck_assert_msg(rt_json_real(again, 0) == d, "%a: %s", d, t.data);
			rt_json_free(j);
			rt_json_free(again);
		}
		rt_text_free(&t);
	}
END_TEST

START_TEST(null_is_fine_everywhere)
	{
		ck_assert_int_eq(rt_json_type(NULL), RT_JSON_NULL);
		ck_assert_str_eq(rt_json_type_name(NULL), "null");
		ck_assert(!rt_json_is(NULL, RT_JSON_NULL));
		ck_assert(rt_json_bool(NULL, true));
		ck_assert_int_eq(rt_json_int(NULL, 7), 7);
		ck_assert(rt_json_real(NULL, 7.5) == 7.5);
		ck_assert_ptr_null(rt_json_string(NULL));
		ck_assert_uint_eq(rt_json_length(NULL), 0);
		ck_assert_ptr_null(rt_json_get(NULL, "a"));
		ck_assert_ptr_null(rt_json_at(NULL, 0));
		ck_assert_ptr_null(rt_json_first(NULL).key);
		ck_assert_ptr_null(rt_json_ref(NULL));
		ck_assert_ptr_null(rt_json_copy(NULL));
		rt_json_free(NULL);
	}
END_TEST

START_TEST(values_are_what_they_are_and_nothing_else)
	{
		struct rt_json *j =
			parse("{\"b\":true,\"i\":3,\"r\":2.5,\"s\":\"a\\u0000b\",\"a\":[1,2]}");
		const char *keys = "birsa";
		int         n = 0;

		ck_assert_int_eq(rt_json_int(rt_json_get(j, "r"), -1), -1);
		ck_assert(rt_json_real(rt_json_get(j, "i"), -1) == 3);
		ck_assert(rt_json_real(rt_json_get(j, "s"), -1) == -1);
		ck_assert_uint_eq(rt_json_length(rt_json_get(j, "s")), 3);
		ck_assert_mem_eq(rt_json_string(rt_json_get(j, "s")), "a\0b", 4);
		ck_assert_int_eq(rt_json_int(rt_json_at(rt_json_get(j, "a"), 1), 0), 2);
		ck_assert_ptr_null(rt_json_at(rt_json_get(j, "a"), 2));
		ck_assert_ptr_null(rt_json_get(j, "none"));
		ck_assert_ptr_null(rt_json_get(rt_json_get(j, "a"), "b"));
		for (struct rt_json_iter i = rt_json_first(j); i.key; rt_json_next(&i))
			ck_assert_int_eq(i.key[0], keys[n++]);
		ck_assert_int_eq(n, 5);
		ck_assert_str_eq(rt_json_type_name(j), "an object");
		rt_json_free(j);
	}
END_TEST

START_TEST(containers_take_over_what_is_put_in_them)
	{
		struct rt_json *o = rt_json_new_object(), *a = rt_json_new_array(), *copy;
		struct rt_text  t = RT_TEXT_INIT;
		int             r = 0;

		r |= rt_json_append(a, rt_json_new_int(1));
		r |= rt_json_append(a, rt_json_new_real(NAN));
		r |= rt_json_replace(a, 0, rt_json_new_string(NULL));
		r |= rt_json_set(o, "a", a);
		r |= rt_json_set(o, "s", rt_json_new_string_n("xyz", 2));
		r |= rt_json_set(o, "gone", rt_json_new_bool(true));
		r |= rt_json_remove(o, "gone");
		r |= rt_json_remove(o, "gone");
		ck_assert_int_eq(r, 0);
		ck_assert_int_eq(rt_json_replace(a, 2, rt_json_new_int(1)), RT_E_RANGE);
		ck_assert_int_eq(rt_json_set(o, "nothing", NULL), RT_E_NOMEM);
		ck_assert_ptr_null(rt_json_new_string("\xff"));
		copy = rt_json_copy(o);
		ck_assert(rt_json_equal(o, copy));
		rt_json_append(a, rt_json_new_null());
		ck_assert(!rt_json_equal(o, copy));
		rt_json_print(copy, 0, &t);
		ck_assert_str_eq(t.data, "{\"a\":[null,null],\"s\":\"xy\"}");
		rt_text_free(&t);
		rt_json_free(copy);
		rt_json_free(o);
	}
END_TEST

static int all_of_it(struct rt_error *err)
{
	static const char text[] =
		"{\"a\":[1,2.5,\"a string that is longer than the first buffer\",{\"b\":null,"
		"\"c\":[true,[],{}]}],\"d\":1,\"e\":2,\"f\":3,\"g\":4,\"h\":5,\"i\":6,\"j\":7,"
		"\"k\":8,\"l\":9,\"m\":[1,2,3,4,5,6,7,8,9,10]}";
	struct rt_json *j = NULL, *copy;
	struct rt_text  t = RT_TEXT_INIT;
	int             r = rt_json_parse(text, sizeof text - 1, "t", 1, &j, err);

	if (r < 0)
		return r;
	copy = rt_json_copy(j);
	if (copy)
		rt_json_print(copy, RT_JSON_SORT, &t);
	if (copy && rt_json_append(rt_json_get(copy, "m"), rt_json_new_string("new")) < 0)
		r = rt_fail_nomem(err, "an item");
	if (!copy || t.failed)
		r = rt_fail_nomem(err, "a copy");
	rt_text_free(&t);
	rt_json_free(copy);
	rt_json_free(j);
	return r;
}

START_TEST(any_allocation_may_fail)
	{
		ck_assert_int_ge(torture("alloc", all_of_it, RT_E_NOMEM), 50);
	}
END_TEST

START_TEST(a_file_is_read_and_written_whole)
	{
		const char     *path = temp_path("a.json");
		struct rt_error err = RT_ERROR_INIT;
		struct rt_text  t = RT_TEXT_INIT;
		struct rt_json *j = parse("{\"b\": 1, \"a\": 2}"), *again = NULL;

		ck_assert_int_eq(rt_json_write(j, RT_JSON_SORT | RT_JSON_SPACED, path, &err), 0);
		ck_assert_int_eq(rt_file_read(path, 0, &t, &err), 0);
		ck_assert_str_eq(t.data, "{\"a\": 2, \"b\": 1}\n");
		ck_assert_int_eq(rt_json_read(path, 0, &again, &err), 0);
		ck_assert(rt_json_equal(j, again));
		ck_assert_int_eq(rt_json_read(path, 5, &again, &err), RT_E_RANGE);
		ck_assert_str_eq(temp_strip(err.msg), "a.json has 17 bytes, at most 5 are read");
		temp_write("a.json", "{\n\n\"a\"", 6);
		ck_assert_int_eq(rt_json_read(path, 0, &again, &err), RT_E_FORMAT);
		ck_assert_str_eq(temp_strip(err.msg), "a.json:3:3: ':' expected near end of file");
		rt_json_free(j);
		rt_json_free(again);
		rt_text_free(&t);
	}
END_TEST

RUNNER("json", 60, {
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	TABLE_TEST(tc, each_mistake_has_its_line_column_and_sentence, wrong);
	tcase_add_test(tc, depth_512_is_read_and_513_is_not);
	TABLE_TEST(tc, what_is_read_is_written_the_same, same);
	TABLE_TEST(tc, each_layout_is_exact, layouts);
	tcase_add_test(tc, every_double_reads_back_the_same);
	tcase_add_test(tc, null_is_fine_everywhere);
	tcase_add_test(tc, values_are_what_they_are_and_nothing_else);
	tcase_add_test(tc, containers_take_over_what_is_put_in_them);
	tcase_add_test(tc, any_allocation_may_fail);
	tcase_add_test(tc, a_file_is_read_and_written_whole);
})
