/* test-prototype.c - stage-prototype with a teacher and functions that do as the test says.
 *
 * What the teacher says depends on the row and the turn: a row's id is its script, letters that
 * stand for replies. */
#include "plugins/instance.h"
#include "runner.h"
#include "temp.h"

#include <retort/rows.h>
#include <retort/stage.h>
#include <retort/teacher.h>
#include <retort/tool.h>

#include <sys/stat.h>

extern const struct rt_plugin retort_plugin_stage_prototype;

static char              said[1 << 14];
static struct rt_context context;
static int               asked, made, stop_after; /* requests, calls; 0: never */
static struct rt_json   *last_body;

static void hear(void *arg, const char *stage, enum rt_level level, const char *text)
{
	(void)arg, (void)stage, (void)level;
	snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", text);
}

static const struct context_sink sink = { .log = hear };

/* ---- the teacher ---- */

#define CALL(name, arguments) "{\"function\":{\"name\":\"" name "\",\"arguments\":" arguments "}}"
#define SAYS(message, why)                                                                         \
	"{\"choices\":[{\"index\":0,\"finish_reason\":\"" why "\",\"message\":{\"role\":"          \
	"\"assistant\"," message "}}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":3}}"
#define CALLS(calls)                                                                               \
	SAYS("\"content\":null,\"refusal\":null,\"tool_calls\":[" calls "]", "tool_calls")

static const struct {
	char        letter;
	const char *reply;
} replies[] = {
	{ 'a', SAYS("\"content\":\"done\"", "stop") },
	{ 'c', CALLS(CALL("find", "{\"city\":\"Rome\"}")) },
	{ '2', CALLS(CALL("find", "{\"city\":\"Rome\"}") "," CALL("find", "{\"city\":\"Bern\"}")) },
	{ 'n', CALLS(CALL("find", "{\"city\":\"none\"}")) },
	{ 'w', CALLS(CALL("find", "{\"town\":1}")) }, /* does not fit the schema */
	{ 's', CALLS(CALL("find", "\"{city\"")) },    /* no JSON */
	{ 'u', CALLS(CALL("unknown", "{}")) },        /* no such function */
	{ 'f', CALLS(CALL("final", "{}")) },          /* nobody serves it */
	{ 'm', CALLS(CALL("final", "{}") "," CALL("find", "{}")) },
	{ 'l', SAYS("\"content\":\"and so\"", "length") },
	{ 'e', SAYS("\"content\":\"\"", "stop") },
	{ 'x', NULL }, /* the request fails */
};

static int turn_of(const struct rt_json *messages)
{
	int n = 0;

	for (size_t i = 0; i < rt_json_length(messages); i++)
		n += strcmp(rt_json_string(rt_json_get(rt_json_at(messages, i), "role")),
		            "assistant") == 0;
	return n;
}

static int chat(void *state, const struct rt_teacher_request *q, int64_t n, rt_reply_fn *reply,
                void *arg, struct rt_error *err)
{
	int r = 0;

	(void)state;
	for (int64_t i = n - 1; r == 0 && i >= 0; i--) { /* in any order */
		const int turn = turn_of(rt_json_get(q[i].body, "messages")),
			  last = (int)strlen(q[i].id) - 1;
		const char      letter = q[i].id[turn < last ? turn : last]; /* the last goes on */
		const char     *text = NULL;
		struct rt_json *j = NULL;

		if (stop_after && asked == stop_after)
			return rt_fail(err, RT_E_CANCEL, "cancelled");
		asked++;
		rt_json_free(last_body);
		last_body = rt_json_ref(q[i].body);
		for (size_t k = 0; k < sizeof replies / sizeof *replies; k++)
			if (replies[k].letter == letter)
				text = replies[k].reply;
		j = text ? json_of(text) : NULL;
		r = reply(arg, i, j, j ? NULL : "it did not like it", err);
		rt_json_free(j);
	}
	return r;
}

static double price(const void *config, double calls, double in, double out)
{
	(void)config, (void)calls;
	return in + 2 * out;
}

static const struct rt_teacher_ops teacher_ops = { .size = sizeof teacher_ops,
	                                           .chat = chat,
	                                           .price = price };
static const struct rt_plugin      teacher = { .kind = RT_KIND_TEACHER,
	                                       .name = "scripted",
	                                       .ops.teacher = &teacher_ops };

/* ---- a function ---- */

static int call(void *state, const char *name, const struct rt_json *arguments,
                struct rt_json **ret, struct rt_error *err)
{
	const char *city = rt_json_string(rt_json_get(arguments, "city"));

	(void)state, (void)err;
	ck_assert_str_eq(name, "find");
	made++;
	*ret = json_of(city && strcmp(city, "none") == 0 ? "{\"error\":\"nothing found\"}"
	                                                 : "{\"people\":3}");
	return 0;
}

