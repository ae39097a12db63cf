/* run.c - see run.h: which stage goes when, and what is told about it. */
#include "pipeline/run.h"

#include "base/fault.h"
#include "pipeline/make.h"

#include <retort/file.h>
#include <retort/memory.h>
#include <retort/random.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_int cancelled; /* set in a signal handler, read by every thread */

struct job {
	struct run     *run;
	struct stage   *stage;
	int64_t         position;
	enum run_state  state;
	pthread_t       thread;
	bool            needed, joined;
	int             result;
	struct rt_error err;
};

struct run {
	struct pipeline          *p;
	struct store             *store;
	const struct run_options *o;
	struct trackers          *trackers;
	struct job               *jobs; /* by index of the stage */
	struct context_sink       sink;
	pthread_mutex_t           lock, speak; /* states; listener and trackers */
	pthread_cond_t            ended;
	int64_t                   running;
};

void run_cancel(void)
{
	cancelled = 1;
}

static bool is_cancelled(void *arg)
{
	(void)arg;
	if (fault_cancel())
		run_cancel();
	return cancelled != 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void tell(struct job *j, enum run_state state, double seconds, const char *text)
{
	struct run           *run = j->run;
	const struct run_news n = { j->stage->name, state, seconds, text, j->position };

	pthread_mutex_lock(&run->speak);
	if (run->o->listener && run->o->listener->news)
		run->o->listener->news(run->o->listener->arg, &n);
	trackers_state(run->trackers, &n);
	pthread_mutex_unlock(&run->speak);
}

/* What contexts hand on. */

static void on_log(void *arg, const char *stage, enum rt_level level, const char *text)
{
	struct run *run = arg;

	pthread_mutex_lock(&run->speak);
	if (run->o->listener && run->o->listener->log)
		run->o->listener->log(run->o->listener->arg, stage, level, text);
	pthread_mutex_unlock(&run->speak);
}

static void on_progress(void *arg, const char *stage, int64_t done, int64_t total, const char *unit)
{
	struct run *run = arg;

	pthread_mutex_lock(&run->speak);
	if (run->o->listener && run->o->listener->progress)
		run->o->listener->progress(run->o->listener->arg, stage, done, total, unit);
	pthread_mutex_unlock(&run->speak);
}

static void on_scalar(void *arg, const char *stage, const char *tag, int64_t step, double value)
{
	struct run *run = arg;

	pthread_mutex_lock(&run->speak);
	trackers_scalar(run->trackers, stage, tag, step, value);
	pthread_mutex_unlock(&run->speak);
}

static void on_event(void *arg, const char *stage, const char *name, const struct rt_json *fields)
{
	struct run *run = arg;

	pthread_mutex_lock(&run->speak);
	trackers_event(run->trackers, stage, name, fields);
	pthread_mutex_unlock(&run->speak);
}

/* A short sleep between two looks at a lock that another process holds. */
static void pause_a_little(void)
{
	const struct timespec t = { 0, 50 * 1000 * 1000 };

	nanosleep(&t, NULL);
}

static int wait_for_lock(struct job *j, struct store_lock **ret, struct rt_error *err)
{
	bool told = false;
	int  r;

	while ((r = store_lock(j->run->store, j->stage->key, ret, err)) == RT_E_BUSY) {
		if (cancelled)
			return rt_fail(err, RT_E_CANCEL,
			               "cancelled while another process was making it");
		if (!told)
			tell(j, RUN_LOCKED, 0, NULL);
		told = true;
		pause_a_little();
	}
	return r;
}

/* A gate that was not met is an error every time, also when nothing is computed. */
static int check_gate(struct job *j, struct rt_error *err)
{
	struct rt_json *manifest;
	const char     *why;
	int             r = store_manifest(j->run->store, j->stage->key, &manifest, err);

	if (r < 0)
		return r;
	why = rt_json_string(rt_json_get(manifest, "gate"));
	if (why)
		r = rt_fail(err, RT_E_GATE, "%s", why);
	rt_json_free(manifest);
	return r;
}

static int link_outputs(struct job *j, struct rt_error *err)
{
	const struct rt_stage_output *out = stage_ops(j->stage)->outputs;
	char                          name[160];
	int                           r = 0;

	for (int64_t i = 0; r == 0 && i < j->stage->n_outputs; i++) {
		snprintf(name, sizeof name, i ? "%s.%s" : "%s", j->stage->name, out[i].name);
		r = store_link(j->run->store, j->run->p->name, name, j->stage->key, out[i].name,
		               err);
	}
	return r;
}

static int finish(struct job *j, struct rt_error *err)
{
	int r = link_outputs(j, err);

	return r < 0 ? r : check_gate(j, err);
}

/* What was finished some time ago is taken as it is, unless somebody has changed it since. */
static int finish_cached(struct job *j, struct rt_error *err)
{
	int r = store_check_sizes(j->run->store, j->stage->key, err);

	return r < 0 ? r : finish(j, err);
}

static int work(struct job *j, bool *ret_cached, struct rt_error *err)
{
	struct run        *run = j->run;
	struct store_lock *lock = NULL;
	int                r = wait_for_lock(j, &lock, err);

	if (r < 0)
		return r;
	*ret_cached = store_has(run->store, j->stage->key);
	if (!*ret_cached) {
		bool resumed = make_has_begun(run->store, j->stage);

		tell(j, resumed ? RUN_RESUMED : RUN_STARTED, 0, NULL);
		r = make_stage(run->p, j->stage, run->store, &run->sink, err);
	}
	store_unlock(lock);
	if (r < 0)
		return r;
	return *ret_cached ? finish_cached(j, err) : finish(j, err);
}

static void *job_main(void *arg)
{
	struct job  *j = arg;
	struct run  *run = j->run;
	const double start = now();
	char         text[64];
	bool         cached = false;
	int          r = work(j, &cached, &j->err);

	if (r < 0) {
		rt_within(&j->err, r, "stage %s", j->stage->name);
		context_redact(j->err.msg);
		tell(j, RUN_FAILED, now() - start, j->err.msg);
	} else {
		run_describe(run->store, j->stage, text, sizeof text);
		tell(j, cached ? RUN_CACHED : RUN_DONE, now() - start, text);
	}
	pthread_mutex_lock(&run->lock);
	j->result = r;
	j->state = r < 0 ? RUN_FAILED : RUN_DONE;
	run->running--;
	pthread_cond_signal(&run->ended);
	pthread_mutex_unlock(&run->lock);
	return NULL;
}

static bool inputs_done(const struct run *run, const struct job *j)
{
	for (int64_t i = 0; i < j->stage->n_inputs; i++) {
		const enum run_state s = run->jobs[j->stage->inputs[i].stage].state;

		if (s != RUN_DONE && s != RUN_CACHED)
			return false;
	}
	return true;
}

/* A finished stage needs no thread: its links are renewed and it is said to be done. */
static int take_cached(struct job *j)
{
	char text[64];

	j->result = finish_cached(j, &j->err);
	j->state = j->result < 0 ? RUN_FAILED : RUN_CACHED;
	if (j->result < 0) {
		rt_within(&j->err, j->result, "stage %s", j->stage->name);
		tell(j, RUN_FAILED, 0, j->err.msg);
	} else {
		run_describe(j->run->store, j->stage, text, sizeof text);
		tell(j, RUN_CACHED, 0, text);
	}
	return j->result;
}

/* Under the lock.  Start what can be; the number of jobs that failed so far. */
static int64_t start_ready(struct run *run)
{
	int64_t failed = 0;

	for (int64_t k = 0; k < run->p->n; k++) {
		struct job *j = &run->jobs[run->p->order[k]];

		if (j->state == RUN_FAILED)
			failed++;
		if (failed || cancelled || !j->needed || j->state != RUN_WAITING ||
		    !inputs_done(run, j))
			continue;
		if (store_has(run->store, j->stage->key)) {
			failed += take_cached(j) < 0;
			continue;
		}
		if (run->running >= run->o->jobs)
			continue;
		j->state = RUN_STARTED;
		if (pthread_create(&j->thread, NULL, job_main, j) != 0) {
			j->result = rt_fail(&j->err, RT_E_NOMEM, "stage %s: cannot start a thread",
			                    j->stage->name);
			j->state = RUN_FAILED;
			failed++;
			continue;
		}
		j->joined = true;
		run->running++;
	}
	return failed;
}

static void loop(struct run *run)
{
	pthread_mutex_lock(&run->lock);
	while (start_ready(run), run->running > 0)
		pthread_cond_wait(&run->ended, &run->lock);
	pthread_mutex_unlock(&run->lock);
	for (int64_t i = 0; i < run->p->n; i++)
		if (run->jobs[i].joined)
			pthread_join(run->jobs[i].thread, NULL);
}

/* The first failure in order of stages; a cancelled run is cancelled whatever else failed. */
static int outcome(const struct run *run, struct rt_error *err)
{
	if (cancelled)
		return rt_fail(err, RT_E_CANCEL, "interrupted; run again to go on from here");
	for (int64_t k = 0; k < run->p->n; k++) {
		const struct job *j = &run->jobs[run->p->order[k]];

		if (j->result < 0) {
			if (err)
				*err = j->err;
			return j->result;
		}
	}
	return 0;
}

int run_needed(const struct pipeline *p, const char *only, bool *needed, struct rt_error *err)
{
	const int64_t goal = only ? pipeline_find(p, only) : -1;

	if (only && goal < 0)
		return rt_fail(err, RT_E_USAGE, "--only %s: the pipeline has no stage of this name",
		               only);
	for (int64_t i = 0; i < p->n; i++)
		needed[i] = !only || i == goal;
	for (int64_t k = p->n - 1; k >= 0; k--) {
		const struct stage *s = &p->stages[p->order[k]];

		for (int64_t i = 0; needed[p->order[k]] && i < s->n_inputs; i++)
			needed[s->inputs[i].stage] = true;
	}
	return 0;
}

void run_describe(const struct store *s, const struct stage *st, char *out, size_t n)
{
	struct rt_json *m;
	int64_t         rows;

	out[0] = '\0';
	if (store_manifest(s, st->key, &m, NULL) < 0)
		return;
	rows = rt_json_int(
		rt_json_get(rt_json_get(rt_json_get(m, "outputs"), stage_ops(st)->outputs[0].name),
	                    "rows"),
		-1);
	if (rows >= 0)
		snprintf(out, n, "%lld row%s", (long long)rows, rows == 1 ? "" : "s");
	rt_json_free(m);
}

static int prepare(struct run *run, struct rt_error *err)
{
	bool *needed = rt_alloc((size_t)run->p->n, sizeof *needed);
	int   r;

	run->jobs = rt_alloc((size_t)run->p->n, sizeof *run->jobs);
	r = needed && run->jobs ? run_needed(run->p, run->o->only, needed, err)
	                        : rt_fail_nomem(err, "a run");
	for (int64_t k = 0; r == 0 && k < run->p->n; k++) {
		const int64_t i = run->p->order[k];

		run->jobs[i] = (struct job){
			.run = run, .stage = &run->p->stages[i], .position = k, .needed = needed[i]
		};
	}
	rt_free(needed);
	if (r == 0)
		r = make_run_folder(run->p, run->store, err);
	if (r == 0)
		r = trackers_open(&run->trackers, run->p, run->store, &run->sink, err);
	return r;
}

int run_pipeline(struct pipeline *p, struct store *s, const struct run_options *o,
                 struct rt_error *err)
{
	struct run run = {
		.p = p,
		.store = s,
		.o = o,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.speak = PTHREAD_MUTEX_INITIALIZER,
		.ended = PTHREAD_COND_INITIALIZER,
		.sink = { NULL, on_log, on_progress, on_scalar, on_event, is_cancelled },
	};
	int r;

	run.sink.arg = &run;
	r = prepare(&run, err);
	if (r == 0) {
		loop(&run);
		r = outcome(&run, err);
	}
	trackers_close(run.trackers);
	rt_free(run.jobs);
	return r;
}
