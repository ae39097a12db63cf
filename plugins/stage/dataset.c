/* dataset.c - stage-dataset: files of rows become one clean dataset.
 *
 * Rows come in the shapes that people have (import.h), keep the keys that nobody knows, get an id
 * where they have none, and lose doubles and whatever stands in a test set.  In order: read,
 * filter, shuffle, limit, split.  The report says what was dropped, and why. */
#include "import.h"

#include <retort/file.h>
#include <retort/hash.h>
#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/random.h>
#include <retort/row.h>
#include <retort/rows.h>
#include <retort/stage.h>

#include <string.h>

struct config {
	struct rt_strings paths;
	const char       *tools;
	struct rt_inputs  exclude;
	bool              shuffle, unique, answers;
	int64_t           limit;
	double            rest;
};

struct state {
	const struct config *cfg;
};

static const struct rt_param params[] = {
	RT_PARAM_PATHS(struct config, paths, 1, 1000, "JSON Lines files, read one after another."),
	RT_PARAM_PATH(struct config, tools, NULL,
	              "JSON list of tools to put into rows that have none."),
	RT_PARAM_INPUTS(
		struct config, exclude, DATASET, 0, 100,
		"Rows whose prompt stands in one of these are dropped: keep the test set out."),
	RT_PARAM_BOOL(struct config, unique, true,
	              "Whether a prompt and answer that came before are dropped."),
	RT_PARAM_BOOL(struct config, answers, true,
	              "Whether answers are kept; false leaves bare prompts."),
	RT_PARAM_BOOL(struct config, shuffle, false, "Whether the order is made random."),
	RT_PARAM_INT(struct config, limit, 0, 0, INT64_MAX, "rows", "At most so many; 0: all."),
	RT_PARAM_REAL(struct config, rest, 0, 0, 1, NULL,
	              "Share of rows, from the end, that goes to the output `rest` instead."),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "rows", "The rows.", RT_DATASET, 0 },
	{ "report", "How many came, stayed, and were dropped for which reason.", RT_METRICS, 0 },
	{ "rest", "The share that was set aside.", RT_DATASET, 0 },
	{ 0 }
};

/* One run. */
struct job {
	const struct config *cfg;
	struct rt_context   *context;
	struct rt_json      *tools, *seen, *prompts, *ids, *dropped;
	struct rt_json     **rows;
	int64_t              n, cap, read;
};

static int drop(struct job *j, const char *why)
{
	return rt_json_set(j->dropped, why,
	                   rt_json_new_int(1 + rt_json_int(rt_json_get(j->dropped, why), 0)));
}

/* A hash of the messages [0, n) of a row. */
static int hash_messages(const struct rt_json *row, size_t n, char out[RT_HASH_HEX])
{
	const struct rt_json *messages = rt_json_get(row, "messages");
	struct rt_text        t = RT_TEXT_INIT;
	bool                  failed;

	for (size_t i = 0; i < n; i++)
		rt_json_print(rt_json_at(messages, i), RT_JSON_SORT, &t);
	rt_hash_hex(t.data, t.len, out);
	failed = t.failed;
	rt_text_free(&t);
	return failed ? RT_E_NOMEM : 0;
}

static int read_excluded(struct job *j, const char *dir, struct rt_error *err)
{
	char           *path = rt_path_join(dir, "rows.jsonl"), hash[RT_HASH_HEX];
	struct rt_rows *rows;
	struct rt_json *row;
	int             r = path ? rt_rows_open(&rows, path, 0, err) : rt_fail_nomem(err, "a path");

	rt_free(path);
	if (r < 0)
		return r;
	while ((r = rt_rows_next(rows, &row, err)) == 1) {
		r = hash_messages(row, rt_row_prompt(row), hash);
		if (r == 0)
			r = rt_json_set(j->prompts, hash, rt_json_new_bool(true));
		rt_json_free(row);
		if (r < 0) {
			r = rt_fail_nomem(err, "excluded prompts");
			break;
		}
	}
	rt_rows_close(rows);
	return r;
}

/* Cut the answers off: messages behind the prompt, and what is accepted. */
static int bare_prompt(struct rt_json *row)
{
	int r = rt_json_set(row, "messages", rt_row_prompt_messages(row));

	r |= rt_json_remove(row, "accepted");
	return r;
}

