/* test-write.c - stage-write with a teacher that says what the test says, and what it is made of:
 * lists in replies, texts that are near each other. */
#include "plugins/instance.h"
#include "runner.h"
#include "stage/seen.h"
#include "stage/write-ask.h"
#include "temp.h"

#include <retort/random.h>
#include <retort/rows.h>
#include <retort/stage.h>
#include <retort/teacher.h>

#include <sys/stat.h>

extern const struct rt_plugin retort_plugin_stage_write;

/* ---- lists ---- */

static int collect(void *arg, const char *text, bool whole, struct rt_error *err)
{
	(void)err;
	rt_text_printf(arg, "%s%s|", text, whole ? "" : "...");
	return 0;
}

static const struct {
	const char *reply;
	bool        whole;
	const char *messages;
} lists[] = {
	{ "[\"play jazz\", \"rain in Rome?\"]", true, "play jazz|rain in Rome?|" },
	{ "Here they are:\n```json\n[\n  \" a \",\n  \"\\u00e9 \\\"b\\\"\"\n]\n```", true,
	  "a|\u00e9 \"b\"|" },
	{ "[{\"role\":\"user\",\"content\":\"a b\"}, 3, \"\"]", true, "a b|" },
	{ "1. play jazz\n2) rain?\n\n- a - b\n* c", true, "play jazz|rain?|a - b|c|" },
	{ "\"play\", \n\"jazz\"", true, "play|jazz|" },
	{ "42 times\n7", true, "42 times|7|" },
	/* cut off: what is whole counts */
	{ "[\n\"play jazz\",\n\"rain in", false, "play jazz|" },
	{ "play jazz\nrain in", false, "play jazz|rain in...|" },
	{ "", true, "" },
	{ "[]", true, "" },
};

START_TEST(lists_are_read_in_the_forms_that_models_give)
	{
		struct rt_text t = RT_TEXT_INIT;

		ck_assert_int_eq(
			write_read_list(lists[_i].reply, lists[_i].whole, collect, &t, NULL), 0);
		ck_assert_str_eq(t.data, lists[_i].messages);
		rt_text_free(&t);
	}
END_TEST

/* ---- texts that were seen ---- */

static const struct {
	const char   *text;
	enum seen_how how; /* to "Play some Jazz by Miles Davis now", near .6, shingles of 2 */
} pairs[] = {
	{ "Play some Jazz by Miles Davis now", SEEN_SAME },
	{ "  play SOME jazz\tby miles\n davis now ", SEEN_SAME },
	{ "play some jazz by Miles Davis now!", SEEN_NEAR }, /* 6 of 6 */
	{ "play some jazz by Miles Davis", SEEN_NEAR },      /* 5 of 6 */
	{ "play some jazz by Miles today now", SEEN_NEW },   /* 4 of 8 */
	{ "now Davis Miles by jazz some play", SEEN_NEW },
	{ "play", SEEN_NEW },
	{ "", SEEN_NEW },
};

START_TEST(same_and_near_are_told_apart)
	{
		struct seen   s;
		enum seen_how how;
		int           tag;

		ck_assert_int_eq(seen_open(&s, 2, .6, NULL), 0);
		ck_assert_int_eq(seen_add(&s, "Play some Jazz by Miles Davis now", 3, NULL), 0);
		ck_assert_int_eq(seen_look(&s, pairs[_i].text, &how, &tag, NULL), 0);
		ck_assert_int_eq(how, pairs[_i].how);
		ck_assert_int_eq(tag, how == SEEN_NEW ? 0 : 3);
		seen_close(&s);
	}
END_TEST

enum { TEXTS = 300, LENGTH = 9 };

/* Words of a small vocabulary, so that near ones are common. */
static void make_text(uint64_t i, char *text)
{
	const uint64_t n = 1 + rt_random_below(5, i, 100, LENGTH);

	*text = '\0';
	for (uint64_t k = 0; k < n; k++)
		sprintf(text + strlen(text), "%c ", (int)('a' + rt_random_below(5, i, k, 3)));
}

/* Sets of pairs of letters, by hand. */
static double by_hand(const char *x, const char *y)
{
	bool   in[2][256] = { { false } };
	double both = 0, either = 0;

	for (int k = 0; k < 2; k++) {
		const char *s = k ? y : x;

		if (strlen(s) < 3)
			in[k][s[0] - 'a'] = true;
		for (; strlen(s) > 3; s += 2)
			in[k][16 + (s[0] - 'a') * 3 + (s[2] - 'a')] = true;
	}
	for (int i = 0; i < 256; i++) {
		both += in[0][i] && in[1][i];
		either += in[0][i] || in[1][i];
	}
	return both / either;
}

