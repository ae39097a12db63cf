/* nearest.c - teacher-nearest: answers with what was answered to the most similar known prompt.
 *
 * A baseline without any model: nearest neighbours by the cosine of tf-idf weighted
 * character trigrams (Salton and Buckley 1988).  Whatever is trained on the same rows must
 * beat it; it also makes a teacher that needs no server.  Candidate k of a request is the k-th
 * nearest row's answer.  Log-probabilities: none. */
#include <retort/memory.h>
#include <retort/parallel.h>
#include <retort/row.h>
#include <retort/rows.h>
#include <retort/teacher.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BITS = 18, BUCKETS = 1 << BITS, MAX_N = 64 };

struct config {
	const char *known;
};

/* A prompt as a sparse vector of unit length, buckets ascending. */
struct vector {
	uint32_t *bucket;
	float    *weight;
	int64_t   n;
};

struct known {
	struct vector   v;
	struct rt_json *answer;
};

struct state {
	struct rt_context *context;
	struct known      *known;
	int64_t            n, cap;
	float             *idf; /* (BUCKETS) */
};

static const struct rt_param params[] = { RT_PARAM_PATH(struct config, known, NULL,
	                                                "JSON Lines of rows with answers.",
	                                                .flags = RT_P_REQUIRED),
	                                  RT_PARAM_END };

/* The text of the last message of the user. */
static const char *question(const struct rt_json *messages)
{
	for (size_t i = rt_json_length(messages); i-- > 0;) {
		const char *role = rt_json_string(rt_json_get(rt_json_at(messages, i), "role"));

		if (role && strcmp(role, "user") == 0)
			return rt_json_string(rt_json_get(rt_json_at(messages, i), "content"));
	}
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* FNV-1a (Fowler, Noll, Vo) of three bytes, folded. */
static uint32_t hash3(const unsigned char *p)
{
	uint32_t h = 2166136261u;

	for (int i = 0; i < 3; i++)
		h = (h ^ p[i]) * 16777619u;
	return ((h >> BITS) ^ h) & (BUCKETS - 1);
}

/* Counts of trigrams, with a space at both ends; weights are the counts. */
static int count_trigrams(const char *text, struct vector *v)
{
	const size_t n = strlen(text);
	char        *padded = rt_asprintf(" %s ", text);
	int64_t      k = 0;

	v->bucket = rt_alloc(n + 2, sizeof *v->bucket);
	v->weight = rt_alloc(n + 2, sizeof *v->weight);
	if (!padded || !v->bucket || !v->weight) {
		rt_free(padded);
		return RT_E_NOMEM;
	}
	for (size_t i = 0; i < n; i++)
		v->bucket[i] = hash3((const unsigned char *)padded + i);
	rt_free(padded);
	if (n > 0)
		qsort(v->bucket, n, sizeof *v->bucket, by_value);
	for (size_t i = 0; i < n; i++) {
		if (k == 0 || v->bucket[k - 1] != v->bucket[i])
			v->bucket[k++] = v->bucket[i];
		v->weight[k - 1] += 1;
	}
	v->n = k;
	return 0;
}

/* (1 + log tf) idf, scaled to unit length. */
static void weigh(const struct state *st, struct vector *v)
{
	double sum = 0;

	for (int64_t i = 0; i < v->n; i++) {
		v->weight[i] = (1 + logf(v->weight[i])) * st->idf[v->bucket[i]];
		sum += (double)v->weight[i] * v->weight[i];
	}
	for (int64_t i = 0; sum > 0 && i < v->n; i++)
		v->weight[i] = (float)(v->weight[i] / sqrt(sum));
}

static double dot(const struct vector *a, const struct vector *b)
{
	double sum = 0;

	for (int64_t i = 0, k = 0; i < a->n && k < b->n;) {
		if (a->bucket[i] == b->bucket[k])
			sum += (double)a->weight[i++] * b->weight[k++];
		else if (a->bucket[i] < b->bucket[k])
			i++;
		else
			k++;
	}
	return sum;
}

static int add_known(struct state *st, struct rt_json *row, struct rt_error *err)
{
	const struct rt_json *answer = rt_row_reference(row, 0);
	const char           *text = question(rt_json_get(row, "messages"));
	struct known         *k;

	if (!answer || !text)
		return 0;
	if (st->n == st->cap) {
		const int64_t cap = st->cap ? 2 * st->cap : 1024;
		struct known *more = rt_realloc(st->known, (size_t)cap, sizeof *more);

		if (!more)
			return rt_fail_nomem(err, "known rows");
		st->known = more;
		st->cap = cap;
	}
	k = &st->known[st->n++];
	*k = (struct known){ .answer = rt_json_ref(answer) };
	return count_trigrams(text, &k->v) < 0 ? rt_fail_nomem(err, "known rows") : 0;
}

static int read_known(struct state *st, const char *path, struct rt_error *err)
{
	struct rt_rows *rows;
	struct rt_json *row;
	int             r = rt_rows_open(&rows, path, 0, err);

	if (r < 0)
		return r;
	while ((r = rt_rows_next(rows, &row, err)) == 1) {
		r = rt_row_normalize(row) < 0 ? rt_fail_nomem(err, "known rows")
		                              : add_known(st, row, err);
		rt_json_free(row);
		if (r < 0)
			break;
	}
	rt_rows_close(rows);
	if (r == 0 && st->n == 0)
		r = rt_fail(err, RT_E_FORMAT, "%s has no row with a user message and an answer",
		            path);
	return r;
}

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	struct state *st = state;
	int           r;

	st->context = c;
	st->idf = rt_alloc_aligned(BUCKETS, sizeof *st->idf);
	r = st->idf ? read_known(st, ((const struct config *)config)->known, err)
	            : rt_fail_nomem(err, "weights");
	if (r < 0)
		return r;
	for (int64_t i = 0; i < st->n; i++)
		for (int64_t k = 0; k < st->known[i].v.n; k++)
			st->idf[st->known[i].v.bucket[k]] += 1;
	for (int i = 0; i < BUCKETS; i++)
		st->idf[i] = logf((1 + (float)st->n) / (1 + st->idf[i])) + 1;
	for (int64_t i = 0; i < st->n; i++)
		weigh(st, &st->known[i].v);
	return 0;
}

