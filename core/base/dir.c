/* dir.c - folders: make, remove, list, rename, join. */
#include <retort/file.h>

#include <retort/memory.h>

#include "base/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool rt_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int make_one(const char *path, struct rt_error *err)
{
	if (disk_mkdir(path) < 0) {
		const int number = errno;

		if (is_folder(path))
			return 0;
		errno = number;
		return rt_fail_errno(err, "cannot make the folder %s", path);
	}
	if (disk_sync_folder_of(path) < 0)
		return rt_fail_errno(err, "cannot make the folder %s", path);
	return 0;
}

int rt_mkdir_all(const char *path, struct rt_error *err)
{
	char *copy, *p;
	int   r = 0;

	if (is_folder(path))
		return 0;
	copy = rt_strdup(path);
	if (!copy)
		return rt_fail_nomem(err, "a path");
	for (p = copy + strlen(copy); p > copy + 1 && p[-1] == '/'; p--)
		p[-1] = '\0';
	for (p = copy + 1; r == 0 && *p; p++) {
		if (*p != '/' || p[-1] == '/')
			continue;
		*p = '\0';
		if (!is_folder(copy))
			r = make_one(copy, err);
		*p = '/';
	}
	if (r == 0)
		r = make_one(copy, err);
	rt_free(copy);
	return r;
}

/* The names in a folder, sorted.  One block each: folders are small. */
struct names {
	char **at;
	size_t n, cap;
};

static void free_names(struct names *s)
{
	for (size_t i = 0; i < s->n; i++)
		rt_free(s->at[i]);
	rt_free(s->at);
}

static int add_name(struct names *s, const char *name, struct rt_error *err)
{
	if (s->n == s->cap) {
		const size_t cap = s->cap ? 2 * s->cap : 16;
		char       **at = rt_realloc(s->at, cap, sizeof *at);

		if (!at)
			return rt_fail_nomem(err, "a list of files");
		s->at = at;
		s->cap = cap;
	}
	s->at[s->n] = rt_strdup(name);
	if (!s->at[s->n])
		return rt_fail_nomem(err, "a list of files");
	s->n++;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Takes over fd. */
static int read_names(int fd, const char *path, struct names *s, struct rt_error *err)
{
	DIR           *d = fdopendir(fd);
	struct dirent *e;
	int            r = 0;

	if (!d) {
		r = rt_fail_errno(err, "cannot list %s", path);
		close(fd);
		return r;
	}
	while (r == 0) {
		errno = 0;
		e = readdir(d);
		if (!e)
			break;
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = add_name(s, e->d_name, err);
	}
	if (r == 0 && errno)
		r = rt_fail_errno(err, "cannot list %s", path);
	closedir(d);
	if (s->n > 1)
		qsort(s->at, s->n, sizeof *s->at, by_name);
	return r;
}

int rt_list_dir(const char *path, rt_dir_fn *each, void *arg, struct rt_error *err)
{
	struct names s = { 0 };
	const int    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? rt_fail_errno(err, "cannot list %s", path) : read_names(fd, path, &s, err);

	for (size_t i = 0; r == 0 && i < s.n; i++) {
		char *p = rt_path_join(path, s.at[i]);

		r = p ? each(arg, s.at[i], is_folder(p), err) : rt_fail_nomem(err, "a path");
		rt_free(p);
	}
	free_names(&s);
	return r;
}

static int remove_at(int folder, const char *name, const char *path, struct rt_error *err);

static int remove_inside(int fd, const char *path, struct rt_error *err)
{
	struct names s = { 0 };
	const int    again = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* read_names() ends it */
	int          r = again < 0 ? rt_fail_errno(err, "cannot list %s", path)
	                           : read_names(again, path, &s, err);

	for (size_t i = 0; r == 0 && i < s.n; i++)
		r = remove_at(fd, s.at[i], path, err);
	free_names(&s);
	return r;
}

static int remove_folder(int folder, const char *name, const char *path, struct rt_error *err)
{
	const int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int       r;

	if (fd < 0)
		return rt_fail_errno(err, "cannot open %s in %s to remove it", name, path);
	r = remove_inside(fd, path, err);
	close(fd);
	if (r == 0 && disk_unlink_at(folder, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = rt_fail_errno(err, "cannot remove %s in %s", name, path);
	return r;
}

/* path is the tree's top, for messages. */
static int remove_at(int folder, const char *name, const char *path, struct rt_error *err)
{
	struct stat st;

	if (disk_unlink_at(folder, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno == EISDIR ||
	    (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)))
		return remove_folder(folder, name, path, err);
	return rt_fail_errno(err, "cannot remove %s in %s", name, path);
}

int rt_remove_all(const char *path, struct rt_error *err)
{
	return remove_at(AT_FDCWD, path, path, err);
}

int rt_sync_dir(const char *path, struct rt_error *err)
{
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int       r = fd < 0 ? -1 : disk_sync(fd);

	if (r < 0)
		r = rt_fail_errno(err, "cannot flush the folder %s", path);
	if (fd >= 0)
		close(fd);
	return r;
}

int rt_rename(const char *from, const char *to, struct rt_error *err)
{
	if (disk_rename(from, to) < 0 || disk_sync_folder_of(to) < 0)
		return rt_fail_errno(err, "cannot rename %s to %s", from, to);
	return 0;
}

int rt_replace(const char *from, const char *to, struct rt_error *err)
{
	int r;

	if (disk_exchange(from, to) == 0) {
		if (disk_sync_folder_of(to) < 0)
			return rt_fail_errno(err, "cannot replace %s", to);
		return rt_remove_all(from, err);
	}
	if (errno != ENOENT && errno != EINVAL && errno != ENOSYS) /* not what it cannot do */
		return rt_fail_errno(err, "cannot replace %s", to);
	r = rt_remove_all(to, err);
	return r < 0 ? r : rt_rename(from, to, err);
}

char *rt_path_join(const char *a, const char *b)
{
	const size_t n = strlen(a);

	if (*b == '/' || n == 0)
		return rt_strdup(b);
	return rt_asprintf("%s%s%s", a, a[n - 1] == '/' ? "" : "/", b);
}
