/* taught.c - see taught.h */
#include "taught.h"

#include <retort/memory.h>

#include <string.h>

static int open_scored(struct taught *t, struct top *top, const struct rt_artifact *from,
                       struct rt_error *err)
{
	int r = top_open(top, from->path, err);

	if (r == RT_E_NOENT)
		return rt_fail(
			err, r,
			"without a teacher '%s' must be of a stage score: nothing is kept of "
			"one beside its rows",
			from->name);
	if (r < 0)
		return r;
	if (t->vocabulary && t->vocabulary != top->head.vocabulary)
		return rt_fail(err, RT_E_SHAPE,
		               "data is of a teacher with %lld tokens, validation of one with %lld",
		               (long long)t->vocabulary, (long long)top->head.vocabulary);
	t->vocabulary = top->head.vocabulary;
	return 0;
}

static int make_room(struct taught *t, struct rt_error *err)
{
	const size_t chunk = (size_t)t->chunk;
	int64_t      k = 0;

	if (t->m) {
		t->logits = rt_alloc_aligned(chunk * (size_t)t->vocabulary, sizeof *t->logits);
		return t->logits ? 0 : rt_fail_nomem(err, "logits");
	}
	for (int i = 0; i < TAUGHT_ENDS; i++)
		k = t->top[i].head.k > k ? t->top[i].head.k : k;
	t->id = rt_alloc(chunk, (size_t)k * sizeof *t->id);
	t->logp = rt_alloc(chunk, (size_t)k * sizeof *t->logp);
	return t->id && t->logp ? 0 : rt_fail_nomem(err, "logits");
}

int taught_open(struct taught *t, const struct rt_artifact *teacher, const struct rt_artifact *data,
                const struct rt_artifact *validation, struct rt_error *err)
{
	int r;

	if (teacher) {
		r = rt_model_open(&t->m, teacher->path, 0, err);
		if (r == 0)
			t->vocabulary = rt_model_shape(t->m)->vocabulary;
	} else {
		r = open_scored(t, &t->top[TAUGHT_DATA], data, err);
		if (r == 0 && validation)
			r = open_scored(t, &t->top[TAUGHT_VALIDATION], validation, err);
	}
	if (r < 0)
		return r;
	t->chunk = 1 + TAUGHT_CHUNK_BYTES / (int64_t)sizeof(float) / t->vocabulary;
	return make_room(t, err);
}

void taught_close(struct taught *t)
{
	rt_pass_free(&t->pass);
	rt_free(t->rows);
	rt_free(t->logits);
	rt_free(t->top_id);
	rt_free(t->top_logp);
	rt_free(t->id);
	rt_free(t->logp);
	for (int i = 0; i < TAUGHT_ENDS; i++)
		top_close(&t->top[i]);
	rt_model_close(t->m);
	*t = (struct taught){ 0 };
}

static int reserve(struct taught *t, int64_t rows, struct rt_error *err)
{
	const size_t n = (size_t)rows;
	bool         good;

	if (rows <= t->room)
		return 0;
	rt_free(t->rows);
	rt_free(t->top_id);
	rt_free(t->top_logp);
	t->rows = NULL;
	t->top_id = NULL;
	t->top_logp = NULL;
	if (t->m) {
		t->rows =
			rt_alloc_aligned(n * (size_t)rt_model_shape(t->m)->hidden, sizeof *t->rows);
		good = t->rows;
	} else {
		t->top_id = rt_alloc(n, sizeof *t->top_id);
		t->top_logp = rt_alloc(n, sizeof *t->top_logp);
		good = t->top_id && t->top_logp;
	}
	t->room = good ? rows : 0;
	return good ? 0 : rt_fail_nomem(err, "a batch");
}

static int run_along(struct taught *t, const struct rt_packed *p, struct rt_error *err)
{
	const size_t width = (size_t)rt_model_shape(t->m)->hidden;
	int64_t      n = 0;
	int          r = rt_pass_reserve(&t->pass, t->m, p->batch.rows, err);

	if (r == 0)
		r = rt_model_forward(t->m, &p->batch, NULL, t->pass.hidden, err);
	for (int64_t i = 0; r == 0 && i < p->batch.rows; i++)
		if (p->label[i] != RT_IGNORE)
			memcpy(t->rows + (size_t)n++ * width, t->pass.hidden + (size_t)i * width,
			       width * sizeof(float));
	return r;
}

int taught_batch(struct taught *t, const struct rt_packed *p, const struct rt_sequence *const *s,
                 int64_t n, enum taught_rows from, struct rt_error *err)
{
	const struct top *top = &t->top[from];
	int64_t           at = 0;
	int               r = reserve(t, p->batch.rows, err);

	if (r < 0 || t->m)
		return r < 0 ? r : run_along(t, p, err);
	for (int64_t i = 0; i < n; i++) {
		const int32_t *id = NULL;
		const float   *logp = NULL;

		r = top_find(top, s[i], &id, &logp, err);
		if (r < 0)
			return r;
		for (int64_t k = 0; k < top_labels(s[i]); k++, at++) {
			t->top_id[at] = id + k * top->head.k;
			t->top_logp[at] = logp + k * top->head.k;
		}
	}
	/* data and validation may keep different numbers of tokens */
	t->top_k = top->head.k;
	return 0;
}

int taught_chunk(struct taught *t, int64_t first, int64_t n, struct rt_distill_rows *d,
                 struct rt_error *err)
{
	const size_t k = (size_t)t->top_k;

	if (t->m) {
		d->teacher = t->logits;
		return rt_model_logits(t->m, t->rows + first * rt_model_shape(t->m)->hidden, n,
		                       t->logits, err);
	}
	for (size_t i = 0; i < (size_t)n; i++) {
		memcpy(t->id + i * k, t->top_id[first + (int64_t)i], k * sizeof *t->id);
		memcpy(t->logp + i * k, t->top_logp[first + (int64_t)i], k * sizeof *t->logp);
	}
	d->top_id = t->id;
	d->top_logprob = t->logp;
	d->K = (int64_t)k;
	return 0;
}
