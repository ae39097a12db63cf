/* folder.c - see make.h: a run's folder, DIR/PIPELINE, and its run.json. */
#include "pipeline/make.h"

#include <retort/file.h>
#include <retort/memory.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rt_json *stage_json(const struct stage *s)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0)
		r |= rt_json_set(o, "name", rt_json_new_string(s->name));
	if (r == 0)
		r |= rt_json_set(o, "plugin", rt_json_new_string(s->top->plugin->name));
	if (r == 0)
		r |= rt_json_set(o, "key", rt_json_new_string(s->key));
	if (r == 0 && *s->suffix)
		r |= rt_json_set(o, "repeat", rt_json_new_bool(true));
	if (r < 0) {
		rt_json_free(o);
		return NULL;
	}
	return o;
}

static int write_run(const struct pipeline *p, const char *path, struct rt_error *err)
{
	struct rt_json *o = rt_json_new_object(), *stages = rt_json_new_array();
	int             r = o && stages ? 0 : RT_E_NOMEM;

	for (int64_t k = 0; r == 0 && k < p->n; k++)
		r |= rt_json_append(stages, stage_json(&p->stages[p->order[k]]));
	if (r == 0) {
		r |= rt_json_set(o, "retort", rt_json_new_int(1));
		r |= rt_json_set(o, "pipeline", rt_json_new_string(p->name));
		r |= rt_json_set(o, "seed", rt_json_new_int(p->seed));
		r |= rt_json_set(o, "stages", stages);
	} else {
		rt_json_free(stages);
	}
	r = r < 0 ? rt_fail_nomem(err, "run.json") : rt_json_write(o, RT_JSON_INDENT, path, err);
	rt_json_free(o);
	return r;
}

struct tidy {
	const struct pipeline *p;
	const char            *dir;
};

/* Is `name` "stage" or "stage.output" of this pipeline? */
static bool is_ours(const struct pipeline *p, const char *name)
{
	for (int64_t i = 0; i < p->n; i++) {
		const size_t n = strlen(p->stages[i].name);

		if (strncmp(name, p->stages[i].name, n) == 0 && (name[n] == '\0' || name[n] == '.'))
			return true;
	}
	return false;
}

/* ".tmp-PID...": what a process that is no more has not finished. */
static bool is_left_over(const char *name)
{
	const long pid = strncmp(name, ".tmp-", 5) == 0 ? strtol(name + 5, NULL, 10) : 0;

	return pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* A link into the store that no stage of the pipeline stands for any more. */
static bool is_stale_link(const char *path)
{
	static const char prefix[] = "../.store/objects/";
	char              target[sizeof prefix] = "";

	return readlink(path, target, sizeof target - 1) == (ssize_t)sizeof target - 1 &&
	       strcmp(target, prefix) == 0;
}

static int tidy_entry(void *arg, const char *name, bool is_dir, struct rt_error *err)
{
	const struct tidy *t = arg;
	char              *path;
	int                r = 0;

	(void)is_dir;
	if (is_ours(t->p, name))
		return 0;
	path = rt_path_join(t->dir, name);
	if (!path)
		return rt_fail_nomem(err, name);
	if (is_left_over(name) || (name[0] != '.' && is_stale_link(path)))
		r = rt_remove_all(path, err);
	rt_free(path);
	return r;
}

int make_run_folder(const struct pipeline *p, struct store *store, struct rt_error *err)
{
	char       *dir = rt_path_join(store_dir(store), p->name);
	char       *file = dir ? rt_path_join(dir, "run.json") : NULL;
	struct tidy t = { p, dir };
	int         r = file ? rt_mkdir_all(dir, err) : rt_fail_nomem(err, "the run's folder");

	if (r == 0)
		r = write_run(p, file, err);
	if (r == 0)
		r = rt_list_dir(dir, tidy_entry, &t, err);
	rt_free(dir);
	rt_free(file);
	return r;
}
