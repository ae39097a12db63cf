/* account.c - see account.h */
#include "cli/account.h"

#include <retort/file.h>
#include <retort/row.h>
#include <retort/rows.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const struct rt_json *o, const char *key)
{
	const char *s = rt_json_string(rt_json_get(o, key));

	return s ? s : "?";
}

static double real_of(const struct rt_json *o, const char *key)
{
	return rt_json_real(rt_json_get(o, key), NAN);
}

/* ---- figures -------------------------------------------------------------------------------- */

static bool take_figure(const struct rt_json *metrics, const char *name, struct figure *ret)
{
	const struct rt_json *f = rt_json_get(metrics, name);

	if (!f)
		return false;
	*ret = (struct figure){ name, real_of(f, "value"), real_of(f, "low"), real_of(f, "high"),
		                rt_json_int(rt_json_get(f, "n"), 0) };
	return true;
}

bool account_figure(const struct account_stage *s, const char *output, const char *name,
                    struct figure *ret)
{
	for (struct rt_json_iter i = rt_json_first(s->metrics); i.key; rt_json_next(&i))
		if ((!output || strcmp(output, i.key) == 0) && take_figure(i.value, name, ret))
			return true;
	return false;
}

static void add_figure(const struct account_stage *s, const char *name, double *sum)
{
	struct figure f;

	if (account_figure(s, NULL, name, &f) && !isnan(f.value))
		*sum += f.value;
}

/* ---- reading -------------------------------------------------------------------------------- */

static bool ends_in(const char *s, const char *end)
{
	const size_t n = strlen(s), k = strlen(end);

	return n >= k && strcmp(s + n - k, end) == 0;
}

/* Bytes of weights in an output. */
static int64_t weights_of(const struct rt_json *output)
{
	const struct rt_json *files = rt_json_get(output, "files");
	int64_t               sum = 0;

	for (size_t i = 0; i < rt_json_length(files); i++) {
		const struct rt_json *f = rt_json_at(files, i);
		const char           *path = text_of(f, "path");

		if (ends_in(path, ".safetensors") || ends_in(path, ".gguf"))
			sum += rt_json_int(rt_json_get(f, "size"), 0);
	}
	return sum;
}

static int read_metrics(struct account *a, struct account_stage *s, const char *output,
                        struct rt_error *err)
{
	char           *rest = rt_path_join(output, "metrics.json");
	char           *path = rest ? store_path(a->store, "objects", s->key, rest) : NULL;
	struct rt_json *m = NULL;
	int             r = path ? rt_json_read(path, 0, &m, err) : rt_fail_nomem(err, "a path");

	if (r == 0 && rt_json_set(s->metrics, output, m) < 0)
		r = rt_fail_nomem(err, "metrics");
	rt_free(rest);
	rt_free(path);
	return r;
}

static int read_stage(struct account *a, struct account_stage *s, const struct rt_json *entry,
                      struct rt_error *err)
{
	int r = 0;

	*s = (struct account_stage){ .name = text_of(entry, "name"),
		                     .key = text_of(entry, "key"),
		                     .plugin = text_of(entry, "plugin"),
		                     .repeat = rt_json_bool(rt_json_get(entry, "repeat"), false),
		                     .metrics = rt_json_new_object(),
		                     .of = -1 };
	if (!s->metrics)
		return rt_fail_nomem(err, "metrics");
	if (!store_has(a->store, s->key))
		return 0;
	r = store_manifest(a->store, s->key, &s->manifest, err);
	if (r < 0)
		return r;
	a->done++;
	s->seconds = rt_json_real(rt_json_get(rt_json_get(s->manifest, "made"), "seconds"), 0);
	s->resumed = rt_json_bool(rt_json_get(rt_json_get(s->manifest, "made"), "resumed"), false);
	for (struct rt_json_iter i = rt_json_first(rt_json_get(s->manifest, "outputs"));
	     r == 0 && i.key; rt_json_next(&i)) {
		if (strcmp(text_of(i.value, "type"), "metrics") == 0)
			r = read_metrics(a, s, i.key, err);
		else if (strcmp(text_of(i.value, "type"), "model") == 0)
			s->bytes += weights_of(i.value);
	}
	a->seconds += s->seconds;
	a->resumed |= s->resumed;
	add_figure(s, "input_tokens", &a->input_tokens);
	add_figure(s, "output_tokens", &a->output_tokens);
	add_figure(s, "cost", &a->cost);
	return r;
}