START_TEST(the_filter_finds_every_near_text)
	{
		static const double nears[] = { .3, .5, 2. / 3, .8, 1 };
		static char         texts[TEXTS][3 * LENGTH];
		struct seen         s;
		int                 found = 0;

		ck_assert_int_eq(seen_open(&s, 2, nears[_i], NULL), 0);
		for (int i = 0; i < TEXTS; i++) {
			enum seen_how how;
			bool          near = false, same = false;
			int           tag;

			make_text((uint64_t)i, texts[i]);
			for (int k = 0; k < i; k++) {
				same = same || strcmp(texts[i], texts[k]) == 0;
				near = near || by_hand(texts[i], texts[k]) >= nears[_i] - 1e-9;
			}
			ck_assert_int_eq(seen_look(&s, texts[i], &how, &tag, NULL), 0);
			ck_assert_msg(how == (same   ? SEEN_SAME
			                      : near ? SEEN_NEAR
			                             : SEEN_NEW),
			              "'%s' near %g: %d", texts[i], nears[_i], how);
			found += how == SEEN_NEAR;
			ck_assert_int_eq(seen_add(&s, texts[i], i, NULL), 0);
		}
		ck_assert_int_gt(found, 10);
		seen_close(&s);
	}
END_TEST

/* ---- the stage ---- */

static char              said[1 << 14];
static struct rt_context context;
static int               asked, stop_after; /* 0: never */
static const char       *script;            /* what request q says; %d: q; NULL: it fails */
static struct rt_json   *last_body;

static void hear(void *arg, const char *stage, enum rt_level level, const char *text)
{
	(void)arg, (void)stage, (void)level;
	snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", text);
}

static const struct context_sink sink = { .log = hear };

static int chat(void *state, const struct rt_teacher_request *q, int64_t n, rt_reply_fn *reply,
                void *arg, struct rt_error *err)
{
	int r = 0;

	(void)state;
	for (int64_t i = n - 1; r == 0 && i >= 0; i--) { /* in any order */
		struct rt_json *j = NULL;
		char            text[2000];

		if (stop_after && asked == stop_after)
			return rt_fail(err, RT_E_CANCEL, "cancelled");
		asked++;
		rt_json_free(last_body);
		last_body = rt_json_ref(q[i].body);
		if (script) {
			const int k = atoi(q[i].id + 1);

			snprintf(text, sizeof text, script, k, k);
			j = json_of(text);
		}
		r = reply(arg, i, j, j ? NULL : "no idea", err);
		rt_json_free(j);
	}
	return r;
}

static const struct rt_teacher_ops teacher_ops = { .size = sizeof teacher_ops, .chat = chat };
static const struct rt_plugin      teacher = { .kind = RT_KIND_TEACHER,
	                                       .name = "scripted",
	                                       .ops.teacher = &teacher_ops };

struct bench {
	struct instance_of        stage;
	struct rt_component       teacher;
	struct rt_artifact        data, test;
	const struct rt_artifact *tests[1];
	char                      in[300], out[300], report[300], other[300], work[300];
};

#define ROW(id, text)                                                                              \
	"{\"id\":\"" id "\",\"messages\":[{\"role\":\"user\",\"content\":\"" text                  \
	"\"},{\"role\":\"assistant\",\"content\":\"ok\"}]}\n"

static const char rows[] = ROW("1", "play some jazz") ROW("2", "how warm is it in Rome")
	ROW("3", "set a timer to ten minutes") ROW("4", "wake me at six");
static const char test_rows[] =
	ROW("t", "play a song by the Beatles for me please") ROW("4", "wake me at six");

static void folder(char *to, const char *name)
{
	snprintf(to, 300, "%s", temp_path(name));
	mkdir(to, 0777);
}

static void whole(struct bench *b, const char *name, int64_t value)
{
	instance_set(&b->stage, name, &value, sizeof value);
}

static void setup(struct bench *b, int64_t count)
{
	const struct rt_component *t = &b->teacher;
	const struct rt_artifact  *d = &b->data;
	const struct rt_inputs     list = { b->tests, 1 };

	folder(b->in, "in"), folder(b->out, "out"), folder(b->report, "report");
	folder(b->other, "other"), folder(b->work, "work");
	temp_write("in/rows.jsonl", rows, strlen(rows));
	temp_write("other/rows.jsonl", test_rows, strlen(test_rows));
	context =
		(struct rt_context){ .sink = &sink, .stage = "s", .seed = 1, .work_dir = b->work };
	b->teacher = (struct rt_component){ .plugin = &teacher, .context = &context };
	b->data =
		(struct rt_artifact){ .type = RT_DATASET, .path = b->in, .name = "in", .rows = -1 };
	b->test = (struct rt_artifact){ .type = RT_DATASET, .path = b->other, .name = "test" };
	b->tests[0] = &b->test;
	b->stage = instance_new(&retort_plugin_stage_write, &context);
	instance_set(&b->stage, "data", &d, sizeof d);
	instance_set(&b->stage, "teacher", &t, sizeof t);
	instance_set(&b->stage, "exclude", &list, sizeof list);
	whole(b, "count", count);
}

