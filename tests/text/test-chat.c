/* test-chat.c - chat templates give the texts and ids that transformers gets. */
#include "golden.h"
#include "runner.h"

#include <retort/chat.h>
#include <retort/memory.h>
#include <string.h>

static const struct {
	const char *name, *file;
} files[] = { { "qwen2.5", "chat-templates/Qwen-Qwen2.5-7B-Instruct.jinja" },
	      { "qwen3", "chat-templates/Qwen-Qwen3-0.6B.jinja" },
	      { "chatml", "chat/chatml.jinja" },
	      { "inst-style", "chat/inst-style.jinja" } };

static struct rt_template *template(const char *name)
{
	struct rt_error     err = RT_ERROR_INIT;
	struct rt_template *t = NULL;
	char                path[4096];

	for (size_t i = 0; i < 4; i++)
		if (strcmp(files[i].name, name) == 0) {
			snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, files[i].file);
			ck_assert_msg(rt_template_open(&t, path, &err) == 0, "%s", err.msg);
		}
	return t;
}

static struct rt_json *parse(const char *text, size_t n)
{
	struct rt_error err = RT_ERROR_INIT;
	struct rt_json *j = NULL;

	ck_assert_msg(rt_json_parse(text, n, "test", 1, &j, &err) == 0, "%s", err.msg);
	return j;
}

static void check_row(const struct rt_json *row, const struct rt_tokenizer *k)
{
	struct rt_error       err = RT_ERROR_INIT;
	struct rt_template   *t = template(rt_json_string(rt_json_get(row, "template")));
	struct rt_chat        c = { .messages = rt_json_get(row, "messages"),
		                    .tools = rt_json_get(row, "tools"),
		                    .kwargs = rt_json_get(row, "kwargs"),
		                    .bos = "<s>",
		                    .eos = "</s>" };
	const char           *want = rt_json_string(rt_json_get(row, "text"));
	const char           *error = rt_json_string(rt_json_get(row, "error"));
	const struct rt_json *want_ids = rt_json_get(row, "ids");
	struct rt_text        out = RT_TEXT_INIT;
	struct rt_ids         ids = RT_IDS_INIT, mask = RT_IDS_INIT;
	int                   r;

	if (!t)
		return;
	c.generation_prompt = rt_json_bool(rt_json_get(row, "add_generation_prompt"), false);
	r = rt_template_render(t, &c, &out, &err);
	if (error) {
		ck_assert_int_eq(r, RT_E_INVAL);
		ck_assert_msg(strstr(err.msg, error) != NULL, "%s", err.msg);
	} else {
		ck_assert_msg(r == 0, "%s", err.msg);
		ck_assert_str_eq(out.data, want);
		rt_text_clear(&out);
		ck_assert_msg(rt_template_encode(t, k, &c, &out, &ids, &mask, &err) == 0, "%s",
		              err.msg);
		ck_assert_uint_eq(ids.len, mask.len);
		for (size_t i = 0; want_ids && i < rt_json_length(want_ids); i++)
			ck_assert_int_eq(ids.data[i], rt_json_int(rt_json_at(want_ids, i), -1));
	}
	rt_ids_free(&ids);
	rt_ids_free(&mask);
	rt_text_free(&out);
	rt_template_free(t);
}

static struct rt_tokenizer *tokenizer(void)
{
	struct rt_error      err = RT_ERROR_INIT;
	struct rt_tokenizer *k = NULL;

	ck_assert_msg(rt_tokenizer_open(&k, GOLDEN_DIR "/tok-qwen2.5", &err) == 0, "%s", err.msg);
	return k;
}

START_TEST(every_golden_render_comes_out)
	{
		struct rt_tokenizer *k = tokenizer();
		size_t               size, n = 0;
		char                *text = golden_read("chat/renders.jsonl", &size);

		for (char *line = text, *end; line && *line; line = end + 1, n++) {
			struct rt_json *row;

			end = strchr(line, '\n');
			if (!end)
				break;
			row = parse(line, (size_t)(end - line));
			check_row(row, k);
			rt_json_free(row);
		}
		ck_assert(!text || n > 0);
		free(text);
		rt_tokenizer_free(k);
	}
END_TEST

