/* pipeline/run.h - walk a pipeline: do what is missing, keep what is done. */
#ifndef PIPELINE_RUN_H
#define PIPELINE_RUN_H

#include "pipeline/pipeline.h"
#include "pipeline/store.h"

enum run_state {
	RUN_WAITING, /* for inputs, or a free place */
	RUN_CACHED,  /* finished already, nothing to do */
	RUN_LOCKED,  /* another process makes it; waiting for that */
	RUN_STARTED,
	RUN_RESUMED, /* started, and an earlier run has left something to go on from */
	RUN_DONE,
	RUN_FAILED
};

struct run_news {
	const char    *stage;
	enum run_state state;
	double         seconds; /* DONE, FAILED: since it started */
	const char *text; /* FAILED: why; DONE, CACHED: what it holds ("13084 rows"); else NULL */
	int64_t     position; /* in the order of stages, from 0 */
};

/* One call at a time, from any thread. */
struct run_listener {
	void *arg;
	void (*news)(void *arg, const struct run_news *n);
	void (*log)(void *arg, const char *stage, enum rt_level level, const char *text);
	void (*progress)(void *arg, const char *stage, int64_t done, int64_t total,
	                 const char *unit);
};

struct run_options {
	const char                *only; /* this stage and what it needs; NULL: all */
	int64_t                    jobs; /* stages at the same time */
	const struct run_listener *listener;
};

/* Keys must have been computed.  0; or the error of the stage that failed first, "stage NAME: "
 * in front; RT_E_GATE when a gate was not met, now or in an earlier run; RT_E_CANCEL. */
int run_pipeline(struct pipeline *p, struct store *s, const struct run_options *o,
                 struct rt_error *err);

/* Ask the run to end soon.  For signal handlers. */
void run_cancel(void);

/* Which stages `only` needs, itself included, into needed[n]. */
int run_needed(const struct pipeline *p, const char *only, bool *needed, struct rt_error *err);

/* "13084 rows", or "" when there is nothing to say about an object's default output. */
void run_describe(const struct store *s, const struct stage *st, char *out, size_t n);

#endif
