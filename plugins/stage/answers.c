/* answers.c - see answers.h */
#include "answers.h"

#include <retort/file.h>
#include <retort/generate.h>
#include <retort/memory.h>
#include <retort/row.h>
#include <retort/rows.h>

#include <string.h>

/* ---- prompts --------------------------------------------------------------------------------- */

/* Both models' ids of one prompt must be the same. */
static int same_ids(const struct rt_ids *before, const struct rt_ids *after, struct rt_error *err)
{
	size_t i = 0;

	while (i < before->len && i < after->len && before->data[i] == after->data[i])
		i++;
	if (i == before->len && i == after->len)
		return 0;
	return rt_fail(err, RT_E_FORMAT,
	               "its prompt is %zu tokens now and was %zu; token %zu is %d and was %d: "
	               "tokenizer or template did not come through",
	               after->len, before->len, i, i < after->len ? after->data[i] : -1,
	               i < before->len ? before->data[i] : -1);
}

static int grow(struct answers *a)
{
	const int64_t    cap = a->cap ? 2 * a->cap : 64;
	struct question *at;

	if (a->n < a->cap)
		return 0;
	at = rt_realloc(a->at, (size_t)cap, sizeof *at);
	if (!at)
		return RT_E_NOMEM;
	a->at = at;
	a->cap = cap;
	return 0;
}

static int add(struct answers *a, const char *id, struct rt_ids *prompt)
{
	char *own = rt_strdup(id);

	if (!own || grow(a) < 0) {
		rt_free(own);
		return RT_E_NOMEM;
	}
	a->at[a->n++] = (struct question){ own, *prompt, RT_IDS_INIT, RT_IDS_INIT };
	*prompt = (struct rt_ids)RT_IDS_INIT;
	return 0;
}

static int take_row(struct answers *a, const struct rt_json *row, struct rt_error *err)
{
	const char   *id = rt_json_string(rt_json_get(row, "id"));
	struct rt_ids before = RT_IDS_INIT, after = RT_IDS_INIT;
	int           r = rt_model_encode_prompt(a->before, row, &before, err);

	if (r == 0)
		r = rt_model_encode_prompt(a->after, row, &after, err);
	if (r == 0)
		r = same_ids(&before, &after, err);
	if (r == 0 && (int64_t)before.len >= rt_model_shape(a->before)->context)
		a->too_long++;
	else if (r == 0 && add(a, id ? id : "", &before) < 0)
		r = rt_fail_nomem(err, "prompts");
	rt_ids_free(&before);
	rt_ids_free(&after);
	return r < 0 ? rt_within(err, r, "row %s", id ? id : "without id") : 0;
}

int answers_read(struct answers *a, const char *folder, int64_t samples, struct rt_context *c,
                 struct rt_error *err)
{
	char           *path = rt_path_join(folder, "rows.jsonl");
	struct rt_rows *rows = NULL;
	struct rt_json *row;
	int             r = path ? rt_rows_open(&rows, path, 0, err) : rt_fail_nomem(err, "a path");

	while (r >= 0 && a->n < samples && (r = rt_rows_next(rows, &row, err)) == 1) {
		r = take_row(a, row, err);
		rt_json_free(row);
		if (r == 0 && rt_cancelled(c))
			r = rt_fail(err, RT_E_CANCEL, "cancelled");
	}
	if (r >= 0 && a->n == 0)
		r = rt_fail(err, RT_E_FORMAT,
		            "%s has no row whose prompt fits the model's %lld tokens", path,
		            (long long)rt_model_shape(a->before)->context);
	if (r >= 0 && a->too_long)
		rt_log(c, RT_LOG_WARN, "%lld prompts are longer than the model's %lld tokens",
		       (long long)a->too_long, (long long)rt_model_shape(a->before)->context);
	rt_rows_close(rows);
	rt_free(path);
	return r < 0 ? r : 0;
}

