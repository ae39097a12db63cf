/* prototype-talk.c - see prototype-talk.h */
#include "prototype-talk.h"

#include <retort/memory.h>
#include <retort/row.h>
#include <retort/schema.h>
#include <retort/tool.h>

#include <stdio.h>
#include <string.h>

const char *talk_end_name(enum talk_end end)
{
	static const char *const names[] = {
		[TALK_ON] = "on",
		[TALK_ANSWERED] = "answer",
		[TALK_CALLED] = "call",
		[TALK_TURNS] = "max_turns",
		[TALK_REPAIRS] = "max_repairs",
		[TALK_CUT] = "cut",
		[TALK_EMPTY] = "empty",
		[TALK_UNANSWERED] = "unanswered",
	};

	return names[end];
}

const struct rt_component *talk_server(const struct rt_components *functions, const char *name)
{
	for (int64_t i = 0; i < functions->n; i++) {
		const struct rt_component *c = functions->at[i];
		const char                *f;

		for (int64_t k = 0; (f = c->plugin->ops.tool->function(c->state, k)); k++)
			if (strcmp(f, name) == 0)
				return c;
	}
	return NULL;
}

int talk_begin(struct talk *t, struct rt_json *row, const struct ask_files *files,
               struct rt_error *err)
{
	*t = (struct talk){ .row = row };
	t->id = rt_json_string(rt_json_get(row, "id"));
	t->tools = ask_tools(files, row);
	t->messages = ask_prompt(files, row);
	t->prompt = rt_json_length(t->messages);
	return t->messages ? 0 : rt_fail_nomem(err, "a conversation");
}

void talk_fini(struct talk *t)
{
	rt_json_free(t->messages);
	rt_json_free(t->row);
	*t = (struct talk){ 0 };
}

void talk_key(const struct talk *t, struct rt_text *out)
{
	rt_text_clear(out);
	rt_text_printf(out, "%lld/%s", (long long)t->turns, t->id);
}

/* ---- messages ---- */

/* The parts of a teacher's message that a conversation has, with an id in each call. */
static struct rt_json *own_message(const struct talk *t, const struct rt_json *from)
{
	static const char *const names[] = { "role", "content", "tool_calls" };
	struct rt_json          *o = rt_json_new_object(), *calls;
	char                     id[64];
	int                      r = o ? 0 : RT_E_NOMEM;

	for (size_t i = 0; r == 0 && i < 3; i++)
		if (rt_json_get(from, names[i]))
			r = rt_json_set(o, names[i], rt_json_copy(rt_json_get(from, names[i])));
	calls = rt_json_get(o, "tool_calls");
	for (size_t k = 0; r == 0 && k < rt_json_length(calls); k++) {
		snprintf(id, sizeof id, "call_%lld_%zu", (long long)t->turns, k);
		if (!rt_json_string(rt_json_get(rt_json_at(calls, k), "id")))
			r = rt_json_set(rt_json_at(calls, k), "id", rt_json_new_string(id));
	}
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

static struct rt_json *new_error(const char *why)
{
	struct rt_json *o = rt_json_new_object();