START_TEST(the_mask_covers_what_the_assistant_wrote_and_the_end_of_its_turn)
	{
		static const char    chat[] = "[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"
					      "\"assistant\",\"content\":\"hello you\"},"
					      "{\"role\":\"user\",\"content\":\"bye\"},{\"role\":"
					      "\"assistant\",\"content\":\"ciao\"}]";
		struct rt_template  *t = template("qwen2.5");
		struct rt_tokenizer *k = tokenizer();
		struct rt_json      *messages = parse(chat, strlen(chat));
		struct rt_chat       c = { .messages = messages };
		struct rt_text       out = RT_TEXT_INIT, marked = RT_TEXT_INIT;
		struct rt_ids        ids = RT_IDS_INIT, mask = RT_IDS_INIT;
		struct rt_error      err = RT_ERROR_INIT;

		ck_assert_msg(rt_template_encode(t, k, &c, &out, &ids, &mask, &err) == 0, "%s",
		              err.msg);
		for (size_t i = 0; i < ids.len; i++)
			if (mask.data[i])
				rt_tokenizer_decode(k, &ids.data[i], 1, 0, &marked, NULL);
		ck_assert_str_eq(marked.data, "hello you<|im_end|>ciao<|im_end|>");
		rt_text_free(&out);
		rt_text_free(&marked);
		rt_ids_free(&ids);
		rt_ids_free(&mask);
		rt_json_free(messages);
		rt_tokenizer_free(k);
		rt_template_free(t);
	}
END_TEST

static const struct {
	const char *text, *want; /* with '!' in front: the error */
} small[] = {
	{ "{{ [1, 2.5, 'a', none, true] }}", "[1, 2.5, 'a', None, True]" },
	{ "{{ {'a': {'b': [1]}} | tojson }}", "{\"a\": {\"b\": [1]}}" },
	{ "{{ {'a': 'é'} | tojson(true, none, [',', ':']) }}", "{\"a\":\"\\u00e9\"}" },
	{ "{{ '{}{{{1}}}{b}'.format('x', 2, b=none) }}", "x{2}None" },
	{ "{{ '{:>3}'.format(1) }}", "!test: line 1: format: nothing is given for '{:>3}'" },
	{ "{{ none | selectattr('x') | list | length }}", "0" },
	{ "{{ {'a': 1, 'b': []} | tojson(indent=2) }}", "{\n  \"a\": 1,\n  \"b\": []\n}" },
	{ "{% for i in range(3) %}{{ loop.index }}{% if not loop.last %},{% endif %}{% endfor %}",
	  "1,2,3" },
	{ "{% macro f(x, y=2) %}{{ x + y }}{% endmacro %}{{ f(1) }} {{ f(1, y=5) }}", "3 6" },
	{ "{{ 'abc'[::-1] }} {{ 'abc'[1:] }} {{ [1,2,3][-1] }}", "cba bc 3" },
	{ "{{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 1 if false else 2 ** 3 }}", "-4 2 3.5 8" },
	{ "{% set ns = namespace(n=0) %}{% for i in [1,2] %}{% set ns.n = ns.n + i %}{% endfor "
	  "%}{{ ns.n }}",
	  "3" },
	{ "{% for k, v in {'a': 1}.items() %}{{ k ~ v }}{% endfor %}", "a1" },
	{ "  {% if true %}\nx\n  {% endif %}\n", "x\n" },
	{ "{{ ' a ' | trim | upper }}{{ x is defined }}{{ x | default('d') }}", "AFalsed" },
	{ "{{ '%s' }}{# c #}{% raw %}{{ x }}{% endraw %}", "%s{{ x }}" },
	{ "\n\n{{ x.y }}", "!test: line 3: 'x' is undefined, so it has no 'y'" },
	{ "{% for i in [1] %}", "!test: line 1: a block that begins here has no 'else'" },
	{ "{{ raise_exception('no') }}", "!test: line 1: no" },
	{ "{{ 1 | nope }}", "!test: line 1: the filter 'nope' is not supported" },
	{ "{% for i in range(100000000) %}{% endfor %}",
	  "!test: line 1: the template takes more than 5000000 steps" },
	{ "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "!test: line 1: too deep" },
	{ "{% set a = ['x'] %}{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(60) %}"
	  "{% set ns.s = ns.s + ns.s %}{% endfor %}",
	  "!test: line 1: a string of more than 64 MiB" },
};

START_TEST(small_templates_do_what_jinja_does)
	{
		struct rt_error     err = RT_ERROR_INIT;
		struct rt_template *t = NULL;
		struct rt_chat      c = { 0 };
		struct rt_text      out = RT_TEXT_INIT;
		int r = rt_template_parse(&t, small[_i].text, strlen(small[_i].text), "test", &err);

		if (r == 0)
			r = rt_template_render(t, &c, &out, &err);
		if (*small[_i].want == '!')
			ck_assert_str_eq(err.msg, small[_i].want + 1);
		else
			ck_assert_msg(r == 0 && strcmp(out.data, small[_i].want) == 0,
			              "'%s' gave '%s' %s", small[_i].text, out.data, err.msg);
		rt_text_free(&out);
		rt_template_free(t);
	}
END_TEST

static const struct {
	const char *reply, *calls, *content; /* content NULL: calls is the error */
} replies[] = {
	{ "Hello", "[]", "Hello" },
	{ "ok\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call>\n"
	  "<tool_call>{\"name\": \"g\", \"arguments\": {}}</tool_call>",
	  "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1}}},"
	  "{\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":{}}}]",
	  "ok" },
	{ "{\"name\": \"f\", \"parameters\": {\"x\": 1}}",
	  "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1}}}]", "" },
	{ "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {}}]",
	  "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{}}}]", "" },
	{ "[TOOL_CALLS]f[ARGS]{\"x\": 1}[TOOL_CALLS]g{}",
	  "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1}}},"
	  "{\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":{}}}]",
	  "" },
	{ "so:[TOOL_CALLS]f[CALL_ID]abc[ARGS]{}",
	  "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{}}}]", "so:" },
	{ "<tool_call>{}", "a tool call does not end: there is no </tool_call>", NULL },
	{ "<tool_call>{\"name\": 1}</tool_call>",
	  "a tool call needs a 'name' (here an integer) and 'arguments' that are an object (here "
	  "null)",
	  NULL },
};

