/* distill.c - stage-distill: a student learns the distributions of a teacher with its vocabulary.
 *
 * The teacher is a model that runs along, or what stage-score has kept of one beside the rows.
 * The loss is (1 - mix) of a distill plugin's between the two models' logits plus mix of the
 * cross-entropy of the answers, each a mean over the answers' tokens.  With on_policy a share of
 * the answers is the student's own, written as it is now (GKD, Agarwal 2024): the teacher says what
 * it would have done there; the cross-entropy does not count on them. */
#include "apart.h"
#include "taught.h"
#include "training.h"

#include <retort/distill.h>
#include <retort/generate.h>
#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/random.h>
#include <retort/stage.h>
#include <retort/train.h>

#include <math.h>
#include <string.h>

struct config {
	const struct rt_artifact *model, *teacher, *data, *validation;
	struct rt_component      *loss;
	double                    epochs, mix, on_policy, temperature;
	int64_t                   steps, max_length, max_answer;
	int                       dtype;
	struct rt_training        training;
};

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct config, model, MODEL, "The student.", .flags = RT_P_REQUIRED),
	RT_PARAM_INPUT(
		struct config, teacher, MODEL,
		"The teacher, of the same vocabulary; of any size and storage type.  Without it "
		"data and validation are those of a stage score."),
	RT_PARAM_INPUT(struct config, data, DATASET, "Rows with answers.", .flags = RT_P_REQUIRED),
	RT_PARAM_INPUT(struct config, validation, DATASET, "Rows that the student is tried on."),
	RT_PARAM_COMPONENT(struct config, loss, DISTILL, "ckd", "How far they are apart."),
	RT_PARAM_REAL(struct config, mix, 0, 0, 1, NULL,
	              "Share of the cross-entropy of the answers in the loss."),
	RT_PARAM_REAL(struct config, on_policy, 0, 0, 1, NULL,
	              "Share of the answers that the student writes itself."),
	RT_PARAM_REAL(struct config, temperature, 1, 0, 10, NULL, "At which it writes them."),
	RT_PARAM_INT(struct config, max_answer, 256, 1, 1 << 20, "tokens",
	             "Longest answer that it writes."),
	RT_PARAM_REAL(struct config, epochs, 3, 0, 1e6, NULL, "How often each row is seen."),
	RT_PARAM_INT(struct config, steps, 0, 0, INT64_MAX, NULL,
	             "Steps to go, instead of epochs; 0: as epochs say."),
	RT_PARAM_INT(struct config, max_length, 0, 0, 1 << 24, "tokens",
	             "Longest row, prompt and answer; longer ones are left out; 0: what the model "
	             "was made for."),
	RT_PARAM_ENUM(struct config, dtype, 0, training_dtypes, "How the weights are stored."),
	RT_TRAINING_BATCH(struct config, training),
	RT_TRAINING_PARAMS(struct config, training),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = { { "model", "The student, trained.", RT_MODEL, 0 },
	                                          { "report", "Steps, rows, losses.", RT_METRICS,
	                                            0 },
	                                          { 0 } };

/* Sums over a batch. */
struct terms {
	double kd, ce;           /* losses */
	double kd_norm, ce_norm; /* squares of the gradients at the hidden states */
};

/* One run. */
struct job {
	const struct config *cfg;
	struct rt_context   *c;
	struct rt_model     *m;
	struct taught        teacher;
	enum taught_rows     from;   /* which rows go through */
	struct rt_engine    *engine; /* of the student, with on_policy */
	struct rt_trainer   *t;
	struct rt_tape      *tape;
	struct rt_sequences  data, validation;
	struct rt_order      order;
	struct rt_packed     packed;
	struct rt_pass       pass, counted; /* counted: rows whose label counts, side by side */
	float               *logits, *dlogits;
	int64_t             *index, steps, room;
	int32_t             *label;
	struct rt_sequence **chosen, *written; /* written: by the student in this step */
	bool                *own;
};

/* ---- the loss ------------------------------------------------------------------------------- */

