/* write-ask.h - how a teacher is asked for new messages of users, and what its replies hold. */
#ifndef STAGE_WRITE_ASK_H
#define STAGE_WRITE_ASK_H

#include "ask.h"

enum write_how { WRITE_ASK, WRITE_CONTINUE };

/* The message of a user that a row is an example of: the last one in front of the answer.  NULL
 * when there is none, or it is no text; *ret_at: its place among the messages. */
const char *write_example(const struct rt_json *row, size_t *ret_at);

/* The instruction that is used without one of the user's own. */
extern const char write_instruction[];

/* A user's message that asks for `count` new ones like those of the examples: the instruction with
 * {examples} as a list and {count} put in.  NULL when out of memory. */
struct rt_json *write_ask(const char *instruction, const struct rt_json *const *examples, int64_t n,
                          int64_t count);

/* What comes in front of the example's message, with the system message of f. */
struct rt_json *write_front(const struct ask_files *f, const struct rt_json *example);

/* Called with each message that a reply holds, without blanks around it; `whole` is false when it
 * was cut off. */
typedef int write_fn(void *arg, const char *text, bool whole, struct rt_error *err);

/* The messages in a reply to write_ask(): a list of texts as JSON, or one a line, with or without
 * numbers, dashes and quotes in front.  0 of them is no error. */
int write_read_list(const char *content, bool whole, write_fn *each, void *arg,
                    struct rt_error *err);

/* The choices of a reply to a request for the user's next message are the messages. */
int write_read_choices(const struct rt_json *choices, write_fn *each, void *arg,
                       struct rt_error *err);

#endif