/* ---- what figures are about -------------------------------------------------------------------
 */

static int64_t find_key(const struct account *a, const char *key)
{
	for (int64_t i = 0; i < a->n; i++)
		if (strcmp(a->stages[i].key, key) == 0)
			return i;
	return -1;
}

/* The nearest model upstream: among the inputs first, then behind each of them. */
static int64_t nearest_model(const struct account *a, const struct account_stage *s, int depth)
{
	const struct rt_json *inputs = rt_json_get(s->manifest, "inputs");
	int64_t               at = -1;

	for (size_t i = 0; i < rt_json_length(inputs) && at < 0; i++) {
		const int64_t k = find_key(a, text_of(rt_json_at(inputs, i), "key"));

		if (k >= 0 && a->stages[k].bytes > 0)
			at = k;
	}
	for (size_t i = 0; i < rt_json_length(inputs) && at < 0 && depth < 4; i++) {
		const int64_t k = find_key(a, text_of(rt_json_at(inputs, i), "key"));

		if (k >= 0)
			at = nearest_model(a, &a->stages[k], depth + 1);
	}
	return at;
}

/* The first figure of an evaluation that comes in shares. */
static void take_quality(const struct account_stage *s, struct account_model *m)
{
	const struct rt_json_iter first = rt_json_first(rt_json_get(s->metrics, "metrics"));

	if (!m->quality.name && strcmp(s->plugin, "evaluate") == 0 && first.key)
		take_figure(rt_json_get(s->metrics, "metrics"), first.key, &m->quality);
}

static void take_speed(const struct account_stage *s, struct account_model *m)
{
	struct figure f;

	if (strcmp(s->plugin, "measure") != 0)
		return;
	if (account_figure(s, "speed", "parameters", &f))
		m->parameters = f.value;
	if (account_figure(s, "speed", "latency_p50", &f))
		m->latency = f.value;
	if (account_figure(s, "speed", "latency_p95", &f))
		m->latency95 = f.value;
}

static void gather_models(struct account *a)
{
	for (int64_t i = 0; i < a->n; i++) {
		struct account_model *m = &a->models[a->n_models];

		if (a->stages[i].bytes == 0)
			continue;
		*m = (struct account_model){ &a->stages[i], { 0 }, NAN, NAN, NAN };
		for (int64_t k = 0; k < a->n; k++)
			if (a->stages[k].of == i) {
				take_quality(&a->stages[k], m);
				take_speed(&a->stages[k], m);
			}
		a->n_models++;
	}
}

int account_read(struct account *a, struct store *store, const char *pipeline, struct rt_error *err)
{
	struct rt_json *stages;
	int             r;

	*a = (struct account){ .store = store, .name = pipeline, .room = RT_ARENA_INIT };
	r = store_run(store, pipeline, &a->run, err);
	if (r < 0)
		return r;
	stages = rt_json_get(a->run, "stages");
	a->seed = rt_json_int(rt_json_get(a->run, "seed"), 0);
	a->stages = rt_arena_alloc(&a->room, rt_json_length(stages) + 1, sizeof *a->stages);
	a->models = rt_arena_alloc(&a->room, rt_json_length(stages) + 1, sizeof *a->models);
	if (!a->stages || !a->models)
		return rt_fail_nomem(err, "a report");
	for (size_t i = 0; r == 0 && i < rt_json_length(stages); i++)
		r = read_stage(a, &a->stages[a->n++], rt_json_at(stages, i), err);
	for (int64_t i = 0; r == 0 && i < a->n; i++)
		if (a->stages[i].bytes == 0)
			a->stages[i].of = nearest_model(a, &a->stages[i], 0);
	if (r == 0)
		gather_models(a);
	return r;
}

