/* filter.h - which rows of a dataset stay: by lengths of prompt and answer, and by what fields
 * hold.
 *
 * The text of a prompt is that of its messages, but for those of the system; of an answer its
 * text, or its calls as JSON.  A length is a number of characters, or of tokens of a tokenizer. */
#ifndef STAGE_FILTER_H
#define STAGE_FILTER_H

#include <retort/model.h>
#include <retort/param.h>

/* Part of a config: 0 is no limit. */
struct filter_limits {
	int64_t min_prompt, max_prompt, min_answer, max_answer;
};

struct filter {
	const struct filter_limits *limits;
	const struct rt_strings    *where;
	const struct rt_tokenizer  *tokenizer; /* NULL: characters */
	struct rt_text              text;
	struct rt_ids               ids;
};

/* Whether each of `where` is FIELD = VALUE or FIELD != VALUE. */
int filter_check(const struct rt_strings *where, struct rt_error *err);

/* *ret_why: the reason that drops the row, in memory of the filter until its next call, or NULL.
 * The zeroed filter is ready once its first three members are set. */
int  filter_row(struct filter *f, const struct rt_json *row, const char **ret_why,
                struct rt_error *err);
void filter_fini(struct filter *f);

/* The text of a row's prompt, appended to out. */
void filter_prompt(const struct rt_json *row, struct rt_text *out);

#endif
