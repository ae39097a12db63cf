/* sample.c - stage-sample: a teacher answers every row, several times.
 *
 * Every reply goes to a journal in the stage's work folder before anything else happens, so
 * that a run that is killed pays for nothing twice.  A row becomes itself plus `candidates`, the
 * assistant messages that the teacher gave; an answer that stands in the row already is left
 * in place, as the reference for judges that compare. */
#include "ask.h"

#include <retort/file.h>
#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/rows.h>
#include <retort/stage.h>
#include <retort/teacher.h>

#include <math.h>

struct config {
	const struct rt_artifact *data;
	struct rt_component      *teacher;
	int64_t                   n, max_tokens, batch;
	double                    temperature, top_p, max_failed;
	const char               *tools, *system;
};

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct config, data, DATASET, "Rows whose prompts are answered.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_COMPONENT(struct config, teacher, TEACHER, NULL, "Who answers.",
	                   .flags = RT_P_REQUIRED),
	RT_PARAM_INT(struct config, n, 1, 1, 64, "candidates", "How many answers to each row."),
	RT_PARAM_REAL(struct config, temperature, 1, 0, 2, NULL, "Of the teacher's sampling."),
	RT_PARAM_REAL(struct config, top_p, 1, 0, 1, NULL, "Nucleus of the teacher's sampling."),
	RT_PARAM_INT(struct config, max_tokens, 512, 1, 1 << 20, "tokens", "Longest answer."),
	RT_PARAM_PATH(struct config, tools, NULL,
	              "JSON list of tools for rows that have none of their own."),
	RT_PARAM_PATH(struct config, system, NULL,
	              "Text file: the system message for rows that have none of their own."),
	RT_PARAM_REAL(struct config, max_failed, .05, 0, 1, NULL,
	              "The stage fails when a larger share of rows stays without any answer."),
	RT_PARAM_INT(struct config, batch, 64, 1, 4096, "rows",
	             "How many requests the teacher sees at once.", .flags = RT_P_NOKEY),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "rows", "The rows with their candidates.", RT_DATASET, 0 },
	{ "report", "Rows, candidates, failures, tokens and cost.", RT_METRICS, 0 },
	{ 0 }
};

/* One run. */
struct job {
	const struct config *cfg;
	struct rt_context   *context;
	struct ask_files     files;
	struct ask_journal   journal;
	struct ask_usage     usage;
	int64_t              seen, answered, candidates, failed;
	/* the batch that is being filled */
	struct rt_teacher_request *requests;
	struct rt_json           **rows;
	int64_t                    filled;
};

static struct rt_json *request_body(const struct job *j, const struct rt_json *row)
{
	const struct config      *c = j->cfg;
	const struct ask_sampling s = { c->n, c->max_tokens, c->temperature, c->top_p };
	struct rt_json           *messages = ask_prompt(&j->files, row);
	struct rt_json           *o =
                messages ? ask_body(messages, ask_tools(&j->files, row), row, &s) : NULL;

	rt_json_free(messages);
	return o;
}

static int on_reply(void *arg, int64_t index, const struct rt_json *reply, const char *why,
                    struct rt_error *err)
{
	struct job *j = arg;
	const char *id = j->requests[index].id;

	if (!reply) {
		rt_log(j->context, RT_LOG_WARN, "row '%s' has no answer: %s", id,
		       why ? why : "unknown");
		return 0;
	}
	if (ask_journal_add(&j->journal, id, reply, err) < 0)
		return err ? err->code : RT_E_IO;
	rt_progress(j->context, (int64_t)rt_json_length(j->journal.done), j->cfg->data->rows,
	            "rows");
	return 0;
}

static void empty_batch(struct job *j)
{
	for (int64_t i = 0; i < j->filled; i++) {
		rt_json_free((struct rt_json *)j->requests[i].body);
		rt_json_free(j->rows[i]);
	}
	j->filled = 0;
}

static int ask(struct job *j, struct rt_error *err)
{
	const struct rt_component *t = j->cfg->teacher;
	int                        r = 0;

	if (rt_cancelled(j->context))
		r = rt_fail(err, RT_E_CANCEL, "cancelled");
	else if (j->filled > 0)
		r = t->plugin->ops.teacher->chat(t->state, j->requests, j->filled, on_reply, j,
		                                 err);
	empty_batch(j);
	return r < 0 && r != RT_E_CANCEL ? rt_within(err, r, "teacher-%s", t->plugin->name) : r;
}

/* Put a row into the batch unless it is answered already; takes the row over. */
static int enqueue(struct job *j, struct rt_json *row, struct rt_error *err)
{
	const char     *id = rt_json_string(rt_json_get(row, "id"));
	struct rt_json *body = NULL;

	if (rt_json_get(j->journal.done, id)) {
		rt_json_free(row);
		return 0;
	}
	body = request_body(j, row);
	if (!body) {
		rt_json_free(row);
		return rt_fail_nomem(err, "a request");
	}
	j->rows[j->filled] = row;
	j->requests[j->filled++] = (struct rt_teacher_request){ id, body };
	return j->filled == j->cfg->batch ? ask(j, err) : 0;
}

/* Over the rows: ask for what is missing. */
static int first_pass(struct job *j, const char *path, struct rt_error *err)
{
	struct rt_rows *rows;
	struct rt_json *row;
	int             r = rt_rows_open(&rows, path, 0, err);

	if (r < 0)
		return r;
	while ((r = rt_rows_next(rows, &row, err)) == 1) {
		r = enqueue(j, row, err);
		if (r < 0)
			break;
	}
	if (r == 0)
		r = ask(j, err);
	rt_rows_close(rows);
	return r;
}

