/* dataset.c - stage-dataset: files of rows, and other datasets, become one clean dataset.
 *
 * Rows come in the shapes that people have (import.h), keep the keys that nobody knows, get an id
 * where they have none, and lose doubles and whatever stands in a test set.  In order: read,
 * filter, drop doubles, sample, shuffle, limit, split.  The report says what was dropped, and
 * why. */
#include "filter.h"
#include "seen.h"
#include "source.h"

#include <retort/file.h>
#include <retort/hash.h>
#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/random.h>
#include <retort/row.h>
#include <retort/stage.h>

#include <math.h>
#include <string.h>

enum { KEPT, EXCLUDED }; /* tags of texts that were seen */

struct config {
	struct rt_strings         paths, where;
	const char               *tools;
	struct rt_inputs          data, exclude;
	const struct rt_artifact *model;
	struct filter_limits      limits;
	bool                      shuffle, unique, answers;
	int64_t                   limit, shingle;
	double                    rest, near, sample;
};

#define LIMIT(member, sentence)                                                                    \
	{                                                                                          \
		.name = #member, .type = RT_INT,                                                   \
		.offset = RT_FIELD(struct config, limits.member, int64_t), .max.i = INT64_MAX,     \
		.unit = "characters or tokens", .doc = (sentence)                                  \
	}

