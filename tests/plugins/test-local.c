/* test-local.c - teacher-local: the form of answers that a request asks for. */
#include "golden.h"
#include "plugins/instance.h"
#include "runner.h"

#include <retort/schema.h>
#include <retort/teacher.h>

extern const struct rt_plugin retort_plugin_teacher_local;

#define USER "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define TOOLS(strict)                                                                              \
	"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"," strict "\"parameters\":" \
	"{\"properties\":{\"a\":{\"enum\":[1,2]}}}}},{\"name\":\"g\"}]"
#define SCHEMA "{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[1,2]}},\"required\":[\"a\"]}"

/* A request, and what its answers are: the names of calls, JSON of SCHEMA, text without a call that
 * a reader would see; or why there is none. */
static const struct {
	const char *body, *calls;
	bool        json, text, strict;
	const char *why;
} requests[] = {
	{ "{" USER "," TOOLS("") ",\"tool_choice\":\"required\"}", .calls = "fg" },
	{ "{" USER
	  "," TOOLS("") ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}}",
	  .calls = "g" },
	{ "{" USER "," TOOLS("") ",\"tool_choice\":\"none\"}", .text = true },
	{ "{" USER "," TOOLS("\"strict\":true,") "}", .text = true },
	{ "{" USER "," TOOLS("") "}", .text = true, .strict = true },
	{ "{" USER ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\","
	  "\"schema\":" SCHEMA "}}}",
	  .json = true },
	{ "{" USER ",\"response_format\":{\"type\":\"json_object\",\"schema\":" SCHEMA "}}",
	  .json = true },
	{ "{" USER "," TOOLS("") ",\"tool_choice\":\"any\"}",
	  .why = "tool_choice is none of auto, none, required, and a function by its name" },
	{ "{" USER "," TOOLS("") ",\"tool_choice\":{\"function\":{\"name\":\"h\"}}}",
	  .why = "there is no tool 'h' to choose" },
	{ "{" USER ",\"tool_choice\":\"required\"}", .why = "there are no tools to call" },
	{ "{" USER ",\"response_format\":{\"type\":\"json_schema\"}}",
	  .why = "response_format is text, json_object, or json_schema with a schema; here it is "
	         "'json_schema'" },
	{ "{" USER ",\"role\":\"user\",\"response_format\":{\"type\":\"json_object\"}}",
	  .why = "response_format and tool_choice are for what the assistant says" },
	{ "{" USER ",\"tool_choice\":\"required\",\"response_format\":{\"type\":\"json_object\"}}",
	  .why = "it wants calls and a response_format: an answer is calls or JSON" },
	{ "{" USER "," TOOLS("") ",\"tool_choice\":{\"function\":{\"name\":\"none\"}}}",
	  .why = "tool_choice is none of auto, none, required, and a function by its name" },
	{ "{" USER "," TOOLS("\"strict\":true,") ",\"tool_choice\":null,\"response_format\":null}",
	  .text = true },
	{ "{" USER ",\"response_format\":{\"type\":\"xml\"}}",
	  .why = "response_format is text, json_object, or json_schema with a schema; here it is "
	         "'xml'" },
	{ "{" USER "," TOOLS("") ",\"response_format\":{\"type\":\"json_object\"}}",
	  .why = "it wants calls and a response_format: an answer is calls or JSON" },
	{ "{" USER ",\"response_format\":{\"type\":\"json_object\",\"schema\":{\"type\":\"string\","
	  "\"pattern\":\"a\"}}}",
	  .why = "the schema keyword 'pattern' is not supported" },
};

struct replies {
	int         number;
	const char *why;
	int         ended;
};

/* A call of f or g, whose arguments fit; `names` says which, NULL: either. */
static void check_call(const char *names, const struct rt_json *function)
{
	const char     *name = rt_json_string(rt_json_get(function, "name"));
	struct rt_json *schema = json_of(
		strcmp(name, "f") == 0
			? "{\"properties\":{\"a\":{\"enum\":[1,2]}},\"additionalProperties\":false}"
			: "{\"additionalProperties\":false}");

	ck_assert(strstr(names ? names : "fg", name) != NULL);
	ck_assert_int_eq(rt_schema_fits(schema, rt_json_get(function, "arguments"), NULL, 0, NULL),
	                 1);
	rt_json_free(schema);
}

static void check_message(int number, const struct rt_json *message)
{
	const struct rt_json *calls = rt_json_get(message, "tool_calls");
	const char           *content = rt_json_string(rt_json_get(message, "content"));

	for (size_t i = 0; i < rt_json_length(calls); i++)
		check_call(requests[number].calls, rt_json_get(rt_json_at(calls, i), "function"));
	if (requests[number].json) {
		struct rt_json *value = json_of(content), *schema = json_of(SCHEMA);

		ck_assert_int_eq(rt_schema_fits(schema, value, NULL, 0, NULL), 1);
		ck_assert(!calls);
		rt_json_free(value);
		rt_json_free(schema);
	} else if (requests[number].text) {
		ck_assert(!content || !strstr(content, "<tool_call>"));
	} else {
		ck_assert_uint_ge(rt_json_length(calls), 1);
	}
}

static int replied(void *arg, int64_t index, const struct rt_json *reply, const char *why,
                   struct rt_error *err)
{
	struct replies       *all = arg;
	const struct rt_json *choices = rt_json_get(reply, "choices");

	(void)index, (void)err;
	if (requests[all->number].why) {
		ck_assert(!reply);
		ck_assert_str_eq(why, requests[all->number].why);
		return 0;
	}
	ck_assert_msg(reply != NULL, "%s", why);
	for (size_t i = 0; i < rt_json_length(choices); i++) {
		const struct rt_json *choice = rt_json_at(choices, i);

		if (strcmp(rt_json_string(rt_json_get(choice, "finish_reason")), "length") == 0)
			continue;
		check_message(all->number, rt_json_get(choice, "message"));
		all->ended++;
	}
	return 0;
}

/* A model that knows nothing, at a heat where all that is let through is about as likely. */
START_TEST(answers_have_the_form_that_was_asked_for)
	{
		const struct context_sink sink = { 0 };
		struct rt_context         context = { .sink = &sink, .seed = 3 };
		struct instance_of        t = instance_new(&retort_plugin_teacher_local, &context);
		const char               *root = getenv("RETORT_GOLDEN");
		struct replies            all = { .number = _i };
		char                      path[4096];
		struct rt_error           err = RT_ERROR_INIT;
		struct rt_json           *body = json_of(requests[_i].body);
		struct rt_teacher_request q[2] = { { "a", body }, { "b", body } };

		rt_json_set(body, "n", rt_json_new_int(requests[_i].why ? 1 : 40));
		rt_json_set(body, "temperature", rt_json_new_real(50));
		rt_json_set(body, "max_tokens", rt_json_new_int(1000));
		snprintf(path, sizeof path, "%s/gguf/tiny-qwen2.gguf",
		         root && *root ? root : GOLDEN_DIR);
		instance_text(&t, "gguf", path);
		instance_set(&t, "strict", &requests[_i].strict, sizeof(bool));
		ck_assert_msg(instance_open(&t, &err) == 0, "%s", err.msg);
		ck_assert_msg(t.component.plugin->ops.teacher->chat(t.component.state, q, 2,
		                                                    replied, &all, &err) == 0,
		              "%s", err.msg);
		ck_assert_int_ge(all.ended, requests[_i].why ? 0 : 5);
		rt_json_free(body);
		instance_close(&t);
	}
END_TEST

RUNNER("local", 120, { TABLE_TEST(tc, answers_have_the_form_that_was_asked_for, requests); })
