/* tokenizer-json.c - a tokenizer from what a tokenizer.json holds. */
#include "text/tok.h"

#include <retort/memory.h>

#include <stdio.h>
#include <string.h>

enum { MAX_AROUND = 64 }; /* tokens that a template adds */

int tok_add_token(struct rt_tokenizer *t, const struct tok_added *like, const char *s, size_t n,
                  struct rt_error *err)
{
	const int64_t  there = vocab_find(&t->vocab, s, n);
	struct rt_text normal = RT_TEXT_INIT;
	int            r = 0;

	if (n == 0)
		return rt_fail(err, RT_E_FORMAT, "the added token %lld is empty",
		               (long long)like->id);
	if (there >= 0 && there != like->id)
		return rt_fail(err, RT_E_FORMAT,
		               "the added token '%.60s' has the id %lld, in the vocabulary %lld", s,
		               (long long)like->id, (long long)there);
	if (there < 0)
		r = vocab_add(&t->vocab, s, n, like->id, err);
	if (r < 0)
		return r;
	t->vocab.token[like->id].special = like->special;
	t->vocab.token[like->id].apart |= there < 0;
	if (!like->normalized)
		return addeds_add(&t->raw, like, s, n, err);
	r = normals_apply(&t->normals, NULL, s, n, &normal, err);
	if (r == 0)
		r = addeds_add(&t->normal, like, normal.data, normal.len, err);
	rt_text_free(&normal);
	return r;
}

void tok_finish(struct rt_tokenizer *t)
{
	char name[8];

	addeds_sort(&t->raw);
	addeds_sort(&t->normal);
	for (int b = 0; b < 256; b++) {
		snprintf(name, sizeof name, "<0x%02X>", (unsigned)b);
		t->byte[b] = (int32_t)vocab_piece(&t->vocab, name, 6);
	}
}

static int read_added(struct rt_tokenizer *t, const struct rt_json *list, struct rt_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < rt_json_length(list); i++) {
		const struct rt_json *j = rt_json_at(list, i), *s = rt_json_get(j, "content");
		struct tok_added      a = { .id = rt_json_int(rt_json_get(j, "id"), -1) };

		if (!rt_json_string(s))
			return rt_fail(err, RT_E_FORMAT, "added_tokens[%zu] has no 'content'", i);
		a.special = rt_json_bool(rt_json_get(j, "special"), false);
		a.lstrip = rt_json_bool(rt_json_get(j, "lstrip"), false);
		a.rstrip = rt_json_bool(rt_json_get(j, "rstrip"), false);
		a.single_word = rt_json_bool(rt_json_get(j, "single_word"), false);
		a.normalized = rt_json_bool(rt_json_get(j, "normalized"), !a.special);
		r = tok_add_token(t, &a, rt_json_string(s), rt_json_length(s), err);
	}
	return r;
}

/* Both spellings of a merge: "a b" and ["a", "b"]. */
static int merge_parts(const struct rt_json *j, size_t rank, const char *part[2], size_t len[2],
                       struct rt_error *err)
{
	if (rt_json_string(j)) {
		const char *s = rt_json_string(j), *space = strchr(s, ' ');

		if (!space || strchr(space + 1, ' '))
			return rt_fail(err, RT_E_FORMAT,
			               "merge %zu is '%.60s', not two tokens with a space between",
			               rank, s);
		part[0] = s;
		len[0] = (size_t)(space - s);
		part[1] = space + 1;
		len[1] = rt_json_length(j) - len[0] - 1;
		return 0;
	}
	if (!rt_json_is(j, RT_JSON_ARRAY) || rt_json_length(j) != 2 ||
	    !rt_json_string(rt_json_at(j, 0)) || !rt_json_string(rt_json_at(j, 1)))
		return rt_fail(err, RT_E_FORMAT,
		               "merge %zu is %s, neither \"a b\" nor [\"a\", \"b\"]", rank,
		               rt_json_type_name(j));
	for (int k = 0; k < 2; k++) {
		part[k] = rt_json_string(rt_json_at(j, (size_t)k));
		len[k] = rt_json_length(rt_json_at(j, (size_t)k));
	}
	return 0;
}

static int read_merge(struct tok_vocab *v, const struct rt_json *j, size_t rank,
                      struct rt_text *whole, struct rt_error *err)
{
	const char *part[2];
	size_t      len[2];
	int64_t     id[2], to;
	int         r = merge_parts(j, rank, part, len, err);

