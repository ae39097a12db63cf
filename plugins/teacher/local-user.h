/* local-user.h - a model goes on as the user: where the chat template has a user's message begin.
 */
#ifndef TEACHER_LOCAL_USER_H
#define TEACHER_LOCAL_USER_H

#include <retort/model.h>

/* The text up to where a user's message begins.  A blank there is left to the message, whose first
 * token it is a part of.  *after: what the template writes behind the message, as a stop string
 * (rt_free()); NULL when that is a token that ends it anyway. */
int user_prompt(const struct rt_model *m, const struct rt_json *body, struct rt_ids *prompt,
                char **after, struct rt_error *err);

#endif
