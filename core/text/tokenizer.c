/* tokenizer.c - encoding, and what may be asked of a tokenizer; see retort/tokenizer.h */
#include "text/tok.h"

#include <retort/memory.h>

#include <string.h>

void rt_ids_add(struct rt_ids *ids, int32_t id)
{
	if (ids->failed || !tok_grow(&ids->data, &ids->cap, ids->len + 1, sizeof *ids->data)) {
		ids->failed = true;
		return;
	}
	ids->data[ids->len++] = id;
}

void rt_ids_free(struct rt_ids *ids)
{
	rt_free(ids->data);
	*ids = (struct rt_ids)RT_IDS_INIT;
}

struct rt_tokenizer *tok_new(void)
{
	struct rt_tokenizer *t = rt_alloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->vocab.text = (struct rt_text)RT_TEXT_INIT;
	t->unk = -1;
	return t;
}

void rt_tokenizer_free(struct rt_tokenizer *t)
{
	if (!t)
		return;
	vocab_free(&t->vocab);
	normals_free(&t->normals);
	splits_free(&t->splits);
	addeds_free(&t->raw);
	addeds_free(&t->normal);
	decodes_free(&t->decodes);
	rt_ids_free(&t->before);
	rt_ids_free(&t->after);
	rt_free(t);
}

int64_t rt_tokenizer_size(const struct rt_tokenizer *t)
{
	return (int64_t)t->vocab.size;
}

int64_t rt_tokenizer_id(const struct rt_tokenizer *t, const char *token, size_t n)
{
	return vocab_find(&t->vocab, token, n);
}

const char *rt_tokenizer_token(const struct rt_tokenizer *t, int64_t id, size_t *ret_n)
{
	if (id < 0 || id >= (int64_t)t->vocab.size || !t->vocab.token[id].there)
		return NULL;
	if (ret_n)
		*ret_n = t->vocab.token[id].len;
	return t->vocab.text.data + t->vocab.token[id].at;
}

bool rt_tokenizer_special(const struct rt_tokenizer *t, int64_t id)
{
	return id >= 0 && id < (int64_t)t->vocab.size && t->vocab.token[id].special;
}

/* w->a: the text, cut at added tokens, normalized, split. */
static int prepare(const struct rt_tokenizer *t, struct tok_work *w, const char *text, size_t n,
                   bool special, struct rt_error *err)
{
	struct rt_text normal = RT_TEXT_INIT;
	int            r = 0;

	addeds_cut(&t->raw, special, text, n, true, &w->b);
	for (size_t i = 0; r == 0 && !w->b.failed && i < w->b.n; i++) {
		const struct tok_piece *p = &w->b.v[i];

		if (p->id >= 0) {
			pieces_add(&w->a, w->b.text.data + p->at, p->len, p->id, p->first);
			continue;
		}
		rt_text_clear(&normal);
		r = normals_apply(&t->normals, w->match, w->b.text.data + p->at, p->len, &normal,
		                  err);
		if (r == 0)
			addeds_cut(&t->normal, special, normal.data, normal.len, p->first, &w->a);
	}
	rt_text_free(&normal);
	if (r == 0 && (w->a.failed || w->b.failed))
		r = rt_fail_nomem(err, "the pieces of a text");
	return r ? r : splits_apply(&t->splits, w->match, &w->cuts, &w->a, &w->b, err);
}

static int encode(const struct rt_tokenizer *t, struct tok_work *w, const char *text, size_t n,
                  unsigned flags, struct rt_ids *ids, struct rt_error *err)
{
	const bool around = flags & RT_ENCODE_TEMPLATE;
	int        r = prepare(t, w, text, n, flags & RT_ENCODE_SPECIAL, err);

	for (size_t i = 0; r == 0 && around && i < t->before.len; i++)
		rt_ids_add(ids, t->before.data[i]);
	for (size_t i = 0; r == 0 && i < w->a.n; i++) {
		const struct tok_piece *p = &w->a.v[i];

		if (p->id >= 0)
			rt_ids_add(ids, (int32_t)p->id);
		else
			bpe_piece(t, w, w->a.text.data + p->at, p->len, ids);
	}
	for (size_t i = 0; r == 0 && around && i < t->after.len; i++)
		rt_ids_add(ids, t->after.data[i]);
	if (r == 0 && (w->failed || ids->failed))
		r = rt_fail_nomem(err, "the tokens of a text");
	return r;
}

int rt_tokenizer_encode(const struct rt_tokenizer *t, const char *text, size_t n, unsigned flags,
                        struct rt_ids *ids, struct rt_error *err)
{
	struct tok_work w = { .a.text = RT_TEXT_INIT, .b.text = RT_TEXT_INIT };
	const size_t    valid = n <= (size_t)RT_TOKENIZER_TEXT ? rt_utf8_check(text, n) : n,
		     len = ids->len;
	int r;

	if (n > (size_t)RT_TOKENIZER_TEXT)
		return rt_fail(err, RT_E_RANGE, "a text of %zu bytes (at most %d)", n,
		               RT_TOKENIZER_TEXT);
	if (valid != n)
		return rt_fail(err, RT_E_FORMAT, "the text is not UTF-8 at byte %zu", valid);
	r = regex_match_new(&w.match, err);
	if (r == 0)
		r = encode(t, &w, text, n, flags, ids, err);
	if (r < 0) {
		ids->len = len;
		ids->failed = false;
	}
	regex_match_free(w.match);
	pieces_free(&w.a);
	pieces_free(&w.b);
	rt_free(w.cuts.v);
	rt_free(w.symbol);
	rt_free(w.heap);
	return r;
}
