/* pairs.c - see pairs.h */
#include "pairs.h"

#include <retort/file.h>
#include <retort/memory.h>
#include <retort/row.h>
#include <retort/rows.h>

#include <math.h>
#include <string.h>

/* Of a row, and of those that judges see at once; of those rows. */
enum { MOST_CANDIDATES = 1024, MOST_ROWS = 64 };

struct reading {
	struct pairs               *out;
	const struct rt_model      *m;
	const struct pairs_options *o;
	int64_t                     limit;
	struct rt_text              text; /* scratch */
	struct rt_ids               ids, mask;
	double                      scores[MOST_CANDIDATES];
	struct rt_verdict           verdicts[MOST_CANDIDATES];
	const struct rt_json       *at[MOST_CANDIDATES];
	struct rt_json             *rows[MOST_ROWS]; /* that wait for their scores */
	struct rt_group             groups[MOST_ROWS];
	int64_t                     n, used;
};

static const char *id_of(const struct rt_json *row)
{
	const char *id = rt_json_string(rt_json_get(row, "id"));

	return id ? id : "?";
}

/* ---- one answer ---- */

/* A new reference to the message that an answer is, or NULL. */
static struct rt_json *message_of(const struct rt_json *answer)
{
	struct rt_json *o;

	if (rt_json_is(answer, RT_JSON_ARRAY))
		answer = rt_json_at(answer, rt_json_length(answer) - 1);
	if (rt_json_is(answer, RT_JSON_OBJECT))
		return rt_json_ref(answer);
	o = rt_json_string(answer) ? rt_json_new_object() : NULL;
	if (o && (rt_json_set(o, "role", rt_json_new_string("assistant")) < 0 ||
	          rt_json_set(o, "content", rt_json_ref(answer)) < 0)) {
		rt_json_free(o);
		o = NULL;
	}
	return o;
}

/* The row's prompt and the answer. */
static struct rt_json *conversation(const struct rt_json *row, const struct rt_json *answer)
{
	struct rt_json *messages = rt_row_prompt_messages(row);

	if (rt_json_append(messages, message_of(answer)) == 0)
		return messages;
	rt_json_free(messages);
	return NULL;
}

/* The ids in the scratch become a sequence; what counts is the last turn of the assistant. */
static int keep(struct reading *x, struct rt_sequence *ret, float *ret_tokens)
{
	const size_t n = x->ids.len;
	int32_t     *token = rt_arena_alloc(x->out->memory, n, sizeof *token);
	float       *weight = rt_arena_alloc(x->out->memory, n, sizeof *weight);
	size_t       end = n, begin;

	if (!token || !weight)
		return RT_E_NOMEM;
	while (end > 0 && !x->mask.data[end - 1])
		end--;
	begin = end;
	while (begin > 0 && x->mask.data[begin - 1])
		begin--;
	memcpy(token, x->ids.data, n * sizeof *token);
	for (size_t i = begin; i < end; i++)
		weight[i] = 1;
	*ret = (struct rt_sequence){ "", token, weight, (int64_t)n, (int64_t)begin };
	*ret_tokens = (float)(end - begin);
	return 0;
}

static int encode(struct reading *x, const struct rt_json *row, const struct rt_json *answer,
                  struct rt_sequence *ret, float *ret_tokens, struct rt_error *err)
{
	struct rt_json      *messages = conversation(row, answer);
	const struct rt_chat chat = { .messages = messages,
		                      .tools = rt_json_get(row, "tools"),
		                      .kwargs = rt_json_get(row, "template_kwargs") };
	int                  r;

	rt_text_clear(&x->text);
	x->ids.len = x->mask.len = 0;
	r = messages ? rt_model_encode_chat(x->m, &chat, &x->text, &x->ids, &x->mask, err)
	             : rt_fail_nomem(err, "a conversation");
	rt_json_free(messages);
	if (r == 0 && keep(x, ret, ret_tokens) < 0)
		r = rt_fail_nomem(err, "pairs");
	return r;
}

/* ---- one row ---- */

