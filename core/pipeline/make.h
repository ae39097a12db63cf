/* pipeline/make.h - one stage, from its inputs to its object in the store. */
#ifndef PIPELINE_MAKE_H
#define PIPELINE_MAKE_H

#include "pipeline/run.h"
#include "plugin/context.h"

/* The lock on the stage's key is held.  Opens, runs, checks, commits. */
int make_stage(const struct pipeline *p, struct stage *s, struct store *store,
               const struct context_sink *sink, struct rt_error *err);

/* Has an earlier run left something in the stage's work folder? */
bool make_has_begun(const struct store *store, const struct stage *s);

/* DIR/PIPELINE with run.json; links of stages that the pipeline no longer has go away. */
int make_run_folder(const struct pipeline *p, struct store *store, struct rt_error *err);

/* The trackers of a run.  All but open accept NULL.  A tracker that fails is left out from then on.
 */
struct trackers;
int  trackers_open(struct trackers **ret, struct pipeline *p, struct store *s,
                   const struct context_sink *sink, struct rt_error *err);
void trackers_scalar(struct trackers *t, const char *stage, const char *tag, int64_t step,
                     double value);
void trackers_event(struct trackers *t, const char *stage, const char *name,
                    const struct rt_json *fields);
void trackers_state(struct trackers *t, const struct run_news *n);
void trackers_close(struct trackers *t);

#endif
