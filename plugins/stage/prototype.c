/* prototype.c - stage-prototype: the task as a large model does it, calling functions.
 *
 * Each row becomes the conversation that answered it: what the teacher said and called, what the
 * functions gave back, over several turns.  Rows are taken in batches, a turn of all of a batch at
 * once.  Replies and results go to the journal before they are used.  Conversations that do not end
 * in an answer are counted in the report by their end, and are no rows. */
#include "prototype-talk.h"

#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/row.h>
#include <retort/rows.h>
#include <retort/schema.h>
#include <retort/stage.h>
#include <retort/teacher.h>
#include <retort/tool.h>

#include <stdio.h>

struct config {
	const struct rt_artifact *data;
	struct rt_component      *teacher;
	struct rt_components      functions;
	const char               *tools, *system;
	int64_t                   max_turns, max_repairs, max_tokens, batch;
	double                    temperature, top_p, max_failed;
};

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct config, data, DATASET, "Rows whose prompts are answered.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_COMPONENT(struct config, teacher, TEACHER, NULL, "Who answers.",
	                   .flags = RT_P_REQUIRED),
	RT_PARAM_COMPONENTS(struct config, functions, TOOL, 0, 0,
	                    "Who serves calls; one that nobody serves is the answer itself."),
	RT_PARAM_PATH(struct config, tools, NULL,
	              "JSON list of tools for rows that have none of their own."),
	RT_PARAM_PATH(struct config, system, NULL,
	              "Text file: the system message for rows that have none of their own."),
	RT_PARAM_INT(struct config, max_turns, 8, 1, 1000, "replies",
	             "Longest conversation; one that is not at its end then has failed."),
	RT_PARAM_INT(struct config, max_repairs, 2, 0, 1000, "replies",
	             "How many replies may have calls that do not fit the tools."),
	RT_PARAM_REAL(struct config, temperature, 0, 0, 2, NULL, "Of the teacher's sampling."),
	RT_PARAM_REAL(struct config, top_p, 1, 0, 1, NULL, "Nucleus of the teacher's sampling."),
	RT_PARAM_INT(struct config, max_tokens, 1024, 1, 1 << 20, "tokens", "Longest reply."),
	RT_PARAM_REAL(
		struct config, max_failed, .05, 0, 1, NULL,
		"The stage fails when a larger share of rows gets no reply from the teacher."),
	RT_PARAM_INT(struct config, batch, 64, 1, 4096, "rows",
	             "How many conversations go on at once.", .flags = RT_P_NOKEY),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "rows", "The conversations that ended in an answer.", RT_DATASET, 0 },
	{ "report", "Conversations by their end, calls, turns, tokens and cost.", RT_METRICS, 0 },
	{ 0 }
};

/* One run. */
struct job {
	const struct config *cfg;
	struct rt_context   *context;
	struct ask_files     files;
	struct ask_journal   journal;
	struct talk_rules    rules;
	struct rt_rows_out  *out;
	int64_t              rows, ends[TALK_UNANSWERED + 1];
	int64_t              calls, wrong, errors;
	struct ask_usage     usage;
	double               turns, turns_squared;
	/* the batch, and those of it that wait for the teacher */
	struct talk               *talks;
	struct rt_teacher_request *requests;
	struct talk              **waiting;
	int64_t                    n, asked;
};

/* ---- a batch ---- */

static int on_reply(void *arg, int64_t index, const struct rt_json *reply, const char *why,
                    struct rt_error *err)
{
	struct job    *j = arg;
	struct talk   *t = j->waiting[index];
	struct rt_text key = RT_TEXT_INIT;
	int            r;

	if (!reply) {
		t->end = TALK_UNANSWERED;
		rt_log(j->context, RT_LOG_WARN, "row '%s' has no answer at turn %lld: %s", t->id,
		       (long long)t->turns + 1, why ? why : "unknown");
		return 0;
	}
	talk_key(t, &key);
	r = key.failed ? rt_fail_nomem(err, "a key")
	               : ask_journal_add(&j->journal, key.data, reply, err);
	rt_text_free(&key);
	return r;
}

/* Go on with what the journal has; *ret_waits: the teacher must be asked. */
static int go_on(struct job *j, struct talk *t, bool *ret_waits, struct rt_error *err)
{
	struct rt_text key = RT_TEXT_INIT;
	int            r = 0;

	*ret_waits = false;
	while (r == 0 && t->end == TALK_ON && !*ret_waits) {
		const struct rt_json *reply;

		talk_key(t, &key);
		reply = key.failed ? NULL : rt_json_get(j->journal.done, key.data);
		if (key.failed)
			r = rt_fail_nomem(err, "a key");
		else if (reply)
			r = talk_reply(t, &j->rules, reply, err);
		if (r < 0 && r != RT_E_CANCEL)
			r = rt_within(err, r, "row '%s'", t->id);
		*ret_waits = !reply;
	}
	rt_text_free(&key);
	return r;
}

