/* score.c - stage-score: a teacher's most likely tokens for every token of the answers, written
 * once and kept beside the rows, so that no student that learns from them, in whatever number of
 * epochs, needs the teacher again.
 *
 * The teacher goes through the rows in parts; a part that is done is a file in the work folder, and
 * a run that was cut short goes on behind the last one. */
#include "top.h"

#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/parallel.h>
#include <retort/stage.h>
#include <retort/train.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PART = 64, CHUNK_BYTES = 64 << 20 }; /* sequences; of logits that are there at once */

struct config {
	const struct rt_artifact *model, *data;
	int64_t                   top, max_length, rows;
	int                       products;
};

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct config, model, MODEL, "The teacher.", .flags = RT_P_REQUIRED),
	RT_PARAM_INPUT(struct config, data, DATASET, "Rows with answers.", .flags = RT_P_REQUIRED),
	RT_PARAM_INT(struct config, top, 64, 1, 1 << 20, "tokens",
	             "How many of the most likely tokens are kept, at most the vocabulary."),
	RT_PARAM_INT(struct config, max_length, 0, 0, 1 << 24, "tokens",
	             "Longest row, prompt and answer; longer ones are left out; 0: what the model "
	             "was made for."),
	RT_PARAM_INT(struct config, rows, 4096, 1, 1 << 24, "tokens",
	             "Tokens that go through the model at once."),
	RT_PARAM_ENUM(
		struct config, products, 0, rt_products,
		"What matrices are rounded to before they are multiplied; bf16 is faster where "
		"the processor multiplies it."),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "rows", "The rows, and beside them what stage-distill takes as its teacher.", RT_DATASET,
	  0 },
	{ "report", "Rows, tokens, and the probability that the tokens kept have together.",
	  RT_METRICS, 0 },
	{ 0 }
};

/* One run. */
struct job {
	const struct config *cfg;
	struct rt_context   *c;
	struct rt_model     *m;
	struct rt_sequences  data;
	struct rt_packed     packed;
	struct rt_pass       pass;
	float               *logits, *logp; /* a chunk; [labels][k] of a batch */
	int32_t             *id;
	int64_t              k, chunk, room;
};

/* ---- the teacher ---- */

/* Hidden states of the rows whose label counts, side by side in front; how many. */
static int64_t gather(struct job *j)
{
	const size_t width = (size_t)rt_model_shape(j->m)->hidden;
	int64_t      n = 0;

	for (int64_t i = 0; i < j->packed.batch.rows; i++)
		if (j->packed.label[i] != RT_IGNORE)
			memmove(j->pass.hidden + (size_t)n++ * width,
			        j->pass.hidden + (size_t)i * width, width * sizeof(float));
	return n;
}

static int reserve(struct job *j, int64_t labels, struct rt_error *err)
{
	if (labels <= j->room)
		return 0;
	rt_free(j->id);
	rt_free(j->logp);
	j->id = rt_alloc((size_t)labels, (size_t)j->k * sizeof *j->id);
	j->logp = rt_alloc((size_t)labels, (size_t)j->k * sizeof *j->logp);
	j->room = j->id && j->logp ? labels : 0;
	return j->room ? 0 : rt_fail_nomem(err, "scores");
}

struct picking {
	const struct job *j;
	int64_t           first;
};

static void pick(void *arg, int64_t from, int64_t to)
{
	const struct picking *p = arg;
	const int64_t         V = rt_model_shape(p->j->m)->vocabulary, k = p->j->k;

	for (int64_t i = from; i < to; i++)
		top_pick(p->j->logits + i * V, V, k, p->j->id + (p->first + i) * k,
		         p->j->logp + (p->first + i) * k);
}

