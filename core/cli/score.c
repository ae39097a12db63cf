/* score.c - retort score: the log-probability of every token, given those before it. */
#include "cli/lines.h"

#include "cli/command.h"
#include "cli/progress.h"

#include <retort/memory.h>
#include <retort/parallel.h>

#include <math.h>
#include <string.h>

enum { LOGIT_BYTES = 64 << 20, MAX_TOP = 1000 };

struct job {
	const struct rt_model *m;
	int64_t                top, done;
	bool                   special;
};

/* One row on its way. */
struct scored {
	struct rt_ids ids, mask; /* mask empty: no conversation */
	float        *logp;      /* [n - 1] of token 1 and on */
	int32_t      *top_id;    /* [n - 1][top] */
	float        *top_logp;
};

static void scored_free(struct scored *s)
{
	rt_ids_free(&s->ids);
	rt_ids_free(&s->mask);
	rt_free(s->logp);
	rt_free(s->top_id);
	rt_free(s->top_logp);
}

/* ---- what is scored ------------------------------------------------------------------------- */

static int take(const struct job *job, const struct rt_json *row, struct scored *s,
                struct rt_error *err)
{
	const struct rt_model_shape *shape = rt_model_shape(job->m);
	const struct rt_json *ids = rt_json_get(row, "ids"), *text = rt_json_get(row, "text");
	struct rt_text        rendered = RT_TEXT_INIT;
	struct rt_chat        chat;
	int                   r = lines_check_row(row, err);

	if (r < 0)
		return r;
	if (ids)
		r = lines_take_ids(ids, shape->vocabulary, &s->ids, err);
	else if (text && !rt_json_string(text))
		r = rt_fail(err, RT_E_FORMAT, "text is %s, not a string", rt_json_type_name(text));
	else if (text && !rt_model_tokenizer(job->m))
		r = rt_fail(err, RT_E_INVAL, "the model comes without a tokenizer; give ids");
	else if (text)
		r = rt_tokenizer_encode(
			rt_model_tokenizer(job->m), rt_json_string(text), rt_json_length(text),
			RT_ENCODE_TEMPLATE | (job->special ? RT_ENCODE_SPECIAL : 0), &s->ids, err);
	else if (rt_json_get(row, "messages")) {
		r = lines_chat(row, &chat, err);
		if (r == 0)
			r = rt_model_encode_chat(job->m, &chat, &rendered, &s->ids, &s->mask, err);
		rt_text_free(&rendered);
	} else
		r = rt_fail(err, RT_E_FORMAT, "a row needs ids, text or messages");
	if (r == 0 && s->ids.len == 0)
		r = rt_fail(err, RT_E_RANGE, "there are no tokens to score");
	if (r == 0 && (int64_t)s->ids.len > shape->context)
		r = rt_fail(err, RT_E_RANGE, "%zu tokens, and the model was made for at most %lld",
		            s->ids.len, (long long)shape->context);
	return r;
}

/* ---- computing ------------------------------------------------------------------------------ */

/* The best of each row of logits, in order; of equals the smaller id. */
struct chunk {
	const struct job *job;
	const float      *logits, *logp;
	const int32_t    *label;
	int32_t          *top_id;
	float            *top_logp;
};

static void best_of(const float *x, int64_t n, int64_t k, int32_t *id, float *value)
{
	int64_t have = 0;

	for (int64_t i = 0; i < n; i++) {
		int64_t at = have < k ? have++ : k;

		if (at == k && !(x[i] > value[k - 1]))
			continue;
		for (at = at == k ? k - 1 : at; at > 0 && x[i] > value[at - 1]; at--) {
			value[at] = value[at - 1];
			id[at] = id[at - 1];
		}
		value[at] = x[i];
		id[at] = (int32_t)i;
	}
}

/* The sum below the softmax is known from the label's log-probability. */
static void best_piece(void *arg, int64_t first, int64_t last)
{
	const struct chunk *c = arg;
	const int64_t       V = rt_model_shape(c->job->m)->vocabulary, k = c->job->top;

	for (int64_t i = first; i < last; i++) {
		const float *x = c->logits + i * V;
		const double sum = (double)x[c->label[i]] - c->logp[i];

		best_of(x, V, k, c->top_id + i * k, c->top_logp + i * k);
		for (int64_t j = 0; j < k; j++)
			c->top_logp[i * k + j] = (float)(c->top_logp[i * k + j] - sum);
	}
}