static int add_request(struct job *j, struct talk *t, struct rt_error *err)
{
	const struct config      *c = j->cfg;
	const struct ask_sampling s = { 1, c->max_tokens, c->temperature, c->top_p };
	struct rt_json           *body = ask_body(t->messages, t->tools, t->row, &s);

	if (!body)
		return rt_fail_nomem(err, "a request");
	j->waiting[j->asked] = t;
	j->requests[j->asked++] = (struct rt_teacher_request){ t->id, body };
	return 0;
}

/* One more turn of all that are not at their end. */
static int turn(struct job *j, struct rt_error *err)
{
	const struct rt_component *teacher = j->cfg->teacher;
	bool                       waits = false;
	int                        r = 0;

	j->asked = 0;
	for (int64_t i = 0; r == 0 && i < j->n; i++) {
		r = rt_cancelled(j->context) ? rt_fail(err, RT_E_CANCEL, "cancelled")
		                             : go_on(j, &j->talks[i], &waits, err);
		if (r == 0 && waits)
			r = add_request(j, &j->talks[i], err);
	}
	if (r == 0 && j->asked > 0) {
		r = teacher->plugin->ops.teacher->chat(teacher->state, j->requests, j->asked,
		                                       on_reply, j, err);
		if (r < 0 && r != RT_E_CANCEL)
			r = rt_within(err, r, "teacher-%s", teacher->plugin->name);
	}
	for (int64_t i = 0; i < j->asked; i++)
		rt_json_free((struct rt_json *)j->requests[i].body);
	return r;
}

static int count_and_write(struct job *j, struct talk *t, struct rt_error *err)
{
	int r;

	j->rows++;
	j->ends[t->end]++;
	j->calls += t->calls;
	j->wrong += t->wrong;
	j->errors += t->errors;
	j->turns += (double)t->turns;
	j->turns_squared += (double)t->turns * (double)t->turns;
	ask_usage_sum(&j->usage, &t->usage);
	if (t->end != TALK_ANSWERED && t->end != TALK_CALLED)
		return 0;
	r = talk_row(t, err);
	return r == 0 ? rt_rows_put(j->out, t->row, err) : r;
}

static void empty_batch(struct job *j)
{
	for (int64_t i = 0; i < j->n; i++)
		talk_fini(&j->talks[i]);
	j->n = 0;
}

static int converse(struct job *j, struct rt_error *err)
{
	int r = 0;

	do {
		r = turn(j, err);
	} while (r == 0 && j->asked > 0);
	for (int64_t i = 0; r == 0 && i < j->n; i++)
		r = count_and_write(j, &j->talks[i], err);
	empty_batch(j);
	rt_progress(j->context, j->rows, j->cfg->data->rows, "rows");
	return r;
}

static int all_rows(struct job *j, const char *path, struct rt_error *err)
{
	struct rt_rows *rows;
	struct rt_json *row;
	int             r = rt_rows_open(&rows, path, 0, err);

	if (r < 0)
		return r;
	while ((r = rt_rows_next(rows, &row, err)) == 1) {
		r = talk_begin(&j->talks[j->n++], row, &j->files, err);
		if (r == 0 && j->n == j->cfg->batch)
			r = converse(j, err);
		if (r < 0)
			break;
	}
	if (r == 0)
		r = converse(j, err);
	rt_rows_close(rows);
	return r;
}

/* ---- before and after ---- */

/* Is what is served declared, and served once? */
static int check_functions(const struct job *j, struct rt_error *err)
{
	const struct rt_components *all = &j->cfg->functions;

	for (int64_t i = 0; i < all->n; i++) {
		const struct rt_component *c = all->at[i];
		const char                *f;

		for (int64_t k = 0; (f = c->plugin->ops.tool->function(c->state, k)); k++) {
			if (talk_server(all, f) != c)
				return rt_fail(
					err, RT_E_USAGE,
					"functions: '%s' is served twice; want one tool for it", f);
			if (j->files.tools && !rt_tool_find(j->files.tools, f))
				return rt_fail(err, RT_E_USAGE,
				               "functions: tool-%s serves '%s', which %s does not "
				               "declare, so nobody would call it",
				               c->plugin->name, f, j->cfg->tools);
		}
	}
	return 0;
}

