/* tokenizer-export.c - a tokenizer as GGUF metadata, and GGUF metadata as a tokenizer.json.
 *
 * GGUF says the split by a name, so the name is found by trying: every known one makes a
 * tokenizer, and the one that gives the same ids for a long text is it.  The text has what splits
 * differ in (digits, contractions, blanks, line ends, scripts, composed and decomposed letters)
 * and every token of the vocabulary in changing surroundings.  The way back is held to the same
 * proof: nothing is said that was not seen to hold. */
#include "text/tok-known.h"
#include "text/tok.h"

#include <retort/memory.h>

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NORMAL = 1, UNKNOWN, CONTROL, USER, UNUSED, BYTE };
enum { PROBED = 40000 }; /* tokens of which the text is made, at most */

/* ---- the proof ------------------------------------------------------------------------------ */

static const char hard[] =
	"Hello, World! it's I'LL they'd 1 12 123 1234567 3.14 a1b22c333\n\n \n  x\ty\r\n   z   "
	"(a)[b]{c} a_b-c/d\\e \"q\" 'tis HTTPServer camelCase XMLHttp e\xcc\x81\xc3\xa9 "
	"\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xb8\x96\xe7\x95\x8c \xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5"
	"\xd1\x82 \xd9\xa1\xd9\xa2\xd9\xa3 \xf0\x9f\x98\x80\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd "
	"\xe2\x96\x81 \xc2\xa0 !!!???...\n//== <|x|> </s>   ";

/* Tokens one after another, with what makes splits differ between them: of a small vocabulary each
 * token with each. */
static int probe_tokens(const struct rt_tokenizer *t, struct rt_text *out, struct rt_error *err)
{
	static const char *const between[] = { "",   " ", "\n", "'s ", "12",
		                               "  ", "_", " '", "'",   "\t" };
	const int64_t            kinds = (int64_t)(sizeof between / sizeof *between);
	const int64_t            size = rt_tokenizer_size(t), step = 1 + size / PROBED;
	const int64_t            passes = size * kinds <= PROBED ? kinds : 1;
	int                      r = 0;

	for (int64_t pass = 0; pass < passes; pass++)
		for (int64_t i = 0; r == 0 && i < size; i += step) {
			const int32_t id = (int32_t)i;

			r = rt_tokenizer_decode(t, &id, 1, 0, out, err);
			rt_text_add(out, between[(i / step + pass) % kinds]);
		}
	return r;
}

static int probe(const struct rt_tokenizer *t, struct rt_text *out, struct rt_error *err)
{
	int r;

	rt_text_add(out, hard);
	r = probe_tokens(t, out, err);
	for (int k = 0; r == 0 && k < 2; k++) {
		const struct tok_addeds *a = k ? &t->normal : &t->raw;

		for (size_t i = 0; i < a->n; i++) {
			rt_text_add(out, " ");
			rt_text_add_n(out, a->v[i].content.data, a->v[i].content.len);
			rt_text_add(out, i % 2 ? " a" : "a");
		}
	}
	return r < 0 ? r : out->failed ? rt_fail_nomem(err, "a probe") : 0;
}

/* 1: the same ids for the text, with and without special tokens; 0: others. */
static int same_ids(const struct rt_tokenizer *a, const struct rt_tokenizer *b,
                    const struct rt_text *text, struct rt_error *err)
{
	static const unsigned flags[] = { 0, RT_ENCODE_SPECIAL | RT_ENCODE_TEMPLATE };
	int                   same = 1;

	for (int i = 0; same == 1 && i < 2; i++) {
		struct rt_ids x = RT_IDS_INIT, y = RT_IDS_INIT;
		int           r = rt_tokenizer_encode(a, text->data, text->len, flags[i], &x, err);

		if (r == 0)
			r = rt_tokenizer_encode(b, text->data, text->len, flags[i], &y, err);
		same = r < 0 ? r
		             : x.len == y.len &&
		                       memcmp(x.data, y.data, x.len * sizeof *x.data) == 0;
		rt_ids_free(&x);
		rt_ids_free(&y);
	}
	return same;
}

