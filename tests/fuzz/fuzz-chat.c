/* fuzz-chat.c - any bytes as a model's reply, and as the rows of a chat: calls that were found are
 * written by a template so that the same calls are found again. */
#include "fuzz.h"

#include <retort/chat.h>
#include <retort/row.h>

#include <stdlib.h>
#include <string.h>

static const char hermes[] =
	"{%- for m in messages -%}{{ m.content or '' }}{%- for c in m.tool_calls or [] -%}"
	"<tool_call>{{ c.function | tojson }}</tool_call>{%- endfor -%}{%- endfor -%}";

static struct rt_template *template;

static void render(const struct rt_json *messages, struct rt_text *out)
{
	const struct rt_chat c = { .messages = messages };

	if (!template && rt_template_parse(&template, hermes, sizeof hermes - 1, "t", NULL) < 0)
		abort();
	rt_template_render(template, &c, out, NULL);
}

/* The message with its calls, rendered and parsed again, has the same calls. */
static void round_trip(struct rt_json *message)
{
	struct rt_json *calls = rt_json_get(message, "tool_calls"), *list = rt_json_new_array();
	struct rt_json *again = NULL;
	struct rt_text  out = RT_TEXT_INIT, content = RT_TEXT_INIT;

	rt_json_remove(message, "content");
	if (list && calls && rt_json_append(list, rt_json_ref(message)) == 0) {
		render(list, &out);
		if (!out.failed && rt_chat_calls(out.data, out.len, &again, &content, NULL) == 0) {
			if (!rt_json_equal(rt_json_get(message, "tool_calls"), again))
				abort(); /* other calls */
			rt_json_free(again);
		}
	}
	rt_text_free(&out);
	rt_text_free(&content);
	rt_json_free(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rt_json *j;
	struct rt_text  out = RT_TEXT_INIT;

	if (rt_chat_message((const char *)data, size, &j, NULL) == 0) {
		if (!rt_json_string(rt_json_get(j, "role")))
			abort();
		round_trip(j);
		rt_json_free(j);
	} else if (rt_utf8_check((const char *)data, size) == size)
		abort(); /* a text is a reply, whatever it says */
	if (rt_json_parse((const char *)data, size, "chat", 1, &j, NULL) == 0) {
		render(rt_json_get(j, "messages"), &out);
		rt_json_free(j);
	}
	rt_text_free(&out);
	return 0;
}
