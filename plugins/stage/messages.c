/* messages.c - see messages.h */
#include "messages.h"

#include <retort/row.h>

#include <string.h>

/* Those of OpenAI, and what Llama and GLM call the results of tools. */
static const char *const roles[] = { "system", "developer", "user",    "assistant",
	                             "tool",   "function",  "ipython", "observation" };

static int check_role(const struct rt_json *message, size_t i, struct rt_error *err)
{
	const char *role = rt_json_string(rt_json_get(message, "role"));

	if (!role)
		return rt_fail(err, RT_E_FORMAT, "messages[%zu] has no role", i);
	for (size_t k = 0; k < sizeof roles / sizeof *roles; k++)
		if (strcmp(roles[k], role) == 0)
			return 0;
	return rt_fail(
		err, RT_E_FORMAT,
		"messages[%zu] has the role '%.40s'; roles are system, user, assistant, tool", i,
		role);
}

/* Texts in parts become one. */
static int join(struct rt_json *message, size_t i, struct rt_error *err)
{
	const struct rt_json *parts = rt_json_get(message, "content");
	struct rt_text        t = RT_TEXT_INIT;
	int                   r = 0;

	for (size_t k = 0; r == 0 && k < rt_json_length(parts); k++) {
		const struct rt_json *text = rt_json_get(rt_json_at(parts, k), "text");

		if (!rt_json_is(text, RT_JSON_STRING))
			r = rt_fail(err, RT_E_FORMAT,
			            "part %zu of the content of messages[%zu] has no text, and "
			            "nothing else can be read",
			            k, i);
		else
			rt_text_add_n(&t, rt_json_string(text), rt_json_length(text));
	}
	if (r == 0 && (t.failed || rt_json_set(message, "content",
	                                       rt_json_new_string(t.data ? t.data : "")) < 0))
		r = rt_fail_nomem(err, "a message");
	rt_text_free(&t);
	return r;
}

/* Arguments in JSON text are an object already, where they can be. */
static int check_call(const struct rt_json *call, size_t i, size_t k, struct rt_error *err)
{
	const struct rt_json *f = rt_json_get(call, "function");
	const struct rt_json *arguments = rt_json_get(f, "arguments");

	if (!rt_json_string(rt_json_get(f, "name")))
		return rt_fail(err, RT_E_FORMAT,
		               "call %zu of messages[%zu] has no `function` with a `name`", k, i);
	if (rt_json_is(arguments, RT_JSON_STRING))
		return rt_fail(err, RT_E_FORMAT,
		               "the arguments of call %zu of messages[%zu] are no JSON object: "
		               "%.60s",
		               k, i, rt_json_string(arguments));
	if (!rt_json_is(arguments, RT_JSON_OBJECT))
		return rt_fail(err, RT_E_FORMAT,
		               "the arguments of call %zu of messages[%zu] are %s, want an object",
		               k, i, arguments ? rt_json_type_name(arguments) : "missing");
	return 0;
}

static int check_calls(const struct rt_json *message, size_t i, struct rt_error *err)
{
	const struct rt_json *calls = rt_json_get(message, "tool_calls");
	int                   r = 0;

	if (!calls || rt_json_is(calls, RT_JSON_NULL))
		return 0;
	if (!rt_json_is(calls, RT_JSON_ARRAY))
		return rt_fail(err, RT_E_FORMAT,
		               "the tool_calls of messages[%zu] are %s, want a list", i,
		               rt_json_type_name(calls));
	for (size_t k = 0; r == 0 && k < rt_json_length(calls); k++)
		r = check_call(rt_json_at(calls, k), i, k, err);
	return r;
}

static int check_message(struct rt_json *message, size_t i, struct rt_error *err)
{
	const struct rt_json *content = rt_json_get(message, "content");
	int                   r = check_role(message, i, err);

	if (r == 0)
		r = check_calls(message, i, err);
	if (r < 0)
		return r;
	if (rt_json_is(content, RT_JSON_ARRAY))
		return join(message, i, err);
	if (rt_json_is(content, RT_JSON_STRING))
		return 0;
	if (content && !rt_json_is(content, RT_JSON_NULL))
		return rt_fail(err, RT_E_FORMAT, "the content of messages[%zu] is %s, want a text",
		               i, rt_json_type_name(content));
	return rt_call_count(message) > 0
	               ? 0
	               : rt_fail(err, RT_E_FORMAT,
	                         "messages[%zu] has neither content nor tool_calls", i);
}

int messages_check(struct rt_json *row, struct rt_error *err)
{
	struct rt_json *list = rt_json_get(row, "messages");
	int             r = 0;

	if (rt_json_length(list) == 0)
		return rt_fail(err, RT_E_FORMAT, "`messages` is empty");
	for (size_t i = 0; r == 0 && i < rt_json_length(list); i++)
		r = check_message(rt_json_at(list, i), i, err);
	return r;
}
