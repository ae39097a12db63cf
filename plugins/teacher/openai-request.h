/* openai-request.h - a request as it goes over the wire. */
#ifndef TEACHER_OPENAI_REQUEST_H
#define TEACHER_OPENAI_REQUEST_H

#include <retort/hash.h>
#include <retort/json.h>

/* The body that the server gets: that of retort/teacher.h for `model`, with arguments of calls as
 * JSON text, an id in every call and its result, functions wrapped as tools, and `patch` (an
 * object, or NULL) merged into it.  NULL when out of memory. */
struct rt_json *openai_body(const struct rt_json *request, const char *model,
                            const struct rt_json *patch);

/* Merge `patch` into the object `target`, which is changed, as RFC 7386 says: members are replaced,
 * objects merged, and null removes. */
int openai_merge(struct rt_json *target, const struct rt_json *patch);

/* The most tokens that all its answers may have, or -1 when the body sets no limit. */
int64_t openai_most_tokens(const struct rt_json *body);

/* Under which a reply is kept: where it came from, for which row it was asked (so that two rows
 * with the same words get an answer each), the draw, and the body in canonical form. */
void openai_key(const char *url, const char *id, int64_t draw, const char *body, size_t n,
                char out[RT_HASH_HEX]);

#endif
