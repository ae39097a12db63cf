/* tokenizer-train.c - training of a byte-level BPE.
 *
 * Texts are split to words, and words counted.  Then the most frequent pair of neighbours is
 * merged again and again; of pairs that are equally frequent, the one with the smaller ids.  A
 * heap holds each pair with its words; a count that has fallen since is put right when the pair
 * comes up (the method of the Hugging Face trainer, which the merges must equal). */
#include "text/tok.h"

#include <retort/memory.h>

#include <string.h>

struct list {
	uint32_t *v; /* words, each once */
	size_t    n, cap;
};

struct pair {
	uint64_t    key; /* left << 32 | right; UINT64_MAX: free */
	int64_t     count;
	struct list fresh; /* words that got it in this round */
};

struct candidate {
	int64_t     count;
	uint64_t    key;
	struct list words;
};

struct word {
	uint32_t *id;
	uint32_t  n;
	int64_t   count;
};

struct rt_bpe_trainer {
	struct tok_splits   splits;
	struct rt_json     *pre; /* the pre_tokenizer, as it is written */
	int64_t             vocab_size, min_frequency, end; /* id of end_of_text, or -1 */
	int64_t             specials, added;                /* added: and marks */
	struct tok_vocab    vocab, words;                   /* words: spelling to number */
	int64_t            *counts;
	size_t              counts_cap;
	struct regex_match *match;
	/* while merging */
	struct word      *word;
	struct pair      *pair;
	size_t            pairs, slots;
	uint64_t         *fresh; /* keys with a fresh list */
	size_t            fresh_n, fresh_cap;
	struct candidate *heap;
	size_t            heap_n, heap_cap;
	struct rt_json   *merges;
};

static int read_pre(struct rt_bpe_trainer *b, const char *pattern, struct rt_error *err)
{
	static const char text[] = "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_"
				   "offsets\":true,\"use_regex\":true}";
	struct rt_json   *level = NULL, *o, *p, *list;
	int               r = rt_json_parse(text, sizeof text - 1, "pre_tokenizer", 1, &level, err);

	if (r < 0)
		return r;
	b->pre = level;
	if (pattern) {
		o = rt_json_new_object();
		p = rt_json_new_object();
		list = rt_json_new_array();
		b->pre = rt_json_new_object();
		r |= rt_json_set(level, "use_regex", rt_json_new_bool(false));
		r |= rt_json_set(p, "Regex", rt_json_new_string(pattern));
		r |= rt_json_set(o, "type", rt_json_new_string("Split"));
		r |= rt_json_set(o, "pattern", p);
		r |= rt_json_set(o, "behavior", rt_json_new_string("Isolated"));
		r |= rt_json_set(o, "invert", rt_json_new_bool(false));
		r |= rt_json_append(list, o);
		r |= rt_json_append(list, level);
		r |= rt_json_set(b->pre, "type", rt_json_new_string("Sequence"));
		r |= rt_json_set(b->pre, "pretokenizers", list);
		if (r)
			return rt_fail_nomem(err, "a trainer");
	}
	return splits_read(&b->splits, b->pre, 0, err);
}

/* Special tokens and marks, then the 256 bytes in the order of their characters. */
static int alphabet(struct rt_bpe_trainer *b, const struct rt_bpe_config *c, struct rt_error *err)
{
	int r = 0;

	b->end = -1;
	b->specials = c->special.n;
	b->added = c->special.n + c->marks.n;
	for (int64_t i = 0; r == 0 && i < b->added; i++) {
		const char *s = i < b->specials ? c->special.at[i] : c->marks.at[i - b->specials];

		if (!*s || vocab_find(&b->vocab, s, strlen(s)) >= 0)
			return rt_fail(err, RT_E_INVAL, "the special token or mark '%.60s' is %s",
			               s, *s ? "there twice" : "empty");
		r = vocab_add(&b->vocab, s, strlen(s), i, err);
		if (i < b->specials && c->end_of_text && strcmp(c->end_of_text, s) == 0)
			b->end = i;
	}
	if (r == 0 && c->end_of_text && b->end < 0)
		return rt_fail(err, RT_E_INVAL,
		               "end_of_text '%.60s' is not among the special tokens",
		               c->end_of_text);
	for (uint32_t code = 33; r == 0 && code < 512; code++) {
		char s[5] = "";

		if (tok_char_to_byte(code) < 0)
			continue;
		s[rt_utf8_encode(code, s)] = '\0';
		if (vocab_find(&b->vocab, s, strlen(s)) < 0)
			r = vocab_add(&b->vocab, s, strlen(s), (int64_t)b->vocab.size, err);
	}
	return r;
}

