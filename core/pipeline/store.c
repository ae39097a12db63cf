/* store.c - see store.h: opening, locks, beginning and committing an object. */
#include "pipeline/store.h"

#include "pipeline/files.h"

#include <retort/file.h>
#include <retort/memory.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct store {
	char *dir, *root; /* DIR, DIR/.store */
	int   lock;
};

struct store_lock {
	int fd;
};

static const char *const areas[] = { "objects", "work", "tmp", "locks", NULL };

const char *store_dir(const struct store *s)
{
	return s->dir;
}

char *store_path(const struct store *s, const char *area, const char *key, const char *rest)
{
	if (!key)
		return rt_asprintf("%s/%s", s->root, area);
	return rest ? rt_asprintf("%s/%s/%s/%s", s->root, area, key, rest)
	            : rt_asprintf("%s/%s/%s", s->root, area, key);
}

static int make_areas(const struct store *s, struct rt_error *err)
{
	int r = 0;

	for (int i = 0; r == 0 && areas[i]; i++) {
		char *path = store_path(s, areas[i], NULL, NULL);

		r = path ? rt_mkdir_all(path, err) : rt_fail_nomem(err, "the store");
		rt_free(path);
	}
	return r;
}

/* Open and flock a lock file; *ret is its descriptor. */
static int lock_file(const char *path, int how, int *ret, struct rt_error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0 && (errno == EROFS || errno == EACCES) && how == LOCK_SH)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return rt_fail_errno(err, "cannot open %s", path);
	if (flock(fd, how | LOCK_NB) != 0) {
		int r = errno == EWOULDBLOCK
		                ? rt_fail(err, RT_E_BUSY, "%s is held by another process", path)
		                : rt_fail_errno(err, "cannot lock %s", path);

		close(fd);
		return r;
	}
	*ret = fd;
	return 0;
}

int store_open(struct store **ret, const char *dir, bool create, bool alone, struct rt_error *err)
{
	struct store *s = rt_alloc(1, sizeof *s);
	char         *lock = NULL;
	int           r = 0;

	if (!s)
		return rt_fail_nomem(err, "the store");
	s->lock = -1;
	s->dir = rt_strdup(dir);
	s->root = rt_asprintf("%s/.store", dir);
	lock = rt_asprintf("%s/.store/lock", dir);
	if (!s->dir || !s->root || !lock)
		r = rt_fail_nomem(err, "the store");
	if (r == 0 && !create && !rt_exists(s->root))
		r = rt_fail(err, RT_E_NOENT,
		            "there are no runs in %s; name their folder with --runs", dir);
	if (r == 0 && create)
		r = make_areas(s, err);
	if (r == 0)
		r = lock_file(lock, alone ? LOCK_EX : LOCK_SH, &s->lock, err);
	if (r == RT_E_BUSY)
		r = rt_fail(err, r,
		            "%s is in use by another retort process; wait for it and try again",
		            s->root);
	rt_free(lock);
	if (r < 0)
		store_close(s);
	else
		*ret = s;
	return r;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->lock >= 0)
		close(s->lock);
	rt_free(s->dir);
	rt_free(s->root);
	rt_free(s);
}

bool store_has(const struct store *s, const char *key)
{
	char *path = store_path(s, "objects", key, "artifact.json");
	bool  there = path && rt_exists(path);

	rt_free(path);
	return there;
}

/* Reads an object that has `member`, of the given type.  Whatever else is there is RT_E_FORMAT. */
static int read_object(const char *path, const char *member, enum rt_json_type type,
                       struct rt_json **ret, struct rt_error *err)
{
	struct rt_json *o;
	int             r = rt_json_read(path, 0, &o, err);

	if (r < 0)
		return r;
	if (!rt_json_is(rt_json_get(o, member), type)) {
		rt_json_free(o);
		return rt_fail(err, RT_E_FORMAT, "%s lacks its '%s'", path, member);
	}
	*ret = o;
	return 0;
}

int store_manifest(const struct store *s, const char *key, struct rt_json **ret,
                   struct rt_error *err)
{
	char           *folder = store_path(s, "objects", key, NULL);
	char           *path = store_path(s, "objects", key, "artifact.json");
	struct rt_error why = RT_ERROR_INIT;
	int             r = folder && path ? 0 : rt_fail_nomem(&why, "a manifest");

	if (r == 0)
		r = read_object(path, "outputs", RT_JSON_OBJECT, ret, &why);
	if (r == RT_E_FORMAT)
		rt_fail(err, r, "%s: remove the folder %s and run the pipeline again", why.msg,
		        folder);
	else if (r < 0 && err)
		*err = why;
	rt_free(folder);
	rt_free(path);
	return r;
}

