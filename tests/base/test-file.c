/* test-file.c - files that are whole or absent, and folders. */
#include <retort/file.h>
#include <retort/memory.h>

#include "base/disk.h"
#include "runner.h"
#include "temp.h"
#include "torture.h"

#include <sys/stat.h>
#include <unistd.h>

enum { LARGE = 200000 };

static char large[LARGE];

static void expect(const char *path, const void *bytes, size_t n)
{
	struct rt_text t = RT_TEXT_INIT;

	ck_assert_int_eq(rt_file_read(path, 0, &t, NULL), 0);
	ck_assert_uint_eq(t.len, n);
	ck_assert_mem_eq(t.data, bytes, n);
	rt_text_free(&t);
}

static int count_one(void *arg, const char *name, bool is_dir, struct rt_error *err)
{
	(void)name, (void)is_dir, (void)err;
	++*(int *)arg;
	return 0;
}

static int entries(void)
{
	int n = 0;

	ck_assert_int_eq(rt_list_dir(temp_folder, count_one, &n, NULL), 0);
	return n;
}

START_TEST(a_file_of_any_size_comes_back)
	{
		static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, LARGE };
		struct rt_map       m;

		for (int i = 0; i < LARGE; i++)
			large[i] = (char)(i * 7 + i / 251);
		ck_assert_int_eq(rt_file_write(temp_path("f"), large, sizes[_i], NULL), 0);
		expect(temp_path("f"), large, sizes[_i]);
		ck_assert_int_eq(rt_file_map(&m, temp_path("f"), NULL), 0);
		ck_assert_uint_eq(m.size, sizes[_i]);
		ck_assert(sizes[_i] ? memcmp(m.data, large, m.size) == 0 : m.data == NULL);
		rt_file_unmap(&m);
		rt_file_unmap(&m);
		ck_assert_int_eq(entries(), 1);
	}
END_TEST

START_TEST(pieces_appear_only_at_commit)
	{
		const char     *path = temp_path("f");
		struct rt_file *f;

		temp_write("f", "old", 3);
		ck_assert_int_eq(rt_file_create(&f, path, NULL), 0);
		ck_assert_int_eq(rt_file_put(f, "a", 1), 0);
		ck_assert_int_eq(rt_file_printf(f, "%d-%2000s", 7, "x"), 0);
		ck_assert_int_eq(rt_file_size(f), 1 + 2 + 2000);
		ck_assert_int_eq(rt_file_flush(f, NULL), 0);
		expect(path, "old", 3);
		ck_assert_int_eq(rt_file_commit(f, NULL), 0);
		ck_assert_int_eq(entries(), 1);
		ck_assert_int_eq(rt_file_create(&f, path, NULL), 0);
		rt_file_discard(f);
		rt_file_discard(NULL);
		ck_assert_int_eq(entries(), 1);
	}
END_TEST

START_TEST(a_path_without_a_folder_is_in_the_current_one)
	{
		ck_assert_int_eq(chdir(temp_folder), 0);
		ck_assert_int_eq(rt_file_write("f", "x", 1, NULL), 0);
		expect("f", "x", 1);
		ck_assert_int_eq(rt_rename("f", "g", NULL), 0);
		ck_assert(rt_exists("g") && !rt_exists("f"));
		ck_assert_int_eq(chdir("/"), 0);
	}
END_TEST

static void read_mistake(const char *path, int64_t limit, int code, const char *want)
{
	struct rt_error err = RT_ERROR_INIT;
	struct rt_text  t = RT_TEXT_INIT;

	rt_text_add(&t, "before");
	ck_assert_int_eq(rt_file_read(path, limit, &t, &err), code);
	ck_assert_str_eq(temp_strip(err.msg), want);
	ck_assert_str_eq(t.data, "before");
	rt_text_free(&t);
}