int rt_bpe_trainer_new(struct rt_bpe_trainer **ret, const struct rt_bpe_config *config,
                       struct rt_error *err)
{
	struct rt_bpe_trainer *b = rt_alloc(1, sizeof *b);
	int                    r;

	if (!b)
		return rt_fail_nomem(err, "a trainer");
	b->vocab.text = b->words.text = (struct rt_text)RT_TEXT_INIT;
	b->vocab_size = config->vocab_size;
	b->min_frequency = config->min_frequency;
	r = read_pre(b, config->pattern, err);
	if (r == 0)
		r = alphabet(b, config, err);
	if (r == 0 && (b->vocab_size < (int64_t)b->vocab.size || b->vocab_size > RT_TOKENIZER_IDS))
		r = rt_fail(
			err, RT_E_RANGE,
			"vocab_size = %lld (from %zu, the bytes, special tokens and marks, to %d)",
			(long long)b->vocab_size, b->vocab.size, RT_TOKENIZER_IDS);
	if (r == 0)
		r = regex_match_new(&b->match, err);
	if (r < 0)
		rt_bpe_trainer_free(b);
	else
		*ret = b;
	return r;
}

static int count(struct rt_bpe_trainer *b, const char *s, size_t n, struct rt_error *err)
{
	int64_t id = vocab_find(&b->words, s, n);
	int     r = 0;

	if (id < 0) {
		id = (int64_t)b->words.size;
		r = vocab_add(&b->words, s, n, id, err);
		if (r == 0 &&
		    !tok_grow(&b->counts, &b->counts_cap, (size_t)id + 1, sizeof *b->counts))
			r = rt_fail_nomem(err, "the words");
		if (r < 0)
			return r;
		b->counts[id] = 0;
	}
	b->counts[id]++;
	return 0;
}

int rt_bpe_trainer_add(struct rt_bpe_trainer *b, const char *text, size_t n, struct rt_error *err)
{
	struct tok_pieces p = { .text = RT_TEXT_INIT }, spare = { .text = RT_TEXT_INIT };
	struct tok_cuts   cuts = { 0 };
	int               r;

	if (rt_utf8_check(text, n) != n)
		return rt_fail(err, RT_E_FORMAT, "the text is not UTF-8 at byte %zu",
		               rt_utf8_check(text, n));
	pieces_add(&p, text, n, -1, true);
	r = p.failed ? rt_fail_nomem(err, "a text")
	             : splits_apply(&b->splits, b->match, &cuts, &p, &spare, err);
	for (size_t i = 0; r == 0 && i < p.n; i++)
		r = count(b, p.text.data + p.v[i].at, p.v[i].len, err);
	pieces_free(&p);
	pieces_free(&spare);
	rt_free(cuts.v);
	return r;
}

/* ---- merging ---- */

static size_t slot_of(const struct rt_bpe_trainer *b, uint64_t key)
{
	uint64_t h = key * UINT64_C(0x9e3779b97f4a7c15);
	size_t   i = (size_t)(h ^ h >> 31) & (b->slots - 1);

	while (b->pair[i].key != UINT64_MAX && b->pair[i].key != key)
		i = (i + 1) & (b->slots - 1);
	return i;
}

static struct pair *pair_of(struct rt_bpe_trainer *b, uint64_t key)
{
	struct pair *old = b->pair;
	size_t       slots = b->slots;

	if (2 * (b->pairs + 1) > slots) {
		struct pair *more = rt_alloc(slots ? 2 * slots : 4096, sizeof *more);

		if (!more)
			return NULL;
		b->pair = more;
		b->slots = slots ? 2 * slots : 4096;
		for (size_t i = 0; i < b->slots; i++)
			b->pair[i].key = UINT64_MAX;
		for (size_t i = 0; i < slots; i++)
			if (old[i].key != UINT64_MAX)
				b->pair[slot_of(b, old[i].key)] = old[i];
		rt_free(old);
	}
	old = &b->pair[slot_of(b, key)];
	if (old->key == UINT64_MAX) {
		old->key = key;
		b->pairs++;
	}
	return old;
}

