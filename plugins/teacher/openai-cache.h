/* openai-cache.h - replies that were paid for, and what they cost: one SQLite file.
 *
 * A reply is on the disk (WAL, synchronous FULL) when openai_cache_add() returns.  Any number of
 * processes may share the file. */
#ifndef TEACHER_OPENAI_CACHE_H
#define TEACHER_OPENAI_CACHE_H

#include <retort/error.h>
#include <retort/hash.h>
#include <retort/text.h>

#include <stdint.h>

struct openai_cache;

/* path NULL: retort/replies.sqlite below $XDG_CACHE_HOME or ~/.cache.  `stage` says on whose
 * account costs go. */
int  openai_cache_open(struct openai_cache **ret, const char *path, const char *stage,
                       struct rt_error *err);
void openai_cache_close(struct openai_cache *c); /* NULL is fine */

const char *openai_cache_path(const struct openai_cache *c);

/* 1: the reply was appended to *out; 0: there is none. */
int openai_cache_find(struct openai_cache *c, const char *key, struct rt_text *out,
                      struct rt_error *err);

struct openai_entry {
	const char           *key, *id, *model;
	const struct rt_text *request, *reply;
	int64_t               input_tokens, output_tokens; /* -1 unknown */
	double                cost;                        /* NAN unknown */
};
int openai_cache_add(struct openai_cache *c, const struct openai_entry *e, struct rt_error *err);

/* The sum of what this stage's replies cost, in this run and in those before. */
int openai_cache_spent(struct openai_cache *c, double *ret, struct rt_error *err);

#endif
