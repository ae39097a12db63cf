/* prefer.c - stage-prefer: a model learns which of two answers is the better one.
 *
 * Pairs come from the rows (see pairs.h), an rl plugin with a loss on preferences turns the
 * log-probabilities of a batch of them into gradients.  What the reference model finds of each pair
 * is computed once, in the beginning; without one it is the model itself as it was then.  `batch`
 * counts pairs.  The loss is that of the whole batch, however it is cut: what does not go through
 * the model at once goes twice. */
#include "pairs.h"
#include "policy.h"
#include "training.h"

#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/rl.h>
#include <retort/stage.h>
#include <retort/train.h>

#include <math.h>

static const char *const againsts[] = { "worst", "all", NULL };

struct config {
	const struct rt_artifact *model, *reference, *data, *validation;
	struct rt_components      judges;
	struct rt_reals           weights;
	struct rt_component      *rl;
	double                    margin, epochs, nll;
	int64_t                   steps, max_length;
	int                       against, dtype;
	struct rt_training        training;
};

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct config, model, MODEL, "The model to begin with.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_INPUT(struct config, reference, MODEL,
	               "What it is held to; without one, the model as it was in the beginning."),
	RT_PARAM_INPUT(struct config, data, DATASET,
	               "Rows with chosen and rejected, or with candidates.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_INPUT(struct config, validation, DATASET,
	               "Such rows that the model is tried on in the end."),
	RT_PARAM_COMPONENTS(struct config, judges, JUDGE, 0, 16,
	                    "Who scores candidates; without, rows have their scores."),
	RT_PARAM_REALS(struct config, weights, 0, 1e6, 0, 16, NULL,
	               "What each judge's score counts; one number a judge, all 1 without."),
	RT_PARAM_ENUM(struct config, against, PAIRS_WORST, againsts,
	              "Whether the best candidate is paired with the worst, or with all others."),
	RT_PARAM_REAL(struct config, margin, .1, 0, 1e6, NULL,
	              "How much better the score of the better one must be."),
	RT_PARAM_COMPONENT(struct config, rl, RL, "dpo", "How preferences become gradients."),
	RT_PARAM_REAL(struct config, nll, 0, 0, 1e6, NULL,
	              "Weight of the chosen answer's own loss, -log p a token, beside the "
	              "preference (Pang 2024); it keeps what must have a form."),
	RT_PARAM_REAL(struct config, epochs, 1, 0, 1e6, NULL, "How often each pair is seen."),
	RT_PARAM_INT(struct config, steps, 0, 0, INT64_MAX, NULL,
	             "Steps to go, instead of epochs; 0: as epochs say."),
	RT_PARAM_INT(struct config, max_length, 0, 0, 1 << 24, "tokens",
	             "Longest row, prompt and answer; pairs with a longer one are left out; 0: "
	             "what the model was made for."),
	RT_PARAM_ENUM(struct config, dtype, 0, training_dtypes, "How the weights are stored."),
	RT_TRAINING_BATCH(struct config, training),
	RT_TRAINING_PARAMS(struct config, training),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "model", "The model, trained.", RT_MODEL, 0 },
	{ "report", "Pairs, losses, and how often the better answer is the likelier one.",
	  RT_METRICS, 0 },
	{ 0 }
};

/* What trackers hear of a batch; rewards are as the implicit reward of DPO, scale log(pi / ref). */
struct figures {
	double  loss, chosen, rejected;
	int64_t right; /* pairs whose chosen answer is the likelier one */
};

/* Room for the pairs of a batch. */
struct batch {
	int64_t                    n;
	const struct pair        **pair;     /* [n] */
	const struct rt_sequence **s;        /* [2 n] */
	float                     *logp;     /* [2 n] sums over the answers */
	float                     *gradient; /* [2 n] with respect to them */
	float                     *side[8];  /* [n] of struct rt_rl_pairs, and their gradients */
};