static int reserve(struct job *j, int64_t rows, struct rt_error *err)
{
	int r = rt_pass_reserve(&j->pass, j->m, rows, err);

	if (r == 0)
		r = rt_pass_reserve(&j->counted, j->m, rows, err);
	if (r < 0 || rows <= j->room)
		return r;
	rt_free(j->label);
	j->label = rt_alloc((size_t)rows, sizeof *j->label);
	j->room = j->label ? rows : 0;
	return j->room ? 0 : rt_fail_nomem(err, "a batch");
}

/* Rows whose label counts, side by side; how many. */
static int64_t gather(struct job *j)
{
	const struct rt_packed *p = &j->packed;
	const size_t            width = (size_t)rt_model_shape(j->m)->hidden;
	int64_t                 n = 0;

	for (int64_t i = 0; i < p->batch.rows; i++) {
		if (p->label[i] == RT_IGNORE)
			continue;
		memcpy(j->counted.hidden + (size_t)n * width, j->pass.hidden + (size_t)i * width,
		       width * sizeof(float));
		j->label[n++] = p->label[i];
	}
	return n;
}

static void scatter(struct job *j)
{
	const struct rt_packed *p = &j->packed;
	const size_t            width = (size_t)rt_model_shape(j->m)->hidden;
	int64_t                 n = 0;

	for (int64_t i = 0; i < p->batch.rows; i++) {
		float *to = j->pass.dhidden + (size_t)i * width;

		if (p->label[i] == RT_IGNORE)
			memset(to, 0, width * sizeof *to);
		else
			memcpy(to, j->counted.dhidden + (size_t)n++ * width, width * sizeof *to);
	}
}

static double squares(const float *x, int64_t n)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += (double)x[i] * (double)x[i];
	return sum;
}

/* The distill plugin on all counted rows, a chunk of logits at a time. */
static int distil(struct job *j, int64_t rows, double scale, bool learn, struct terms *sum,
                  struct rt_error *err)
{
	const struct rt_component *loss = j->cfg->loss;
	const int64_t              V = rt_model_shape(j->m)->vocabulary;
	const int64_t              width = rt_model_shape(j->m)->hidden;
	const int64_t              chunk = j->teacher.chunk;
	int                        r = 0;

	for (int64_t i = 0, n; r == 0 && i < rows; i += n) {
		struct rt_distill_rows d = { .V = V, .student = j->logits, .scale = scale };
		double                 part = 0;

		n = rows - i < chunk ? rows - i : chunk;
		d.R = n;
		r = rt_model_logits(j->m, j->counted.hidden + i * width, n, j->logits, err);
		if (r == 0)
			r = taught_chunk(&j->teacher, i, n, &d, err);
		if (r == 0)
			r = apart_rows(loss, &d, j->dlogits, &part, err);
		if (r == 0 && learn)
			r = rt_model_logits_backward(j->m, j->counted.hidden + i * width,
			                             j->dlogits, n, j->counted.dhidden + i * width,
			                             rt_trainer_gradients(j->t), err);
		sum->kd += part;
	}
	if (r < 0)
		return rt_within(err, r, "distill-%s", loss->plugin->name);
	if (learn)
		sum->kd_norm += squares(j->counted.dhidden, rows * width);
	return 0;
}

/* The cross-entropy on the same rows, its gradient added to that of the distillation; nothing,
 * where it has no part in what is learnt. */
static int cross(struct job *j, int64_t rows, double scale, bool learn, struct terms *sum,
                 struct rt_error *err)
{
	const int64_t width = rt_model_shape(j->m)->hidden;
	float        *d = j->pass.dhidden; /* not in use until scatter() */
	int           r;

	if (learn && scale <= 0)
		return 0;
	for (int64_t i = 0; i < rows; i++)
		j->counted.coef[i] = (float)-scale;
	r = rt_model_logps(j->m, j->counted.hidden, rows, j->label,
	                   learn && scale > 0 ? j->counted.coef : NULL, j->counted.logp, NULL,
	                   learn && scale > 0 ? d : NULL, learn ? rt_trainer_gradients(j->t) : NULL,
	                   err);
	for (int64_t i = 0; r == 0 && i < rows; i++)
		sum->ce -= (double)j->counted.logp[i];
	if (r < 0 || !learn)
		return r;
	sum->ce_norm += squares(d, rows * width);
	for (int64_t i = 0; i < rows * width; i++)
		j->counted.dhidden[i] += d[i];
	return 0;
}