static const char *function(const void *state, int64_t i)
{
	(void)state;
	return i == 0 ? "find" : NULL;
}

static const struct rt_tool_ops tool_ops = { .size = sizeof tool_ops,
	                                     .call = call,
	                                     .function = function };
static const struct rt_plugin   tool = { .kind = RT_KIND_TOOL,
	                                 .name = "find",
	                                 .ops.tool = &tool_ops };

/* ---- the stage ---- */

static const char tools[] =
	"[{\"type\":\"function\",\"function\":{\"name\":\"find\",\"parameters\":{\"type\":"
	"\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},\"required\":[\"city\"],"
	"\"additionalProperties\":false}}},{\"type\":\"function\",\"function\":{\"name\":\"final\"}"
	"}]";

struct bench {
	struct instance_of  stage;
	struct rt_component teacher, tool, *tools[2];
	struct rt_artifact  data;
	char                in[300], out[300], report[300], path[300], system[300];
};

static void setup(struct bench *b, const char *rows)
{
	const struct rt_component *t = &b->teacher;
	const struct rt_artifact  *d = &b->data;
	struct rt_components       list = { b->tools, 1 };
	static char                work[300];

	snprintf(b->in, sizeof b->in, "%s", temp_path("in"));
	snprintf(b->out, sizeof b->out, "%s", temp_path("out"));
	snprintf(b->report, sizeof b->report, "%s", temp_path("report"));
	snprintf(work, sizeof work, "%s", temp_path("work"));
	mkdir(b->in, 0777), mkdir(b->out, 0777), mkdir(b->report, 0777), mkdir(work, 0777);
	temp_write("in/rows.jsonl", rows, strlen(rows));
	snprintf(b->path, sizeof b->path, "%s", temp_write("tools.json", tools, strlen(tools)));
	snprintf(b->system, sizeof b->system, "%s", temp_write("system.txt", "be brief", 8));
	context = (struct rt_context){ .sink = &sink, .stage = "s", .seed = 1, .work_dir = work };
	b->teacher = (struct rt_component){ .plugin = &teacher, .context = &context };
	b->tool = (struct rt_component){ .plugin = &tool, .context = &context };
	b->tools[0] = &b->tool;
	b->data =
		(struct rt_artifact){ .type = RT_DATASET, .path = b->in, .name = "in", .rows = -1 };
	b->stage = instance_new(&retort_plugin_stage_prototype, &context);
	instance_set(&b->stage, "data", &d, sizeof d);
	instance_set(&b->stage, "teacher", &t, sizeof t);
	instance_set(&b->stage, "functions", &list, sizeof list);
	instance_text(&b->stage, "tools", b->path);
	instance_text(&b->stage, "system", b->system);
}

static int run(struct bench *b, struct rt_error *err)
{
	const char *const out[] = { b->out, b->report };

	ck_assert_int_eq(instance_open(&b->stage, err), 0);
	return retort_plugin_stage_prototype.ops.stage->run(b->stage.component.state, &context, out,
	                                                    err);
}

#define ROW(id)                                                                                    \
	"{\"id\":\"" id "\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":"        \
	"\"assistant\",\"content\":\"gold\"}],\"accepted\":[]}\n"

/* The rows that came out, as text. */
static struct rt_text rows_of(const struct bench *b)
{
	struct rt_text t = RT_TEXT_INIT;
	char          *path = rt_path_join(b->out, "rows.jsonl");

	ck_assert_int_eq(rt_file_read(path, 0, &t, NULL), 0);
	rt_free(path);
	return t;
}

static double metric(const struct bench *b, const char *name)
{
	char           *path = rt_path_join(b->report, "metrics.json");
	struct rt_json *m = NULL;
	double          v;

	ck_assert_int_eq(rt_json_read(path, 0, &m, NULL), 0);
	v = rt_json_real(rt_json_get(rt_json_get(m, name), "value"), -1);
	rt_json_free(m);
	rt_free(path);
	return v;
}

/* Scripts of one row: how it ends, and what it takes.  max_turns 4, max_repairs 1. */
static const struct {
	const char *row, *end;
	int         turns, calls, wrong, made;
} talks[] = {
	{ ROW("a"), "answer", 1, 0, 0, 0 },   { ROW("ca"), "answer", 2, 1, 0, 1 },
	{ ROW("2ca"), "answer", 3, 3, 0, 3 }, { ROW("na"), "answer", 2, 1, 0, 1 },
	{ ROW("wca"), "answer", 3, 2, 1, 1 }, { ROW("sa"), "answer", 2, 1, 1, 0 },
	{ ROW("ua"), "answer", 2, 1, 1, 0 },  { ROW("cf"), "call", 2, 2, 0, 1 },
	{ ROW("mf"), "call", 2, 3, 1, 0 },
};