static bool change(struct rt_bpe_trainer *b, uint32_t left, uint32_t right, int64_t by,
                   uint32_t word)
{
	const uint64_t key = (uint64_t)left << 32 | right;
	struct pair   *p = pair_of(b, key);

	if (!p)
		return false;
	p->count += by;
	if (by < 0 || (p->fresh.n && p->fresh.v[p->fresh.n - 1] == word))
		return true;
	if (p->fresh.n == 0) {
		if (!tok_grow(&b->fresh, &b->fresh_cap, b->fresh_n + 1, sizeof *b->fresh))
			return false;
		b->fresh[b->fresh_n++] = key;
	}
	if (!tok_grow(&p->fresh.v, &p->fresh.cap, p->fresh.n + 1, sizeof *p->fresh.v))
		return false;
	p->fresh.v[p->fresh.n++] = word;
	return true;
}

static bool above(const struct candidate *x, const struct candidate *y)
{
	return x->count != y->count ? x->count > y->count : x->key < y->key;
}

static bool push(struct rt_bpe_trainer *b, struct candidate c)
{
	size_t i = b->heap_n;

	if (!tok_grow(&b->heap, &b->heap_cap, b->heap_n + 1, sizeof *b->heap))
		return false;
	b->heap_n++;
	for (; i > 0 && above(&c, &b->heap[(i - 1) / 2]); i = (i - 1) / 2)
		b->heap[i] = b->heap[(i - 1) / 2];
	b->heap[i] = c;
	return true;
}

static struct candidate pop(struct rt_bpe_trainer *b)
{
	const struct candidate top = b->heap[0], last = b->heap[--b->heap_n];
	size_t                 i = 0;

	for (size_t child; (child = 2 * i + 1) < b->heap_n; i = child) {
		if (child + 1 < b->heap_n && above(&b->heap[child + 1], &b->heap[child]))
			child++;
		if (!above(&b->heap[child], &last))
			break;
		b->heap[i] = b->heap[child];
	}
	b->heap[i] = last;
	return top;
}

/* Pairs that became more frequent in this round are candidates now. */
static bool queue(struct rt_bpe_trainer *b)
{
	for (size_t i = 0; i < b->fresh_n; i++) {
		struct pair     *p = pair_of(b, b->fresh[i]);
		struct candidate c;

		if (!p)
			return false;
		c = (struct candidate){ p->count, p->key, p->fresh };
		if (p->count > 0 && !push(b, c))
			return false;
		if (p->count <= 0)
			rt_free(p->fresh.v);
		p->fresh = (struct list){ 0 };
	}
	b->fresh_n = 0;
	return true;
}

static bool start(struct rt_bpe_trainer *b)
{
	b->word = rt_alloc(b->words.size, sizeof *b->word);
	for (size_t w = 0; b->word && w < b->words.size; w++) {
		const struct tok_token *t = &b->words.token[w];
		const char             *s = b->words.text.data + t->at;
		struct word            *word = &b->word[w];

		word->count = b->counts[w];
		word->id = rt_alloc(t->len, sizeof *word->id);
		if (!word->id)
			return false;
		for (size_t i = 0, len; i < t->len; i += len) {
			rt_utf8_decode(s + i, t->len - i, &len);
			word->id[word->n++] = (uint32_t)vocab_find(&b->vocab, s + i, len);
		}
		for (uint32_t i = 0; i + 1 < word->n; i++)
			if (!change(b, word->id[i], word->id[i + 1], word->count, (uint32_t)w))
				return false;
	}
	return b->word && queue(b);
}

