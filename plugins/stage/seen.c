/* seen.c - see seen.h */
#include "seen.h"

#include "../judge/words.h"

#include <retort/memory.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct seen_text {
	char     *normal;
	uint64_t *keys;
	int64_t   n;
	int       tag;
};

struct seen_place {
	uint64_t key;
	int64_t  text, next;
};

/* Rounding must not decide: .9 of 10 shingles are 9. */
static const double HAIR = 1e-9;

/* FNV-1a of 64 bits; texts as a whole and shingles begin differently. */
static const uint64_t OFFSET = 14695981039346656037u, PRIME = 1099511628211u;

/* ---- one text ---- */

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static void normalize(const char *text, struct rt_text *out)
{
	rt_text_clear(out);
	while (*text) {
		if (!blank(*text))
			rt_text_add_char(out, words_lower(*text++));
		while (blank(*text))
			text++;
		if (out->len > 0 && *text && blank(text[-1]))
			rt_text_add_char(out, ' ');
	}
}

static uint64_t whole_key(const char *s)
{
	uint64_t h = ~OFFSET;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * PRIME;
	return h;
}

static uint64_t shingle_key(const struct word *w, size_t n)
{
	uint64_t h = OFFSET;

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < w[i].n; k++)
			h = (h ^ (unsigned char)w[i].at[k]) * PRIME;
		h = (h ^ ' ') * PRIME;
	}
	return h;
}

