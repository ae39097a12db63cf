/* cut-text.c - see cut-text.h */
#include "cut-text.h"

#include <retort/file.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static const char *type_of(const struct rt_json *j)
{
	const char *type = rt_json_string(rt_json_get(j, "type"));

	return type ? type : "";
}

static bool byte_level(const struct rt_json *split)
{
	const struct rt_json *parts = rt_json_get(split, "pretokenizers");

	if (strcmp(type_of(split), "ByteLevel") == 0)
		return true;
	for (size_t i = 0; i < rt_json_length(parts); i++)
		if (byte_level(rt_json_at(parts, i)))
			return true;
	return false;
}

static bool has_text(const struct rt_json *model, const char *key)
{
	const char *s = rt_json_string(rt_json_get(model, key));

	return s && *s;
}

static int check_kind(const struct rt_json *all, struct rt_error *err)
{
	const struct rt_json *model = rt_json_get(all, "model");
	const char           *after = type_of(rt_json_get(all, "post_processor"));

	if (strcmp(type_of(model), "BPE") != 0 ||
	    rt_json_bool(rt_json_get(model, "byte_fallback"), false) ||
	    !byte_level(rt_json_get(all, "pre_tokenizer")))
		return rt_fail(
			err, RT_E_UNSUP,
			"tokens are cut out of byte-level BPE alone; this tokenizer is "
			"another (SentencePiece, Unigram, WordPiece): leave its vocabulary as "
			"it is");
	if (has_text(model, "continuing_subword_prefix") || has_text(model, "end_of_word_suffix"))
		return rt_fail(
			err, RT_E_UNSUP,
			"the tokenizer marks parts of words; tokens cannot be cut out of it");
	if (*after && strcmp(after, "TemplateProcessing") != 0 && strcmp(after, "ByteLevel") != 0 &&
	    strcmp(after, "Sequence") != 0)
		return rt_fail(err, RT_E_UNSUP,
		               "the tokenizer has a post-processor %s, whose ids cannot be changed",
		               after);
	return 0;
}

/* "a b" or ["a", "b"]: the two parts and their join, in buf. */
static bool split_merge(const struct rt_json *merge, struct rt_text *buf, const char *ret[3])
{
	const char *a = rt_json_string(merge), *b = a ? strchr(a, ' ') : NULL;
	size_t      n = b ? (size_t)(b - a) : 0;

	if (b)
		b++;
	if (rt_json_is(merge, RT_JSON_ARRAY)) {
		a = rt_json_string(rt_json_at(merge, 0));
		b = rt_json_string(rt_json_at(merge, 1));
		n = a ? strlen(a) : 0;
	}
	if (!a || !b)
		return false;
	rt_text_clear(buf);
	rt_text_add_n(buf, a, n);
	rt_text_add_char(buf, '\0');
	rt_text_add(buf, b);
	rt_text_add_char(buf, '\0');
	rt_text_add_n(buf, a, n);
	rt_text_add(buf, b);
	ret[0] = buf->data;
	ret[1] = buf->data + n + 1;
	ret[2] = ret[1] + strlen(b) + 1;
	return !buf->failed;
}

static int64_t id_of(const struct cut_text *t, const struct rt_json *vocab, const char *token)
{
	const int64_t id = rt_json_int(rt_json_get(vocab, token), -1);

	return id < t->size ? id : -1;
}