/* ---- vocabulary and merges ------------------------------------------------------------------ */

static int by_rank(const void *a, const void *b)
{
	const struct tok_merge *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return (x->pair > y->pair) - (x->pair < y->pair);
}

/* All merges in their order, in memory of the arena; NULL when that is out. */
static struct tok_merge *merges_of(const struct rt_tokenizer *t, struct rt_arena *room)
{
	struct tok_merge *m = rt_arena_alloc(room, t->vocab.merges + 1, sizeof *m);
	size_t            n = 0;

	for (size_t i = 0; m && i < t->vocab.merge_slots; i++)
		if (t->vocab.merge[i].pair != UINT64_MAX)
			m[n++] = t->vocab.merge[i];
	if (m)
		qsort(m, n, sizeof *m, by_rank);
	return m;
}

static char *spell_merge(const struct rt_tokenizer *t, const struct tok_merge *m,
                         struct rt_arena *room)
{
	const struct tok_token *l = &t->vocab.token[m->pair >> 32];
	const struct tok_token *r = &t->vocab.token[m->pair & UINT32_MAX];
	char                   *s = rt_arena_alloc(room, (size_t)l->len + r->len + 2, 1);

	if (!s)
		return NULL;
	memcpy(s, t->vocab.text.data + l->at, l->len);
	s[l->len] = ' ';
	memcpy(s + l->len + 1, t->vocab.text.data + r->at, r->len);
	return s;
}

/* The arrays that are filled, in memory of the arena. */
struct filled {
	const char **tokens, **merges;
	size_t      *lengths;
	int32_t     *types;
	float       *scores;
};

static bool fill_tokens(const struct rt_tokenizer *t, struct filled *f, struct rt_arena *room)
{
	for (size_t i = 0; i < t->vocab.size; i++) {
		const struct tok_token *k = &t->vocab.token[i];
		char                   *pad = k->there ? NULL : rt_arena_alloc(room, 32, 1);

		if (!k->there && !pad)
			return false;
		if (pad)
			snprintf(pad, 32, "[PAD%zu]", i);
		f->tokens[i] = k->there ? t->vocab.text.data + k->at : pad;
		f->lengths[i] = k->there ? k->len : strlen(pad);
		f->types[i] = k->there ? NORMAL : UNUSED;
		f->scores[i] = -FLT_MAX / 2;
	}
	for (int k = 0; k < 2; k++) {
		const struct tok_addeds *a = k ? &t->normal : &t->raw;

		for (size_t i = 0; i < a->n; i++)
			f->types[a->v[i].id] = a->v[i].special ? CONTROL : USER;
	}
	for (int b = 0; t->byte_fallback && b < 256; b++)
		if (t->byte[b] >= 0)
			f->types[t->byte[b]] = BYTE;
	if (t->unk >= 0)
		f->types[t->unk] = UNKNOWN;
	return true;
}

/* A token's score is minus the rank of the first merge that makes it. */
static bool fill_merges(const struct rt_tokenizer *t, struct filled *f, struct rt_arena *room)
{
	const struct tok_merge *m = merges_of(t, room);

	for (size_t i = 0; m && i < t->vocab.merges; i++) {
		if (f->scores[m[i].id] < -FLT_MAX / 4)
			f->scores[m[i].id] = -(float)m[i].rank;
		f->merges[i] = spell_merge(t, &m[i], room);
		if (!f->merges[i])
			return false;
	}
	return m != NULL;
}

static int fill(const struct rt_tokenizer *t, struct rt_tokenizer_arrays *a, struct rt_arena *room,
                struct rt_error *err)
{
	const size_t  n = t->vocab.size;
	struct filled f = { rt_arena_alloc(room, n, sizeof *f.tokens),
		            rt_arena_alloc(room, t->vocab.merges + 1, sizeof *f.merges),
		            rt_arena_alloc(room, n, sizeof *f.lengths),
		            rt_arena_alloc(room, n, sizeof *f.types),
		            rt_arena_alloc(room, n, sizeof *f.scores) };

