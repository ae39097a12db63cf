/* import.c - see import.h */
#include "import.h"

#include <retort/row.h>

#include <stdio.h>
#include <string.h>

static struct rt_json *message(const char *role, const char *content)
{
	struct rt_json *o = rt_json_new_object();

	if (o && (rt_json_set(o, "role", rt_json_new_string(role)) < 0 ||
	          rt_json_set(o, "content", rt_json_new_string(content)) < 0)) {
		rt_json_free(o);
		return NULL;
	}
	return o;
}

static int add(struct rt_json *messages, const char *role, const char *content,
               struct rt_error *err)
{
	return rt_json_append(messages, message(role, content)) < 0 ? rt_fail_nomem(err, "messages")
	                                                            : 0;
}

static const char *text_of(const struct rt_json *row, const char *key)
{
	return rt_json_string(rt_json_get(row, key));
}

/* { name, arguments } as JSON text becomes a message that calls. */
static int add_call(struct rt_json *messages, const char *text, struct rt_error *err)
{
	struct rt_json *call, *o = message("assistant", NULL), *list = rt_json_new_array();
	struct rt_json *tool = rt_json_new_object();
	int             r = rt_json_parse(text, strlen(text), "function_call", 1, &call, err);

	if (r == 0 &&
	    (!o || !list || !tool || rt_json_set(tool, "type", rt_json_new_string("function")) < 0))
		r = rt_fail_nomem(err, "a call");
	if (r < 0) {
		rt_json_free(o);
		rt_json_free(list);
		rt_json_free(tool);
		return r;
	}
	r |= rt_json_set(tool, "function", call);
	r |= rt_json_append(list, tool);
	r |= rt_json_set(o, "tool_calls", list);
	r |= rt_json_append(messages, o);
	return r < 0 ? rt_fail_nomem(err, "a call") : 0;
}

static int from_sharegpt(const struct rt_json *row, struct rt_json *messages, struct rt_error *err)
{
	static const char *const roles[][2] = {
		{ "human", "user" },          { "user", "user" },        { "gpt", "assistant" },
		{ "assistant", "assistant" }, { "observation", "tool" }, { "tool", "tool" },
		{ "system", "system" },
	};
	const struct rt_json *list = rt_json_get(row, "conversations");
	int                   r = 0;

	for (size_t i = 0; r == 0 && i < rt_json_length(list); i++) {
		const char *from = text_of(rt_json_at(list, i), "from"),
			   *value = text_of(rt_json_at(list, i), "value");
		const char *role = NULL;

		for (size_t k = 0; from && k < sizeof roles / sizeof *roles; k++)
			if (strcmp(roles[k][0], from) == 0)
				role = roles[k][1];
		if (!value)
			r = rt_fail(err, RT_E_FORMAT, "conversations[%zu] has no text in `value`",
			            i);
		else if (from && strcmp(from, "function_call") == 0)
			r = add_call(messages, value, err);
		else if (!role)
			r = rt_fail(err, RT_E_FORMAT,
			            "conversations[%zu] is from '%s', who is nobody", i,
			            from ? from : "?");
		else
			r = add(messages, role, value, err);
	}
	return r;
}

static int from_alpaca(const struct rt_json *row, struct rt_json *messages, struct rt_error *err)
{
	const char    *input = text_of(row, "input");
	struct rt_text t = RT_TEXT_INIT;
	int            r;

	rt_text_add(&t, text_of(row, "instruction"));
	if (input && *input)
		rt_text_printf(&t, "\n%s", input);
	r = t.failed ? rt_fail_nomem(err, "a prompt") : add(messages, "user", t.data, err);
	rt_text_free(&t);
	return r < 0 || !text_of(row, "output")
	               ? r
	               : add(messages, "assistant", text_of(row, "output"), err);
}

/* What a prompt and its answer are called. */
static const char *const pairs[][2] = { { "prompt", "completion" },
	                                { "prompt", "response" },
	                                { "text", "label" } };

/* Labels may be numbers, or true and false. */
static int add_label(const char *key, const struct rt_json *label, struct rt_json *messages,
                     struct rt_error *err)
{
	struct rt_text t = RT_TEXT_INIT;
	int            r;

