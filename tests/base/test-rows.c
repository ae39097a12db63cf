/* test-rows.c - JSON Lines: what is read, what is refused, and with which words. */
#include <retort/file.h>
#include <retort/memory.h>
#include <retort/rows.h>

#include "runner.h"
#include "temp.h"
#include "torture.h"

/* Everything in a file: rows as they are, errors in <>, each with its line. */
static void read_all(const char *path, int64_t limit, struct rt_text *out)
{
	struct rt_rows *r = NULL;
	int             code;

	ck_assert_int_eq(rt_rows_open(&r, path, limit, NULL), 0);
	for (;;) {
		struct rt_json *row = NULL;
		struct rt_error err = RT_ERROR_INIT;

		code = rt_rows_next(r, &row, &err);
		if (code == 0)
			break;
		if (code == 1) {
			rt_text_printf(out, "%d", (int)rt_rows_line(r));
			rt_json_print(row, 0, out);
		} else {
			rt_text_printf(out, "<%s>", temp_strip(err.msg));
		}
		rt_json_free(row);
	}
	ck_assert_int_eq(rt_rows_bytes(r), rt_rows_size(r));
	ck_assert_int_eq(rt_rows_next(r, NULL, NULL), 0);
	rt_rows_close(r);
}

static const struct {
	const char *in;
	size_t      n;
	const char *want;
} files[] = {
#define FILE_(in, want)                                                                            \
	{                                                                                          \
		in, sizeof(in) - 1, want                                                           \
	}
	FILE_("", ""),
	FILE_("\n\n \t\r\n", ""),
	FILE_("{}\n{\"a\":1}\n", "1{}2{\"a\":1}"),
	FILE_("{}", "1{}"),
	FILE_("\xef\xbb\xbf{}\r\n{}\r\n", "1{}2{}"),
	FILE_("\xef\xbb\xbf", ""),
	FILE_("{}\n\n{}", "1{}3{}"),
	FILE_("{}\n\xef\xbb\xbf{}\n{}", "1{}<r:2:1: invalid token near '\xef\xbb\xbf'>3{}"),
	FILE_("{}\n{\"a\": \n{}\n", "1{}<r:2:6: unexpected token near end of file>3{}"),
	FILE_("{}\n{\"a\": [1, ", "1{}<r:2:10: ']' expected near end of file; the file ends inside "
	                          "this line, it may be cut short>"),
	FILE_("[1]\n3\nnull\n", "<r is a list; rows are JSON Lines, an object a line, as `jq -c "
	                        ".[]` writes them><r:2: a row is an object, this is an "
	                        "integer><r:3: a row is an object, this is null>"),
	FILE_("{\"a\":\"\xff\"}\n{}\n", "<r:1:6: unable to decode byte 0xff near '\"'>2{}"),
	FILE_("{\"a\":\"\0\"}\n{}\n", "<r:1:6: control character 0x0 near '\"'>2{}"),
	FILE_("\0\n{}\n", "<r:1:1: invalid token near end of file>2{}"),
	FILE_("{\"id\":1,\"id\":2}\n", "<r:1:12: duplicate object key near '\"id\"'>"),
	FILE_("{} {}\n", "<r:1:4: end of file expected near '{'>"),
	FILE_("{\"0123456789\": \"01234567890123456789\"}\n{}",
	      "<r:1: a line of 38 bytes, at most 32 are read>2{}"),
	FILE_("{\"0123456789\": \"01234567890123\"}\n", "1{\"0123456789\":\"01234567890123\"}"),
	FILE_("{\"0123456789\": \"01234567890123456789\"}",
	      "<r:1: a line of 38 bytes, at most 32 are read>"),
#undef FILE_
};

START_TEST(each_file_is_read_or_refused_exactly)
	{
		struct rt_text t = RT_TEXT_INIT;

		read_all(temp_write("r", files[_i].in, files[_i].n), 32, &t);
		ck_assert_str_eq(t.data, files[_i].want);
		rt_text_free(&t);
	}
END_TEST

/* A line of n bytes: {"a":"xxx..."} */
static char *line_of(size_t n)
{
	char *s = rt_alloc(n + 2, 1);

	memset(s, 'x', n);
	memcpy(s, "{\"a\":\"", 6);
	memcpy(s + n - 2, "\"}\n", 3);
	return s;
}

static const size_t lengths[] = { 100,    262143,       262144,          262145,
	                          524288, RT_ROW_LIMIT, RT_ROW_LIMIT + 1 };

START_TEST(a_line_of_any_length_up_to_the_bound)
	{
		const size_t    n = lengths[_i];
		struct rt_error err = RT_ERROR_INIT;
		struct rt_rows *r = NULL;
		struct rt_json *row = NULL;
		char           *s = line_of(n);
		FILE           *f = fopen(temp_path("r"), "wb");

		for (int i = 0; i < 3; i++)
			ck_assert_uint_eq(fwrite(s, 1, n + 1, f), n + 1);
		fclose(f);
		rt_free(s);
		ck_assert_int_eq(rt_rows_open(&r, temp_path("r"), 0, NULL), 0);
		for (int i = 1; i <= 3; i++) {
			if (n > RT_ROW_LIMIT) {
				ck_assert_int_eq(rt_rows_next(r, &row, &err), RT_E_RANGE);
				ck_assert_ptr_nonnull(strstr(
					err.msg,
					": a line of 16777217 bytes, at most 16777216 are read"));
				continue;
			}
			ck_assert_int_eq(rt_rows_next(r, &row, &err), 1);
			ck_assert_int_eq(rt_rows_line(r), i);
			ck_assert_uint_eq(rt_json_length(rt_json_get(row, "a")), n - 8);
			rt_json_free(row);
		}
		ck_assert_int_eq(rt_rows_next(r, &row, &err), 0);
		rt_rows_close(r);
	}
