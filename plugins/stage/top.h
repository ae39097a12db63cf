/* top.h - a teacher's most likely tokens in front of every token of the answers, in a file beside
 * the rows: stage-score writes it, stage-distill reads it.
 *
 * top.bin, numbers as this machine has them:
 *     head      "RTTOP1", K, vocabulary, records
 *     record    bytes of the id, tokens, scored labels; the id, filled up with zeros to four bytes;
 *               the tokens; [labels][K] ids, best first; [labels][K] log-probabilities
 * A record is found by the id of its row, and holds only for the tokens that it was made of. */
#ifndef STAGE_TOP_H
#define STAGE_TOP_H

#include <retort/file.h>
#include <retort/train.h>

struct top_head {
	char    magic[8];
	int64_t k, vocabulary, records;
};

extern const char top_magic[8];
extern const char top_file[]; /* its name in the folder of the rows */

/* Labels of a sequence that count in a loss. */
int64_t top_labels(const struct rt_sequence *s);

/* One record: id and logp are those of its labels. */
void top_put(struct rt_file *f, const struct rt_sequence *s, int64_t k, const int32_t *id,
             const float *logp);

/* The K best of V logits in order, of equal ones the smaller id first, and their log-probabilities
 * among all. */
void top_pick(const float *logits, int64_t V, int64_t k, int32_t *id, float *logp);

struct top {
	struct rt_map   map;
	struct rt_json *places; /* id -> offset of its record */
	struct top_head head;
	char           *path;
};

/* The file in the folder of a dataset; RT_E_NOENT where there is none.  t is zeroed before, and
 * closed whatever this returns. */
int  top_open(struct top *t, const char *folder, struct rt_error *err);
void top_close(struct top *t);

/* [labels][K] of a sequence, lent.  RT_E_FORMAT when its row was not scored, or is other tokens. */
int top_find(const struct top *t, const struct rt_sequence *s, const int32_t **ret_id,
             const float **ret_logp, struct rt_error *err);

#endif
