/* chat-calls.c - tool calls, read back from what a model wrote. */
#include <retort/chat.h>

#include <ctype.h>
#include <string.h>

static const char *find(const char *s, const char *end, const char *what)
{
	const size_t n = strlen(what);

	for (; s < end && (size_t)(end - s) >= n; s++)
		if (memcmp(s, what, n) == 0)
			return s;
	return NULL;
}

static void trim(const char **s, const char **end)
{
	while (*s < *end && isspace((unsigned char)**s))
		++*s;
	while (*end > *s && isspace((unsigned char)(*end)[-1]))
		--*end;
}

/* One call from its JSON; Llama says parameters where others say arguments. */
static int add_call(struct rt_json *calls, const struct rt_json *j, struct rt_error *err)
{
	const struct rt_json *name = rt_json_get(j, "name"),
			     *arguments = rt_json_get(j, "arguments");
	struct rt_json *call, *function;
	int             r = 0;

	if (!arguments)
		arguments = rt_json_get(j, "parameters");
	if (!rt_json_string(name) || (arguments && !rt_json_is(arguments, RT_JSON_OBJECT)))
		return rt_fail(err, RT_E_FORMAT,
		               "a tool call needs a 'name' (here %s) and 'arguments' that are an "
		               "object (here %s)",
		               rt_json_type_name(name), rt_json_type_name(arguments));
	call = rt_json_new_object();
	function = rt_json_new_object();
	r |= rt_json_set(function, "name", rt_json_ref(name));
	r |= rt_json_set(function, "arguments",
	                 arguments ? rt_json_ref(arguments) : rt_json_new_object());
	r |= rt_json_set(call, "type", rt_json_new_string("function"));
	r |= rt_json_set(call, "function", function);
	r |= rt_json_append(calls, call);
	return r ? rt_fail_nomem(err, "a tool call") : 0;
}

/* One call, or an array of them. */
static int add_json(struct rt_json *calls, const char *s, const char *end, struct rt_error *err)
{
	struct rt_json *j = NULL;
	int             r;

	trim(&s, &end);
	r = rt_json_parse(s, (size_t)(end - s), "tool call", 1, &j, err);
	if (r == 0 && !rt_json_is(j, RT_JSON_ARRAY))
		r = add_call(calls, j, err);
	else
		for (size_t i = 0; r == 0 && i < rt_json_length(j); i++)
			r = add_call(calls, rt_json_at(j, i), err);
	rt_json_free(j);
	return r;
}

/* What follows Mistral's mark: a JSON array of calls, or (since 2024-11) one call as NAME{...} or
 * NAME[ARGS]{...}, with an id of its own before the arguments ([CALL_ID]...) where there is one. */
static int add_mistral(struct rt_json *calls, const char *s, const char *end, struct rt_error *err)
{
	static const char id[] = "[CALL_ID]", args[] = "[ARGS]";
	const char       *name_end, *object;
	struct rt_json   *call = NULL, *arguments = NULL;
	int               r;

	trim(&s, &end);
	object = find(s, end, "{");
	if (s == end || *s == '[' || *s == '{' || !object)
		return add_json(calls, s, end, err);
	name_end = find(s, object, id);
	if (!name_end)
		name_end = find(s, object, args);
	if (!name_end)
		name_end = object;
	trim(&s, &name_end);
	r = rt_json_parse(object, (size_t)(end - object), "tool call", 1, &arguments, err);
	if (r == 0) {
		call = rt_json_new_object();
		r = rt_json_set(call, "name", rt_json_new_string_n(s, (size_t)(name_end - s)));
		r |= rt_json_set(call, "arguments", rt_json_ref(arguments));
		r = r ? rt_fail_nomem(err, "a tool call") : add_call(calls, call, err);
	}
	rt_json_free(arguments);
	rt_json_free(call);
	return r;
}

static void add_text(struct rt_text *content, const char *s, const char *end)
{
	trim(&s, &end);
	if (s < end && content->len)
		rt_text_add_char(content, '\n');
	rt_text_add_n(content, s, (size_t)(end - s));
}

