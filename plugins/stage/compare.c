/* compare.c - stage-compare: is one way better than another, row by row?
 *
 * Each of `data` is set beside its counterpart in `against`: the same rows, answered in two ways.
 * With several pairs (models that differ in their seeds alone) a row's difference is the mean of
 * its pairs', so that the interval is over rows, which are what is drawn; that pairs differ among
 * themselves shows in the difference of each. */
#include <retort/file.h>
#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/rows.h>
#include <retort/stage.h>
#include <retort/text.h>

struct config {
	struct rt_inputs data, against;
	const char      *judge;
};

static const struct rt_param params[] = {
	RT_PARAM_INPUTS(struct config, data, DATASET, 1, 100,
	                "Rows with scores: the output `rows` of stages evaluate."),
	RT_PARAM_INPUTS(struct config, against, DATASET, 1, 100,
	                "As many others, each with the rows of its counterpart."),
	RT_PARAM_STRING(struct config, judge, "exact", "Whose scores are compared."), RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "metrics", "Means of both sides, and their difference with a paired interval.",
	  RT_METRICS, 0 },
	{ 0 }
};

/* Of a row, sums over the pairs that have it. */
struct sums {
	double  data, against;
	int64_t n;
};

struct job {
	const struct config *cfg;
	struct rt_context   *context;
	struct rt_json      *places; /* id: its index in rows */
	struct sums         *rows;
	int64_t              n, room;
	struct rt_json      *metrics;
};

/* A mean in the making. */
struct tally {
	double  sum, squares;
	int64_t n;
};

static void add(struct tally *t, double x)
{
	t->sum += x;
	t->squares += x * x;
	t->n++;
}

/* The sums of a row by its id; NULL: out of memory. */
static struct sums *sums_of(struct job *j, const char *id)
{
	int64_t at = rt_json_int(rt_json_get(j->places, id), -1);

	if (at >= 0)
		return &j->rows[at];
	if (j->n == j->room) {
		const int64_t room = j->room ? 2 * j->room : 1024;
		struct sums  *more = rt_realloc(j->rows, (size_t)room, sizeof *more);

		if (!more)
			return NULL;
		j->rows = more;
		j->room = room;
	}
	if (rt_json_set(j->places, id, rt_json_new_int(j->n)) < 0)
		return NULL;
	j->rows[j->n] = (struct sums){ 0 };
	return &j->rows[j->n++];
}

/* Every id with its score. */
static int read_scores(const struct job *j, const struct rt_artifact *from, struct rt_json *ret,
                       struct rt_error *err)
{
	const char     *judge = j->cfg->judge;
	char           *path = rt_path_join(from->path, "rows.jsonl");
	struct rt_rows *rows = NULL;
	struct rt_json *row;
	int             r = path ? rt_rows_open(&rows, path, 0, err) : rt_fail_nomem(err, "a path");

	while (r == 0 && (r = rt_rows_next(rows, &row, err)) == 1) {
		const char           *id = rt_json_string(rt_json_get(row, "id"));
		const struct rt_json *score =
			rt_json_get(rt_json_get(rt_json_get(row, "scores"), judge), "score");

		if (!id)
			r = rt_fail(err, RT_E_FORMAT, "a row of %s has no id", from->name);
		else if (rt_json_get(ret, id))
			r = rt_fail(err, RT_E_FORMAT, "two rows of %s have the id '%s'", from->name,
			            id);
		else if (!rt_json_is(score, RT_JSON_REAL) && !rt_json_is(score, RT_JSON_INT))
			r = rt_fail(err, RT_E_FORMAT,
			            "row '%s' of %s has no score of judge-%s; give the stage "
			            "evaluate that judge, or name another one here",
			            id, from->name, judge);
		else if (!(rt_json_real(score, 0) >= 0 && rt_json_real(score, 0) <= 1))
			r = rt_fail(err, RT_E_RANGE,
			            "row '%s' of %s has the score %g of judge-%s; scores are from "
			            "0 to 1",
			            id, from->name, rt_json_real(score, 0), judge);
		else if (rt_json_set(ret, id, rt_json_new_real(rt_json_real(score, 0))) < 0)
			r = rt_fail_nomem(err, "scores");
		else
			r = rt_cancelled(j->context) ? rt_fail(err, RT_E_CANCEL, "cancelled") : 0;
		rt_json_free(row);
	}
	rt_rows_close(rows);
	rt_free(path);
	return r;
}