	if (r < 0)
		return r;
	for (int k = 0; k < 2; k++) {
		id[k] = len[k] ? vocab_find(v, part[k], len[k]) : -1;
		if (id[k] < 0)
			return rt_fail(err, RT_E_FORMAT,
			               "merge %zu joins '%.*s', which is not in the vocabulary",
			               rank, (int)(len[k] < 60 ? len[k] : 60), part[k]);
	}
	rt_text_clear(whole);
	rt_text_add_n(whole, part[0], len[0]);
	rt_text_add_n(whole, part[1], len[1]);
	if (whole->failed)
		return rt_fail_nomem(err, "a merge");
	to = vocab_find(v, whole->data, whole->len);
	if (to < 0)
		return rt_fail(err, RT_E_FORMAT,
		               "merge %zu makes '%.60s', which is not in the vocabulary", rank,
		               whole->data);
	return vocab_merge(v, id[0], id[1], to, rank, err);
}

static int read_vocab(struct rt_tokenizer *t, const struct rt_json *model, struct rt_error *err)
{
	const struct rt_json *vocab = rt_json_get(model, "vocab"),
			     *merges = rt_json_get(model, "merges");
	struct rt_text whole = RT_TEXT_INIT;
	int            r = 0;

	if (!rt_json_is(vocab, RT_JSON_OBJECT) || !rt_json_is(merges, RT_JSON_ARRAY))
		return rt_fail(err, RT_E_FORMAT,
		               "the model has no 'vocab' (an object) or no 'merges' (an array)");
	for (struct rt_json_iter i = rt_json_first(vocab); r == 0 && i.key; rt_json_next(&i)) {
		if (!rt_json_is(i.value, RT_JSON_INT))
			return rt_fail(err, RT_E_FORMAT, "the id of token '%.60s' is %s", i.key,
			               rt_json_type_name(i.value));
		r = vocab_add(&t->vocab, i.key, strlen(i.key), rt_json_int(i.value, -1), err);
	}
	if (r == 0)
		r = vocab_reserve(&t->vocab, rt_json_length(merges), err);
	for (size_t i = 0; r == 0 && i < rt_json_length(merges); i++)
		r = read_merge(&t->vocab, rt_json_at(merges, i), i, &whole, err);
	rt_text_free(&whole);
	return r;
}

static int read_model(struct rt_tokenizer *t, const struct rt_json *model, struct rt_error *err)
{
	static const char *const affixes[] = { "continuing_subword_prefix", "end_of_word_suffix" };
	const char              *type = rt_json_string(rt_json_get(model, "type"));
	const struct rt_json    *unk = rt_json_get(model, "unk_token");
	int                      r;

	if (!rt_json_is(model, RT_JSON_OBJECT))
		return rt_fail(err, RT_E_FORMAT, "there is no 'model'");
	if (type ? strcmp(type, "BPE") != 0 : !rt_json_get(model, "merges"))
		return rt_fail(err, RT_E_UNSUP, "the model '%.60s' is not supported: only BPE is",
		               type ? type : "(without a type)");
	for (int i = 0; i < 2; i++)
		if (rt_json_length(rt_json_get(model, affixes[i])) > 0)
			return rt_fail(err, RT_E_UNSUP, "'%s' = '%.20s' is not supported",
			               affixes[i], rt_json_string(rt_json_get(model, affixes[i])));
	if (rt_json_real(rt_json_get(model, "dropout"), 0) > 0)
		return rt_fail(err, RT_E_UNSUP, "'dropout' = %g is not supported",
		               rt_json_real(rt_json_get(model, "dropout"), 0));
	r = read_vocab(t, model, err);
	if (r < 0)
		return r;
	t->fuse_unk = rt_json_bool(rt_json_get(model, "fuse_unk"), false);
	t->byte_fallback = rt_json_bool(rt_json_get(model, "byte_fallback"), false);
	t->ignore_merges = rt_json_bool(rt_json_get(model, "ignore_merges"), false);
	if (!rt_json_string(unk))
		return 0;
	t->unk = vocab_find(&t->vocab, rt_json_string(unk), rt_json_length(unk));
	if (t->unk < 0)
		return rt_fail(err, RT_E_FORMAT, "the unk_token '%.60s' is not in the vocabulary",
		               rt_json_string(unk));
	return 0;
}

/* ---- post-processors ---- */