static int read_merges(struct cut_text *t, struct rt_error *err)
{
	const struct rt_json *model = rt_json_get(t->tokenizer, "model");
	const struct rt_json *vocab = rt_json_get(model, "vocab");
	const struct rt_json *merges = rt_json_get(model, "merges");
	struct rt_text        buf = RT_TEXT_INIT;
	int                   r = 0;

	t->n_merges = (int64_t)rt_json_length(merges);
	t->merges = rt_alloc((size_t)t->n_merges, sizeof *t->merges);
	if (!t->merges)
		r = rt_fail_nomem(err, "merges");
	for (int64_t i = 0; r == 0 && i < t->n_merges; i++) {
		const char *part[3];

		if (!split_merge(rt_json_at(merges, (size_t)i), &buf, part))
			r = buf.failed ? rt_fail_nomem(err, "merges")
			               : rt_fail(err, RT_E_FORMAT, "merge %lld is no pair",
			                         (long long)i);
		else
			t->merges[i] = (struct cut_merge){ id_of(t, vocab, part[0]),
				                           id_of(t, vocab, part[1]),
				                           id_of(t, vocab, part[2]) };
	}
	rt_text_free(&buf);
	return r;
}

static void keep(struct cut_text *t, int64_t id)
{
	if (id >= 0 && id < t->size)
		t->keep[id] = 1;
}

/* Bytes are spelled as one character; added tokens may stand in the vocabulary or behind it. */
static void keep_always(struct cut_text *t)
{
	const struct rt_json *model = rt_json_get(t->tokenizer, "model");
	const struct rt_json *vocab = rt_json_get(model, "vocab");
	const struct rt_json *added = rt_json_get(t->tokenizer, "added_tokens");
	const char           *unknown = rt_json_string(rt_json_get(model, "unk_token"));

	for (struct rt_json_iter i = rt_json_first(vocab); i.key; rt_json_next(&i)) {
		size_t n = 0;

		rt_utf8_decode(i.key, strlen(i.key) + 1, &n);
		if (i.key[n] == '\0')
			keep(t, rt_json_int(i.value, -1));
	}
	for (size_t i = 0; i < rt_json_length(added); i++)
		keep(t, rt_json_int(rt_json_get(rt_json_at(added, i), "id"), -1));
	if (unknown)
		keep(t, rt_json_int(rt_json_get(vocab, unknown), -1));
	cut_text_mark(t, t->generation);
}

static int read_file(const struct cut_text *t, const char *name, struct rt_json **ret,
                     struct rt_error *err)
{
	char *path = rt_path_join(t->folder, name);
	int   r = path ? 0 : rt_fail_nomem(err, "a path");

	if (r == 0 && rt_exists(path))
		r = rt_json_read(path, 0, ret, err);
	rt_free(path);
	return r;
}

int cut_text_open(struct cut_text *t, const char *model, const char *folder, int64_t size,
                  struct rt_error *err)
{
	int r = rt_mkdir_all(folder, err);

	if (r == 0)
		r = rt_model_copy_text(model, folder, err);
	t->size = size;
	t->folder = rt_strdup(folder);
	t->keep = rt_alloc((size_t)size, sizeof *t->keep);
	t->map = rt_alloc((size_t)size, sizeof *t->map);
	t->kept = rt_alloc((size_t)size, sizeof *t->kept);
	if (r == 0 && (!t->folder || !t->keep || !t->map || !t->kept))
		r = rt_fail_nomem(err, "a vocabulary");
	if (r == 0)
		r = read_file(t, "tokenizer.json", &t->tokenizer, err);
	if (r == 0)
		r = read_file(t, "generation_config.json", &t->generation, err);
	if (r == 0)
		r = read_file(t, "tokenizer_config.json", &t->config, err);
	if (r == 0 && !t->tokenizer)
		r = rt_fail(err, RT_E_UNSUP,
		            "the model has no tokenizer.json to cut tokens out of (vocab.json and "
		            "merges.txt alone are not enough)");
	if (r == 0)
		r = check_kind(t->tokenizer, err);
	if (r == 0)
		r = read_merges(t, err);
	if (r == 0)
		keep_always(t);
	return r;
}

void cut_text_close(struct cut_text *t)
{
	rt_json_free(t->tokenizer);
	rt_json_free(t->generation);
	rt_json_free(t->config);
	rt_free(t->folder);
	rt_free(t->merges);
	rt_free(t->keep);
	rt_free(t->map);
	rt_free(t->kept);
	*t = (struct cut_text){ 0 };
}

