/* ask.h - what the stages that ask a teacher share: prompts and requests, and a journal of what
 * came.
 *
 * What was answered goes to the journal in the stage's work folder before anything else happens, so
 * that a run that is killed pays for nothing twice. */
#ifndef STAGE_ASK_H
#define STAGE_ASK_H

#include <retort/file.h>
#include <retort/json.h>

/* ---- prompts and requests ---- */

/* What rows get that have none of their own. */
struct ask_files {
	struct rt_json *tools; /* or NULL */
	struct rt_text  system;
	bool            has_system;
};

/* Paths may be NULL. */
int  ask_files_read(struct ask_files *f, const char *tools, const char *system,
                    struct rt_error *err);
void ask_files_free(struct ask_files *f);

/* A row's prompt, a new array of its messages, the system message in front; its tools, lent. */
struct rt_json       *ask_prompt(const struct ask_files *f, const struct rt_json *row);
const struct rt_json *ask_tools(const struct ask_files *f, const struct rt_json *row);

struct ask_sampling {
	int64_t n, max_tokens;
	double  temperature, top_p;
};

/* The body of a request to a teacher, or NULL when out of memory; tools may be NULL.  A row's
 * template_kwargs go along as chat_template_kwargs, as vLLM and llama-server call them. */
struct rt_json *ask_body(struct rt_json *messages, const struct rt_json *tools,
                         const struct rt_json *row, const struct ask_sampling *s);

/* ---- what it took ---- */

struct rt_component;

/* Replies and their tokens, as far as the teacher says; `unknown` replies did not. */
struct ask_usage {
	int64_t replies, unknown, input_tokens, output_tokens;
};

void ask_usage_count(struct ask_usage *u, const struct rt_json *reply);
void ask_usage_sum(struct ask_usage *u, const struct ask_usage *more);

/* Metrics input_tokens, output_tokens, and cost by the teacher's own prices: each where it is
 * known.  0 or RT_E_NOMEM. */
int ask_usage_report(const struct ask_usage *u, const struct rt_component *teacher,
                     struct rt_json *metrics);

/* ---- the journal ---- */

struct ask_journal {
	struct rt_json    *done; /* id -> what came */
	struct rt_journal *file;
};

/* Open replies.journal in a folder, with all that stands in it. */
int  ask_journal_open(struct ask_journal *j, const char *folder, struct rt_error *err);
void ask_journal_close(struct ask_journal *j);

/* On the disk when it returns 0. */
int ask_journal_add(struct ask_journal *j, const char *id, const struct rt_json *reply,
                    struct rt_error *err);

#endif
