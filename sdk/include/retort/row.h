/* retort/row.h - the parts of a row: prompt, answers, calls.
 *
 * Messages are as in the OpenAI chat API:  { role, content?, tool_calls? }, where a tool call is
 * { type: "function", function: { name, arguments } } and arguments is an object.  A row's
 * prompt is its messages up to the last one that is not the assistant's; an assistant message
 * behind them is the reference, and `accepted` may list more messages that are as good. */
#ifndef RETORT_ROW_H
#define RETORT_ROW_H

#include <retort/json.h>

/* How many leading messages are the prompt. [any] */
size_t rt_row_prompt(const struct rt_json *row);

/* These messages, shared, in a new array; NULL when out of memory. [any] */
struct rt_json *rt_row_prompt_messages(const struct rt_json *row);

/* The references: NULL behind the last one. [any] */
const struct rt_json *rt_row_reference(const struct rt_json *row, size_t i);

/* The error of a row that has none: RT_E_FORMAT, naming it. [any] */
int rt_row_no_reference(const struct rt_json *row, struct rt_error *err);

/* Calls of an assistant message. [any] */
size_t                rt_call_count(const struct rt_json *message);
const char           *rt_call_name(const struct rt_json *message, size_t i);      /* or NULL */
const struct rt_json *rt_call_arguments(const struct rt_json *message, size_t i); /* or NULL */

/* An answer in a form in which equal answers are equal bytes: a line for each call, its name and
 * its arguments as JSON with sorted keys; without calls its text, without white space around it.
 * Appends to out. [any] */
void rt_answer_text(const struct rt_json *message, struct rt_text *out);

/* The tool called `name` in a list of tools, [{ type, function: { name, parameters } }] or the
 * functions bare; its function object, or NULL. [any] */
const struct rt_json *rt_tool_find(const struct rt_json *tools, const char *name);

/* The function object of tool i of such a list; NULL behind its end. [any] */
const struct rt_json *rt_tool_at(const struct rt_json *tools, size_t i);

/* A file of tools: a list, each with a name of its own.  RT_E_FORMAT when it is not. */
int rt_tools_read(const char *path, struct rt_json **ret, struct rt_error *err);

/* Make arguments that are JSON text into objects, in every message of the row.  Text that is no
 * JSON object is left as it is. */
int rt_row_normalize(struct rt_json *row);

#endif
