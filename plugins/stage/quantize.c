/* quantize.c - stage-quantize: a model in few bits, as one GGUF file.
 *
 * Layer by layer.  With calibration rows the linear layers of layer n are quantized for what they
 * get when everything in front of them is quantized already (Frantar 2022, section 4); inside of a
 * layer o_proj and down_proj are for what the layer's own full-precision parts give.  A layer that
 * is finished is kept: a run that was cut short goes on behind it. */
#include "divergence.h"
#include "matrix.h"

#include <retort/blocks.h>
#include <retort/file.h>
#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/stage.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const types[] = { "q8_0", "q6_k", "q5_k",   "q5_1",   "q5_0", "q4_k", "q4_1",
	                             "q4_0", "q3_k", "iq4_nl", "iq4_xs", "q2_k", NULL };
static const char *const embeddings[] = { "q8_0", "q6_k", "q5_k", "q5_1",   "q5_0",
	                                  "q4_k", "q4_1", "q4_0", "iq4_nl", "iq4_xs",
	                                  "f16",  "bf16", "f32",  NULL };

struct config {
	const struct rt_artifact *model, *data, *validation;
	struct rt_component      *quantizer;
	int                       type, embedding;
	int64_t                   group, samples, rows;
	struct rt_strings         skip;
};

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct config, model, MODEL, "The model to quantize.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_INPUT(struct config, data, DATASET,
	               "Rows like those that it will see, for calibration; a quantizer that needs "
	               "none gains nothing by them."),
	RT_PARAM_INPUT(struct config, validation, DATASET,
	               "Rows on which the model is compared with what it was; without them those "
	               "of data."),
	RT_PARAM_COMPONENT(struct config, quantizer, QUANTIZER, NULL,
	                   "Who chooses codes and scales, for q4_0, q5_0 and q8_0; else every "
	                   "block is fitted by itself."),
	RT_PARAM_ENUM(struct config, type, 7, types,
	              "Of the layers' matrices; where its blocks do not divide a row, the nearest "
	              "type of smaller blocks."),
	RT_PARAM_ENUM(struct config, embedding, 0, embeddings,
	              "Of the embedding (once, where the head is the same), of a head of its own, "
	              "and of what is skipped."),
	RT_PARAM_INT(struct config, group, 0, 0, 1 << 16, "columns",
	             "With a quantizer: columns that share a scale, a multiple of 32; 0: 32."),
	RT_PARAM_STRINGS(struct config, skip, 0, 0,
	                 "Parts of names of matrices that get the embedding's type: "
	                 "\"layers.0.\", \"down_proj\"."),
	RT_PARAM_INT(struct config, samples, 128, 1, 1 << 20, "rows",
	             "Rows of calibration, and of comparison."),
	RT_PARAM_INT(struct config, rows, 2048, 1, 1 << 20, "tokens",
	             "Tokens that go through the model at once."),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "model", "The model as model.gguf.", RT_MODEL, 0 },
	{ "report", "Bytes, relative errors of the layers, and what became of the distributions.",
	  RT_METRICS, 0 },
	{ 0 }
};

/* One run. */
struct job {
	const struct config    *cfg;
	struct rt_context      *c;
	struct rt_model        *from, *to; /* `to` has the memory below as its weights */
	struct rt_named_tensor *tensors;   /* of `to`, in the order of its parameters */
	struct rt_sequences     data, validation;
	struct calibration      seen;
	float                 **x;     /* of each batch, what the next layer gets */
	float                  *next;  /* of one batch, what nobody needs */
	bool                    watch; /* moments are of use */
	struct moments          moments;
	struct rt_arena         room;
	int64_t                 matrices; /* done; their relative errors */
	double                  sum, squares, worst;
};

static uint32_t type_of(const char *const *list, int choice)
{
	return (uint32_t)rt_dtype_find(list[choice]);
}