/* One run. */
struct job {
	const struct config *cfg;
	struct rt_context   *c;
	struct rt_model     *m, *reference;
	struct rt_trainer   *t;
	struct rt_tape      *tape;
	struct pairs         data, validation;
	struct rt_order      order;
	struct rt_packed     packed;
	struct rt_pass       pass, ref_pass;
	struct batch         b;
	int64_t             *index;
	int64_t              steps;
};

/* ---- a batch -------------------------------------------------------------------------------- */

static void batch_free(struct batch *b)
{
	rt_free(b->pair);
	rt_free(b->s);
	rt_free(b->logp);
	rt_free(b->gradient);
	for (int i = 0; i < 8; i++)
		rt_free(b->side[i]);
	*b = (struct batch){ 0 };
}

static int batch_new(struct batch *b, int64_t n, struct rt_error *err)
{
	bool good;

	*b = (struct batch){ .n = n };
	b->pair = rt_alloc((size_t)n, sizeof *b->pair);
	b->s = rt_alloc((size_t)n, 2 * sizeof *b->s);
	b->logp = rt_alloc((size_t)n, 2 * sizeof *b->logp);
	b->gradient = rt_alloc((size_t)n, 2 * sizeof *b->gradient);
	good = b->pair && b->s && b->logp && b->gradient;
	for (int i = 0; i < 8; i++) {
		b->side[i] = rt_alloc((size_t)n, sizeof *b->side[i]);
		good = good && b->side[i];
	}
	return good ? 0 : rt_fail_nomem(err, "a batch");
}

/* Sums over the answers in the pack, which are sequences [first, first + n) of the batch. */
static void sum_up(const struct job *j, const struct rt_pass *x, int64_t first, int64_t n,
                   float *ret)
{
	int64_t at = 0;

	for (int64_t i = first; i < first + n; at += j->b.s[i++]->n) {
		double sum = 0;

		for (int64_t k = at; k < at + j->b.s[i]->n; k++)
			sum += (double)j->packed.weight[k] * (double)x->logp[k];
		ret[i] = (float)sum;
	}
}

static void spread_out(const struct job *j, int64_t first, int64_t n)
{
	int64_t at = 0;

	for (int64_t i = first; i < first + n; at += j->b.s[i++]->n)
		for (int64_t k = at; k < at + j->b.s[i]->n; k++)
			j->pass.coef[k] = j->packed.weight[k] * j->b.gradient[i];
}

static int sums_of(struct job *j, struct rt_model *m, struct rt_pass *x, struct rt_tape *tape,
                   int64_t pairs, float *ret, struct rt_error *err)
{
	int     r = 0;
	int64_t n;

	for (int64_t i = 0; r == 0 && i < 2 * pairs; i += n) {
		r = policy_logps(&j->packed, m, x, j->b.s + i, 2 * pairs - i, j->cfg->training.rows,
		                 tape, &n, err);
		if (r == 0)
			sum_up(j, x, i, n, ret);
		if (r == 0)
			r = training_goes_on(j->c, err);
	}
	return r;
}

static void choose(struct batch *b, int64_t i, const struct pair *p)
{
	b->pair[i] = p;
	b->s[2 * i + PAIRS_CHOSEN] = &p->s[PAIRS_CHOSEN];
	b->s[2 * i + PAIRS_REJECTED] = &p->s[PAIRS_REJECTED];
}

/* ---- the loss ------------------------------------------------------------------------------- */

static double scale_of(const struct rt_component *rl)
{
	const struct rt_rl_ops *ops = rl->plugin->ops.rl;

	return RT_HAS(ops, reward_scale) ? ops->reward_scale(rl->state) : 1;
}