static void close_(void *state)
{
	struct state *st = state;

	for (int64_t i = 0; i < st->n; i++) {
		rt_free(st->known[i].v.bucket);
		rt_free(st->known[i].v.weight);
		rt_json_free(st->known[i].answer);
	}
	rt_free(st->known);
	rt_free(st->idf);
}

/* The nearest n known rows, nearest first, the earlier of equals first. */
static int64_t nearest(const struct state *st, const struct vector *v, int64_t n, int64_t *best)
{
	double  score[MAX_N];
	int64_t found = 0;

	for (int64_t i = 0; i < st->n; i++) {
		const double s = dot(v, &st->known[i].v);
		int64_t      at = found;

		while (at > 0 && s > score[at - 1])
			at--;
		if (at == n)
			continue;
		if (found < n)
			found++;
		memmove(score + at + 1, score + at, (size_t)(found - at - 1) * sizeof *score);
		memmove(best + at + 1, best + at, (size_t)(found - at - 1) * sizeof *best);
		score[at] = s;
		best[at] = i;
	}
	return found;
}

static struct rt_json *choice(const struct rt_json *answer, int64_t index)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_json_set(o, "index", rt_json_new_int(index));
		r |= rt_json_set(o, "finish_reason",
		                 rt_json_new_string(rt_call_count(answer) ? "tool_calls" : "stop"));
		r |= rt_json_set(o, "message", rt_json_ref(answer));
	}
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

static struct rt_json *make_reply(const struct state *st, const int64_t *best, int64_t n)
{
	struct rt_json *o = rt_json_new_object(), *choices = rt_json_new_array();
	int             r = o && choices ? 0 : RT_E_NOMEM;

	for (int64_t i = 0; r == 0 && i < n; i++)
		r |= rt_json_append(choices, choice(st->known[best[i]].answer, i));
	if (r == 0) {
		r |= rt_json_set(o, "choices", choices);
		r |= rt_json_set(o, "model", rt_json_new_string("nearest"));
	} else {
		rt_json_free(choices);
	}
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

struct batch {
	const struct state              *st;
	const struct rt_teacher_request *requests;
	struct rt_json                 **replies;
	const char                     **why;
};

/* No row's own fault: the whole call fails with it. */
static const char no_memory[] = "out of memory";

static void answer(void *arg, int64_t first, int64_t last)
{
	struct batch *b = arg;

	for (int64_t i = first; i < last; i++) {
		const struct rt_json *body = b->requests[i].body;
		const char           *text = question(rt_json_get(body, "messages"));
		const char           *role = rt_json_string(rt_json_get(body, "role"));
		int64_t               n = rt_json_int(rt_json_get(body, "n"), 1), best[MAX_N];
		struct vector         v = { 0 };

		n = n < 1 ? 1 : n > MAX_N ? MAX_N : n;
		if (role && strcmp(role, "assistant") != 0) {
			b->why[i] = "this teacher answers, it cannot go on as the user";
			continue;
		}
		if (!text) {
			b->why[i] = "the prompt has no message of a user";
			continue;
		}
		if (count_trigrams(text, &v) == 0) {
			weigh(b->st, &v);
			b->replies[i] = make_reply(b->st, best, nearest(b->st, &v, n, best));
		}
		rt_free(v.bucket);
		rt_free(v.weight);
		if (!b->replies[i])
			b->why[i] = no_memory;
	}
}

static int chat(void *state, const struct rt_teacher_request *requests, int64_t n,
                rt_reply_fn *reply, void *arg, struct rt_error *err)
{
	struct state *st = state;
	struct batch  b = { st, requests, rt_alloc((size_t)n, sizeof *b.replies),
		            rt_alloc((size_t)n, sizeof *b.why) };
	int           r = b.replies && b.why ? 0 : rt_fail_nomem(err, "replies");

	if (r == 0 && rt_cancelled(st->context))
		r = rt_fail(err, RT_E_CANCEL, "cancelled");
	if (r == 0)
		rt_parallel(n, 1, answer, &b);
	for (int64_t i = 0; r == 0 && i < n; i++)
		if (b.why[i] == no_memory)
			r = rt_fail_nomem(err, "replies");
	for (int64_t i = 0; r == 0 && i < n; i++)
		r = reply(arg, i, b.replies[i], b.why[i], err);
	for (int64_t i = 0; b.replies && i < n; i++)
		rt_json_free(b.replies[i]);
	rt_free(b.replies);
	rt_free(b.why);
	return r;
}

static double price(const void *config, double calls, double input_tokens, double output_tokens)
{
	(void)config, (void)calls, (void)input_tokens, (void)output_tokens;
	return 0;
}

static const struct rt_teacher_ops ops = { .size = sizeof ops, .chat = chat, .price = price };

RT_PLUGIN(teacher_nearest, TEACHER, .name = "nearest", .version = "1.0", .license = "Apache-2.0",
          .summary = "Answers as the most similar known rows were answered: a baseline without any "
                     "model.",
          .config_size = sizeof(struct config), .params = params,
          .state_size = sizeof(struct state), .open = open_, .close = close_, .ops.teacher = &ops);
