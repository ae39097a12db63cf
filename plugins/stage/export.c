/* export.c - stage-export: a model in the form in which others take it, and the proof that it is
 * still the same.
 *
 * What was written is opened again.  A prompt that renders to other ids than before is an error.
 * Answers (greedy) and distributions must be as near as the parameters ask, or the stage ends as a
 * gate that was not met. */
#include "answers.h"
#include "divergence.h"

#include <retort/file.h>
#include <retort/format.h>
#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/stage.h>

enum { HUGGINGFACE, GGUF };
static const char *const forms[] = { "huggingface", "gguf", NULL };
static const char *const types[] = { "as-is", "f32",  "f16",    "bf16",   "q8_0", "q6_k",
	                             "q5_k",  "q5_1", "q5_0",   "q4_k",   "q4_1", "q4_0",
	                             "q3_k",  "q2_k", "iq4_nl", "iq4_xs", NULL };

struct config {
	const struct rt_artifact *model, *reference, *data;
	struct rt_component      *format;
	int                       to, type;
	int64_t                   samples, max_tokens, rows;
	double                    agreement, kl;
};

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct config, model, MODEL, "The model to export.", .flags = RT_P_REQUIRED),
	RT_PARAM_INPUT(struct config, data, DATASET,
	               "Rows whose prompts are rendered and answered.", .flags = RT_P_REQUIRED),
	RT_PARAM_INPUT(struct config, reference, MODEL,
	               "The model that it is held against; without it the one that is exported."),
	RT_PARAM_ENUM(struct config, to, HUGGINGFACE, forms,
	              "Hugging Face directory, or one GGUF file (model.gguf)."),
	RT_PARAM_COMPONENT(struct config, format, FORMAT, NULL,
	                   "Who writes the weights of the directory instead."),
	RT_PARAM_ENUM(struct config, type, 0, types,
	              "Of the matrices; as-is: of each as it is, in a directory f32 where they "
	              "are not all of one plain type."),
	RT_PARAM_INT(struct config, samples, 64, 1, 1 << 20, "rows", "Prompts that are compared."),
	RT_PARAM_INT(struct config, max_tokens, 64, 1, 1 << 20, "tokens", "Longest answer."),
	RT_PARAM_REAL(struct config, agreement, 1, 0, 1, NULL,
	              "Share of the answers that must be the same tokens."),
	RT_PARAM_REAL(struct config, kl, .01, 0, 1e6, "nats",
	              "Mean divergence of a token's distribution that is tolerated."),
	RT_PARAM_INT(struct config, rows, 2048, 1, 1 << 20, "tokens",
	             "Tokens that go through the models at once."),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "model", "The model in its new form.", RT_MODEL, 0 },
	{ "report", "Answers and distributions, before and after.", RT_METRICS, 0 },
	{ 0 }
};

static int64_t type_of(const struct config *c)
{
	return c->type ? rt_dtype_find(types[c->type]) : RT_AS_STORED;
}

static int check(const void *config, struct rt_error *err)
{
	const struct config *c = config;

	if (c->format && c->to != HUGGINGFACE)
		return rt_fail(err, RT_E_USAGE,
		               "give to or format, not both: format-%s writes a "
		               "directory of its own",
		               c->format->plugin->name);
	if (c->format && c->type)
		return rt_fail(err, RT_E_USAGE,
		               "type is not for format-%s, which knows its own: quantize before, "
		               "and export as-is",
		               c->format->plugin->name);
	if (c->to == HUGGINGFACE && c->type && rt_dtype_info(type_of(c))->block > 1)
		return rt_fail(err, RT_E_USAGE,
		               "a directory holds f32, f16 or bf16; %s needs to = \"gguf\"",
		               types[c->type]);
	return 0;
}

/* ---- there and back ---------------------------------------------------------------------------
 */

/* What was written, open again; with a format its weights are lent by it. */
struct written {
	struct rt_model  *m;
	struct rt_weights lent;
	bool              has_lent;
};

/* The one plain type of all matrices, or f32. */
static enum rt_dtype plain_type(const struct rt_model *m)
{
	int64_t type = -1;

	for (int64_t i = 0; i < rt_model_parameters(m); i++) {
		const struct rt_tensor t = rt_model_parameter(m, i).tensor;

		if (t.ndim < 2)
			continue;
		if (rt_dtype_info(t.dtype)->block > 1 || (type >= 0 && type != t.dtype))
			return RT_F32;
		type = t.dtype;
	}
	return type == RT_F16 || type == RT_BF16 ? (enum rt_dtype)type : RT_F32;
}

static int write_gguf(const struct config *c, const struct rt_model *m, const char *out,
                      struct rt_error *err)
{
	char *file = rt_path_join(out, "model.gguf");
	int   r = file ? rt_model_write_gguf(m, file, type_of(c), c->model->path, err)
	               : rt_fail_nomem(err, "a path");

	rt_free(file);
	return r;
}

static int write_format(const struct config *c, const struct rt_model *m, const char *out,
                        struct rt_error *err)
{
	const struct rt_component *f = c->format;
	const int64_t              n = rt_model_parameters(m);
	struct rt_parameter       *p = rt_alloc((size_t)n, sizeof *p);
	struct rt_named_tensor    *t = rt_alloc((size_t)n, sizeof *t);
	struct rt_weights          w = { .config = rt_model_config(m), .tensors = t, .n = n };
	int                        r = p && t ? 0 : rt_fail_nomem(err, "a list of tensors");

