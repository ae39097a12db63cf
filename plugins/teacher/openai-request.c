/* openai-request.c - see openai-request.h */
#include "openai-request.h"

#include <retort/memory.h>

#include <stdio.h>
#include <string.h>

int openai_merge(struct rt_json *target, const struct rt_json *patch)
{
	int r = 0;

	for (struct rt_json_iter i = rt_json_first(patch); r == 0 && i.key; rt_json_next(&i)) {
		if (rt_json_type(i.value) == RT_JSON_NULL) {
			r = rt_json_remove(target, i.key);
		} else if (!rt_json_is(i.value, RT_JSON_OBJECT)) {
			r = rt_json_set(target, i.key, rt_json_ref(i.value));
		} else {
			if (!rt_json_is(rt_json_get(target, i.key), RT_JSON_OBJECT))
				r = rt_json_set(target, i.key, rt_json_new_object());
			if (r == 0)
				r = openai_merge(rt_json_get(target, i.key), i.value);
		}
	}
	return r;
}

/* ---- calls and their results ---- */

static int set_text(struct rt_json *o, const char *key, const struct rt_json *value)
{
	struct rt_text t = RT_TEXT_INIT;
	int            r;

	rt_json_print(value, 0, &t);
	r = t.failed ? RT_E_NOMEM : rt_json_set(o, key, rt_json_new_string_n(t.data, t.len));
	rt_text_free(&t);
	return r;
}

/* The k-th call of message m: an id, a type, and arguments as text. */
static int wire_call(struct rt_json *call, size_t m, size_t k)
{
	struct rt_json       *f = rt_json_get(call, "function");
	const struct rt_json *a = rt_json_get(f, "arguments");
	char                  id[64];
	int                   r = 0;

	if (!rt_json_string(rt_json_get(call, "id"))) {
		snprintf(id, sizeof id, "call_%zu_%zu", m, k);
		r = rt_json_set(call, "id", rt_json_new_string(id));
	}
	if (r == 0 && !rt_json_get(call, "type"))
		r = rt_json_set(call, "type", rt_json_new_string("function"));
	if (r == 0 && a && !rt_json_is(a, RT_JSON_STRING))
		r = set_text(f, "arguments", a);
	return r;
}

/* Results that do not say which call they answer stand in the order of the calls. */
static int wire_messages(struct rt_json *messages)
{
	const struct rt_json *calls = NULL;
	size_t                answered = 0;
	int                   r = 0;

	for (size_t m = 0; r == 0 && m < rt_json_length(messages); m++) {
		struct rt_json       *message = rt_json_at(messages, m);
		const char           *role = rt_json_string(rt_json_get(message, "role"));
		const struct rt_json *own = rt_json_get(message, "tool_calls"), *id;

		for (size_t k = 0; r == 0 && k < rt_json_length(own); k++)
			r = wire_call(rt_json_at(own, k), m, k);
		if (own) {
			calls = own;
			answered = 0;
		}
		if (r < 0 || !role || strcmp(role, "tool") != 0)
			continue;
		id = rt_json_get(rt_json_at(calls, answered++), "id");
		if (id && !rt_json_get(message, "tool_call_id"))
			r = rt_json_set(message, "tool_call_id", rt_json_ref(id));
	}
	return r;
}

/* { type: "function", function: ... } around a function that stands bare. */
static int wire_tools(struct rt_json *tools)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < rt_json_length(tools); i++) {
		struct rt_json *f = rt_json_at(tools, i), *o;

		if (rt_json_get(f, "function"))
			continue;
		o = rt_json_new_object();
		r = o ? 0 : RT_E_NOMEM;
		if (r == 0)
			r |= rt_json_set(o, "type", rt_json_new_string("function"));
		if (r == 0)
			r |= rt_json_set(o, "function", rt_json_ref(f));
		if (r == 0)
			r = rt_json_replace(tools, i, o);
		else
			rt_json_free(o);
	}
	return r;
}

struct rt_json *openai_body(const struct rt_json *request, const char *model,
                            const struct rt_json *patch)
{
	struct rt_json *o = rt_json_copy(request);
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0)
		r = wire_messages(rt_json_get(o, "messages"));
	if (r == 0)
		r = wire_tools(rt_json_get(o, "tools"));
	if (r == 0)
		r = rt_json_remove(o, "role"); /* none but the assistant's gets here */
	if (r == 0)
		r = rt_json_set(o, "model", rt_json_new_string(model));
	if (r == 0)
		r = openai_merge(o, patch);
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

int64_t openai_most_tokens(const struct rt_json *body)
{
	const int64_t n = rt_json_int(rt_json_get(body, "n"), 1);
	const int64_t each = rt_json_int(rt_json_get(body, "max_completion_tokens"),
	                                 rt_json_int(rt_json_get(body, "max_tokens"), -1));

	return each < 0 || n < 0 || (n > 0 && each > INT64_MAX / n) ? -1 : n * each;
}

void openai_key(const char *url, const char *id, int64_t draw, const char *body, size_t n,
                char out[RT_HASH_HEX])
{
	struct rt_hash h;
	char           number[32];

	snprintf(number, sizeof number, "%lld", (long long)draw);
	rt_hash_init(&h);
	rt_hash_add(&h, url, strlen(url) + 1);
	rt_hash_add(&h, id, strlen(id) + 1);
	rt_hash_add(&h, number, strlen(number) + 1);
	rt_hash_add(&h, body, n);
	rt_hash_end_hex(&h, out);
}
