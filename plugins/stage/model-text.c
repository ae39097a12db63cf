/* model-text.c - tokenizer and chat template of a new model.  See model-text.h */
#include "model-text.h"

#include <retort/file.h>
#include <retort/memory.h>
#include <retort/rows.h>

#include <string.h>

/* ChatML; calls as Hermes and Qwen write them, without a blank more than JSON needs. */
static const char chatml[] =
	"{%- for message in messages -%}\n"
	"<|im_start|>{{ message.role }}{{ '\\n' }}\n"
	"{%- if message.content -%}{{ message.content }}{%- endif -%}\n"
	"{%- for call in message.tool_calls or [] -%}\n"
	"{%- set f = call.function or call -%}\n"
	"<tool_call>{\"name\":{{ f.name | tojson }},\"arguments\":{\n"
	"{%- for key, value in f.arguments.items() -%}\n"
	"{%- if not loop.first -%},{%- endif -%}{{ key | tojson }}:{{ value | tojson }}\n"
	"{%- endfor -%}\n"
	"}}</tool_call>\n"
	"{%- endfor -%}\n"
	"<|im_end|>{{ '\\n' }}\n"
	"{%- endfor -%}\n"
	"{%- if add_generation_prompt -%}<|im_start|>assistant{{ '\\n' }}{%- endif -%}\n";

static const char *const chatml_special[] = { "<|endoftext|>", "<|im_start|>", "<|im_end|>" };
static const char *const chatml_marks[] = { "<tool_call>", "</tool_call>" };

/* Those of the shipped template, where the file names none of either. */
static struct rt_strings specials(const struct new_text *t)
{
	return t->special.n ? t->special : (struct rt_strings){ chatml_special, 3 };
}

static struct rt_strings marks(const struct new_text *t)
{
	return t->marks.n || t->special.n ? t->marks : (struct rt_strings){ chatml_marks, 2 };
}

/* Is none empty, and each there once? */
static int check_added(const struct new_text *t, struct rt_error *err)
{
	const struct rt_strings lists[] = { specials(t), marks(t) };
	const int64_t           n = lists[0].n, all = n + lists[1].n;

	for (int64_t i = 0; i < all; i++) {
		const char *s = i < n ? lists[0].at[i] : lists[1].at[i - n];

		for (int64_t k = 0; k < i; k++)
			if (strcmp(s, k < n ? lists[0].at[k] : lists[1].at[k - n]) == 0)
				return rt_fail(err, RT_E_USAGE,
				               "'%.60s' is twice among special and marks", s);
		if (!*s)
			return rt_fail(err, RT_E_USAGE, "special and marks have an empty token");
	}
	return 0;
}

int new_text_check(const struct new_text *t, struct rt_error *err)
{
	const struct rt_strings special = specials(t);
	bool                    found = false;

	if (t->tokenizer)
		return t->data.n ? rt_fail(err, RT_E_USAGE,
		                           "give tokenizer or data, not both: a tokenizer that is "
		                           "there is not trained")
		                 : 0;
	if (t->data.n == 0)
		return rt_fail(err, RT_E_USAGE,
		               "a new model needs data to train its tokenizer on, or a tokenizer");
	for (int64_t i = 0; i < special.n; i++)
		found |= strcmp(special.at[i], t->end) == 0;
	return found ? check_added(t, err)
	             : rt_fail(err, RT_E_USAGE, "end = \"%s\" is not one of the special tokens",
	                       t->end);
}

/* ---- training ------------------------------------------------------------------------------- */

struct training {
	const struct new_text *t;
	struct rt_bpe_trainer *trainer;
	struct rt_template *template;
	struct rt_text text;
};

/* The first place in a text where one of a list stands, of those that begin there the longest. */
static void find_first(const struct rt_strings *list, const char *at, const char **cut,
                       size_t *skip)
{
	for (int64_t i = 0; i < list->n; i++) {
		const char  *hit = strstr(at, list->at[i]);
		const size_t n = strlen(list->at[i]);

		if (hit && (hit < *cut || (hit == *cut && n > *skip))) {
			*cut = hit;
			*skip = n;
		}
	}
}

/* The text between special tokens and marks: these are no words to merge. */
static int add_text(struct training *x, struct rt_error *err)
{
	const struct rt_strings special = specials(x->t), mark = marks(x->t);
	const char             *at = x->text.data, *end = at + x->text.len;

	while (at < end) {
		const char *cut = end;
		size_t      skip = 0;
		int         r;

		find_first(&special, at, &cut, &skip);
		find_first(&mark, at, &cut, &skip);
		r = rt_bpe_trainer_add(x->trainer, at, (size_t)(cut - at), err);
		if (r < 0)
			return r;
		at = cut + skip;
	}
	return 0;
}

static int add_row(struct training *x, const struct rt_json *row, struct rt_error *err)
{
	const struct rt_chat chat = { .messages = rt_json_get(row, "messages"),
		                      .tools = rt_json_get(row, "tools") };
	int                  r;

	rt_text_clear(&x->text);
	r = rt_template_render(x->template, &chat, &x->text, err);
	return r < 0 ? r : add_text(x, err);
}

static int add_dataset(struct training *x, const char *folder, struct rt_context *c,
                       struct rt_error *err)
{
	char           *path = rt_path_join(folder, "rows.jsonl");
	struct rt_rows *rows = NULL;
	struct rt_json *row;
	int             r = path ? rt_rows_open(&rows, path, 0, err) : rt_fail_nomem(err, "a path");

