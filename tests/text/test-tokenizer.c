/* test-tokenizer.c - tokenizers give the ids and texts that third parties get. */
#include "base/fault.h"
#include "golden.h"
#include "runner.h"
#include "temp.h"

#include <retort/memory.h>
#include <retort/tokenizer.h>

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static void path_to(char out[4096], const char *name)
{
	const char *root = getenv("RETORT_GOLDEN");

	snprintf(out, 4096, "%s/%s", root && *root ? root : GOLDEN_DIR, name);
}

static struct rt_tokenizer *open_golden(const char *name)
{
	struct rt_error      err = RT_ERROR_INIT;
	struct rt_tokenizer *t = NULL;
	struct stat          st;
	char                 path[4096];

	path_to(path, name);
	if (stat(path, &st) != 0)
		return NULL;
	ck_assert_msg(rt_tokenizer_open(&t, path, &err) == 0, "%s: %s", name, err.msg);
	return t;
}

static struct rt_tokenizer *parse(const char *text, struct rt_error *err)
{
	struct rt_tokenizer *t = NULL;
	struct rt_json      *j = NULL;

	ck_assert_msg(rt_json_parse(text, strlen(text), "test", 1, &j, err) == 0, "%s", err->msg);
	if (rt_tokenizer_from_json(&t, j, err) < 0)
		t = NULL;
	rt_json_free(j);
	return t;
}

static void encode(const struct rt_tokenizer *t, const char *text, size_t n, unsigned flags,
                   struct rt_ids *ids)
{
	struct rt_error err = RT_ERROR_INIT;

	ids->len = 0;
	ck_assert_msg(rt_tokenizer_encode(t, text, n, flags, ids, &err) == 0, "%s", err.msg);
}

static void same_ids(const struct rt_ids *ids, const json_t *want, const char *where,
                     const char *text)
{
	for (size_t i = 0; i < ids->len && i < json_array_size(want); i++)
		ck_assert_msg(ids->data[i] == json_integer_value(json_array_get(want, i)),
		              "%s: id %zu of '%s' is %d, want %lld", where, i, text, ids->data[i],
		              (long long)json_integer_value(json_array_get(want, i)));
	ck_assert_msg(ids->len == json_array_size(want), "%s: '%s' has %zu ids, want %zu", where,
	              text, ids->len, json_array_size(want));
}

/* Token by token, and all at once. */
static void decodes_to(const struct rt_tokenizer *t, const struct rt_ids *ids, const char *want,
                       size_t n, const char *where)
{
	struct rt_text     whole = RT_TEXT_INIT, parts = RT_TEXT_INIT;
	struct rt_decoder *d;

	ck_assert_int_eq(rt_tokenizer_decode(t, ids->data, ids->len, 0, &whole, NULL), 0);
	ck_assert_msg(whole.len == n && memcmp(whole.data, want, n) == 0,
	              "%s: decoded '%s', want '%s'", where, whole.data, want);
	ck_assert_int_eq(rt_decoder_new(&d, t, 0, NULL), 0);
	for (size_t i = 0; i < ids->len; i++) {
		ck_assert_int_eq(rt_decoder_put(d, ids->data[i], &parts, NULL), 0);
		ck_assert_uint_eq(rt_utf8_check(parts.data, parts.len), parts.len);
	}
	ck_assert_int_eq(rt_decoder_finish(d, &parts, NULL), 0);
	ck_assert_msg(parts.len == n && memcmp(parts.data, want, n) == 0,
	              "%s: streamed '%s', want '%s'", where, parts.data, want);
	rt_decoder_free(d);
	rt_text_free(&whole);
	rt_text_free(&parts);
}

static void check_vectors(struct rt_tokenizer *t, const char *folder)
{
	struct rt_ids ids = RT_IDS_INIT;
	char          name[512], *text_of;
	json_t       *j, *v;
	size_t        i, size = 0;

	snprintf(name, sizeof name, "%s/vectors.json", folder);
	text_of = golden_read(name, &size);
	j = text_of ? json_loadb(text_of, size, JSON_ALLOW_NUL, NULL) : NULL;
	free(text_of);
	ck_assert_msg(t && j, "%s", name);
	json_array_foreach(json_object_get(j, "encodings"), i, v)
	{
		const json_t *text = json_object_get(v, "text"),
			     *decoded = json_object_get(v, "decoded");

		encode(t, json_string_value(text), json_string_length(text), RT_ENCODE_SPECIAL,
		       &ids);
		same_ids(&ids, json_object_get(v, "ids"), name, json_string_value(text));
		if (decoded)
			decodes_to(t, &ids, json_string_value(decoded), json_string_length(decoded),
			           name);
	}
	json_array_foreach(json_object_get(j, "with_special"), i, v)
	{
		const json_t *text = json_object_get(v, "text");

		encode(t, json_string_value(text), json_string_length(text),
		       RT_ENCODE_SPECIAL | RT_ENCODE_TEMPLATE, &ids);
		same_ids(&ids, json_object_get(v, "ids"), name, json_string_value(text));
	}
	rt_ids_free(&ids);
	rt_tokenizer_free(t);
	json_decref(j);
}

