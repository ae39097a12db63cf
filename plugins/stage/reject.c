/* reject.c - stage-reject: judges score candidates, a rejector keeps what is good.
 *
 * The score of a candidate is the weighted mean of the judges'.  What stays becomes rows of
 * their own: the prompt, then the answer; a second answer to the same row gets the id "ID#2". */
#include "scores.h"

#include <retort/file.h>
#include <retort/judge.h>
#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/rejector.h>
#include <retort/row.h>
#include <retort/rows.h>
#include <retort/stage.h>

#include <stdio.h>

/* Candidates of a row, and of the rows that judges see at once; of those rows; reasons that are
 * told apart. */
enum { MAX_CANDIDATES = 1024, MAX_ROWS = 64, MAX_REASONS = 100 };

struct config {
	const struct rt_artifact *data;
	struct rt_components      judges;
	struct rt_reals           weights;
	struct rt_component      *keep;
};

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct config, data, DATASET, "Rows with candidates.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_COMPONENTS(struct config, judges, JUDGE, 1, 16, "Who scores them."),
	RT_PARAM_REALS(struct config, weights, 0, 1e6, 0, 16, NULL,
	               "What each judge's score counts; one number a judge, all 1 without."),
	RT_PARAM_COMPONENT(struct config, keep, REJECTOR, "best-of", "Who decides what stays."),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "rows", "What stayed, an answer a row.", RT_DATASET, 0 },
	{ "report", "How many candidates and rows came, stayed, and why not.", RT_METRICS, 0 },
	{ 0 }
};

/* One run. */
struct job {
	const struct config  *cfg;
	struct rt_rows_out   *out;
	struct rt_json       *reasons; /* text -> count */
	int64_t               rows, rows_kept, candidates, kept;
	double                sum, squares;
	struct rt_verdict     verdicts[MAX_CANDIDATES];
	double                scores[MAX_CANDIDATES];
	bool                  keep[MAX_CANDIDATES];
	const struct rt_json *at[MAX_CANDIDATES];
	struct rt_json       *rows_at[MAX_ROWS];
	struct rt_group       groups[MAX_ROWS];
	int64_t               n, used; /* rows and candidates that wait for the judges */
	char                  why[MAX_CANDIDATES][160];
};

static int check(const void *config, struct rt_error *err)
{
	const struct config     *c = config;
	const struct scores_rule rule = { c->judges, c->weights };

	return scores_check(&rule, err);
}

/* The first reason that a judge gives is kept. */
struct reasons {
	struct job *j;
	int64_t     n;
};

static void take_reasons(void *arg, int64_t judge, const struct rt_verdict *verdicts)
{
	const struct reasons *x = arg;
	char                  name[SCORES_NAME];

	scores_name(&x->j->cfg->judges, judge, name);

	for (int64_t i = 0; i < x->n; i++)
		if (verdicts[i].reason[0] && !x->j->why[i][0])
			snprintf(x->j->why[i], sizeof x->j->why[i], "%s: %s", name,
			         verdicts[i].reason);
}

static int score(struct job *j, struct rt_error *err)
{
	const struct scores_rule rule = { j->cfg->judges, j->cfg->weights };
	struct reasons           x = { j, j->used };

	for (int64_t i = 0; i < j->used; i++)
		j->why[i][0] = '\0';
	return scores_give(&rule, j->groups, j->n, j->verdicts, j->scores, take_reasons, &x, err);
}

static int count_reason(struct job *j, const char *why)
{
	const char *text = *why ? why : "better ones were kept";

	if (!rt_json_get(j->reasons, text) && rt_json_length(j->reasons) >= MAX_REASONS)
		text = "other reasons";
	return rt_json_set(j->reasons, text,
	                   rt_json_new_int(1 + rt_json_int(rt_json_get(j->reasons, text), 0)));
}