START_TEST(tool_calls_are_read_back)
	{
		const char     *reply = replies[_i].reply;
		struct rt_error err = RT_ERROR_INIT;
		struct rt_json *calls = NULL;
		struct rt_text  content = RT_TEXT_INIT, out = RT_TEXT_INIT;
		const int       r = rt_chat_calls(reply, strlen(reply), &calls, &content, &err);

		if (replies[_i].content) {
			ck_assert_msg(r == 0, "%s", err.msg);
			rt_json_print(calls, 0, &out);
			ck_assert_str_eq(out.data, replies[_i].calls);
			ck_assert_str_eq(content.data, replies[_i].content);
		} else {
			ck_assert_int_eq(r, RT_E_FORMAT);
			ck_assert_str_eq(err.msg, replies[_i].calls);
		}
		rt_json_free(calls);
		rt_text_free(&content);
		rt_text_free(&out);
	}
END_TEST

/* Calls rendered by templates of our own making, in the three spellings that families use. */
static const char *const spellings[] = {
	"{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% for c in m.tool_calls or [] %}"
	"<tool_call>\n{{ c.function | tojson }}\n</tool_call>{% endfor %}<|end|>{% endfor %}",
	"{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% for c in m.tool_calls or [] %}"
	"{{ {'name': c.function.name, 'parameters': c.function.arguments} | tojson }}"
	"{% endfor %}<|end|>{% endfor %}",
	"{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% for c in m.tool_calls or [] %}"
	"[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}"
	"{% endfor %}<|end|>{% endfor %}",
};