static int around(struct rt_tokenizer *t, struct rt_ids *to, int64_t id, struct rt_error *err)
{
	if (!rt_tokenizer_token(t, id, NULL))
		return rt_fail(err, RT_E_FORMAT,
		               "the post_processor adds the id %lld, which no token has",
		               (long long)id);
	if (to->len >= MAX_AROUND)
		return rt_fail(err, RT_E_RANGE, "the post_processor adds more than %d tokens",
		               MAX_AROUND);
	rt_ids_add(to, (int32_t)id);
	return to->failed ? rt_fail_nomem(err, "a post-processor") : 0;
}

static int read_template(struct rt_tokenizer *t, const struct rt_json *j, struct rt_error *err)
{
	const struct rt_json *single = rt_json_get(j, "single"),
			     *names = rt_json_get(j, "special_tokens");
	bool text = false;
	int  r = 0;

	for (size_t i = 0; r == 0 && i < rt_json_length(single); i++) {
		const struct rt_json *item = rt_json_at(single, i),
				     *special = rt_json_get(item, "SpecialToken");
		const char           *name = rt_json_string(rt_json_get(special, "id"));
		const struct rt_json *ids =
			name ? rt_json_get(rt_json_get(names, name), "ids") : NULL;

		if (rt_json_get(item, "Sequence")) {
			if (text)
				return rt_fail(err, RT_E_UNSUP,
				               "a post_processor that puts the text twice is not "
				               "supported");
			text = true;
			continue;
		}
		if (!ids)
			return rt_fail(
				err, RT_E_FORMAT,
				"the post_processor names '%.60s', which its special_tokens lack",
				name ? name : "?");
		for (size_t k = 0; r == 0 && k < rt_json_length(ids); k++)
			r = around(t, text ? &t->after : &t->before,
			           rt_json_int(rt_json_at(ids, k), -1), err);
	}
	return r == 0 && !text ? rt_fail(err, RT_E_FORMAT, "the post_processor leaves the text out")
	                       : r;
}

static int read_post(struct rt_tokenizer *t, const struct rt_json *j, int depth,
                     struct rt_error *err)
{
	const char           *type = rt_json_string(rt_json_get(j, "type"));
	const struct rt_json *list = rt_json_get(j, "processors");
	int                   r = 0;

	if (rt_json_type(j) == RT_JSON_NULL)
		return 0;
	if (!type || depth > 8)
		return rt_fail(err, RT_E_FORMAT,
		               "a post_processor without a 'type', or deeper than 8");
	if (strcmp(type, "ByteLevel") == 0) /* moves offsets, and adds nothing */
		return 0;
	if (strcmp(type, "TemplateProcessing") == 0) {
		if (t->before.len || t->after.len)
			return rt_fail(err, RT_E_UNSUP,
			               "two templates in one post_processor are not supported");
		return read_template(t, j, err);
	}
	if (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0) {
		r = around(t, &t->before, rt_json_int(rt_json_at(rt_json_get(j, "cls"), 1), -1),
		           err);
		return r ? r
		         : around(t, &t->after,
		                  rt_json_int(rt_json_at(rt_json_get(j, "sep"), 1), -1), err);
	}
	if (strcmp(type, "Sequence") != 0)
		return rt_fail(err, RT_E_UNSUP, "the post_processor '%.60s' is not supported",
		               type);
	for (size_t i = 0; r == 0 && i < rt_json_length(list); i++)
		r = read_post(t, rt_json_at(list, i), depth + 1, err);
	return r;
}

int tok_read_chain(struct rt_tokenizer *t, const struct rt_json *j, struct rt_error *err)
{
	int r = normals_read(&t->normals, rt_json_get(j, "normalizer"), 0, err);

	if (r == 0)
		r = splits_read(&t->splits, rt_json_get(j, "pre_tokenizer"), 0, err);
	return r ? r : decodes_read(&t->decodes, rt_json_get(j, "decoder"), 0, err);
}

int rt_tokenizer_from_json(struct rt_tokenizer **ret, const struct rt_json *j, struct rt_error *err)
{
	struct rt_tokenizer *t = tok_new();
	int                  r;

	if (!t)
		return rt_fail_nomem(err, "a tokenizer");
	r = tok_read_chain(t, j, err);
	if (r == 0)
		r = read_model(t, rt_json_get(j, "model"), err);
	if (r == 0)
		r = read_added(t, rt_json_get(j, "added_tokens"), err);
	if (r == 0)
		r = read_post(t, rt_json_get(j, "post_processor"), 0, err);
	if (r < 0) {
		rt_tokenizer_free(t);
		return r;
	}
	tok_finish(t);
	*ret = t;
	return 0;
}
