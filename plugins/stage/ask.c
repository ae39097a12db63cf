/* ask.c - see ask.h */
#include "ask.h"

#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/row.h>
#include <retort/teacher.h>

#include <math.h>
#include <string.h>

/* ---- prompts and requests ---- */

int ask_files_read(struct ask_files *f, const char *tools, const char *system, struct rt_error *err)
{
	int r = 0;

	*f = (struct ask_files){ .system = RT_TEXT_INIT, .has_system = system != NULL };
	if (tools)
		r = rt_tools_read(tools, &f->tools, err);
	if (r == 0 && system)
		r = rt_file_read(system, 1 << 20, &f->system, err);
	return r;
}

void ask_files_free(struct ask_files *f)
{
	rt_json_free(f->tools);
	rt_text_free(&f->system);
}

static bool has_system(const struct rt_json *messages)
{
	const char *role = rt_json_string(rt_json_get(rt_json_at(messages, 0), "role"));

	return role && (strcmp(role, "system") == 0 || strcmp(role, "developer") == 0);
}

static int add_system(struct rt_json *messages, const char *text)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_json_set(o, "role", rt_json_new_string("system"));
		r |= rt_json_set(o, "content", rt_json_new_string(text));
	}
	if (r < 0) {
		rt_json_free(o);
		return r;
	}
	return rt_json_append(messages, o);
}

struct rt_json *ask_prompt(const struct ask_files *f, const struct rt_json *row)
{
	const struct rt_json *from = rt_json_get(row, "messages");
	struct rt_json       *messages = rt_json_new_array();
	int                   r = messages ? 0 : RT_E_NOMEM;

	if (r == 0 && f->has_system && !has_system(from))
		r = add_system(messages, f->system.data);
	for (size_t i = 0; r == 0 && i < rt_row_prompt(row); i++)
		r = rt_json_append(messages, rt_json_ref(rt_json_at(from, i)));
	if (r == 0)
		return messages;
	rt_json_free(messages);
	return NULL;
}

const struct rt_json *ask_tools(const struct ask_files *f, const struct rt_json *row)
{
	const struct rt_json *own = rt_json_get(row, "tools");

	return own ? own : f->tools;
}

struct rt_json *ask_body(struct rt_json *messages, const struct rt_json *tools,
                         const struct rt_json *row, const struct ask_sampling *s)
{
	const struct rt_json *kwargs = rt_json_get(row, "template_kwargs");
	struct rt_json       *o = rt_json_new_object();
	int                   r = o ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_json_set(o, "messages", rt_json_ref(messages));
		r |= rt_json_set(o, "n", rt_json_new_int(s->n));
		r |= rt_json_set(o, "temperature", rt_json_new_real(s->temperature));
		r |= rt_json_set(o, "top_p", rt_json_new_real(s->top_p));
		r |= rt_json_set(o, "max_tokens", rt_json_new_int(s->max_tokens));
		if (tools)
			r |= rt_json_set(o, "tools", rt_json_ref(tools));
		if (kwargs)
			r |= rt_json_set(o, "chat_template_kwargs", rt_json_ref(kwargs));
	}
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

/* ---- what it took ---- */

void ask_usage_count(struct ask_usage *u, const struct rt_json *reply)
{
	const struct rt_json *usage = rt_json_get(reply, "usage");
	const int64_t         in = rt_json_int(rt_json_get(usage, "prompt_tokens"), -1),
		      out = rt_json_int(rt_json_get(usage, "completion_tokens"), -1);

	u->replies++;
	if (in < 0 || out < 0) {
		u->unknown++;
		return;
	}
	u->input_tokens += in;
	u->output_tokens += out;
}

void ask_usage_sum(struct ask_usage *u, const struct ask_usage *more)
{
	u->replies += more->replies;
	u->unknown += more->unknown;
	u->input_tokens += more->input_tokens;
	u->output_tokens += more->output_tokens;
}

int ask_usage_report(const struct ask_usage *u, const struct rt_component *teacher,
                     struct rt_json *metrics)
{
	const struct rt_teacher_ops *ops = teacher->plugin->ops.teacher;
	double                       cost = NAN;
	int                          r = 0;

	if (u->unknown > 0)
		return 0;
	if (RT_HAS(ops, price))
		cost = ops->price(teacher->config, (double)u->replies, (double)u->input_tokens,
		                  (double)u->output_tokens);
	r |= rt_metric(metrics, "input_tokens", (double)u->input_tokens, u->replies);
	r |= rt_metric(metrics, "output_tokens", (double)u->output_tokens, u->replies);
	if (!isnan(cost))
		r |= rt_metric(metrics, "cost", cost, u->replies);
	return r;
}

/* ---- the journal ---- */

/* Records: { "id":, "reply": }. */
static int recall(void *arg, const char *record, size_t n, struct rt_error *err)
{
	struct ask_journal *j = arg;
	struct rt_json     *o;
	const char         *id;
	int                 r = rt_json_parse(record, n, "journal", 1, &o, err);

	if (r < 0)
		return r;
	id = rt_json_string(rt_json_get(o, "id"));
	if (id && rt_json_set(j->done, id, rt_json_ref(rt_json_get(o, "reply"))) < 0)
		r = rt_fail_nomem(err, "replies");
	rt_json_free(o);
	return r;
}

int ask_journal_open(struct ask_journal *j, const char *folder, struct rt_error *err)
{
	char *path = rt_path_join(folder, "replies.journal");
	int   r;

	j->done = rt_json_new_object();
	r = path && j->done ? rt_journal_open(&j->file, path, recall, j, err)
	                    : rt_fail_nomem(err, "a journal");
	rt_free(path);
	return r;
}

void ask_journal_close(struct ask_journal *j)
{
	rt_journal_close(j->file);
	rt_json_free(j->done);
}

int ask_journal_add(struct ask_journal *j, const char *id, const struct rt_json *reply,
                    struct rt_error *err)
{
	struct rt_json *o = rt_json_new_object();
	struct rt_text  t = RT_TEXT_INIT;
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_json_set(o, "id", rt_json_new_string(id));
		r |= rt_json_set(o, "reply", rt_json_ref(reply));
		rt_json_print(o, 0, &t);
	}
	r = r < 0 || t.failed ? rt_fail_nomem(err, "a reply")
	                      : rt_journal_add(j->file, t.data, t.len, err);
	rt_text_free(&t);
	rt_json_free(o);
	if (r == 0 && rt_json_set(j->done, id, rt_json_ref(reply)) < 0)
		r = rt_fail_nomem(err, "replies");
	return r;
}
