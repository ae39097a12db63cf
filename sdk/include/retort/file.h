/* retort/file.h - files that are whole or absent.
 *
 * Nothing is written in place: a new file is written under a temporary name in the same
 * folder, flushed to the disk (fsync), and renamed; then the folder is flushed.  A kill at
 * any moment leaves the old file, or the new one, and perhaps a ".tmp-" file that
 * looks like nothing else.  What is open belongs to one thread at a time. */
#ifndef RETORT_FILE_H
#define RETORT_FILE_H

#include <retort/error.h>
#include <retort/text.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole of a regular file, appended to *out; more than `limit` bytes (0: 1 GiB) is an
 * error that names both numbers. [any] */
int rt_file_read(const char *path, int64_t limit, struct rt_text *out, struct rt_error *err);

/* Write a whole file. [any] */
int rt_file_write(const char *path, const void *bytes, size_t n, struct rt_error *err);

/* Write a file piece by piece.  Bytes are buffered; an error sticks until the end: put and
 * printf return its code (or 0), flush and commit its message.
 *     rt_file_create(&f, path, err) ... rt_file_put(f, p, n) ... rt_file_commit(f, err)
 * commit makes it appear and frees f, whatever it returns; discard drops it (NULL is fine). */
struct rt_file;
int     rt_file_create(struct rt_file **ret, const char *path, struct rt_error *err);
int     rt_file_put(struct rt_file *f, const void *bytes, size_t n);
int     rt_file_printf(struct rt_file *f, const char *fmt, ...) RT_PRINTF(2, 3);
int64_t rt_file_size(const struct rt_file *f);                  /* bytes put so far */
int     rt_file_flush(struct rt_file *f, struct rt_error *err); /* reports the error that stuck */
int     rt_file_commit(struct rt_file *f, struct rt_error *err);
void    rt_file_discard(struct rt_file *f);

/* A regular file mapped for reading: one view, shared pages. */
struct rt_map {
	const void *data; /* NULL when the file is empty */
	size_t      size;
};
int  rt_file_map(struct rt_map *ret, const char *path, struct rt_error *err);
void rt_file_unmap(struct rt_map *m);

/* The pages of [from, from + n) are not needed soon: they leave this process's memory, and come
 * back from the file when they are read.  Nothing happens outside of the map. [any] */
void rt_file_release(const struct rt_map *m, const void *from, size_t n);

/* Append-only journal: what was paid for is on the disk before it is used.
 * One record is one line with a checksum in front; a record that a crash cut short is dropped
 * when the journal is opened again, and everything before it is kept.  A damaged record with
 * good ones behind it is no crash: RT_E_FORMAT names its line. */
struct rt_journal;
typedef int rt_journal_fn(void *arg, const char *record, size_t n, struct rt_error *err);
/* Open or create; calls `each` (may be NULL) for each record that stands in it, in order.
 * A journal that is open already, here or in another process, is RT_E_BUSY. */
int rt_journal_open(struct rt_journal **ret, const char *path, rt_journal_fn *each, void *arg,
                    struct rt_error *err);
/* The same without checksums, for a file that others read too, JSON Lines for one: every line is a
 * record, and only a last one without its newline is dropped. */
int rt_journal_open_plain(struct rt_journal **ret, const char *path, rt_journal_fn *each, void *arg,
                          struct rt_error *err);
/* A record holds no newline.  On the disk when it returns 0. [any] */
int  rt_journal_add(struct rt_journal *j, const char *record, size_t n, struct rt_error *err);
void rt_journal_close(struct rt_journal *j);

/* Folders. */
int rt_mkdir_all(const char *path, struct rt_error *err); /* with parents; there is fine */
int rt_remove_all(const char      *path,
                  struct rt_error *err); /* a file or a tree, no links followed; absent is fine */
int rt_sync_dir(const char *path, struct rt_error *err);
int rt_rename(const char *from, const char *to, struct rt_error *err); /* and flush to's folder */

/* Put a file or folder where another may be, which is gone then.  Where the file system can
 * exchange two names, one of the two is there at any moment. */
int  rt_replace(const char *from, const char *to, struct rt_error *err);
bool rt_exists(const char *path);
/* Calls each(arg, name, is_dir) for what is in a folder, in byte order of the names. */
typedef int rt_dir_fn(void *arg, const char *name, bool is_dir, struct rt_error *err);
int         rt_list_dir(const char *path, rt_dir_fn *each, void *arg, struct rt_error *err);

/* "a" and "b" make "a/b"; an absolute b stays b.  NULL when out of memory. */
char *rt_path_join(const char *a, const char *b);

#endif