START_TEST(a_conversation_ends_in_an_answer)
	{
		struct bench    b;
		struct rt_error err = RT_ERROR_INIT;
		const int64_t   turns = 4, repairs = 1;
		struct rt_text  t;
		char            want[300];

		setup(&b, talks[_i].row);
		instance_set(&b.stage, "max_turns", &turns, sizeof turns);
		instance_set(&b.stage, "max_repairs", &repairs, sizeof repairs);
		ck_assert_msg(run(&b, &err) == 0, "%s", err.msg);
		t = rows_of(&b);
		snprintf(
			want, sizeof want,
			"\"meta\":{\"prototype\":{\"end\":\"%s\",\"turns\":%d,\"calls\":%d,\"wrong_"
			"calls\":%d,\"input_tokens\":%d,\"output_tokens\":%d}}",
			talks[_i].end, talks[_i].turns, talks[_i].calls, talks[_i].wrong,
			10 * talks[_i].turns, 3 * talks[_i].turns);
		ck_assert_msg(strstr(t.data, want) != NULL, "%s\nin\n%s", want, t.data);
		ck_assert_ptr_null(strstr(t.data, "gold"));
		ck_assert_int_eq(made, talks[_i].made);
		ck_assert_double_eq(metric(&b, "finished"), 1);
		ck_assert_double_eq(metric(&b, "cost"), 16 * talks[_i].turns);
		rt_text_free(&t);
		instance_close(&b.stage);
	}
END_TEST

START_TEST(a_row_is_the_whole_conversation)
	{
		struct bench    b;
		struct rt_error err = RT_ERROR_INIT;
		struct rt_text  t;

		setup(&b, ROW("wna"));
		ck_assert_msg(run(&b, &err) == 0, "%s", err.msg);
		t = rows_of(&b);
		ck_assert_ptr_nonnull(strstr(t.data,
		                             "\"messages\":[{\"role\":\"system\",\"content\":\"be "
		                             "brief\"},{\"role\":\"user\","
		                             "\"content\":\"q\"},{\"role\":\"assistant\","
		                             "\"content\":null,\"tool_calls\":[{"
		                             "\"function\":{\"name\":\"find\",\"arguments\":{"
		                             "\"town\":1}},\"id\":\"call_0_0\"}]"
		                             "},{\"role\":\"tool\",\"tool_call_id\":\"call_0_0\","
		                             "\"content\":\"{\\\"error\\\": "));
		ck_assert_ptr_nonnull(strstr(
			t.data, "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{"
				"\"function\":{\"name\":"
				"\"find\",\"arguments\":{\"city\":\"none\"}},\"id\":\"call_1_0\"}]}"
				",{\"role\":"
				"\"tool\",\"tool_call_id\":\"call_1_0\",\"content\":\"{"
				"\\\"error\\\": \\\"nothing "
				"found\\\"}\"},{\"role\":\"assistant\",\"content\":\"done\"}]"));
		/* and the last request was all of it but the answer */
		ck_assert_uint_eq(rt_json_length(rt_json_get(last_body, "messages")), 6 + 1);
		ck_assert_uint_eq(rt_json_length(rt_json_get(last_body, "tools")), 2);
		ck_assert_double_eq(metric(&b, "valid_calls"), .5);
		ck_assert_double_eq(metric(&b, "results_with_error"), 1);
		rt_text_free(&t);
		instance_close(&b.stage);
	}
END_TEST

/* Scripts that end in no answer, and after how many replies: max_turns 8, max_repairs 2. */
static const struct {
	const char *row, *end;
	int         asked;
} failures[] = {
	{ ROW("c"), "end_max_turns", 8 },  { ROW("w"), "end_max_repairs", 3 },
	{ ROW("l"), "end_cut", 1 },        { ROW("e"), "end_empty", 1 },
	{ ROW("x"), "end_unanswered", 1 },
};

START_TEST(a_conversation_without_an_answer_is_counted_and_no_row)
	{
		struct bench    b;
		struct rt_error err = RT_ERROR_INIT;
		const double    most = .5;
		char            rows[600];
		struct rt_text  t;

		snprintf(rows, sizeof rows, "%s%s", failures[_i].row, ROW("a"));
		setup(&b, rows);
		instance_set(&b.stage, "max_failed", &most, sizeof most);
		ck_assert_msg(run(&b, &err) == 0, "%s", err.msg);
		t = rows_of(&b);
		ck_assert_ptr_nonnull(strstr(t.data, "\"id\":\"a\""));
		ck_assert_ptr_eq(strchr(t.data, '\n') + 1, t.data + t.len);
		ck_assert_double_eq(metric(&b, failures[_i].end), 1);
		ck_assert_double_eq(metric(&b, "end_answer"), 1);
		ck_assert_int_eq(asked, failures[_i].asked + 1);
		ck_assert_double_eq(metric(&b, "finished"), .5);
		rt_text_free(&t);
		instance_close(&b.stage);
	}