START_TEST(every_golden_folder_gives_its_ids_and_texts)
	{
		char           path[4096];
		DIR           *dir;
		struct dirent *e;
		int            n = 0;

		path_to(path, "");
		dir = opendir(path);
		ck_assert_msg(dir != NULL, "no folder %s", path);
		while ((e = readdir(dir)) != NULL)
			if (strncmp(e->d_name, "tok-", 4) == 0) {
				check_vectors(open_golden(e->d_name), e->d_name);
				n++;
			}
		closedir(dir);
		ck_assert_int_gt(n, 0);
	}
END_TEST

/* The folder as Qwen2 was first published: no tokenizer.json, but its parts. */
static void write_parts(const char *folder)
{
	char    name[512];
	char   *text;
	size_t  size, i;
	json_t *all, *model, *v, *added = json_object(), *config;
	FILE   *merges = fopen(temp_path("merges.txt"), "w");

	snprintf(name, sizeof name, "%s/tokenizer.json", folder);
	text = golden_read(name, &size);
	all = json_loadb(text, size, JSON_ALLOW_NUL, NULL);
	free(text);
	model = json_object_get(all, "model");
	ck_assert_int_eq(
		json_dump_file(json_object_get(model, "vocab"), temp_path("vocab.json"), 0), 0);
	ck_assert(merges != NULL);
	fputs("#version: 0.2\n", merges);
	json_array_foreach(json_object_get(model, "merges"), i, v) if (json_is_string(v))
		fprintf(merges, "%s\n", json_string_value(v));
	else fprintf(merges, "%s %s\n", json_string_value(json_array_get(v, 0)),
	             json_string_value(json_array_get(v, 1)));
	ck_assert_int_eq(fclose(merges), 0);
	json_array_foreach(json_object_get(all, "added_tokens"), i, v)
	{
		snprintf(name, sizeof name, "%lld",
		         (long long)json_integer_value(json_object_get(v, "id")));
		json_object_set(added, name, v);
	}
	config = json_pack("{s:s,s:o}", "tokenizer_class", "Qwen2Tokenizer", "added_tokens_decoder",
	                   added);
	ck_assert_int_eq(json_dump_file(config, temp_path("tokenizer_config.json"), 0), 0);
	json_decref(config);
	json_decref(all);
}

START_TEST(vocab_json_with_merges_txt_gives_the_same_ids)
	{
		struct rt_tokenizer *t = NULL;
		struct rt_error      err = RT_ERROR_INIT;

		write_parts("tok-qwen2.5");
		ck_assert_msg(rt_tokenizer_open(&t, temp_path("."), &err) == 0, "%s", err.msg);
		check_vectors(t, "tok-qwen2.5");
	}
END_TEST

static const struct {
	const char *tokenizer, *vectors;
} ggml[] = {
	{ "tok-qwen2.5", "tokenizer-vectors/ggml-vocab-qwen2.gguf" },
	{ "gpt2", "tokenizer-vectors/ggml-vocab-gpt-2.gguf" },
};

START_TEST(the_vectors_of_llama_cpp_come_out)
	{
		static const char    mark[] = "\n__ggml_vocab_test__\n";
		struct rt_tokenizer *t = open_golden(ggml[_i].tokenizer);
		struct rt_ids        ids = RT_IDS_INIT;
		char                 name[256], *in, *out, *line, *text;
		size_t               size;
		int                  n = 0;

		snprintf(name, sizeof name, "%s.inp", ggml[_i].vectors);
		in = golden_read(name, &size);
		snprintf(name, sizeof name, "%s.out", ggml[_i].vectors);
		out = golden_read(name, NULL);
		for (text = in, line = out; t && in && out && *line; n++) {
			char  *end = strstr(text, mark), *rest;
			size_t len = end ? (size_t)(end - text) : strlen(text);

			if (!end && (len == 0 || strchr(line, '\n') == NULL))
				break;
			encode(t, text, len, 0, &ids);
			for (size_t i = 0; i < ids.len; i++, line = rest) {
				long want = strtol(line, &rest, 10);

				ck_assert_msg(rest != line && memchr(line, '\n',
				                                     (size_t)(rest - line)) == NULL,
				              "%s: case %d: more ids than wanted", name, n);
				ck_assert_msg(want == ids.data[i],
				              "%s: case %d, id %zu: %d, want %ld", name, n, i,
				              ids.data[i], want);
			}
			while (*line == ' ')
				line++;
			ck_assert_msg(*line == '\n' || !*line, "%s: case %d: too few ids", name, n);
			line += *line == '\n';
			text += len + (end ? sizeof mark - 1 : 0);
		}
		if (t && in && out)
			ck_assert_int_gt(n, 40);
		free(in);
		free(out);
		rt_ids_free(&ids);
		rt_tokenizer_free(t);
	}