int store_run(const struct store *s, const char *pipeline, struct rt_json **ret,
              struct rt_error *err)
{
	char           *path = rt_asprintf("%s/%s/run.json", s->dir, pipeline);
	struct rt_error why = RT_ERROR_INIT;
	int             r = 0;

	if (!path)
		r = rt_fail_nomem(&why, "a path");
	else if (!rt_exists(path))
		r = rt_fail(&why, RT_E_NOENT,
		            "there is no run of a pipeline '%s' in %s; `retort runs` lists them",
		            pipeline, s->dir);
	else
		r = read_object(path, "stages", RT_JSON_ARRAY, ret, &why);
	if (r == RT_E_FORMAT)
		rt_fail(err, r,
		        "%s: run the pipeline again, which writes it anew, or let `retort runs "
		        "remove %s` forget it",
		        why.msg, pipeline);
	else if (r < 0 && err)
		*err = why;
	rt_free(path);
	return r;
}

int store_lock(struct store *s, const char *key, struct store_lock **ret, struct rt_error *err)
{
	struct store_lock *l = rt_alloc(1, sizeof *l);
	char              *path = store_path(s, "locks", key, NULL);
	int r = l && path ? lock_file(path, LOCK_EX, &l->fd, err) : rt_fail_nomem(err, "a lock");

	rt_free(path);
	if (r < 0)
		rt_free(l);
	else
		*ret = l;
	return r;
}

void store_unlock(struct store_lock *l)
{
	if (l)
		close(l->fd);
	rt_free(l);
}

int store_begin(struct store *s, const char *key, struct rt_error *err)
{
	char *tmp = store_path(s, "tmp", key, NULL), *work = store_path(s, "work", key, NULL);
	char *object = store_path(s, "objects", key, NULL);
	int   r = tmp && work && object ? 0 : rt_fail_nomem(err, "the store");

	if (r == 0)
		r = rt_remove_all(tmp, err);
	if (r == 0 && !store_has(s, key)) /* somebody has taken the manifest away */
		r = rt_remove_all(object, err);
	if (r == 0)
		r = rt_mkdir_all(tmp, err);
	if (r == 0)
		r = rt_mkdir_all(work, err);
	rt_free(tmp);
	rt_free(work);
	rt_free(object);
	return r;
}

/* Fill in the files of each output by reading back what lies there. */
static int describe_outputs(const char *tmp, const struct rt_json *outputs, struct rt_error *err)
{
	for (struct rt_json_iter i = rt_json_first(outputs); i.key; rt_json_next(&i)) {
		char           *path = rt_path_join(tmp, i.key);
		struct rt_json *files = NULL;
		int             r = path ? files_describe(path, true, &files, err)
		                         : rt_fail_nomem(err, "a manifest");

		rt_free(path);
		if (r == 0 && rt_json_set(i.value, "files", files) < 0)
			r = rt_fail_nomem(err, "a manifest");
		if (r < 0)
			return rt_within(err, r, "output %s", i.key);
	}
	return 0;
}

int store_commit(struct store *s, const char *key, struct rt_json *manifest, struct rt_error *err)
{
	char *tmp = store_path(s, "tmp", key, NULL),
	     *file = store_path(s, "tmp", key, "artifact.json");
	char *object = store_path(s, "objects", key, NULL),
	     *work = store_path(s, "work", key, NULL);
	int r = tmp && file && object && work ? 0 : rt_fail_nomem(err, "the store");

	if (r == 0)
		r = describe_outputs(tmp, rt_json_get(manifest, "outputs"), err);
	if (r == 0)
		r = rt_json_write(manifest, RT_JSON_INDENT, file, err);
	if (r == 0)
		r = rt_sync_dir(tmp, err);
	if (r == 0)
		r = rt_rename(tmp, object, err);
	if (r == 0)
		rt_remove_all(work, NULL); /* if it stays, the garbage collector finds it */
	rt_free(tmp);
	rt_free(file);
	rt_free(object);
	rt_free(work);
	return r;
}

int store_link(struct store *s, const char *pipeline, const char *name, const char *key,
               const char *output, struct rt_error *err)
{
	char *target = rt_asprintf("../.store/objects/%s/%s", key, output);
	char *path = rt_asprintf("%s/%s/%s", s->dir, pipeline, name);
	int   r = target && path ? files_link(target, path, err) : rt_fail_nomem(err, "a link");

	rt_free(target);
	rt_free(path);
	return r;
}