END_TEST

START_TEST(stopped_anywhere_it_goes_on_without_asking_or_calling_again)
	{
		static const char rows[] = ROW("2ca") ROW("wca") ROW("a") ROW("cccca") ROW("f");
		const int64_t     batch = 2;
		struct rt_text    whole = RT_TEXT_INIT, now;
		int               all = 0, all_made = 0;

		for (int stop = 0; stop <= all; stop++) {
			struct bench    b;
			struct rt_error err = RT_ERROR_INIT;
			int             r;

			temp_end();
			temp_begin();
			asked = made = 0;
			setup(&b, rows);
			instance_set(&b.stage, "batch", &batch, sizeof batch);
			stop_after = stop;
			r = run(&b, &err);
			ck_assert_int_eq(r, stop && stop < all ? RT_E_CANCEL : 0);
			stop_after = 0;
			if (r < 0)
				ck_assert_msg(run(&b, &err) == 0, "%s", err.msg);
			now = rows_of(&b);
			if (stop == 0) {
				whole = now;
				all = asked;
				all_made = made;
				ck_assert_int_eq(all, 3 + 3 + 1 + 5 + 1);
				ck_assert_int_eq(all_made, 3 + 1 + 4);
			} else {
				ck_assert_str_eq(now.data, whole.data);
				rt_text_free(&now);
			}
			ck_assert_int_eq(asked, all);
			ck_assert_int_eq(made, all_made);
			instance_close(&b.stage);
		}
		rt_text_free(&whole);
	}
END_TEST

/* What is wrong with the whole. */
static const struct {
	const char *rows, *tools;
	int         servers, code;
	const char *msg;
} mistakes[] = {
	{ ROW("x") ROW("a"), NULL, 1, RT_E_FORMAT,
	  "1 of 2 rows have no reply, more than max_failed = 0.05 allows; run again to ask for "
	  "these "
	  "alone" },
	{ ROW("c") ROW("l"), NULL, 1, RT_E_FORMAT,
	  "none of 2 conversations ended in an answer: 1 at max_turns, 0 at max_repairs, 1 cut at "
	  "max_tokens, 0 empty" },
	{ ROW("a"), NULL, 2, RT_E_USAGE,
	  "functions: 'find' is served twice; want one tool for it" },
	{ ROW("a"), "[{\"name\":\"other\"}]", 1, RT_E_USAGE,
	  "functions: tool-find serves 'find', which tools.json does not declare, so nobody would "
	  "call "
	  "it" },
	{ "{\"id\":\"c\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"tools\":[{\"name\":"
	  "\"find\",\"parameters\":{\"odd\":1}}]}\n",
	  NULL, 1, RT_E_UNSUP, "row 'c': tool find: the schema keyword 'odd' is not supported" },
	{ ROW("a"), "{}", 1, RT_E_FORMAT,
	  "tools.json: tools are a list [ ... ], this is an object" },
	{ ROW("a"), "[{}]", 1, RT_E_FORMAT, "tools.json: tool 0 has no name" },
};

START_TEST(a_mistake_is_named)
	{
		struct bench         b;
		struct rt_error      err = RT_ERROR_INIT;
		struct rt_component  second = { .plugin = &tool, .context = &context };
		struct rt_components list = { b.tools, mistakes[_i].servers };

		setup(&b, mistakes[_i].rows);
		b.tools[1] = &second;
		instance_set(&b.stage, "functions", &list, sizeof list);
		if (mistakes[_i].tools)
			temp_write("tools.json", mistakes[_i].tools, strlen(mistakes[_i].tools));
		ck_assert_int_eq(run(&b, &err), mistakes[_i].code);
		ck_assert_str_eq(temp_strip(err.msg), mistakes[_i].msg);
		instance_close(&b.stage);
	}
END_TEST

static void begin(void)
{
	temp_begin();
	asked = made = stop_after = 0;
}

static void finish(void)
{
	temp_end();
	rt_json_free(last_body);
	last_body = NULL;
}

RUNNER("prototype", 60, {
	tcase_add_checked_fixture(tc, begin, finish);
	TABLE_TEST(tc, a_conversation_ends_in_an_answer, talks);
	tcase_add_test(tc, a_row_is_the_whole_conversation);
	TABLE_TEST(tc, a_conversation_without_an_answer_is_counted_and_no_row, failures);
	tcase_add_test(tc, stopped_anywhere_it_goes_on_without_asking_or_calling_again);
	TABLE_TEST(tc, a_mistake_is_named, mistakes);
})