/* ---- choosing ---- */

int cut_text_choose(struct cut_text *t, struct rt_error *err)
{
	bool more = true;

	/* Results come behind their parts in nearly every list: one pass, and one to see that. */
	while (more) {
		more = false;
		for (int64_t i = t->n_merges - 1; i >= 0; i--) {
			const struct cut_merge *m = &t->merges[i];

			if (m->to < 0 || !t->keep[m->to] || m->a < 0 || m->b < 0)
				continue;
			more |= !t->keep[m->a] || !t->keep[m->b];
			t->keep[m->a] = t->keep[m->b] = 1;
		}
	}
	t->n_kept = 0;
	for (int64_t i = 0; i < t->size; i++) {
		t->map[i] = t->keep[i] ? (int32_t)t->n_kept : -1;
		if (t->keep[i])
			t->kept[t->n_kept++] = i;
	}
	return t->n_kept > 0 ? 0 : rt_fail(err, RT_E_RANGE, "no token would stay");
}

static bool names_id(const char *key)
{
	const char  *tail = "_token_id";
	const size_t n = strlen(key), k = strlen(tail);

	return n > k && strcmp(key + n - k, tail) == 0;
}

void cut_text_mark(struct cut_text *t, const struct rt_json *config)
{
	for (struct rt_json_iter i = rt_json_first(config); i.key; rt_json_next(&i)) {
		if (!names_id(i.key))
			continue;
		keep(t, rt_json_int(i.value, -1));
		for (size_t k = 0;
		     rt_json_is(i.value, RT_JSON_ARRAY) && k < rt_json_length(i.value); k++)
			keep(t, rt_json_int(rt_json_at(i.value, k), -1));
	}
}

/* ---- writing ---- */

/* An id that no row has, as some files have for "none", is null afterwards. */
static struct rt_json *new_id(const struct cut_text *t, const struct rt_json *id)
{
	const int64_t old = rt_json_int(id, -1);

	return old < 0 || old >= t->size ? rt_json_new_null() : rt_json_new_int(t->map[old]);
}

int cut_text_rename(const struct cut_text *t, struct rt_json *config)
{
	struct rt_json *changed = rt_json_new_object();
	int             r = changed ? 0 : RT_E_NOMEM;

	for (struct rt_json_iter i = rt_json_first(config); r == 0 && i.key; rt_json_next(&i)) {
		struct rt_json *list;

		if (names_id(i.key) && rt_json_is(i.value, RT_JSON_INT))
			r = rt_json_set(changed, i.key, new_id(t, i.value));
		if (!names_id(i.key) || !rt_json_is(i.value, RT_JSON_ARRAY))
			continue;
		list = rt_json_new_array();
		for (size_t k = 0; list && r == 0 && k < rt_json_length(i.value); k++)
			r = rt_json_append(list, new_id(t, rt_json_at(i.value, k)));
		r |= rt_json_set(changed, i.key, list);
	}
	for (struct rt_json_iter i = rt_json_first(changed); r == 0 && i.key; rt_json_next(&i))
		r = rt_json_set(config, i.key, rt_json_ref(i.value));
	rt_json_free(changed);
	return r < 0 ? RT_E_NOMEM : 0;
}

static int cut_model(const struct cut_text *t)
{
	struct rt_json *model = rt_json_get(t->tokenizer, "model");
	struct rt_json *old = rt_json_get(model, "vocab"), *merges = rt_json_get(model, "merges");
	struct rt_json *vocab = rt_json_new_object(), *list = rt_json_new_array();
	int             r = 0;

	for (struct rt_json_iter i = rt_json_first(old); vocab && r == 0 && i.key;
	     rt_json_next(&i)) {
		const int64_t id = rt_json_int(i.value, -1);

		if (id >= 0 && id < t->size && t->keep[id])
			r = rt_json_set(vocab, i.key, rt_json_new_int(t->map[id]));
	}
	for (int64_t i = 0; list && r == 0 && i < t->n_merges; i++) {
		const struct cut_merge *m = &t->merges[i];

		if (m->a >= 0 && m->b >= 0 && m->to >= 0 && t->keep[m->a] && t->keep[m->b] &&
		    t->keep[m->to])
			r = rt_json_append(list, rt_json_ref(rt_json_at(merges, (size_t)i)));
	}
	r |= rt_json_set(model, "vocab", vocab);
	r |= rt_json_set(model, "merges", list);
	return r;
}