static int run(struct bench *b, struct rt_error *err)
{
	const char *const out[] = { b->out, b->report };

	asked = 0;
	*said = '\0';
	ck_assert_int_eq(retort_plugin_stage_write.check(b->stage.config, err), 0);
	ck_assert_int_eq(instance_open(&b->stage, err), 0);
	return retort_plugin_stage_write.ops.stage->run(b->stage.component.state, &context, out,
	                                                err);
}

/* The rows that came out, as text, without their ids. */
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

#define SAYS(text)                                                                                 \
	"{\"choices\":[{\"finish_reason\":\"stop\",\"message\":{\"role\":\"assistant\","           \
	"\"content\":\"" text "\"}}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":3}}"

static const struct {
	const char *line, *fate;
} fates[] = {
	{ "Play some JAZZ", "dropped, double" },
	{ "please how warm is it in Rome", "kept" }, /* 5 of 6 shingles: not near .9 */
	{ "set a timer to ten minutes!", "dropped, near double" },
	{ "wake me at  six", "dropped, excluded" },
	{ "play a song by the beatles, for me, please", "dropped, near excluded" },
	{ "stop", "dropped, too short" },
	{ "one two three four five six seven eight nine ten eleven", "dropped, too long" },
};

START_TEST(each_message_has_its_fate)
	{
		static const char *const all[] = {
			"kept",
			"dropped, double",
			"dropped, near double",
			"dropped, excluded",
			"dropped, near excluded",
			"dropped, too short",
			"dropped, too long",
			"dropped, cut off",
		};
		struct bench    b;
		struct rt_error err = RT_ERROR_INIT;
		char            text[1000];

		snprintf(text, sizeof text, SAYS("what is new %%d\\n%s"), fates[_i].line);
		script = text;
		setup(&b, 100);
		whole(&b, "max_asked", 1);
		whole(&b, "min_words", 2);
		whole(&b, "max_words", 10);
		ck_assert_msg(run(&b, &err) == 0, "%s", err.msg);
		for (size_t i = 0; i < sizeof all / sizeof *all; i++)
			ck_assert_double_eq(metric(&b, all[i]),
			                    (strcmp(all[i], fates[_i].fate) == 0) + (i == 0));
		instance_close(&b.stage);
	}
END_TEST

START_TEST(rows_have_the_message_and_no_answer)
	{
		struct bench    b;
		struct rt_error err = RT_ERROR_INIT;
		struct rt_text  t;

		script = SAYS("[\\\"number %d one\\\", \\\"number %d two\\\"]");
		setup(&b, 3);
		whole(&b, "each", 2);
		ck_assert_msg(run(&b, &err) == 0, "%s", err.msg);
		ck_assert_int_eq(asked, 2);
		t = rows_of(&b);
		ck_assert_ptr_nonnull(strstr(t.data,
		                             ",\"messages\":[{\"role\":\"user\",\"content\":"
		                             "\"number 0 one\"}],\"meta\":{\"written\":"
		                             "\"ask\"}}\n{\"id\":\"w"));
		ck_assert_ptr_nonnull(strstr(t.data, "number 1 one"));
		ck_assert_ptr_null(strstr(t.data, "number 1 two")); /* the fourth */
		rt_text_free(&t);
		ck_assert_double_eq(metric(&b, "kept"), 3);
		ck_assert_double_eq(metric(&b, "requests"), 2);
		ck_assert_double_eq(metric(&b, "input_tokens"), 20);
		/* nothing excluded is shown */
		t = (struct rt_text)RT_TEXT_INIT;
		rt_json_print(last_body, 0, &t);
		ck_assert_ptr_nonnull(strstr(t.data, "- how warm is it in Rome"));
		ck_assert_ptr_nonnull(strstr(t.data, "Write 2 new messages"));
		ck_assert_ptr_null(strstr(t.data, "wake me"));
		rt_text_free(&t);
		instance_close(&b.stage);
	}
END_TEST

START_TEST(it_ends_after_as_many_requests_as_it_may_make)
	{
		struct bench    b;
		struct rt_error err = RT_ERROR_INIT;

		script = SAYS("always the same");
		setup(&b, 4);
		whole(&b, "each", 2);
		whole(&b, "max_asked", 5);
		ck_assert_msg(run(&b, &err) == 0, "%s", err.msg);
		ck_assert_int_eq(asked, 5);
		ck_assert_double_eq(metric(&b, "dropped, double"), 4);
		ck_assert_ptr_nonnull(
			strstr(said, "1 of 4 messages after 5 requests; raise max_asked for more"));
		instance_close(&b.stage);
	}