void account_free(struct account *a)
{
	for (int64_t i = 0; i < a->n; i++) {
		rt_json_free(a->stages[i].manifest);
		rt_json_free(a->stages[i].metrics);
	}
	rt_json_free(a->run);
	rt_arena_free(&a->room);
	*a = (struct account){ 0 };
}

/* ---- failures ----------------------------------------------------------------------------------
 */

static const char *last_question(const struct rt_json *row)
{
	const struct rt_json *messages = rt_json_get(row, "messages");
	const size_t          n = rt_row_prompt(row);
	const char           *s =
                n ? rt_json_string(rt_json_get(rt_json_at(messages, n - 1), "content")) : NULL;

	return s ? s : "";
}

static int tell_failure(const struct rt_json *row, account_failure_fn *fn, void *arg)
{
	const struct rt_json_iter verdict = rt_json_first(rt_json_get(row, "scores"));
	const struct rt_json     *candidate = rt_json_at(rt_json_get(row, "candidates"), 0);
	const struct rt_json     *reference = rt_row_reference(row, 0);
	struct rt_text            want = RT_TEXT_INIT, have = RT_TEXT_INIT;

	if (!verdict.key || !(rt_json_real(rt_json_get(verdict.value, "score"), 1) < 1))
		return 0;
	if (reference)
		rt_answer_text(reference, &want);
	if (candidate)
		rt_answer_text(candidate, &have);
	fn(arg, last_question(row), want.data ? want.data : "", have.data ? have.data : "",
	   text_of(verdict.value, "reason"));
	rt_text_free(&want);
	rt_text_free(&have);
	return 1;
}

int account_failures(const struct account *a, const struct account_stage *s, int64_t most,
                     account_failure_fn *fn, void *arg, struct rt_error *err)
{
	char           *path = store_path(a->store, "objects", s->key, "rows/rows.jsonl");
	struct rt_rows *rows = NULL;
	struct rt_json *row;
	int             r = path ? 0 : rt_fail_nomem(err, "a path");

	if (r == 0 && !rt_exists(path)) {
		rt_free(path);
		return 0;
	}
	if (r == 0)
		r = rt_rows_open(&rows, path, 0, err);
	while (r >= 0 && most > 0 && (r = rt_rows_next(rows, &row, err)) == 1) {
		most -= tell_failure(row, fn, arg);
		rt_json_free(row);
	}
	rt_rows_close(rows);
	rt_free(path);
	return r < 0 ? r : 0;
}

/* ---- words -------------------------------------------------------------------------------------
 */

const char *account_bytes(double bytes, char out[32])
{
	if (bytes < 1e6)
		snprintf(out, 32, "%.1f kB", bytes / 1e3);
	else if (bytes < 1e9)
		snprintf(out, 32, "%.2f MB", bytes / 1e6);
	else
		snprintf(out, 32, "%.2f GB", bytes / 1e9);
	return out;
}

const char *account_count(double n, char out[32])
{
	if (isnan(n))
		snprintf(out, 32, "-");
	else if (n < 1e4)
		snprintf(out, 32, "%.0f", n);
	else if (n < 1e6)
		snprintf(out, 32, "%.0f k", n / 1e3);
	else
		snprintf(out, 32, "%.2f M", n / 1e6);
	return out;
}

const char *account_seconds(double s, char out[32])
{
	if (isnan(s))
		snprintf(out, 32, "-");
	else if (s < .1)
		snprintf(out, 32, "%.2f ms", s * 1e3);
	else if (s < 100)
		snprintf(out, 32, "%.1f s", s);
	else
		snprintf(out, 32, "%d:%02d min", (int)s / 60, (int)s % 60);
	return out;
}

const char *account_made(double s, bool resumed, char out[32])
{
	char time[32];

	snprintf(out, 32, "%s%.24s", resumed ? "over " : "", account_seconds(s, time));
	return out;
}