/* The row that answer number `nth` of `row` becomes. */
static struct rt_json *accepted(const struct rt_json *row, const struct rt_json *answer,
                                double score_, int64_t nth)
{
	static const char *const kept[] = { "tools", "template_kwargs", NULL };
	struct rt_json          *o = rt_json_new_object(), *messages = rt_row_prompt_messages(row);
	const char              *id = rt_json_string(rt_json_get(row, "id"));
	char *own = nth > 1 ? rt_asprintf("%s#%lld", id, (long long)nth) : rt_strdup(id);
	int   r = o && messages && own ? 0 : RT_E_NOMEM;

	if (r == 0)
		r |= rt_json_set(o, "id", rt_json_new_string(own));
	if (r == 0)
		r |= rt_json_append(messages, rt_json_ref(answer));
	if (r == 0)
		r |= rt_json_set(o, "messages", rt_json_ref(messages));
	for (int k = 0; r == 0 && kept[k]; k++)
		if (rt_json_get(row, kept[k]))
			r |= rt_json_set(o, kept[k], rt_json_ref(rt_json_get(row, kept[k])));
	if (r == 0)
		r |= rt_json_set(o, "score", rt_json_new_real(score_));
	if (r == 0 && rt_json_get(row, "meta"))
		r |= rt_json_set(o, "meta", rt_json_ref(rt_json_get(row, "meta")));
	rt_json_free(messages);
	rt_free(own);
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

/* The first of its candidates has number `at` of all that were scored. */
static int put_kept(struct job *j, const struct rt_group *g, int64_t at, struct rt_error *err)
{
	int64_t nth = 0;

	for (int64_t i = 0; i < g->n; i++) {
		const double    one = j->scores[at + i];
		struct rt_json *row;
		int             r;

		j->sum += one;
		j->squares += one * one;
		if (!j->keep[at + i]) {
			if (count_reason(j, j->why[at + i]) < 0)
				return rt_fail_nomem(err, "reasons");
			continue;
		}
		row = accepted(g->row, g->candidates[i], one, ++nth);
		r = row ? rt_rows_put(j->out, row, err) : rt_fail_nomem(err, "a row");
		rt_json_free(row);
		if (r < 0)
			return r;
	}
	j->kept += nth;
	j->rows_kept += nth > 0;
	return 0;
}

static void forget(struct job *j)
{
	for (int64_t i = 0; i < j->n; i++)
		rt_json_free(j->rows_at[i]);
	j->n = j->used = 0;
}

/* Score and sort out the rows that wait. */
static int flush(struct job *j, struct rt_error *err)
{
	const struct rt_component *keep = j->cfg->keep;
	int64_t                    at = 0;
	int                        r = j->n ? score(j, err) : 0;

	for (int64_t i = 0; r == 0 && i < j->n; at += j->groups[i++].n) {
		r = keep->plugin->ops.rejector->select(keep->state, &j->groups[i], j->scores + at,
		                                       j->keep + at, err);
		if (r == 0)
			r = put_kept(j, &j->groups[i], at, err);
	}
	forget(j);
	return r;
}

static int do_row(struct job *j, const struct rt_json *row, struct rt_error *err)
{
	const struct rt_json *list = rt_json_get(row, "candidates");
	const int64_t         n = (int64_t)rt_json_length(list);
	int                   r = 0;

	if (n > MAX_CANDIDATES)
		return rt_fail(
			err, RT_E_RANGE, "row '%s' has %lld candidates, at most %d are allowed",
			rt_json_string(rt_json_get(row, "id")), (long long)n, MAX_CANDIDATES);
	j->rows++;
	j->candidates += n;
	if (n == 0)
		return count_reason(j, "row without candidates") < 0 ? rt_fail_nomem(err, "reasons")
		                                                     : 0;
	if (j->n == MAX_ROWS || j->used + n > MAX_CANDIDATES)
		r = flush(j, err);
	if (r < 0)
		return r;
	for (int64_t i = 0; i < n; i++)
		j->at[j->used + i] = rt_json_at(list, (size_t)i);
	j->rows_at[j->n] = rt_json_ref(row);
	j->groups[j->n++] = (struct rt_group){ row, j->at + j->used, n };
	j->used += n;
	return 0;
}

static int write_report(struct job *j, const char *dir, struct rt_error *err)
{
	struct rt_json *m = rt_json_new_object();
	int             r = m ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_metric(m, "rows", (double)j->rows, j->rows);
		r |= rt_metric(m, "candidates", (double)j->candidates, j->candidates);
		r |= rt_metric(m, "kept", (double)j->kept, j->candidates);
		r |= rt_metric_rate(m, "rows_kept", j->rows_kept, j->rows);
		r |= rt_metric_score(m, "score", j->sum, j->squares, j->candidates);
	}
	for (struct rt_json_iter i = rt_json_first(j->reasons); r == 0 && i.key; rt_json_next(&i)) {
		char *name = rt_asprintf("rejected, %s", i.key);

		r = name ? rt_metric(m, name, (double)rt_json_int(i.value, 0), j->candidates)
		         : RT_E_NOMEM;
		rt_free(name);
	}
	r = r < 0 ? rt_fail_nomem(err, "the report") : rt_metrics_write(m, dir, err);
	rt_json_free(m);
	return r;
}

