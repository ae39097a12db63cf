/* allow.c - see allow.h */
#include "engine/allow.h"

#include "text/tok.h"

#include <math.h>
#include <string.h>

struct allow {
	const struct rt_tokenizer *t;
	int64_t                    n; /* tokens: rows of the model */
	struct rt_text             text;
	size_t                    *at;    /* [n + 1] where the bytes of each begin */
	bool                      *plain; /* [n] what fits wherever any text does */
};

/* See rt_matcher_takes_text(). */
static bool is_plain(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || strchr("\"\\<[", s[i]))
			return false;
	return n > 0 && rt_utf8_check(s, n) == n;
}

int allow_new(struct allow **ret, const struct rt_model *m, struct rt_error *err)
{
	struct allow      *a = rt_alloc(1, sizeof *a);
	struct rt_decoder *d = NULL;
	int                r;

	if (!a)
		return rt_fail_nomem(err, "the bytes of tokens");
	a->t = rt_model_tokenizer(m);
	a->n = rt_model_shape(m)->vocabulary;
	a->text = (struct rt_text)RT_TEXT_INIT;
	a->at = rt_alloc((size_t)a->n + 1, sizeof *a->at);
	a->plain = rt_alloc((size_t)a->n, sizeof *a->plain);
	if (!a->t)
		r = rt_fail(err, RT_E_INVAL, "a grammar needs a model with a tokenizer");
	else
		r = a->at && a->plain ? rt_decoder_new(&d, a->t, 0, err)
		                      : rt_fail_nomem(err, "the bytes of tokens");
	for (int64_t id = 0; r == 0 && id < a->n; id++) {
		r = tok_bytes(d, (int32_t)id, &a->text, err);
		a->at[id + 1] = a->text.len;
		a->plain[id] = !rt_tokenizer_special(a->t, id) &&
		               is_plain(a->text.data + a->at[id], a->at[id + 1] - a->at[id]);
	}
	rt_decoder_free(d);
	if (r == 0)
		*ret = a;
	else
		allow_free(a);
	return r;
}

void allow_free(struct allow *a)
{
	if (!a)
		return;
	rt_text_free(&a->text);
	rt_free(a->at);
	rt_free(a->plain);
	rt_free(a);
}

/* A token without bytes would be no step at all; a special one is no part of a string. */
static bool out_of_place(const struct allow *a, const struct rt_matcher *m, int32_t id)
{
	return a->at[id] == a->at[id + 1] ||
	       (rt_tokenizer_special(a->t, id) && rt_matcher_in_string(m));
}

bool allow_token(const struct allow *a, struct rt_matcher *m, int32_t id)
{
	return !out_of_place(a, m, id) &&
	       rt_matcher_may(m, a->text.data + a->at[id], a->at[id + 1] - a->at[id]);
}

bool allow_put(const struct allow *a, struct rt_matcher *m, int32_t id)
{
	return !out_of_place(a, m, id) &&
	       rt_matcher_put(m, a->text.data + a->at[id], a->at[id + 1] - a->at[id]);
}

static bool among(const int32_t *list, int64_t n, int32_t id)
{
	for (int64_t i = 0; i < n; i++)
		if (list[i] == id)
			return true;
	return false;
}

int64_t allow_mask(const struct allow *a, struct rt_matcher *m, const int32_t *stops, int64_t n,
                   float *logits)
{
	const bool end = rt_matcher_may_end(m), text = rt_matcher_takes_text(m);
	bool       first[256];
	int64_t    may = 0;

	/* Most tokens are refused by their first byte. */
	for (int c = 0; c < 256; c++) {
		const char byte = (char)c;

		first[c] = rt_matcher_may(m, &byte, 1);
	}
	for (int64_t id = 0; id < a->n; id++) {
		bool fits;

		if (among(stops, n, (int32_t)id))
			fits = end;
		else if (a->plain[id] && text)
			fits = true;
		else
			fits = first[(unsigned char)a->text.data[a->at[id]]] &&
			       allow_token(a, m, (int32_t)id);
		if (!fits)
			logits[id] = -INFINITY;
		may += fits;
	}
	return may;
}
