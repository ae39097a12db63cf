/* tokenizer-arrays.c - a tokenizer from the arrays of GGUF metadata. */
#include "text/tok-known.h"
#include "text/tok.h"

#include <retort/memory.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NORMAL = 1, UNKNOWN, CONTROL, USER, UNUSED, BYTE };

static size_t length(const struct rt_tokenizer_arrays *a, int64_t i)
{
	return a->lengths ? a->lengths[i] : strlen(a->tokens[i]);
}

static int read_tokens(struct rt_tokenizer *t, const struct rt_tokenizer_arrays *a,
                       struct rt_error *err)
{
	int r = 0;

	for (int64_t i = 0; r == 0 && i < a->token_count; i++) {
		const size_t     n = length(a, i);
		const int32_t    type = a->types ? a->types[i] : NORMAL;
		struct tok_added like = { .id = i, .special = type == CONTROL || type == UNKNOWN };

		if (rt_utf8_check(a->tokens[i], n) != n)
			return rt_fail(err, RT_E_FORMAT, "token %lld is not UTF-8", (long long)i);
		r = vocab_add(&t->vocab, a->tokens[i], n, i, err);
		if (r == 0 && (type == CONTROL || type == USER || type == UNKNOWN) && n > 0)
			r = tok_add_token(t, &like, a->tokens[i], n, err);
	}
	return r;
}

static int read_merges(struct tok_vocab *v, const struct rt_tokenizer_arrays *a,
                       struct rt_error *err)
{
	struct rt_text whole = RT_TEXT_INIT;
	int            r = vocab_reserve(v, (size_t)a->merge_count, err);

	for (int64_t i = 0; r == 0 && i < a->merge_count; i++) {
		const char *s = a->merges[i], *space = *s ? strchr(s + 1, ' ') : NULL;
		int64_t     left, right, to;

		if (!space || !space[1]) {
			r = rt_fail(err, RT_E_FORMAT,
			            "merge %lld is '%.60s', not two tokens with a space between",
			            (long long)i, s);
			break;
		}
		rt_text_clear(&whole);
		rt_text_add_n(&whole, s, (size_t)(space - s));
		rt_text_add(&whole, space + 1);
		left = vocab_find(v, s, (size_t)(space - s));
		right = vocab_find(v, space + 1, strlen(space + 1));
		to = vocab_find(v, whole.data, whole.len);
		if (whole.failed)
			r = rt_fail_nomem(err, "a merge");
		else if (left < 0 || right < 0 || to < 0)
			r = rt_fail(
				err, RT_E_FORMAT,
				"merge %lld ('%.60s') names a token that is not in the vocabulary",
				(long long)i, s);
		else
			r = vocab_merge(v, left, right, to, (size_t)i, err);
	}
	rt_text_free(&whole);
	return r;
}

struct scored {
	float   score;
	int64_t id;
};

static int by_score(const void *x, const void *y)
{
	const struct scored *a = x, *b = y;

	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	return (a->id > b->id) - (a->id < b->id);
}

/* Every cut of a token into two tokens is a merge; its rank is that of the token's score. */
static int cuts_of(struct tok_vocab *v, int64_t id, uint32_t rank, size_t *count, bool add,
                   struct rt_error *err)
{
	const struct tok_token *t = &v->token[id];
	const char             *s = v->text.data + t->at;

