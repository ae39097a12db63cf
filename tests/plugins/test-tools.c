/* test-tools.c - tool-table on its answers and its files, tool-exec on programs that misbehave. */
#include "plugins/instance.h"
#include "runner.h"
#include "temp.h"

#include <retort/tool.h>

#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

extern const struct rt_plugin retort_plugin_tool_exec, retort_plugin_tool_table;

static char        said[4096];
static atomic_bool cancelled;

static void hear(void *arg, const char *stage, enum rt_level level, const char *text)
{
	(void)arg, (void)stage, (void)level;
	snprintf(said, sizeof said, "%s", text);
}

static bool is_cancelled(void *arg)
{
	(void)arg;
	return atomic_load(&cancelled);
}

static const struct context_sink sink = { .log = hear, .cancelled = is_cancelled };
static struct rt_context         context = { .sink = &sink, .stage = "s" };

static void begin(void)
{
	temp_begin();
	signal(SIGPIPE, SIG_IGN); /* as the host does */
}

/* The result of a call as text, or the message of its error. */
static const char *called(struct instance_of *i, const char *name, const char *arguments)
{
	static struct rt_text     text = RT_TEXT_INIT;
	const struct rt_tool_ops *ops = i->component.plugin->ops.tool;
	struct rt_json           *a = json_of(arguments), *result = NULL;
	struct rt_error           err = RT_ERROR_INIT;

	rt_text_clear(&text);
	if (ops->call(i->component.state, name, a, &result, &err) == 0)
		rt_json_print(result, RT_JSON_SORT, &text);
	else
		rt_text_add(&text, err.msg);
	rt_json_free(result);
	rt_json_free(a);
	return text.data;
}

/* ---- table ---- */

static struct instance_of table(const char *file, const char *text)
{
	static char        path[512];
	struct instance_of i = instance_new(&retort_plugin_tool_table, &context);

	snprintf(path, sizeof path, "%s", temp_write(file, text, strlen(text)));
	instance_text(&i, "path", path);
	instance_text(&i, "function", "find");
	return i;
}

static const char cities[] = "city,people,capital,\"says \"\"hi\"\"\"\r\n"
			     "Rome,2800000,true,\"a, b\"\r\n"
			     "Ostia,85000,false,\"two\nlines\"\r\n"
			     "Bern,134000.0,true,\r\n";

static const struct {
	const char *arguments, *result;
} lookups[] = {
	{ "{\"city\":\"Rome\"}",
	  "{\"found\":1,\"rows\":[{\"capital\":\"true\",\"city\":\"Rome\",\"people\":\"2800000\","
	  "\"says \\\"hi\\\"\":\"a, b\"}]}" },
	{ "{\"people\":85000}",
	  "{\"found\":1,\"rows\":[{\"capital\":\"false\",\"city\":\"Ostia\",\"people\":\"85000\","
	  "\"says \\\"hi\\\"\":\"two\\nlines\"}]}" },
	{ "{\"people\":134000,\"capital\":true}",
	  "{\"found\":1,\"rows\":[{\"capital\":\"true\",\"city\":\"Bern\",\"people\":\"134000.0\","
	  "\"says \\\"hi\\\"\":\"\"}]}" },
	{ "{\"city\":\"Paris\"}",
	  "{\"error\":\"nothing found for {\\\"city\\\": \\\"Paris\\\"}\"}" },
	{ "{\"city\":\"rome\"}", "{\"error\":\"nothing found for {\\\"city\\\": \\\"rome\\\"}\"}" },
	{ "{\"people\":\"85000.0\"}",
	  "{\"error\":\"nothing found for {\\\"people\\\": \\\"85000.0\\\"}\"}" },
	{ "{\"town\":\"Rome\"}", "{\"error\":\"there is no column 'town'; there are city, people, "
	                         "capital, says \\\"hi\\\"\"}" },
	{ "{}", "{\"error\":\"no argument was given; there are city, people, capital, says "
	        "\\\"hi\\\"\"}" },
};