END_TEST

START_TEST(what_was_answered_is_not_asked_again_and_batches_do_not_matter)
	{
		struct bench    b;
		struct rt_error err = RT_ERROR_INIT;
		struct rt_text  t[3];

		script = SAYS("message number %d\\nor another %d");
		for (int i = 0; i < 3; i++) {
			setup(&b, 20);
			whole(&b, "each", 2);
			whole(&b, "batch", i == 1 ? 1 : 7);
			stop_after = i == 2 ? 3 : 0;
			if (i == 2)
				ck_assert_int_eq(run(&b, &err), RT_E_CANCEL);
			stop_after = 0;
			if (i == 2) {
				instance_close(&b.stage);
				setup(&b, 20);
				whole(&b, "each", 2);
			}
			ck_assert_msg(run(&b, &err) == 0, "%s", err.msg);
			ck_assert_int_eq(asked, i == 2 ? 7 : 10);
			t[i] = rows_of(&b);
			instance_close(&b.stage);
			temp_end();
			temp_begin();
		}
		ck_assert_str_eq(t[0].data, t[1].data);
		ck_assert_str_eq(t[0].data, t[2].data);
		for (int i = 0; i < 3; i++)
			rt_text_free(&t[i]);
	}
END_TEST

START_TEST(going_on_as_the_user_asks_for_that_message)
	{
		static const char text[] =
			"{\"choices\":[{\"finish_reason\":\"stop\",\"message\":{\"role\":\"user\","
			"\"content\":\" call number %d \"}},{\"finish_reason\":\"length\","
			"\"message\":{\"role\":\"user\",\"content\":\"and so %d\"}}]}";
		struct bench    b;
		struct rt_error err = RT_ERROR_INIT;
		struct rt_text  t = RT_TEXT_INIT;
		const int       how = WRITE_CONTINUE;

		script = text;
		setup(&b, 1);
		instance_set(&b.stage, "how", &how, sizeof how);
		instance_text(&b.stage, "system", temp_write("system.txt", "be brief", 8));
		ck_assert_msg(run(&b, &err) == 0, "%s", err.msg);
		ck_assert_double_eq(metric(&b, "kept"), 1);
		rt_json_print(last_body, 0, &t);
		ck_assert_str_eq(t.data,
		                 "{\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"}],"
		                 "\"n\":10,\"temperature\":1.0,\"top_p\":1.0,\"max_tokens\":1024,"
		                 "\"role\":\"user\"}");
		rt_text_free(&t);
		t = rows_of(&b);
		ck_assert_ptr_nonnull(strstr(t.data, "\"messages\":[{\"role\":\"user\",\"content\":"
		                                     "\"call number 0\"}]"));
		rt_text_free(&t);
		instance_close(&b.stage);
	}
END_TEST

START_TEST(nothing_new_and_no_replies_are_errors)
	{
		struct bench    b;
		struct rt_error err = RT_ERROR_INIT;

		script = SAYS("play some jazz");
		setup(&b, 1);
		whole(&b, "max_asked", 2);
		ck_assert_int_eq(run(&b, &err), RT_E_FORMAT);
		ck_assert_str_eq(err.msg, "no new message in 2 replies, which hold 2; is the "
		                          "teacher one for how = \"ask\"?");
		instance_close(&b.stage);
		temp_end();
		temp_begin();
		script = NULL;
		setup(&b, 1);
		whole(&b, "max_asked", 2);
		ck_assert_int_eq(run(&b, &err), RT_E_FORMAT);
		ck_assert_str_eq(err.msg,
		                 "2 of 2 requests have no reply, more than max_failed = 0.05 "
		                 "allows; run again to ask for these alone");
		instance_close(&b.stage);
	}
END_TEST

RUNNER("write", 60, {
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	TABLE_TEST(tc, lists_are_read_in_the_forms_that_models_give, lists);
	TABLE_TEST(tc, same_and_near_are_told_apart, pairs);
	tcase_add_loop_test(tc, the_filter_finds_every_near_text, 0, 5);
	TABLE_TEST(tc, each_message_has_its_fate, fates);
	tcase_add_test(tc, rows_have_the_message_and_no_answer);
	tcase_add_test(tc, it_ends_after_as_many_requests_as_it_may_make);
	tcase_add_test(tc, what_was_answered_is_not_asked_again_and_batches_do_not_matter);
	tcase_add_test(tc, going_on_as_the_user_asks_for_that_message);
	tcase_add_test(tc, nothing_new_and_no_replies_are_errors);
})
