/* tok.h - the parts of a tokenizer: vocabulary, normalizers, splits, added tokens, decoder.
 *
 * Encoding is a chain.  Text is cut at the added tokens, each piece between them is normalized,
 * cut again (added tokens that are sought in normalized text), goes through the split steps,
 * and every piece that comes out is merged to tokens.  Pieces carry their own text. */
#ifndef TEXT_TOK_H
#define TEXT_TOK_H

#include "text/regex.h"

#include <retort/tokenizer.h>

/* Grow an array to hold n; false when out of memory. */
bool tok_grow(void *array, size_t *cap, size_t n, size_t size);

/* ---- vocabulary ---------------------------------------------------------------------- */

struct tok_token {
	size_t   at; /* in tok_vocab.text; the token is terminated */
	uint32_t len;
	bool     there, special;
	bool     apart; /* an added token that the model knows nothing of */
};

struct tok_merge {     /* two neighbours and what becomes of them */
	uint64_t pair; /* left << 32 | right; UINT64_MAX: a free slot */
	uint32_t rank, id;
};

struct tok_vocab {
	struct rt_text    text;
	struct tok_token *token;
	size_t            size, cap; /* 1 + the largest id */
	uint32_t         *slot;      /* id + 1, by the hash of the spelling */
	size_t            slots, used;
	struct tok_merge *merge;
	size_t            merges, merge_slots;
};

int vocab_add(struct tok_vocab *v, const char *s, size_t n, int64_t id, struct rt_error *err);
/* -1 when there is none; vocab_piece() finds what merging may use only. */
int64_t vocab_piece(const struct tok_vocab *v, const char *s, size_t n);
int64_t vocab_find(const struct tok_vocab *v, const char *s, size_t n);
/* Room for n merges. */
int vocab_reserve(struct tok_vocab *v, size_t n, struct rt_error *err);
int vocab_merge(struct tok_vocab *v, int64_t left, int64_t right, int64_t id, size_t rank,
                struct rt_error *err);
const struct tok_merge *vocab_pair(const struct tok_vocab *v, uint32_t left, uint32_t right);
void                    vocab_free(struct tok_vocab *v);

/* ---- pieces -------------------------------------------------------------------------- */

struct tok_piece {
	size_t  at, len;
	int64_t id;    /* of an added token, or -1: text */
	bool    first; /* starts where the whole text starts */
};

struct tok_pieces {
	struct rt_text    text;
	struct tok_piece *v;
	size_t            n, cap;
	bool              failed;
};

void pieces_add(struct tok_pieces *p, const char *s, size_t n, int64_t id, bool first);
void pieces_clear(struct tok_pieces *p);
void pieces_free(struct tok_pieces *p);

/* ---- normalizers --------------------------------------------------------------------- */

enum tok_change {
	CHANGE_FORM,
	CHANGE_LOWER,
	CHANGE_PREPEND,
	CHANGE_REPLACE,
	CHANGE_REGEX,
	CHANGE_STRIP,
	CHANGE_ACCENTS,
	CHANGE_BYTES
};

struct tok_normal {
	enum tok_change what;
	int             form;
	bool            left, right; /* strip */
	struct rt_text  from, to;
	struct regex   *re;
};

struct tok_normals {
	struct tok_normal *v;
	size_t             n, cap;
};

int  normals_read(struct tok_normals *c, const struct rt_json *j, int depth, struct rt_error *err);
int  normals_apply(const struct tok_normals *c, struct regex_match *m, const char *s, size_t n,
                   struct rt_text *out, struct rt_error *err);
void normals_free(struct tok_normals *c);

/* A pattern object: {"String": s} or {"Regex": s}; one of *from, *ret_re is filled. */
int tok_pattern(const struct rt_json *j, struct rt_text *from, struct regex **ret_re,
                struct rt_error *err);
/* A new text with `from` replaced wherever it stands. */
void tok_replace(const char *s, size_t n, const struct rt_text *from, const struct rt_text *to,
                 struct rt_text *out);
void tok_bytes_to_chars(const char *s, size_t n, struct rt_text *out); /* GPT-2's alphabet */
int  tok_char_to_byte(uint32_t c);                                     /* or -1 */

/* ---- splits -------------------------------------------------------------------------- */

enum tok_split_kind { SPLIT_PATTERN, SPLIT_PREFIX, SPLIT_BYTES, SPLIT_META };
enum tok_behavior { REMOVED, ISOLATED, MERGED_PREVIOUS, MERGED_NEXT, CONTIGUOUS };
enum tok_prepend { PREPEND_NEVER, PREPEND_FIRST, PREPEND_ALWAYS };