static int check(const void *config, struct rt_error *err)
{
	const struct config *c = config;
	const uint32_t       type = type_of(types, c->type);

	if (c->group && !c->quantizer)
		return rt_fail(
			err, RT_E_USAGE,
			"group is for a quantizer; without one every block has its own scale");
	if (c->group % 32)
		return rt_fail(err, RT_E_RANGE, "group is %lld, no multiple of the block of 32",
		               (long long)c->group);
	if (c->quantizer && !rt_block_bits(type))
		return rt_fail(err, RT_E_USAGE,
		               "no quantizer makes %s, whose smallest values are numbers of their "
		               "own: take q4_0, q5_0 or q8_0, or leave quantizer out",
		               rt_dtype_info(type)->name);
	return 0;
}

/* Does rt_quantize() weigh the columns for this type? */
static bool weighs(uint32_t type)
{
	return type != RT_Q8_0 && type != RT_Q4_0 && type != RT_Q4_1 && type != RT_Q5_0 &&
	       type != RT_Q5_1;
}

static bool is_skipped(const struct config *c, const char *name)
{
	for (int64_t i = 0; i < c->skip.n; i++)
		if (strstr(name, c->skip.at[i]))
			return true;
	return false;
}

static int quantize_one(const struct job *j, int64_t i, struct rt_error *err)
{
	const struct rt_parameter p = rt_model_parameter(j->from, i);
	const bool                by_plugin = p.layer >= 0 && !is_skipped(j->cfg, p.name);
	const struct recipe       recipe = { by_plugin ? j->cfg->quantizer : NULL, j->cfg->group,
                                       p.layer >= 0 && j->watch ? &j->moments : NULL };

	return matrix_quantize(&recipe, &p, &j->tensors[i].tensor, err);
}

static int measure_one(struct job *j, int64_t i, struct rt_error *err)
{
	const struct rt_parameter p = rt_model_parameter(j->from, i);
	const struct rt_tensor   *to = &j->tensors[i].tensor;
	double                    lost;
	const int                 r = matrix_error(&p, to, &lost, err);

	if (r < 0)
		return r;
	rt_log(j->c, RT_LOG_DEBUG, "%s: %s, relative error %.4f", p.name,
	       rt_dtype_info(to->dtype)->name, lost);
	j->sum += lost;
	j->squares += lost * lost;
	j->worst = fmax(j->worst, lost);
	j->matrices++;
	return 0;
}

/* ---- layers ---------------------------------------------------------------------------------- */

static void see(void *arg, int64_t layer, enum rt_watch what, const float *x, int64_t rows,
                int64_t columns, int64_t ld)
{
	(void)layer, (void)columns;
	moments_see(arg, what, x, rows, ld);
}

static int cancelled(const struct job *j, struct rt_error *err)
{
	return rt_cancelled(j->c) ? rt_fail(err, RT_E_CANCEL, "cancelled") : 0;
}

/* What the linear layers of this layer get. */
static int observe(struct job *j, int64_t layer, struct rt_error *err)
{
	int r = 0;

	moments_clear(&j->moments);
	for (int64_t i = 0; r == 0 && i < j->seen.n; i++) {
		r = rt_model_layer(j->from, layer, &j->seen.batch[i].batch, see, &j->moments,
		                   j->x[i], j->next, err);
		if (r == 0)
			r = cancelled(j, err);
	}
	return r == 0 && j->moments.code < 0
	               ? rt_fail(err, j->moments.code, "the statistics of layer %lld",
	                         (long long)layer)
	               : r;
}

/* All batches through the layer as it is now. */
static int advance(struct job *j, int64_t layer, struct rt_error *err)
{
	int r = 0;

	for (int64_t i = 0; r == 0 && i < j->seen.n; i++) {
		r = rt_model_layer(j->to, layer, &j->seen.batch[i].batch, NULL, NULL, j->x[i],
		                   j->x[i], err);
		if (r == 0)
			r = cancelled(j, err);
	}
	return r;
}

