/* taught.h - what a teacher says about the rows of a batch: a model that runs along, or what
 * stage-score has kept of one (top.h). */
#ifndef STAGE_TAUGHT_H
#define STAGE_TAUGHT_H

#include "top.h"

#include <retort/distill.h>
#include <retort/stage.h>

enum { TAUGHT_CHUNK_BYTES = 64 << 20 }; /* of logits that are there at once */

enum taught_rows { TAUGHT_DATA, TAUGHT_VALIDATION, TAUGHT_ENDS };

struct taught {
	struct rt_model *m; /* NULL: top */
	int64_t          vocabulary, chunk, room, top_k;
	struct rt_pass   pass;
	float           *rows, *logits; /* hidden states that count; logits of a chunk */
	struct top       top[TAUGHT_ENDS];
	const int32_t  **top_id; /* of each row that counts */
	const float    **top_logp;
	int32_t         *id; /* of a chunk, side by side */
	float           *logp;
};

/* teacher NULL: datasets that stage-score has made, validation perhaps NULL.  t is zeroed before,
 * and closed whatever this returns.  [stage] */
int taught_open(struct taught *t, const struct rt_artifact *teacher, const struct rt_artifact *data,
                const struct rt_artifact *validation, struct rt_error *err);
void taught_close(struct taught *t);

/* The rows of these packed sequences whose label counts. */
int taught_batch(struct taught *t, const struct rt_packed *p, const struct rt_sequence *const *s,
                 int64_t n, enum taught_rows from, struct rt_error *err);

/* The teacher's part of d for n of them, at most t->chunk. */
int taught_chunk(struct taught *t, int64_t first, int64_t n, struct rt_distill_rows *d,
                 struct rt_error *err);

#endif