END_TEST

START_TEST(a_file_that_is_not_there_is_named)
	{
		struct rt_error err = RT_ERROR_INIT;
		struct rt_rows *r = NULL;

		ck_assert_int_eq(rt_rows_open(&r, temp_path("none"), 0, &err), RT_E_NOENT);
		ck_assert_str_eq(temp_strip(err.msg),
		                 "cannot open none: No such file or directory");
		ck_assert_int_eq(rt_rows_open(&r, temp_folder, 0, &err), RT_E_INVAL);
		ck_assert_ptr_null(r);
		rt_rows_close(NULL);
	}
END_TEST

static struct rt_json *object(void)
{
	struct rt_json *o = rt_json_new_object();

	rt_json_set(o, "id", rt_json_new_string("a\nb"));
	return o;
}

START_TEST(what_is_written_is_read_back)
	{
		struct rt_rows_out *w = NULL;
		struct rt_text      t = RT_TEXT_INIT;
		struct rt_json     *row = object();

		ck_assert_int_eq(rt_rows_create(&w, temp_path("r"), NULL), 0);
		for (int i = 0; i < 3; i++)
			ck_assert_int_eq(rt_rows_put(w, row, NULL), 0);
		ck_assert_int_eq(rt_rows_count(w), 3);
		ck_assert(!rt_exists(temp_path("r")));
		ck_assert_int_eq(rt_rows_finish(w, NULL), 0);
		read_all(temp_path("r"), 0, &t);
		ck_assert_str_eq(t.data,
		                 "1{\"id\":\"a\\nb\"}2{\"id\":\"a\\nb\"}3{\"id\":\"a\\nb\"}");
		ck_assert_int_eq(rt_rows_create(&w, temp_path("s"), NULL), 0);
		rt_rows_discard(w);
		rt_rows_discard(NULL);
		ck_assert(!rt_exists(temp_path("s")));
		rt_text_free(&t);
		rt_json_free(row);
	}
END_TEST

START_TEST(a_row_that_could_not_be_read_is_not_written)
	{
		struct rt_error     err = RT_ERROR_INIT;
		struct rt_rows_out *w = NULL;
		struct rt_json     *row = rt_json_new_array(), *big = rt_json_new_object();
		char               *s = rt_alloc(RT_ROW_LIMIT, 1);

		memset(s, 'x', RT_ROW_LIMIT - 7);
		rt_json_set(big, "a", rt_json_new_string(s));
		ck_assert_int_eq(rt_rows_create(&w, temp_path("r"), NULL), 0);
		ck_assert_int_eq(rt_rows_put(w, row, &err), RT_E_INVAL);
		ck_assert_str_eq(err.msg, "row 1: a row is an object, this is an array");
		ck_assert_int_eq(rt_rows_put(w, big, &err), RT_E_RANGE);
		ck_assert_str_eq(err.msg,
		                 "row 1 has 16777217 bytes, a line holds at most 16777216");
		ck_assert_int_eq(rt_rows_count(w), 0);
		rt_rows_discard(w);
		rt_json_free(big);
		rt_json_free(row);
		rt_free(s);
	}
END_TEST

static int write_two(struct rt_error *err)
{
	struct rt_rows_out *w = NULL;
	struct rt_json     *row = object();
	int                 r = rt_json_get(row, "id") ? 0 : rt_fail_nomem(err, "a row");

	if (r == 0)
		r = rt_rows_create(&w, temp_path("r"), err);
	for (int i = 0; r == 0 && i < 2; i++)
		r = rt_rows_put(w, row, err);
	rt_json_free(row);
	if (r == 0)
		return rt_rows_finish(w, err);
	rt_rows_discard(w);
	return r;
}

static int read_two(struct rt_error *err)
{
	struct rt_rows *r = NULL;
	int             code = rt_rows_open(&r, temp_path("r"), 0, err);

	while (code >= 0) {
		struct rt_json *row = NULL;

		code = rt_rows_next(r, &row, err);
		if (code == 0)
			break;
		rt_json_free(row);
	}
	rt_rows_close(r);
	return code;
}

START_TEST(any_allocation_and_any_write_may_fail)
	{
		char *s = line_of(300000);

		ck_assert_int_ge(torture("alloc", write_two, RT_E_NOMEM), 5);
		ck_assert_int_ge(torture("full", write_two, RT_E_IO), 4);
		temp_write("r", s, 300001);
		rt_free(s);
		ck_assert_int_ge(torture("alloc", read_two, RT_E_NOMEM), 4);
	}
END_TEST

RUNNER("rows", 120, {
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	TABLE_TEST(tc, each_file_is_read_or_refused_exactly, files);
	TABLE_TEST(tc, a_line_of_any_length_up_to_the_bound, lengths);
	tcase_add_test(tc, a_file_that_is_not_there_is_named);
	tcase_add_test(tc, what_is_written_is_read_back);
	tcase_add_test(tc, a_row_that_could_not_be_read_is_not_written);
	tcase_add_test(tc, any_allocation_and_any_write_may_fail);
})