struct tok_split {
	enum tok_split_kind kind;
	enum tok_behavior   behavior;
	bool                invert;
	struct regex       *re; /* the pattern: one of these three */
	struct rt_text      from;
	bool (*is)(uint32_t);
	enum tok_prepend prepend;
};

struct tok_splits {
	struct tok_split *v;
	size_t            n, cap;
};

struct tok_cut { /* a match of a pattern, or what lies between two */
	size_t start, end;
	bool   match;
};

struct tok_cuts {
	struct tok_cut *v;
	size_t          n, cap;
	bool            failed;
};

extern const char tok_gpt2_pattern[];
int splits_read(struct tok_splits *c, const struct rt_json *j, int depth, struct rt_error *err);
/* From *a through all steps; the result is in *a, *b is scratch. */
int  splits_apply(const struct tok_splits *c, struct regex_match *m, struct tok_cuts *cuts,
                  struct tok_pieces *a, struct tok_pieces *b, struct rt_error *err);
void splits_free(struct tok_splits *c);
int  tok_prepend_scheme(const struct rt_json *j, enum tok_prepend *ret, struct rt_error *err);

/* ---- added tokens -------------------------------------------------------------------- */

struct tok_added {
	struct rt_text content; /* as it is sought: normalized, where it asks for that */
	int64_t        id;
	bool           special, lstrip, rstrip, single_word, normalized;
};

struct tok_addeds { /* sorted by content, so that a search narrows a range */
	struct tok_added *v;
	size_t            n, cap;
};

int  addeds_add(struct tok_addeds *a, const struct tok_added *from, const char *s, size_t n,
                struct rt_error *err);
void addeds_sort(struct tok_addeds *a);
/* Cut the text of one piece at the tokens in it. */
void addeds_cut(const struct tok_addeds *a, bool special, const char *s, size_t n, bool first,
                struct tok_pieces *out);
void addeds_free(struct tok_addeds *a);

/* ---- decoding ------------------------------------------------------------------------ */

enum tok_undo { UNDO_REPLACE, UNDO_FALLBACK, UNDO_FUSE, UNDO_STRIP, UNDO_BYTES, UNDO_META };

struct tok_decode {
	enum tok_undo    what;
	struct rt_text   from, to;
	int64_t          start, stop; /* strip */
	bool             fused;       /* strip of the whole text, not of each token */
	enum tok_prepend prepend;
};

struct tok_decodes {
	struct tok_decode *v;
	size_t             n, cap;
	bool               spaced; /* no decoder: tokens with spaces between them */
};

int  decodes_read(struct tok_decodes *c, const struct rt_json *j, int depth, struct rt_error *err);
void decodes_free(struct tok_decodes *c);

/* ---- all of it ----------------------------------------------------------------------- */

struct rt_tokenizer {
	struct tok_vocab   vocab;
	struct tok_normals normals;
	struct tok_splits  splits;
	struct tok_addeds  raw, normal; /* added tokens sought before and after normalizing */
	struct tok_decodes decodes;
	struct rt_ids      before, after; /* what the post-processor puts around */
	int64_t            unk;           /* or -1 */
	bool               fuse_unk, byte_fallback, ignore_merges;
	int32_t            byte[256]; /* ids of <0x00> ... <0xFF>, or -1 */
};

/* Scratch of one call. */
struct tok_symbol {
	uint32_t id, len;
	int32_t  prev, next;
};
struct tok_candidate {
	uint32_t rank, id;
	int32_t  at;
};
struct tok_work {
	struct regex_match   *match;
	struct tok_cuts       cuts;
	struct tok_pieces     a, b;
	struct tok_symbol    *symbol;
	size_t                symbols, symbol_cap;
	struct tok_candidate *heap;
	size_t                heap_n, heap_cap;
	bool                  failed;
};

/* Merge one piece and append its tokens. */
void bpe_piece(const struct rt_tokenizer *t, struct tok_work *w, const char *s, size_t n,
               struct rt_ids *ids);

/* Append the bytes that a token has in the midst of a text, whole characters or not.  The decoder
 * is for this alone. */
int tok_bytes(struct rt_decoder *d, int32_t id, struct rt_text *out, struct rt_error *err);

/* Read what is not the vocabulary: normalizer, pre_tokenizer, post_processor, decoder. */
int tok_read_chain(struct rt_tokenizer *t, const struct rt_json *j, struct rt_error *err);
/* One added token: its content is in the vocabulary from now on. */
int tok_add_token(struct rt_tokenizer *t, const struct tok_added *like, const char *s, size_t n,
                  struct rt_error *err);
/* After the vocabulary and the added tokens. */
void                 tok_finish(struct rt_tokenizer *t);
struct rt_tokenizer *tok_new(void);

#endif
