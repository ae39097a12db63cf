/* cli/lines.h - commands that read standard input and write JSON Lines to standard output. */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <retort/model.h>

/* Is there something that could be a model, or with RT_MODEL_TEXT its tokenizer?  It is not opened.
 */
int lines_check(const char *path, unsigned flags, struct rt_error *err);
/* A model, or its tokenizer and template with RT_MODEL_TEXT.  A path that holds none is said so. */
int lines_model(struct rt_model **ret, const char *path, unsigned flags, struct rt_error *err);
/* The same, and there must be a tokenizer. */
int lines_text(struct rt_model **ret, const char *path, unsigned flags, struct rt_error *err);

/* Call fn for each row of standard input; errors name the line. */
typedef int lines_row_fn(void *arg, const struct rt_json *row, struct rt_error *err);
int         lines_rows(lines_row_fn *fn, void *arg, struct rt_error *err);

/* Of ids, text and messages a row has one at most.  Only that of retort render has text and ids:
 * with their mask, and ids are taken. */
int lines_check_row(const struct rt_json *row, struct rt_error *err);

/* Call fn for each line of standard input, without its end; or once for all of it. */
typedef int lines_text_fn(void *arg, const char *text, size_t n, struct rt_error *err);
int         lines_texts(bool whole, lines_text_fn *fn, void *arg, struct rt_error *err);

/* Write an object, or a list, as one line.  Takes over its reference; NULL is out of memory. */
int lines_put(struct rt_json *j, struct rt_error *err);

/* A list of numbers; NULL when out of memory. */
struct rt_json *lines_ids(const int32_t *id, size_t n);

/* The ids of a list, each in [0, size), appended to *out. */
int lines_take_ids(const struct rt_json *list, int64_t size, struct rt_ids *out,
                   struct rt_error *err);

/* A row's `id` to an answer, where it has one. */
int lines_keep_id(const struct rt_json *row, struct rt_json *answer);

/* The conversation of a row: messages, tools, template_kwargs. */
int lines_chat(const struct rt_json *row, struct rt_chat *ret, struct rt_error *err);

#endif
