/* trial.c - see trial.h */
#include "trial.h"

#include "scores.h"

#include <retort/file.h>
#include <retort/generate.h>
#include <retort/memory.h>
#include <retort/rows.h>

/* *ret_long counts rows that do not fit. */
static int take(struct trial *t, struct rt_json *row, int64_t tokens, int64_t *ret_long,
                struct rt_error *err)
{
	struct rt_ids *ids = &t->prompts[t->n];
	int            r = rt_model_encode_prompt(t->m, row, ids, err);

	if (r < 0 || (int64_t)ids->len >= rt_model_shape(t->m)->context) {
		rt_ids_free(ids);
		*ret_long += r == 0;
		return r;
	}
	t->requests[t->n] = (struct rt_request){ .prompt = ids->data,
		                                 .n = (int64_t)ids->len,
		                                 .max_tokens = tokens };
	t->rows[t->n++] = rt_json_ref(row);
	return 0;
}

static int read_rows(struct trial *t, const char *path, int64_t most, int64_t tokens,
                     struct rt_error *err)
{
	struct rt_rows *rows;
	struct rt_json *row;
	int64_t         too_long = 0;
	int             r = rt_rows_open(&rows, path, 0, err);

	if (r < 0)
		return r;
	while (t->n < most && (r = rt_rows_next(rows, &row, err)) == 1) {
		r = take(t, row, tokens, &too_long, err);
		rt_json_free(row);
		if (r < 0) {
			r = rt_within(err, r, "%s:%lld", path, (long long)rt_rows_line(rows));
			break;
		}
	}
	rt_rows_close(rows);
	if (too_long)
		rt_log(t->c, RT_LOG_WARN,
		       "%lld prompts of the validation are longer than the model's %lld tokens",
		       (long long)too_long, (long long)rt_model_shape(t->m)->context);
	if (r >= 0 && t->n == 0)
		return rt_fail(err, RT_E_FORMAT,
		               "%s has no row whose prompt fits the model's %lld tokens", path,
		               (long long)rt_model_shape(t->m)->context);
	return r < 0 ? r : 0;
}

int trial_open(struct trial *t, const struct rt_model *m, const char *folder, int64_t rows,
               int64_t tokens, const struct rt_components *judges, struct rt_context *c,
               struct rt_error *err)
{
	char *path = rt_path_join(folder, "rows.jsonl");
	int   r;

	*t = (struct trial){ .m = m, .judges = judges, .c = c };
	t->rows = rt_alloc((size_t)rows, sizeof *t->rows);
	t->prompts = rt_alloc((size_t)rows, sizeof *t->prompts);
	t->requests = rt_alloc((size_t)rows, sizeof *t->requests);
	t->answers = rt_alloc((size_t)rows, sizeof *t->answers);
	r = path && t->rows && t->prompts && t->requests && t->answers
	            ? read_rows(t, path, rows, tokens, err)
	            : rt_fail_nomem(err, "a validation");
	if (r == 0)
		r = rt_engine_open(&t->engine, m,
		                   &(struct rt_engine_options){ .sequences = 64, .exact = true },
		                   err);
	rt_free(path);
	return r;
}

static void forget(struct trial *t)
{
	for (int64_t i = 0; i < t->n; i++) {
		rt_json_free((struct rt_json *)t->answers[i]);
		t->answers[i] = NULL;
	}
}

void trial_free(struct trial *t)
{
	forget(t);
	for (int64_t i = 0; i < t->n; i++) {
		rt_ids_free(&t->prompts[i]);
		rt_json_free(t->rows[i]);
	}
	rt_engine_close(t->engine);
	rt_free(t->rows);
	rt_free(t->prompts);
	rt_free(t->requests);
	rt_free(t->answers);
	*t = (struct trial){ 0 };
}

static int answered(void *arg, int64_t i, const struct rt_answer *a, struct rt_error *err)
{
	struct trial   *t = arg;
	struct rt_json *message;
	int             r;

	if (rt_cancelled(t->c))
		return rt_fail(err, RT_E_CANCEL, "cancelled");
	r = rt_chat_message(a->text, a->text_n, &message, err);
	if (r == 0)
		t->answers[i] = message;
	return r;
}

struct sums {
	double *score;
	int64_t n;
};

static void add_up(void *arg, int64_t judge, const struct rt_verdict *verdicts)
{
	struct sums *sums = arg;

	for (int64_t i = 0; i < sums->n; i++)
		sums->score[judge] += verdicts[i].score;
}

static int judge(const struct trial *t, double *score, struct rt_error *err)
{
	const struct scores_rule rule = { .judges = *t->judges };
	struct rt_group         *groups = rt_alloc((size_t)t->n, sizeof *groups);
	struct rt_verdict       *verdicts = rt_alloc((size_t)t->n, sizeof *verdicts);
	double                  *means = rt_alloc((size_t)t->n, sizeof *means);
	struct sums              sums = { score, t->n };
	int r = groups && verdicts && means ? 0 : rt_fail_nomem(err, "a validation");

	for (int64_t i = 0; r == 0 && i < t->n; i++)
		groups[i] = (struct rt_group){ t->rows[i], &t->answers[i], 1 };
	if (r == 0)
		r = scores_give(&rule, groups, t->n, verdicts, means, add_up, &sums, err);
	/* Divided once: the mean of ones is 1, and not nearly so. */
	for (int64_t k = 0; k < t->judges->n; k++)
		score[k] /= (double)t->n;
	rt_free(groups);
	rt_free(verdicts);
	rt_free(means);
	return r;
}

int trial_run(struct trial *t, double score[TRIAL_JUDGES], struct rt_error *err)
{
	int r = rt_generate(t->engine, t->requests, t->n, answered, NULL, t, err);

	for (int64_t i = 0; i < t->judges->n; i++)
		score[i] = 0;
	if (r == 0)
		r = judge(t, score, err);
	forget(t);
	return r;
}