static char *kept_path(const struct job *j, int64_t layer)
{
	char name[64];

	snprintf(name, sizeof name, "layer-%lld.blocks", (long long)layer);
	return rt_path_join(rt_work_dir(j->c), name);
}

static bool is_of(const struct job *j, int64_t i, int64_t layer)
{
	return rt_model_parameter(j->from, i).layer == layer && j->tensors[i].tensor.ndim == 2;
}

/* Keep the blocks of a finished layer. */
static int keep(const struct job *j, int64_t layer, struct rt_error *err)
{
	char           *path = kept_path(j, layer);
	struct rt_file *f = NULL;
	int             r = path ? rt_file_create(&f, path, err) : rt_fail_nomem(err, "a path");

	for (int64_t i = 0; r == 0 && i < rt_model_parameters(j->from); i++)
		if (is_of(j, i, layer))
			rt_file_put(f, j->tensors[i].tensor.data,
			            (size_t)rt_bytes(&j->tensors[i].tensor));
	if (r == 0)
		r = rt_file_commit(f, err);
	rt_free(path);
	return r;
}

/* Bring them back: 1, or 0 when they are not there. */
static int bring(const struct job *j, int64_t layer, struct rt_error *err)
{
	char         *path = kept_path(j, layer);
	struct rt_map map = { 0 };
	size_t        at = 0;
	int           r = path ? 0 : rt_fail_nomem(err, "a path");

	if (r == 0 && rt_exists(path)) {
		r = rt_file_map(&map, path, err);
		for (int64_t i = 0; r == 0 && i < rt_model_parameters(j->from); i++)
			if (is_of(j, i, layer))
				at += (size_t)rt_bytes(&j->tensors[i].tensor);
		r = r == 0 ? at == map.size : r;
	}
	at = 0;
	for (int64_t i = 0; r == 1 && i < rt_model_parameters(j->from); i++) {
		const struct rt_tensor *t = &j->tensors[i].tensor;

		if (!is_of(j, i, layer))
			continue;
		memcpy(t->data, (const char *)map.data + at, (size_t)rt_bytes(t));
		at += (size_t)rt_bytes(t);
	}
	rt_file_unmap(&map);
	rt_free(path);
	return r;
}

static int do_layer(struct job *j, int64_t layer, struct rt_error *err)
{
	int there = bring(j, layer, err), r = there < 0 ? there : 0;

	if (!there && j->watch)
		r = observe(j, layer, err);
	for (int64_t i = 0; r == 0 && i < rt_model_parameters(j->from); i++) {
		if (!is_of(j, i, layer))
			continue;
		if (!there)
			r = quantize_one(j, i, err);
		if (r == 0)
			r = measure_one(j, i, err);
		if (r == 0)
			r = cancelled(j, err);
	}
	if (r == 0 && !there)
		r = keep(j, layer, err);
	if (r == 0 && j->watch && layer + 1 < rt_model_shape(j->from)->layers)
		r = advance(j, layer, err);
	return r;
}

static int do_layers(struct job *j, struct rt_error *err)
{
	const int64_t layers = rt_model_shape(j->from)->layers;
	int           r = 0;

	for (int64_t i = 0; r == 0 && i < layers; i++) {
		r = do_layer(j, i, err);
		rt_progress(j->c, i + 1, layers, "layers");
	}
	return r;
}

/* ---- the new model --------------------------------------------------------------------------- */