START_TEST(every_reading_mistake_has_its_sentence)
	{
		struct rt_error err = RT_ERROR_INIT;
		struct rt_map   m = { 0 };

		temp_write("f", "12345", 5);
		ck_assert_int_eq(mkfifo(temp_path("pipe"), 0600), 0);
		read_mistake(temp_path("none"), 0, RT_E_NOENT,
		             "cannot open none: No such file or directory");
		read_mistake(temp_path("f"), 4, RT_E_RANGE, "f has 5 bytes, at most 4 are read");
		read_mistake(temp_path("pipe"), 0, RT_E_INVAL, "pipe is not a regular file");
		read_mistake("/", 0, RT_E_INVAL, "/ is a folder, want a file");
		ck_assert_int_eq(rt_file_map(&m, "/dev/zero", &err), RT_E_INVAL);
		ck_assert_str_eq(err.msg, "/dev/zero is not a regular file");
		if (geteuid() != 0) {
			chmod(temp_path("f"), 0);
			read_mistake(temp_path("f"), 0, RT_E_IO,
			             "cannot open f: Permission denied; check owner and mode");
		}
	}
END_TEST

START_TEST(every_writing_mistake_has_its_sentence)
	{
		struct rt_error err = RT_ERROR_INIT;
		char            name[5000] = "";

		ck_assert_int_eq(rt_file_write(temp_path("no/f"), "x", 1, &err), RT_E_NOENT);
		ck_assert_str_eq(temp_strip(err.msg),
		                 "cannot create no/f: No such file or directory");
		ck_assert_int_eq(mkdir(temp_path("d"), 0700), 0);
		ck_assert_int_eq(rt_file_write(temp_path("d"), "x", 1, &err), RT_E_IO);
		ck_assert_str_eq(temp_strip(err.msg), "cannot write d: Is a directory");
		memset(name, 'a', sizeof name - 1);
		ck_assert_int_eq(rt_file_write(name, "x", 1, &err), RT_E_IO);
		ck_assert_ptr_nonnull(strstr(err.msg, "aaa...: File name too long"));
		ck_assert_int_eq(rt_rename(temp_path("x"), temp_path("y"), &err), RT_E_NOENT);
		ck_assert_int_eq(rt_sync_dir(temp_path("x"), &err), RT_E_NOENT);
		ck_assert_str_eq(temp_strip(err.msg),
		                 "cannot flush the folder x: No such file or directory");
		ck_assert_int_eq(entries(), 1);
	}
END_TEST

START_TEST(an_error_sticks_until_the_end)
	{
		struct rt_error err = RT_ERROR_INIT;
		struct rt_file *f;

		ck_assert_int_eq(rt_file_create(&f, temp_path("f"), NULL), 0);
		fault_set("full:1", NULL);
		ck_assert_int_eq(rt_file_put(f, large, LARGE), RT_E_IO);
		fault_set(NULL, NULL);
		ck_assert_int_eq(rt_file_put(f, "x", 1), RT_E_IO);
		ck_assert_int_eq(rt_file_flush(f, &err), RT_E_IO);
		err.msg[0] = '\0';
		ck_assert_int_eq(rt_file_commit(f, &err), RT_E_IO);
		ck_assert_str_eq(
			temp_strip(err.msg),
			"cannot write f: No space left on device; make room and run again, "
			"finished work is kept");
		ck_assert_int_eq(entries(), 0);
	}
END_TEST

static int replace(struct rt_error *err)
{
	struct rt_file *f;
	int             r = rt_file_create(&f, temp_path("f"), err);

	if (r < 0)
		return r;
	rt_file_put(f, large, LARGE);
	rt_file_printf(f, "%2000d", 1);
	return rt_file_commit(f, err);
}

static void old_or_new(void)
{
	struct rt_text t = RT_TEXT_INIT;

	ck_assert_int_eq(rt_file_read(temp_path("f"), 0, &t, NULL), 0);
	if (t.len == 3)
		ck_assert_str_eq(t.data, "old");
	else
		ck_assert_uint_eq(t.len, LARGE + 2000);
	rt_text_free(&t);
}

