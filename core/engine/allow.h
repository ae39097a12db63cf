/* allow.h - which tokens a grammar lets through. */
#ifndef ENGINE_ALLOW_H
#define ENGINE_ALLOW_H

#include <retort/grammar.h>
#include <retort/model.h>

/* The bytes of all tokens of a model. */
struct allow;

int  allow_new(struct allow **ret, const struct rt_model *m, struct rt_error *err);
void allow_free(struct allow *a); /* NULL is fine */

/* May this token come next; and it comes. */
bool allow_token(const struct allow *a, struct rt_matcher *m, int32_t id);
bool allow_put(const struct allow *a, struct rt_matcher *m, int32_t id);

/* Set the logits of tokens that may not come to -inf; the n stops may where the answer may end.
 * Returns how many may come. */
int64_t allow_mask(const struct allow *a, struct rt_matcher *m, const int32_t *stops, int64_t n,
                   float *logits);

#endif
