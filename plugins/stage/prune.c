/* prune.c - stage-prune: calibration shows what a model uses, a pruner ranks it, the rest goes.
 *
 * Layers, heads (with their key and value heads), and neurons are cut out: config.json shrinks, and
 * the model loads anywhere.  So with tokens that the data never use: embedding, head and tokenizer
 * lose them, and what is left is as it was (see cut-text.h).  A pruner of single weights sets them
 * to 0: an experiment, for neither size nor speed change. */
#include "prune.h"

#include <retort/memory.h>
#include <retort/metrics.h>

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct prune_config, model, MODEL, "The model to prune.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_INPUT(struct prune_config, data, DATASET,
	               "Rows like those that it will see, for calibration.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_COMPONENT(struct prune_config, pruner, PRUNER, NULL, "Who ranks what is there.",
	                   .flags = RT_P_REQUIRED),
	RT_PARAM_REAL(struct prune_config, remove, 0, 0, .95, NULL,
	              "Share of the units (of a layer, where they stand in layers) that goes; 0: a "
	              "fifth, or as count says.  Not for tokens: all go that no row of data has."),
	RT_PARAM_INT(struct prune_config, count, 0, 0, 1 << 20, "units",
	             "How many go, instead of a share; 0: as remove says."),
	RT_PARAM_INT(struct prune_config, multiple, 0, 0, 4096, "neurons",
	             "What stays of neurons is a multiple of this; 0: of 32."),
	RT_PARAM_INT(struct prune_config, samples, 512, 1, 1 << 20, "rows", "Rows of calibration."),
	RT_PARAM_INT(struct prune_config, rows, 2048, 1, 1 << 20, "tokens",
	             "Tokens that go through the model at once."),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "model", "What is left.", RT_MODEL, 0 },
	{ "report", "Units and parameters, before and after.", RT_METRICS, 0 },
	{ 0 }
};

/* What is given and does not go with the pruner would be without effect. */
static int check(const void *config, struct rt_error *err)
{
	static const struct {
		const char *name;
		bool        takes[3];
	} units[] = { { "single weights", { true } },
		      [RT_UNIT_LAYER] = { "layers", { true, true } },
		      [RT_UNIT_HEAD] = { "heads", { true, true } },
		      [RT_UNIT_NEURON] = { "neurons", { true, true, true } },
		      [RT_UNIT_TOKEN] = { "tokens, all that no row of data has", { false } } };
	static const char *const   names[] = { "remove", "count", "multiple" };
	const struct prune_config *c = config;
	const double               given[] = { c->remove, (double)c->count, (double)c->multiple };
	const uint32_t             u = prune_units_of(c);

	for (int i = 0; u <= RT_UNIT_TOKEN && i < 3; i++)
		if (given[i] > 0 && !units[u].takes[i])
			return rt_fail(err, RT_E_USAGE,
			               "%s = %g is not for pruner-%s, which removes %s: "
			               "leave it out, or set it to 0",
			               names[i], given[i], c->pruner->plugin->name, units[u].name);
	if (c->count && c->remove > 0)
		return rt_fail(err, RT_E_USAGE,
		               "count = %lld and remove = %g are both given: leave one of them "
		               "out, or set it to 0",
		               (long long)c->count, c->remove);
	return 0;
}

/* ---- a run ----------------------------------------------------------------------------------- */

static int report(struct pruning *j, const struct rt_model *after, const char *dir,
                  struct rt_error *err)
{
	const struct rt_model_shape *a = rt_model_shape(j->m), *b = rt_model_shape(after);
	struct rt_json              *m = rt_json_new_object();
	int                          r = m ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_metric(m, "units_before", (double)j->before, j->stats.tokens);
		r |= rt_metric(m, "units_after", (double)j->after, j->stats.tokens);
		r |= rt_metric(m, "parameters_before", (double)a->parameters, 1);
		r |= rt_metric(m, "parameters_after", (double)b->parameters, 1);
		if (j->text.folder)
			r |= rt_metric(m, "logit_difference", j->difference, 1);
	}
	r = r < 0 ? rt_fail_nomem(err, "a report") : rt_metrics_write(m, dir, err);
	rt_json_free(m);
	return r;
}

/* What the model does with a part of the data; tokens are counted without it. */
static int calibrate(struct pruning *j, struct rt_error *err)
{
	const struct prune_config *c = j->cfg;
	int                        r = prune_stats_init(&j->stats, j->m, err);

	if (r == 0)
		r = calibration_pack(&j->seen, &j->data, c->samples, c->rows, err);
	return r < 0 ? r : prune_stats_collect(&j->stats, &j->seen, j->c, err);
}

static int prepare(struct pruning *j, struct rt_error *err)
{
	const struct prune_config *c = j->cfg;
	int                        r = rt_model_open(&j->m, c->model->path, RT_MODEL_TRAIN, err);

	if (r == 0)
		r = rt_sequences_read(&j->data, j->m, c->data->path,
		                      &(struct rt_sequence_options){ 0 }, j->c, err);
	if (r == 0 && prune_units_of(c) != RT_UNIT_TOKEN)
		r = calibrate(j, err);
	if (r < 0)
		return r;
	j->config = rt_json_copy(rt_model_config(j->m));
	j->tensors = rt_alloc((size_t)rt_model_parameters(j->m), sizeof *j->tensors);
	return j->config && j->tensors ? 0 : rt_fail_nomem(err, "a model");
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	struct pruning   j = { .cfg = state, .c = c, .room = RT_ARENA_INIT };
	struct rt_model *after = NULL;
	int              r = prepare(&j, err);

	if (r == 0)
		r = prune_cut(&j, err);
	if (r == 0)
		r = rt_model_assemble(&after, j.config, j.tensors, j.n, NULL, err);
	if (r == 0)
		r = rt_model_write(after, out[0], RT_F32,
		                   j.text.folder ? j.text.folder : j.cfg->model->path, err);
	if (r == 0 && j.text.folder)
		r = cut_text_prove(&j.text, j.m, &j.data, out[0], j.cfg->data->path, c,
		                   &j.difference, err);
	if (r == 0)
		r = report(&j, after, out[1], err);
	rt_model_close(after);
	cut_text_close(&j.text);
	prune_stats_fini(&j.stats);
	calibration_fini(&j.seen);
	rt_sequences_free(&j.data);
	rt_json_free(j.config);
	rt_free(j.tensors);
	rt_arena_free(&j.room);
	rt_model_close(j.m);
	return r;
}

static const struct rt_stage_ops ops = { .size = sizeof ops, .outputs = outputs, .run = run };

RT_PLUGIN(stage_prune, STAGE, .name = "prune", .version = "1.0", .license = "Apache-2.0",
          .summary = "Cut out of a model what calibration shows to matter least.",
          .config_size = sizeof(struct prune_config), .params = params, .check = check,
          .ops.stage = &ops);