static int score_labels(struct job *j, int64_t labels, struct rt_error *err)
{
	const int64_t width = rt_model_shape(j->m)->hidden;
	int           r = reserve(j, labels, err);

	for (int64_t i = 0, n; r == 0 && i < labels; i += n) {
		struct picking p = { j, i };

		n = labels - i < j->chunk ? labels - i : j->chunk;
		r = rt_model_logits(j->m, j->pass.hidden + i * width, n, j->logits, err);
		if (r == 0)
			rt_parallel(n, 1, pick, &p);
	}
	for (int64_t i = 0; r == 0 && i < labels * j->k; i++)
		if (!isfinite(j->logp[i]))
			r = rt_fail(err, RT_E_NUMERIC, "a logit of the teacher is not finite");
	return r;
}

static int score_batch(struct job *j, const struct rt_sequence *const *s, int64_t n,
                       struct rt_file *f, struct rt_error *err)
{
	int64_t at = 0;
	int     r = rt_pack(&j->packed, s, n, err);

	if (r == 0)
		r = rt_pass_reserve(&j->pass, j->m, j->packed.batch.rows, err);
	if (r == 0)
		r = rt_model_forward(j->m, &j->packed.batch, NULL, j->pass.hidden, err);
	if (r == 0)
		r = score_labels(j, gather(j), err);
	for (int64_t i = 0; r == 0 && i < n; i++) {
		top_put(f, s[i], j->k, j->id + at * j->k, j->logp + at * j->k);
		at += top_labels(s[i]);
	}
	if (r == 0 && rt_cancelled(j->c))
		r = rt_fail(err, RT_E_CANCEL, "cancelled");
	return r;
}

/* ---- parts ---- */

static char *part_path(const struct job *j, int64_t part)
{
	char name[32];

	snprintf(name, sizeof name, "part-%08lld", (long long)part);
	return rt_path_join(rt_work_dir(j->c), name);
}

static int score_part(struct job *j, int64_t first, int64_t n, const char *path,
                      struct rt_error *err)
{
	const struct rt_sequence *s[PART];
	struct rt_file           *f;
	int                       r = rt_file_create(&f, path, err);

	if (r < 0)
		return r;
	for (int64_t i = 0; i < n; i++)
		s[i] = &j->data.at[first + i];
	for (int64_t i = 0, count; r == 0 && i < n; i += count) {
		count = rt_pack_count(s + i, n - i, j->cfg->rows);
		r = score_batch(j, s + i, count, f, err);
	}
	if (r == 0)
		return rt_file_commit(f, err);
	rt_file_discard(f);
	return r;
}

static int score_all(struct job *j, struct rt_error *err)
{
	int r = 0;

	for (int64_t i = 0; r == 0 && i < j->data.n; i += PART) {
		const int64_t n = j->data.n - i < PART ? j->data.n - i : PART;
		char         *path = part_path(j, i / PART);

		if (!path)
			return rt_fail_nomem(err, "a path");
		if (!rt_exists(path))
			r = score_part(j, i, n, path, err);
		rt_free(path);
		rt_progress(j->c, i + n, j->data.n, "rows");
	}
	return r;
}

/* ---- the result ---- */

static int append(struct rt_file *f, char *path, struct rt_error *err)
{
	struct rt_map map;
	int           r = path ? rt_file_map(&map, path, err) : rt_fail_nomem(err, "a path");

	if (r == 0) {
		rt_file_put(f, map.data, map.size);
		rt_file_unmap(&map);
	}
	rt_free(path);
	return r;
}

static int copy(const char *folder, const char *to, struct rt_error *err)
{
	char           *path = rt_path_join(to, "rows.jsonl");
	struct rt_file *f;
	int             r = path ? rt_file_create(&f, path, err) : rt_fail_nomem(err, "a path");

	rt_free(path);
	if (r < 0)
		return r;
	r = append(f, rt_path_join(folder, "rows.jsonl"), err);
	if (r == 0)
		return rt_file_commit(f, err);
	rt_file_discard(f);
	return r;
}