/* Memory for every parameter in its new type; vectors and embeddings filled. */
static int place(struct job *j, int64_t i, struct rt_error *err)
{
	const struct rt_parameter p = rt_model_parameter(j->from, i);
	const bool                layers = p.layer >= 0 && !is_skipped(j->cfg, p.name);
	const uint32_t            want =
                layers ? type_of(types, j->cfg->type) : type_of(embeddings, j->cfg->embedding);
	const enum rt_dtype type = rt_gguf_type(&p.tensor, want);
	struct rt_tensor    t = rt_tensor(NULL, type, p.tensor.ndim, p.tensor.dim);
	char               *name = rt_arena_strdup(&j->room, p.name);
	int                 r = 0;

	t.data = rt_arena_alloc(&j->room, (size_t)rt_bytes(&t), 1);
	if (!name || !t.data)
		return rt_fail_nomem(err, "the new model");
	j->tensors[i] = (struct rt_named_tensor){ name, t };
	if (t.ndim == 2 && type != want)
		rt_log(j->c, RT_LOG_INFO, "%s becomes %s: blocks of %s do not divide %lld columns",
		       p.name, rt_dtype_info(type)->name, rt_dtype_info(want)->name,
		       (long long)t.dim[1]);
	if (t.ndim == 1)
		return rt_dequantize(p.tensor.dtype, p.tensor.data, rt_numel(&t), t.data, err);
	if (p.layer < 0)
		r = quantize_one(j, i, err);
	return r == 0 && p.layer < 0 ? measure_one(j, i, err) : r;
}

/* A part of a name that is in no name is a mistake. */
static int check_skips(const struct job *j, struct rt_error *err)
{
	for (int64_t k = 0; k < j->cfg->skip.n; k++) {
		bool found = false;

		for (int64_t i = 0; i < rt_model_parameters(j->from); i++) {
			const struct rt_parameter p = rt_model_parameter(j->from, i);

			found |= p.layer >= 0 && p.tensor.ndim == 2 &&
			         strstr(p.name, j->cfg->skip.at[k]) != NULL;
		}
		if (!found)
			return rt_fail(
				err, RT_E_USAGE,
				"skip: no matrix of a layer has \"%s\" in its name; one is %s",
				j->cfg->skip.at[k], "model.layers.0.mlp.down_proj.weight");
	}
	return 0;
}

static int prepare(struct job *j, struct rt_error *err)
{
	const struct config *c = j->cfg;
	int                  r = rt_model_open(&j->from, c->model->path, 0, err);

	if (r == 0)
		r = check_skips(j, err);
	if (r < 0)
		return r;
	j->tensors = rt_alloc((size_t)rt_model_parameters(j->from), sizeof *j->tensors);
	if (!j->tensors)
		return rt_fail_nomem(err, "the new model");
	for (int64_t i = 0; r == 0 && i < rt_model_parameters(j->from); i++)
		r = place(j, i, err);
	return r < 0 ? r
	             : rt_model_assemble(&j->to, rt_model_config(j->from), j->tensors,
	                                 rt_model_parameters(j->from), c->model->path, err);
}

/* Calibration rows, and what the embedding that they will see gives for them. */
static int prepare_data(struct job *j, struct rt_error *err)
{
	const struct config *c = j->cfg;
	const size_t         hidden = (size_t)rt_model_shape(j->from)->hidden;
	int                  r;

	j->watch = c->data && (c->quantizer || weighs(type_of(types, c->type)) ||
	                       (c->skip.n && weighs(type_of(embeddings, c->embedding))));
	if (!j->watch)
		return 0;
	r = rt_sequences_read(&j->data, j->from, c->data->path, &(struct rt_sequence_options){ 0 },
	                      j->c, err);
	if (r == 0)
		r = calibration_pack(&j->seen, &j->data, c->samples, c->rows, err);
	if (r == 0)
		r = moments_init(&j->moments, j->from, c->quantizer != NULL, err);
	if (r < 0)
		return r;
	j->x = rt_arena_alloc(&j->room, (size_t)j->seen.n, sizeof *j->x);
	j->next = rt_arena_alloc(&j->room, (size_t)j->seen.most, hidden * sizeof **j->x);
	for (int64_t i = 0; j->x && j->next && r == 0 && i < j->seen.n; i++) {
		const struct rt_batch *b = &j->seen.batch[i].batch;

		j->x[i] = rt_arena_alloc(&j->room, (size_t)b->rows, hidden * sizeof **j->x);
		r = j->x[i] ? rt_model_embed(j->to, b, j->x[i], err)
		            : rt_fail_nomem(err, "the rows of calibration");
	}
	return j->x && j->next ? r : rt_fail_nomem(err, "the rows of calibration");
}

