/* fuzz-template.c - any text as a chat template: it renders, or an error says why; it never runs
 * for ever, nor asks for all memory. */
#include "fuzz.h"

#include <retort/chat.h>

#include <stdlib.h>
#include <string.h>

static const char chat[] =
	"{\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"},"
	"{\"role\":\"user\",\"content\":\"what is <b>1+1</b>?\"},"
	"{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"type\":\"function\","
	"\"function\":{\"name\":\"add\",\"arguments\":{\"a\":1,\"b\":[1.5,null,true,\"x\"]}}}]},"
	"{\"role\":\"tool\",\"content\":\"2\"},{\"role\":\"assistant\",\"content\":\"2\"}],"
	"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"add\",\"description\":\"adds\","
	"\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}}}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rt_error     err = RT_ERROR_INIT;
	struct rt_template *t;
	struct rt_text      out = RT_TEXT_INIT;
	struct rt_json     *j;

	if (rt_template_parse(&t, (const char *)data, size, "template", &err) < 0) {
		if (!*err.msg)
			abort(); /* no reason */
		return 0;
	}
	if (rt_json_parse(chat, sizeof chat - 1, "chat", 1, &j, NULL) == 0) {
		const struct rt_chat c = { .messages = rt_json_get(j, "messages"),
			                   .tools = rt_json_get(j, "tools"),
			                   .generation_prompt = true,
			                   .bos = "<s>",
			                   .eos = "</s>" };

		if (rt_template_render(t, &c, &out, &err) < 0 && !*err.msg)
			abort();
		rt_json_free(j);
	}
	rt_text_free(&out);
	rt_template_free(t);
	return 0;
}
