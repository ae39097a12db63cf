/* cut-text.h - a byte-level BPE tokenizer without some of its tokens.
 *
 * Kept are, besides the tokens that are wanted, the bytes, the added tokens, those that
 * configurations name, and both parts of every merge that makes a token that is kept.  Merges stay
 * when both parts and the result do.  So a text that was segmented into tokens that are kept is so
 * still: every merge that was done in it is inside of one of its tokens, hence kept, and at each
 * step it was the first of more that could be done. */
#ifndef STAGE_CUT_TEXT_H
#define STAGE_CUT_TEXT_H

#include <retort/train.h>

struct cut_merge {
	int64_t a, b, to; /* ids */
};

struct cut_text {
	char             *folder;
	struct rt_json   *tokenizer, *generation, *config; /* files of the folder; NULL: absent */
	struct cut_merge *merges;
	int64_t           n_merges, size; /* size: rows of the model's embedding */
	uint8_t          *keep;           /* [size] */
	int32_t          *map;            /* [size] new id, or -1 */
	int64_t          *kept, n_kept;   /* old ids that stay, ascending */
};

/* Copy the text files of a model (a folder, a GGUF file) into a folder, and read them.  RT_E_UNSUP
 * for a tokenizer that is no byte-level BPE.  t is zeroed before, and closed whatever this returns.
 */
int  cut_text_open(struct cut_text *t, const char *model, const char *folder, int64_t size,
                   struct rt_error *err);
void cut_text_close(struct cut_text *t);

/* Ids that a configuration names (eos_token_id, ...) are kept, and later are the new ones. */
void cut_text_mark(struct cut_text *t, const struct rt_json *config);
int  cut_text_rename(const struct cut_text *t, struct rt_json *config);

/* keep becomes whole; map and kept follow from it. */
int cut_text_choose(struct cut_text *t, struct rt_error *err);

/* The files of the folder anew. */
int cut_text_write(const struct cut_text *t, struct rt_error *err);

/* The model in `after` makes of the dataset `rows` what `before` made, `data`, under other ids, and
 * its logits are the same: *ret_difference is the largest in the first sequences.  RT_E_FORMAT
 * where it is not so. */
int cut_text_prove(const struct cut_text *t, const struct rt_model *before,
                   const struct rt_sequences *data, const char *after, const char *rows,
                   struct rt_context *c, double *ret_difference, struct rt_error *err);

#endif
