/* chat.c - opening and rendering chat templates; see retort/chat.h */
#include "text/jinja.h"

#include <retort/chat.h>
#include <retort/file.h>

#include <ctype.h>
#include <string.h>

struct rt_template {
	struct pool  pool;
	struct node *root;
	char        *name, *text;
};

int rt_template_parse(struct rt_template **ret, const char *text, size_t n, const char *name,
                      struct rt_error *err)
{
	struct rt_template *t = rt_alloc(1, sizeof *t);
	int                 r = 0;

	if (t) {
		t->name = rt_strdup(name);
		t->text = rt_strndup(text, n);
	}
	if (!t || !t->name || !t->text) {
		rt_template_free(t);
		return rt_fail_nomem(err, "a template");
	}
	if (rt_utf8_check(text, n) != n)
		r = rt_fail(err, RT_E_FORMAT, "not UTF-8");
	t->pool.err = err;
	if (r == 0) {
		t->root = jinja_parse(&t->pool, t->text, n);
		r = t->pool.r;
	}
	t->pool.err = NULL;
	if (r < 0) {
		r = rt_within(err, r, "%s", name);
		rt_template_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void rt_template_free(struct rt_template *t)
{
	if (!t)
		return;
	rt_arena_free(&t->pool.arena);
	rt_free(t->name);
	rt_free(t->text);
	rt_free(t);
}

const char *rt_template_source(const struct rt_template *t)
{
	return t->text;
}

static int from_file(struct rt_template **ret, const char *path, struct rt_error *err)
{
	struct rt_text t = RT_TEXT_INIT;
	int            r = rt_file_read(path, 1 << 24, &t, err);

	if (r == 0)
		r = rt_template_parse(ret, t.data, t.len, path, err);
	rt_text_free(&t);
	return r;
}

/* chat_template is a string, or a list of { name, template } with one named "default". */
static int from_config(struct rt_template **ret, const char *path, struct rt_error *err)
{
	struct rt_json *j = NULL, *t;
	int             r = rt_json_read(path, 0, &j, err);

	t = rt_json_get(j, "chat_template");
	for (size_t i = 0; r == 0 && rt_json_is(t, RT_JSON_ARRAY) && i < rt_json_length(t); i++) {
		const char *name = rt_json_string(rt_json_get(rt_json_at(t, i), "name"));

		if (name && strcmp(name, "default") == 0)
			t = rt_json_get(rt_json_at(t, i), "template");
	}
	if (r == 0 && !rt_json_string(t))
		r = rt_fail(err, RT_E_NOENT, "%s has no chat_template", path);
	if (r == 0)
		r = rt_template_parse(ret, rt_json_string(t), rt_json_length(t), path, err);
	rt_json_free(j);
	return r;
}

int rt_template_open(struct rt_template **ret, const char *path, struct rt_error *err)
{
	char *file = rt_path_join(path, "chat_template.jinja"),
	     *config = rt_path_join(path, "tokenizer_config.json");
	int r;

	if (!file || !config)
		r = rt_fail_nomem(err, "a path");
	else if (rt_exists(file))
		r = from_file(ret, file, err);
	else if (rt_exists(config))
		r = from_config(ret, config, err);
	else
		r = from_file(ret, path, err);
	rt_free(file);
	rt_free(config);
	return r;
}

static void variables(struct run *x, const struct rt_chat *c, struct val messages)
{
	jinja_define(x, "messages", messages);
	jinja_define(x, "tools", val_from_json(x, c->tools));
	jinja_define(x, "add_generation_prompt", val_bool(c->generation_prompt));
	if (c->bos)
		jinja_define(x, "bos_token", val_str(x, c->bos, strlen(c->bos)));
	if (c->eos)
		jinja_define(x, "eos_token", val_str(x, c->eos, strlen(c->eos)));
	for (struct rt_json_iter i = rt_json_first(c->kwargs); i.key && !x->pool.r;
	     rt_json_next(&i)) {
		const struct val key = val_str(x, i.key, strlen(i.key));

		if (key.t == V_STR)
			jinja_define(x, key.u.s, val_from_json(x, i.value));
	}
}

/* With `stand_in` >= 0 that message says something else; only the first `count` are rendered. */
static int render(const struct rt_template *t, const struct rt_chat *c, int64_t stand_in,
                  size_t count, bool prompt, struct rt_text *out, struct rt_error *err)
{
	struct frame frame = { .up = NULL };
	struct run   x = { .out = RT_TEXT_INIT, .frame = &frame, .global = &frame, .now = c->now };
	struct rt_chat chat = *c;
	struct val     messages;
	int            r;

	chat.generation_prompt = prompt;
	x.pool.err = err;
	messages = val_list(&x);
	for (size_t i = 0; i < rt_json_length(c->messages) && i < count && !x.pool.r; i++) {
		struct val m = val_from_json(&x, rt_json_at(c->messages, i));

		if ((int64_t)i == stand_in && m.t == V_DICT) {
			m = val_dict(&x);
			if (m.t == V_DICT) {
				val_put(&x, m.u.dict, val_str(&x, "role", 4),
				        val_str(&x, "assistant", 9));
				val_put(&x, m.u.dict, val_str(&x, "content", 7),
				        val_str(&x, "\x01", 1));
			}
		}
		val_append(&x, messages, m);
	}
	if (!x.pool.r)
		variables(&x, &chat, messages);
	jinja_run(&x, t->root);
	r = x.pool.r;
	if (r == 0) {
		rt_text_add_n(out, x.out.data, x.out.len);
		if (out->failed)
			r = rt_fail_nomem(err, "a rendered chat");
	} else {
		r = rt_within(err, r, "%s", t->name);
	}
	rt_text_free(&x.out);
	rt_arena_free(&x.pool.arena);
	return r;
}

int rt_template_render(const struct rt_template *t, const struct rt_chat *chat, struct rt_text *out,
                       struct rt_error *err)
{
	return render(t, chat, -1, SIZE_MAX, chat->generation_prompt, out, err);
}

/* ---- what the assistant wrote ---- */

struct span {
	size_t start, end;
};

static bool assistant(const struct rt_json *message)
{
	const char *role = rt_json_string(rt_json_get(message, "role"));

	return role && strcmp(role, "assistant") == 0;
}

/* What the generation prompt adds in front of message i; nothing where that cannot be told. */
static void prompt_of(const struct rt_template *t, const struct rt_chat *c, size_t i,
                      struct rt_text *ret)
{
	struct rt_text with = RT_TEXT_INIT, without = RT_TEXT_INIT;

	if (render(t, c, -1, i, true, &with, NULL) == 0 &&
	    render(t, c, -1, i, false, &without, NULL) == 0 && with.len >= without.len &&
	    memcmp(with.data, without.data, without.len) == 0)
		rt_text_add_n(ret, with.data + without.len, with.len - without.len);
	rt_text_free(&with);
	rt_text_free(&without);
}

/* Where the text of message i lies in the first `count` messages as they are rendered: what
 * differs when it says something else, and what lies between the prompt and that. */
static int differs(const struct rt_template *t, const struct rt_chat *c,
                   const struct rt_text *whole, size_t i, size_t count, bool prompt,
                   struct span *ret, struct rt_error *err)
{
	struct rt_text other = RT_TEXT_INIT;
	const int      r = render(t, c, (int64_t)i, count, prompt, &other, err);
	size_t         start = 0, tail = 0, least;

	least = whole->len < other.len ? whole->len : other.len;
	while (start < least && whole->data[start] == other.data[start])
		start++;
	while (tail < least - start &&
	       whole->data[whole->len - 1 - tail] == other.data[other.len - 1 - tail])
		tail++;
	*ret = (struct span){ start, whole->len - tail };
	rt_text_free(&other);
	return r;
}

/* The same in a template that refuses what follows unless message i says what it says (a result
 * wants its call): in the messages up to i, if they are rendered as they are in the whole. */
static int differs_so_far(const struct rt_template *t, const struct rt_chat *c,
                          const struct rt_text *whole, size_t i, struct span *ret,
                          struct rt_error *err)
{
	struct rt_text part = RT_TEXT_INIT;
	int            r = render(t, c, -1, i + 1, false, &part, err);

	if (r == 0)
		r = differs(t, c, &part, i, i + 1, false, ret, err);
	if (r == 0 && (ret->end > whole->len || memcmp(part.data, whole->data, ret->end) != 0))
		r = rt_fail(err, RT_E_UNSUP,
		            "%s: it cannot be told what the assistant wrote in message %zu, which "
		            "is rendered differently when others follow",
		            t->name, i);
	rt_text_free(&part);
	return r;
}

static int find_span(const struct rt_template *t, const struct rt_chat *c,
                     const struct rt_text *whole, size_t i, size_t floor, struct span *ret,
                     struct rt_error *err)
{
	struct rt_text prompt = RT_TEXT_INIT;
	int            r = differs(t, c, whole, i, SIZE_MAX, c->generation_prompt, ret, err);

	if (r == RT_E_INVAL && i + 1 < rt_json_length(c->messages))
		r = differs_so_far(t, c, whole, i, ret, err);
	if (r < 0)
		return r;
	prompt_of(t, c, i, &prompt);
	for (size_t at = ret->start; prompt.len && at >= floor + prompt.len; at--)
		if (memcmp(whole->data + at - prompt.len, prompt.data, prompt.len) == 0) {
			ret->start = at;
			break;
		}
	if (prompt.failed)
		r = rt_fail_nomem(err, "an assistant mask");
	rt_text_free(&prompt);
	return r;
}

/* Go on in text over what a token says.  Tokenizers may put a blank in front of what begins, and
 * swallow those beside a special token; nothing else may differ. */
static bool follow(const struct rt_text *text, size_t *at, const char *said, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		while (*at < text->len && text->data[*at] != said[i] && said[i] != ' ' &&
		       isspace((unsigned char)text->data[*at]))
			++*at;
		if (*at < text->len && text->data[*at] == said[i])
			++*at;
		else if (said[i] != ' ')
			return false;
	}
	return true;
}

/* Mark the ids from `from` on that begin within the spans. */
static int mark(const struct rt_tokenizer *k, const struct rt_text *text, const struct span *span,
                size_t spans, const struct rt_ids *ids, size_t from, struct rt_ids *mask,
                struct rt_error *err)
{
	struct rt_decoder *d = NULL;
	struct rt_text     said = RT_TEXT_INIT;
	size_t             s = 0, at = 0;
	bool               inside = false, same = true;
	int                r = rt_decoder_new(&d, k, 0, err);