	if (o && rt_json_set(o, "error", rt_json_new_string(why)) == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

/* { role: "tool", tool_call_id, content: the result as JSON } */
static int add_result(struct talk *t, const struct rt_json *call, const struct rt_json *result)
{
	struct rt_json *o = rt_json_new_object();
	struct rt_text  text = RT_TEXT_INIT;
	int             r = o ? 0 : RT_E_NOMEM;

	rt_json_print(result, RT_JSON_SPACED, &text);
	if (r == 0) {
		r |= rt_json_set(o, "role", rt_json_new_string("tool"));
		r |= rt_json_set(o, "tool_call_id", rt_json_ref(rt_json_get(call, "id")));
		r |= rt_json_set(o, "content",
		                 text.failed ? NULL : rt_json_new_string_n(text.data, text.len));
	}
	rt_text_free(&text);
	if (r == 0)
		return rt_json_append(t->messages, o);
	rt_json_free(o);
	return r;
}

/* ---- calls ---- */

/* 1 a call fits; 0 not, and why; negative: the schema is at fault. */
static int fits(const struct talk *t, const struct rt_json *message, size_t k, char *why, size_t n,
                struct rt_error *err)
{
	const char           *name = rt_call_name(message, k);
	const struct rt_json *arguments = rt_call_arguments(message, k),
			     *tool = name ? rt_tool_find(t->tools, name) : NULL,
			     *schema = rt_json_get(tool, "parameters");
	int r = 1;

	*why = '\0';
	if (!tool) {
		snprintf(why, n, "there is no function '%.80s'", name ? name : "");
		return 0;
	}
	if (!rt_json_is(arguments, RT_JSON_OBJECT)) {
		snprintf(why, n, "the arguments are no JSON object");
		return 0;
	}
	if (schema)
		r = rt_schema_fits(schema, arguments, why, n, err);
	return r < 0 ? rt_within(err, r, "tool %s", name) : r;
}

/* The result of a call that fits, from the journal or from who serves it. */
static int make_call(struct talk *t, const struct talk_rules *rules, const struct rt_json *message,
                     size_t k, const struct rt_component *c, struct rt_error *err)
{
	const char           *name = rt_call_name(message, k);
	const struct rt_json *call = rt_json_at(rt_json_get(message, "tool_calls"), k), *kept;
	struct rt_json       *result = NULL;
	struct rt_text        key = RT_TEXT_INIT;
	int                   r = 0;

	rt_text_printf(&key, "%lld.%zu/%s", (long long)t->turns, k, t->id);
	kept = key.failed ? NULL : rt_json_get(rules->journal->done, key.data);
	if (kept) {
		result = rt_json_ref(kept);
	} else {
		r = c->plugin->ops.tool->call(c->state, name, rt_call_arguments(message, k),
		                              &result, err);
		if (r < 0)
			r = rt_within(err, r, "row '%s': tool-%s: %s", t->id, c->plugin->name,
			              name);
		else
			r = key.failed ? rt_fail_nomem(err, "a result")
			               : ask_journal_add(rules->journal, key.data, result, err);
	}
	if (r == 0) {
		t->errors += rt_json_get(result, "error") != NULL;
		if (add_result(t, call, result) < 0)
			r = rt_fail_nomem(err, "a result");
	}
	rt_json_free(result);
	rt_text_free(&key);
	return r;
}

static int refuse(struct talk *t, const struct rt_json *message, size_t k, const char *why,
                  struct rt_error *err)
{
	struct rt_json *result = new_error(why);
	int r = result ? add_result(t, rt_json_at(rt_json_get(message, "tool_calls"), k), result)
	               : RT_E_NOMEM;

	rt_json_free(result);
	return r < 0 ? rt_fail_nomem(err, "a result") : 0;
}

/* How many calls of a message do not fit, and do not have a server. */
static int count(const struct talk *t, const struct talk_rules *rules,
                 const struct rt_json *message, int64_t *ret_wrong, int64_t *ret_unserved,
                 struct rt_error *err)
{
	char why[200];

	*ret_wrong = *ret_unserved = 0;
	for (size_t k = 0; k < rt_call_count(message); k++) {
		const int r = fits(t, message, k, why, sizeof why, err);

		if (r < 0)
			return r;
		*ret_wrong += r == 0;
		*ret_unserved += r == 1 && !talk_server(rules->functions, rt_call_name(message, k));
	}
	return 0;
}

/* Each call gets a result: what it came to, or why it was not made. */
static int answer_calls(struct talk *t, const struct talk_rules *rules,
                        const struct rt_json *message, struct rt_error *err)
{
	char why[200];
	int  r = 0;

	for (size_t k = 0; r == 0 && k < rt_call_count(message); k++) {
		const struct rt_component *c;

		r = fits(t, message, k, why, sizeof why, err);
		if (r < 0)
			break;
		c = r == 1 ? talk_server(rules->functions, rt_call_name(message, k)) : NULL;
		if (r == 1 && !c)
			snprintf(why, sizeof why, "not called, since another call was wrong");
		r = c ? make_call(t, rules, message, k, c, err) : refuse(t, message, k, why, err);
	}
	return r;
}

static int take_calls(struct talk *t, const struct talk_rules *rules, const struct rt_json *message,
                      struct rt_error *err)
{
	int64_t wrong, unserved;
	int     r = count(t, rules, message, &wrong, &unserved, err);

	if (r < 0)
		return r;
	t->calls += (int64_t)rt_call_count(message);
	t->wrong += wrong;
	t->repairs += wrong > 0;
	if (wrong == 0 && unserved > 0) {
		t->end = TALK_CALLED;
		return 0;
	}
	if (t->repairs > rules->max_repairs) {
		t->end = TALK_REPAIRS;
		return 0;
	}
	return answer_calls(t, rules, message, err);
}

/* ---- replies ---- */

static bool was_cut(const struct rt_json *choice)
{
	const char *why = rt_json_string(rt_json_get(choice, "finish_reason"));

	return why && (strcmp(why, "length") == 0 || strcmp(why, "content_filter") == 0);
}

int talk_reply(struct talk *t, const struct talk_rules *rules, const struct rt_json *reply,
               struct rt_error *err)
{
	const struct rt_json *choice = rt_json_at(rt_json_get(reply, "choices"), 0);
	struct rt_json       *message = own_message(t, rt_json_get(choice, "message"));
	const char           *content = rt_json_string(rt_json_get(message, "content"));
	int                   r = 0;

	ask_usage_count(&t->usage, reply);
	if (!message || rt_json_append(t->messages, rt_json_ref(message)) < 0)
		r = rt_fail_nomem(err, "a message");
	else if (was_cut(choice))
		t->end = TALK_CUT;
	else if (rt_call_count(message) > 0)
		r = take_calls(t, rules, message, err);
	else
		t->end = content && *content ? TALK_ANSWERED : TALK_EMPTY;
	t->turns++;
	if (r == 0 && t->end == TALK_ON && t->turns >= rules->max_turns)
		t->end = TALK_TURNS;
	rt_json_free(message);
	return r;
}

/* ---- the row ---- */

static struct rt_json *new_meta(const struct talk *t)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_json_set(o, "end", rt_json_new_string(talk_end_name(t->end)));
		r |= rt_json_set(o, "turns", rt_json_new_int(t->turns));
		r |= rt_json_set(o, "calls", rt_json_new_int(t->calls));
		r |= rt_json_set(o, "wrong_calls", rt_json_new_int(t->wrong));
	}
	if (r == 0 && t->usage.unknown == 0) {
		r |= rt_json_set(o, "input_tokens", rt_json_new_int(t->usage.input_tokens));
		r |= rt_json_set(o, "output_tokens", rt_json_new_int(t->usage.output_tokens));
	}
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

int talk_row(struct talk *t, struct rt_error *err)
{
	int r = 0;

	if (!rt_json_is(rt_json_get(t->row, "meta"), RT_JSON_OBJECT))
		r = rt_json_set(t->row, "meta", rt_json_new_object());
	if (r == 0)
		r |= rt_json_set(rt_json_get(t->row, "meta"), "prototype", new_meta(t));
	if (r == 0)
		r |= rt_json_set(t->row, "messages", rt_json_ref(t->messages));
	if (r == 0 && t->tools)
		r |= rt_json_set(t->row, "tools", rt_json_ref(t->tools));
	if (r == 0)
		r |= rt_json_remove(t->row, "accepted"); /* went with the answer that stood there */
	return r < 0 ? rt_fail_nomem(err, "a row") : 0;
}