START_TEST(a_full_disk_leaves_the_old_file_or_the_new)
	{
		temp_write("f", "old", 3);
		ck_assert_int_ge(torture("full", replace, RT_E_IO), 5);
		old_or_new();
		ck_assert_int_eq(entries(), 1);
	}
END_TEST

START_TEST(a_missing_allocation_leaves_the_old_file_or_the_new)
	{
		temp_write("f", "old", 3);
		ck_assert_int_ge(torture("alloc", replace, RT_E_NOMEM), 3);
		old_or_new();
		ck_assert_int_eq(entries(), 1);
	}
END_TEST

START_TEST(a_kill_leaves_the_old_file_or_the_new)
	{
		temp_write("f", "old", 3);
		ck_assert_int_ge(torture_kill(replace, old_or_new), 5);
	}
END_TEST

START_TEST(folders_are_made_with_their_parents_and_removed_whole)
	{
		const char     *deep = temp_path("a/b//c/");
		struct rt_error err = RT_ERROR_INIT;

		ck_assert_int_eq(rt_mkdir_all(deep, &err), 0);
		ck_assert_int_eq(rt_mkdir_all(deep, &err), 0);
		ck_assert_int_eq(rt_file_write(temp_path("a/b/f"), "x", 1, &err), 0);
		ck_assert_int_eq(rt_file_write(temp_path("kept"), "x", 1, &err), 0);
		ck_assert_int_eq(symlink(temp_path("kept"), temp_path("a/link")), 0);
		ck_assert_int_eq(symlink(temp_folder, temp_path("a/up")), 0);
		ck_assert_int_eq(rt_mkdir_all(temp_path("kept/x"), &err), RT_E_IO);
		ck_assert_str_eq(temp_strip(err.msg), "cannot make the folder kept: File exists");
		ck_assert_int_eq(rt_mkdir_all(temp_path("kept"), &err), RT_E_IO);
		ck_assert_str_eq(temp_strip(err.msg), "cannot make the folder kept: File exists");
		ck_assert_int_eq(rt_remove_all(temp_path("a"), &err), 0);
		ck_assert_int_eq(rt_remove_all(temp_path("a"), &err), 0);
		ck_assert_int_eq(entries(), 1);
		expect(temp_path("kept"), "x", 1);
	}
END_TEST

static int make(struct rt_error *err)
{
	int r = rt_mkdir_all(temp_path("x/y/z"), err);

	if (r == 0)
		r = rt_file_write(temp_path("x/y/f"), "1", 1, err);
	return r == 0 ? rt_rename(temp_path("x/y/f"), temp_path("x/g"), err) : r;
}

static int remove_x(struct rt_error *err)
{
	return rt_remove_all(temp_path("x"), err);
}

START_TEST(folders_survive_what_may_fail)
	{
		ck_assert_int_ge(torture("full", make, RT_E_IO), 5);
		ck_assert_int_ge(torture("alloc", make, RT_E_NOMEM), 3);
		ck_assert_int_ge(torture("alloc", remove_x, RT_E_NOMEM), 1);
		ck_assert_int_eq(entries(), 0);
	}
END_TEST

static int replace_folder(struct rt_error *err)
{
	int r = rt_remove_all(temp_path("new"), err);

	if (r == 0)
		r = rt_mkdir_all(temp_path("new"), err);
	if (r == 0)
		r = rt_file_write(temp_path("new/b"), "x", 1, err);
	return r == 0 ? rt_replace(temp_path("new"), temp_path("old"), err) : r;
}

static void one_of_two(void)
{
	const bool a = rt_exists(temp_path("old/a")), b = rt_exists(temp_path("old/b"));

	ck_assert(a != b);
}