static const struct rt_param params[] = {
	RT_PARAM_PATHS(struct config, paths, 0, 1000,
	               "Files of rows, read one after another: JSON Lines, or CSV where the name "
	               "ends in .csv."),
	RT_PARAM_INPUTS(
		struct config, data, DATASET, 0, 100,
		"Rows of other stages, joined behind those of files; an id that is taken gets "
		"a number behind it."),
	RT_PARAM_PATH(struct config, tools, NULL,
	              "JSON list of tools to put into rows that have none."),
	RT_PARAM_INPUTS(
		struct config, exclude, DATASET, 0, 100,
		"Rows whose prompt stands in one of these are dropped: keep the test set out."),
	RT_PARAM_BOOL(struct config, unique, true,
	              "Whether a prompt and answer that came before are dropped."),
	RT_PARAM_REAL(struct config, near, 0, 0, 1, NULL,
	              "A row is dropped when this share of the shingles in its prompt and in an "
	              "earlier or excluded one stands in both; 0: nothing is near."),
	RT_PARAM_INT(struct config, shingle, 2, 1, 16, "words",
	             "How many words side by side are a shingle."),
	RT_PARAM_STRINGS(
		struct config, where, 0, 100,
		"What rows must hold to stay, each \"FIELD = VALUE\" or \"FIELD != VALUE\"; a "
		"field of a field is written with a point: \"meta.source != web\"."),
	LIMIT(min_prompt, "Shortest prompt that stays; messages of the system do not count."),
	LIMIT(max_prompt, "Longest one; 0: any."),
	LIMIT(min_answer, "Shortest answer that stays; calls count as JSON, no answer is 0."),
	LIMIT(max_answer, "Longest one; 0: any."),
	RT_PARAM_INPUT(struct config, model, MODEL,
	               "Whose tokenizer measures these lengths, in tokens; without it they are "
	               "characters."),
	RT_PARAM_BOOL(struct config, answers, true,
	              "Whether answers are kept; false leaves bare prompts."),
	RT_PARAM_REAL(
		struct config, sample, 0, 0, 1e15, NULL,
		"Rows drawn by the seed from those that stay, in their order: a share below 1, "
		"a number from 1 on; 0: all."),
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
	struct filter        filter;
	struct rt_model     *model; /* its text alone */
	struct seen          near;
	struct rt_text       text;
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

/* The text of its prompt in j->text. */
static int read_prompt(struct job *j, const struct rt_json *row, struct rt_error *err)
{
	rt_text_clear(&j->text);
	filter_prompt(row, &j->text);
	return j->text.failed ? rt_fail_nomem(err, "a prompt") : 0;
}

/* The prompt is near none that came before, from now on it is one of those; else *ret_why. */
static int check_near(struct job *j, const struct rt_json *row, const char **ret_why,
                      struct rt_error *err)
{
	enum seen_how how = SEEN_NEW;
	int           tag = KEPT, r = read_prompt(j, row, err);

	if (r == 0)
		r = seen_look(&j->near, j->text.data, &how, &tag, err);
	if (r == 0 && how != SEEN_NEW)
		*ret_why = tag == EXCLUDED ? "near one of an excluded set"
		                           : "near one that came before";
	else if (r == 0)
		r = seen_add(&j->near, j->text.data, KEPT, err);
	return r;
}

static int exclude(struct job *j, const struct rt_json *row, struct rt_error *err)
{
	char hash[RT_HASH_HEX];
	int  r = hash_messages(row, rt_row_prompt(row), hash);

	if (r == 0)
		r = rt_json_set(j->prompts, hash, rt_json_new_bool(true));
	if (r < 0)
		return rt_fail_nomem(err, "excluded prompts");
	if (j->cfg->near <= 0)
		return 0;
	r = read_prompt(j, row, err);
	return r < 0 ? r : seen_add(&j->near, j->text.data, EXCLUDED, err);
}

static int read_excluded(struct job *j, const char *dir, struct rt_error *err)
{
	char           *path = rt_path_join(dir, "rows.jsonl");
	struct rt_rows *rows;
	struct rt_json *row;
	int             r = path ? rt_rows_open(&rows, path, 0, err) : rt_fail_nomem(err, "a path");

	rt_free(path);
	if (r < 0)
		return r;
	while ((r = rt_rows_next(rows, &row, err)) == 1) {
		r = exclude(j, row, err);
		rt_json_free(row);
		if (r < 0)
			break;
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

/* The first of id-2, id-3, ... that is not taken. */
static int number_id(const struct job *j, struct rt_json *row, const char *id, struct rt_error *err)
{
	char *own = NULL;
	int   r;

	for (int64_t i = 2; !own; i++) {
		own = rt_asprintf("%s-%lld", id, (long long)i);
		if (!own)
			return rt_fail_nomem(err, "an id");
		if (rt_json_get(j->ids, own)) {
			rt_free(own);
			own = NULL;
		}
	}
	r = rt_json_set(row, "id", rt_json_new_string(own));
	rt_free(own);
	return r < 0 ? rt_fail_nomem(err, "an id") : 0;
}

/* An id of its own for each row: what it has, else a part of the hash of its messages. */
static int give_id(struct job *j, struct rt_json *row, const char *hash, const struct source *from,
                   struct rt_error *err)
{
	const char *id = rt_json_string(rt_json_get(row, "id"));
	char        own[20];
	int         r = 0;

	if (!id || !*id) {
		memcpy(own, hash, 16);
		own[16] = '\0';
		if (rt_json_set(row, "id", rt_json_new_string(own)) < 0)
			return rt_fail_nomem(err, "an id");
		id = own;
	}
	if (rt_json_get(j->ids, id) && !from->joined)
		return rt_fail(err, RT_E_FORMAT,
		               "%s:%lld: the id '%s' stands in an earlier row, too", from->path,
		               (long long)from->line, id);
	if (rt_json_get(j->ids, id))
		r = number_id(j, row, id, err);
	if (r < 0)
		return r;
	id = rt_json_string(rt_json_get(row, "id"));
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

/* Whether a row stays: else *ret_why. */
static int vet(struct job *j, const struct rt_json *row, const char *all, const char **ret_why,
               struct rt_error *err)
{
	char prompt[RT_HASH_HEX];

	if (hash_messages(row, rt_row_prompt(row), prompt) < 0)
		return rt_fail_nomem(err, "a row");
	if (rt_row_prompt(row) == 0)
		*ret_why = "no prompt";
	else if (rt_json_get(j->prompts, prompt))
		*ret_why = "stands in an excluded set";
	else if (j->cfg->unique && rt_json_get(j->seen, all))
		*ret_why = "came before";
	if (!*ret_why && j->cfg->near > 0)
		return check_near(j, row, ret_why, err);
	return 0;
}

static int take(struct job *j, struct rt_json *row, const struct source *from, struct rt_error *err)
{
	const char *why = NULL;
	char        all[RT_HASH_HEX];
	int         r = filter_row(&j->filter, row, &why, err);

	if (r == 0 && !why && !j->cfg->answers && bare_prompt(row) < 0)
		r = rt_fail_nomem(err, "a row");
	if (r == 0 && !why &&
	    hash_messages(row, rt_json_length(rt_json_get(row, "messages")), all) < 0)
		r = rt_fail_nomem(err, "a row");
	if (r == 0 && !why)
		r = vet(j, row, all, &why, err);
	if (r < 0)
		return rt_within(err, r, "%s:%lld", from->path, (long long)from->line);
	if (why)
		return drop(j, why) < 0 ? rt_fail_nomem(err, "reasons") : 0;
	if (j->cfg->unique && rt_json_set(j->seen, all, rt_json_new_bool(true)) < 0)
		return rt_fail_nomem(err, "rows");
	r = give_id(j, row, all, from, err);
	if (r < 0)
		return r;
	if (j->tools && !rt_json_get(row, "tools") &&
	    rt_json_set(row, "tools", rt_json_ref(j->tools)) < 0)
		return rt_fail_nomem(err, "tools");
	return keep(j, row) < 0 ? rt_fail_nomem(err, "rows") : 0;
}

static int read_file(struct job *j, const char *path, bool joined, struct rt_error *err)
{
	struct source   s = { 0 };
	struct rt_json *row;
	int             r = source_open(&s, path, joined, err);

	while (r == 0 && (r = source_next(&s, &row, err)) == 1) {
		j->read++;
		r = take(j, row, &s, err);
		rt_json_free(row);
		if (r == 0 && rt_cancelled(j->context))
			r = rt_fail(err, RT_E_CANCEL, "cancelled");
		rt_progress(j->context, j->read, -1, "rows");
	}
	source_close(&s);
	return r;
}

static int read_joined(struct job *j, const struct rt_artifact *from, struct rt_error *err)
{
	char *path = rt_path_join(from->path, "rows.jsonl");
	int   r = path ? read_file(j, path, true, err) : rt_fail_nomem(err, "a path");

	rt_free(path);
	return r;
}

/* Rows that are not drawn go. */
static int draw(struct job *j, struct rt_error *err)
{
	const double   part = j->cfg->sample;
	const int64_t  want = (int64_t)(part < 1 ? part * (double)j->n + 0.5 : part);
	int64_t       *order, n = 0;
	unsigned char *drawn;
	int            r = 0;

	if (part <= 0 || want >= j->n)
		return 0;
	order = rt_alloc((size_t)j->n, sizeof *order);
	drawn = rt_alloc((size_t)j->n, sizeof *drawn);
	if (order && drawn) {
		rt_random_permutation(rt_seed(j->context), 1, j->n, order);
		for (int64_t i = 0; i < want; i++)
			drawn[order[i]] = 1;
		for (int64_t i = 0; i < j->n; i++)
			if (drawn[i])
				j->rows[n++] = j->rows[i];
			else
				rt_json_free(j->rows[i]);
		r = rt_json_set(j->dropped, "not drawn", rt_json_new_int(j->n - n));
		j->n = n;
	}
	if (!order || !drawn || r < 0)
		r = rt_fail_nomem(err, "a sample");
	rt_free(order);
	rt_free(drawn);
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

static void tell(const struct job *j)
{
	if (j->n == 0)
		rt_log(j->context, RT_LOG_WARN, "no row is left of %lld", (long long)j->read);
	for (struct rt_json_iter i = rt_json_first(j->dropped); i.key; rt_json_next(&i))
		rt_log(j->context, RT_LOG_INFO, "%lld of %lld rows dropped: %s",
		       (long long)rt_json_int(i.value, 0), (long long)j->read, i.key);
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

static int open_filter(struct job *j, struct rt_error *err)
{
	const struct config *c = j->cfg;
	int                  r = 0;

	j->filter = (struct filter){ .limits = &c->limits, .where = &c->where };
	if (c->model)
		r = rt_model_open(&j->model, c->model->path, RT_MODEL_TEXT, err);
	if (r < 0 || !c->model)
		return r;
	j->filter.tokenizer = rt_model_tokenizer(j->model);
	return j->filter.tokenizer
	               ? 0
	               : rt_fail(err, RT_E_INVAL, "model = \"%s\" has no tokenizer to measure with",
	                         c->model->name);
}

static int prepare(struct job *j, struct rt_error *err)
{
	int r = open_filter(j, err);

	j->seen = rt_json_new_object();
	j->prompts = rt_json_new_object();
	j->ids = rt_json_new_object();
	j->dropped = rt_json_new_object();
	if (r == 0 && (!j->seen || !j->prompts || !j->ids || !j->dropped))
		r = rt_fail_nomem(err, "a job");
	if (r == 0 && j->cfg->near > 0)
		r = seen_open(&j->near, j->cfg->shingle, j->cfg->near, err);
	if (r == 0 && j->cfg->tools)
		r = rt_tools_read(j->cfg->tools, &j->tools, err);
	for (int64_t i = 0; r == 0 && i < j->cfg->exclude.n; i++)
		r = read_excluded(j, j->cfg->exclude.at[i]->path, err);
	return r;
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	struct job j = { .cfg = state, .context = c, .text = RT_TEXT_INIT };
	int        r = prepare(&j, err);

	for (int64_t i = 0; r == 0 && i < j.cfg->paths.n; i++)
		r = read_file(&j, j.cfg->paths.at[i], false, err);
	for (int64_t i = 0; r == 0 && i < j.cfg->data.n; i++)
		r = read_joined(&j, j.cfg->data.at[i], err);
	if (r == 0)
		r = draw(&j, err);
	if (r == 0)
		tell(&j);
	if (r == 0)
		r = write_all(&j, out, err);
	for (int64_t i = 0; i < j.n; i++)
		rt_json_free(j.rows[i]);
	rt_free(j.rows);
	filter_fini(&j.filter);
	seen_close(&j.near);
	rt_text_free(&j.text);
	rt_model_close(j.model);
	rt_json_free(j.tools);
	rt_json_free(j.seen);
	rt_json_free(j.prompts);
	rt_json_free(j.ids);
	rt_json_free(j.dropped);
	return r;
}

static int check(const void *config, struct rt_error *err)
{
	const struct config *c = config;

	if (c->paths.n == 0 && c->data.n == 0)
		return rt_fail(err, RT_E_INVAL, "neither paths nor data: nothing to read");
	if (c->sample > 1 && c->sample != floor(c->sample))
		return rt_fail(err, RT_E_RANGE,
		               "sample = %g is neither a share below 1 nor a whole number of rows",
		               c->sample);
	if (c->near > 0 && c->near < .05)
		return rt_fail(err, RT_E_RANGE, "near = %g: at least 0.05, or 0 for none", c->near);
	if (c->limits.max_prompt > 0 && c->limits.max_prompt < c->limits.min_prompt)
		return rt_fail(err, RT_E_RANGE,
		               "max_prompt is below min_prompt: nothing would stay");
	if (c->limits.max_answer > 0 && c->limits.max_answer < c->limits.min_answer)
		return rt_fail(err, RT_E_RANGE,
		               "max_answer is below min_answer: nothing would stay");
	return filter_check(&c->where, err);
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
	for (int64_t i = 0; rows >= 0 && i < c->data.n; i++)
		rows = c->data.at[i]->rows < 0 ? -1 : rows + c->data.at[i]->rows;
	if (rows >= 0 && c->sample > 0)
		rows = c->sample < 1 ? (int64_t)(c->sample * (double)rows + 0.5)
		                     : (int64_t)fmin(c->sample, (double)rows);
	if (c->limit > 0 && (c->limit < rows || rows < 0))
		rows = c->limit;
	ret->rows[2] = rows < 0 ? -1 : (int64_t)((double)rows * c->rest + 0.5);
	ret->rows[0] = rows < 0 ? -1 : rows - ret->rows[2];
	if (c->data.n > 0)
		return 0; /* how large those are is not known */
	ret->disk = bytes;
	ret->memory = 8 * bytes; /* a JSON tree takes several times its text */
	return 0;
}

static const struct rt_stage_ops ops = {
	.size = sizeof ops, .outputs = outputs, .run = run, .estimate = estimate
};

RT_PLUGIN(stage_dataset, STAGE, .name = "dataset", .version = "1.1", .license = "Apache-2.0",
          .summary = "Read and join rows in common shapes, filter, drop doubles and test rows, "
                     "sample, split.",
          .config_size = sizeof(struct config), .params = params, .check = check,
          .ops.stage = &ops);