static bool merge_word(struct rt_bpe_trainer *b, uint32_t w, uint32_t left, uint32_t right,
                       uint32_t to)
{
	struct word *word = &b->word[w];
	uint32_t     n = 0; /* symbols that are done */
	bool         ok = true;

	for (uint32_t i = 0; i < word->n; i++) {
		if (i + 1 == word->n || word->id[i] != left || word->id[i + 1] != right) {
			word->id[n++] = word->id[i];
			continue;
		}
		if (n > 0)
			ok = ok && change(b, word->id[n - 1], left, -word->count, w) &&
			     change(b, word->id[n - 1], to, word->count, w);
		if (i + 2 < word->n)
			ok = ok && change(b, right, word->id[i + 2], -word->count, w) &&
			     change(b, to, word->id[i + 2], word->count, w);
		word->id[n++] = to;
		i++;
	}
	word->n = n;
	return ok;
}

static int new_token(struct rt_bpe_trainer *b, uint32_t left, uint32_t right, int64_t *ret,
                     struct rt_error *err)
{
	const struct tok_token *t = b->vocab.token;
	struct rt_text          whole = RT_TEXT_INIT;
	struct rt_json         *merge = rt_json_new_array();
	int                     r = 0;

	rt_text_add_n(&whole, b->vocab.text.data + t[left].at, t[left].len);
	rt_text_add_n(&whole, b->vocab.text.data + t[right].at, t[right].len);
	r |= rt_json_append(merge, rt_json_new_string(b->vocab.text.data + t[left].at));
	r |= rt_json_append(merge, rt_json_new_string(b->vocab.text.data + t[right].at));
	r |= rt_json_append(b->merges, merge);
	if (r || whole.failed) {
		rt_text_free(&whole);
		return rt_fail_nomem(err, "a merge");
	}
	*ret = vocab_find(&b->vocab, whole.data, whole.len);
	if (*ret < 0) {
		*ret = (int64_t)b->vocab.size;
		r = vocab_add(&b->vocab, whole.data, whole.len, *ret, err);
	}
	rt_text_free(&whole);
	return r;
}

static int merge_all(struct rt_bpe_trainer *b, struct rt_error *err)
{
	const int64_t least = b->min_frequency > 1 ? b->min_frequency : 1;

	if (!start(b))
		return rt_fail_nomem(err, "training");
	while ((int64_t)b->vocab.size < b->vocab_size && b->heap_n > 0) {
		struct candidate c = pop(b);
		const uint32_t   left = (uint32_t)(c.key >> 32), right = (uint32_t)c.key;
		struct pair     *p = pair_of(b, c.key);
		int64_t          to = -1;
		bool             ok = p != NULL;
		int              r = 0;

		if (ok && p->count != c.count) { /* it has fallen since */
			c.count = p->count;
			ok = push(b, c);
			if (ok)
				continue;
		}
		if (ok && c.count >= least)
			r = new_token(b, left, right, &to, err);
		for (size_t i = 0; ok && to >= 0 && i < c.words.n; i++)
			ok = merge_word(b, c.words.v[i], left, right, (uint32_t)to);
		rt_free(c.words.v);
		if (r < 0)
			return r;
		if (!ok || !queue(b))
			return rt_fail_nomem(err, "training");
		if (to < 0)
			break;
	}
	return 0;
}

/* ---- writing ---- */

static int added(const struct rt_bpe_trainer *b, struct rt_json *list)
{
	static const char *const no[] = { "single_word", "lstrip", "rstrip", "normalized" };
	int                      r = 0;

	for (int64_t i = 0; i < b->added; i++) {
		struct rt_json *o = rt_json_new_object();

		r |= rt_json_set(o, "id", rt_json_new_int(i));
		r |= rt_json_set(o, "content",
		                 rt_json_new_string(b->vocab.text.data + b->vocab.token[i].at));
		for (int k = 0; k < 4; k++)
			r |= rt_json_set(o, no[k], rt_json_new_bool(false));
		r |= rt_json_set(o, "special", rt_json_new_bool(i < b->specials));
		r |= rt_json_append(list, o);
	}
	return r;
}