void answers_free(struct answers *a)
{
	for (int64_t i = 0; i < a->n; i++) {
		rt_free(a->at[i].id);
		rt_ids_free(&a->at[i].prompt);
		rt_ids_free(&a->at[i].before);
		rt_ids_free(&a->at[i].after);
	}
	rt_free(a->at);
	*a = (struct answers){ 0 };
}

/* ---- answers --------------------------------------------------------------------------------- */

struct giving {
	struct answers    *a;
	struct rt_context *c;
	bool               after;
	int64_t            done;
};

static int answered(void *arg, int64_t i, const struct rt_answer *answer, struct rt_error *err)
{
	struct giving   *g = arg;
	struct question *q = &g->a->at[i];
	struct rt_ids   *to = g->after ? &q->after : &q->before;

	for (int64_t k = 0; k < answer->n; k++)
		rt_ids_add(to, answer->id[k]);
	if (answer->stop >= 0)
		rt_ids_add(to, answer->stop);
	rt_progress(g->c, ++g->done, 2 * g->a->n, "answers");
	if (rt_cancelled(g->c))
		return rt_fail(err, RT_E_CANCEL, "cancelled");
	return to->failed ? rt_fail_nomem(err, "answers") : 0;
}

/* Activations stay f32: what differs is the weights' doing. */
static int ask(struct giving *g, const struct rt_model *m, const struct rt_request *requests,
               struct rt_error *err)
{
	const struct rt_engine_options o = { .exact = true };
	struct rt_engine              *e = NULL;
	int                            r = rt_engine_open(&e, m, &o, err);

	if (r == 0)
		r = rt_generate(e, requests, g->a->n, answered, NULL, g, err);
	rt_engine_close(e);
	return r;
}

int answers_give(struct answers *a, int64_t tokens, struct rt_context *c, struct rt_error *err)
{
	struct rt_request *requests = rt_alloc((size_t)a->n, sizeof *requests);
	struct giving      g = { .a = a, .c = c };
	int                r = requests ? 0 : rt_fail_nomem(err, "requests");

	for (int64_t i = 0; r == 0 && i < a->n; i++)
		requests[i] = (struct rt_request){ .prompt = a->at[i].prompt.data,
			                           .n = (int64_t)a->at[i].prompt.len,
			                           .max_tokens = tokens };
	if (r == 0)
		r = ask(&g, a->before, requests, err);
	g.after = true;
	if (r == 0)
		r = ask(&g, a->after, requests, err);
	for (int64_t i = 0; r == 0 && i < a->n; i++) {
		const struct rt_ids *x = &a->at[i].before, *y = &a->at[i].after;

		a->agree +=
			x->len == y->len &&
			(x->len == 0 || memcmp(x->data, y->data, x->len * sizeof *x->data) == 0);
	}
	rt_free(requests);
	return r;
}

static int add_sequence(const struct question *q, struct rt_sequences *ret)
{
	const int64_t prompt = (int64_t)q->prompt.len, n = prompt + (int64_t)q->before.len;
	int32_t      *token = rt_arena_alloc(ret->memory, (size_t)n, sizeof *token);
	float        *weight = rt_arena_alloc(ret->memory, (size_t)n, sizeof *weight);

	if (!token || !weight)
		return RT_E_NOMEM;
	for (int64_t i = 0; i < n; i++) {
		token[i] = i < prompt ? q->prompt.data[i] : q->before.data[i - prompt];
		weight[i] = i < prompt ? 0 : 1;
	}
	ret->at[ret->n++] = (struct rt_sequence){ q->id, token, weight, n, prompt };
	return 0;
}

int answers_sequences(const struct answers *a, struct rt_sequences *ret, struct rt_error *err)
{
	int r = 0;

	*ret = (struct rt_sequences){ .at = rt_alloc((size_t)a->n, sizeof *ret->at),
		                      .memory = rt_alloc(1, sizeof *ret->memory) };
	if (!ret->at || !ret->memory)
		r = RT_E_NOMEM;
	for (int64_t i = 0; r == 0 && i < a->n; i++)
		r = add_sequence(&a->at[i], ret);
	if (r == 0)
		return 0;
	rt_sequences_free(ret);
	return rt_fail_nomem(err, "answers");
}
