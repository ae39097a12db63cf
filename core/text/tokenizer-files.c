/* tokenizer-files.c - a tokenizer from a folder: tokenizer.json, or vocabulary and merges. */
#include "text/tok-known.h"
#include "text/tok.h"

#include <retort/file.h>
#include <retort/memory.h>

#include <stdlib.h>
#include <string.h>

/* The lines of merges.txt as an array of "a b"; the first may be "#version". */
static int read_merges(const char *path, struct rt_json **ret, struct rt_error *err)
{
	struct rt_text  t = RT_TEXT_INIT;
	struct rt_json *list = rt_json_new_array();
	int             r = rt_file_read(path, 0, &t, err);

	if (r == 0 && !list)
		r = rt_fail_nomem(err, "the merges");
	for (size_t i = 0, line = 1; r == 0 && i < t.len; line++) {
		const char *end = memchr(t.data + i, '\n', t.len - i);
		size_t      stop = end ? (size_t)(end - t.data) : t.len, n = stop - i;

		if (n && t.data[i + n - 1] == '\r')
			n--;
		if (n && !(line == 1 && n >= 8 && memcmp(t.data + i, "#version", 8) == 0)) {
			if (rt_utf8_check(t.data + i, n) != n)
				r = rt_fail(err, RT_E_FORMAT, "%s:%zu: not UTF-8", path, line);
			else if (rt_json_append(list, rt_json_new_string_n(t.data + i, n)) != 0)
				r = rt_fail_nomem(err, "the merges");
		}
		i = stop + 1;
	}
	rt_text_free(&t);
	if (r == 0)
		*ret = list;
	else
		rt_json_free(list);
	return r;
}

/* The added tokens of tokenizer_config.json, where ids are keys. */
static int read_added(const struct rt_json *config, struct rt_json *list)
{
	int r = 0;

	for (struct rt_json_iter i = rt_json_first(rt_json_get(config, "added_tokens_decoder"));
	     r == 0 && i.key; rt_json_next(&i)) {
		struct rt_json *one = rt_json_copy(i.value);

		if (!one)
			return RT_E_NOMEM;
		r = rt_json_set(one, "id", rt_json_new_int(strtoll(i.key, NULL, 10)));
		r |= rt_json_append(list, one);
	}
	return r;
}

/* What a tokenizer.json would say. */
static int assemble(struct rt_json *all, const struct rt_json *config, struct rt_json *vocab,
                    struct rt_json *merges, struct rt_error *err)
{
	const struct rt_json *name = rt_json_get(config, "tokenizer_class");
	const char *class = rt_json_string(name) ? rt_json_string(name) : "GPT2Tokenizer";
	struct rt_json *model = rt_json_new_object(), *added = rt_json_new_array();
	int             r = read_added(config, added), known = 0;

	/* GPT-2's own folder has no list of added tokens: <|endoftext|> is one. */
	if (r == 0 && rt_json_length(added) == 0 && rt_json_get(vocab, "<|endoftext|>")) {
		struct rt_json *one = rt_json_new_object();

		r |= rt_json_set(one, "id", rt_json_ref(rt_json_get(vocab, "<|endoftext|>")));
		r |= rt_json_set(one, "content", rt_json_new_string("<|endoftext|>"));
		r |= rt_json_set(one, "special", rt_json_new_bool(true));
		r |= rt_json_append(added, one);
	}
	r |= rt_json_set(model, "type", rt_json_new_string("BPE"));
	r |= rt_json_set(model, "vocab", rt_json_ref(vocab));
	r |= rt_json_set(model, "merges", rt_json_ref(merges));
	r |= rt_json_set(all, "model", model);
	r |= rt_json_set(all, "added_tokens", added);
	if (r == 0)
		known = tok_known_class(class, all, err);
	return r ? rt_fail_nomem(err, "a tokenizer") : known;
}

static int from_parts(struct rt_tokenizer **ret, const char *vocab_path, const char *merges_path,
                      const char *config_path, struct rt_error *err)
{
	struct rt_json *vocab = NULL, *merges = NULL, *config = NULL, *all = NULL;
	int             r = rt_json_read(vocab_path, 0, &vocab, err);

	if (r == 0)
		r = read_merges(merges_path, &merges, err);
	if (r == 0 && rt_exists(config_path))
		r = rt_json_read(config_path, 0, &config, err);
	if (r == 0) {
		all = rt_json_new_object();
		r = all ? assemble(all, config, vocab, merges, err)
		        : rt_fail_nomem(err, "a tokenizer");
		if (r == 0)
			r = rt_tokenizer_from_json(ret, all, err);
		if (r < 0)
			r = rt_within(err, r, "%s", vocab_path);
	}
	rt_json_free(vocab);
	rt_json_free(merges);
	rt_json_free(config);
	rt_json_free(all);
	return r;
}

static int from_file(struct rt_tokenizer **ret, const char *path, struct rt_error *err)
{
	struct rt_json *j = NULL;
	int             r = rt_json_read(path, 0, &j, err);

	if (r == 0) {
		r = rt_tokenizer_from_json(ret, j, err);
		if (r < 0)
			r = rt_within(err, r, "%s", path);
	}
	rt_json_free(j);
	return r;
}

static bool is_json(const char *path)
{
	const size_t n = strlen(path);

	return n > 5 && strcmp(path + n - 5, ".json") == 0;
}

int rt_tokenizer_open(struct rt_tokenizer **ret, const char *path, struct rt_error *err)
{
	static const char *const pairs[][2] = { { "vocab.json", "merges.txt" },
		                                { "encoder.json", "vocab.bpe" } };
	char                    *json = rt_path_join(path, "tokenizer.json"),
	     *config = rt_path_join(path, "tokenizer_config.json");
	int r = 1;

	if (!json || !config)
		r = rt_fail_nomem(err, "a path");
	else if (is_json(path))
		r = from_file(ret, path, err);
	else if (rt_exists(json))
		r = from_file(ret, json, err);
	for (int i = 0; r == 1 && i < 2; i++) {
		char *vocab = rt_path_join(path, pairs[i][0]),
		     *merges = rt_path_join(path, pairs[i][1]);

		if (!vocab || !merges)
			r = rt_fail_nomem(err, "a path");
		else if (rt_exists(vocab) && rt_exists(merges))
			r = from_parts(ret, vocab, merges, config, err);
		rt_free(vocab);
		rt_free(merges);
	}
	rt_free(json);
	rt_free(config);
	if (r == 1)
		return rt_fail(
			err, RT_E_NOENT,
			"%s has no tokenizer: no tokenizer.json, nor vocab.json with merges.txt",
			path);
	return r;
}
