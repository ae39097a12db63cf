/* messages.h - are a row's messages what templates and judges take them for? */
#ifndef STAGE_MESSAGES_H
#define STAGE_MESSAGES_H

#include <retort/json.h>

/* Each has a known role, and says something: a text, or calls with a name and an object of
 * arguments.  Contents in parts (OpenAI's { type: "text", text } ) become one text.  The row is
 * normalized.  RT_E_FORMAT names the message. */
int messages_check(struct rt_json *row, struct rt_error *err);

#endif
