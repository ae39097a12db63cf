/* top.c - see top.h */
#include "top.h"

#include <retort/json.h>
#include <retort/memory.h>

#include <math.h>
#include <string.h>

const char top_magic[8] = "RTTOP1\0";
const char top_file[] = "top.bin";

struct record {
	int32_t id_bytes, tokens, labels, reserved;
};

int64_t top_labels(const struct rt_sequence *s)
{
	int64_t n = 0;

	for (int64_t i = 1; i < s->n; i++)
		n += s->weight[i] > 0;
	return n;
}

static size_t filled(size_t n)
{
	return (n + 3) / 4 * 4;
}

/* ---- writing ---- */

void top_put(struct rt_file *f, const struct rt_sequence *s, int64_t k, const int32_t *id,
             const float *logp)
{
	const size_t        n = strlen(s->id), labels = (size_t)top_labels(s);
	const struct record r = { (int32_t)n, (int32_t)s->n, (int32_t)labels, 0 };

	rt_file_put(f, &r, sizeof r);
	rt_file_put(f, s->id, n);
	rt_file_put(f, "\0\0\0", filled(n) - n);
	rt_file_put(f, s->token, (size_t)s->n * sizeof *s->token);
	rt_file_put(f, id, labels * (size_t)k * sizeof *id);
	rt_file_put(f, logp, labels * (size_t)k * sizeof *logp);
}

void top_pick(const float *x, int64_t V, int64_t k, int32_t *id, float *logp)
{
	int64_t n = 0;
	double  sum = 0;

	for (int64_t i = 0; i < V; i++) {
		int64_t at = n < k ? n++ : k;

		for (; at > 0 && x[i] > logp[at - 1]; at--)
			if (at < k) {
				id[at] = id[at - 1];
				logp[at] = logp[at - 1];
			}
		if (at < k) {
			id[at] = (int32_t)i;
			logp[at] = x[i];
		}
	}
	for (int64_t i = 0; i < V; i++)
		sum += exp((double)x[i] - (double)logp[0]);
	sum = log(sum) + (double)logp[0];
	for (int64_t i = 0; i < k; i++)
		logp[i] = (float)((double)logp[i] - sum);
}

/* ---- reading ---- */

/* The record at an offset and the bytes that it takes; false when it is not whole. */
static bool read_record(const struct top *t, size_t at, struct record *r, size_t *ret_bytes)
{
	const size_t left = at <= t->map.size ? t->map.size - at : 0;
	uint64_t     cells, bytes;

	if (left < sizeof *r)
		return false;
	memcpy(r, (const char *)t->map.data + at, sizeof *r);
	if (r->id_bytes < 1 || r->tokens < 1 || r->labels < 0 || r->labels >= r->tokens)
		return false;
	if (__builtin_mul_overflow((uint64_t)r->labels * 8, (uint64_t)t->head.k, &cells) ||
	    __builtin_add_overflow(
		    cells, sizeof *r + filled((size_t)r->id_bytes) + 4 * (size_t)r->tokens, &bytes))
		return false;
	*ret_bytes = (size_t)bytes;
	return bytes <= left;
}

static int damaged(const struct top *t, struct rt_error *err)
{
	return rt_fail(err, RT_E_FORMAT, "%s is damaged: remove it, and run stage score again",
	               t->path);
}

static int index_records(struct top *t, struct rt_error *err)
{
	size_t at = sizeof t->head, bytes = 0;

	for (int64_t i = 0; i < t->head.records; i++, at += bytes) {
		struct record r;
		char         *id;
		int           code;

		if (!read_record(t, at, &r, &bytes))
			return damaged(t, err);
		id = rt_strndup((const char *)t->map.data + at + sizeof r, (size_t)r.id_bytes);
		code = id ? rt_json_set(t->places, id, rt_json_new_int((int64_t)at)) : RT_E_NOMEM;
		rt_free(id);
		if (code < 0)
			return rt_fail_nomem(err, "scored rows");
	}
	return at == t->map.size ? 0 : damaged(t, err);
}

int top_open(struct top *t, const char *folder, struct rt_error *err)
{
	int r;

	t->path = rt_path_join(folder, top_file);
	t->places = rt_json_new_object();
	r = t->path && t->places ? rt_file_map(&t->map, t->path, err)
	                         : rt_fail_nomem(err, "scored rows");
	if (r < 0)
		return r;
	if (t->map.size < sizeof t->head)
		return damaged(t, err);
	memcpy(&t->head, t->map.data, sizeof t->head);
	if (memcmp(t->head.magic, top_magic, sizeof top_magic) != 0 || t->head.k < 1 ||
	    t->head.vocabulary < t->head.k || t->head.records < 0)
		return damaged(t, err);
	return index_records(t, err);
}

void top_close(struct top *t)
{
	if (t->map.data)
		rt_file_unmap(&t->map);
	rt_json_free(t->places);
	rt_free(t->path);
	*t = (struct top){ 0 };
}

int top_find(const struct top *t, const struct rt_sequence *s, const int32_t **ret_id,
             const float **ret_logp, struct rt_error *err)
{
	const struct rt_json *place = rt_json_get(t->places, s->id);
	const char           *at = t->map.data;
	struct record         r;
	size_t                bytes;

	if (!place)
		return rt_fail(err, RT_E_FORMAT,
		               "row '%s' was not scored: it was longer than what stage score took",
		               s->id);
	at += rt_json_int(place, 0);
	if (!read_record(t, (size_t)rt_json_int(place, 0), &r, &bytes))
		return damaged(t, err);
	at += sizeof r + filled((size_t)r.id_bytes);
	if (r.tokens != s->n || r.labels != top_labels(s) ||
	    memcmp(at, s->token, (size_t)s->n * sizeof *s->token) != 0)
		return rt_fail(err, RT_E_FORMAT,
		               "row '%s' is other tokens than when it was scored: student and "
		               "teacher differ in tokenizer or chat template",
		               s->id);
	*ret_id = (const int32_t *)(const void *)(at + 4 * (size_t)s->n);
	*ret_logp = (const float *)(const void *)(at + 4 * (size_t)s->n +
	                                          4 * (size_t)(r.labels * t->head.k));
	return 0;
}