static int grow(struct pairs *p)
{
	const int64_t cap = p->cap ? 2 * p->cap : 256;
	struct pair  *more;

	if (p->n < p->cap)
		return 0;
	more = rt_realloc(p->at, (size_t)cap, sizeof *more);
	if (!more)
		return RT_E_NOMEM;
	p->at = more;
	p->cap = cap;
	return 0;
}

static bool same(const struct rt_sequence *a, const struct rt_sequence *b)
{
	return a->n == b->n && memcmp(a->token, b->token, (size_t)a->n * sizeof *a->token) == 0;
}

static int add(struct reading *x, const struct rt_json *row, const struct rt_json *chosen,
               const struct rt_json *rejected, struct rt_error *err)
{
	struct pair p = { .tokens = { 0, 0 } };
	int         r = encode(x, row, chosen, &p.s[PAIRS_CHOSEN], &p.tokens[PAIRS_CHOSEN], err);

	if (r == 0)
		r = encode(x, row, rejected, &p.s[PAIRS_REJECTED], &p.tokens[PAIRS_REJECTED], err);
	if (r < 0)
		return r;
	if (p.s[0].n > x->limit || p.s[1].n > x->limit) {
		x->out->too_long++;
	} else if (same(&p.s[0], &p.s[1]) || p.tokens[0] <= 0 || p.tokens[1] <= 0) {
		x->out->equal++;
	} else {
		if (grow(x->out) < 0)
			return rt_fail_nomem(err, "pairs");
		x->out->at[x->out->n++] = p;
	}
	return 0;
}

/* As they stand in the row. */
static int read_scores(const struct rt_group *g, double *ret, struct rt_error *err)
{
	const struct rt_json *scores = rt_json_get(g->row, "scores");

	if ((int64_t)rt_json_length(scores) != g->n || !rt_json_is(scores, RT_JSON_ARRAY))
		return rt_fail(err, RT_E_FORMAT,
		               "row '%s' has %lld candidates and %zu scores; name judges to score "
		               "them",
		               id_of(g->row), (long long)g->n, rt_json_length(scores));
	for (int64_t i = 0; i < g->n; i++) {
		ret[i] = rt_json_real(rt_json_at(scores, (size_t)i), NAN);
		if (!isfinite(ret[i]))
			return rt_fail(err, RT_E_NUMERIC, "row '%s': score %lld is no number",
			               id_of(g->row), (long long)i + 1);
	}
	return 0;
}

static int pair_up(struct reading *x, const struct rt_group *g, const double *scores,
                   struct rt_error *err)
{
	int64_t best = 0, worst = 0, paired = 0;
	int     r = 0;

	for (int64_t i = 0; i < g->n; i++) {
		best = scores[i] > scores[best] ? i : best;
		worst = scores[i] < scores[worst] ? i : worst;
	}
	for (int64_t i = 0; r == 0 && i < g->n; i++) {
		const double gap = scores[best] - scores[i];

		if (!(gap > 0 && gap >= x->o->margin) ||
		    (x->o->against == PAIRS_WORST && i != worst))
			continue;
		r = add(x, g->row, g->candidates[best], g->candidates[i], err);
		paired++;
	}
	x->out->level += r == 0 && paired == 0;
	return r;
}

static void forget(struct reading *x)
{
	for (int64_t i = 0; i < x->n; i++)
		rt_json_free(x->rows[i]);
	x->n = x->used = 0;
}

/* Score the rows that wait, and make pairs of them. */
static int flush(struct reading *x, struct rt_error *err)
{
	int64_t at = 0;
	int     r = 0;

	if (x->o->rule.judges.n > 0 && x->n > 0)
		r = scores_give(&x->o->rule, x->groups, x->n, x->verdicts, x->scores, NULL, NULL,
		                err);
	for (int64_t i = 0; r == 0 && i < x->n; at += x->groups[i++].n) {
		if (x->o->rule.judges.n == 0)
			r = read_scores(&x->groups[i], x->scores + at, err);
		if (r == 0)
			r = pair_up(x, &x->groups[i], x->scores + at, err);
	}
	forget(x);
	return r;
}