START_TEST(a_table_answers_by_columns)
	{
		struct instance_of i = table("t.csv", cities);
		struct rt_error    err = RT_ERROR_INIT;

		ck_assert_msg(instance_open(&i, &err) == 0, "%s", err.msg);
		ck_assert_str_eq(called(&i, "find", lookups[_i].arguments), lookups[_i].result);
		instance_close(&i);
	}
END_TEST

START_TEST(a_result_has_a_limit_and_the_columns_that_are_shown)
	{
		static const char *const show[] = { "city" };
		const int64_t            limit = 1;
		struct instance_of       i = table("t.csv", cities);
		struct rt_error          err = RT_ERROR_INIT;

		instance_texts(&i, "show", show, 1);
		instance_set(&i, "limit", &limit, sizeof limit);
		ck_assert_msg(instance_open(&i, &err) == 0, "%s", err.msg);
		ck_assert_str_eq(called(&i, "find", "{\"capital\":true}"),
		                 "{\"found\":2,\"rows\":[{\"city\":\"Rome\"}]}");
		instance_close(&i);
	}
END_TEST

START_TEST(json_lines_keep_their_types)
	{
		struct instance_of i = table("t.jsonl", "{\"id\":1,\"tags\":[\"a\"]}\n"
		                                        "{\"id\":2,\"open\":null}\n");
		struct rt_error    err = RT_ERROR_INIT;

		ck_assert_msg(instance_open(&i, &err) == 0, "%s", err.msg);
		ck_assert_str_eq(called(&i, "find", "{\"id\":1.0}"),
		                 "{\"found\":1,\"rows\":[{\"id\":1,\"tags\":[\"a\"]}]}");
		ck_assert_str_eq(called(&i, "find", "{\"open\":null}"),
		                 "{\"found\":1,\"rows\":[{\"id\":2,\"open\":null}]}");
		ck_assert_str_eq(called(&i, "find", "{\"tags\":[\"a\"]}"),
		                 "{\"found\":1,\"rows\":[{\"id\":1,\"tags\":[\"a\"]}]}");
		instance_close(&i);
	}
END_TEST

static const struct {
	const char *file, *text, *msg;
} bad_tables[] = {
	{ "t.csv", "", "t.csv:1: a column has no name" },
	{ "t.csv", "a,b\n", "t.csv has no rows" },
	{ "t.csv", "a,,b\n1,2,3\n", "t.csv:1: a column has no name" },
	{ "t.csv", "a,a\n1,2\n", "t.csv:1: a column's name is there twice" },
	{ "t.csv", "a,b\n1,2\n\"x\n\",2,3\n", "t.csv:3: 3 fields, the first line has 2" },
	{ "t.csv", "a,b\n1,2\n1\n", "t.csv:3: 1 fields, the first line has 2" },
	{ "t.csv", "a,b\n1,\"2\n\n", "t.csv:2: a field's quote is not closed" },
	{ "t.csv", "a,b\n1,2\"3\n",
	  "t.csv:2: a quote or a carriage return inside a field; quote it whole, and write \"\" "
	  "for a "
	  "quote" },
	{ "t.csv", "a,b\n1,2\n\xff,1\n", "t.csv:3: this is no UTF-8" },
	{ "t.jsonl", "{\"a\":1}\n[1]\n", "t.jsonl:2: a row is an object, this is an array" },
};

START_TEST(a_table_that_is_none_is_named_with_its_line)
	{
		struct instance_of i = table(bad_tables[_i].file, bad_tables[_i].text);
		struct rt_error    err = RT_ERROR_INIT;

		ck_assert_int_eq(instance_open(&i, &err), RT_E_FORMAT);
		ck_assert_str_eq(temp_strip(err.msg), bad_tables[_i].msg);
		instance_close(&i);
	}
END_TEST

/* ---- exec ---- */

static struct instance_of program(const char *script, double timeout, int64_t limit)
{
	static const char *const functions[] = { "f", "g" };
	static char              path[512], text[4096];
	struct instance_of       i = instance_new(&retort_plugin_tool_exec, &context);

	snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
	snprintf(path, sizeof path, "%s", temp_write("tool.sh", text, strlen(text)));
	ck_assert_int_eq(chmod(path, 0755), 0);
	instance_text(&i, "program", path);
	instance_texts(&i, "functions", functions, 2);
	instance_set(&i, "timeout", &timeout, sizeof timeout);
	instance_set(&i, "limit", &limit, sizeof limit);
	return i;
}

static const struct {
	const char *script;
	double      timeout;
	const char *result;
} scripts[] = {
	{ "cat", 20, "{\"arguments\":{\"x\":\"$HOME `id`\"},\"name\":\"f\"}" },
	{ "read -r x; echo \"[1, 2]\"", 20, "[1,2]" },
	{ "echo 7", 20, "7" }, /* and reads nothing */
	{ "exit 3", 20, "{\"error\":\"the function failed with status 3\"}" },
	{ "echo 'no such\ncity' >&2; exit 1", 20,
	  "{\"error\":\"the function failed with status 1: no such\"}" },
	{ "kill -9 $$", 20, "{\"error\":\"the function ended by signal 9\"}" },
	{ "echo hello", 20,
	  "{\"error\":\"the function's result is no JSON (output:1:5: invalid token near "
	  "'hello')\"}" },
	{ "true", 20,
	  "{\"error\":\"the function's result is no JSON (output:1:1: unexpected token near end of "
	  "file)\"}" },
	{ "sleep 60", .3, "{\"error\":\"the function took longer than 0.3 s\"}" },
	{ "exec >&- 2>&-; sleep 60", .3, "{\"error\":\"the function took longer than 0.3 s\"}" },
	{ "sleep 60 & echo 1", .3, "{\"error\":\"the function took longer than 0.3 s\"}" },
	{ "trap '' TERM INT; while :; do :; done", .3,
	  "{\"error\":\"the function took longer than 0.3 s\"}" },
	{ "yes", 20, "{\"error\":\"the function's result is longer than 1000 bytes\"}" },
	{ "yes >&2 & sleep 0.1; kill $!; echo 1", 20, "1" },
};

START_TEST(a_program_gives_a_result_or_an_error_for_the_model)
	{
		struct instance_of i = program(scripts[_i].script, scripts[_i].timeout, 1000);
		struct rt_error    err = RT_ERROR_INIT;

		ck_assert_msg(instance_open(&i, &err) == 0, "%s", err.msg);
		ck_assert_str_eq(called(&i, "f", "{\"x\":\"$HOME `id`\"}"), scripts[_i].result);
		instance_close(&i);
	}
END_TEST

START_TEST(more_arguments_than_a_pipe_holds_arrive_or_are_not_wanted)
	{
		static const char *const ways[] = { "wc -c", "echo 1" };
		struct rt_text           big = RT_TEXT_INIT;

		rt_text_add(&big, "{\"x\":\"");
		for (int i = 0; i < 300000; i++)
			rt_text_add_char(&big, 'a');
		rt_text_add(&big, "\"}");
		for (int w = 0; w < 2; w++) {
			struct instance_of i = program(ways[w], 20, 1000);

			ck_assert_int_eq(instance_open(&i, NULL), 0);
			ck_assert_str_eq(called(&i, "f", big.data), w ? "1" : "300034");
			instance_close(&i);
		}
		rt_text_free(&big);
	}
END_TEST

START_TEST(what_a_program_leaves_running_ends_with_it)
	{
		struct instance_of i =
			program("(sleep 0.5; echo x >late) >/dev/null 2>&1 & echo 1", 20, 1000);

		ck_assert_int_eq(instance_open(&i, NULL), 0);
		ck_assert_str_eq(called(&i, "f", "{}"), "1");
		nanosleep(&(struct timespec){ 1, 500 * 1000 * 1000 }, NULL);
		ck_assert(!rt_exists(temp_path("late")));
		instance_close(&i);
	}
END_TEST