/* Loss and gradients of `n` pairs whose log-probabilities are there. */
static int prefer(struct job *j, int64_t n, struct figures *ret, struct rt_error *err)
{
	const struct rt_component *rl = j->cfg->rl;
	const double               scale = scale_of(rl), nll = j->cfg->nll;
	struct batch              *b = &j->b;
	float *const              *x = b->side;
	const struct rt_rl_pairs   p = { n, x[0], x[1], x[2], x[3], x[4], x[5] };
	struct figures             f = { 0 };
	int                        r;

	for (int64_t i = 0; i < n; i++)
		for (int k = 0; k < 2; k++) {
			x[k][i] = b->logp[2 * i + k];
			x[2 + k][i] = b->pair[i]->reference[k];
			x[4 + k][i] = b->pair[i]->tokens[k];
		}
	r = rl->plugin->ops.rl->prefer(rl->state, &p, x[6], x[7], &f.loss, err);
	if (r < 0)
		return rt_within(err, r, "rl-%s", rl->plugin->name);
	for (int64_t i = 0; i < n; i++) {
		const double share = nll / ((double)n * (double)x[4][i]);
		const double chosen = scale * ((double)x[0][i] - (double)x[2][i]);
		const double rejected = scale * ((double)x[1][i] - (double)x[3][i]);

		b->gradient[2 * i] = x[6][i] - (float)share;
		b->gradient[2 * i + 1] = x[7][i];
		f.loss -= share * (double)x[0][i];
		f.chosen += chosen;
		f.rejected += rejected;
		f.right += chosen > rejected;
	}
	f.chosen /= (double)n;
	f.rejected /= (double)n;
	*ret = f;
	return 0;
}

/* Gradients of the batch; a batch that is one pack goes through the model once. */
static int learn(struct job *j, struct figures *ret, struct rt_error *err)
{
	struct rt_gradients *g = rt_trainer_gradients(j->t);
	const int64_t        all = 2 * j->b.n, rows = j->cfg->training.rows;
	const bool           once = rt_pack_count(j->b.s, all, rows) == all;
	int64_t              n = all;
	int r = sums_of(j, j->m, &j->pass, once ? j->tape : NULL, j->b.n, j->b.logp, err);

	if (r == 0)
		r = prefer(j, j->b.n, ret, err);
	for (int64_t i = 0; r == 0 && i < all; i += n) {
		r = training_goes_on(j->c, err);
		if (r == 0 && !once)
			r = policy_logps(&j->packed, j->m, &j->pass, j->b.s + i, all - i, rows,
			                 j->tape, &n, err);
		if (r < 0)
			break;
		spread_out(j, i, n);
		r = policy_learn(&j->packed, j->m, &j->pass, j->tape, g, err);
	}
	return r;
}

/* ---- steps ---------------------------------------------------------------------------------- */

static int note(struct job *j, int64_t at, const struct figures *f)
{
	struct rt_json *notes = rt_trainer_notes(j->t);
	const struct {
		const char *name;
		double      value;
	} all[] = { { "loss", f->loss },
		    { "accuracy", (double)f->right / (double)j->b.n },
		    { "margin", f->chosen - f->rejected } };
	int r = at == 0 ? rt_json_set(notes, "first", rt_json_new_real(f->loss)) : 0;

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		const double mean = rt_json_real(rt_json_get(notes, all[i].name), all[i].value);

		r |= rt_json_set(notes, all[i].name,
		                 rt_json_new_real(mean + .1 * (all[i].value - mean)));
	}
	return r;
}

static int step(struct job *j, int64_t at, struct rt_error *err)
{
	struct rt_stepped did;
	struct figures    f = { 0 };
	int               r = rt_order_step(&j->order, at, j->index, err);

	for (int64_t i = 0; r == 0 && i < j->b.n; i++)
		choose(&j->b, i, &j->data.at[j->index[i]]);
	if (r == 0)
		r = learn(j, &f, err);
	if (r == 0 && note(j, at, &f) < 0)
		r = rt_fail_nomem(err, "notes");
	if (r < 0)
		return training_stopped(j->t, r, err);
	rt_scalar(j->c, "train/loss", at + 1, f.loss);
	rt_scalar(j->c, "rewards/chosen", at + 1, f.chosen);
	rt_scalar(j->c, "rewards/rejected", at + 1, f.rejected);
	rt_scalar(j->c, "rewards/accuracies", at + 1, (double)f.right / (double)j->b.n);
	rt_scalar(j->c, "rewards/margins", at + 1, f.chosen - f.rejected);
	rt_scalar(j->c, "train/epoch", at + 1, (double)((at + 1) * j->b.n) / (double)j->data.n);
	return rt_trainer_step(j->t, &did, err);
}

