/* disk.c - see disk.h */
#define _GNU_SOURCE /* renameat2() */
#include "base/disk.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int disk_create(const char *path, int flags)
{
	int fd;

	if (fault_disk())
		return -1;
	do
		fd = open(path, O_CREAT | O_CLOEXEC | flags, 0666);
	while (fd < 0 && errno == EINTR);
	return fd;
}

int disk_write(int fd, const void *bytes, size_t n)
{
	const char *p = bytes;

	if (fault_disk())
		return -1;
	while (n > 0) {
		const ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

int disk_sync(int fd)
{
	int r;

	if (fault_disk())
		return -1;
	do
		r = fsync(fd);
	while (r < 0 && errno == EINTR);
	return r;
}

int disk_sync_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	const int   n = slash ? (int)(slash - path) : 0;
	char        folder[PATH_MAX] = ".";
	int         fd, r, number;

	if (slash &&
	    snprintf(folder, sizeof folder, "%.*s", n ? n : 1, path) >= (int)sizeof folder) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	r = disk_sync(fd);
	number = errno;
	close(fd);
	errno = number;
	return r;
}

int disk_rename(const char *from, const char *to)
{
	return fault_disk() ? -1 : rename(from, to);
}

int disk_exchange(const char *a, const char *b)
{
#ifdef RENAME_EXCHANGE
	return fault_disk() ? -1 : renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
#else
	(void)a, (void)b;
	errno = ENOSYS;
	return -1;
#endif
}

int disk_mkdir(const char *path)
{
	return fault_disk() ? -1 : mkdir(path, 0777);
}

int disk_cut(int fd, int64_t size)
{
	int r;

	(void)fault_disk();
	do
		r = ftruncate(fd, (off_t)size);
	while (r < 0 && errno == EINTR);
	return r;
}

int disk_unlink_at(int folder, const char *name, int flags)
{
	(void)fault_disk();
	return unlinkat(folder, name, flags);
}

ssize_t disk_read(int fd, void *buf, size_t n)
{
	ssize_t got;

	do
		got = read(fd, buf, n);
	while (got < 0 && errno == EINTR);
	return got;
}

/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
int disk_open_regular(const char *path, int64_t *ret_size, struct rt_error *err)
{
	struct stat st;
	int         fd, r = 0;

	do
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return rt_fail_errno(err, "cannot open %s", path);
	if (fstat(fd, &st) < 0)
		r = rt_fail_errno(err, "cannot look at %s", path);
	else if (S_ISDIR(st.st_mode))
		r = rt_fail(err, RT_E_INVAL, "%s is a folder, want a file", path);
	else if (!S_ISREG(st.st_mode))
		r = rt_fail(err, RT_E_INVAL, "%s is not a regular file", path);
	if (r < 0) {
		close(fd);
		return r;
	}
	if (ret_size)
		*ret_size = st.st_size;
	return fd;
}
