/* openai-reply.c - see openai-reply.h */
#include "openai-reply.h"

#include <retort/memory.h>
#include <retort/row.h>

#include <string.h>

static int wrong(size_t i, const char *where, const struct rt_json *have, const char *want,
                 struct rt_error *err)
{
	return rt_fail(err, RT_E_FORMAT, "the reply's choices[%zu]%s is %s, want %s", i, where,
	               rt_json_type_name(have), want);
}

static bool null_or(const struct rt_json *j, enum rt_json_type type)
{
	return rt_json_type(j) == RT_JSON_NULL || rt_json_is(j, type);
}

static int check_calls(size_t i, struct rt_json *message, struct rt_error *err)
{
	const struct rt_json *calls = rt_json_get(message, "tool_calls");

	if (!null_or(calls, RT_JSON_ARRAY))
		return wrong(i, ".message.tool_calls", calls, "an array", err);
	for (size_t k = 0; k < rt_json_length(calls); k++) {
		const struct rt_json *f = rt_json_get(rt_json_at(calls, k), "function"),
				     *name = rt_json_get(f, "name"),
				     *a = rt_json_get(f, "arguments");

		if (!rt_json_is(name, RT_JSON_STRING))
			return wrong(i, ".message.tool_calls[].function.name", name, "a string",
			             err);
		if (!rt_json_is(a, RT_JSON_STRING) && !rt_json_is(a, RT_JSON_OBJECT))
			return wrong(i, ".message.tool_calls[].function.arguments", a,
			             "JSON text or an object", err);
	}
	/* [] and null are no calls. */
	return calls && rt_json_length(calls) == 0 ? rt_json_remove(message, "tool_calls") : 0;
}

static int check_logprobs(size_t i, struct rt_json *choice, struct rt_error *err)
{
	const struct rt_json *l = rt_json_get(choice, "logprobs"),
			     *list = rt_json_get(l, "content");

	if (rt_json_type(l) == RT_JSON_NULL)
		return l ? rt_json_remove(choice, "logprobs") : 0;
	if (!rt_json_is(l, RT_JSON_OBJECT))
		return wrong(i, ".logprobs", l, "an object", err);
	if (!null_or(list, RT_JSON_ARRAY))
		return wrong(i, ".logprobs.content", list, "an array", err);
	for (size_t k = 0; k < rt_json_length(list); k++) {
		const struct rt_json *t = rt_json_at(list, k), *p = rt_json_get(t, "logprob");

		if (!rt_json_is(rt_json_get(t, "token"), RT_JSON_STRING))
			return wrong(i, ".logprobs.content[].token", rt_json_get(t, "token"),
			             "a string", err);
		if (!rt_json_is(p, RT_JSON_REAL) && !rt_json_is(p, RT_JSON_INT))
			return wrong(i, ".logprobs.content[].logprob", p, "a number", err);
	}
	return 0;
}

/* An object with the named members alone, and of those that are null only `content`. */
static struct rt_json *kept(const struct rt_json *o, const char *const *names)
{
	struct rt_json *out = rt_json_new_object();
	int             r = out ? 0 : RT_E_NOMEM;

	for (; r == 0 && *names; names++) {
		const struct rt_json *value = rt_json_get(o, *names);

		if (value &&
		    (rt_json_type(value) != RT_JSON_NULL || strcmp(*names, "content") == 0))
			r = rt_json_set(out, *names, rt_json_ref(value));
	}
	if (r == 0)
		return out;
	rt_json_free(out);
	return NULL;
}

/* What teacher.h has of a choice, and what the model thought, where the server says. */
static int keep_known(struct rt_json *choices, size_t i)
{
	static const char *const of_message[] = { "role", "content", "reasoning_content",
		                                  "tool_calls", NULL };
	static const char *const of_choice[] = { "index", "finish_reason", "message", "logprobs",
		                                 NULL };
	struct rt_json          *choice = rt_json_at(choices, i);
	int r = rt_json_set(choice, "message", kept(rt_json_get(choice, "message"), of_message));

	return r == 0 ? rt_json_replace(choices, i, kept(choice, of_choice)) : r;
}

/* One choice, as it should be; what is missing and certain is put in. */
static int check_choice(struct rt_json *choices, size_t i, struct rt_error *err)
{
	struct rt_json *choice = rt_json_at(choices, i), *message = rt_json_get(choice, "message");
	const struct rt_json *content = rt_json_get(message, "content"),
			     *role = rt_json_get(message, "role");
	int r;

	if (!rt_json_is(choice, RT_JSON_OBJECT))
		return wrong(i, "", choice, "an object", err);
	if (!rt_json_is(message, RT_JSON_OBJECT))
		return wrong(i, ".message", message, "an object", err);
	if (!null_or(content, RT_JSON_STRING))
		return wrong(i, ".message.content", content, "a string", err);
	if (role && (!rt_json_string(role) || strcmp(rt_json_string(role), "assistant") != 0))
		return wrong(i, ".message.role", role, "\"assistant\"", err);
	r = check_calls(i, message, err);
	if (r == 0)
		r = check_logprobs(i, choice, err);
	if (r < 0)
		return r;
	r |= rt_json_set(message, "role", rt_json_new_string("assistant"));
	r |= rt_json_set(choice, "index", rt_json_new_int((int64_t)i));
	if (!rt_json_string(rt_json_get(choice, "finish_reason")))
		r |= rt_json_set(choice, "finish_reason", rt_json_new_string("stop"));
	if (r == 0)
		r = keep_known(choices, i);
	return r < 0 ? rt_fail_nomem(err, "a reply") : 0;
}