START_TEST(calls_survive_a_template_and_the_way_back)
	{
		static const char chat[] =
			"[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"type\":"
			"\"function\",\"function\":{\"name\":\"play\",\"arguments\":{\"artist\":"
			"\"Zo\u00eb \\\"}<\",\"year\":1999,\"x\":[null,{\"y\":0.5}]}}}]}]";
		struct rt_error     err = RT_ERROR_INIT;
		struct rt_template *t = NULL;
		struct rt_json     *messages = parse(chat, strlen(chat)), *calls = NULL;
		struct rt_chat      c = { .messages = messages };
		struct rt_text      out = RT_TEXT_INIT, content = RT_TEXT_INIT;
		const char         *reply;

		ck_assert_int_eq(
			rt_template_parse(&t, spellings[_i], strlen(spellings[_i]), "test", &err),
			0);
		ck_assert_msg(rt_template_render(t, &c, &out, &err) == 0, "%s", err.msg);
		reply = out.data + strlen("<|assistant|>");
		ck_assert_msg(rt_chat_calls(reply, strlen(reply) - strlen("<|end|>"), &calls,
		                            &content, &err) == 0,
		              "%s", err.msg);
		ck_assert(rt_json_equal(calls, rt_json_get(rt_json_at(messages, 0), "tool_calls")));
		ck_assert_uint_eq(content.len, 0);
		rt_json_free(calls);
		rt_json_free(messages);
		rt_text_free(&out);
		rt_text_free(&content);
		rt_template_free(t);
	}
END_TEST

/* A tokenizer that puts a blank in front of what begins, and a template that refuses a result
 * without its call: both are what Llama 2 and Mistral have. */
START_TEST(the_mask_is_found_where_text_and_tokens_differ_in_blanks)
	{
		static const char source[] =
			"{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }}"
			"{% for c in m.tool_calls or [] %}[TOOL_CALLS]{{ c.function.name }}{% "
			"endfor %}"
			"</s>{% elif m.role == 'tool' %}{% if not messages[loop.index0 - "
			"1].tool_calls "
			"%}{{ raise_exception('no call') }}{% endif %}[R]{{ m.content }}[/R]{% "
			"else %}"
			"<s>[INST] {{ m.content }} [/INST]{% endif %}{% endfor %}";
		static const char    chat[] = "[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"
					      "\"assistant\",\"content\":\"\","
					      "\"tool_calls\":[{\"function\":{\"name\":\"play\","
					      "\"arguments\":{}}}]},{\"role\":"
					      "\"tool\",\"content\":\"ok\"},{\"role\":\"assistant\","
					      "\"content\":\"done it\"}]";
		struct rt_error      err = RT_ERROR_INIT;
		struct rt_template  *t = NULL;
		struct rt_tokenizer *k = NULL;
		struct rt_json      *messages = parse(chat, strlen(chat));
		struct rt_chat       c = { .messages = messages };
		struct rt_text       out = RT_TEXT_INIT, marked = RT_TEXT_INIT;
		struct rt_ids        ids = RT_IDS_INIT, mask = RT_IDS_INIT;
		struct rt_decoder   *d = NULL;

		ck_assert_int_eq(rt_tokenizer_open(&k, GOLDEN_DIR "/tok-llama2-style", &err), 0);
		ck_assert_int_eq(rt_template_parse(&t, source, strlen(source), "test", &err), 0);
		ck_assert_msg(rt_template_encode(t, k, &c, &out, &ids, &mask, &err) == 0, "%s",
		              err.msg);
		ck_assert_int_eq(rt_decoder_new(&d, k, 0, &err), 0);
		for (size_t i = 0; i < ids.len; i++)
			if (mask.data[i])
				rt_decoder_put(d, ids.data[i], &marked, NULL);
		rt_decoder_finish(d, &marked, NULL);
		ck_assert_str_eq(marked.data, "[TOOL_CALLS]play</s>done it</s>");
		rt_decoder_free(d);
		rt_text_free(&out);
		rt_text_free(&marked);
		rt_ids_free(&ids);
		rt_ids_free(&mask);
		rt_json_free(messages);
		rt_tokenizer_free(k);
		rt_template_free(t);
	}
END_TEST

RUNNER("chat", 300, TABLE_TEST(tc, calls_survive_a_template_and_the_way_back, spellings);
       tcase_add_test(tc, the_mask_is_found_where_text_and_tokens_differ_in_blanks);
       tcase_add_test(tc, every_golden_render_comes_out);
       tcase_add_test(tc, the_mask_covers_what_the_assistant_wrote_and_the_end_of_its_turn);
       TABLE_TEST(tc, tool_calls_are_read_back, replies);
       TABLE_TEST(tc, small_templates_do_what_jinja_does, small);)
