/* retort/tokenizer.h - text to token ids and back, as the model's own tokenizer does it.
 *
 *     struct rt_tokenizer *t;  struct rt_ids ids = RT_IDS_INIT;
 *     rt_tokenizer_open(&t, "model", err);
 *     rt_tokenizer_encode(t, text, n, RT_ENCODE_TEMPLATE, &ids, err);
 *     ...
 *     rt_ids_free(&ids);  rt_tokenizer_free(t);
 *
 * A tokenizer is byte-pair encoding as the Hugging Face tokenizers library defines it, with
 * the normalizers, splits, added tokens, templates and decoders of a tokenizer.json.  What is
 * not supported is RT_E_UNSUP and named: nothing is passed over that would change an id.
 * `truncation` and `padding` are no part of it: lengths are the caller's business.
 *
 * A tokenizer does not change after it was opened: any number of threads may use it. */
#ifndef RETORT_TOKENIZER_H
#define RETORT_TOKENIZER_H

#include <retort/error.h>
#include <retort/json.h>
#include <retort/memory.h>
#include <retort/param.h>
#include <retort/text.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rt_tokenizer;

enum {
	RT_TOKENIZER_IDS = 1 << 22,  /* every id is below */
	RT_TOKENIZER_TEXT = 1 << 30, /* bytes of one text to encode */
	RT_TOKENIZER_TOKEN = 1 << 16 /* bytes of one token */
};

/* Ids that grow, in the manner of struct rt_text: check `failed` once at the end. */
struct rt_ids {
	int32_t *data;
	size_t   len, cap;
	bool     failed;
};
#define RT_IDS_INIT                                                                                \
	{                                                                                          \
		0, 0, 0, false                                                                     \
	}
void rt_ids_add(struct rt_ids *ids, int32_t id);
void rt_ids_free(struct rt_ids *ids); /* back to RT_IDS_INIT */

/* From a folder or a tokenizer.json.  A folder holds tokenizer.json, or vocab.json and
 * merges.txt (or encoder.json and vocab.bpe), where tokenizer_config.json names the class
 * (GPT-2 without one) and the added tokens. [any] */
int rt_tokenizer_open(struct rt_tokenizer **ret, const char *path, struct rt_error *err);

/* From what a tokenizer.json holds.  `j` is only read, and not kept. [any] */
int rt_tokenizer_from_json(struct rt_tokenizer **ret, const struct rt_json *j,
                           struct rt_error *err);

/* What GGUF metadata holds (keys tokenizer.ggml.*).  Token i has the id i.  Everything is
 * copied.  Model "gpt2": merges ("a b") and the split named by `pre`.  Model "llama": scores;
 * two neighbours become one token where that is in the vocabulary, best score first. */
struct rt_tokenizer_arrays {
	const char        *model, *pre; /* tokenizer.ggml.model, .pre (NULL: "default") */
	const char *const *tokens;
	const size_t      *lengths; /* of the tokens; NULL: they end at their zero byte */
	int64_t            token_count;
	const char *const *merges; /* zero-terminated */
	int64_t            merge_count;
	const float       *scores; /* as many as tokens, or NULL */
	const int32_t
		*types; /* likewise: 1 normal, 2 unknown, 3 control, 4 user, 5 unused, 6 byte */
	int64_t  bos, eos, unk;               /* ids, or -1 */
	bool     add_bos, add_eos, add_space; /* .add_bos_token, ..., .add_space_prefix */
};
int rt_tokenizer_from_arrays(struct rt_tokenizer **ret, const struct rt_tokenizer_arrays *a,
                             struct rt_error *err);

/* The way there: arrays from which rt_tokenizer_from_arrays() makes a tokenizer that gives the
 * same ids, in memory of the tokenizer and the arena.  Proven by encoding a text that has every
 * token in it; RT_E_UNSUP when GGUF has no name for what this tokenizer does.  Ids that no token
 * has are filled with unused ones; bos and eos are those that are added, or -1. [any] */
int rt_tokenizer_to_arrays(const struct rt_tokenizer *t, struct rt_tokenizer_arrays *ret,
                           struct rt_arena *room, struct rt_error *err);