	while (r >= 0 && (r = rt_rows_next(rows, &row, err)) == 1) {
		r = add_row(x, row, err);
		rt_json_free(row);
		if (r < 0)
			r = rt_within(err, r, "%s:%lld", path, (long long)rt_rows_line(rows));
		else if (rt_cancelled(c))
			r = rt_fail(err, RT_E_CANCEL, "cancelled");
	}
	rt_rows_close(rows);
	rt_free(path);
	return r;
}

static int train(const struct new_text *t, struct rt_template *template, struct rt_context *c,
                 struct rt_json **ret, struct rt_error *err)
{
	const struct rt_bpe_config config = { .vocab_size = t->vocabulary,
		                              .min_frequency = 2,
		                              .special = specials(t),
		                              .marks = marks(t),
		                              .pattern = t->pattern };
	struct training            x = { .t = t, .template = template, .text = RT_TEXT_INIT };
	int                        r = rt_bpe_trainer_new(&x.trainer, &config, err);

	for (int64_t i = 0; r == 0 && i < t->data.n; i++)
		r = add_dataset(&x, t->data.at[i]->path, c, err);
	if (r == 0)
		r = rt_bpe_trainer_finish(x.trainer, ret, err);
	rt_bpe_trainer_free(x.trainer);
	rt_text_free(&x.text);
	return r;
}

/* ---- files ---------------------------------------------------------------------------------- */

static int write_file(const char *folder, const char *name, const char *bytes, size_t n,
                      struct rt_error *err)
{
	char *path = rt_path_join(folder, name);
	int   r = path ? rt_file_write(path, bytes, n, err) : rt_fail_nomem(err, "a path");

	rt_free(path);
	return r;
}

/* Takes over j. */
static int write_json(const char *folder, const char *name, struct rt_json *j, int made,
                      struct rt_error *err)
{
	char *path = rt_path_join(folder, name);
	int   r = path && j && made == 0 ? rt_json_write(j, RT_JSON_INDENT, path, err)
	                                 : rt_fail_nomem(err, name);

	rt_json_free(j);
	rt_free(path);
	return r;
}

static int write_settings(const struct new_text *t, const char *folder, int64_t end,
                          struct rt_error *err)
{
	struct rt_json *o = rt_json_new_object(), *g = rt_json_new_object();
	int             made = o && g ? 0 : RT_E_NOMEM, r;

	if (made == 0) {
		made |= rt_json_set(o, "tokenizer_class",
		                    rt_json_new_string("PreTrainedTokenizerFast"));
		made |= rt_json_set(o, "eos_token", rt_json_new_string(t->end));
		made |= rt_json_set(o, "pad_token", rt_json_new_string(specials(t).at[0]));
		made |= rt_json_set(o, "clean_up_tokenization_spaces", rt_json_new_bool(false));
		made |= rt_json_set(g, "eos_token_id", rt_json_new_int(end));
		made |= rt_json_set(g, "do_sample", rt_json_new_bool(false));
	}
	r = write_json(folder, "tokenizer_config.json", o, made, err);
	if (r == 0)
		return write_json(folder, "generation_config.json", g, made, err);
	rt_json_free(g);
	return r;
}

static int make_new(const struct new_text *t, const char *folder, struct rt_text *source,
                    struct made_text *ret, struct rt_context *c, struct rt_error *err)
{
	struct rt_template *template = NULL;
	struct rt_json      *j = NULL;
	struct rt_tokenizer *tokenizer = NULL;
	int                  r = rt_template_parse(&template, source->data, source->len,
                                  t->template ? t->template : "the shipped template", err);

	if (r == 0)
		r = train(t, template, c, &j, err);
	if (r == 0)
		r = rt_tokenizer_from_json(&tokenizer, j, err);
	if (r == 0) {
		ret->size = rt_tokenizer_size(tokenizer);
		ret->end = rt_tokenizer_id(tokenizer, t->end, strlen(t->end));
		r = write_json(folder, "tokenizer.json", rt_json_ref(j), 0, err);
	}
	if (r == 0)
		r = write_file(folder, "chat_template.jinja", source->data, source->len, err);
	if (r == 0)
		r = write_settings(t, folder, ret->end, err);
	rt_tokenizer_free(tokenizer);
	rt_json_free(j);
	rt_template_free(template);
	return r;
}

/* The files of the folder that is named; its tokenizer says how large the vocabulary is. */
static int take_old(const struct new_text *t, const char *folder, struct made_text *ret,
                    struct rt_error *err)
{
	struct rt_tokenizer *tokenizer;
	int                  r = rt_tokenizer_open(&tokenizer, t->tokenizer, err);

	if (r < 0)
		return r;
	ret->size = rt_tokenizer_size(tokenizer);
	ret->end = rt_tokenizer_id(tokenizer, t->end, strlen(t->end));
	rt_tokenizer_free(tokenizer);
	return rt_model_copy_text(t->tokenizer, folder, err);
}

int new_text_make(const struct new_text *t, const char *folder, struct made_text *ret,
                  struct rt_context *c, struct rt_error *err)
{
	struct rt_text source = RT_TEXT_INIT;
	int            r = rt_remove_all(folder, err);

	if (r == 0)
		r = rt_mkdir_all(folder, err);
	if (r < 0)
		return r;
	if (t->tokenizer)
		return take_old(t, folder, ret, err);
	if (t->template)
		r = rt_file_read(t->template, 1 << 20, &source, err);
	else {
		rt_text_add(&source, chatml);
		r = source.failed ? rt_fail_nomem(err, "a template") : 0;
	}
	if (r == 0)
		r = make_new(t, folder, &source, ret, c, err);
	rt_text_free(&source);
	return r;
}