static int do_rows(struct job *j, struct rt_context *c, struct rt_rows *rows, struct rt_error *err)
{
	struct rt_json *row;
	int             r;

	while ((r = rt_rows_next(rows, &row, err)) == 1) {
		r = rt_cancelled(c) ? rt_fail(err, RT_E_CANCEL, "cancelled") : do_row(j, row, err);
		rt_json_free(row);
		if (r < 0)
			return r;
		rt_progress(c, j->rows, j->cfg->data->rows, "rows");
	}
	return r < 0 ? r : flush(j, err);
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	const struct config *cfg = state;
	struct job          *j = rt_alloc(1, sizeof *j);
	char                *in = rt_path_join(cfg->data->path, "rows.jsonl"),
	     *to = rt_path_join(out[0], "rows.jsonl");
	struct rt_rows *rows = NULL;
	int             r = j && in && to ? 0 : rt_fail_nomem(err, "a job");

	if (r == 0) {
		j->cfg = cfg;
		j->reasons = rt_json_new_object();
		r = j->reasons ? rt_rows_open(&rows, in, 0, err) : rt_fail_nomem(err, "reasons");
	}
	if (r == 0)
		r = rt_rows_create(&j->out, to, err);
	if (r == 0)
		r = do_rows(j, c, rows, err);
	if (r == 0) {
		r = rt_rows_finish(j->out, err);
		j->out = NULL;
	}
	if (r == 0)
		r = write_report(j, out[1], err);
	if (r == 0 && j->kept == 0)
		rt_log(c, RT_LOG_WARN, "no candidate was kept");
	rt_rows_close(rows);
	if (j) {
		forget(j);
		rt_rows_discard(j->out);
		rt_json_free(j->reasons);
	}
	rt_free(j);
	rt_free(in);
	rt_free(to);
	return r;
}

static int estimate(const void *config, struct rt_estimate *ret, struct rt_error *err)
{
	(void)config, (void)err;
	ret->memory = sizeof(struct job) + RT_ROW_LIMIT;
	return 0;
}

static const struct rt_stage_ops ops = {
	.size = sizeof ops, .outputs = outputs, .run = run, .estimate = estimate
};

RT_PLUGIN(stage_reject, STAGE, .name = "reject", .version = "1.1", .license = "Apache-2.0",
          .summary = "Judges score candidates, a rejector keeps the good ones as rows to learn "
                     "from (Yuan 2023).",
          .config_size = sizeof(struct config), .params = params, .check = check,
          .ops.stage = &ops);
