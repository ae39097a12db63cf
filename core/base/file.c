/* file.c - whole files: read, mapped, and written so that they are whole or absent. */
#include <retort/file.h>

#include <retort/memory.h>

#include "base/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024 };

static int too_large(const char *path, int64_t size, int64_t limit, struct rt_error *err)
{
	return rt_fail(err, RT_E_RANGE, "%s has %lld bytes, at most %lld are read", path,
	               (long long)size, (long long)limit);
}

/* One byte more than the limit is asked for, so that a file that grows is noticed. */
static int read_all(int fd, const char *path, int64_t limit, struct rt_text *out,
                    struct rt_error *err)
{
	char    buf[BUFFER];
	int64_t total = 0;

	for (;;) {
		const ssize_t n = disk_read(fd, buf, sizeof buf);

		if (n < 0)
			return rt_fail_errno(err, "cannot read %s", path);
		if (n == 0)
			return 0;
		total += n;
		if (total > limit)
			return too_large(path, total, limit, err);
		rt_text_add_n(out, buf, (size_t)n);
		if (out->failed)
			return rt_fail_nomem(err, path);
	}
}

int rt_file_read(const char *path, int64_t limit, struct rt_text *out, struct rt_error *err)
{
	const size_t before = out->len;
	int64_t      size;
	int          fd, r;

	if (limit <= 0)
		limit = (int64_t)1 << 30;
	fd = disk_open_regular(path, &size, err);
	if (fd < 0)
		return fd;
	r = size > limit ? too_large(path, size, limit, err) : read_all(fd, path, limit, out, err);
	close(fd);
	if (r < 0 && out->len > before) {
		out->len = before;
		out->data[before] = '\0';
	}
	return r;
}

int rt_file_map(struct rt_map *ret, const char *path, struct rt_error *err)
{
	int64_t size;
	void   *p = NULL;
	int     fd, r = 0;

	fd = disk_open_regular(path, &size, err);
	if (fd < 0)
		return fd;
	if (size > 0)
		p = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		r = rt_fail_errno(err, "cannot map %s (%lld bytes)", path, (long long)size);
	close(fd);
	if (r < 0)
		return r;
	*ret = (struct rt_map){ p, (size_t)size };
	return 0;
}

void rt_file_unmap(struct rt_map *m)
{
	if (m->data)
		munmap((void *)(uintptr_t)m->data, m->size);
	*m = (struct rt_map){ NULL, 0 };
}

void rt_file_release(const struct rt_map *m, const void *from, size_t n)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)m->data;
	const uintptr_t first = ((uintptr_t)from + page - 1) / page * page;
	const uintptr_t last = ((uintptr_t)from + n) / page * page;

	if (m->data && first >= begin && last <= begin + m->size && first < last)
		madvise((void *)first, last - first, MADV_DONTNEED);
}

struct rt_file {
	char           *path, *temporary;
	int             fd;
	int64_t         size;
	size_t          used;
	struct rt_error stuck; /* the first error */
	char            buf[BUFFER];
};

/* "folder/.tmp-<pid>-<counter>" next to path. */
static char *temporary_name(const char *path)
{
	static atomic_uint counter;
	const char        *slash = strrchr(path, '/');

	return rt_asprintf("%.*s.tmp-%ld-%u", slash ? (int)(slash + 1 - path) : 0, path,
	                   (long)getpid(), atomic_fetch_add(&counter, 1));
}

/* A name may be left over from a process of the same number: take the next. */
static int create_temporary(struct rt_file *f, struct rt_error *err)
{
	do {
		rt_free(f->temporary);
		f->temporary = temporary_name(f->path);
		if (!f->temporary)
			return rt_fail_nomem(err, "a file name");
		f->fd = disk_create(f->temporary, O_WRONLY | O_EXCL);
	} while (f->fd < 0 && errno == EEXIST);
	return f->fd < 0 ? rt_fail_errno(err, "cannot create %s", f->path) : 0;
}

