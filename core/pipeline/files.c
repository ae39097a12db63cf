/* files.c - see files.h */
#include "pipeline/files.h"

#include "base/fault.h"

#include <retort/file.h>
#include <retort/hash.h>
#include <retort/memory.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct listing {
	const char     *dir;   /* of the artifact */
	const char     *below; /* the folder being listed, relative; "" at the top */
	struct rt_json *files;
	bool            flush;
};

static int flush_file(const char *path, struct rt_error *err)
{
	const int fd = fault_disk() ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	int       r = 0;

	if (fd < 0 || fsync(fd) != 0)
		r = rt_fail_errno(err, "cannot flush %s", path);
	if (fd >= 0)
		close(fd);
	return r;
}

static int add_file(struct listing *l, const char *relative, const char *path, struct rt_error *err)
{
	struct rt_json *o;
	char            hash[RT_HASH_HEX];
	int64_t         size;
	int             r = l->flush ? flush_file(path, err) : 0;

	if (r == 0)
		r = rt_hash_file(path, hash, &size, err);
	if (r < 0)
		return r;
	o = rt_json_new_object();
	if (!o || rt_json_set(o, "path", rt_json_new_string(relative)) < 0 ||
	    rt_json_set(o, "size", rt_json_new_int(size)) < 0 ||
	    rt_json_set(o, "sha256", rt_json_new_string(hash)) < 0) {
		rt_json_free(o);
		return rt_fail_nomem(err, "a manifest");
	}
	return rt_json_append(l->files, o) < 0 ? rt_fail_nomem(err, "a manifest") : 0;
}

static int list(struct listing *l, const char *path, struct rt_error *err);

static int add_entry(void *arg, const char *name, bool is_dir, struct rt_error *err)
{
	struct listing *l = arg, deeper = *l;
	char           *relative = *l->below ? rt_path_join(l->below, name) : rt_strdup(name);
	char           *path = relative ? rt_path_join(l->dir, relative) : NULL;
	struct stat     st;
	int             r;

	if (!path)
		r = rt_fail_nomem(err, name);
	else if (lstat(path, &st) != 0)
		r = rt_fail_errno(err, "cannot look at %s", path);
	else if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		r = rt_fail(err, RT_E_FORMAT,
		            "%s is a link or special file, which an artifact cannot hold", path);
	else if (is_dir) {
		deeper.below = relative;
		r = list(&deeper, path, err);
	} else
		r = add_file(l, relative, path, err);
	rt_free(relative);
	rt_free(path);
	return r;
}

static int list(struct listing *l, const char *path, struct rt_error *err)
{
	int r = rt_list_dir(path, add_entry, l, err);

	return r < 0 || !l->flush ? r : rt_sync_dir(path, err);
}

int files_describe(const char *dir, bool flush, struct rt_json **ret, struct rt_error *err)
{
	struct listing l = { dir, "", rt_json_new_array(), flush };
	int            r = l.files ? list(&l, dir, err) : rt_fail_nomem(err, "a manifest");

	if (r < 0)
		rt_json_free(l.files);
	else
		*ret = l.files;
	return r;
}

static const char *path_at(const struct rt_json *files, size_t i)
{
	return rt_json_string(rt_json_get(rt_json_at(files, i), "path"));
}

static int differ(const char *dir, const struct rt_json *want, const struct rt_json *have, size_t i,
                  struct rt_error *err)
{
	const char *a = path_at(want, i), *b = path_at(have, i);

	if (a && (!b || strcmp(a, b) < 0))
		return rt_fail(err, RT_E_FORMAT, "%s/%s is missing", dir, a);
	if (b && (!a || strcmp(b, a) < 0))
		return rt_fail(err, RT_E_FORMAT,
		               "%s/%s was not there when the artifact was finished", dir, b);
	return rt_fail(err, RT_E_FORMAT, "%s/%s has changed since the artifact was finished", dir,
	               a ? a : "?");
}

int files_compare(const char *dir, const struct rt_json *files, struct rt_error *err)
{
	struct rt_json *have;
	const size_t    n = rt_json_length(files);
	int             r = files_describe(dir, false, &have, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && (i < n || i < rt_json_length(have)); i++)
		if (!rt_json_at(files, i) ||
		    !rt_json_equal(rt_json_at(files, i), rt_json_at(have, i)))
			r = differ(dir, files, have, i, err);
	rt_json_free(have);
	return r;
}

/* The folder of `path` with a name for a link that is not in place yet. */
static char *link_temporary(const char *path)
{
	static atomic_long number; /* stages that end side by side have links of their own */
	const char        *slash = strrchr(path, '/');

	return rt_asprintf("%.*s/.tmp-%ld-link%ld", (int)(slash ? slash - path : 1),
	                   slash ? path : ".", (long)getpid(), atomic_fetch_add(&number, 1));
}

int files_link(const char *target, const char *path, struct rt_error *err)
{
	char        now[512], *tmp;
	struct stat st;
	ssize_t     n = readlink(path, now, sizeof now - 1);
	int         r = 0;

	if (n >= 0) {
		now[n] = '\0';
		if (strcmp(now, target) == 0)
			return 0;
	} else if (lstat(path, &st) == 0) {
		return rt_fail(err, RT_E_IO,
		               "%s is in the way: it is no link of a run; move it elsewhere", path);
	}
	tmp = link_temporary(path);
	if (!tmp)
		return rt_fail_nomem(err, path);
	unlink(tmp);
	if (fault_disk() || symlink(target, tmp) != 0 || fault_disk() || rename(tmp, path) != 0)
		r = rt_fail_errno(err, "cannot make the link %s", path);
	if (r < 0)
		unlink(tmp);
	rt_free(tmp);
	return r;
}