/* What a template puts around a text. */
static int cut_post(const struct cut_text *t, struct rt_json *post)
{
	struct rt_json *list = rt_json_get(post, "processors"),
		       *special = rt_json_get(post, "special_tokens");
	int r = 0;

	for (size_t i = 0; r == 0 && i < rt_json_length(list); i++)
		r = cut_post(t, rt_json_at(list, i));
	for (struct rt_json_iter i = rt_json_first(special); r == 0 && i.key; rt_json_next(&i)) {
		struct rt_json *ids = rt_json_get(i.value, "ids");

		for (size_t k = 0; r == 0 && k < rt_json_length(ids); k++)
			r = rt_json_replace(ids, k, new_id(t, rt_json_at(ids, k)));
	}
	return r;
}

static int cut_added(const struct cut_text *t)
{
	const struct rt_json *added = rt_json_get(t->tokenizer, "added_tokens");
	const struct rt_json *old = rt_json_get(t->config, "added_tokens_decoder");
	struct rt_json       *decoder = old ? rt_json_new_object() : NULL;
	int                   r = old && !decoder ? RT_E_NOMEM : 0;

	for (size_t i = 0; r == 0 && i < rt_json_length(added); i++) {
		struct rt_json *one = rt_json_at(added, i);

		r = rt_json_set(one, "id", new_id(t, rt_json_get(one, "id")));
	}
	for (struct rt_json_iter i = rt_json_first(old); r == 0 && i.key; rt_json_next(&i)) {
		const long long id = strtoll(i.key, NULL, 10);
		char            key[24];

		if (id < 0 || id >= t->size || t->map[id] < 0)
			continue;
		snprintf(key, sizeof key, "%d", t->map[id]);
		r = rt_json_set(decoder, key, rt_json_ref(i.value));
	}
	if (decoder)
		r |= rt_json_set(t->config, "added_tokens_decoder", decoder);
	return r;
}

static int write_file(const struct cut_text *t, const char *name, const struct rt_json *j,
                      struct rt_error *err)
{
	char *path = rt_path_join(t->folder, name);
	int   r = path ? 0 : rt_fail_nomem(err, "a path");

	if (r == 0 && j)
		r = rt_json_write(j, RT_JSON_INDENT, path, err);
	else if (r == 0)
		r = rt_remove_all(path, err);
	rt_free(path);
	return r;
}

int cut_text_write(const struct cut_text *t, struct rt_error *err)
{
	/* Older forms of the same vocabulary, with ids that are no more. */
	static const char *const stale[] = { "vocab.json", "merges.txt", "encoder.json",
		                             "vocab.bpe", "added_tokens.json" };
	int                      r = 0;

	r |= cut_model(t);
	r |= cut_added(t);
	r |= cut_post(t, rt_json_get(t->tokenizer, "post_processor"));
	if (t->generation)
		r |= cut_text_rename(t, t->generation);
	if (r < 0)
		return rt_fail_nomem(err, "a tokenizer");
	r = write_file(t, "tokenizer.json", t->tokenizer, err);
	if (r == 0 && t->generation)
		r = write_file(t, "generation_config.json", t->generation, err);
	if (r == 0 && t->config)
		r = write_file(t, "tokenizer_config.json", t->config, err);
	for (size_t i = 0; r == 0 && i < sizeof stale / sizeof *stale; i++)
		r = write_file(t, stale[i], NULL, err);
	return r;
}