	if (!f.tokens || !f.merges || !f.lengths || !f.types || !f.scores ||
	    !fill_tokens(t, &f, room) || !fill_merges(t, &f, room))
		return rt_fail_nomem(err, "a tokenizer");
	*a = (struct rt_tokenizer_arrays){ .tokens = f.tokens,
		                           .lengths = f.lengths,
		                           .token_count = (int64_t)n,
		                           .merges = f.merges,
		                           .merge_count = (int64_t)t->vocab.merges,
		                           .scores = f.scores,
		                           .types = f.types,
		                           .bos = t->before.len ? t->before.data[0] : -1,
		                           .eos = t->after.len ? t->after.data[0] : -1,
		                           .unk = t->unk,
		                           .add_bos = t->before.len > 0,
		                           .add_eos = t->after.len > 0 };
	return 0;
}

/* ---- to GGUF -------------------------------------------------------------------------------- */

static const struct {
	const char *model, *pre;
	bool        add_space;
} candidates[] = { { "gpt2", "qwen2", false },     { "gpt2", "llama-bpe", false },
	           { "gpt2", "gpt-2", false },     { "gpt2", "smollm", false },
	           { "gpt2", "smaug-bpe", false }, { "gpt2", "tekken", false },
	           { "llama", NULL, true },        { "llama", NULL, false } };

/* 1: these arrays give the same ids; 0: they do not. */
static int holds(const struct rt_tokenizer *t, const struct rt_tokenizer_arrays *a,
                 const struct rt_text *text, struct rt_error *err)
{
	struct rt_tokenizer *other = NULL;
	int                  r = rt_tokenizer_from_arrays(&other, a, err);

	r = r == 0 ? same_ids(t, other, text, err) : r == RT_E_NOMEM ? r : 0;
	rt_tokenizer_free(other);
	return r;
}

int rt_tokenizer_to_arrays(const struct rt_tokenizer *t, struct rt_tokenizer_arrays *ret,
                           struct rt_arena *room, struct rt_error *err)
{
	struct rt_tokenizer_arrays a;
	struct rt_text             text = RT_TEXT_INIT;
	int                        r = fill(t, &a, room, err), found = 0;

	if (r == 0)
		r = probe(t, &text, err);
	for (size_t i = 0; r == 0 && !found && i < sizeof candidates / sizeof *candidates; i++) {
		const bool llama = strcmp(candidates[i].model, "llama") == 0;

		if (llama != t->byte_fallback)
			continue;
		*ret = a;
		ret->model = candidates[i].model;
		ret->pre = candidates[i].pre;
		ret->add_space = candidates[i].add_space;
		if (llama)
			ret->merge_count = 0;
		else
			ret->scores = NULL;
		r = holds(t, ret, &text, err);
		found = r == 1;
		r = r < 0 ? r : 0;
	}
	rt_text_free(&text);
	if (r == 0 && !found)
		return rt_fail(err, RT_E_UNSUP,
		               "the tokenizer has no spelling in GGUF: no split that has a name "
		               "there gives the same tokens");
	return r;
}

/* ---- to tokenizer.json ---------------------------------------------------------------------- */

