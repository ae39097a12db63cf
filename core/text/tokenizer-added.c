/* tokenizer-added.c - finding added tokens in text: leftmost, longest, with their options. */
#include "text/normal.h"
#include "text/tok.h"

#include <retort/memory.h>

#include <stdlib.h>
#include <string.h>

int addeds_add(struct tok_addeds *a, const struct tok_added *like, const char *s, size_t n,
               struct rt_error *err)
{
	struct tok_added it = *like;

	if (n == 0)
		return 0; /* normalized away: it is never found */
	it.content = (struct rt_text)RT_TEXT_INIT;
	rt_text_add_n(&it.content, s, n);
	if (it.content.failed || !tok_grow(&a->v, &a->cap, a->n + 1, sizeof *a->v)) {
		rt_text_free(&it.content);
		return rt_fail_nomem(err, "an added token");
	}
	a->v[a->n++] = it;
	return 0;
}

static int compare(const void *x, const void *y)
{
	const struct tok_added *a = x, *b = y;
	const size_t n = a->content.len < b->content.len ? a->content.len : b->content.len;
	const int    r = memcmp(a->content.data, b->content.data, n);

	return r ? r : (a->content.len > b->content.len) - (a->content.len < b->content.len);
}

void addeds_sort(struct tok_addeds *a)
{
	if (a->n)
		qsort(a->v, a->n, sizeof *a->v, compare);
}

/* The longest token that starts at s, or NULL: those that agree so far are a range of the
 * sorted list, and each byte narrows it. */
static const struct tok_added *longest(const struct tok_addeds *a, const char *s, size_t n)
{
	const struct tok_added *best = NULL;
	size_t                  low = 0, high = a->n;

	for (size_t k = 0; low < high; k++) {
		size_t first = low, last = high;

		if (a->v[low].content.len == k) {
			best = &a->v[low];
			while (low < high && a->v[low].content.len == k) /* the same text twice */
				low++;
			first = low;
		}
		if (k == n || low == high)
			break;
		while (first < last) { /* the first that is not below s[k] */
			const size_t mid = first + (last - first) / 2;

			if ((unsigned char)a->v[mid].content.data[k] < (unsigned char)s[k])
				first = mid + 1;
			else
				last = mid;
		}
		low = first;
		last = high;
		while (first < last) { /* the first that is above it */
			const size_t mid = first + (last - first) / 2;

			if ((unsigned char)a->v[mid].content.data[k] <= (unsigned char)s[k])
				first = mid + 1;
			else
				last = mid;
		}
		high = first;
	}
	return best;
}

static uint32_t last_char(const char *s, size_t n, size_t *len)
{
	size_t back = 1, whole;

	while (back < n && ((unsigned char)s[n - back] & 0xc0) == 0x80)
		back++;
	*len = back;
	return rt_utf8_decode(s + n - back, back, &whole);
}

static bool inside_word(const char *s, size_t n, size_t start, size_t end)
{
	size_t len;

	return (start > 0 && normal_is_word(last_char(s, start, &len))) ||
	       (end < n && normal_is_word(rt_utf8_decode(s + end, n - end, &len)));
}

void addeds_cut(const struct tok_addeds *a, bool special, const char *s, size_t n, bool first,
                struct tok_pieces *out)
{
	size_t done = 0;

	for (size_t i = 0; a->n && i < n;) {
		const struct tok_added *t = longest(a, s + i, n - i);
		size_t                  start = i, end, len;

		if (!t) {
			i++;
			continue;
		}
		i = end = start + t->content.len;
		if ((t->special && !special) || (t->single_word && inside_word(s, n, start, end)) ||
		    start < done)
			continue;
		while (t->lstrip && start > done && normal_is_space(last_char(s, start, &len)))
			start -= len;
		while (t->rstrip && end < n &&
		       normal_is_space(rt_utf8_decode(s + end, n - end, &len)))
			end += len;
		pieces_add(out, s + done, start - done, -1, first && done == 0);
		pieces_add(out, s + start, end - start, t->id, first && start == 0);
		done = end;
	}
	pieces_add(out, s + done, n - done, -1, first && done == 0);
}

void addeds_free(struct tok_addeds *a)
{
	for (size_t i = 0; i < a->n; i++)
		rt_text_free(&a->v[i].content);
	rt_free(a->v);
}