/* The messages of a reply's choices. */
static int set_candidates(struct job *j, struct rt_json *row, const struct rt_json *reply)
{
	const struct rt_json *choices = rt_json_get(reply, "choices");
	struct rt_json       *list = rt_json_new_array();
	int                   r = list ? 0 : RT_E_NOMEM;

	for (size_t i = 0; r == 0 && i < rt_json_length(choices); i++) {
		struct rt_json *message = rt_json_get(rt_json_at(choices, i), "message");

		if (rt_json_is(message, RT_JSON_OBJECT))
			r |= rt_json_append(list, rt_json_ref(message));
	}
	if (r < 0) {
		rt_json_free(list);
		return r;
	}
	j->candidates += (int64_t)rt_json_length(list);
	j->answered += rt_json_length(list) > 0;
	j->failed += rt_json_length(list) == 0;
	if (reply)
		ask_usage_count(&j->usage, reply);
	return rt_json_set(row, "candidates", list);
}

/* Over the rows again: write them with what was answered. */
static int second_pass(struct job *j, const char *path, const char *to, struct rt_error *err)
{
	struct rt_rows     *rows = NULL;
	struct rt_rows_out *out = NULL;
	struct rt_json     *row;
	int                 r = rt_rows_open(&rows, path, 0, err);

	if (r == 0)
		r = rt_rows_create(&out, to, err);
	while (r == 0 && (r = rt_rows_next(rows, &row, err)) == 1) {
		const char *id = rt_json_string(rt_json_get(row, "id"));

		j->seen++;
		r = set_candidates(j, row, rt_json_get(j->journal.done, id)) < 0
		            ? rt_fail_nomem(err, "candidates")
		            : rt_rows_put(out, row, err);
		rt_json_free(row);
	}
	rt_rows_close(rows);
	if (r < 0)
		rt_rows_discard(out);
	return r < 0 ? r : rt_rows_finish(out, err);
}

static int write_report(const struct job *j, const char *dir, struct rt_error *err)
{
	struct rt_json *m = rt_json_new_object();
	int             r = m ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_metric(m, "rows", (double)j->seen, j->seen);
		r |= rt_metric(m, "candidates", (double)j->candidates, j->seen);
		r |= rt_metric_rate(m, "answered", j->answered, j->seen);
		r |= ask_usage_report(&j->usage, j->cfg->teacher, m);
	}
	r = r < 0 ? rt_fail_nomem(err, "the report") : rt_metrics_write(m, dir, err);
	rt_json_free(m);
	return r;
}

static int check_failed(const struct job *j, struct rt_error *err)
{
	if ((double)j->failed <= j->cfg->max_failed * (double)j->seen)
		return 0;
	return rt_fail(err, RT_E_FORMAT,
	               "%lld of %lld rows have no answer, more than max_failed = %g allows; run "
	               "again to ask "
	               "for these alone",
	               (long long)j->failed, (long long)j->seen, j->cfg->max_failed);
}

static int prepare(struct job *j, struct rt_error *err)
{
	const struct config *c = j->cfg;
	int                  r;

	j->requests = rt_alloc((size_t)c->batch, sizeof *j->requests);
	j->rows = rt_alloc((size_t)c->batch, sizeof *j->rows);
	if (!j->requests || !j->rows)
		return rt_fail_nomem(err, "a job");
	r = ask_files_read(&j->files, c->tools, c->system, err);
	if (r == 0)
		r = ask_journal_open(&j->journal, rt_work_dir(j->context), err);
	if (r == 0 && rt_json_length(j->journal.done) > 0)
		rt_log(j->context, RT_LOG_INFO, "%zu rows were answered before",
		       rt_json_length(j->journal.done));
	return r;
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	struct job j = { .cfg = state, .context = c, .files = { .system = RT_TEXT_INIT } };
	char      *in = rt_path_join(j.cfg->data->path, "rows.jsonl"),
	     *to = rt_path_join(out[0], "rows.jsonl");
	int r = in && to ? prepare(&j, err) : rt_fail_nomem(err, "a path");

	if (r == 0)
		r = first_pass(&j, in, err);
	if (r == 0)
		r = second_pass(&j, in, to, err);
	if (r == 0)
		r = check_failed(&j, err);
	if (r == 0)
		r = write_report(&j, out[1], err);
	if (j.requests && j.rows)
		empty_batch(&j);
	ask_journal_close(&j.journal);
	ask_files_free(&j.files);
	rt_free(j.requests);
	rt_free(j.rows);
	rt_free(in);
	rt_free(to);
	return r;
}

/* Tokens are not known before the teacher counts them. */
static int estimate(const void *config, struct rt_estimate *ret, struct rt_error *err)
{
	const struct config         *c = config;
	const struct rt_teacher_ops *ops = c->teacher->plugin->ops.teacher;

	(void)err;
	ret->rows[0] = c->data->rows;
	if (c->data->rows < 0)
		return 0;
	ret->calls = (double)c->data->rows;
	if (RT_HAS(ops, price))
		ret->money = ops->price(c->teacher->config, ret->calls, NAN, NAN);
	return 0;
}

static const struct rt_stage_ops ops = {
	.size = sizeof ops, .outputs = outputs, .run = run, .estimate = estimate
};

RT_PLUGIN(stage_sample, STAGE, .name = "sample", .version = "1.2", .license = "Apache-2.0",
          .summary =
                  "A teacher gives candidates for every row; each reply is kept before it is used.",
          .config_size = sizeof(struct config), .params = params, .ops.stage = &ops);
