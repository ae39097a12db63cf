/* tokenizer-bpe.c - a piece of text to tokens by merging, best rank first, leftmost first.
 *
 * The candidates are kept in a heap; one that no longer holds when it comes up is dropped.  So a
 * piece of n characters takes O(n log n), however long it is. */
#include "text/tok.h"

#include <retort/memory.h>

static bool before(const struct tok_candidate *a, const struct tok_candidate *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void push(struct tok_work *w, struct tok_candidate c)
{
	size_t i = w->heap_n;

	if (!tok_grow(&w->heap, &w->heap_cap, w->heap_n + 1, sizeof *w->heap)) {
		w->failed = true;
		return;
	}
	w->heap_n++;
	for (; i > 0 && before(&c, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = c;
}

static struct tok_candidate pop(struct tok_work *w)
{
	const struct tok_candidate top = w->heap[0], last = w->heap[--w->heap_n];
	size_t                     i = 0;

	for (size_t child; (child = 2 * i + 1) < w->heap_n; i = child) {
		if (child + 1 < w->heap_n && before(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!before(&w->heap[child], &last))
			break;
		w->heap[i] = w->heap[child];
	}
	w->heap[i] = last;
	return top;
}

static void symbol(struct tok_work *w, int64_t id, size_t len)
{
	const int32_t at = (int32_t)w->symbols;

	if (!tok_grow(&w->symbol, &w->symbol_cap, w->symbols + 1, sizeof *w->symbol)) {
		w->failed = true;
		return;
	}
	w->symbol[w->symbols++] =
		(struct tok_symbol){ (uint32_t)id, (uint32_t)len, at - 1, at + 1 };
}

/* All bytes of a character that is not in the vocabulary, where each has a token. */
static bool fall_back(const struct rt_tokenizer *t, struct tok_work *w, const char *s, size_t n)
{
	if (!t->byte_fallback)
		return false;
	for (size_t i = 0; i < n; i++)
		if (t->byte[(unsigned char)s[i]] < 0)
			return false;
	for (size_t i = 0; i < n; i++)
		symbol(w, t->byte[(unsigned char)s[i]], 1);
	return true;
}

/* One symbol a character.  Unknown ones are the unknown token (fused or not), or nothing.  As in
 * the reference, a pending unknown is put down in front of the next known character only. */
static void characters(const struct rt_tokenizer *t, struct tok_work *w, const char *s, size_t n)
{
	size_t pending = 0; /* bytes that were unknown */

	w->symbols = 0;
	for (size_t i = 0, len; i < n; i += len) {
		int64_t id;

		rt_utf8_decode(s + i, n - i, &len);
		id = vocab_piece(&t->vocab, s + i, len);
		if (id >= 0) {
			if (pending)
				symbol(w, t->unk, pending);
			pending = 0;
			symbol(w, id, len);
		} else if (!fall_back(t, w, s + i, len) && t->unk >= 0) {
			if (pending && !t->fuse_unk) {
				symbol(w, t->unk, pending);
				pending = 0;
			}
			pending += len;
		}
	}
	if (pending)
		symbol(w, t->unk, pending);
	if (w->symbols && !w->failed)
		w->symbol[w->symbols - 1].next = -1;
}

static void consider(const struct rt_tokenizer *t, struct tok_work *w, int32_t at)
{
	const struct tok_symbol *s = w->symbol;
	const struct tok_merge  *m;

	if (at < 0 || s[at].next < 0)
		return;
	m = vocab_pair(&t->vocab, s[at].id, s[s[at].next].id);
	if (m)
		push(w, (struct tok_candidate){ m->rank, m->id, at });
}

static void merge(const struct rt_tokenizer *t, struct tok_work *w)
{
	struct tok_symbol *s = w->symbol;

	w->heap_n = 0;
	for (size_t i = 0; i + 1 < w->symbols; i++)
		consider(t, w, (int32_t)i);
	while (w->heap_n > 0 && !w->failed) {
		const struct tok_candidate c = pop(w);
		const int32_t              right = s[c.at].next;
		const struct tok_merge    *m;

		if (s[c.at].len == 0 || right < 0)
			continue;
		m = vocab_pair(&t->vocab, s[c.at].id, s[right].id);
		if (!m || m->id != c.id)
			continue;
		s[c.at].id = c.id;
		s[c.at].len += s[right].len;
		s[c.at].next = s[right].next;
		if (s[right].next >= 0)
			s[s[right].next].prev = c.at;
		s[right].len = 0;
		consider(t, w, s[c.at].prev);
		consider(t, w, c.at);
	}
}

void bpe_piece(const struct rt_tokenizer *t, struct tok_work *w, const char *s, size_t n,
               struct rt_ids *ids)
{
	if (t->ignore_merges) {
		const int64_t whole = vocab_piece(&t->vocab, s, n);

		if (whole >= 0) {
			rt_ids_add(ids, (int32_t)whole);
			return;
		}
	}
	characters(t, w, s, n);
	if (w->failed || w->symbols == 0)
		return;
	merge(t, w);
	for (int32_t i = 0; i >= 0; i = w->symbol[i].next)
		rt_ids_add(ids, (int32_t)w->symbol[i].id);
}