/* Some sequences through both models; total: labels that count in the whole batch. */
static int part(struct job *j, const struct rt_sequence *const *s, int64_t n, double total,
                double mix, bool learn, struct terms *sum, struct rt_error *err)
{
	struct rt_packed *p = &j->packed;
	int64_t           rows;
	int               r = rt_pack(p, s, n, err);

	if (r == 0)
		r = reserve(j, p->batch.rows, err);
	if (r == 0)
		r = rt_model_forward(j->m, &p->batch, learn ? j->tape : NULL, j->pass.hidden, err);
	if (r == 0)
		r = taught_batch(&j->teacher, p, s, n, j->from, err);
	if (r < 0)
		return r;
	rows = gather(j);
	r = distil(j, rows, (1 - mix) / total, learn, sum, err);
	if (r == 0)
		r = cross(j, rows, mix / total, learn, sum, err);
	if (r < 0 || !learn)
		return r;
	scatter(j);
	return rt_model_backward(j->m, &p->batch, j->tape, j->pass.dhidden,
	                         rt_trainer_gradients(j->t), err);
}

static int batch(struct job *j, const struct rt_sequence *const *s, int64_t n, double total,
                 double mix, bool learn, struct terms *sum, struct rt_error *err)
{
	int r = 0;

	for (int64_t i = 0, count; r == 0 && i < n; i += count) {
		count = rt_pack_count(s + i, n - i, j->cfg->training.rows);
		r = training_goes_on(j->c, err);
		if (r == 0)
			r = part(j, s + i, count, total, mix, learn, sum, err);
	}
	return r;
}

/* ---- the student's own answers ----------------------------------------------------------------
 */

static void forget(struct job *j)
{
	for (int64_t i = 0; j->written && i < j->order.batch; i++) {
		rt_free((void *)j->written[i].token);
		rt_free((void *)j->written[i].weight);
		j->written[i] = (struct rt_sequence){ 0 };
	}
}

struct writing {
	struct job *j;
	int64_t    *at; /* request -> place in the batch */
};

static int wrote(void *arg, int64_t q, const struct rt_answer *a, struct rt_error *err)
{
	struct writing           *w = arg;
	const int64_t             i = w->at[q], stop = a->stop >= 0;
	const struct rt_sequence *from = w->j->chosen[i];
	struct rt_sequence       *to = &w->j->written[i];
	int32_t                  *token;
	float                    *weight;

	to->n = from->prompt + a->n + stop;
	to->prompt = from->prompt;
	to->id = from->id;
	to->token = token = rt_alloc((size_t)to->n, sizeof *token);
	to->weight = weight = rt_alloc((size_t)to->n, sizeof *weight);
	if (!token || !weight)
		return rt_fail_nomem(err, "an answer");
	memcpy(token, from->token, (size_t)from->prompt * sizeof *token);
	memcpy(token + from->prompt, a->id, (size_t)a->n * sizeof *token);
	if (stop)
		token[to->n - 1] = a->stop;
	for (int64_t k = from->prompt; k < to->n; k++)
		weight[k] = 1;
	if (to->n > from->prompt) {
		w->j->chosen[i] = to;
		w->j->own[i] = true;
	}
	return training_goes_on(w->j->c, err);
}

/* Some of the chosen answers, by chance, become what the student writes now. */
static int write_own(struct job *j, int64_t at, struct rt_error *err)
{
	const int64_t      n = j->order.batch;
	struct rt_request *q = rt_alloc((size_t)n, sizeof *q);
	struct writing     w = { j, rt_alloc((size_t)n, sizeof *w.at) };
	int64_t            asked = 0;
	int                r = q && w.at ? 0 : rt_fail_nomem(err, "requests");

	for (int64_t i = 0; r == 0 && i < n; i++) {
		const uint64_t place = (uint64_t)(at * n + i);

		if (rt_random_uniform(rt_seed(j->c), 1u << 20, place) >= j->cfg->on_policy ||
		    j->chosen[i]->prompt < 1)
			continue;
		q[asked] = (struct rt_request){ .prompt = j->chosen[i]->token,
			                        .n = j->chosen[i]->prompt,
			                        .max_tokens = j->cfg->max_answer,
			                        .sampling = { .temperature = j->cfg->temperature },
			                        .seed = rt_seed(j->c) + 1,
			                        .stream = place };
		w.at[asked++] = i;
	}
	if (r == 0)
		r = rt_generate(j->engine, q, asked, wrote, NULL, &w, err);
	rt_free(q);
	rt_free(w.at);
	return r;
}

