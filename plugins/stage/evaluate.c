/* evaluate.c - stage-evaluate: how good are answers, by judges, with intervals; and is it enough?
 *
 * The first candidate of each row counts as its answer.  Each judge gives two figures: NAME, the
 * share of answers that score 1 (with Wilson's interval), and NAME_mean, the mean score; a second
 * judge of a kind is NAME_2.  Rows with a reference also say which functions and arguments are
 * right (evaluate-calls.h). */
#include "evaluate-calls.h"
#include "scores.h"

#include <retort/file.h>
#include <retort/judge.h>
#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/row.h>
#include <retort/rows.h>
#include <retort/stage.h>

#include <stdio.h>
#include <string.h>

enum { MAX_JUDGES = 16, MAX_ROWS = 64 };

struct config {
	const struct rt_artifact *data;
	struct rt_components      judges;
	double                    gate;
};

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct config, data, DATASET, "Rows with candidates.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_COMPONENTS(struct config, judges, JUDGE, 1, MAX_JUDGES, "What is measured."),
	RT_PARAM_REAL(struct config, gate, 0, 0, 1, NULL,
	              "The lower bound of the first judge's share must not be below this; else "
	              "exit status 3."),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "metrics",
	  "NAME: share of answers that a judge scores 1; NAME_mean: its mean score; unanswered.",
	  RT_METRICS, 0 },
	{ "calls",
	  "precision and recall of arguments, of functions (precision/F) and of their arguments "
	  "(precision/F.A); confusion/DUE/CALLED.",
	  RT_METRICS, 0 },
	{ "rows", "The rows with each judge's score and reason in `scores`.", RT_DATASET, 0 },
	{ 0 }
};

struct tally {
	int64_t right;
	double  sum, squares;
};

struct job {
	const struct config *cfg;
	struct rt_rows_out  *out;
	struct rt_json      *calls;                /* counts */
	int64_t              rows, missing, asked; /* asked: answered or not */
	struct tally         of[MAX_JUDGES];
	/* rows that wait for the judges */
	int64_t               n;
	struct rt_json       *rows_at[MAX_ROWS], *scores[MAX_ROWS];
	const struct rt_json *first[MAX_ROWS];
	struct rt_group       groups[MAX_ROWS];
	struct rt_verdict     verdicts[MAX_ROWS];
};

static int set_score(struct rt_json *scores, const char *name, const struct rt_verdict *v)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_json_set(o, "score", rt_json_new_real(v->score));
		r |= rt_json_set(o, "reason", rt_json_new_string(v->reason));
	}
	if (r < 0) {
		rt_json_free(o);
		return r;
	}
	return rt_json_set(scores, name, o);
}

/* One judge on the rows that wait: a verdict each, also where there is no answer. */
static int judge_rows(struct job *j, int64_t k, struct rt_error *err)
{
	const struct rt_component *judge = j->cfg->judges.at[k];
	int64_t                    n = 0;
	char                       name[SCORES_NAME];
	int                        r;

	scores_name(&j->cfg->judges, k, name);

	for (int64_t i = 0; i < j->n; i++)
		if (j->first[i])
			j->groups[n++] = (struct rt_group){ j->rows_at[i], &j->first[i], 1 };
	r = n ? judge->plugin->ops.judge->judge(judge->state, j->groups, n, j->verdicts, err) : 0;
	if (r < 0)
		return rt_within(err, r, "judge-%s", judge->plugin->name);
	for (int64_t i = 0, at = 0; i < j->n; i++) {
		static const struct rt_verdict none = { .reason = "no answer" };
		const struct rt_verdict       *v = j->first[i] ? &j->verdicts[at++] : &none;

		if (!(v->score >= 0 && v->score <= 1))
			return rt_fail(err, RT_E_NUMERIC, "judge-%s gives %g, not a score in 0..1",
			               judge->plugin->name, v->score);
		j->of[k].right += v->score == 1;
		j->of[k].sum += v->score;
		j->of[k].squares += v->score * v->score;
		if (set_score(j->scores[i], name, v) < 0)
			return rt_fail_nomem(err, "scores");
	}
	return 0;
}

/* The reference that an answer equals, or the first. */
static const struct rt_json *nearest(const struct rt_json *row, const struct rt_json *answer)
{
	struct rt_text        have = RT_TEXT_INIT, want = RT_TEXT_INIT;
	const struct rt_json *reference, *ret = rt_row_reference(row, 0);

	if (answer)
		rt_answer_text(answer, &have);
	for (size_t i = 0; answer && (reference = rt_row_reference(row, i)); i++) {
		rt_text_clear(&want);
		rt_answer_text(reference, &want);
		if (have.len == want.len && memcmp(have.data, want.data, have.len) == 0) {
			ret = reference;
			break;
		}
	}
	rt_text_free(&have);
	rt_text_free(&want);
	return ret;
}

static void forget(struct job *j)
{
	for (int64_t i = 0; i < j->n; i++) {
		rt_json_free(j->rows_at[i]);
		rt_json_free(j->scores[i]);
	}
	j->n = 0;
}

static int put(struct job *j, int64_t i, struct rt_error *err)
{
	struct rt_json *row = j->rows_at[i];
	int             r = rt_json_set(row, "scores", rt_json_ref(j->scores[i]));

	if (rt_row_reference(row, 0))
		r |= calls_count(j->calls, j->first[i], nearest(row, j->first[i]));
	if (r < 0)
		return rt_fail_nomem(err, "scores");
	return rt_rows_put(j->out, row, err);
}