/* A tokenizer.json of such arrays, with the same proof; release with rt_json_free(). [any] */
int rt_tokenizer_arrays_json(struct rt_json **ret, const struct rt_tokenizer_arrays *a,
                             struct rt_error *err);

void rt_tokenizer_free(struct rt_tokenizer *t); /* NULL is fine */

int64_t rt_tokenizer_size(const struct rt_tokenizer *t); /* 1 + the largest id */
/* The id of a token as it is spelled in the vocabulary, or -1. [any] */
int64_t rt_tokenizer_id(const struct rt_tokenizer *t, const char *token, size_t n);
/* The spelling of an id (lent, terminated), or NULL when no token has it. [any] */
const char *rt_tokenizer_token(const struct rt_tokenizer *t, int64_t id, size_t *ret_n);
bool        rt_tokenizer_special(const struct rt_tokenizer *t, int64_t id);

enum {
	RT_ENCODE_SPECIAL = 1,  /* text that spells a special token is that token: for text that
	                         * a template wrote, never for what a user typed */
	RT_ENCODE_TEMPLATE = 2, /* add the tokens that the post-processor puts around */
	RT_DECODE_SKIP = 4      /* leave special tokens out */
};

/* Append the ids of n bytes to *ids.  Text that is not UTF-8 is RT_E_FORMAT, and a split that
 * would not come to an end RT_E_RANGE; then *ids is as it was.  Added tokens that are not
 * special are always found. [any] */
int rt_tokenizer_encode(const struct rt_tokenizer *t, const char *text, size_t n, unsigned flags,
                        struct rt_ids *ids, struct rt_error *err);

/* Append the text of n ids.  An id that no token has gives nothing: models have more rows than
 * tokens.  Bytes that make no character become U+FFFD. [any] */
int rt_tokenizer_decode(const struct rt_tokenizer *t, const int32_t *ids, size_t n, unsigned flags,
                        struct rt_text *out, struct rt_error *err);

/* Decoding as tokens come.  A token may end inside a character: what is appended is always
 * whole characters, and finish gives what is left over (as U+FFFD).  All pieces together are
 * what rt_tokenizer_decode() gives, but for one case: byte tokens (<0x..>) that begin well and
 * end badly; whole characters of theirs are out already when the bad one comes.
 * One thread at a time; it must not outlive the tokenizer. */
struct rt_decoder;
int  rt_decoder_new(struct rt_decoder **ret, const struct rt_tokenizer *t, unsigned flags,
                    struct rt_error *err);
int  rt_decoder_put(struct rt_decoder *d, int32_t id, struct rt_text *out, struct rt_error *err);
int  rt_decoder_finish(struct rt_decoder *d, struct rt_text *out, struct rt_error *err);
void rt_decoder_free(struct rt_decoder *d); /* NULL is fine */

/* Training of a byte-level BPE: the merges that the Hugging Face BpeTrainer finds on the same
 * texts, ties included (of pairs that are equally frequent, the one with the smaller ids). */
struct rt_bpe_config {
	int64_t           vocab_size;    /* all tokens: special, marks, the 256 bytes, merges */
	int64_t           min_frequency; /* a pair that is rarer is not merged; 0: any */
	struct rt_strings special;       /* get the first ids */
	struct rt_strings marks; /* the next: found in every text, and no part of it is left out */
	const char       *pattern;     /* the split, or NULL: that of GPT-2 */
	const char       *end_of_text; /* of special: added by the post-processor; or NULL */
};
struct rt_bpe_trainer;
int rt_bpe_trainer_new(struct rt_bpe_trainer **ret, const struct rt_bpe_config *config,
                       struct rt_error *err); /* config is copied */
int rt_bpe_trainer_add(struct rt_bpe_trainer *b, const char *text, size_t n, struct rt_error *err);
/* The tokenizer.json that transformers loads; release with rt_json_free(). */
int  rt_bpe_trainer_finish(struct rt_bpe_trainer *b, struct rt_json **ret, struct rt_error *err);
void rt_bpe_trainer_free(struct rt_bpe_trainer *b);

#endif
