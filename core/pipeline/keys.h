/* pipeline/keys.h - the key of a stage: a hash of all that determines its result.
 *
 * SHA-256 of this JSON, keys sorted, nothing between the tokens:
 *   { "retort-key": 1, "seed": S, "stage": { "plugin": "stage-reject", "version": "1.0",
 *     "params": { every parameter that matters, defaults filled in;
 *                 an input: { "key": "<its stage's key>/<output>" };
 *                 a file: { "sha256": "<of its content>" } } } }
 * Names, comments, order and place of the file do not enter, so changing them recomputes
 * nothing. */
#ifndef PIPELINE_KEYS_H
#define PIPELINE_KEYS_H

#include "pipeline/pipeline.h"

/* Hash all files, then fill stage->key of every stage, in order.  Errors name the stage. */
int keys_compute(struct pipeline *p, struct rt_error *err);

/* Is every file that stage `s` depends on as it was when its key was computed?  0, or
 * RT_E_IO naming the file. */
int keys_still_true(const struct stage *s, struct rt_error *err);

#endif