static int best(const struct job *job, const float *hidden, struct scored *s, struct rt_error *err)
{
	const struct rt_model_shape *shape = rt_model_shape(job->m);
	const int64_t                rows = (int64_t)s->ids.len - 1, V = shape->vocabulary;
	const int64_t                fit = LOGIT_BYTES / (4 * V) > 0 ? LOGIT_BYTES / (4 * V) : 1;
	const int64_t                step = rows < fit ? rows : fit;
	float *logits = rt_alloc_aligned((size_t)step, (size_t)V * sizeof *logits);
	int    r = 0;

	s->top_id = rt_alloc((size_t)rows, (size_t)job->top * sizeof *s->top_id);
	s->top_logp = rt_alloc((size_t)rows, (size_t)job->top * sizeof *s->top_logp);
	if (!logits || !s->top_id || !s->top_logp)
		r = rt_fail_nomem(err, "the best tokens");
	for (int64_t i = 0; r == 0 && i < rows; i += step) {
		const int64_t n = rows - i < step ? rows - i : step;
		struct chunk  c = { job,
			            logits,
			            s->logp + i,
			            s->ids.data + 1 + i,
			            s->top_id + i * job->top,
			            s->top_logp + i * job->top };

		r = rt_model_logits(job->m, hidden + i * shape->hidden, n, logits, err);
		if (r == 0)
			rt_parallel(n, 1, best_piece, &c);
	}
	rt_free(logits);
	return r;
}

static int compute(const struct job *job, struct scored *s, struct rt_error *err)
{
	const int64_t   n = (int64_t)s->ids.len;
	struct rt_span  span = { 0, n, 0, n, 0 };
	int32_t        *position = rt_alloc((size_t)n, sizeof *position);
	float          *hidden = rt_alloc_aligned((size_t)n,
	                                          (size_t)rt_model_shape(job->m)->hidden * sizeof *hidden);
	struct rt_batch b = { s->ids.data, position, n, &span, 1 };
	int             r = 0;

	s->logp = rt_alloc((size_t)n, sizeof *s->logp);
	if (!position || !hidden || !s->logp)
		r = rt_fail_nomem(err, "a score");
	for (int64_t i = 0; r == 0 && i < n; i++)
		position[i] = (int32_t)i;
	if (r == 0)
		r = rt_model_forward(job->m, &b, NULL, hidden, err);
	if (r == 0)
		r = rt_model_logps(job->m, hidden, n - 1, s->ids.data + 1, NULL, s->logp, NULL,
		                   NULL, NULL, err);
	if (r == 0 && job->top > 0 && n > 1)
		r = best(job, hidden, s, err);
	rt_free(position);
	rt_free(hidden);
	return r;
}

/* ---- answers -------------------------------------------------------------------------------- */

static struct rt_json *logps_json(const struct scored *s)
{
	struct rt_json *a = rt_json_new_array();
	int             r = a ? rt_json_append(a, rt_json_new_null()) : RT_E_NOMEM;

	for (size_t i = 0; r == 0 && i + 1 < s->ids.len; i++)
		r = rt_json_append(a, rt_json_new_real(s->logp[i]));
	if (r == 0)
		return a;
	rt_json_free(a);
	return NULL;
}

static int add_best(struct rt_json *list, const int32_t *id, const float *logp, int64_t k)
{
	struct rt_json *pairs = rt_json_new_array();
	int             r = pairs ? 0 : RT_E_NOMEM;

	for (int64_t i = 0; r == 0 && i < k; i++) {
		struct rt_json *pair = rt_json_new_array();

		r = pair ? rt_json_append(pair, rt_json_new_int(id[i])) : RT_E_NOMEM;
		r |= pair ? rt_json_append(pair, rt_json_new_real(logp[i])) : 0;
		r |= rt_json_append(pairs, pair);
	}
	r |= rt_json_append(list, pairs);
	return r;
}