END_TEST

START_TEST(what_a_user_types_is_no_special_token)
	{
		static const char    text[] = "a<|im_end|>b";
		struct rt_tokenizer *t = open_golden("tok-qwen2.5");
		struct rt_ids        ids = RT_IDS_INIT;
		int64_t              end;

		if (!t)
			return;
		end = rt_tokenizer_id(t, "<|im_end|>", 10);
		ck_assert(rt_tokenizer_special(t, end));
		encode(t, text, strlen(text), 0, &ids);
		for (size_t i = 0; i < ids.len; i++)
			ck_assert_int_ne(ids.data[i], end);
		decodes_to(t, &ids, text, strlen(text), "plain");
		encode(t, text, strlen(text), RT_ENCODE_SPECIAL, &ids);
		ck_assert_uint_eq(ids.len, 3);
		ck_assert_int_eq(ids.data[1], end);
		rt_ids_free(&ids);
		rt_tokenizer_free(t);
	}
END_TEST

/* What could be slow: long runs of letters, spaces, marks, newlines, angle brackets, digits. */
static const char *const traps[] = { "a", " ",  "\xcc\x81\xcc\xa3", "\n \n", "<",
	                             "7", "ab", "\xf0\x9f\xa6\x99", "<|",    "\t ",
	                             "'" };

START_TEST(a_megabyte_without_spaces_is_no_trap)
	{
		struct rt_tokenizer *t = open_golden("tok-qwen2.5");
		struct rt_ids        ids = RT_IDS_INIT;
		struct rt_text       text = RT_TEXT_INIT;
		clock_t              start;

		if (!t)
			return;
		while (text.len < 1 << 20)
			rt_text_add(&text, traps[_i]);
		start = clock();
		encode(t, text.data, text.len, 0, &ids);
		ck_assert_msg(clock() - start < 10 * CLOCKS_PER_SEC, "'%s': %g s", traps[_i],
		              (double)(clock() - start) / CLOCKS_PER_SEC);
		rt_ids_free(&ids);
		rt_text_free(&text);
		rt_tokenizer_free(t);
	}
END_TEST

#define MODEL(vocab, merges, more)                                                                 \
	"{\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "},\"merges\":[" merges "]" more "}}"

static const struct {
	const char *json, *message;
} bad[] = {
	{ "{}", "there is no 'model'" },
	{ "{\"model\":{\"type\":\"Unigram\"}}",
	  "the model 'Unigram' is not supported: only BPE is" },
	{ MODEL("\"a\":0,\"b\":0", "", ""), "two tokens have the id 0: 'a' and 'b'" },
	{ MODEL("\"a\":-1", "", ""), "token 'a' has the id -1 (from 0 to 4194303 are possible)" },
	{ MODEL("\"a\":4611686018427387904", "", ""),
	  "token 'a' has the id 4611686018427387904 (from 0 to 4194303 are possible)" },
	{ MODEL("\"a\":\"0\"", "", ""), "the id of token 'a' is a string" },
	{ MODEL("\"a\":0", "\"a a\"", ""), "merge 0 makes 'aa', which is not in the vocabulary" },
	{ MODEL("\"a\":0", "\"a b\"", ""), "merge 0 joins 'b', which is not in the vocabulary" },
	{ MODEL("\"a\":0", "[\"a\",\"\"]", ""),
	  "merge 0 joins '', which is not in the vocabulary" },
	{ MODEL("\"a\":0", "\"aa\"", ""), "merge 0 is 'aa', not two tokens with a space between" },
	{ MODEL("\"a\":0", "7", ""), "merge 0 is an integer, neither \"a b\" nor [\"a\", \"b\"]" },
	{ MODEL("\"a\":0,\"aa\":1", "\"a a\",[\"a\",\"a\"]", ""),
	  "merges 0 and 1 are the same pair: 'a' and 'a'" },
	{ MODEL("\"a\":0", "", ",\"unk_token\":\"u\""),
	  "the unk_token 'u' is not in the vocabulary" },
	{ MODEL("\"a\":0", "", ",\"continuing_subword_prefix\":\"##\""),
	  "'continuing_subword_prefix' = '##' is not supported" },
	{ MODEL("\"a\":0", "", ",\"dropout\":0.5"), "'dropout' = 0.5 is not supported" },
	{ "{\"normalizer\":{\"type\":\"Nmt\"}}", "the normalizer 'Nmt' is not supported" },
	{ "{\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}}",
	  "the pre-tokenizer 'UnicodeScripts' is not supported" },
	{ "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":"
	  "\"Isolated\"}}",
	  "the regular expression '(' does not compile: missing closing parenthesis" },
	{ "{\"decoder\":{\"type\":\"CTC\"}}", "the decoder 'CTC' is not supported" },
};

