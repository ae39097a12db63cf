/* tokenize.c - retort tokenize: text to token ids and back. */
#include "cli/lines.h"

#include "cli/command.h"

#include <stdio.h>

struct job {
	const struct rt_tokenizer *t;
	bool                       special, json;
};

/* Each token as it is spelled in the vocabulary. */
static struct rt_json *spelled(const struct rt_tokenizer *t, const struct rt_ids *ids)
{
	struct rt_json *a = rt_json_new_array();
	int             r = a ? 0 : RT_E_NOMEM;

	for (size_t i = 0; r == 0 && i < ids->len; i++) {
		size_t      n = 0;
		const char *s = rt_tokenizer_token(t, ids->data[i], &n);

		r = rt_json_append(a, s ? rt_json_new_string_n(s, n) : rt_json_new_null());
	}
	if (r == 0)
		return a;
	rt_json_free(a);
	return NULL;
}

static struct rt_json *described(const struct rt_tokenizer *t, const struct rt_ids *ids)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0)
		r = rt_json_set(o, "ids", lines_ids(ids->data, ids->len));
	if (r == 0)
		r = rt_json_set(o, "tokens", spelled(t, ids));
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

static int encode(void *arg, const char *text, size_t n, struct rt_error *err)
{
	const struct job *job = arg;
	struct rt_ids     ids = RT_IDS_INIT;
	const unsigned    flags = job->special ? RT_ENCODE_SPECIAL | RT_ENCODE_TEMPLATE : 0;
	int               r = rt_tokenizer_encode(job->t, text, n, flags, &ids, err);

	if (r == 0)
		r = lines_put(job->json ? described(job->t, &ids) : lines_ids(ids.data, ids.len),
		              err);
	rt_ids_free(&ids);
	return r;
}

static int decode(void *arg, const char *text, size_t n, struct rt_error *err)
{
	const struct job *job = arg;
	struct rt_ids     ids = RT_IDS_INIT;
	struct rt_text    out = RT_TEXT_INIT;
	struct rt_json   *j;
	int               r = rt_json_parse(text, n, "ids", 1, &j, err);

	if (r < 0)
		return r;
	r = lines_take_ids(rt_json_is(j, RT_JSON_OBJECT) ? rt_json_get(j, "ids") : j,
	                   rt_tokenizer_size(job->t), &ids, err);
	rt_json_free(j);
	if (r == 0)
		r = rt_tokenizer_decode(job->t, ids.data, ids.len,
		                        job->special ? 0 : RT_DECODE_SKIP, &out, err);
	rt_ids_free(&ids);
	if (r == 0 && job->json)
		r = lines_put(rt_json_new_string_n(out.data, out.len), err);
	else if (r == 0) {
		rt_text_add_char(&out, '\n');
		if (out.failed)
			r = rt_fail_nomem(err, "a text");
		else if (fwrite(out.data, 1, out.len, stdout) != out.len)
			r = program_flush(err);
	}
	rt_text_free(&out);
	return r;
}

static int run(const struct command *self, int argc, char **argv, struct rt_error *err)
{
	struct job          job = { 0 };
	bool                back = false, whole = false;
	struct rt_model    *m;
	const struct option options[] = {
		{ "decode", 'd', NULL, "ids to text: one list a line", OPT_FLAG, &back, 0, 0 },
		{ "special", 's', NULL, "special tokens count (see below)", OPT_FLAG, &job.special,
		  0, 0 },
		{ "whole", 'w', NULL, "all of standard input is one text", OPT_FLAG, &whole, 0, 0 },
		{ "json", 0, NULL, "ids with the tokens' spellings; with --decode, JSON strings",
		  OPT_FLAG, &job.json, 0, 0 },
		OPTION_END
	};
	int r = options_read(self, options, &argc, argv, 1, 1, err);

	if (r != 0)
		return r < 0 ? r : 0;
	if (back && whole)
		return rt_fail(err, RT_E_USAGE, "tokenize: --whole is for text, not for --decode");
	r = lines_text(&m, argv[0], RT_MODEL_TEXT, err);
	if (r < 0)
		return r;
	job.t = rt_model_tokenizer(m);
	r = lines_texts(whole, back ? decode : encode, &job, err);
	rt_model_close(m);
	return r;
}

const struct command command_tokenize = {
	.name = "tokenize",
	.arguments = "MODEL",
	.summary = "Turn text into token ids, or back.",
	.help = "MODEL is a folder with a tokenizer, or a GGUF file.  Reads standard input, a text "
		"a\n"
		"line, and prints the ids of each as a JSON list; --decode reads such lists.\n"
		"Text that spells a special token is plain text, unless --special says that it is\n"
		"that token; --special also adds the tokens that the tokenizer puts around a "
		"text,\n"
		"and with --decode shows special tokens, which are left out otherwise.\n\n"
		"    echo 'play some jazz' | retort tokenize MODEL | retort tokenize MODEL "
		"--decode\n",
	.run = run,
};
