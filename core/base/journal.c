/* journal.c - append-only records, each on the disk before its add returns.
 *
 * A record is a line:  <first 8 hex digits of its SHA-256> <record> LF
 * Records are flushed one by one, so a crash can only spoil what stands after the last
 * record that was added: that is cut off.  A spoiled line with a good one behind it
 * is damage of another kind, and is not passed over in silence.
 *
 * A plain journal has the records alone: a line is whole when it has its newline. */
#include <retort/file.h>

#include <retort/hash.h>
#include <retort/memory.h>

#include "base/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SUM = 8 }; /* digits; a space follows */

struct rt_journal {
	char           *path;
	int             fd;
	int64_t         size; /* end of the last whole record */
	bool            plain;
	bool            torn; /* something stands behind it that could not be cut off */
	pthread_mutex_t lock;
	struct rt_text  line; /* reused by every add */
};

static bool sum_is(const char *sum, const char *record, size_t n)
{
	char hex[RT_HASH_HEX];

	rt_hash_hex(record, n, hex);
	return memcmp(sum, hex, SUM) == 0;
}

/* What stands in front of a record. */
static size_t head(const struct rt_journal *j)
{
	return j->plain ? 0 : SUM + 1;
}

/* Is this line, without its newline, a whole record? */
static bool whole(const struct rt_journal *j, const char *line, size_t n)
{
	return j->plain ||
	       (n > SUM && line[SUM] == ' ' && sum_is(line, line + SUM + 1, n - SUM - 1));
}

static int damaged(const struct rt_journal *j, int64_t line, struct rt_error *err)
{
	return rt_fail(
		err, RT_E_FORMAT,
		"%s:%lld: this record is damaged and good ones follow; check the disk, then delete "
		"the line to do its work again",
		j->path, (long long)line);
}

static int replay(struct rt_journal *j, const char *text, size_t n, rt_journal_fn *each, void *arg,
                  struct rt_error *err)
{
	int64_t line = 0, bad = 0;
	size_t  at = 0;

	while (at < n) {
		const char  *end = memchr(text + at, '\n', n - at);
		const size_t len = end ? (size_t)(end - (text + at)) : n - at;
		int          r = 0;

		line++;
		if (!end || !whole(j, text + at, len))
			bad = bad ? bad : line;
		else if (bad)
			return damaged(j, bad, err);
		else if (each)
			r = each(arg, text + at + head(j), len - head(j), err);
		if (r < 0)
			return rt_within(err, r, "%s:%lld", j->path, (long long)line);
		at += len + 1;
		if (!bad)
			j->size = (int64_t)at;
	}
	return 0;
}

static int read_records(struct rt_journal *j, size_t size, rt_journal_fn *each, void *arg,
                        struct rt_error *err)
{
	void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, j->fd, 0);
	int   r;

	if (p == MAP_FAILED)
		return rt_fail_errno(err, "cannot map %s", j->path);
	r = replay(j, p, size, each, arg, err);
	munmap(p, size);
	return r;
}

static int recover(struct rt_journal *j, rt_journal_fn *each, void *arg, struct rt_error *err)
{
	struct stat st;
	int         r = 0;

	if (fstat(j->fd, &st) < 0)
		return rt_fail_errno(err, "cannot look at %s", j->path);
	if (!S_ISREG(st.st_mode))
		return rt_fail(err, RT_E_INVAL, "%s is not a regular file", j->path);
	if (st.st_size > 0)
		r = read_records(j, (size_t)st.st_size, each, arg, err);
	if (r == 0 && j->size < st.st_size &&
	    (disk_cut(j->fd, j->size) < 0 || disk_sync(j->fd) < 0))
		r = rt_fail_errno(err, "cannot cut the unfinished record off %s", j->path);
	return r;
}

static int open_locked(struct rt_journal *j, struct rt_error *err)
{
	j->fd = disk_create(j->path, O_RDWR | O_APPEND);
	if (j->fd < 0)
		return rt_fail_errno(err, "cannot open %s", j->path);
	if (flock(j->fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? rt_fail(err, RT_E_BUSY,
		                                      "%s is in use by another process; wait for "
		                                      "it to end, or stop it",
		                                      j->path)
		                            : rt_fail_errno(err, "cannot lock %s", j->path);
	if (disk_sync_folder_of(j->path) < 0)
		return rt_fail_errno(err, "cannot create %s", j->path);
	return 0;
}

static int open_journal(struct rt_journal **ret, const char *path, bool plain, rt_journal_fn *each,
                        void *arg, struct rt_error *err)
{
	struct rt_journal *j = rt_alloc(1, sizeof *j);
	int                r;

	if (!j)
		return rt_fail_nomem(err, "a journal");
	j->fd = -1;
	j->plain = plain;
	j->line = (struct rt_text)RT_TEXT_INIT;
	pthread_mutex_init(&j->lock, NULL);
	j->path = rt_strdup(path);
	r = j->path ? open_locked(j, err) : rt_fail_nomem(err, "a journal");
	if (r == 0)
		r = recover(j, each, arg, err);
	if (r < 0) {
		rt_journal_close(j);
		return r;
	}
	*ret = j;
	return 0;
}

int rt_journal_open(struct rt_journal **ret, const char *path, rt_journal_fn *each, void *arg,
                    struct rt_error *err)
{
	return open_journal(ret, path, false, each, arg, err);
}

int rt_journal_open_plain(struct rt_journal **ret, const char *path, rt_journal_fn *each, void *arg,
                          struct rt_error *err)
{
	return open_journal(ret, path, true, each, arg, err);
}

static int add_locked(struct rt_journal *j, const char *record, size_t n, struct rt_error *err)
{
	char hex[RT_HASH_HEX];
	int  r;

	if (j->torn && disk_cut(j->fd, j->size) < 0)
		return rt_fail_errno(err, "cannot cut the unfinished record off %s", j->path);
	j->torn = false;
	rt_text_clear(&j->line);
	if (!j->plain) {
		rt_hash_hex(record, n, hex);
		rt_text_add_n(&j->line, hex, SUM);
		rt_text_add_char(&j->line, ' ');
	}
	rt_text_add_n(&j->line, record, n);
	rt_text_add_char(&j->line, '\n');
	if (j->line.failed)
		return rt_fail_nomem(err, "a record");
	if (disk_write(j->fd, j->line.data, j->line.len) < 0 || disk_sync(j->fd) < 0) {
		r = rt_fail_errno(err, "cannot write %s", j->path);
		j->torn = disk_cut(j->fd, j->size) < 0;
		return r;
	}
	j->size += (int64_t)j->line.len;
	return 0;
}

int rt_journal_add(struct rt_journal *j, const char *record, size_t n, struct rt_error *err)
{
	int r;

	if (memchr(record, '\n', n))
		return rt_fail(err, RT_E_INVAL, "%s: a record holds no newline", j->path);
	pthread_mutex_lock(&j->lock);
	r = add_locked(j, record, n, err);
	pthread_mutex_unlock(&j->lock);
	return r;
}

void rt_journal_close(struct rt_journal *j)
{
	if (!j)
		return;
	if (j->fd >= 0)
		close(j->fd); /* and lets go of the lock */
	pthread_mutex_destroy(&j->lock);
	rt_text_free(&j->line);
	rt_free(j->path);
	rt_free(j);
}