/* ---- the report ------------------------------------------------------------------------------ */

/* What was written, against what was there. */
static int diverge(struct job *j, const struct rt_model *after, struct divergence *d,
                   struct rt_error *err)
{
	const struct config      *c = j->cfg;
	const struct rt_artifact *rows = c->validation ? c->validation : c->data;
	struct calibration        batches = { 0 };
	int                       r;

	*d = (struct divergence){ 0 };
	if (!rows)
		return 0;
	r = rt_sequences_read(&j->validation, j->from, rows->path,
	                      &(struct rt_sequence_options){ 0 }, j->c, err);
	if (r == 0)
		r = calibration_pack(&batches, &j->validation, c->samples, c->rows, err);
	if (r == 0)
		r = divergence_measure(d, j->from, after, &batches, j->c, err);
	calibration_fini(&batches);
	return r;
}

static int report(struct job *j, const struct rt_model *after, const char *dir,
                  struct rt_error *err)
{
	const struct rt_model_shape *a = rt_model_shape(j->from), *b = rt_model_shape(after);
	struct rt_json              *m = rt_json_new_object();
	struct divergence            d;
	int r = m ? diverge(j, after, &d, err) : rt_fail_nomem(err, "a report"), made = 0;

	if (r < 0) {
		rt_json_free(m);
		return r;
	}
	made |= rt_metric(m, "bytes_before", (double)a->bytes, a->parameters);
	made |= rt_metric(m, "bytes_after", (double)b->bytes, b->parameters);
	made |= rt_metric(m, "bits_per_weight", 8 * (double)b->bytes / (double)b->parameters,
	                  b->parameters);
	made |= rt_metric_mean(m, "error", j->sum, j->squares, j->matrices);
	made |= rt_metric(m, "error_worst", j->worst, j->matrices);
	made |= divergence_report(&d, m);
	r = made ? rt_fail_nomem(err, "a report") : rt_metrics_write(m, dir, err);
	rt_json_free(m);
	return r;
}

static int write_model(struct job *j, const char *const *out, struct rt_error *err)
{
	char            *file = rt_path_join(out[0], "model.gguf");
	struct rt_model *after = NULL;
	int              r = file ? 0 : rt_fail_nomem(err, "a path");

	if (r == 0)
		r = rt_model_write_gguf(j->to, file, RT_AS_STORED, j->cfg->model->path, err);
	if (r == 0)
		r = rt_model_open(&after, out[0], 0, err);
	if (r == 0)
		r = report(j, after, out[1], err);
	rt_model_close(after);
	rt_free(file);
	return r;
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	struct job j = { .cfg = state, .c = c, .room = RT_ARENA_INIT };
	int        r = prepare(&j, err);

	if (r == 0)
		r = prepare_data(&j, err);
	if (r == 0)
		r = do_layers(&j, err);
	if (r == 0)
		r = write_model(&j, out, err);
	moments_fini(&j.moments);
	calibration_fini(&j.seen);
	rt_sequences_free(&j.data);
	rt_sequences_free(&j.validation);
	rt_model_close(j.to);
	rt_model_close(j.from);
	rt_free(j.tensors);
	rt_arena_free(&j.room);
	return r;
}

static const struct rt_stage_ops ops = { .size = sizeof ops, .outputs = outputs, .run = run };

RT_PLUGIN(stage_quantize, STAGE, .name = "quantize", .version = "1.0", .license = "Apache-2.0",
          .summary = "Weights in few bits, one GGUF file, and what that did to the model.",
          .config_size = sizeof(struct config), .params = params, .check = check,
          .ops.stage = &ops);