static int add_model(struct rt_json *all, const struct rt_tokenizer *t, struct rt_arena *room)
{
	struct rt_json *model = rt_json_new_object(), *vocab = rt_json_new_object(),
		       *merges = rt_json_new_array();
	const struct tok_merge *m = merges_of(t, room);
	int                     r = model && vocab && merges && m ? 0 : RT_E_NOMEM;

	for (size_t i = 0; r == 0 && i < t->vocab.size; i++)
		if (t->vocab.token[i].there)
			r = rt_json_set(vocab, t->vocab.text.data + t->vocab.token[i].at,
			                rt_json_new_int((int64_t)i));
	for (size_t i = 0; r == 0 && i < t->vocab.merges; i++) {
		const struct tok_token *l = &t->vocab.token[m[i].pair >> 32];
		const struct tok_token *e = &t->vocab.token[m[i].pair & UINT32_MAX];
		struct rt_json         *pair = rt_json_new_array();

		r = rt_json_append(merges, pair);
		if (r == 0)
			r |= rt_json_append(
				pair, rt_json_new_string_n(t->vocab.text.data + l->at, l->len));
		if (r == 0)
			r |= rt_json_append(
				pair, rt_json_new_string_n(t->vocab.text.data + e->at, e->len));
	}
	if (r == 0) {
		r |= rt_json_set(model, "type", rt_json_new_string("BPE"));
		r |= rt_json_set(model, "dropout", rt_json_new_null());
		r |= rt_json_set(model, "unk_token",
		                 rt_json_new_string(rt_tokenizer_token(t, t->unk, NULL)));
		r |= rt_json_set(model, "fuse_unk", rt_json_new_bool(t->fuse_unk));
		r |= rt_json_set(model, "byte_fallback", rt_json_new_bool(t->byte_fallback));
		r |= rt_json_set(model, "ignore_merges", rt_json_new_bool(t->ignore_merges));
		r |= rt_json_set(model, "vocab", rt_json_ref(vocab));
		r |= rt_json_set(model, "merges", rt_json_ref(merges));
		r |= rt_json_set(all, "model", rt_json_ref(model));
	}
	rt_json_free(model);
	rt_json_free(vocab);
	rt_json_free(merges);
	return r;
}

/* In the order of the ids, as the tokenizers library wants them. */
static int add_added(struct rt_json *all, const struct rt_tokenizer *t,
                     const struct rt_tokenizer_arrays *a)
{
	static const char *const no[] = { "single_word", "lstrip", "rstrip", "normalized" };
	struct rt_json          *list = rt_json_new_array();
	int                      r = list ? 0 : RT_E_NOMEM;

	for (int64_t i = 0; r == 0 && a->types && i < a->token_count; i++) {
		struct rt_json *o;
		size_t          n = 0;
		const char     *s = rt_tokenizer_token(t, i, &n);

		if (!s || n == 0 ||
		    (a->types[i] != CONTROL && a->types[i] != USER && a->types[i] != UNKNOWN))
			continue;
		o = rt_json_new_object();
		r = rt_json_append(list, o);
		if (r < 0)
			break;
		r |= rt_json_set(o, "id", rt_json_new_int(i));
		r |= rt_json_set(o, "content", rt_json_new_string_n(s, n));
		for (int k = 0; k < 4; k++)
			r |= rt_json_set(o, no[k], rt_json_new_bool(false));
		r |= rt_json_set(o, "special", rt_json_new_bool(rt_tokenizer_special(t, i)));
	}
	r |= rt_json_set(all, "added_tokens", rt_json_ref(list));
	rt_json_free(list);
	return r;
}

/* The piece of a template for one token, as JSON text. */
static void add_special(struct rt_text *to, const char *quoted)
{
	rt_text_printf(to, "{\"SpecialToken\":{\"id\":%s,\"type_id\":0}}", quoted);
}