static struct rt_json *top_json(const struct scored *s, int64_t k)
{
	struct rt_json *a = rt_json_new_array();
	int             r = a ? rt_json_append(a, rt_json_new_null()) : RT_E_NOMEM;

	for (size_t i = 0; r == 0 && i + 1 < s->ids.len; i++)
		r = add_best(a, s->top_id + (int64_t)i * k, s->top_logp + (int64_t)i * k, k);
	if (r == 0)
		return a;
	rt_json_free(a);
	return NULL;
}

/* Over the tokens that the mask has, or all. */
static int add_sum(struct rt_json *o, const struct scored *s, const struct rt_ids *mask)
{
	double  sum = 0;
	int64_t n = 0;
	int     r;

	for (size_t i = 1; i < s->ids.len; i++)
		if (!mask || mask->data[i]) {
			sum += s->logp[i - 1];
			n++;
		}
	r = rt_json_set(o, "n", rt_json_new_int(n));
	r |= rt_json_set(o, "sum", rt_json_new_real(sum));
	if (n > 0)
		r |= rt_json_set(o, "perplexity", rt_json_new_real(exp(-sum / (double)n)));
	return r;
}

static struct rt_json *answer(const struct job *job, const struct rt_json *row,
                              const struct scored *s)
{
	struct rt_json *o = rt_json_new_object(), *assistant = rt_json_new_object();
	int             r = o && assistant ? lines_keep_id(row, o) : RT_E_NOMEM;

	if (r == 0)
		r = rt_json_set(o, "ids", lines_ids(s->ids.data, s->ids.len));
	if (r == 0)
		r = rt_json_set(o, "logp", logps_json(s));
	if (r == 0)
		r = add_sum(o, s, NULL);
	if (r == 0 && s->mask.len) {
		r = rt_json_set(o, "mask", lines_ids(s->mask.data, s->mask.len));
		r |= add_sum(assistant, s, &s->mask);
		r |= rt_json_set(o, "assistant", rt_json_ref(assistant));
	}
	if (r == 0 && job->top > 0)
		r = rt_json_set(o, "top", top_json(s, job->top));
	rt_json_free(assistant);
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

static int score(void *arg, const struct rt_json *row, struct rt_error *err)
{
	struct job   *job = arg;
	struct scored s = { .ids = RT_IDS_INIT, .mask = RT_IDS_INIT };
	int           r = take(job, row, &s, err);

	if (r == 0)
		r = compute(job, &s, err);
	if (r == 0)
		r = lines_put(answer(job, row, &s), err);
	progress_rows("score", ++job->done);
	scored_free(&s);
	return r;
}

static int run(const struct command *self, int argc, char **argv, struct rt_error *err)
{
	struct job          job = { 0 };
	struct rt_model    *m;
	const struct option options[] = {
		{ "top", 'k', "K", "the K most probable tokens of each place, too", OPT_INT,
		  &job.top, 0, MAX_TOP },
		{ "special", 's', NULL, "text that spells a special token is that token", OPT_FLAG,
		  &job.special, 0, 0 },
		OPTION_END
	};
	int r = options_read(self, options, &argc, argv, 1, 1, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = lines_model(&m, argv[0], 0, err);
	if (r < 0)
		return r;
	if (job.top > rt_model_shape(m)->vocabulary)
		r = rt_fail(err, RT_E_USAGE, "score: --top %lld: the model has %lld tokens",
		            (long long)job.top, (long long)rt_model_shape(m)->vocabulary);
	job.m = m;
	if (r == 0)
		r = lines_rows(score, &job, err);
	rt_model_close(m);
	return r;
}

const struct command command_score = {
	.name = "score",
	.arguments = "MODEL",
	.summary = "Log-probabilities of given tokens, under a model.",
	.help = "Reads rows from standard input as JSON Lines, with one of ids, text and\n"
		"messages.  Prints for each its ids, logp (natural logarithms; null for the "
		"first,\n"
		"which follows nothing), n, sum and perplexity; for messages also mask, and the\n"
		"same figures over what the assistant wrote; with --top K a list of [id, logp] "
		"for\n"
		"each place, best first.\n\n"
		"    echo '{\"text\":\"play some jazz\"}' | retort score MODEL --top 3\n",
	.run = run,
};