	for (size_t i = 1; i < t->len; i++) {
		int64_t left, right;
		int     r;

		if (((unsigned char)s[i] & 0xc0) == 0x80)
			continue;
		left = vocab_find(v, s, i);
		right = left < 0 ? -1 : vocab_find(v, s + i, t->len - i);
		if (right < 0)
			continue;
		++*count;
		r = add ? vocab_merge(v, left, right, id, rank, err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int derive_merges(struct tok_vocab *v, const struct rt_tokenizer_arrays *a,
                         struct rt_error *err)
{
	struct scored *s = rt_alloc((size_t)a->token_count, sizeof *s);
	size_t         n = 0, count = 0;
	int            r = 0;

	if (!s)
		return rt_fail_nomem(err, "the merges");
	for (int64_t i = 0; i < a->token_count; i++) {
		const int32_t type = a->types ? a->types[i] : NORMAL;

		if (!isfinite(a->scores[i])) {
			r = rt_fail(err, RT_E_FORMAT, "the score of token %lld is not finite",
			            (long long)i);
			goto out;
		}
		if (v->token[i].len > 512) {
			r = rt_fail(err, RT_E_RANGE,
			            "token %lld has %u bytes (at most 512 where scores decide)",
			            (long long)i, v->token[i].len);
			goto out;
		}
		if (type != CONTROL && type != BYTE && type != UNKNOWN)
			s[n++] = (struct scored){ a->scores[i], i };
	}
	qsort(s, n, sizeof *s, by_score);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = cuts_of(v, s[i].id, 0, &count, false, err);
	if (r == 0)
		r = vocab_reserve(v, count, err);
	count = 0;
	for (size_t i = 0, rank = 0; r == 0 && i < n; i++) {
		rank = i > 0 && s[i].score == s[i - 1].score ? rank : i;
		r = cuts_of(v, s[i].id, (uint32_t)rank, &count, true, err);
	}
out:
	rt_free(s);
	return r;
}

static int around(struct rt_tokenizer *t, const struct rt_tokenizer_arrays *a, struct rt_error *err)
{
	if (a->add_bos && !rt_tokenizer_token(t, a->bos, NULL))
		return rt_fail(err, RT_E_FORMAT, "add_bos_token without a bos token (%lld)",
		               (long long)a->bos);
	if (a->add_eos && !rt_tokenizer_token(t, a->eos, NULL))
		return rt_fail(err, RT_E_FORMAT, "add_eos_token without an eos token (%lld)",
		               (long long)a->eos);
	if (a->add_bos)
		rt_ids_add(&t->before, (int32_t)a->bos);
	if (a->add_eos)
		rt_ids_add(&t->after, (int32_t)a->eos);
	return t->before.failed || t->after.failed ? rt_fail_nomem(err, "a tokenizer") : 0;
}

static int build(struct rt_tokenizer *t, const struct rt_tokenizer_arrays *a, struct rt_error *err)
{
	const bool      llama = strcmp(a->model, "llama") == 0;
	struct rt_json *chain = rt_json_new_object();
	int             r;

	if (!chain)
		return rt_fail_nomem(err, "a tokenizer");
	r = llama ? tok_known_llama(a->add_space, chain, err)
	          : tok_known_split(a->pre ? a->pre : "default", chain, err);
	if (r == 0)
		r = tok_read_chain(t, chain, err);
	t->ignore_merges = rt_json_bool(rt_json_get(chain, "ignore_merges"), false);
	rt_json_free(chain);
	if (r == 0)
		r = read_tokens(t, a, err);
	if (r == 0)
		r = llama ? derive_merges(&t->vocab, a, err) : read_merges(&t->vocab, a, err);
	if (r == 0)
		r = around(t, a, err);
	if (llama) {
		t->byte_fallback = t->fuse_unk = true;
		t->unk = rt_tokenizer_token(t, a->unk, NULL) ? a->unk : -1;
	}
	return r;
}

int rt_tokenizer_from_arrays(struct rt_tokenizer **ret, const struct rt_tokenizer_arrays *a,
                             struct rt_error *err)
{
	struct rt_tokenizer *t;
	int                  r;

	if (!a->model || (strcmp(a->model, "gpt2") != 0 && strcmp(a->model, "llama") != 0))
		return rt_fail(
			err, RT_E_UNSUP,
			"the tokenizer.ggml.model '%.60s' is not supported: gpt2 and llama are",
			a->model ? a->model : "");
	if (a->token_count < 1 || a->token_count > RT_TOKENIZER_IDS || a->merge_count < 0 ||
	    a->merge_count > 4 * (int64_t)RT_TOKENIZER_IDS)
		return rt_fail(err, RT_E_RANGE,
		               "%lld tokens with %lld merges (from 1 to %d tokens are possible)",
		               (long long)a->token_count, (long long)a->merge_count,
		               RT_TOKENIZER_IDS);
	if (strcmp(a->model, "llama") == 0 && !a->scores)
		return rt_fail(err, RT_E_FORMAT, "the tokenizer.ggml.model 'llama' needs scores");
	t = tok_new();
	if (!t)
		return rt_fail_nomem(err, "a tokenizer");
	r = build(t, a, err);
	if (r < 0) {
		rt_tokenizer_free(t);
		return r;
	}
	tok_finish(t);
	*ret = t;
	return 0;
}