/* An id of its own for each row: what it has, else a part of the hash of its messages. */
static int give_id(struct job *j, struct rt_json *row, const char *hash, const char *path,
                   int64_t line, struct rt_error *err)
{
	const char *id = rt_json_string(rt_json_get(row, "id"));
	char        own[20];

	if (!id || !*id) {
		memcpy(own, hash, 16);
		own[16] = '\0';
		if (rt_json_set(row, "id", rt_json_new_string(own)) < 0)
			return rt_fail_nomem(err, "an id");
		id = own;
	}
	if (rt_json_get(j->ids, id))
		return rt_fail(err, RT_E_FORMAT,
		               "%s:%lld: the id '%s' stands in an earlier row, too", path,
		               (long long)line, id);
	return rt_json_set(j->ids, id, rt_json_new_bool(true)) < 0 ? rt_fail_nomem(err, "ids") : 0;
}

static int keep(struct job *j, struct rt_json *row)
{
	if (j->n == j->cap) {
		const int64_t    cap = j->cap ? 2 * j->cap : 1024;
		struct rt_json **more = rt_realloc(j->rows, (size_t)cap, sizeof *more);

		if (!more)
			return RT_E_NOMEM;
		j->rows = more;
		j->cap = cap;
	}
	j->rows[j->n++] = rt_json_ref(row);
	return 0;
}

static int take(struct job *j, struct rt_json *row, const char *path, int64_t line,
                struct rt_error *err)
{
	char all[RT_HASH_HEX], prompt[RT_HASH_HEX];
	int  r = 0;

	if (!j->cfg->answers)
		r |= bare_prompt(row);
	r |= hash_messages(row, rt_json_length(rt_json_get(row, "messages")), all);
	r |= hash_messages(row, rt_row_prompt(row), prompt);
	if (r < 0)
		return rt_fail_nomem(err, "a row");
	if (rt_row_prompt(row) == 0)
		return drop(j, "no prompt");
	if (rt_json_get(j->prompts, prompt))
		return drop(j, "stands in an excluded set");
	if (j->cfg->unique && rt_json_get(j->seen, all))
		return drop(j, "came before");
	if (j->cfg->unique && rt_json_set(j->seen, all, rt_json_new_bool(true)) < 0)
		return rt_fail_nomem(err, "rows");
	r = give_id(j, row, all, path, line, err);
	if (r < 0)
		return r;
	if (j->tools && !rt_json_get(row, "tools") &&
	    rt_json_set(row, "tools", rt_json_ref(j->tools)) < 0)
		return rt_fail_nomem(err, "tools");
	return keep(j, row) < 0 ? rt_fail_nomem(err, "rows") : 0;
}

static int read_file(struct job *j, const char *path, struct rt_error *err)
{
	struct rt_rows *rows;
	struct rt_json *row;
	int             r = rt_rows_open(&rows, path, 0, err);

	if (r < 0)
		return r;
	while ((r = rt_rows_next(rows, &row, err)) == 1) {
		j->read++;
		r = import_row(row, err);
		if (r < 0)
			r = rt_within(err, r, "%s:%lld", path, (long long)rt_rows_line(rows));
		else
			r = take(j, row, path, rt_rows_line(rows), err);
		rt_json_free(row);
		if (r == 0 && rt_cancelled(j->context))
			r = rt_fail(err, RT_E_CANCEL, "cancelled");
		if (r < 0)
			break;
		rt_progress(j->context, j->read, -1, "rows");
	}
	rt_rows_close(rows);
	return r;
}

/* order[i]: which kept row comes i-th. */
static int64_t *make_order(const struct job *j)
{
	int64_t *order = rt_alloc((size_t)j->n, sizeof *order);

	for (int64_t i = 0; order && i < j->n; i++)
		order[i] = i;
	if (order && j->cfg->shuffle && j->n > 0)
		rt_random_permutation(rt_seed(j->context), 0, j->n, order);
	return order;
}

static int write_rows(const struct job *j, const int64_t *order, int64_t first, int64_t last,
                      const char *dir, struct rt_error *err)
{
	char               *path = rt_path_join(dir, "rows.jsonl");
	struct rt_rows_out *out;
	int r = path ? rt_rows_create(&out, path, err) : rt_fail_nomem(err, "a path");

	rt_free(path);
	if (r < 0)
		return r;
	for (int64_t i = first; r == 0 && i < last; i++)
		r = rt_rows_put(out, j->rows[order[i]], err);
	if (r < 0) {
		rt_rows_discard(out);
		return r;
	}
	return rt_rows_finish(out, err);
}