START_TEST(a_program_sees_its_folder_and_no_variable_that_it_should_not)
	{
		static const char *const pass[] = { "TEST_PASSED" };
		struct instance_of i = program("echo \"[\\\"$(pwd)\\\", \\\"$TEST_PASSED\\\", "
		                               "\\\"$TEST_KEY\\\", $(env | grep -c TEST_)]\"",
		                               20, 1000);
		char               want[400];

		setenv("TEST_PASSED", "given", 1);
		setenv("TEST_KEY", "sk-secret", 1);
		instance_texts(&i, "pass", pass, 1);
		ck_assert_int_eq(instance_open(&i, NULL), 0);
		snprintf(want, sizeof want, "[\"%s\",\"given\",\"\",1]", temp_folder);
		ck_assert_str_eq(called(&i, "f", "{}"), want);
		instance_close(&i);
	}
END_TEST

START_TEST(arguments_reach_a_program_as_they_are)
	{
		static const char *const args[] = { "a b", "$HOME; rm x", "" };
		struct instance_of i = program("echo \"[\\\"$1\\\", \\\"$2\\\", $#]\"", 20, 1000);

		instance_texts(&i, "args", args, 3);
		ck_assert_int_eq(instance_open(&i, NULL), 0);
		ck_assert_str_eq(called(&i, "f", "{}"), "[\"a b\",\"$HOME; rm x\",3]");
		instance_close(&i);
	}
END_TEST

START_TEST(a_cancelled_stage_does_not_wait_for_a_program)
	{
		struct instance_of i = program("sleep 60", 60, 1000);

		ck_assert_int_eq(instance_open(&i, NULL), 0);
		atomic_store(&cancelled, true);
		ck_assert_str_eq(called(&i, "f", "{}"), "cancelled");
		instance_close(&i);
	}
END_TEST

START_TEST(a_file_that_is_no_program_is_named)
	{
		struct instance_of i = program("true", 20, 1000);
		struct rt_error    err = RT_ERROR_INIT;

		ck_assert_int_eq(chmod(temp_path("tool.sh"), 0644), 0);
		ck_assert_int_eq(instance_open(&i, &err), RT_E_IO);
		ck_assert_str_eq(temp_strip(err.msg),
		                 "tool.sh cannot be run (chmod +x makes a file a "
		                 "program): Permission denied; check owner and "
		                 "mode");
		instance_close(&i);
	}
END_TEST

START_TEST(a_program_serves_the_functions_that_are_named)
	{
		struct instance_of        i = program("true", 20, 1000);
		const struct rt_tool_ops *ops = i.component.plugin->ops.tool;

		ck_assert_int_eq(instance_open(&i, NULL), 0);
		ck_assert_str_eq(ops->function(i.component.state, 0), "f");
		ck_assert_str_eq(ops->function(i.component.state, 1), "g");
		ck_assert_ptr_null(ops->function(i.component.state, 2));
		instance_close(&i);
	}
END_TEST

RUNNER("tools", 120, {
	tcase_add_checked_fixture(tc, begin, temp_end);
	TABLE_TEST(tc, a_table_answers_by_columns, lookups);
	tcase_add_test(tc, a_result_has_a_limit_and_the_columns_that_are_shown);
	tcase_add_test(tc, json_lines_keep_their_types);
	TABLE_TEST(tc, a_table_that_is_none_is_named_with_its_line, bad_tables);
	TABLE_TEST(tc, a_program_gives_a_result_or_an_error_for_the_model, scripts);
	tcase_add_test(tc, more_arguments_than_a_pipe_holds_arrive_or_are_not_wanted);
	tcase_add_test(tc, what_a_program_leaves_running_ends_with_it);
	tcase_add_test(tc, a_program_sees_its_folder_and_no_variable_that_it_should_not);
	tcase_add_test(tc, arguments_reach_a_program_as_they_are);
	tcase_add_test(tc, a_cancelled_stage_does_not_wait_for_a_program);
	tcase_add_test(tc, a_file_that_is_no_program_is_named);
	tcase_add_test(tc, a_program_serves_the_functions_that_are_named);
})