START_TEST(a_folder_replaces_another_or_none_whatever_fails)
	{
		ck_assert_int_eq(replace_folder(NULL), 0);
		ck_assert(rt_exists(temp_path("old/b")) && !rt_exists(temp_path("new")));
		ck_assert_int_eq(rt_remove_all(temp_path("old"), NULL), 0);
		ck_assert_int_eq(rt_mkdir_all(temp_path("old"), NULL), 0);
		temp_write("old/a", "x", 1);
		ck_assert_int_eq(rt_mkdir_all(temp_path("new"), NULL), 0);
		if (disk_exchange(temp_path("new"), temp_path("old")) != 0)
			return; /* a file system that cannot; then there is a moment without */
		ck_assert_int_eq(disk_exchange(temp_path("new"), temp_path("old")), 0);
		for (int n = 1; n < 30; n++) { /* the last steps only give room back */
			char wish[16];

			snprintf(wish, sizeof wish, "full:%d", n);
			ck_assert_int_eq(fault_set(wish, NULL), 0);
			replace_folder(NULL);
			fault_set(NULL, NULL);
			one_of_two();
		}
		ck_assert_int_ge(torture_kill(replace_folder, one_of_two), 5);
	}
END_TEST

static int note(void *arg, const char *name, bool is_dir, struct rt_error *err)
{
	if (strcmp(name, "stop") == 0)
		return rt_fail(err, RT_E_CANCEL, "enough");
	rt_text_printf(arg, "%s%s ", name, is_dir ? "/" : "");
	return 0;
}

START_TEST(a_listing_is_in_byte_order_and_can_be_stopped)
	{
		struct rt_text  t = RT_TEXT_INIT;
		struct rt_error err = RT_ERROR_INIT;

		temp_write("b", "", 0);
		temp_write("B", "", 0);
		temp_write("\xc3\xa9", "", 0);
		rt_mkdir_all(temp_path("a"), NULL);
		ck_assert_int_eq(symlink(temp_path("a"), temp_path("c")), 0);
		ck_assert_int_eq(rt_list_dir(temp_folder, note, &t, &err), 0);
		ck_assert_str_eq(t.data, "B a/ b c/ \xc3\xa9 ");
		temp_write("stop", "", 0);
		ck_assert_int_eq(rt_list_dir(temp_folder, note, &t, &err), RT_E_CANCEL);
		ck_assert_int_eq(rt_list_dir(temp_path("none"), note, &t, &err), RT_E_NOENT);
		ck_assert_str_eq(temp_strip(err.msg),
		                 "cannot list none: No such file or directory");
		rt_text_free(&t);
	}
END_TEST

static const struct {
	const char *a, *b, *want;
} joins[] = {
	{ "a", "b", "a/b" }, { "a/", "b", "a/b" }, { "a", "/b", "/b" },
	{ "", "b", "b" },    { "/", "b", "/b" },
};

START_TEST(paths_join)
	{
		char *p = rt_path_join(joins[_i].a, joins[_i].b);

		ck_assert_str_eq(p, joins[_i].want);
		rt_free(p);
	}
END_TEST

RUNNER("file", 120, {
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	tcase_add_loop_test(tc, a_file_of_any_size_comes_back, 0, 6);
	tcase_add_test(tc, pieces_appear_only_at_commit);
	tcase_add_test(tc, a_path_without_a_folder_is_in_the_current_one);
	tcase_add_test(tc, every_reading_mistake_has_its_sentence);
	tcase_add_test(tc, every_writing_mistake_has_its_sentence);
	tcase_add_test(tc, an_error_sticks_until_the_end);
	tcase_add_test(tc, a_full_disk_leaves_the_old_file_or_the_new);
	tcase_add_test(tc, a_missing_allocation_leaves_the_old_file_or_the_new);
	tcase_add_test(tc, a_kill_leaves_the_old_file_or_the_new);
	tcase_add_test(tc, folders_are_made_with_their_parents_and_removed_whole);
	tcase_add_test(tc, folders_survive_what_may_fail);
	tcase_add_test(tc, a_folder_replaces_another_or_none_whatever_fails);
	tcase_add_test(tc, a_listing_is_in_byte_order_and_can_be_stopped);
	TABLE_TEST(tc, paths_join, joins);
})