static int write_model(struct rt_bpe_trainer *b, struct rt_json *all)
{
	struct rt_json *model = rt_json_new_object(), *vocab = rt_json_new_object();
	int             r = 0;

	for (size_t i = 0; r == 0 && i < b->vocab.size; i++)
		r = rt_json_set(vocab, b->vocab.text.data + b->vocab.token[i].at,
		                rt_json_new_int((int64_t)i));
	r |= rt_json_set(model, "type", rt_json_new_string("BPE"));
	r |= rt_json_set(model, "dropout", rt_json_new_null());
	r |= rt_json_set(model, "unk_token", rt_json_new_null());
	r |= rt_json_set(model, "continuing_subword_prefix", rt_json_new_null());
	r |= rt_json_set(model, "end_of_word_suffix", rt_json_new_null());
	r |= rt_json_set(model, "fuse_unk", rt_json_new_bool(false));
	r |= rt_json_set(model, "byte_fallback", rt_json_new_bool(false));
	r |= rt_json_set(model, "ignore_merges", rt_json_new_bool(false));
	r |= rt_json_set(model, "vocab", vocab);
	r |= rt_json_set(model, "merges", b->merges);
	b->merges = NULL;
	return r | rt_json_set(all, "model", model);
}

static int write_post(const struct rt_bpe_trainer *b, struct rt_json *all)
{
	static const char shape[] = "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{"
				    "\"id\":\"A\",\"type_id\":0}},"
				    "{\"SpecialToken\":{\"id\":%s,\"type_id\":0}}],\"pair\":[{"
				    "\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"
				    "{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_"
				    "tokens\":{%s:{\"id\":%s,\"ids\":[%lld],"
				    "\"tokens\":[%s]}}}";
	struct rt_text    text = RT_TEXT_INIT, name = RT_TEXT_INIT;
	struct rt_json   *s, *post = NULL;
	int               r = 0;

	if (b->end < 0)
		return rt_json_set(all, "post_processor", rt_json_new_null());
	s = rt_json_new_string(b->vocab.text.data + b->vocab.token[b->end].at);
	rt_json_print(s, 0, &name);
	rt_text_printf(&text, shape, name.data, name.data, name.data, (long long)b->end, name.data);
	if (text.failed || name.failed ||
	    rt_json_parse(text.data, text.len, "post", 1, &post, NULL) != 0)
		r = RT_E_NOMEM;
	else
		r = rt_json_set(all, "post_processor", post);
	rt_json_free(s);
	rt_text_free(&text);
	rt_text_free(&name);
	return r;
}

int rt_bpe_trainer_finish(struct rt_bpe_trainer *b, struct rt_json **ret, struct rt_error *err)
{
	static const char level[] = "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_"
				    "offsets\":true,\"use_regex\":true}";
	struct rt_json   *all = rt_json_new_object(), *list = rt_json_new_array(), *decoder = NULL;
	int               r;

	b->merges = rt_json_new_array();
	r = all && list && b->merges ? merge_all(b, err) : rt_fail_nomem(err, "training");
	if (r == 0)
		r = rt_json_parse(level, sizeof level - 1, "decoder", 1, &decoder, err);
	if (r == 0) {
		r |= rt_json_set(all, "version", rt_json_new_string("1.0"));
		r |= rt_json_set(all, "truncation", rt_json_new_null());
		r |= rt_json_set(all, "padding", rt_json_new_null());
		r |= added(b, list);
		r |= rt_json_set(all, "added_tokens", rt_json_ref(list));
		r |= rt_json_set(all, "normalizer", rt_json_new_null());
		r |= rt_json_set(all, "pre_tokenizer", rt_json_ref(b->pre));
		r |= write_post(b, all);
		r |= rt_json_set(all, "decoder", decoder);
		r |= write_model(b, all);
		if (r)
			r = rt_fail_nomem(err, "training");
	}
	rt_json_free(list);
	if (r == 0)
		*ret = all;
	else
		rt_json_free(all);
	return r;
}

void rt_bpe_trainer_free(struct rt_bpe_trainer *b)
{
	if (!b)
		return;
	for (size_t i = 0; b->word && i < b->words.size; i++)
		rt_free(b->word[i].id);
	for (size_t i = 0; i < b->slots; i++)
		rt_free(b->pair[i].fresh.v);
	for (size_t i = 0; i < b->heap_n; i++)
		rt_free(b->heap[i].words.v);
	rt_free(b->heap);
	rt_free(b->pair);
	rt_free(b->fresh);
	rt_free(b->word);
	rt_free(b->counts);
	splits_free(&b->splits);
	vocab_free(&b->vocab);
	vocab_free(&b->words);
	regex_match_free(b->match);
	rt_json_free(b->pre);
	rt_json_free(b->merges);
	rt_free(b);
}
