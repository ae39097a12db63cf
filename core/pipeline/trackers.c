/* trackers.c - see make.h: scalars and events go to every tracker that still works. */
#include "pipeline/life.h"
#include "pipeline/make.h"

#include <retort/file.h>
#include <retort/memory.h>
#include <retort/tracker.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

struct trackers {
	struct pipeline  *p;
	struct rt_context context;
	char             *dir;
	bool             *open; /* by index: opened, and has not failed */
	char              problem[RT_ERROR_TEXT + 64];
};

static double wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const struct rt_tracker_ops *ops_of(const struct trackers *t, int64_t i)
{
	return t->p->trackers[i]->plugin->ops.tracker;
}

static void *state_of(const struct trackers *t, int64_t i)
{
	return t->p->trackers[i]->component.state;
}

/* A tracker must not stop a run: note why, and go on without it.  The caller of this room holds
 * the lock under which logs are written, so the warning waits until trackers_close(). */
static void leave_out(struct trackers *t, int64_t i, const struct rt_error *err)
{
	t->open[i] = false;
	if (!*t->problem)
		snprintf(t->problem, sizeof t->problem, "tracker %s was left out after: %s",
		         t->p->trackers[i]->plugin->name, err->msg);
}

int trackers_open(struct trackers **ret, struct pipeline *p, struct store *s,
                  const struct context_sink *sink, struct rt_error *err)
{
	struct trackers *t;
	bool             resumed;
	int              r = 0;

	if (p->n_trackers == 0)
		return 0;
	t = rt_alloc(1, sizeof *t);
	if (!t)
		return rt_fail_nomem(err, "trackers");
	*ret = t;
	t->p = p;
	t->context = (struct rt_context){ .sink = sink, .stage = "trackers" };
	t->open = rt_alloc((size_t)p->n_trackers, sizeof *t->open);
	t->dir = rt_asprintf("%s/%s/logs", store_dir(s), p->name);
	if (!t->open || !t->dir)
		return rt_fail_nomem(err, "trackers");
	resumed = rt_exists(t->dir);
	r = rt_mkdir_all(t->dir, err);
	t->context.work_dir = t->dir;
	for (int64_t i = 0; r == 0 && i < p->n_trackers; i++) {
		r = life_open(p->trackers[i], &t->context, err);
		if (r == 0)
			r = ops_of(t, i)->begin(state_of(t, i), t->dir, p->name, resumed, err);
		t->open[i] = r == 0;
	}
	return r;
}

void trackers_scalar(struct trackers *t, const char *stage, const char *tag, int64_t step,
                     double value)
{
	struct rt_error err = RT_ERROR_INIT;
	char            name[256];

	snprintf(name, sizeof name, "%s/%s", stage, tag);
	for (int64_t i = 0; t && i < t->p->n_trackers; i++)
		if (t->open[i] &&
		    ops_of(t, i)->scalar(state_of(t, i), wall(), name, step, value, &err) < 0)
			leave_out(t, i, &err);
}

void trackers_event(struct trackers *t, const char *stage, const char *name,
                    const struct rt_json *fields)
{
	struct rt_error err = RT_ERROR_INIT;

	for (int64_t i = 0; t && i < t->p->n_trackers; i++)
		if (t->open[i] &&
		    ops_of(t, i)->event(state_of(t, i), wall(), stage, name, fields, &err) < 0)
			leave_out(t, i, &err);
}

static void flush(struct trackers *t)
{
	struct rt_error err = RT_ERROR_INIT;

	for (int64_t i = 0; i < t->p->n_trackers; i++)
		if (t->open[i] && RT_HAS(ops_of(t, i), flush) &&
		    ops_of(t, i)->flush(state_of(t, i), &err) < 0)
			leave_out(t, i, &err);
}

void trackers_state(struct trackers *t, const struct run_news *n)
{
	static const char *const names[] = {
		[RUN_WAITING] = "waiting",
		[RUN_CACHED] = "done already",
		[RUN_LOCKED] = "waiting for another process",
		[RUN_STARTED] = "started",
		[RUN_RESUMED] = "resumed",
		[RUN_DONE] = "done",
		[RUN_FAILED] = "failed",
	};
	struct rt_json *fields = t ? rt_json_new_object() : NULL;

	if (!fields)
		return;
	if (n->state == RUN_DONE || n->state == RUN_FAILED)
		rt_json_set(fields, "seconds", rt_json_new_real(n->seconds));
	if (n->text && *n->text)
		rt_json_set(fields, "text", rt_json_new_string(n->text));
	trackers_event(t, n->stage, names[n->state], fields);
	rt_json_free(fields);
	flush(t);
}

void trackers_close(struct trackers *t)
{
	if (!t)
		return;
	if (t->open && t->dir)
		flush(t);
	if (*t->problem)
		rt_log(&t->context, RT_LOG_WARN, "%s", t->problem);
	for (int64_t i = 0; t->open && i < t->p->n_trackers; i++)
		life_close(t->p->trackers[i]);
	rt_free(t->open);
	rt_free(t->dir);
	rt_free(t);
}
