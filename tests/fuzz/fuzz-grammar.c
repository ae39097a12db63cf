/* fuzz-grammar.c - any schema as a grammar: a line of JSON, and behind it bytes that choose among
 * what may come.  What gets to its end is JSON that fits the schema (without oneOf, which is not
 * kept to the letter), as a value and as the arguments of a call. */
#include "fuzz.h"

#include <retort/chat.h>
#include <retort/grammar.h>
#include <retort/schema.h>

#include <stdlib.h>
#include <string.h>

enum { LONGEST = 4096 };

/* The one that may come and that `choice` points at, or -1. */
static int choose(struct rt_matcher *m, unsigned choice)
{
	char     may[256];
	unsigned n = 0;

	for (int c = 0; c < 256; c++) {
		const char byte = (char)c;

		if (rt_matcher_may(m, &byte, 1))
			may[n++] = byte;
	}
	return n ? (unsigned char)may[choice % n] : -1;
}

/* Towards an end. */
static int close_up(struct rt_matcher *m)
{
	static const char ends[] = "\"}]<,:>/tool_callruefalsn0123456789.{[";

	for (size_t i = 0; i < sizeof ends - 1; i++)
		if (rt_matcher_may(m, ends + i, 1))
			return (unsigned char)ends[i];
	return choose(m, 0);
}

/* Bytes of an answer, or SIZE_MAX: it did not come to an end. */
static size_t walk(const struct rt_grammar *g, const uint8_t *choice, size_t n, char *text)
{
	struct rt_matcher *m;
	size_t             len = 0;

	if (rt_matcher_new(&m, g, NULL) < 0)
		return SIZE_MAX;
	while (len < LONGEST && !(len >= n && rt_matcher_may_end(m))) {
		const int c = len < n ? choose(m, choice[len]) : close_up(m);

		if (c < 0 && !rt_matcher_may_end(m))
			abort(); /* a dead end */
		if (c < 0)
			break;
		text[len++] = (char)c;
		if (!rt_matcher_put(m, text + len - 1, 1))
			abort(); /* it might, and may not */
	}
	if (!rt_matcher_may_end(m))
		len = SIZE_MAX;
	rt_matcher_free(m);
	return len;
}

static void value(const struct rt_json *schema, const uint8_t *choice, size_t n, bool exact)
{
	static char        text[LONGEST];
	struct rt_grammar *g;
	struct rt_json    *j;
	struct rt_error    err = RT_ERROR_INIT;
	size_t             len;

	if (rt_grammar_json(&g, schema, &err) < 0) {
		if (!*err.msg)
			abort(); /* no reason */
		return;
	}
	len = walk(g, choice, n, text);
	rt_grammar_free(g);
	if (len == SIZE_MAX)
		return;
	if (rt_json_parse(text, len, "answer", 1, &j, NULL) < 0)
		abort();
	if (exact && rt_schema_fits(schema, j, NULL, 0, NULL) == 0)
		abort();
	rt_json_free(j);
}

static void call(struct rt_json *schema, const uint8_t *choice, size_t n, bool exact)
{
	static char        text[LONGEST];
	struct rt_json    *tool = rt_json_new_object(), *tools = rt_json_new_array(), *calls;
	struct rt_text     content = RT_TEXT_INIT;
	struct rt_grammar *g = NULL;
	size_t             len;

	rt_json_set(tool, "name", rt_json_new_string("f"));
	rt_json_set(tool, "parameters", rt_json_ref(schema));
	rt_json_append(tools, tool);
	len = rt_grammar_calls(&g, tools, "required", NULL) < 0 ? SIZE_MAX
	                                                        : walk(g, choice, n, text);
	rt_grammar_free(g);
	rt_json_free(tools);
	if (len == SIZE_MAX)
		return;
	if (rt_chat_calls(text, len, &calls, &content, NULL) < 0 || rt_json_length(calls) == 0 ||
	    content.len)
		abort();
	for (size_t i = 0; i < rt_json_length(calls); i++)
		if (exact &&
		    rt_schema_fits(
			    schema,
			    rt_json_get(rt_json_get(rt_json_at(calls, i), "function"), "arguments"),
			    NULL, 0, NULL) == 0)
			abort();
	rt_json_free(calls);
	rt_text_free(&content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t  *end = size ? memchr(data, '\n', size) : NULL;
	const size_t    n = end ? (size_t)(end - data) : size, rest = end ? size - n - 1 : 0;
	struct rt_json *schema;
	struct rt_text  text = RT_TEXT_INIT;
	bool            exact;

	if (rt_json_parse((const char *)data, n, "schema", 1, &schema, NULL) < 0)
		return 0;
	rt_json_print(schema, 0, &text);
	exact = !strstr(text.data, "oneOf");
	rt_text_free(&text);
	value(schema, end ? end + 1 : data, rest, exact);
	call(schema, end ? end + 1 : data, rest, exact);
	rt_json_free(schema);
	return 0;
}