static int tagged(struct rt_json *calls, const char *s, const char *end, struct rt_text *content,
                  struct rt_error *err)
{
	static const char open[] = "<tool_call>", close[] = "</tool_call>";
	int               r = 0;

	for (const char *tag; r == 0 && (tag = find(s, end, open)) != NULL;) {
		const char *body = tag + sizeof open - 1, *stop = find(body, end, close);

		add_text(content, s, tag);
		if (!stop)
			return rt_fail(err, RT_E_FORMAT, "a tool call does not end: there is no %s",
			               close);
		r = add_json(calls, body, stop, err);
		s = stop + sizeof close - 1;
	}
	add_text(content, s, end);
	return r;
}

/* Is the whole reply one object that names a function? */
static bool bare_call(const char *s, const char *end)
{
	struct rt_json *j = NULL;
	bool            yes;

	trim(&s, &end);
	if (s == end || *s != '{' || rt_json_parse(s, (size_t)(end - s), "reply", 1, &j, NULL) != 0)
		return false;
	yes = rt_json_string(rt_json_get(j, "name")) &&
	      (rt_json_get(j, "parameters") || rt_json_get(j, "arguments"));
	rt_json_free(j);
	return yes;
}

int rt_chat_calls(const char *reply, size_t n, struct rt_json **ret_calls, struct rt_text *content,
                  struct rt_error *err)
{
	static const char mistral[] = "[TOOL_CALLS]", python[] = "<|python_tag|>";
	const char       *end = reply + n, *mark;
	struct rt_json   *calls = rt_json_new_array();
	struct rt_text    text = RT_TEXT_INIT;
	int               r;

	if (!calls)
		return rt_fail_nomem(err, "tool calls");
	if ((mark = find(reply, end, mistral)) != NULL) {
		add_text(&text, reply, mark);
		for (r = 0; r == 0 && mark;) {
			const char *s = mark + sizeof mistral - 1;

			mark = find(s, end, mistral);
			r = add_mistral(calls, s, mark ? mark : end, err);
		}
	} else {
		mark = n >= sizeof python - 1 && memcmp(reply, python, sizeof python - 1) == 0
		               ? reply + sizeof python - 1
		               : reply;
		r = bare_call(mark, end) ? add_json(calls, mark, end, err)
		                         : tagged(calls, reply, end, &text, err);
	}
	if (r == 0) {
		rt_text_add_n(content, text.data, text.len);
		if (text.failed || content->failed)
			r = rt_fail_nomem(err, "tool calls");
	}
	rt_text_free(&text);
	if (r == 0)
		*ret_calls = calls;
	else
		rt_json_free(calls);
	return r;
}

int rt_chat_message(const char *reply, size_t n, struct rt_json **ret, struct rt_error *err)
{
	struct rt_text  content = RT_TEXT_INIT;
	struct rt_json *calls = NULL, *m = rt_json_new_object();
	int             r = m ? rt_chat_calls(reply, n, &calls, &content, err) : RT_E_NOMEM;
	const bool      broken = r == RT_E_FORMAT;

	if (broken) {
		rt_text_clear(&content);
		rt_text_add_n(&content, reply, n);
	}
	if (broken || r == 0) {
		r = rt_json_set(m, "role", rt_json_new_string("assistant"));
		if (content.len || rt_json_length(calls) == 0)
			r |= rt_json_set(m, "content",
			                 rt_json_new_string_n(content.data, content.len));
		if (rt_json_length(calls))
			r |= rt_json_set(m, "tool_calls", rt_json_ref(calls));
		if (r < 0 && !content.failed && rt_utf8_check(reply, n) < n)
			r = rt_fail(err, RT_E_FORMAT, "a reply is not UTF-8");
		else if (r < 0)
			r = rt_fail_nomem(err, "a message");
	} else if (r == RT_E_NOMEM)
		rt_fail_nomem(err, "a message");
	rt_json_free(calls);
	rt_text_free(&content);
	if (r == 0)
		*ret = m;
	else
		rt_json_free(m);
	return r;
}