/* ---- before and after ----------------------------------------------------------------------- */

/* What the reference finds of every pair, a batch after the other. */
static int refer(struct job *j, struct pairs *p, struct rt_error *err)
{
	struct rt_model *m = j->reference ? j->reference : j->m;
	int64_t          n;
	int              r = 0;

	if (m == j->m)
		rt_model_multiply(m, rt_products_matmul(j->cfg->training.products));
	for (int64_t i = 0; r == 0 && i < p->n; i += n) {
		n = p->n - i < j->b.n ? p->n - i : j->b.n;
		for (int64_t k = 0; k < n; k++)
			choose(&j->b, k, &p->at[i + k]);
		r = sums_of(j, m, &j->ref_pass, NULL, n, j->b.logp, err);
		for (int64_t k = 0; r == 0 && k < 2 * n; k++)
			p->at[i + k / 2].reference[k % 2] = j->b.logp[k];
	}
	return r;
}

/* Means over the validation pairs. */
static int validate(struct job *j, struct figures *ret, struct rt_error *err)
{
	const struct pairs *p = &j->validation;
	struct figures      sum = { 0 }, f;
	int64_t             n;
	int                 r = 0;

	for (int64_t i = 0; r == 0 && i < p->n; i += n) {
		n = p->n - i < j->b.n ? p->n - i : j->b.n;
		for (int64_t k = 0; k < n; k++)
			choose(&j->b, k, &p->at[i + k]);
		r = sums_of(j, j->m, &j->pass, NULL, n, j->b.logp, err);
		if (r == 0)
			r = prefer(j, n, &f, err);
		if (r == 0) {
			sum.loss += f.loss * (double)n / (double)p->n;
			sum.right += f.right;
		}
	}
	*ret = sum;
	return r;
}

static int report(struct job *j, const char *dir, struct rt_error *err)
{
	const struct rt_json *notes = rt_trainer_notes(j->t);
	const struct pairs   *p = &j->data;
	struct figures        f = { 0 };
	int                   r = j->validation.n ? validate(j, &f, err) : 0;
	struct rt_json       *m;

	if (r < 0)
		return r;
	m = rt_json_new_object();
	r = m ? 0 : RT_E_NOMEM;
	if (r == 0) {
		r |= rt_metric(m, "steps", (double)j->steps, j->steps);
		r |= rt_metric(m, "rows", (double)p->rows, p->rows);
		r |= rt_metric(m, "pairs", (double)p->n, p->rows);
		r |= rt_metric(m, "left out, fewer than two candidates", (double)p->few, p->rows);
		r |= rt_metric(m, "left out, scores too close", (double)p->level, p->rows);
		r |= rt_metric(m, "left out, equal answers", (double)p->equal, p->rows);
		r |= rt_metric(m, "left out, too long", (double)p->too_long, p->rows);
		r |= rt_metric(m, "loss_first", rt_json_real(rt_json_get(notes, "first"), NAN),
		               j->b.n);
		r |= rt_metric(m, "loss_last", rt_json_real(rt_json_get(notes, "loss"), NAN),
		               j->b.n);
		r |= rt_metric(m, "accuracy_last",
		               rt_json_real(rt_json_get(notes, "accuracy"), NAN), j->b.n);
		r |= rt_metric(m, "margin_last", rt_json_real(rt_json_get(notes, "margin"), NAN),
		               j->b.n);
	}
	if (r == 0 && j->validation.n) {
		r |= rt_metric(m, "eval_loss", f.loss, j->validation.n);
		r |= rt_metric_rate(m, "eval_accuracy", f.right, j->validation.n);
	}
	r = r < 0 ? rt_fail_nomem(err, "a report") : rt_metrics_write(m, dir, err);
	rt_json_free(m);
	return r;
}

