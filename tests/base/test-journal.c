/* test-journal.c - what was added is there again, whatever happened in between. */
#include <retort/file.h>
#include <retort/memory.h>

#include "runner.h"
#include "temp.h"
#include "torture.h"

#include <pthread.h>
#include <unistd.h>

static int note(void *arg, const char *record, size_t n, struct rt_error *err)
{
	if (n == 4 && memcmp(record, "stop", 4) == 0)
		return rt_fail(err, RT_E_FORMAT, "a record that nobody wants");
	rt_text_add_n(arg, record, n);
	rt_text_add_char(arg, '|');
	return 0;
}

static const char *path(void)
{
	return temp_path("j");
}

static struct rt_journal *open_noting(struct rt_text *t)
{
	struct rt_journal *j = NULL;
	struct rt_error    err = RT_ERROR_INIT;

	ck_assert_msg(rt_journal_open(&j, path(), note, t, &err) == 0, "%s", err.msg);
	return j;
}

static void add(const char *record)
{
	struct rt_text     t = RT_TEXT_INIT;
	struct rt_journal *j = open_noting(&t);

	ck_assert_int_eq(rt_journal_add(j, record, strlen(record), NULL), 0);
	rt_journal_close(j);
	rt_text_free(&t);
}

static void expect(const char *want)
{
	struct rt_text t = RT_TEXT_INIT;

	rt_journal_close(open_noting(&t));
	ck_assert_str_eq(t.data, want);
	rt_text_free(&t);
}

START_TEST(records_come_back_in_order)
	{
		expect("");
		add("one");
		add("");
		add("{\"three\": 3}");
		expect("one||{\"three\": 3}|");
		rt_journal_close(NULL);
	}
END_TEST

START_TEST(a_plain_journal_is_its_records_alone)
	{
		struct rt_text     t = RT_TEXT_INIT;
		struct rt_journal *j;

		for (int i = 0; i < 2; i++) {
			ck_assert_int_eq(rt_journal_open_plain(&j, path(), NULL, NULL, NULL), 0);
			ck_assert_int_eq(rt_journal_add(j, "{\"a\":1}", 7, NULL), 0);
			rt_journal_close(j);
		}
		ck_assert_int_eq(rt_file_read(path(), 0, &t, NULL), 0);
		ck_assert_str_eq(t.data, "{\"a\":1}\n{\"a\":1}\n");
		temp_write("j", "one\ntwo\nthr", 11);
		rt_text_clear(&t);
		ck_assert_int_eq(rt_journal_open_plain(&j, path(), note, &t, NULL), 0);
		ck_assert_str_eq(t.data, "one|two|");
		ck_assert_int_eq(rt_journal_add(j, "new", 3, NULL), 0);
		rt_journal_close(j);
		rt_text_clear(&t);
		ck_assert_int_eq(rt_file_read(path(), 0, &t, NULL), 0);
		ck_assert_str_eq(t.data, "one\ntwo\nnew\n");
		rt_text_free(&t);
	}
END_TEST

START_TEST(a_tear_at_any_byte_costs_the_last_record_only)
	{
		struct rt_text whole = RT_TEXT_INIT;

		add("first");
		add("second");
		add("the third");
		ck_assert_int_eq(rt_file_read(path(), 0, &whole, NULL), 0);
		for (size_t n = 0; n <= whole.len; n++) {
			temp_write("j", whole.data, n);
			add("new");
			expect(n < 15          ? "new|"
			       : n < 31        ? "first|new|"
			       : n < whole.len ? "first|second|new|"
			                       : "first|second|the third|new|");
		}
		rt_text_free(&whole);
	}
END_TEST

START_TEST(a_changed_byte_at_the_end_costs_the_last_record_only)
	{
		struct rt_text whole = RT_TEXT_INIT;

		add("first");
		add("second");
		ck_assert_int_eq(rt_file_read(path(), 0, &whole, NULL), 0);
		for (size_t i = 15; i < whole.len; i++) {
			whole.data[i] ^= 1;
			temp_write("j", whole.data, whole.len);
			whole.data[i] ^= 1;
			expect("first|");
		}
		rt_text_free(&whole);
	}
END_TEST

START_TEST(damage_in_the_middle_is_not_passed_over)
	{
		struct rt_error    err = RT_ERROR_INIT;
		struct rt_journal *j = NULL;
		struct rt_text     whole = RT_TEXT_INIT;

		add("first");
		add("second");
		add("third");
		ck_assert_int_eq(rt_file_read(path(), 0, &whole, NULL), 0);
		whole.data[20] ^= 1;
		temp_write("j", whole.data, whole.len);
		ck_assert_int_eq(rt_journal_open(&j, path(), NULL, NULL, &err), RT_E_FORMAT);
		ck_assert_str_eq(
			temp_strip(err.msg),
			"j:2: this record is damaged and good ones follow; check the disk, "
			"then delete the line to do its work again");
		ck_assert_ptr_null(j);
		rt_text_free(&whole);
	}
END_TEST