static int take_candidates(struct reading *x, const struct rt_json *row, struct rt_error *err)
{
	const struct rt_json *list = rt_json_get(row, "candidates");
	const int64_t         n = (int64_t)rt_json_length(list);
	int                   r = 0;

	if (n > MOST_CANDIDATES)
		return rt_fail(err, RT_E_RANGE,
		               "row '%s' has %lld candidates, at most %d are allowed", id_of(row),
		               (long long)n, MOST_CANDIDATES);
	if (n < 2) {
		x->out->few++;
		return 0;
	}
	if (x->n == MOST_ROWS || x->used + n > MOST_CANDIDATES)
		r = flush(x, err);
	if (r < 0)
		return r;
	for (int64_t i = 0; i < n; i++)
		x->at[x->used + i] = rt_json_at(list, (size_t)i);
	x->rows[x->n] = rt_json_ref(row);
	x->groups[x->n++] = (struct rt_group){ row, x->at + x->used, n };
	x->used += n;
	return 0;
}

static int take(struct reading *x, const struct rt_json *row, struct rt_error *err)
{
	const struct rt_json *chosen = rt_json_get(row, "chosen"),
			     *rejected = rt_json_get(row, "rejected");
	struct rt_json *a, *b;
	bool            good;

	x->out->rows++;
	if (!chosen || !rejected)
		return take_candidates(x, row, err);
	a = message_of(chosen);
	b = message_of(rejected);
	good = a && b;
	rt_json_free(a);
	rt_json_free(b);
	if (!good)
		return rt_fail(err, RT_E_FORMAT,
		               "row '%s': chosen and rejected must be messages, lists of messages, "
		               "or text",
		               id_of(row));
	return add(x, row, chosen, rejected, err);
}

/* ---- all rows ---- */

static int read_all(struct reading *x, const char *path, struct rt_context *c, struct rt_error *err)
{
	struct rt_rows *rows;
	struct rt_json *row;
	int             r = rt_rows_open(&rows, path, 0, err);

	if (r < 0)
		return r;
	while ((r = rt_rows_next(rows, &row, err)) == 1) {
		r = rt_cancelled(c) ? rt_fail(err, RT_E_CANCEL, "cancelled") : take(x, row, err);
		rt_json_free(row);
		if (r < 0)
			break;
		rt_progress(c, x->out->rows, -1, "rows");
	}
	rt_rows_close(rows);
	if (r == 0)
		r = flush(x, err);
	forget(x);
	return r < 0 && r != RT_E_CANCEL ? rt_within(err, r, "%s", path) : r;
}

int pairs_read(struct pairs *ret, const struct rt_model *m, const char *folder,
               const struct pairs_options *o, struct rt_context *c, struct rt_error *err)
{
	const int64_t   context = rt_model_shape(m)->context;
	struct reading *x = rt_alloc(1, sizeof *x);
	char           *path = rt_path_join(folder, "rows.jsonl");
	int             r = 0;

	*ret = (struct pairs){ .memory = rt_alloc(1, sizeof *ret->memory) };
	if (!x || !path || !ret->memory)
		r = rt_fail_nomem(err, "pairs");
	if (r == 0) {
		x->out = ret;
		x->m = m;
		x->o = o;
		x->limit = o->max_length > 0 && o->max_length < context ? o->max_length : context;
		x->text = (struct rt_text)RT_TEXT_INIT;
		r = read_all(x, path, c, err);
		rt_text_free(&x->text);
		rt_ids_free(&x->ids);
		rt_ids_free(&x->mask);
	}
	if (r == 0 && ret->n == 0)
		r = rt_fail(
			err, RT_E_FORMAT,
			"%s: no pair in %lld rows: %lld have fewer than two candidates, %lld "
			"no two whose scores differ enough; %lld pairs are equal, %lld too long",
			path, (long long)ret->rows, (long long)ret->few, (long long)ret->level,
			(long long)ret->equal, (long long)ret->too_long);
	rt_free(x);
	rt_free(path);
	return r;
}

void pairs_free(struct pairs *p)
{
	if (p->memory)
		rt_arena_free(p->memory);
	rt_free(p->memory);
	rt_free(p->at);
	*p = (struct pairs){ 0 };
}