START_TEST(what_is_not_supported_or_not_sane_is_refused_with_a_sentence)
	{
		struct rt_error      err = RT_ERROR_INIT;
		struct rt_tokenizer *t = parse(bad[_i].json, &err);

		ck_assert_ptr_null(t);
		ck_assert_str_eq(err.msg, bad[_i].message);
	}
END_TEST

START_TEST(text_that_is_not_utf8_is_refused)
	{
		struct rt_error      err = RT_ERROR_INIT;
		struct rt_tokenizer *t = parse(MODEL("\"a\":0", "", ""), &err);
		struct rt_ids        ids = RT_IDS_INIT;

		ck_assert_ptr_nonnull(t);
		ck_assert_int_eq(rt_tokenizer_encode(t, "aa\xff", 3, 0, &ids, &err), RT_E_FORMAT);
		ck_assert_str_eq(err.msg, "the text is not UTF-8 at byte 2");
		rt_ids_free(&ids);
		rt_tokenizer_free(t);
	}
END_TEST

static int train(struct rt_json **ret, struct rt_error *err)
{
	static const char text[] =
		"low low low low low lower lower newest newest newest newest newest newest "
		"widest widest widest aaaa aaaa";
	static const char *const   special[] = { "<|end|>" };
	static const char *const   marks[] = { "<call>", "</call>" };
	const struct rt_bpe_config config = { .vocab_size = 268,
		                              .special = { special, 1 },
		                              .marks = { marks, 2 },
		                              .end_of_text = "<|end|>" };
	struct rt_bpe_trainer     *b = NULL;
	int                        r = rt_bpe_trainer_new(&b, &config, err);

	if (r == 0)
		r = rt_bpe_trainer_add(b, text, strlen(text), err);
	if (r == 0)
		r = rt_bpe_trainer_finish(b, ret, err);
	rt_bpe_trainer_free(b);
	return r;
}

/* The merges that tokenizers 0.23 finds on this text. */
START_TEST(training_finds_the_merges_of_the_reference_ties_included)
	{
		static const char want[] =
			"[[\"e\",\"s\"],[\"es\",\"t\"],[\"l\",\"o\"],[\"lo\",\"w\"],[\"a\",\"a\"],["
			"\"e\",\"w\"],[\"n\",\"ew\"],[\"Ġ\",\"low\"],[\"Ġ\",\"new\"]]";
		struct rt_error err = RT_ERROR_INIT;
		struct rt_json *j = NULL;
		struct rt_text  out = RT_TEXT_INIT;

		ck_assert_msg(train(&j, &err) == 0, "%s", err.msg);
		rt_json_print(rt_json_get(rt_json_get(j, "model"), "merges"), 0, &out);
		ck_assert_str_eq(out.data, want);
		rt_text_free(&out);
		rt_json_free(j);
	}
END_TEST

/* Special tokens are left out where that is asked for, and are none in what users type; marks of
 * calls are the answer's own text. */
