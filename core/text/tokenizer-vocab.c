/* tokenizer-vocab.c - tokens by id and by spelling, merges by pair. */
#include "text/tok.h"

#include <retort/memory.h>

#include <string.h>

bool tok_grow(void *array, size_t *cap, size_t n, size_t size)
{
	void  *old, *more;
	size_t want = *cap ? *cap : 16;

	if (n <= *cap)
		return true;
	while (want < n)
		want *= 2;
	memcpy(&old, array, sizeof old);
	more = rt_realloc(old, want, size);
	if (!more)
		return false;
	memcpy(array, &more, sizeof more);
	*cap = want;
	return true;
}

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static uint64_t hash(const char *s, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ n;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * UINT64_C(0x100000001b3);
	return mix(h);
}

static uint32_t *seek(const struct tok_vocab *v, const char *s, size_t n)
{
	size_t i = (size_t)hash(s, n) & (v->slots - 1);

	while (v->slot[i]) {
		const struct tok_token *t = &v->token[v->slot[i] - 1];

		if (t->len == n && memcmp(v->text.data + t->at, s, n) == 0)
			break;
		i = (i + 1) & (v->slots - 1);
	}
	return &v->slot[i];
}

static bool widen(struct tok_vocab *v)
{
	const size_t slots = v->slots ? 2 * v->slots : 1024;
	uint32_t    *slot = rt_alloc(slots, sizeof *slot);

	if (!slot)
		return false;
	rt_free(v->slot);
	v->slot = slot;
	v->slots = slots;
	for (size_t id = 0; id < v->size; id++)
		if (v->token[id].there)
			*seek(v, v->text.data + v->token[id].at, v->token[id].len) =
				(uint32_t)id + 1;
	return true;
}

int64_t vocab_find(const struct tok_vocab *v, const char *s, size_t n)
{
	return v->slots ? (int64_t)*seek(v, s, n) - 1 : -1;
}

int64_t vocab_piece(const struct tok_vocab *v, const char *s, size_t n)
{
	const int64_t id = vocab_find(v, s, n);

	return id >= 0 && v->token[id].apart ? -1 : id;
}

int vocab_add(struct tok_vocab *v, const char *s, size_t n, int64_t id, struct rt_error *err)
{
	const size_t old = v->size;
	int64_t      other;

	if (id < 0 || id >= RT_TOKENIZER_IDS)
		return rt_fail(err, RT_E_RANGE,
		               "token '%.60s' has the id %lld (from 0 to %d are possible)", s,
		               (long long)id, RT_TOKENIZER_IDS - 1);
	if (n > RT_TOKENIZER_TOKEN)
		return rt_fail(err, RT_E_RANGE, "token %lld has %zu bytes (at most %d)",
		               (long long)id, n, RT_TOKENIZER_TOKEN);
	other = vocab_find(v, s, n);
	if (other >= 0)
		return rt_fail(err, RT_E_FORMAT, "token '%.60s' stands twice, as %lld and as %lld",
		               s, (long long)other, (long long)id);
	if ((size_t)id < v->size && v->token[id].there)
		return rt_fail(err, RT_E_FORMAT, "two tokens have the id %lld: '%.60s' and '%.60s'",
		               (long long)id, v->text.data + v->token[id].at, s);
	if (!tok_grow(&v->token, &v->cap, (size_t)id + 1, sizeof *v->token) ||
	    (2 * (v->used + 1) > v->slots && !widen(v)))
		return rt_fail_nomem(err, "the vocabulary");
	if ((size_t)id >= old) {
		memset(v->token + old, 0, ((size_t)id + 1 - old) * sizeof *v->token);
		v->size = (size_t)id + 1;
	}
	v->token[id].at = v->text.len;
	v->token[id].len = (uint32_t)n;
	rt_text_add_n(&v->text, s, n);
	rt_text_add_char(&v->text, '\0');
	if (v->text.failed)
		return rt_fail_nomem(err, "the vocabulary");
	*seek(v, s, n) = (uint32_t)id + 1;
	v->token[id].there = true;
	v->used++;
	return 0;
}

static size_t pair_slot(const struct tok_vocab *v, uint64_t pair)
{
	size_t i = (size_t)mix(pair * UINT64_C(0xff51afd7ed558ccd)) & (v->merge_slots - 1);

	while (v->merge[i].pair != UINT64_MAX && v->merge[i].pair != pair)
		i = (i + 1) & (v->merge_slots - 1);
	return i;
}

int vocab_reserve(struct tok_vocab *v, size_t n, struct rt_error *err)
{
	size_t slots = 64;

	while (slots < 2 * n)
		slots *= 2;
	v->merge = rt_alloc(slots, sizeof *v->merge);
	if (!v->merge)
		return rt_fail_nomem(err, "the merges");
	for (size_t i = 0; i < slots; i++)
		v->merge[i].pair = UINT64_MAX;
	v->merge_slots = slots;
	return 0;
}

int vocab_merge(struct tok_vocab *v, int64_t left, int64_t right, int64_t id, size_t rank,
                struct rt_error *err)
{
	const uint64_t    pair = (uint64_t)left << 32 | (uint64_t)right;
	struct tok_merge *m = &v->merge[pair_slot(v, pair)];

	if (m->pair == pair)
		return rt_fail(err, RT_E_FORMAT,
		               "merges %u and %zu are the same pair: '%.60s' and '%.60s'", m->rank,
		               rank, v->text.data + v->token[left].at,
		               v->text.data + v->token[right].at);
	*m = (struct tok_merge){ pair, (uint32_t)rank, (uint32_t)id };
	v->merges++;
	return 0;
}

const struct tok_merge *vocab_pair(const struct tok_vocab *v, uint32_t left, uint32_t right)
{
	const struct tok_merge *m;

	if (!v->merges)
		return NULL;
	m = &v->merge[pair_slot(v, (uint64_t)left << 32 | right)];
	return m->pair == UINT64_MAX ? NULL : m;
}

void vocab_free(struct tok_vocab *v)
{
	rt_text_free(&v->text);
	rt_free(v->token);
	rt_free(v->slot);
	rt_free(v->merge);
}