/* ---- steps ---------------------------------------------------------------------------------- */

static double labels(const struct rt_sequence *const *s, int64_t n)
{
	double count = 0;

	for (int64_t i = 0; i < n; i++)
		for (int64_t k = 1; k < s[i]->n; k++)
			count += s[i]->weight[k] > 0;
	return count;
}

static void tell(struct job *j, int64_t at, const struct terms *sum, double total)
{
	rt_scalar(j->c, "train/loss", at, sum->kd + j->cfg->mix * sum->ce / total);
	rt_scalar(j->c, "train/kd_loss", at, sum->kd);
	rt_scalar(j->c, "train/kd_grad_norm", at, sqrt(sum->kd_norm));
	if (j->cfg->mix > 0) {
		rt_scalar(j->c, "train/ce_loss", at, sum->ce / total);
		rt_scalar(j->c, "train/ce_grad_norm", at, sqrt(sum->ce_norm));
	}
	rt_scalar(j->c, "train/epoch", at, (double)(at * j->order.batch) / (double)j->data.n);
}

/* Answers of the data and those of the student itself go as two parts: the cross-entropy counts on
 * the first alone. */
static int step(struct job *j, int64_t at, struct rt_error *err)
{
	const int64_t              n = j->order.batch;
	const struct rt_sequence **s = (const struct rt_sequence **)j->chosen;
	struct terms               sum = { 0 };
	struct rt_stepped          did;
	double                     total;
	int64_t                    given = 0;
	int                        r = rt_order_step(&j->order, at, j->index, err);

	for (int64_t i = 0; r == 0 && i < n; i++) {
		j->chosen[i] = &j->data.at[j->index[i]];
		j->own[i] = false;
	}
	if (r == 0 && j->engine)
		r = write_own(j, at, err);
	for (int64_t i = 0; r == 0 && i < n; i++)
		if (!j->own[i]) {
			struct rt_sequence *x = j->chosen[i];

			j->own[i] = j->own[given];
			j->chosen[i] = j->chosen[given];
			j->own[given] = false;
			j->chosen[given++] = x;
		}
	total = r == 0 ? labels(s, n) : 0;
	if (r == 0)
		r = batch(j, s, given, total, j->cfg->mix, true, &sum, err);
	if (r == 0)
		r = batch(j, s + given, n - given, total, 0, true, &sum, err);
	forget(j);
	if (r < 0)
		return training_stopped(j->t, r, err);
	if (rt_json_set(rt_trainer_notes(j->t), "loss",
	                rt_json_new_real(sum.kd + j->cfg->mix * sum.ce / total)) < 0)
		return rt_fail_nomem(err, "notes");
	tell(j, at + 1, &sum, total);
	return rt_trainer_step(j->t, &did, err);
}

/* ---- before and after -------------------------------------------------------------------------
 */

static int report(struct job *j, const char *dir, struct rt_error *err)
{
	struct rt_json            *m = rt_json_new_object();
	const struct rt_sequence **all =
		rt_alloc((size_t)j->validation.n, sizeof *all); /* may be none */
	struct terms sum = { 0 };
	double       total = 1;
	int          r = m && all ? 0 : rt_fail_nomem(err, "a report");

	for (int64_t i = 0; r == 0 && i < j->validation.n; i++)
		all[i] = &j->validation.at[i];
	j->from = TAUGHT_VALIDATION;
	if (r == 0 && j->validation.n) {
		total = labels(all, j->validation.n);
		r = batch(j, all, j->validation.n, total, 0, false, &sum, err);
	}
	if (r == 0) {
		r |= rt_metric(m, "steps", (double)j->steps, j->steps);
		r |= rt_metric(m, "rows", (double)j->data.n, j->data.n + j->data.too_long);
		r |= rt_metric(m, "train_loss",
		               rt_json_real(rt_json_get(rt_trainer_notes(j->t), "loss"), NAN), 1);
		if (j->validation.n) {
			r |= rt_metric(m, "eval_kd_loss", sum.kd, j->validation.n);
			r |= rt_metric(m, "eval_ce_loss", sum.ce / total, j->validation.n);
		}
		r = r < 0 ? rt_fail_nomem(err, "a report") : rt_metrics_write(m, dir, err);
	}
	rt_free(all);
	rt_json_free(m);
	return r;
}

