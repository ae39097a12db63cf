/* temp.h - a folder of its own for each test, gone when the test is done. */
#ifndef TESTS_TEMP_H
#define TESTS_TEMP_H

#include <retort/file.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char temp_folder[256];

/* Checked fixture: tcase_add_checked_fixture(tc, temp_begin, temp_end). */
static inline void temp_begin(void)
{
	const char *where = getenv("TMPDIR");

	snprintf(temp_folder, sizeof temp_folder, "%s/retort-test-XXXXXX", where ? where : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(temp_folder));
}

static inline void temp_end(void)
{
	ck_assert_int_eq(rt_remove_all(temp_folder, NULL), 0);
}

/* A path in it; good for four calls. */
static inline const char *temp_path(const char *name)
{
	static char paths[4][512];
	static int  next;
	char       *p = paths[next++ % 4];

	snprintf(p, sizeof paths[0], "%s/%s", temp_folder, name);
	return p;
}

/* Bytes into a file, without the care that rt_file_write() takes. */
static inline const char *temp_write(const char *name, const void *bytes, size_t n)
{
	const char *path = temp_path(name);
	FILE       *f = fopen(path, "wb");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
	return path;
}

/* The message without the folder in front of the file's name. */
static inline const char *temp_strip(const char *msg)
{
	static char  out[2048];
	const char  *at = strstr(msg, temp_folder);
	const size_t n = strlen(temp_folder) + 1;

	if (!at)
		return msg;
	snprintf(out, sizeof out, "%.*s%s", (int)(at - msg), msg, at + n);
	return out;
}

#endif