static int by_key(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The text becomes the one that is looked at. */
static int take(struct seen *s, const char *text, struct rt_error *err)
{
	size_t  n, width = (size_t)s->shingle;
	int64_t k = 0;

	normalize(text, &s->normal);
	if (s->normal.failed)
		return rt_fail_nomem(err, "texts");
	n = words_split(s->normal.data, s->words);
	s->n_keys = 0;
	if (n == 0)
		return 0;
	width = width < n ? width : n;
	for (size_t i = 0; i + width <= n; i++)
		s->keys[s->n_keys++] = shingle_key(s->words + i, width);
	qsort(s->keys, (size_t)s->n_keys, sizeof *s->keys, by_key);
	for (int64_t i = 0; i < s->n_keys; i++)
		if (k == 0 || s->keys[k - 1] != s->keys[i])
			s->keys[k++] = s->keys[i];
	s->n_keys = k;
	return 0;
}

/* How many of n shingles stand in for all. */
static int64_t prefix(const struct seen *s, int64_t n)
{
	return n == 0 ? 0 : n - (int64_t)ceil(s->near * (double)n - HAIR) + 1;
}

/* ---- all texts ---- */

static int64_t *bucket_of(const struct seen *s, uint64_t key)
{
	return &s->buckets[(key ^ key >> 32) & (uint64_t)(s->n_buckets - 1)];
}

static int rehash(struct seen *s)
{
	const int64_t n = s->n_buckets ? 2 * s->n_buckets : 4096;
	int64_t      *more = rt_alloc((size_t)n, sizeof *more);

	if (!more)
		return RT_E_NOMEM;
	rt_free(s->buckets);
	s->buckets = more;
	s->n_buckets = n;
	for (int64_t i = 0; i < n; i++)
		more[i] = -1;
	for (int64_t i = 0; i < s->n_places; i++) {
		int64_t *b = bucket_of(s, s->places[i].key);

		s->places[i].next = *b;
		*b = i;
	}
	return 0;
}

static int put(struct seen *s, uint64_t key, int64_t text)
{
	int64_t *b;

	if (s->n_places == s->cap_places) {
		const int64_t      cap = s->cap_places ? 2 * s->cap_places : 4096;
		struct seen_place *more = rt_realloc(s->places, (size_t)cap, sizeof *more);

		if (!more)
			return RT_E_NOMEM;
		s->places = more;
		s->cap_places = cap;
	}
	if (s->n_places >= s->n_buckets && rehash(s) < 0)
		return RT_E_NOMEM;
	b = bucket_of(s, key);
	s->places[s->n_places] = (struct seen_place){ key, text, *b };
	*b = s->n_places++;
	return 0;
}

static double resemblance(const struct seen_text *t, const uint64_t *keys, int64_t n)
{
	int64_t both = 0;

	for (int64_t i = 0, k = 0; i < t->n && k < n;) {
		if (t->keys[i] == keys[k]) {
			both++;
			i++, k++;
		} else if (t->keys[i] < keys[k]) {
			i++;
		} else {
			k++;
		}
	}
	return (double)both / (double)(t->n + n - both);
}

static void look_same(const struct seen *s, enum seen_how *ret, int *ret_tag)
{
	const uint64_t key = whole_key(s->normal.data);

	for (int64_t i = *bucket_of(s, key); i >= 0; i = s->places[i].next) {
		const struct seen_text *t = &s->texts[s->places[i].text];

		if (s->places[i].key != key || strcmp(t->normal, s->normal.data) != 0)
			continue;
		if (*ret == SEEN_NEW || t->tag > *ret_tag)
			*ret_tag = t->tag;
		*ret = SEEN_SAME;
	}
}

static void look_near(const struct seen *s, enum seen_how *ret, int *ret_tag)
{
	const int64_t n = prefix(s, s->n_keys);

	for (int64_t k = 0; k < n; k++)
		for (int64_t i = *bucket_of(s, s->keys[k]); i >= 0; i = s->places[i].next) {
			const struct seen_text *t = &s->texts[s->places[i].text];

			if (s->places[i].key != s->keys[k] ||
			    resemblance(t, s->keys, s->n_keys) < s->near - HAIR)
				continue;
			if (*ret == SEEN_NEW || t->tag > *ret_tag)
				*ret_tag = t->tag;
			*ret = SEEN_NEAR;
		}
}

int seen_look(struct seen *s, const char *text, enum seen_how *ret, int *ret_tag,
              struct rt_error *err)
{
	int r = take(s, text, err);

	if (r < 0)
		return r;
	*ret = SEEN_NEW;
	*ret_tag = 0;
	look_same(s, ret, ret_tag);
	if (*ret == SEEN_NEW)
		look_near(s, ret, ret_tag);
	return 0;
}

static int grow(struct seen *s)
{
	const int64_t     cap = s->cap_texts ? 2 * s->cap_texts : 1024;
	struct seen_text *more;

	if (s->n_texts < s->cap_texts)
		return 0;
	more = rt_realloc(s->texts, (size_t)cap, sizeof *more);
	if (!more)
		return RT_E_NOMEM;
	s->texts = more;
	s->cap_texts = cap;
	return 0;
}

int seen_add(struct seen *s, const char *text, int tag, struct rt_error *err)
{
	struct seen_text *t;
	int               r = take(s, text, err);

	if (r < 0)
		return r;
	if (grow(s) < 0)
		return rt_fail_nomem(err, "texts");
	t = &s->texts[s->n_texts++];
	*t = (struct seen_text){ rt_strdup(s->normal.data),
		                 rt_alloc((size_t)s->n_keys, sizeof *t->keys), s->n_keys, tag };
	if (!t->normal || !t->keys)
		return rt_fail_nomem(err, "texts");
	if (s->n_keys > 0)
		memcpy(t->keys, s->keys, (size_t)s->n_keys * sizeof *t->keys);
	r = put(s, whole_key(t->normal), s->n_texts - 1);
	for (int64_t i = 0; r == 0 && i < prefix(s, t->n); i++)
		r = put(s, t->keys[i], s->n_texts - 1);
	return r < 0 ? rt_fail_nomem(err, "texts") : 0;
}

const char *seen_normal(const struct seen *s)
{
	return s->normal.data;
}

int seen_open(struct seen *s, int64_t shingle, double near, struct rt_error *err)
{
	*s = (struct seen){ .shingle = shingle, .near = near, .normal = RT_TEXT_INIT };
	s->words = rt_alloc(WORDS_MOST, sizeof *s->words);
	s->keys = rt_alloc(WORDS_MOST, sizeof *s->keys);
	return s->words && s->keys && rehash(s) == 0 ? 0 : rt_fail_nomem(err, "texts");
}

void seen_close(struct seen *s)
{
	for (int64_t i = 0; i < s->n_texts; i++) {
		rt_free(s->texts[i].normal);
		rt_free(s->texts[i].keys);
	}
	rt_free(s->texts);
	rt_free(s->places);
	rt_free(s->buckets);
	rt_free(s->words);
	rt_free(s->keys);
	if (s->normal.data)
		rt_text_free(&s->normal);
	*s = (struct seen){ .normal = RT_TEXT_INIT };
}