/* Arguments that are JSON text become objects, as in rows. */
static int read_arguments(const struct rt_json *choices)
{
	struct rt_json *row = rt_json_new_object(), *messages = rt_json_new_array();
	int             r = row && messages ? 0 : RT_E_NOMEM;

	for (size_t i = 0; r == 0 && i < rt_json_length(choices); i++)
		r = rt_json_append(messages,
		                   rt_json_ref(rt_json_get(rt_json_at(choices, i), "message")));
	if (r == 0)
		r = rt_json_set(row, "messages", rt_json_ref(messages));
	if (r == 0)
		r = rt_row_normalize(row);
	rt_json_free(messages);
	rt_json_free(row);
	return r;
}

int64_t openai_usage(const struct rt_json *reply, const char *name)
{
	const int64_t n = rt_json_int(rt_json_get(rt_json_get(reply, "usage"), name), -1);

	return n < 0 ? -1 : n;
}

/* Counts that the server gives and that are counts. */
static int copy_usage(const struct rt_json *from, struct rt_json *to)
{
	static const char *const names[] = { "prompt_tokens", "completion_tokens" };
	struct rt_json          *usage = rt_json_new_object();
	int                      r = usage ? 0 : RT_E_NOMEM;

	for (size_t i = 0; r == 0 && i < 2; i++)
		if (openai_usage(from, names[i]) >= 0)
			r = rt_json_set(usage, names[i],
			                rt_json_new_int(openai_usage(from, names[i])));
	if (r == 0 && rt_json_length(usage) == 2)
		return rt_json_set(to, "usage", usage);
	rt_json_free(usage);
	return r;
}

static int make_reply(const struct rt_json *from, struct rt_json **ret)
{
	struct rt_json       *o = rt_json_new_object(), *choices = rt_json_get(from, "choices");
	const struct rt_json *model = rt_json_get(from, "model");
	int                   r = o ? read_arguments(choices) : RT_E_NOMEM;

	if (r == 0)
		r = rt_json_set(o, "choices", rt_json_ref(choices));
	if (r == 0)
		r = copy_usage(from, o);
	if (r == 0 && rt_json_is(model, RT_JSON_STRING))
		r = rt_json_set(o, "model", rt_json_ref(model));
	if (r < 0)
		rt_json_free(o);
	else
		*ret = o;
	return r;
}

int openai_reply(const char *text, size_t n, struct rt_json **ret, struct rt_error *err)
{
	struct rt_json *o, *choices;
	int             r = rt_json_parse(text, n, "the server's reply", 1, &o, err);

	if (r == RT_E_NOMEM)
		return r;
	if (r < 0) {
		err->code = RT_E_IO;
		return RT_E_IO;
	}
	choices = rt_json_get(o, "choices");
	if (!rt_json_is(choices, RT_JSON_ARRAY) || rt_json_length(choices) == 0)
		r = rt_fail(err, RT_E_FORMAT,
		            "the reply has no choices; is this the address of a server of chat "
		            "completions?");
	for (size_t i = 0; r == 0 && i < rt_json_length(choices); i++)
		r = check_choice(choices, i, err);
	if (r == 0 && make_reply(o, ret) < 0)
		r = rt_fail_nomem(err, "a reply");
	rt_json_free(o);
	return r;
}

/* ---- complaints ---- */

static const char *own_words(const struct rt_json *o)
{
	static const char *const names[] = { "message", "detail", "error" };
	const struct rt_json    *e = rt_json_get(o, "error");
	const char              *s = rt_json_string(rt_json_get(e, "message"));

	for (size_t i = 0; !s && i < sizeof names / sizeof *names; i++)
		s = rt_json_string(rt_json_get(o, names[i]));
	return s;
}

/* One line: runs of blanks and control characters become a space; cut between characters. */
static void one_line(const char *s, size_t n, char *out, size_t size)
{
	size_t k = 0;

	for (size_t i = 0, len; i < n; i += len) {
		const uint32_t code = rt_utf8_decode(s + i, n - i, &len);
		char           bytes[4];
		const size_t   more = rt_utf8_encode(code, bytes);

		if (code <= ' ' || code == 0x7f) {
			if (k > 0 && out[k - 1] != ' ' && k + 1 < size)
				out[k++] = ' ';
		} else if (k + more < size) {
			memcpy(out + k, bytes, more);
			k += more;
		} else {
			break;
		}
	}
	while (k > 0 && out[k - 1] == ' ')
		k--;
	out[k] = '\0';
}

void openai_complaint(const char *text, size_t n, char *out, size_t size)
{
	struct rt_json *o = NULL;
	const char     *words = NULL;

	if (rt_json_parse(text, n, "", 1, &o, NULL) == 0)
		words = own_words(o);
	if (words)
		one_line(words, strlen(words), out, size);
	else
		one_line(text, n, out, size);
	rt_json_free(o);
}

bool openai_no_credit(const char *text, size_t n)
{
	static const char *const names[] = { "code", "type" };
	struct rt_json          *o = NULL;
	bool                     yes = false;

	if (rt_json_parse(text, n, "", 1, &o, NULL) < 0)
		return false;
	for (size_t i = 0; i < 2; i++) {
		const char *s = rt_json_string(rt_json_get(rt_json_get(o, "error"), names[i]));

		yes = yes || (s && strcmp(s, "insufficient_quota") == 0);
	}
	rt_json_free(o);
	return yes;
}