static int no_counterpart(const struct rt_json *have, const struct rt_json *lack,
                          const struct rt_artifact *of, const struct rt_artifact *in,
                          struct rt_error *err)
{
	for (struct rt_json_iter i = rt_json_first(have); i.key; rt_json_next(&i))
		if (!rt_json_get(lack, i.key))
			return rt_fail(
				err, RT_E_FORMAT,
				"row '%s' of %s is not in %s: what is compared must have been "
				"answered by both",
				i.key, of->name, in->name);
	return 0;
}

static int compare_scores(struct job *j, int64_t k, const struct rt_json *a,
                          const struct rt_json *b, struct rt_error *err)
{
	const struct rt_artifact *data = j->cfg->data.at[k], *against = j->cfg->against.at[k];
	struct rt_text            name = RT_TEXT_INIT;
	struct tally              t = { 0 };
	int                       r = no_counterpart(a, b, data, against, err);

	if (r == 0)
		r = no_counterpart(b, a, against, data, err);
	for (struct rt_json_iter i = rt_json_first(a); r == 0 && i.key; rt_json_next(&i)) {
		const double x = rt_json_real(i.value, 0),
			     y = rt_json_real(rt_json_get(b, i.key), 0);
		struct sums *s = sums_of(j, i.key);

		if (!s)
			return rt_fail_nomem(err, "scores");
		s->data += x;
		s->against += y;
		s->n++;
		add(&t, x - y);
	}
	if (r < 0 || j->cfg->data.n == 1)
		return r;
	rt_text_printf(&name, "difference/%lld", (long long)(k + 1));
	if (name.failed || rt_metric_difference(j->metrics, name.data, t.sum, t.squares, t.n) < 0)
		r = rt_fail_nomem(err, "metrics");
	rt_text_free(&name);
	return r;
}

static int compare_pair(struct job *j, int64_t k, struct rt_error *err)
{
	struct rt_json *a = rt_json_new_object(), *b = rt_json_new_object();
	int             r = a && b ? 0 : rt_fail_nomem(err, "scores");

	if (r == 0)
		r = read_scores(j, j->cfg->data.at[k], a, err);
	if (r == 0)
		r = read_scores(j, j->cfg->against.at[k], b, err);
	if (r == 0)
		r = compare_scores(j, k, a, b, err);
	rt_json_free(a);
	rt_json_free(b);
	return r;
}

static int sum_up(struct job *j, struct rt_error *err)
{
	struct rt_json *m = j->metrics;
	struct tally    data = { 0 }, against = { 0 }, apart = { 0 };
	int             r = 0;

	if (j->n == 0)
		return rt_fail(err, RT_E_FORMAT, "there is nothing to compare: %s has no rows",
		               j->cfg->data.at[0]->name);
	for (int64_t i = 0; i < j->n; i++) {
		const struct sums *s = &j->rows[i];

		add(&data, s->data / (double)s->n);
		add(&against, s->against / (double)s->n);
		add(&apart, (s->data - s->against) / (double)s->n);
	}
	r |= rt_metric_difference(m, "difference", apart.sum, apart.squares, apart.n);
	r |= rt_metric_score(m, "data", data.sum, data.squares, data.n);
	r |= rt_metric_score(m, "against", against.sum, against.squares, against.n);
	return r < 0 ? rt_fail_nomem(err, "metrics") : 0;
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	struct job j = { .cfg = state,
		         .context = c,
		         .places = rt_json_new_object(),
		         .metrics = rt_json_new_object() };
	int        r = j.places && j.metrics ? 0 : rt_fail_nomem(err, "scores");

	for (int64_t k = 0; r == 0 && k < j.cfg->data.n; k++) {
		r = compare_pair(&j, k, err);
		rt_progress(c, k + 1, j.cfg->data.n, "pairs");
	}
	if (r == 0)
		r = sum_up(&j, err);
	if (r == 0)
		r = rt_metrics_write(j.metrics, out[0], err);
	rt_json_free(j.places);
	rt_json_free(j.metrics);
	rt_free(j.rows);
	return r;
}

static int check(const void *config, struct rt_error *err)
{
	const struct config *c = config;

	if (c->data.n == c->against.n)
		return 0;
	return rt_fail(err, RT_E_USAGE,
	               "data has %lld stages and against %lld: each has its counterpart",
	               (long long)c->data.n, (long long)c->against.n);
}

static const struct rt_stage_ops ops = { .size = sizeof ops, .outputs = outputs, .run = run };

RT_PLUGIN(stage_compare, STAGE, .name = "compare", .version = "1.1", .license = "Apache-2.0",
          .summary = "Is one way better than another?  Scores of the same rows, paired, over "
                     "several seeds.",
          .config_size = sizeof(struct config), .params = params, .check = check,
          .ops.stage = &ops);