static int read_pairs(struct job *j, struct rt_error *err)
{
	const struct config       *c = j->cfg;
	const struct pairs_options o = {
		{ c->judges, c->weights }, c->margin, c->against, c->max_length
	};
	int r = pairs_read(&j->data, j->m, c->data->path, &o, j->c, err);

	if (r == 0)
		rt_log(j->c, RT_LOG_INFO, "%lld pairs from %lld rows", (long long)j->data.n,
		       (long long)j->data.rows);
	if (r == 0 && c->validation)
		r = pairs_read(&j->validation, j->m, c->validation->path, &o, j->c, err);
	return r;
}

static int open_models(struct job *j, struct rt_error *err)
{
	const struct config *c = j->cfg;
	int                  r = rt_model_open(&j->m, c->model->path, RT_MODEL_TRAIN, err);

	if (r == 0 && c->reference)
		r = training_reference(&j->reference, j->m, c->reference, c->training.products,
		                       err);
	return r < 0 ? r : rt_tape_new(&j->tape, c->training.recompute, err);
}

/* The reference speaks before a checkpoint changes the weights. */
static int prepare(struct job *j, struct rt_error *err)
{
	const struct config *c = j->cfg;
	int                  r = open_models(j, err);

	if (r == 0)
		r = read_pairs(j, err);
	if (r < 0)
		return r;
	j->steps =
		training_order(&j->order, j->c, j->data.n, c->training.batch, c->epochs, c->steps);
	j->index = rt_alloc((size_t)j->order.batch, sizeof *j->index);
	r = j->index ? batch_new(&j->b, j->order.batch, err) : rt_fail_nomem(err, "a batch");
	if (r == 0)
		r = refer(j, &j->data, err);
	if (r == 0)
		r = refer(j, &j->validation, err);
	rt_model_close(j->reference);
	j->reference = NULL;
	return r < 0 ? r : rt_trainer_open(&j->t, j->m, &c->training, j->steps, j->c, err);
}

static void clean(struct job *j)
{
	rt_trainer_close(j->t);
	rt_tape_free(j->tape);
	pairs_free(&j->data);
	pairs_free(&j->validation);
	rt_order_free(&j->order);
	rt_packed_free(&j->packed);
	rt_pass_free(&j->pass);
	rt_pass_free(&j->ref_pass);
	batch_free(&j->b);
	rt_free(j->index);
	rt_model_close(j->reference);
	rt_model_close(j->m);
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	struct job j = { .cfg = state, .c = c };
	int        r = prepare(&j, err);

	for (int64_t i = r == 0 ? rt_trainer_at(j.t) : 0; r == 0 && i < j.steps; i++)
		r = step(&j, i, err);
	if (r == 0) {
		rt_trainer_swap(j.t);
		r = training_stopped(j.t, report(&j, out[1], err), err);
	}
	if (r == 0)
		r = training_write(j.m, &j.t, &j.tape, j.cfg->dtype, out[0], j.cfg->model, err);
	clean(&j);
	return r;
}

static int check(const void *config, struct rt_error *err)
{
	const struct config     *c = config;
	const struct scores_rule rule = { c->judges, c->weights };
	int                      r;

	if (!RT_HAS(c->rl->plugin->ops.rl, prefer))
		return rt_fail(err, RT_E_USAGE,
		               "rl-%s is for rewards of groups: use the stage reinforce",
		               c->rl->plugin->name);
	r = training_check(&c->training, c->epochs, c->steps, err);
	return r < 0 ? r : scores_check(&rule, err);
}

static const struct rt_stage_ops ops = { .size = sizeof ops, .outputs = outputs, .run = run };

RT_PLUGIN(stage_prefer, STAGE, .name = "prefer", .version = "1.0", .license = "Apache-2.0",
          .summary = "A model learns from pairs of answers, one better than the other (DPO, "
                     "Rafailov 2023).",
          .config_size = sizeof(struct config), .params = params, .check = check,
          .ops.stage = &ops);
