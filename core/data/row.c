/* row.c - see retort/row.h */
#include <retort/row.h>

#include <retort/memory.h>

#include <string.h>

static bool is_assistant(const struct rt_json *message)
{
	const char *role = rt_json_string(rt_json_get(message, "role"));

	return role && strcmp(role, "assistant") == 0;
}

size_t rt_row_prompt(const struct rt_json *row)
{
	const struct rt_json *messages = rt_json_get(row, "messages");
	size_t                n = rt_json_length(messages);

	while (n > 0 && is_assistant(rt_json_at(messages, n - 1)))
		n--;
	return n;
}

struct rt_json *rt_row_prompt_messages(const struct rt_json *row)
{
	struct rt_json *messages = rt_json_new_array();
	int             r = messages ? 0 : RT_E_NOMEM;

	for (size_t i = 0; r == 0 && i < rt_row_prompt(row); i++)
		r = rt_json_append(messages,
		                   rt_json_ref(rt_json_at(rt_json_get(row, "messages"), i)));
	if (r == 0)
		return messages;
	rt_json_free(messages);
	return NULL;
}

const struct rt_json *rt_row_reference(const struct rt_json *row, size_t i)
{
	const struct rt_json *first = rt_json_at(rt_json_get(row, "messages"), rt_row_prompt(row));

	if (first)
		return i == 0 ? first : rt_json_at(rt_json_get(row, "accepted"), i - 1);
	return rt_json_at(rt_json_get(row, "accepted"), i);
}

int rt_row_no_reference(const struct rt_json *row, struct rt_error *err)
{
	const char *id = rt_json_string(rt_json_get(row, "id"));

	return rt_fail(err, RT_E_FORMAT, "row '%s' has no reference answer to compare with",
	               id ? id : "?");
}

size_t rt_call_count(const struct rt_json *message)
{
	return rt_json_length(rt_json_get(message, "tool_calls"));
}

static const struct rt_json *function_of(const struct rt_json *message, size_t i)
{
	return rt_json_get(rt_json_at(rt_json_get(message, "tool_calls"), i), "function");
}

const char *rt_call_name(const struct rt_json *message, size_t i)
{
	return rt_json_string(rt_json_get(function_of(message, i), "name"));
}

const struct rt_json *rt_call_arguments(const struct rt_json *message, size_t i)
{
	return rt_json_get(function_of(message, i), "arguments");
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void rt_answer_text(const struct rt_json *message, struct rt_text *out)
{
	const char *text = rt_json_string(rt_json_get(message, "content"));
	size_t      n = text ? strlen(text) : 0, calls = rt_call_count(message);

	for (size_t i = 0; i < calls; i++) {
		rt_text_add(out, rt_call_name(message, i) ? rt_call_name(message, i) : "?");
		rt_json_print(rt_call_arguments(message, i), RT_JSON_SORT, out);
		rt_text_add_char(out, '\n');
	}
	if (calls > 0 || !text)
		return;
	while (n > 0 && is_space(text[n - 1]))
		n--;
	while (n > 0 && is_space(*text))
		text++, n--;
	rt_text_add_n(out, text, n);
}

/* OpenAI wraps what a tool is in `function`. */
const struct rt_json *rt_tool_at(const struct rt_json *tools, size_t i)
{
	const struct rt_json *tool = rt_json_at(tools, i), *f = rt_json_get(tool, "function");

	return f ? f : tool;
}

const struct rt_json *rt_tool_find(const struct rt_json *tools, const char *name)
{
	for (size_t i = 0; i < rt_json_length(tools); i++) {
		const struct rt_json *d = rt_tool_at(tools, i);
		const char           *n = rt_json_string(rt_json_get(d, "name"));

		if (n && strcmp(n, name) == 0)
			return d;
	}
	return NULL;
}

static int check_tools(const struct rt_json *tools, const char *where, struct rt_error *err)
{
	if (!rt_json_is(tools, RT_JSON_ARRAY))
		return rt_fail(err, RT_E_FORMAT, "%s: tools are a list [ ... ], this is %s", where,
		               rt_json_type_name(tools));
	for (size_t i = 0; i < rt_json_length(tools); i++) {
		const struct rt_json *d = rt_tool_at(tools, i);
		const char           *name = rt_json_string(rt_json_get(d, "name"));

		if (!name)
			return rt_fail(err, RT_E_FORMAT, "%s: tool %zu has no name", where, i);
		if (rt_tool_find(tools, name) != d)
			return rt_fail(err, RT_E_FORMAT, "%s: two tools are named %s", where, name);
	}
	return 0;
}

int rt_tools_read(const char *path, struct rt_json **ret, struct rt_error *err)
{
	int r;

	*ret = NULL;
	r = rt_json_read(path, 0, ret, err);
	if (r == 0)
		r = check_tools(*ret, path, err);
	if (r < 0) {
		rt_json_free(*ret);
		*ret = NULL;
	}
	return r;
}

static int normalize_call(struct rt_json *call)
{
	struct rt_json *f = rt_json_get(call, "function"), *a = rt_json_get(f, "arguments"),
		       *object;

	if (!rt_json_is(a, RT_JSON_STRING))
		return 0;
	if (rt_json_parse(rt_json_string(a), rt_json_length(a), "", 1, &object, NULL) < 0)
		return 0;
	if (rt_json_is(object, RT_JSON_OBJECT))
		return rt_json_set(f, "arguments", object);
	rt_json_free(object);
	return 0;
}

int rt_row_normalize(struct rt_json *row)
{
	const struct rt_json *messages = rt_json_get(row, "messages");

	for (size_t i = 0; i < rt_json_length(messages); i++) {
		const struct rt_json *calls = rt_json_get(rt_json_at(messages, i), "tool_calls");

		for (size_t k = 0; k < rt_json_length(calls); k++)
			if (normalize_call(rt_json_at(calls, k)) < 0)
				return RT_E_NOMEM;
	}
	return 0;
}
