/* retort/context.h - what a run lends a plugin for as long as it is open.
 *
 * A stage and all components inside it share one context.  Every function here may be
 * called from any thread. */
#ifndef RETORT_CONTEXT_H
#define RETORT_CONTEXT_H

#include <retort/error.h>
#include <retort/json.h>

#include <stdbool.h>
#include <stdint.h>

struct rt_context;

enum rt_level { RT_LOG_ERROR, RT_LOG_WARN, RT_LOG_INFO, RT_LOG_DEBUG };

/* One line, no newline; the host adds time, level and stage.  Values that rt_env() lent are
 * blacked out.  Errors are returned, not logged: WARN is the worst a plugin says itself. */
void rt_log(struct rt_context *c, enum rt_level level, const char *fmt, ...) RT_PRINTF(3, 4);

/* `done` of `total` units are finished (total < 0: nobody knows), for the living line with
 * rate and time left.  Cheap: call it as often as it is true.  unit: "rows", "steps", ... */
void rt_progress(struct rt_context *c, int64_t done, int64_t total, const char *unit);

/* The user wants to stop.  Long work asks every few milliseconds to seconds, keeps what it
 * has in rt_work_dir(), and returns RT_E_CANCEL. */
bool rt_cancelled(struct rt_context *c);

/* The seed of this stage: a function of the seed in the file (the stage's, or the pipeline's) and
 * of all that makes the stage what it is, not of its name or place.  For rt_random_*() of
 * retort/random.h. */
uint64_t rt_seed(const struct rt_context *c);

/* A folder of this stage's own that survives a crash: journals and partial results, found
 * again by the next run of the same stage, and gone when the stage has finished. */
const char *rt_work_dir(const struct rt_context *c);

/* The value of an environment variable that a parameter with RT_P_ENV names, or NULL with *err
 * set when it is unset or empty.  From then on the value, if it has at least four bytes, is blacked
 * out of every log line and error message.  The text belongs to the host. */
const char *rt_env(struct rt_context *c, const char *name, struct rt_error *err);

/* A scalar of this run (`train/loss`, `reward`, ...) for the trackers; an event with fields. */
void rt_scalar(struct rt_context *c, const char *tag, int64_t step, double value);
void rt_event(struct rt_context *c, const char *name, const struct rt_json *fields);

#endif
