/* @KIND@-@NAME@.c - the first rows of a dataset. */
#include <retort/file.h>
#include <retort/memory.h>
#include <retort/rows.h>
#include <retort/stage.h>

struct config {
	const struct rt_artifact *data;
	int64_t                   count;
};

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct config, data, DATASET, "The rows to take from.", .flags = RT_P_REQUIRED),
	RT_PARAM_INT(struct config, count, 100, 1, INT64_MAX, "rows", "How many to take."),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "data", "The first rows, in order.", RT_DATASET, 0 }, { NULL, NULL, 0, 0 }
};

/* Copy up to `count` rows; 0, or a negative code. */
static int copy(struct rt_rows *in, struct rt_rows_out *out, int64_t count, struct rt_context *c,
                struct rt_error *err)
{
	int r = 1;

	while (r > 0 && rt_rows_count(out) < count) {
		struct rt_json *row;

		if (rt_cancelled(c))
			return rt_fail(err, RT_E_CANCEL, "cancelled");
		r = rt_rows_next(in, &row, err);
		if (r <= 0)
			break;
		r = rt_rows_put(out, row, err);
		rt_json_free(row);
		if (r < 0)
			break;
		r = 1;
		rt_progress(c, rt_rows_count(out), count, "rows");
	}
	return r < 0 ? r : 0;
}

static int take(const char *from, const char *to, int64_t count, struct rt_context *c, struct rt_error *err)
{
	struct rt_rows     *in = NULL;
	struct rt_rows_out *out = NULL;
	int                 r = rt_rows_open(&in, from, 0, err);

	if (r == 0)
		r = rt_rows_create(&out, to, err);
	if (r == 0)
		r = copy(in, out, count, c, err);
	rt_rows_close(in);
	if (r == 0)
		return rt_rows_finish(out, err);
	rt_rows_discard(out);
	return r;
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	const struct config *config = state;
	char                *from = rt_path_join(config->data->path, "rows.jsonl");
	char                *to = rt_path_join(out[0], "rows.jsonl");
	int r = from && to ? take(from, to, config->count, c, err) : rt_fail_nomem(err, "a path");

	rt_free(from);
	rt_free(to);
	return r;
}

static int estimate(const void *config, struct rt_estimate *ret, struct rt_error *err)
{
	const struct config *c = config;

	(void)err;
	if (c->data->rows >= 0)
		ret->rows[0] = c->data->rows < c->count ? c->data->rows : c->count;
	return 0;
}

static const struct rt_stage_ops ops = {
	.size = sizeof ops, .outputs = outputs, .run = run, .estimate = estimate
};

RT_PLUGIN(@KIND@_@ID@, @KINDUP@,
          .name = "@NAME@", .version = "0.1", .license = "Apache-2.0",
          .summary = "The first rows of a dataset.",
          .config_size = sizeof(struct config), .params = params, .ops.stage = &ops);