static int join(const struct job *j, const char *folder, struct rt_error *err)
{
	struct top_head head = { .k = j->k,
		                 .vocabulary = rt_model_shape(j->m)->vocabulary,
		                 .records = j->data.n };
	char           *path = rt_path_join(folder, top_file);
	struct rt_file *f;
	int             r = path ? rt_file_create(&f, path, err) : rt_fail_nomem(err, "a path");

	rt_free(path);
	if (r < 0)
		return r;
	memcpy(head.magic, top_magic, sizeof head.magic);
	rt_file_put(f, &head, sizeof head);
	for (int64_t i = 0; r == 0 && i < j->data.n; i += PART)
		r = append(f, part_path(j, i / PART), err);
	if (r == 0)
		return rt_file_commit(f, err);
	rt_file_discard(f);
	return r;
}

/* Every row is found again as it is; what the tokens that are kept weigh. */
static int report(const struct job *j, const char *folder, const char *dir, struct rt_error *err)
{
	struct top      t = { 0 };
	struct rt_json *m = rt_json_new_object();
	double          mass = 0;
	int64_t         labels = 0;
	int             r = m ? top_open(&t, folder, err) : rt_fail_nomem(err, "a report");

	for (int64_t i = 0; r == 0 && i < j->data.n; i++) {
		const int32_t *id;
		const float   *logp;
		const int64_t  n = top_labels(&j->data.at[i]);

		r = top_find(&t, &j->data.at[i], &id, &logp, err);
		for (int64_t k = 0; r == 0 && k < n * j->k; k++)
			mass += exp((double)logp[k]);
		labels += n;
	}
	if (r == 0) {
		r |= rt_metric(m, "rows", (double)j->data.n, j->data.n + j->data.too_long);
		r |= rt_metric(m, "tokens", (double)labels, j->data.n);
		r |= rt_metric(m, "mass", mass / (double)labels, labels);
		r = r < 0 ? rt_fail_nomem(err, "a report") : rt_metrics_write(m, dir, err);
	}
	top_close(&t);
	rt_json_free(m);
	return r;
}

static int prepare(struct job *j, struct rt_error *err)
{
	const struct rt_sequence_options o = { .max_length = j->cfg->max_length };
	int                              r = rt_model_open(&j->m, j->cfg->model->path, 0, err);
	int64_t                          V;

	if (r < 0)
		return r;
	rt_model_multiply(j->m, rt_products_matmul(j->cfg->products));
	r = rt_sequences_read(&j->data, j->m, j->cfg->data->path, &o, j->c, err);
	if (r < 0)
		return r;
	V = rt_model_shape(j->m)->vocabulary;
	j->k = j->cfg->top < V ? j->cfg->top : V;
	j->chunk = 1 + CHUNK_BYTES / (int64_t)sizeof(float) / V;
	j->logits = rt_alloc_aligned((size_t)(j->chunk * V), sizeof(float));
	return j->logits ? 0 : rt_fail_nomem(err, "logits");
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	struct job j = { .cfg = state, .c = c };
	int        r = prepare(&j, err);

	if (r == 0)
		r = score_all(&j, err);
	if (r == 0)
		r = copy(j.cfg->data->path, out[0], err);
	if (r == 0)
		r = join(&j, out[0], err);
	if (r == 0)
		r = report(&j, out[0], out[1], err);
	rt_sequences_free(&j.data);
	rt_packed_free(&j.packed);
	rt_pass_free(&j.pass);
	rt_free(j.logits);
	rt_free(j.id);
	rt_free(j.logp);
	rt_model_close(j.m);
	return r;
}

static int estimate(const void *config, struct rt_estimate *ret, struct rt_error *err)
{
	(void)err;
	ret->rows[0] = ((const struct config *)config)->data->rows;
	return 0;
}

static const struct rt_stage_ops ops = {
	.size = sizeof ops, .outputs = outputs, .run = run, .estimate = estimate
};

RT_PLUGIN(stage_score, STAGE, .name = "score", .version = "1.0", .license = "Apache-2.0",
          .summary = "Keep a teacher's most likely tokens beside rows, for students to learn from.",
          .config_size = sizeof(struct config), .params = params, .ops.stage = &ops);
