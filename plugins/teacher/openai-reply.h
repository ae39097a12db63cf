/* openai-reply.h - what a server sent, as the reply of retort/teacher.h or as a complaint. */
#ifndef TEACHER_OPENAI_REPLY_H
#define TEACHER_OPENAI_REPLY_H

#include <retort/json.h>

#include <stdbool.h>

/* Read the body of a success: { choices, usage?, model? } and nothing else, arguments as objects
 * where they are JSON objects.  RT_E_IO when it is no JSON (cut off, a proxy's page: worth trying
 * again), RT_E_FORMAT when it is JSON of the wrong form, naming the place.
 * err must be there. */
int openai_reply(const char *text, size_t n, struct rt_json **ret, struct rt_error *err);

/* A count of tokens in usage, or -1 when the server does not say. */
int64_t openai_usage(const struct rt_json *reply, const char *name);

/* The server's own words about a failure, in one line of at most `size` bytes: error.message as
 * OpenAI has it, what others use, or the beginning of the text.  "" when it says nothing. */
void openai_complaint(const char *text, size_t n, char *out, size_t size);

/* Does the failure mean that the account has no credit, rather than that one should wait? */
bool openai_no_credit(const char *text, size_t n);

#endif