static void drop(struct rt_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	rt_free(f->temporary);
	rt_free(f->path);
	rt_free(f);
}

int rt_file_create(struct rt_file **ret, const char *path, struct rt_error *err)
{
	struct rt_file *f;
	int             r;

	if (strlen(path) >= PATH_MAX - 64) {
		errno = ENAMETOOLONG;
		return rt_fail_errno(err, "cannot create %.64s...", path);
	}
	f = rt_alloc(1, sizeof *f);
	if (!f)
		return rt_fail_nomem(err, "a file");
	f->fd = -1;
	f->path = rt_strdup(path);
	r = f->path ? create_temporary(f, err) : rt_fail_nomem(err, "a file name");
	if (r < 0) {
		drop(f);
		return r;
	}
	*ret = f;
	return 0;
}

static int stick_errno(struct rt_file *f)
{
	return rt_fail_errno(&f->stuck, "cannot write %s", f->path);
}

static int push(struct rt_file *f, const void *bytes, size_t n)
{
	if (!f->stuck.code && n > 0 && disk_write(f->fd, bytes, n) < 0)
		stick_errno(f);
	return f->stuck.code;
}

static int push_buffer(struct rt_file *f)
{
	const size_t n = f->used;

	f->used = 0;
	return push(f, f->buf, n);
}

int rt_file_put(struct rt_file *f, const void *bytes, size_t n)
{
	f->size += (int64_t)n;
	if (n > BUFFER - f->used && push_buffer(f) < 0)
		return f->stuck.code;
	if (n > BUFFER)
		return push(f, bytes, n);
	if (n > 0)
		memcpy(f->buf + f->used, bytes, n);
	f->used += n;
	return f->stuck.code;
}

int rt_file_printf(struct rt_file *f, const char *fmt, ...)
{
	char    line[1024], *text = line;
	va_list ap, again;
	int     n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(line, sizeof line, fmt, ap);
	if (n >= (int)sizeof line) {
		text = rt_alloc((size_t)n + 1, 1);
		if (text)
			vsnprintf(text, (size_t)n + 1, fmt, again);
	}
	va_end(again);
	va_end(ap);
	if (n < 0)
		rt_fail(&f->stuck, RT_E_INVAL, "cannot write %s: a text that cannot be formatted",
		        f->path);
	else if (!text)
		rt_fail_nomem(&f->stuck, f->path);
	else
		rt_file_put(f, text, (size_t)n);
	if (text != line)
		rt_free(text);
	return f->stuck.code;
}

int64_t rt_file_size(const struct rt_file *f)
{
	return f->size;
}

static int report(const struct rt_file *f, struct rt_error *err)
{
	if (f->stuck.code && err)
		*err = f->stuck;
	return f->stuck.code;
}

int rt_file_flush(struct rt_file *f, struct rt_error *err)
{
	push_buffer(f);
	return report(f, err);
}

int rt_file_commit(struct rt_file *f, struct rt_error *err)
{
	int r;

	if (push_buffer(f) == 0 && (disk_sync(f->fd) < 0 || disk_rename(f->temporary, f->path) < 0))
		stick_errno(f);
	if (f->stuck.code)
		disk_unlink_at(AT_FDCWD, f->temporary, 0);
	else if (disk_sync_folder_of(f->path) < 0)
		stick_errno(f);
	r = report(f, err);
	drop(f);
	return r;
}

void rt_file_discard(struct rt_file *f)
{
	if (!f)
		return;
	disk_unlink_at(AT_FDCWD, f->temporary, 0);
	drop(f);
}

int rt_file_write(const char *path, const void *bytes, size_t n, struct rt_error *err)
{
	struct rt_file *f;
	int             r = rt_file_create(&f, path, err);

	if (r < 0)
		return r;
	rt_file_put(f, bytes, n);
	return rt_file_commit(f, err);
}
