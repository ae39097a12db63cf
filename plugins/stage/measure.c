/* measure.c - stage-measure: how large a model is and how fast it answers, one request at a time.
 *
 * These are figures of a machine and a moment: the same inputs give others elsewhere, and a
 * finished stage keeps those that it has. */
#include "answers.h"

#include <retort/generate.h>
#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/parallel.h>
#include <retort/stage.h>

#include <stdlib.h>

struct config {
	const struct rt_artifact *model, *data;
	int64_t                   samples, max_tokens;
};

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct config, model, MODEL, "The model to measure.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_INPUT(struct config, data, DATASET, "Rows whose prompts are answered.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_INT(struct config, samples, 100, 1, 1 << 20, "rows",
	             "Requests that are timed, one after another."),
	RT_PARAM_INT(struct config, max_tokens, 256, 1, 1 << 20, "tokens", "Longest answer."),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "speed",
	  "parameters, bytes; latency_p50, latency_p95 and first_token_p50 in seconds; "
	  "requests_per_second.",
	  RT_METRICS, 0 },
	{ 0 }
};

/* Seconds of each request, and tokens of all. */
struct times {
	double *first, *whole;
	int64_t n, prompt, answer;
};

static int answered(void *arg, int64_t i, const struct rt_answer *a, struct rt_error *err)
{
	struct times *t = arg;

	(void)i, (void)err;
	t->first[t->n] = a->first_seconds;
	t->whole[t->n++] = a->seconds;
	t->answer += a->n;
	return 0;
}

/* One at a time, after one that is not counted: it warms caches, and maps the file. */
static int ask(const struct config *cfg, const struct answers *a, struct times *t,
               struct rt_context *c, struct rt_error *err)
{
	struct rt_engine *e = NULL;
	int               r = rt_engine_open(&e, a->before, NULL, err);

	for (int64_t i = -1; r == 0 && i < a->n; i++) {
		const struct rt_ids    *prompt = &a->at[i < 0 ? 0 : i].prompt;
		const struct rt_request q = { .prompt = prompt->data,
			                      .n = (int64_t)prompt->len,
			                      .max_tokens = cfg->max_tokens };

		r = rt_generate(e, &q, 1, answered, NULL, t, err);
		if (i < 0)
			t->n = t->answer = 0;
		else
			t->prompt += q.n;
		if (r == 0 && rt_cancelled(c))
			r = rt_fail(err, RT_E_CANCEL, "cancelled");
		rt_progress(c, i + 1, a->n, "requests");
	}
	rt_engine_close(e);
	return r;
}

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The smallest value that a share q of them does not exceed. */
static double quantile(double *x, int64_t n, double q)
{
	const int64_t at = (int64_t)(q * (double)n);

	qsort(x, (size_t)n, sizeof *x, by_size);
	return x[at < n ? at : n - 1];
}

static int report(const struct answers *a, struct times *t, const char *dir, struct rt_error *err)
{
	const struct rt_model_shape *s = rt_model_shape(a->before);
	struct rt_json              *m = rt_json_new_object();
	double                       all = 0;
	int                          r = m ? 0 : RT_E_NOMEM;

	for (int64_t i = 0; i < t->n; i++)
		all += t->whole[i];
	if (r == 0) {
		r |= rt_metric(m, "parameters", (double)s->parameters, s->parameters);
		r |= rt_metric(m, "bytes", (double)s->bytes, s->parameters);
		r |= rt_metric(m, "latency_p50", quantile(t->whole, t->n, .5), t->n);
		r |= rt_metric(m, "latency_p95", quantile(t->whole, t->n, .95), t->n);
		r |= rt_metric(m, "first_token_p50", quantile(t->first, t->n, .5), t->n);
		r |= rt_metric(m, "prompt_tokens", (double)t->prompt / (double)t->n, t->n);
		r |= rt_metric(m, "answer_tokens", (double)t->answer / (double)t->n, t->n);
		r |= rt_metric(m, "requests_per_second", (double)t->n / all, t->n);
		r |= rt_metric(m, "threads", rt_threads(), 1);
	}
	r = r < 0 ? rt_fail_nomem(err, "metrics") : rt_metrics_write(m, dir, err);
	rt_json_free(m);
	return r;
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	const struct config *cfg = state;
	struct rt_model     *m = NULL;
	struct answers       a = { 0 };
	struct times         t = { 0 };
	int                  r = rt_model_open(&m, cfg->model->path, 0, err);

	a.before = a.after = m;
	if (r == 0)
		r = answers_read(&a, cfg->data->path, cfg->samples, c, err);
	if (r == 0) {
		t.first = rt_alloc((size_t)a.n + 1, sizeof *t.first);
		t.whole = rt_alloc((size_t)a.n + 1, sizeof *t.whole);
		r = t.first && t.whole ? ask(cfg, &a, &t, c, err) : rt_fail_nomem(err, "times");
	}
	if (r == 0)
		r = report(&a, &t, out[0], err);
	rt_free(t.first);
	rt_free(t.whole);
	answers_free(&a);
	rt_model_close(m);
	return r;
}

static const struct rt_stage_ops ops = { .size = sizeof ops, .outputs = outputs, .run = run };

RT_PLUGIN(stage_measure, STAGE, .name = "measure", .version = "1.0", .license = "Apache-2.0",
          .summary = "Size of a model, and the time that it takes for an answer.",
          .config_size = sizeof(struct config), .params = params, .ops.stage = &ops);