/* ---- proving ---- */

enum { PROVED = 16 }; /* rows whose logits are compared */

static int same_tokens(const struct cut_text *t, const struct rt_sequences *a,
                       const struct rt_sequences *b, struct rt_error *err)
{
	if (a->n != b->n)
		return rt_fail(err, RT_E_FORMAT, "%lld rows fit the model now, %lld did before",
		               (long long)b->n, (long long)a->n);
	for (int64_t i = 0; i < a->n; i++) {
		const struct rt_sequence *x = &a->at[i], *y = &b->at[i];

		for (int64_t k = 0; k < x->n || k < y->n; k++)
			if (k >= x->n || k >= y->n || t->map[x->token[k]] != y->token[k])
				return rt_fail(err, RT_E_FORMAT,
				               "row '%s' is segmented otherwise at token %lld of "
				               "%lld: nothing was written",
				               x->id, (long long)k, (long long)x->n);
	}
	return 0;
}

/* Logits [ret_rows][vocabulary] of the last rows of a sequence. */
static int last_logits(const struct rt_model *m, const struct rt_sequence *s, int64_t rows,
                       float **ret, struct rt_error *err)
{
	const int64_t    width = rt_model_shape(m)->hidden, V = rt_model_shape(m)->vocabulary;
	struct rt_packed p = { 0 };
	float           *hidden = rt_alloc_aligned((size_t)(s->n * width), sizeof *hidden);
	float           *logits = rt_alloc_aligned((size_t)(rows * V), sizeof *logits);
	int r = hidden && logits ? rt_pack(&p, &s, 1, err) : rt_fail_nomem(err, "logits");

	if (r == 0)
		r = rt_model_forward(m, &p.batch, NULL, hidden, err);
	if (r == 0)
		r = rt_model_logits(m, hidden + (p.batch.rows - rows) * width, rows, logits, err);
	rt_packed_free(&p);
	rt_free(hidden);
	if (r == 0)
		*ret = logits;
	else
		rt_free(logits);
	return r;
}

/* The weights are the same; sums of the same products may be taken in another order. */
static int same_logits(const struct cut_text *t, const struct rt_model *before,
                       const struct rt_sequence *a, const struct rt_model *after,
                       const struct rt_sequence *b, double *ret_difference, struct rt_error *err)
{
	const int64_t rows = a->n < PROVED ? a->n : PROVED;
	float        *x = NULL, *y = NULL, most = 0, largest = 1;
	int           r = last_logits(before, a, rows, &x, err);

	if (r == 0)
		r = last_logits(after, b, rows, &y, err);
	for (int64_t i = 0; r == 0 && i < rows; i++)
		for (int64_t k = 0; k < t->n_kept; k++) {
			const float was = x[i * t->size + t->kept[k]], is = y[i * t->n_kept + k];

			largest = fmaxf(largest, fabsf(was));
			most = fmaxf(most, fabsf(was - is));
		}
	rt_free(x);
	rt_free(y);
	*ret_difference = (double)most;
	if (r < 0 || most <= 1e-4f * largest)
		return r;
	return rt_fail(err, RT_E_FORMAT, "logits are up to %g away from what they were",
	               (double)most);
}

int cut_text_prove(const struct cut_text *t, const struct rt_model *before,
                   const struct rt_sequences *data, const char *after, const char *rows,
                   struct rt_context *c, double *ret_difference, struct rt_error *err)
{
	struct rt_model    *m = NULL;
	struct rt_sequences s = { 0 };
	int                 r = rt_model_open(&m, after, 0, err);

	if (r == 0)
		r = rt_sequences_read(&s, m, rows, &(struct rt_sequence_options){ 0 }, c, err);
	if (r == 0)
		r = same_tokens(t, data, &s, err);
	if (r == 0)
		r = same_logits(t, before, data->at, m, s.at, ret_difference, err);
	rt_sequences_free(&s);
	rt_model_close(m);
	return r;
}