static int open_models(struct job *j, struct rt_error *err)
{
	const struct config *c = j->cfg;
	int                  r = rt_model_open(&j->m, c->model->path, RT_MODEL_TRAIN, err);

	if (r == 0)
		r = taught_open(&j->teacher, c->teacher, c->data, c->validation, err);
	if (r < 0)
		return r;
	if (rt_model_shape(j->m)->vocabulary != j->teacher.vocabulary)
		return rt_fail(
			err, RT_E_SHAPE,
			"the student has %lld tokens, the teacher %lld; their logits can be "
			"compared over one vocabulary only: begin with a student that has the "
			"teacher's tokenizer",
			(long long)rt_model_shape(j->m)->vocabulary,
			(long long)j->teacher.vocabulary);
	if (c->on_policy > 0)
		r = rt_engine_open(&j->engine, j->m, &(struct rt_engine_options){ .sequences = 64 },
		                   err);
	return r;
}

static int make_room(struct job *j, struct rt_error *err)
{
	const int64_t V = rt_model_shape(j->m)->vocabulary;
	const size_t  n = (size_t)j->order.batch;

	j->logits = rt_alloc_aligned((size_t)(j->teacher.chunk * V), sizeof(float));
	j->dlogits = rt_alloc_aligned((size_t)(j->teacher.chunk * V), sizeof(float));
	j->index = rt_alloc(n, sizeof *j->index);
	j->chosen = rt_alloc(n, sizeof *j->chosen);
	j->written = rt_alloc(n, sizeof *j->written);
	j->own = rt_alloc(n, sizeof *j->own);
	return j->logits && j->dlogits && j->index && j->chosen && j->written && j->own
	               ? 0
	               : rt_fail_nomem(err, "logits");
}

static int prepare(struct job *j, struct rt_error *err)
{
	const struct config             *c = j->cfg;
	const struct rt_sequence_options o = { .max_length = c->max_length };
	int                              r = open_models(j, err);

	if (r == 0)
		r = rt_sequences_read(&j->data, j->m, c->data->path, &o, j->c, err);
	if (r == 0 && c->validation)
		r = rt_sequences_read(&j->validation, j->m, c->validation->path, &o, j->c, err);
	if (r == 0)
		r = rt_tape_new(&j->tape, c->training.recompute, err);
	if (r < 0)
		return r;
	j->steps =
		training_order(&j->order, j->c, j->data.n, c->training.batch, c->epochs, c->steps);
	r = make_room(j, err);
	return r < 0 ? r : rt_trainer_open(&j->t, j->m, &c->training, j->steps, j->c, err);
}

static void clean(struct job *j)
{
	forget(j);
	rt_trainer_close(j->t);
	rt_tape_free(j->tape);
	rt_sequences_free(&j->data);
	rt_sequences_free(&j->validation);
	rt_order_free(&j->order);
	rt_packed_free(&j->packed);
	rt_pass_free(&j->pass);
	rt_pass_free(&j->counted);
	rt_free(j->label);
	rt_free(j->logits);
	rt_free(j->dlogits);
	rt_free(j->index);
	rt_free(j->chosen);
	rt_free(j->written);
	rt_free(j->own);
	rt_engine_close(j->engine);
	taught_close(&j->teacher);
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
	const struct config *c = config;

	if (!c->teacher && c->on_policy > 0)
		return rt_fail(
			err, RT_E_USAGE,
			"on_policy without a teacher: what the student will write, nobody can "
			"have scored before");
	return training_check(&c->training, c->epochs, c->steps, err);
}

static const struct rt_stage_ops ops = { .size = sizeof ops, .outputs = outputs, .run = run };

RT_PLUGIN(stage_distill, STAGE, .name = "distill", .version = "1.0", .license = "Apache-2.0",
          .summary = "A student learns a teacher's distributions over the answers of a dataset.",
          .config_size = sizeof(struct config), .params = params, .check = check,
          .ops.stage = &ops);