	for (size_t i = from; r == 0 && same && i < ids->len; i++) {
		bool yes;

		while (s < spans && at >= span[s].end &&
		       !(inside && rt_tokenizer_special(k, ids->data[i])))
			s++, inside = false;
		yes = s < spans && at >= span[s].start;
		inside = yes && at < span[s].end;
		rt_ids_add(mask, yes);
		if (yes && !inside) /* the token that ends the turn */
			s++;
		rt_text_clear(&said);
		r = rt_decoder_put(d, ids->data[i], &said, err);
		same = r < 0 || follow(text, &at, said.data, said.len);
	}
	rt_text_clear(&said);
	if (r == 0)
		r = rt_decoder_finish(d, &said, err);
	same = same && follow(text, &at, said.data, said.len);
	while (at < text->len && isspace((unsigned char)text->data[at]))
		at++;
	if (r == 0 && (!same || at < text->len))
		r = rt_fail(err, RT_E_UNSUP,
		            "the tokens of a chat do not decode to its text ('%.*s' and what "
		            "follows), so it cannot be told which of them the assistant wrote: the "
		            "tokenizer changes the text",
		            (int)(text->len - at < 20 ? text->len - at : 20), text->data + at);
	rt_decoder_free(d);
	rt_text_free(&said);
	return r == 0 && mask->failed ? rt_fail_nomem(err, "an assistant mask") : r;
}

int rt_template_encode(const struct rt_template *t, const struct rt_tokenizer *tokenizer,
                       const struct rt_chat *chat, struct rt_text *out, struct rt_ids *ids,
                       struct rt_ids *mask, struct rt_error *err)
{
	const size_t messages = rt_json_length(chat->messages), from = ids->len,
		     mask_from = mask->len;
	struct rt_text text = RT_TEXT_INIT;
	struct span   *span = rt_alloc(messages + 1, sizeof *span);
	size_t         n = 0;
	int            r = span ? rt_template_render(t, chat, &text, err)
	                        : rt_fail_nomem(err, "an assistant mask");

	for (size_t i = 0; r == 0 && i < messages; i++)
		if (assistant(rt_json_at(chat->messages, i))) {
			r = find_span(t, chat, &text, i, n ? span[n - 1].end : 0, &span[n], err);
			n++;
		}
	if (r == 0)
		r = rt_tokenizer_encode(tokenizer, text.data, text.len, RT_ENCODE_SPECIAL, ids,
		                        err);
	if (r == 0)
		r = mark(tokenizer, &text, span, n, ids, from, mask, err);
	if (r == 0) {
		rt_text_add_n(out, text.data, text.len);
		r = out->failed ? rt_fail_nomem(err, "a rendered chat") : 0;
	}
	if (r < 0) {
		ids->len = from;
		mask->len = mask_from;
	}
	rt_free(span);
	rt_text_free(&text);
	return r;
}