	if (rt_json_is(label, RT_JSON_OBJECT) || rt_json_is(label, RT_JSON_ARRAY))
		return rt_fail(err, RT_E_FORMAT, "`%s` is %s, want a text", key,
		               rt_json_type_name(label));
	rt_json_print(label, 0, &t);
	r = t.failed ? rt_fail_nomem(err, "a label") : add(messages, "assistant", t.data, err);
	rt_text_free(&t);
	return r;
}

static int from_pair(const struct rt_json *row, const char *prompt, struct rt_json *messages,
                     struct rt_error *err)
{
	int r = add(messages, "user", text_of(row, prompt), err);

	for (size_t i = 0; r == 0 && i < sizeof pairs / sizeof *pairs; i++) {
		const struct rt_json *answer = rt_json_get(row, pairs[i][1]);

		if (strcmp(pairs[i][0], prompt) != 0)
			continue;
		if (rt_json_is(answer, RT_JSON_STRING))
			return add(messages, "assistant", rt_json_string(answer), err);
		if (answer && !rt_json_is(answer, RT_JSON_NULL))
			return add_label(pairs[i][1], answer, messages, err);
	}
	return r;
}

/* Messages for a row that has none. */
static int convert(struct rt_json *row, struct rt_error *err)
{
	struct rt_json *messages = rt_json_new_array();
	int             r = messages ? 0 : rt_fail_nomem(err, "messages");

	if (r == 0 && text_of(row, "system"))
		r = add(messages, "system", text_of(row, "system"), err);
	if (r < 0)
		;
	else if (rt_json_is(rt_json_get(row, "conversations"), RT_JSON_ARRAY))
		r = from_sharegpt(row, messages, err);
	else if (text_of(row, "instruction"))
		r = from_alpaca(row, messages, err);
	else if (text_of(row, "prompt"))
		r = from_pair(row, "prompt", messages, err);
	else if (text_of(row, "text"))
		r = from_pair(row, "text", messages, err);
	else
		r = rt_fail(
			err, RT_E_FORMAT,
			"has none of `messages`, `conversations`, `instruction`, `prompt`, `text` "
			"in a form that is known");
	if (r < 0) {
		rt_json_free(messages);
		return r;
	}
	return rt_json_set(row, "messages", messages) < 0 ? rt_fail_nomem(err, "messages") : 0;
}

/* Tools as JSON text become a list. */
static int parse_tools(struct rt_json *row, struct rt_error *err)
{
	const struct rt_json *tools = rt_json_get(row, "tools");
	struct rt_json       *list;
	int                   r;

	if (!rt_json_is(tools, RT_JSON_STRING))
		return 0;
	r = rt_json_parse(rt_json_string(tools), rt_json_length(tools), "tools", 1, &list, err);
	if (r < 0)
		return r;
	return rt_json_set(row, "tools", list) < 0 ? rt_fail_nomem(err, "tools") : 0;
}

/* Ids are texts; numbers become some. */
static int name_id(struct rt_json *row, struct rt_error *err)
{
	const struct rt_json *id = rt_json_get(row, "id");
	char                  text[32];

	if (!id || rt_json_is(id, RT_JSON_STRING) || rt_json_is(id, RT_JSON_NULL))
		return 0;
	if (!rt_json_is(id, RT_JSON_INT))
		return rt_fail(err, RT_E_FORMAT, "`id` is %s, want a text or a whole number",
		               rt_json_type_name(id));
	snprintf(text, sizeof text, "%lld", (long long)rt_json_int(id, 0));
	return rt_json_set(row, "id", rt_json_new_string(text)) < 0 ? rt_fail_nomem(err, "an id")
	                                                            : 0;
}

int import_row(struct rt_json *row, struct rt_error *err)
{
	int r = 0;

	if (!rt_json_is(row, RT_JSON_OBJECT))
		return rt_fail(err, RT_E_FORMAT, "a row must be an object, this is %s",
		               rt_json_type_name(row));
	if (!rt_json_is(rt_json_get(row, "messages"), RT_JSON_ARRAY))
		r = convert(row, err);
	if (r == 0)
		r = name_id(row, err);
	if (r == 0)
		r = parse_tools(row, err);
	if (r == 0 && rt_row_normalize(row) < 0)
		r = rt_fail_nomem(err, "a row");
	return r;
}