START_TEST(every_mistake_has_its_sentence)
	{
		struct rt_error    err = RT_ERROR_INIT;
		struct rt_text     t = RT_TEXT_INIT;
		struct rt_journal *j = open_noting(&t), *again = NULL;

		ck_assert_int_eq(rt_journal_open(&again, path(), NULL, NULL, &err), RT_E_BUSY);
		ck_assert_str_eq(temp_strip(err.msg),
		                 "j is in use by another process; wait for it to end, or stop it");
		ck_assert_int_eq(rt_journal_add(j, "a\nb", 3, &err), RT_E_INVAL);
		ck_assert_str_eq(temp_strip(err.msg), "j: a record holds no newline");
		ck_assert_int_eq(rt_journal_add(j, "good", 4, &err), 0);
		ck_assert_int_eq(rt_journal_add(j, "stop", 4, &err), 0);
		rt_journal_close(j);
		ck_assert_int_eq(rt_journal_open(&again, path(), note, &t, &err), RT_E_FORMAT);
		ck_assert_str_eq(temp_strip(err.msg), "j:2: a record that nobody wants");
		ck_assert_int_eq(rt_journal_open(&again, "/dev/null", note, &t, &err), RT_E_INVAL);
		ck_assert_str_eq(err.msg, "/dev/null is not a regular file");
		ck_assert_int_eq(rt_journal_open(&again, temp_path("no/j"), note, &t, &err),
		                 RT_E_NOENT);
		ck_assert_str_eq(temp_strip(err.msg),
		                 "cannot open no/j: No such file or directory");
		ck_assert_ptr_null(again);
		rt_text_free(&t);
	}
END_TEST

START_TEST(after_a_full_disk_it_goes_on)
	{
		struct rt_error    err = RT_ERROR_INIT;
		struct rt_text     t = RT_TEXT_INIT;
		struct rt_journal *j = open_noting(&t);

		fault_set("full:2", NULL); /* written, but not flushed */
		ck_assert_int_eq(rt_journal_add(j, "lost", 4, &err), RT_E_IO);
		ck_assert_str_eq(
			temp_strip(err.msg),
			"cannot write j: No space left on device; make room and run again, "
			"finished work is kept");
		fault_set(NULL, NULL);
		ck_assert_int_eq(rt_journal_add(j, "kept", 4, &err), 0);
		rt_journal_close(j);
		rt_text_free(&t);
		expect("kept|");
	}
END_TEST

static int three(struct rt_error *err)
{
	struct rt_text     t = RT_TEXT_INIT;
	struct rt_journal *j = NULL;
	int                r = rt_journal_open(&j, path(), note, &t, err);

	for (int i = 0; r == 0 && i < 3; i++)
		r = rt_journal_add(j, "record", 6, err);
	rt_journal_close(j);
	rt_text_free(&t);
	return r;
}

START_TEST(any_allocation_and_any_write_may_fail)
	{
		ck_assert_int_ge(torture("alloc", three, RT_E_NOMEM), 3);
		ck_assert_int_ge(torture("full", three, RT_E_IO), 7);
	}
END_TEST

/* What a child had been told is added is there: it tells through the number of records. */
static void whole_records(void)
{
	struct rt_text t = RT_TEXT_INIT;

	rt_journal_close(open_noting(&t));
	for (size_t i = 0; i < t.len; i += 7)
		ck_assert_int_eq(strncmp(t.data + i, "record|", 7), 0);
	rt_text_free(&t);
}

START_TEST(a_kill_leaves_whole_records)
	{
		ck_assert_int_ge(torture_kill(three, whole_records), 7);
	}
END_TEST

static void *add_many(void *j)
{
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(rt_journal_add(j, "r", 1, NULL), 0);
	return NULL;
}

START_TEST(threads_share_a_journal)
	{
		struct rt_text     t = RT_TEXT_INIT;
		struct rt_journal *j = open_noting(&t);
		pthread_t          ids[4];

		for (int i = 0; i < 4; i++)
			ck_assert_int_eq(pthread_create(&ids[i], NULL, add_many, j), 0);
		for (int i = 0; i < 4; i++)
			pthread_join(ids[i], NULL);
		rt_journal_close(j);
		rt_journal_close(open_noting(&t));
		ck_assert_uint_eq(t.len, 4 * 20 * 2);
		rt_text_free(&t);
	}
END_TEST

RUNNER("journal", 120, {
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	tcase_add_test(tc, records_come_back_in_order);
	tcase_add_test(tc, a_plain_journal_is_its_records_alone);
	tcase_add_test(tc, a_tear_at_any_byte_costs_the_last_record_only);
	tcase_add_test(tc, a_changed_byte_at_the_end_costs_the_last_record_only);
	tcase_add_test(tc, damage_in_the_middle_is_not_passed_over);
	tcase_add_test(tc, every_mistake_has_its_sentence);
	tcase_add_test(tc, after_a_full_disk_it_goes_on);
	tcase_add_test(tc, any_allocation_and_any_write_may_fail);
	tcase_add_test(tc, a_kill_leaves_whole_records);
	tcase_add_test(tc, threads_share_a_journal);
})