static int prepare(struct job *j, const char *to, struct rt_error *err)
{
	const struct config *c = j->cfg;
	const size_t         n = (size_t)c->batch;
	int                  r;

	j->talks = rt_alloc(n, sizeof *j->talks);
	j->requests = rt_alloc(n, sizeof *j->requests);
	j->waiting = rt_alloc(n, sizeof *j->waiting);
	if (!j->talks || !j->requests || !j->waiting)
		return rt_fail_nomem(err, "a job");
	r = ask_files_read(&j->files, c->tools, c->system, err);
	if (r == 0)
		r = rt_schema_check_tools(j->files.tools, c->tools, err);
	if (r == 0)
		r = check_functions(j, err);
	if (r == 0)
		r = ask_journal_open(&j->journal, rt_work_dir(j->context), err);
	if (r == 0)
		r = rt_rows_create(&j->out, to, err);
	j->rules = (struct talk_rules){ &c->functions, &j->journal, j->context, c->max_turns,
		                        c->max_repairs };
	return r;
}

static int write_report(const struct job *j, const char *dir, struct rt_error *err)
{
	struct rt_json *m = rt_json_new_object();
	char            name[40];
	int             r = m ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_metric(m, "rows", (double)j->rows, j->rows);
		r |= rt_metric_rate(m, "finished", j->ends[TALK_ANSWERED] + j->ends[TALK_CALLED],
		                    j->rows);
		r |= rt_metric(m, "calls", (double)j->calls, j->rows);
		r |= rt_metric_rate(m, "valid_calls", j->calls - j->wrong, j->calls);
		r |= rt_metric_rate(m, "results_with_error", j->errors, j->calls - j->wrong);
		r |= rt_metric_mean(m, "turns", j->turns, j->turns_squared, j->rows);
	}
	for (int e = TALK_ANSWERED; r == 0 && e <= TALK_UNANSWERED; e++) {
		snprintf(name, sizeof name, "end_%s", talk_end_name((enum talk_end)e));
		r = rt_metric(m, name, (double)j->ends[e], j->rows);
	}
	if (r == 0)
		r = ask_usage_report(&j->usage, j->cfg->teacher, m);
	r = r < 0 ? rt_fail_nomem(err, "the report") : rt_metrics_write(m, dir, err);
	rt_json_free(m);
	return r;
}

static int check_failed(const struct job *j, struct rt_error *err)
{
	const int64_t failed = j->ends[TALK_UNANSWERED];

	if ((double)failed > j->cfg->max_failed * (double)j->rows)
		return rt_fail(
			err, RT_E_FORMAT,
			"%lld of %lld rows have no reply, more than max_failed = %g allows; run "
			"again to ask for these alone",
			(long long)failed, (long long)j->rows, j->cfg->max_failed);
	if (j->rows > 0 && rt_rows_count(j->out) == 0)
		return rt_fail(
			err, RT_E_FORMAT,
			"none of %lld conversations ended in an answer: %lld at max_turns, %lld "
			"at max_repairs, %lld cut at max_tokens, %lld empty",
			(long long)j->rows, (long long)j->ends[TALK_TURNS],
			(long long)j->ends[TALK_REPAIRS], (long long)j->ends[TALK_CUT],
			(long long)j->ends[TALK_EMPTY]);
	return 0;
}

static int finish(struct job *j, const char *dir, struct rt_error *err)
{
	int r = check_failed(j, err);

	if (r == 0) {
		r = rt_rows_finish(j->out, err);
		j->out = NULL;
	}
	return r == 0 ? write_report(j, dir, err) : r;
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	struct job j = { .cfg = state, .context = c, .files = { .system = RT_TEXT_INIT } };
	char      *in = rt_path_join(j.cfg->data->path, "rows.jsonl"),
	     *to = rt_path_join(out[0], "rows.jsonl");
	int r = in && to ? prepare(&j, to, err) : rt_fail_nomem(err, "a path");

	if (r == 0)
		r = all_rows(&j, in, err);
	if (r == 0)
		r = finish(&j, out[1], err);
	empty_batch(&j);
	rt_rows_discard(j.out);
	ask_journal_close(&j.journal);
	ask_files_free(&j.files);
	rt_free(j.talks);
	rt_free(j.requests);
	rt_free(j.waiting);
	rt_free(in);
	rt_free(to);
	return r;
}

/* How many turns there will be, only the teacher knows: at least one for each row. */
static int estimate(const void *config, struct rt_estimate *ret, struct rt_error *err)
{
	const struct config *c = config;

	(void)err;
	if (c->data->rows >= 0 && c->functions.n == 0 && c->max_repairs == 0)
		ret->calls = (double)c->data->rows;
	return 0;
}

static const struct rt_stage_ops ops = {
	.size = sizeof ops, .outputs = outputs, .run = run, .estimate = estimate
};

RT_PLUGIN(stage_prototype, STAGE, .name = "prototype", .version = "1.0", .license = "Apache-2.0",
          .summary = "The task as a teacher does it that calls functions: a conversation for every "
                     "row.",
          .config_size = sizeof(struct config), .params = params, .ops.stage = &ops);