/* What stands around a text: the begin and the end token. */
static int add_post(struct rt_json *all, const struct rt_tokenizer *t, struct rt_error *err)
{
	const struct rt_ids *around[2] = { &t->before, &t->after };
	struct rt_text       text = RT_TEXT_INIT, names = RT_TEXT_INIT, name = RT_TEXT_INIT;
	struct rt_json      *j = NULL, *word;
	int                  r;

	if (t->before.len == 0 && t->after.len == 0)
		return 0;
	rt_text_add(&text, "{\"type\":\"TemplateProcessing\",\"single\":[");
	for (int k = 0; k < 2; k++) {
		if (k)
			rt_text_add(&text, "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}");
		if (around[k]->len == 0)
			continue;
		word = rt_json_new_string(rt_tokenizer_token(t, around[k]->data[0], NULL));
		rt_text_clear(&name);
		rt_json_print(word, 0, &name);
		name.failed = name.failed || !word;
		rt_json_free(word);
		rt_text_add(&text, k ? "," : "");
		add_special(&text, name.data);
		rt_text_add(&text, k ? "" : ",");
		rt_text_printf(&names, "%s%s:{\"id\":%s,\"ids\":[%d],\"tokens\":[%s]}",
		               names.len ? "," : "", name.data, name.data, (int)around[k]->data[0],
		               name.data);
	}
	rt_text_printf(&text,
	               "],\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"
	               "{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{%s}}",
	               names.data);
	if (text.failed || names.failed || name.failed)
		r = rt_fail_nomem(err, "a tokenizer");
	else
		r = rt_json_parse(text.data, text.len, "post_processor", 1, &j, err);
	if (r == 0 && rt_json_set(all, "post_processor", j) != 0)
		r = rt_fail_nomem(err, "a tokenizer");
	rt_text_free(&text);
	rt_text_free(&names);
	rt_text_free(&name);
	return r;
}

static int describe(struct rt_json *all, const struct rt_tokenizer *t,
                    const struct rt_tokenizer_arrays *a, struct rt_error *err)
{
	struct rt_arena room = RT_ARENA_INIT;
	const bool      llama = strcmp(a->model, "llama") == 0;
	int             r = rt_json_set(all, "version", rt_json_new_string("1.0"));

	r |= rt_json_set(all, "truncation", rt_json_new_null());
	r |= rt_json_set(all, "padding", rt_json_new_null());
	r |= add_added(all, t, a);
	r |= rt_json_set(all, "normalizer", rt_json_new_null());
	r |= rt_json_set(all, "pre_tokenizer", rt_json_new_null());
	r |= rt_json_set(all, "post_processor", rt_json_new_null());
	r |= rt_json_set(all, "decoder", rt_json_new_null());
	if (r == 0)
		r = llama ? tok_known_llama(a->add_space, all, err)
		          : tok_known_split(a->pre ? a->pre : "default", all, err);
	else
		r = rt_fail_nomem(err, "a tokenizer");
	rt_json_remove(all, "ignore_merges"); /* the model says it */
	if (r == 0 && add_model(all, t, &room) < 0)
		r = rt_fail_nomem(err, "a tokenizer");
	if (r == 0)
		r = add_post(all, t, err);
	rt_arena_free(&room);
	return r;
}

/* The proof: what was said gives the same ids. */
static int prove(const struct rt_tokenizer *t, const struct rt_json *all, struct rt_error *err)
{
	struct rt_tokenizer *other = NULL;
	struct rt_text       text = RT_TEXT_INIT;
	int                  r = rt_tokenizer_from_json(&other, all, err);

	if (r == 0)
		r = probe(t, &text, err);
	if (r == 0)
		r = same_ids(t, other, &text, err);
	if (r == 0)
		r = rt_fail(err, RT_E_UNSUP,
		            "a tokenizer.json would not give the same tokens as this GGUF file");
	rt_tokenizer_free(other);
	rt_text_free(&text);
	return r < 0 ? r : 0;
}

int rt_tokenizer_arrays_json(struct rt_json **ret, const struct rt_tokenizer_arrays *a,
                             struct rt_error *err)
{
	struct rt_tokenizer *t = NULL;
	struct rt_json      *all = rt_json_new_object();
	int r = all ? rt_tokenizer_from_arrays(&t, a, err) : rt_fail_nomem(err, "a tokenizer");

	if (r == 0)
		r = describe(all, t, a, err);
	if (r == 0)
		r = prove(t, all, err);
	rt_tokenizer_free(t);
	if (r == 0)
		*ret = all;
	else
		rt_json_free(all);
	return r;
}