/* Judge and write the rows that wait. */
static int flush(struct job *j, struct rt_error *err)
{
	int r = 0;

	for (int64_t k = 0; r == 0 && k < j->cfg->judges.n; k++)
		r = judge_rows(j, k, err);
	for (int64_t i = 0; r == 0 && i < j->n; i++)
		r = put(j, i, err);
	forget(j);
	return r;
}

/* Takes the row over. */
static int do_row(struct job *j, struct rt_json *row, struct rt_error *err)
{
	struct rt_json *scores = rt_json_new_object();

	if (!scores) {
		rt_json_free(row);
		return rt_fail_nomem(err, "scores");
	}
	j->asked += rt_json_get(row, "candidates") != NULL;
	j->first[j->n] = rt_json_at(rt_json_get(row, "candidates"), 0);
	j->rows++;
	j->missing += !j->first[j->n];
	j->scores[j->n] = scores;
	j->rows_at[j->n++] = row;
	return j->n == MAX_ROWS ? flush(j, err) : 0;
}

static int do_rows(struct job *j, struct rt_context *c, struct rt_rows *rows, struct rt_error *err)
{
	struct rt_json *row;
	int             r;

	while ((r = rt_rows_next(rows, &row, err)) == 1) {
		r = do_row(j, row, err);
		if (r == 0 && rt_cancelled(c))
			r = rt_fail(err, RT_E_CANCEL, "cancelled");
		if (r < 0)
			return r;
		rt_progress(c, j->rows, j->cfg->data->rows, "rows");
	}
	return r < 0 ? r : flush(j, err);
}

static int write_metrics(const struct job *j, const char *dir, struct rt_error *err)
{
	struct rt_json *m = rt_json_new_object();
	int             r = m ? 0 : RT_E_NOMEM;

	for (int64_t k = 0; r == 0 && k < j->cfg->judges.n; k++) {
		const struct tally *t = &j->of[k];
		char                name[SCORES_NAME], mean[SCORES_NAME + 8];

		scores_name(&j->cfg->judges, k, name);
		snprintf(mean, sizeof mean, "%s_mean", name);
		r |= rt_metric_rate(m, name, t->right, j->rows);
		r |= rt_metric_score(m, mean, t->sum, t->squares, j->rows);
	}
	if (r == 0)
		r |= rt_metric_rate(m, "unanswered", j->missing, j->rows);
	r = r < 0 ? rt_fail_nomem(err, "metrics") : rt_metrics_write(m, dir, err);
	rt_json_free(m);
	return r;
}

static int write_calls(const struct job *j, const char *dir, struct rt_error *err)
{
	struct rt_json *m = rt_json_new_object();
	int             r = m ? calls_report(j->calls, m) : RT_E_NOMEM;

	r = r < 0 ? rt_fail_nomem(err, "metrics") : rt_metrics_write(m, dir, err);
	rt_json_free(m);
	return r;
}

static int check_gate(const struct job *j, struct rt_error *err)
{
	double low, high;

	rt_wilson(j->of[0].right, j->rows, &low, &high);
	if (low >= j->cfg->gate)
		return 0;
	return rt_fail(err, RT_E_GATE, "%s is %.4f, surely at least %.4f; the gate asks for %.4f",
	               j->cfg->judges.at[0]->plugin->name, (double)j->of[0].right / (double)j->rows,
	               low, j->cfg->gate);
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	struct job j = { .cfg = state, .calls = rt_json_new_object() };
	char      *in = rt_path_join(j.cfg->data->path, "rows.jsonl"),
	     *to = rt_path_join(out[2], "rows.jsonl");
	struct rt_rows *rows = NULL;
	int             r = in && to && j.calls ? rt_rows_open(&rows, in, 0, err)
	                                        : rt_fail_nomem(err, "a path");

	if (r == 0)
		r = rt_rows_create(&j.out, to, err);
	if (r == 0)
		r = do_rows(&j, c, rows, err);
	if (r == 0) {
		r = rt_rows_finish(j.out, err);
		j.out = NULL;
	}
	if (r == 0 && j.rows == 0)
		r = rt_fail(err, RT_E_FORMAT, "there is nothing to evaluate: %s has no rows",
		            j.cfg->data->name);
	if (r == 0 && j.asked == 0)
		r = rt_fail(
			err, RT_E_FORMAT,
			"no row of %s has candidates: give the dataset of a stage that asks for "
			"answers, as sample does",
			j.cfg->data->name);
	if (r == 0)
		r = write_metrics(&j, out[0], err);
	if (r == 0)
		r = write_calls(&j, out[1], err);
	if (r == 0)
		r = check_gate(&j, err);
	forget(&j);
	rt_rows_close(rows);
	rt_rows_discard(j.out);
	rt_json_free(j.calls);
	rt_free(in);
	rt_free(to);
	return r;
}

static int estimate(const void *config, struct rt_estimate *ret, struct rt_error *err)
{
	(void)err;
	ret->memory = RT_ROW_LIMIT;
	ret->rows[2] = ((const struct config *)config)->data->rows;
	return 0;
}

static const struct rt_stage_ops ops = {
	.size = sizeof ops, .outputs = outputs, .run = run, .estimate = estimate
};

RT_PLUGIN(
	stage_evaluate, STAGE, .name = "evaluate", .version = "1.2", .license = "Apache-2.0",
	.summary = "Measure answers by judges, with 95 % intervals, and hold them against a gate.",
	.config_size = sizeof(struct config), .params = params, .ops.stage = &ops);