	for (int64_t i = 0; r == 0 && i < n; i++) {
		p[i] = rt_model_parameter(m, i);
		t[i] = (struct rt_named_tensor){ p[i].name, p[i].tensor };
	}
	if (r == 0)
		r = f->plugin->ops.format->write(f->state, out, &w, err);
	if (r < 0)
		r = rt_within(err, r, "format-%s", f->plugin->name);
	if (r == 0)
		r = rt_model_copy_text(c->model->path, out, err);
	rt_free(p);
	rt_free(t);
	return r;
}

static int write_model(const struct config *c, const struct rt_model *m, const char *out,
                       struct rt_error *err)
{
	if (c->format)
		return write_format(c, m, out, err);
	if (c->to == GGUF)
		return write_gguf(c, m, out, err);
	return rt_model_write(m, out, c->type ? (enum rt_dtype)type_of(c) : plain_type(m),
	                      c->model->path, err);
}

static int open_written(const struct config *c, const char *out, struct written *w,
                        struct rt_error *err)
{
	const struct rt_component *f = c->format;
	int                        r;

	if (!f)
		return rt_model_open(&w->m, out, 0, err);
	r = f->plugin->ops.format->read(f->state, out, &w->lent, err);
	w->has_lent = r == 0;
	if (r == 0)
		r = rt_model_assemble(&w->m, w->lent.config, w->lent.tensors, w->lent.n, out, err);
	return r < 0 ? rt_within(err, r, "what format-%s wrote", f->plugin->name) : 0;
}

static void close_written(const struct config *c, struct written *w)
{
	rt_model_close(w->m);
	if (w->has_lent)
		c->format->plugin->ops.format->release(c->format->state, &w->lent);
}

/* ---- the proof --------------------------------------------------------------------------------
 */

static int report(const struct answers *a, const struct divergence *d, const char *dir,
                  struct rt_error *err)
{
	const struct rt_model_shape *x = rt_model_shape(a->before), *y = rt_model_shape(a->after);
	struct rt_json              *m = rt_json_new_object();
	int                          r = m ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_metric(m, "bytes_before", (double)x->bytes, x->parameters);
		r |= rt_metric(m, "bytes_after", (double)y->bytes, y->parameters);
		r |= rt_metric_rate(m, "prompts_same", a->n, a->n);
		r |= rt_metric_rate(m, "answers_same", a->agree, a->n);
		r |= divergence_report(d, m);
	}
	r = r < 0 ? rt_fail_nomem(err, "a report") : rt_metrics_write(m, dir, err);
	rt_json_free(m);
	return r;
}

static int judge(const struct config *c, const struct answers *a, const struct divergence *d,
                 struct rt_error *err)
{
	const double share = (double)a->agree / (double)a->n, kl = d->sum / (double)d->sequences;

	if (share < c->agreement)
		return rt_fail(err, RT_E_GATE,
		               "%lld of %lld answers are what they were, a share of %.4f; "
		               "agreement asks for %.4f",
		               (long long)a->agree, (long long)a->n, share, c->agreement);
	if (!(kl <= c->kl))
		return rt_fail(err, RT_E_GATE,
		               "distributions are %.3g nats away from what they were; kl tolerates "
		               "%.3g",
		               kl, c->kl);
	return 0;
}

static int prove(const struct config *c, struct answers *a, struct rt_context *context,
                 const char *dir, struct rt_error *err)
{
	struct rt_sequences data = { 0 };
	struct calibration  batches = { 0 };
	struct divergence   d = { 0 };
	int                 r = answers_read(a, c->data->path, c->samples, context, err);

	if (r == 0)
		r = answers_give(a, c->max_tokens, context, err);
	if (r == 0)
		r = answers_sequences(a, &data, err);
	if (r == 0)
		r = calibration_pack(&batches, &data, data.n, c->rows, err);
	if (r == 0)
		r = divergence_measure(&d, a->before, a->after, &batches, context, err);
	if (r == 0)
		r = report(a, &d, dir, err);
	calibration_fini(&batches);
	rt_sequences_free(&data);
	return r == 0 ? judge(c, a, &d, err) : r;
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	const struct config *cfg = state;
	struct rt_model     *m = NULL, *reference = NULL;
	struct written       w = { 0 };
	struct answers       a = { 0 };
	int                  r = rt_model_open(&m, cfg->model->path, 0, err);

	if (r == 0 && cfg->reference)
		r = rt_model_open(&reference, cfg->reference->path, 0, err);
	if (r == 0)
		r = write_model(cfg, m, out[0], err);
	if (r == 0)
		r = open_written(cfg, out[0], &w, err);
	a.before = reference ? reference : m;
	a.after = w.m;
	if (r == 0)
		r = prove(cfg, &a, c, out[1], err);
	answers_free(&a);
	close_written(cfg, &w);
	rt_model_close(reference);
	rt_model_close(m);
	return r;
}

static const struct rt_stage_ops ops = { .size = sizeof ops, .outputs = outputs, .run = run };

RT_PLUGIN(stage_export, STAGE, .name = "export", .version = "1.0", .license = "Apache-2.0",
          .summary = "A model in the form in which others take it, proven to be the same.",
          .config_size = sizeof(struct config), .params = params, .check = check,
          .ops.stage = &ops);