START_TEST(marks_are_found_in_every_text_and_stay_in_it)
	{
		static const char    text[] = "<call>low</call><|end|>";
		struct rt_json      *j = NULL;
		struct rt_tokenizer *t = NULL;
		struct rt_ids        ids = RT_IDS_INIT;
		struct rt_text       out = RT_TEXT_INIT;

		ck_assert_int_eq(train(&j, NULL), 0);
		ck_assert_int_eq(rt_tokenizer_from_json(&t, j, NULL), 0);
		ck_assert(rt_tokenizer_special(t, 0));
		ck_assert(!rt_tokenizer_special(t, 1));
		encode(t, text, strlen(text), RT_ENCODE_SPECIAL, &ids);
		ck_assert_int_eq(ids.data[0], 1);
		ck_assert_int_eq(ids.data[ids.len - 1], 0);
		ck_assert_int_eq(
			rt_tokenizer_decode(t, ids.data, ids.len, RT_DECODE_SKIP, &out, NULL), 0);
		ck_assert_str_eq(out.data, "<call>low</call>");
		encode(t, text, strlen(text), 0, &ids);
		ck_assert_int_eq(ids.data[0], 1);
		ck_assert_int_ne(ids.data[ids.len - 1], 0);
		rt_text_free(&out);
		rt_ids_free(&ids);
		rt_tokenizer_free(t);
		rt_json_free(j);
	}
END_TEST

static const struct rt_bpe_config bad_added[] = {
	{ .vocab_size = 300, .special = { (const char *const[]){ "<a>", "<a>" }, 2 } },
	{ .vocab_size = 300,
	  .special = { (const char *const[]){ "<a>" }, 1 },
	  .marks = { (const char *const[]){ "<a>" }, 1 } },
	{ .vocab_size = 300, .marks = { (const char *const[]){ "" }, 1 } },
};

START_TEST(special_tokens_and_marks_are_there_once)
	{
		struct rt_bpe_trainer *b = NULL;
		struct rt_error        err = RT_ERROR_INIT;

		ck_assert_int_eq(rt_bpe_trainer_new(&b, &bad_added[_i], &err), RT_E_INVAL);
		ck_assert_str_eq(err.msg, _i < 2 ? "the special token or mark '<a>' is there twice"
		                                 : "the special token or mark '' is empty");
	}
END_TEST

/* Train, open what came out, encode, decode. */
static int all_of_it(struct rt_error *err)
{
	struct rt_json      *j = NULL;
	struct rt_tokenizer *t = NULL;
	struct rt_ids        ids = RT_IDS_INIT;
	struct rt_text       out = RT_TEXT_INIT;
	int                  r = train(&j, err);

	if (r == 0)
		r = rt_tokenizer_from_json(&t, j, err);
	if (r == 0)
		r = rt_tokenizer_encode(t, "lowest aaa", 10, RT_ENCODE_TEMPLATE, &ids, err);
	if (r == 0)
		r = rt_tokenizer_decode(t, ids.data, ids.len, RT_DECODE_SKIP, &out, err);
	if (r == 0)
		ck_assert_str_eq(out.data, "lowest aaa");
	rt_text_free(&out);
	rt_ids_free(&ids);
	rt_tokenizer_free(t);
	rt_json_free(j);
	return r;
}

/* Or none: a pattern that cannot be compiled to machine code is interpreted. */
START_TEST(no_memory_is_an_ordinary_error)
	{
		int n = 1, failures = 0; /* n - 1: the run before this one */

		for (long seen = n; seen >= n - 1 && n < 100000; n++) {
			struct rt_error err = RT_ERROR_INIT;
			char            wish[32];
			int             r;

			snprintf(wish, sizeof wish, "alloc:%d", n);
			ck_assert_int_eq(fault_set(wish, NULL), 0);
			r = all_of_it(&err);
			seen = fault_seen_allocs();
			fault_set(NULL, NULL);
			ck_assert_msg(r == 0 || r == RT_E_NOMEM, "%s: %d: %s", wish, r, err.msg);
			failures += r != 0;
		}
		ck_assert_int_gt(failures, 20);
	}
END_TEST

RUNNER("tokenizer", 300, tcase_add_checked_fixture(tc, temp_begin, temp_end);
       tcase_add_test(tc, every_golden_folder_gives_its_ids_and_texts);
       tcase_add_test(tc, vocab_json_with_merges_txt_gives_the_same_ids);
       TABLE_TEST(tc, the_vectors_of_llama_cpp_come_out, ggml);
       tcase_add_test(tc, what_a_user_types_is_no_special_token);
       tcase_add_test(tc, marks_are_found_in_every_text_and_stay_in_it);
       TABLE_TEST(tc, special_tokens_and_marks_are_there_once, bad_added);
       TABLE_TEST(tc, a_megabyte_without_spaces_is_no_trap, traps);
       TABLE_TEST(tc, what_is_not_supported_or_not_sane_is_refused_with_a_sentence, bad);
       tcase_add_test(tc, text_that_is_not_utf8_is_refused);
       tcase_add_test(tc, training_finds_the_merges_of_the_reference_ties_included);
       tcase_add_test(tc, no_memory_is_an_ordinary_error);)