static int write_report(const struct job *j, int64_t kept, int64_t rest, const char *dir,
                        struct rt_error *err)
{
	struct rt_json *m = rt_json_new_object();
	int             r = m ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_metric(m, "read", (double)j->read, j->read);
		r |= rt_metric(m, "rows", (double)kept, j->read);
		r |= rt_metric(m, "rest", (double)rest, j->read);
		r |= rt_metric(m, "dropped, over the limit", (double)(j->n - kept - rest), j->read);
	}
	for (struct rt_json_iter i = rt_json_first(j->dropped); r == 0 && i.key; rt_json_next(&i)) {
		char *name = rt_asprintf("dropped, %s", i.key);

		r = name ? rt_metric(m, name, (double)rt_json_int(i.value, 0), j->read)
		         : RT_E_NOMEM;
		rt_free(name);
	}
	r = r < 0 ? rt_fail_nomem(err, "the report") : rt_metrics_write(m, dir, err);
	rt_json_free(m);
	return r;
}

static int write_all(const struct job *j, const char *const *out, struct rt_error *err)
{
	const struct config *c = j->cfg;
	const int64_t        n = c->limit > 0 && c->limit < j->n ? c->limit : j->n;
	const int64_t        rest = (int64_t)((double)n * c->rest + 0.5);
	int64_t             *order = make_order(j);
	int                  r = order ? 0 : rt_fail_nomem(err, "an order");

	if (r == 0)
		r = write_rows(j, order, 0, n - rest, out[0], err);
	if (r == 0)
		r = write_rows(j, order, n - rest, n, out[2], err);
	if (r == 0)
		r = write_report(j, n - rest, rest, out[1], err);
	rt_free(order);
	return r;
}

static int prepare(struct job *j, struct rt_error *err)
{
	int r = 0;

	j->seen = rt_json_new_object();
	j->prompts = rt_json_new_object();
	j->ids = rt_json_new_object();
	j->dropped = rt_json_new_object();
	if (!j->seen || !j->prompts || !j->ids || !j->dropped)
		r = rt_fail_nomem(err, "a job");
	if (r == 0 && j->cfg->tools)
		r = rt_json_read(j->cfg->tools, 0, &j->tools, err);
	for (int64_t i = 0; r == 0 && i < j->cfg->exclude.n; i++)
		r = read_excluded(j, j->cfg->exclude.at[i]->path, err);
	return r;
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	struct job j = { .cfg = ((struct state *)state)->cfg, .context = c };
	int        r = prepare(&j, err);

	for (int64_t i = 0; r == 0 && i < j.cfg->paths.n; i++)
		r = read_file(&j, j.cfg->paths.at[i], err);
	if (r == 0)
		r = write_all(&j, out, err);
	for (int64_t i = 0; i < j.n; i++)
		rt_json_free(j.rows[i]);
	rt_free(j.rows);
	rt_json_free(j.tools);
	rt_json_free(j.seen);
	rt_json_free(j.prompts);
	rt_json_free(j.ids);
	rt_json_free(j.dropped);
	return r;
}

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	(void)c, (void)err;
	((struct state *)state)->cfg = config;
	return 0;
}

static int estimate(const void *config, struct rt_estimate *ret, struct rt_error *err)
{
	const struct config *c = config;
	struct rt_map        map;
	int64_t              rows = 0;
	double               bytes = 0;

	for (int64_t i = 0; i < c->paths.n; i++) {
		int r = rt_file_map(&map, c->paths.at[i], err);

		if (r < 0)
			return r;
		bytes += (double)map.size;
		for (const char *p = map.data, *end = p + map.size;
		     p && (p = memchr(p, '\n', (size_t)(end - p))); p++)
			rows++;
		rt_file_unmap(&map);
	}
	if (c->limit > 0 && c->limit < rows)
		rows = c->limit;
	ret->calls = ret->input_tokens = ret->output_tokens = ret->money = 0;
	ret->rows[2] = (int64_t)((double)rows * c->rest + 0.5);
	ret->rows[0] = rows - ret->rows[2];
	ret->disk = bytes;
	ret->memory = 8 * bytes; /* a JSON tree takes several times its text */
	return 0;
}

static const struct rt_stage_ops ops = {
	.size = sizeof ops, .outputs = outputs, .run = run, .estimate = estimate
};

RT_PLUGIN(
	stage_dataset, STAGE, .name = "dataset", .version = "1.0", .license = "Apache-2.0",
	.summary =
		"Read rows in common shapes, drop doubles and test rows, shuffle, limit and split.",
	.config_size = sizeof(struct config), .params = params, .state_size = sizeof(struct state),
	.open = open_, .ops.stage = &ops);
