/* pipeline/pipeline.h - a description that has been read, checked and put in order.
 *
 *     retort = 1;  name = "assistant";  seed = 7;
 *     stages = ( { name = "pool"; use = "dataset"; paths = "data/train.jsonl"; }, ... );
 *     trackers = ( { use = "tensorboard"; } );                              (optional)
 *     repeat = { seeds = ( 8, 9 ); stages = ( "blank", "tuned" ); };        (optional)
 *
 * Reading opens plugins (their data), never runs more of them than check(). */
#ifndef PIPELINE_PIPELINE_H
#define PIPELINE_PIPELINE_H

#include "pipeline/bind.h"

#include <retort/hash.h>
#include <retort/stage.h>

/* An input of a stage: which output of which stage. */
struct edge {
	int64_t            stage, output; /* -1: not resolved */
	const struct ref  *ref;
	struct rt_artifact artifact; /* what the config's field points to */
};

struct stage {
	const char           *name, *suffix; /* suffix: "_SEED" of a repeat, else "" */
	const struct setting *at;
	struct instance      *top; /* NULL: its plugin could not be had */
	struct ref           *refs;
	struct edge          *inputs;
	int64_t               n_inputs;
	int64_t               n_outputs;
	int64_t               seed; /* the pipeline's, or one of its own */
	bool                  result, used;
	char                  key[RT_HASH_HEX]; /* by plan_keys(); "" before */
};

struct pipeline {
	const char       *name, *file;
	int64_t           seed;
	struct stage     *stages;
	int64_t           n;
	int64_t          *order; /* indices, every stage behind its inputs */
	struct instance **trackers;
	struct ref       *tracker_refs;
	int64_t           n_trackers;
	struct rt_arena   arena;
};

struct pipeline_options {
	const char *const *set; /* --set: assignments, in order */
	int64_t            n_set;
};

/* Everything that is wrong goes to *report, whose arena is the pipeline's.  Returns 0, or
 * RT_E_USAGE when there are errors: *ret is then only good for pipeline_free() and the
 * report.  RT_E_IO, RT_E_NOENT, RT_E_NOMEM when it could not even be read. */
int  pipeline_read(const char *file, const struct pipeline_options *options, struct pipeline *ret,
                   struct report *report, struct rt_error *err);
void pipeline_free(struct pipeline *p);

/* Index of a stage, or -1. */
int64_t pipeline_find(const struct pipeline *p, const char *name);

const struct rt_stage_ops *stage_ops(const struct stage *s);
const char                *artifact_type_name(unsigned type);

#endif
