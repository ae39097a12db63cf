/* test-openai.c - teacher-openai against a server that misbehaves. */
#include "teacher/openai-request.h"
#include "teacher/openai.h"

#include "http/server.h"
#include "plugin/context.h"
#include "plugin/param.h"
#include "runner.h"
#include "temp.h"

#include <retort/memory.h>

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern const struct rt_plugin retort_plugin_teacher_openai;
#define P      (&retort_plugin_teacher_openai)

#define SECRET "sk-0123456789-abcdefgh"

/* ---- a host of ten lines ---- */

static char        said[1 << 16];
static atomic_bool cancelled;

static void hear(void *arg, const char *stage, enum rt_level level, const char *text)
{
	(void)arg, (void)stage, (void)level;
	snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", text);
}

static bool is_cancelled(void *arg)
{
	(void)arg;
	return atomic_load(&cancelled);
}

static const struct context_sink sink = { .log = hear, .cancelled = is_cancelled };
static struct rt_context         context = { .sink = &sink, .stage = "drafts", .seed = 7 };

struct teacher {
	struct openai_config cfg;
	void                *state;
	char                 url[80];
};

/* Parameters as a pipeline that sets no more than it must; paths in the folder of the test. */
static void defaults(struct teacher *t, int port)
{
	static char cache[512];

	snprintf(cache, sizeof cache, "%s", temp_path("cache.sqlite"));
	context.work_dir = temp_folder;
	memset(t, 0, sizeof *t);
	param_defaults(P->params, &t->cfg);
	snprintf(t->url, sizeof t->url, "http://127.0.0.1:%d/v1", port);
	t->cfg.model = "m";
	t->cfg.url = t->url;
	t->cfg.key_env = "";
	t->cfg.cache = cache;
	t->cfg.timeout = 20;
}

static int begin(struct teacher *t, struct rt_error *err)
{
	int r = P->check(&t->cfg, err);

	t->state = rt_alloc_aligned(1, P->state_size);
	ck_assert_ptr_nonnull(t->state);
	return r == 0 ? P->open(t->state, &t->cfg, &context, err) : r;
}

static void end(struct teacher *t)
{
	P->close(t->state);
	rt_free(t->state);
	t->state = NULL;
}

/* ---- requests and what came of them ---- */

enum { MOST = 64 };

struct answers {
	int             n[MOST], replies, failures, stop_at;
	struct rt_json *reply;     /* the last one */
	char            why[1024]; /* the last one */
};

static int take(void *arg, int64_t index, const struct rt_json *reply, const char *why,
                struct rt_error *err)
{
	struct answers *a = arg;

	a->n[index]++;
	if (reply) {
		a->replies++;
		rt_json_free(a->reply);
		a->reply = rt_json_ref(reply);
	} else {
		a->failures++;
		snprintf(a->why, sizeof a->why, "%s", why);
	}
	return a->stop_at && a->replies + a->failures == a->stop_at
	               ? rt_fail(err, RT_E_CANCEL, "enough")
	               : 0;
}

static struct rt_json *parse(const char *text)
{
	struct rt_json *j;
	struct rt_error err = RT_ERROR_INIT;

	ck_assert_msg(rt_json_parse(text, strlen(text), "test", 1, &j, &err) == 0, "%s", err.msg);
	return j;
}

/* Ask n questions, "question 0" and so on, with more fields as `more` has them. */
static int ask_n(struct teacher *t, int n, const char *more, struct answers *a,
                 struct rt_error *err)
{
	struct rt_teacher_request q[MOST];
	char                      ids[MOST][16], text[512];
	int                       r;

	memset(a->n, 0, sizeof a->n);
	for (int i = 0; i < n; i++) {
		snprintf(ids[i], sizeof ids[i], "r%d", i);
		snprintf(text, sizeof text,
		         "{\"messages\":[{\"role\":\"user\",\"content\":\"question %d\"}],"
		         "\"max_tokens\":20%s}",
		         i, more);
		q[i] = (struct rt_teacher_request){ ids[i], parse(text) };
	}
	r = P->ops.teacher->chat(t->state, q, n, take, a, err);
	for (int i = 0; i < n; i++)
		rt_json_free((struct rt_json *)q[i].body);
	return r;
}

static int ask_one(struct teacher *t, const char *id, const char *body, struct answers *a,
                   struct rt_error *err)
{
	struct rt_teacher_request q = { id, parse(body) };
	int                       r = P->ops.teacher->chat(t->state, &q, 1, take, a, err);

	rt_json_free((struct rt_json *)q.body);
	return r;
}

static const char *content(const struct rt_json *reply)
{
	return rt_json_string(rt_json_get(
		rt_json_get(rt_json_at(rt_json_get(reply, "choices"), 0), "message"), "content"));
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- what is right ---- */

START_TEST(many_questions_are_under_way_at_once_and_each_is_answered_once)
	{
		static const struct server_step late = { .delay = 50 };
		struct server                  *s = server_start(&late, 1, NULL);
		struct teacher                  t;
		struct answers                  a = { 0 };
		struct rt_error                 err = RT_ERROR_INIT;

		defaults(&t, server_port(s));
		t.cfg.parallel = 5;
		ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
		ck_assert_msg(ask_n(&t, 20, "", &a, &err) == 0, "%s", err.msg);
		for (int i = 0; i < 20; i++)
			ck_assert_int_eq(a.n[i], 1);
		ck_assert_int_eq(a.replies, 20);
		ck_assert_int_eq(server_count(s), 20);
		ck_assert_int_eq(server_most_at_once(s), 5);
		end(&t);
		rt_json_free(a.reply);
		server_stop(s);
	}
END_TEST

#define USER "{\"role\":\"user\",\"content\":\"hi\"}"

START_TEST(a_request_goes_out_as_openai_has_it)
	{
		struct server  *s = server_start(NULL, 0, NULL);
		struct teacher  t;
		struct answers  a = { 0 };
		struct rt_error err = RT_ERROR_INIT;

		defaults(&t, server_port(s));
		t.cfg.key_env = "TEST_OPENAI_KEY";
		t.cfg.extra = "{\"max_tokens\":null,\"max_completion_tokens\":9,\"o\":{\"a\":1,"
			      "\"b\":null}}";
		setenv("TEST_OPENAI_KEY", SECRET, 1);
		ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
		ck_assert_int_eq(
			ask_one(&t, "r",
		                "{\"messages\":[" USER ",{\"role\":\"assistant\",\"tool_calls\":[{"
		                "\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1}}}]},{"
		                "\"role\":"
		                "\"tool\",\"content\":\"2\"}],\"tools\":[{\"name\":\"f\"}],\"max_"
		                "tokens\":9}",
		                &a, &err),
			0);
		ck_assert_str_eq(
			server_body(s, 0),
			"{\"max_completion_tokens\":9,\"messages\":[{\"content\":\"hi\",\"role\":"
			"\"user\"},{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{"
			"\"arguments\":\"{\\\"x\\\":1}\",\"name\":\"f\"},\"id\":\"call_1_0\","
			"\"type\":\"function\"}]},{\"content\":\"2\",\"role\":\"tool\",\"tool_call_"
			"id\":\"call_1_0\"}],\"model\":\"m\",\"o\":{\"a\":1},\"tools\":[{"
			"\"function\":{\"name\":\"f\"},\"type\":\"function\"}]}");
		ck_assert_ptr_nonnull(
			strstr(server_head(s, 0), "POST /v1/chat/completions HTTP/1.1"));
		ck_assert_ptr_nonnull(strstr(server_head(s, 0), "Authorization: Bearer " SECRET));
		ck_assert_ptr_null(strstr(server_head(s, 0), "Expect"));
		end(&t);
		rt_json_free(a.reply);
		server_stop(s);
	}
END_TEST

/* A body of the server, and the reply that it is to the pipeline. */
static const struct {
	const char *body, *reply;
} replies[] = {
	{ "{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"length\","
	  "\"logprobs\":"
	  "null}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}",
	  "{\"choices\":[{\"finish_reason\":\"length\",\"index\":0,\"message\":{\"content\":\"a\","
	  "\"role\":\"assistant\"}}],\"usage\":{\"completion_tokens\":2,\"prompt_tokens\":1}}" },
	{ "{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":"
	  "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":[1]}\"}}]}}],"
	  "\"model\":\"q\",\"usage\":null}",
	  "{\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"message\":{\"content\":null,"
	  "\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"arguments\":{\"x\":[1]},"
	  "\"name\":\"f\"},\"id\":\"c\",\"type\":\"function\"}]}}],\"model\":\"q\"}" },
	{ "{\"choices\":[{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":"
	  "\"{x\"}}]}}],\"usage\":{\"prompt_tokens\":\"many\"}}",
	  "{\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"message\":{\"role\":"
	  "\"assistant\","
	  "\"tool_calls\":[{\"function\":{\"arguments\":\"{x\",\"name\":\"f\"}}]}}]}" },
	{ "{\"choices\":[{\"index\":4,\"message\":{\"content\":\"\",\"tool_calls\":[]},"
	  "\"logprobs\":{"
	  "\"content\":[{\"token\":\"a\",\"logprob\":-0.5,\"top_logprobs\":[]}]}}]}",
	  "{\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"logprobs\":{\"content\":[{"
	  "\"logprob\":-0.5,\"token\":\"a\",\"top_logprobs\":[]}]},\"message\":{\"content\":\"\","
	  "\"role\":\"assistant\"}}]}" },
};

START_TEST(a_reply_is_as_teacher_h_has_it_now_and_from_the_cache)
	{
		struct server_step step = { .body = replies[_i].body };
		struct server     *s = server_start(&step, 1, NULL);
		struct teacher     t;
		struct answers     a = { 0 };
		struct rt_error    err = RT_ERROR_INIT;

		for (int again = 0; again < 2; again++) {
			struct rt_text text = RT_TEXT_INIT;

			defaults(&t, server_port(s));
			ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
			ck_assert_msg(ask_n(&t, 1, "", &a, &err) == 0, "%s", err.msg);
			ck_assert_msg(a.failures == 0, "%s", a.why);
			rt_json_print(a.reply, RT_JSON_SORT, &text);
			ck_assert_str_eq(text.data, replies[_i].reply);
			rt_text_free(&text);
			end(&t);
		}
		ck_assert_int_eq(server_count(s), 1);
		rt_json_free(a.reply);
		server_stop(s);
	}
END_TEST

/* ---- what passes ---- */

/* One answer that is none, and then a good one. */
static const struct {
	struct server_step bad;
	double             wait; /* at least so long in between */
} passing[] = {
	{ { .status = 500, .body = "oops" }, 0 },
	{ { .status = 503, .body = "" }, 0 },
	{ { .status = 408, .body = "{}" }, 0 },
	{ { .status = 409, .body = "{}" }, 0 },
	{ { .status = 429, .headers = "Retry-After: 1\r\n", .body = "{\"error\":\"slow\"}" }, 1 },
	{ { .status = 429,
	    .headers = "x-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: 1.2s\r\n",
	    .body = "{}" },
	  1.2 },
	{ { .body = "{\"choices\": [" }, 0 },
	{ { .body = "<html>busy</html>" }, 0 },
	{ { .body = "" }, 0 },
	{ { .how = SERVER_CUT }, 0 },
	{ { .how = SERVER_SHUT }, 0 },
	{ { .how = SERVER_SILENT }, .5 },
	{ { .delay = 900 }, .5 },
};

START_TEST(a_failure_that_passes_is_tried_again)
	{
		struct server_step script[2] = { passing[_i].bad, { .how = SERVER_CHUNKED } };
		struct server     *s = server_start(script, 2, NULL);
		struct teacher     t;
		struct answers     a = { 0 };
		struct rt_error    err = RT_ERROR_INIT;

		defaults(&t, server_port(s));
		t.cfg.timeout = .5;
		t.cfg.retries = 1;
		ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
		ck_assert_msg(ask_n(&t, 1, "", &a, &err) == 0, "%s", err.msg);
		ck_assert_msg(a.n[0] == 1 && a.replies == 1, "%s", a.why);
		ck_assert_str_eq(content(a.reply), "re question 0");
		ck_assert_int_eq(server_count(s), 2);
		ck_assert_double_ge(server_time(s, 1) - server_time(s, 0), passing[_i].wait);
		end(&t);
		rt_json_free(a.reply);
		server_stop(s);
	}
END_TEST

START_TEST(a_limit_that_is_reached_holds_back_all_requests)
	{
		static const struct server_step script[] = {
			{ .headers = "x-ratelimit-remaining-requests: 0\r\n"
			             "x-ratelimit-reset-requests: 700ms\r\n" },
			{ .how = SERVER_WHOLE },
		};
		struct server  *s = server_start(script, 2, NULL);
		struct teacher  t;
		struct answers  a = { 0 };
		struct rt_error err = RT_ERROR_INIT;

		defaults(&t, server_port(s));
		t.cfg.parallel = 1;
		ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
		ck_assert_msg(ask_n(&t, 3, "", &a, &err) == 0, "%s", err.msg);
		ck_assert_double_ge(server_time(s, 1) - server_time(s, 0), .7);
		ck_assert_double_le(server_time(s, 2) - server_time(s, 1), .6);
		end(&t);
		rt_json_free(a.reply);
		server_stop(s);
	}
END_TEST

/* ---- what does not pass ---- */

/* An answer that fails its request alone, and what is said of it. */
static const struct {
	struct server_step bad;
	const char        *why;
} failing[] = {
	{ { .status = 400, .body = "{\"error\":{\"message\":\"no\\nsuch  model\"}}" },
	  "the server says 400: no such model" },
	{ { .status = 404, .body = "{\"detail\":\"Not Found\"}" },
	  "the server says 404: Not Found" },
	{ { .status = 422, .body = "" }, "the server says 422" },
	{ { .body = "{}" },
	  "the reply has no choices; is this the address of a server of chat completions?" },
	{ { .body = "[]" },
	  "the reply has no choices; is this the address of a server of chat completions?" },
	{ { .body = "{\"choices\":{}}" },
	  "the reply has no choices; is this the address of a server of chat completions?" },
	{ { .body = "{\"choices\":[7]}" }, "the reply's choices[0] is an integer, want an object" },
	{ { .body = "{\"choices\":[{\"message\":\"hi\"}]}" },
	  "the reply's choices[0].message is a string, want an object" },
	{ { .body = "{\"choices\":[{\"message\":{\"content\":[]}}]}" },
	  "the reply's choices[0].message.content is an array, want a string" },
	{ { .body = "{\"choices\":[{\"message\":{\"role\":\"user\"}}]}" },
	  "the reply's choices[0].message.role is a string, want \"assistant\"" },
	{ { .body = "{\"choices\":[{\"message\":{\"tool_calls\":{}}}]}" },
	  "the reply's choices[0].message.tool_calls is an object, want an array" },
	{ { .body = "{\"choices\":[{\"message\":{\"tool_calls\":[{\"function\":{}}]}}]}" },
	  "the reply's choices[0].message.tool_calls[].function.name is null, want a string" },
	{ { .body = "{\"choices\":[{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"f\","
	            "\"arguments\":3}}]}}]}" },
	  "the reply's choices[0].message.tool_calls[].function.arguments is an integer, want JSON "
	  "text or an object" },
	{ { .body = "{\"choices\":[{\"message\":{},\"logprobs\":{\"content\":[{\"token\":\"a\"}]}}]"
	            "}" },
	  "the reply's choices[0].logprobs.content[].logprob is null, want a number" },
	{ { .how = SERVER_HUGE }, "the reply is larger than 64 MiB" },
};

START_TEST(a_failure_that_stays_fails_its_request_and_no_other)
	{
		struct server_step script[2] = { failing[_i].bad, { .how = SERVER_WHOLE } };
		struct server     *s = server_start(script, 2, NULL);
		struct teacher     t;
		struct answers     a = { 0 };
		struct rt_error    err = RT_ERROR_INIT;

		defaults(&t, server_port(s));
		t.cfg.parallel = 1;
		ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
		ck_assert_msg(ask_n(&t, 3, "", &a, &err) == 0, "%s", err.msg);
		ck_assert_str_eq(a.why, failing[_i].why);
		ck_assert_int_eq(a.failures, 1);
		ck_assert_int_eq(a.replies, 2);
		ck_assert_int_eq(server_count(s), 3);
		end(&t);
		rt_json_free(a.reply);
		server_stop(s);
	}
END_TEST

START_TEST(after_all_tries_a_request_fails_with_the_last_reason)
	{
		static const struct server_step down = { .status = 502, .body = "bad gateway" };
		struct server                  *s = server_start(&down, 1, NULL);
		struct teacher                  t;
		struct answers                  a = { 0 };
		struct rt_error                 err = RT_ERROR_INIT;

		defaults(&t, server_port(s));
		t.cfg.retries = 2;
		ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
		ck_assert_msg(ask_n(&t, 1, "", &a, &err) == 0, "%s", err.msg);
		ck_assert_str_eq(a.why, "the server says 502: bad gateway");
		ck_assert_int_eq(a.failures, 1);
		ck_assert_int_eq(server_count(s), 3);
		end(&t);
		server_stop(s);
	}
END_TEST

/* An answer after which nothing more is asked. */
static const struct {
	struct server_step bad;
	int                code;
	const char        *msg; /* with the address as URL */
} stopping[] = {
	{ { .status = 401, .body = "{\"error\":{\"message\":\"bad key " SECRET "\"}}" },
	  RT_E_INVAL,
	  "URL refuses the key in TEST_OPENAI_KEY (status 401: bad key ***); set a valid one and "
	  "run "
	  "again" },
	{ { .status = 403, .body = "" },
	  RT_E_INVAL,
	  "URL refuses the key in TEST_OPENAI_KEY (status 403: ); set a valid one and run again" },
	{ { .status = 402, .body = "pay" },
	  RT_E_BUDGET,
	  "the account has no credit (status 402: pay); add some and run again, what was answered "
	  "is "
	  "kept" },
	{ { .status = 429,
	    .body = "{\"error\":{\"message\":\"quota\",\"code\":\"insufficient_quota\"}}" },
	  RT_E_BUDGET,
	  "the account has no credit (status 429: quota); add some and run again, what was "
	  "answered is "
	  "kept" },
	{ { .status = 302, .headers = "Location: http://127.0.0.1:1/\r\n", .body = "" },
	  RT_E_INVAL,
	  "URL redirects (status 302), which is not followed, for the key would go along; set url "
	  "to "
	  "where the server is" },
	{ { .status = 429, .headers = "Retry-After: 3600\r\n", .body = "{}" },
	  RT_E_BUSY,
	  "the server says 429: {}; the server asks to wait for 3600 s, longer than max_wait = "
	  "300; "
	  "run again later, what was answered is kept" },
};

START_TEST(what_no_request_can_get_past_stops_them_all)
	{
		struct server  *s = server_start(&stopping[_i].bad, 1, NULL);
		struct teacher  t;
		struct answers  a = { 0 };
		struct rt_error err = RT_ERROR_INIT;
		char            url[128], want[600];
		const char     *at = strstr(stopping[_i].msg, "URL");

		setenv("TEST_OPENAI_KEY", SECRET, 1);
		defaults(&t, server_port(s));
		t.cfg.parallel = 2;
		t.cfg.key_env = "TEST_OPENAI_KEY";
		ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
		ck_assert_int_eq(ask_n(&t, 20, "", &a, &err), stopping[_i].code);
		snprintf(url, sizeof url, "%s/chat/completions", t.url);
		snprintf(want, sizeof want, "%s%s", at ? url : "",
		         at ? stopping[_i].msg + 3 : stopping[_i].msg);
		ck_assert_str_eq(err.msg, want);
		ck_assert_int_le(server_count(s), 2);
		ck_assert_int_eq(a.replies + a.failures, 0);
		end(&t);
		server_stop(s);
	}
END_TEST

START_TEST(without_a_server_all_stop_and_the_address_is_named)
	{
		struct server  *s = server_start(NULL, 0, NULL);
		struct teacher  t;
		struct answers  a = { 0 };
		struct rt_error err = RT_ERROR_INIT;

		defaults(&t, server_port(s));
		server_stop(s); /* nobody listens there now */
		t.cfg.retries = 1;
		ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
		ck_assert_int_eq(ask_n(&t, 8, "", &a, &err), RT_E_IO);
		ck_assert_ptr_nonnull(strstr(err.msg, t.url));
		ck_assert_ptr_nonnull(strstr(
			err.msg,
			", after 2 tries; is the server running? what was answered is kept"));
		end(&t);
	}
END_TEST

/* ---- nothing is paid for twice ---- */

START_TEST(the_cache_answers_the_same_row_and_request_and_nothing_else)
	{
		static const char body[] = "{\"messages\":[" USER "]}";
		struct server    *s = server_start(NULL, 0, NULL);
		struct teacher    t;
		struct answers    a = { 0 };
		struct rt_error   err = RT_ERROR_INIT;

		defaults(&t, server_port(s));
		ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
		ask_one(&t, "a", body, &a, &err);
		ask_one(&t, "a", body, &a, &err);
		ck_assert_int_eq(server_count(s), 1);
		ask_one(&t, "b", body, &a, &err);
		ck_assert_int_eq(server_count(s), 2); /* another row wants an answer of its own */
		ask_one(&t, "a", "{\"n\":2,\"messages\":[" USER "]}", &a, &err);
		ck_assert_int_eq(server_count(s), 3);
		ask_one(&t, "a", "{\"seed\":1,\"messages\":[" USER "]}", &a, &err);
		ck_assert_int_eq(server_count(s), 4);
		end(&t);
		t.cfg.draw = 1;
		ck_assert_int_eq(begin(&t, &err), 0);
		ask_one(&t, "a", body, &a, &err);
		ck_assert_int_eq(server_count(s), 5);
		end(&t);
		t.cfg.draw = 0;
		t.cfg.model = "other";
		ck_assert_int_eq(begin(&t, &err), 0);
		ask_one(&t, "a", body, &a, &err);
		ck_assert_int_eq(server_count(s), 6);
		ck_assert_int_eq(a.replies, 7);
		end(&t);
		rt_json_free(a.reply);
		server_stop(s);
	}
END_TEST

START_TEST(twins_in_one_batch_are_asked_once)
	{
		static const struct server_step late = { .delay = 100 };
		struct server                  *s = server_start(&late, 1, NULL);
		struct rt_json                 *body = parse("{\"messages\":[" USER "]}");
		struct rt_teacher_request       q[4] = {
			      { "a", body }, { "a", body }, { "a", body }, { "b", body }
		};
		struct teacher  t;
		struct answers  a = { 0 };
		struct rt_error err = RT_ERROR_INIT;

		defaults(&t, server_port(s));
		ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
		ck_assert_int_eq(P->ops.teacher->chat(t.state, q, 4, take, &a, &err), 0);
		ck_assert_int_eq(a.replies, 4);
		ck_assert_int_eq(server_count(s), 2);
		end(&t);
		rt_json_free(a.reply);
		rt_json_free(body);
		server_stop(s);
	}
END_TEST

START_TEST(a_reply_on_its_way_when_the_stage_stops_is_kept)
	{
		static const struct server_step script[] = { { .delay = 0 }, { .delay = 300 } };
		struct server                  *s = server_start(script, 2, NULL);
		struct teacher                  t;
		struct answers                  a = { .stop_at = 1 };
		struct rt_error                 err = RT_ERROR_INIT;

		defaults(&t, server_port(s));
		t.cfg.parallel = 4;
		ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
		ck_assert_int_eq(ask_n(&t, 4, "", &a, &err), RT_E_CANCEL);
		ck_assert_int_eq(a.replies, 1);
		a.stop_at = 0;
		ck_assert_int_eq(ask_n(&t, 4, "", &a, &err), 0);
		ck_assert_int_eq(server_count(s), 4);
		end(&t);
		rt_json_free(a.reply);
		server_stop(s);
	}
END_TEST

static void *cancel_soon(void *arg)
{
	(void)arg;
	nanosleep(&(struct timespec){ 0, 200 * 1000 * 1000 }, NULL);
	atomic_store(&cancelled, true);
	return NULL;
}

START_TEST(cancelled_it_comes_back_soon_also_from_a_silent_server)
	{
		static const struct server_step silent = { .how = SERVER_SILENT };
		struct server                  *s = server_start(&silent, 1, NULL);
		struct teacher                  t;
		struct answers                  a = { 0 };
		struct rt_error                 err = RT_ERROR_INIT;
		const double                    start = seconds();
		pthread_t                       thread;

		defaults(&t, server_port(s));
		ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
		ck_assert_int_eq(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
		ck_assert_int_eq(ask_n(&t, 4, "", &a, &err), RT_E_CANCEL);
		ck_assert_double_le(seconds() - start, 6); /* 3 s of grace, and a loaded machine */
		pthread_join(thread, NULL);
		end(&t);
		server_stop(s);
	}
END_TEST

/* ---- money ---- */

START_TEST(never_more_than_max_cost_is_spent_in_all_runs_together)
	{
		struct server  *s = server_start(NULL, 0, NULL);
		struct teacher  t;
		struct answers  a = { 0 };
		struct rt_error err = RT_ERROR_INIT;
		int             asked;

		/* 10 and 5 tokens: a reply costs 2e-5; at most some 110 bytes and 20
		 * tokens: 1.5e-4. */
		defaults(&t, server_port(s));
		t.cfg.input_price = t.cfg.output_price = 1;
		t.cfg.input_price = 1;
		t.cfg.output_price = 2;
		t.cfg.max_cost = 4e-4;
		for (int run = 0; run < 3; run++) {
			ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
			ck_assert_int_eq(ask_n(&t, 60, "", &a, &err), RT_E_BUDGET);
			end(&t);
		}
		asked = server_count(s);
		ck_assert_int_ge(asked, 12); /* (4e-4 - 1.5e-4) / 2e-5 */
		ck_assert_int_le(asked, 20);
		ck_assert_ptr_nonnull(strstr(err.msg, "raise max_cost and run again"));
		t.cfg.max_cost = 1;
		ck_assert_int_eq(begin(&t, &err), 0);
		ck_assert_int_eq(ask_n(&t, 60, "", &a, &err), 0);
		ck_assert_int_eq(server_count(s), 60);
		ck_assert_double_eq_tol(((struct openai *)t.state)->spent, 60 * 2e-5, 1e-9);
		end(&t);
		rt_json_free(a.reply);
		server_stop(s);
	}
END_TEST

START_TEST(a_reply_that_does_not_say_what_it_cost_counts_with_the_most)
	{
		static const struct server_step mute = {
			.body = "{\"choices\":[{\"message\":{}}]}"
		};
		struct server  *s = server_start(&mute, 1, NULL);
		struct teacher  t;
		struct answers  a = { 0 };
		struct rt_error err = RT_ERROR_INIT;

		defaults(&t, server_port(s));
		t.cfg.parallel = 1;
		t.cfg.output_price = 1e6; /* 20 tokens at most: 20 */
		t.cfg.max_cost = 70;
		ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
		ck_assert_int_eq(ask_n(&t, 8, "", &a, &err), RT_E_BUDGET);
		ck_assert_int_eq(server_count(s), 3);
		ck_assert_str_eq(err.msg,
		                 "60.0000 of max_cost = 70.0000 are spent, and the next request "
		                 "can cost up to 20.0000; raise max_cost and run again, what "
		                 "was answered is kept");
		ck_assert_ptr_nonnull(strstr(said, "does not say how many tokens it used"));
		end(&t);
		rt_json_free(a.reply);
		server_stop(s);
	}
END_TEST

START_TEST(a_price_is_per_million_tokens_or_unknown)
	{
		struct openai_config c = { 0 };

		ck_assert(isnan(P->ops.teacher->price(&c, 1, 1e6, 1e6)));
		c.input_price = 3;
		c.output_price = 15;
		ck_assert_double_eq(P->ops.teacher->price(&c, 10, 2e6, 1e6), 21);
		ck_assert(isnan(P->ops.teacher->price(&c, 10, NAN, NAN)));
	}
END_TEST

/* ---- the key ---- */

/* Is it in a file of the folder of this test? */
static int look_for_key(void *arg, const char *name, bool is_dir, struct rt_error *err)
{
	struct rt_text t = RT_TEXT_INIT;

	(void)arg, (void)err;
	ck_assert(!is_dir);
	ck_assert_int_eq(rt_file_read(temp_path(name), 0, &t, NULL), 0);
	for (size_t i = 0; i + strlen(SECRET) <= t.len; i++)
		ck_assert_msg(memcmp(t.data + i, SECRET, strlen(SECRET)) != 0, "the key is in %s",
		              name);
	rt_text_free(&t);
	return 0;
}

START_TEST(a_key_that_the_server_echoes_is_nowhere)
	{
		static const struct server_step script[] = {
			{ .body = "{\"choices\":[{\"message\":{\"content\":\"your key: " SECRET
			          ", \\u0073k-0123456789-abcdefgh\",\"tool_calls\":[{\"function\":{"
			          "\"name\":\"f\",\"arguments\":\"{\\\"key\\\":\\\"" SECRET
			          "\\\"}\"}}]}}],\"model\":\"" SECRET "\"}" },
			{ .status = 500, .body = "{\"error\":{\"message\":\"" SECRET "\"}}" },
			{ .status = 400, .body = "Bearer " SECRET },
			{ .status = 401, .body = "Bearer " SECRET },
		};
		struct server  *s = server_start(script, 4, NULL);
		struct teacher  t;
		struct answers  a = { 0 };
		struct rt_error err = RT_ERROR_INIT;
		struct rt_text  text = RT_TEXT_INIT;

		setenv("TEST_OPENAI_KEY", SECRET, 1);
		defaults(&t, server_port(s));
		t.cfg.parallel = 1;
		t.cfg.key_env = "TEST_OPENAI_KEY";
		t.cfg.record = temp_path("record.jsonl");
		ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
		ck_assert_int_eq(ask_n(&t, 3, "", &a, &err), RT_E_INVAL);
		ck_assert_int_eq(a.replies, 1);
		ck_assert_str_eq(a.why, "the server says 400: Bearer ***");
		ck_assert_str_eq(content(a.reply), "your key: ***, ***");
		rt_json_print(a.reply, 0, &text);
		ck_assert_ptr_null(strstr(text.data, SECRET));
		ck_assert_ptr_null(strstr(err.msg, SECRET));
		ck_assert_ptr_null(strstr(said, SECRET));
		ck_assert_int_eq(rt_list_dir(temp_folder, look_for_key, NULL, NULL), 0);
		end(&t);
		ck_assert_int_eq(rt_list_dir(temp_folder, look_for_key, NULL, NULL), 0);
		rt_text_free(&text);
		rt_json_free(a.reply);
		server_stop(s);
	}
END_TEST

START_TEST(a_key_that_cannot_be_one_is_refused_by_place_and_not_shown)
	{
		struct teacher  t;
		struct rt_error err = RT_ERROR_INIT;

		setenv("TEST_OPENAI_KEY", SECRET "\n", 1);
		defaults(&t, 1);
		t.cfg.key_env = "TEST_OPENAI_KEY";
		ck_assert_int_eq(begin(&t, &err), RT_E_INVAL);
		ck_assert_str_eq(
			err.msg,
			"the key in TEST_OPENAI_KEY has a character that keys do not have at "
			"place 23: a blank or a newline perhaps");
		end(&t);
	}
END_TEST

/* ---- descriptions ---- */

static const struct {
	const char *url, *url_env, *extra;
	double      max_cost;
	const char *msg;
} mistakes[] = {
	{ NULL, NULL, NULL, 0,
	  "set url = \"http://...\", or url_env = \"OPENAI_BASE_URL\" to take it from the "
	  "environment" },
	{ "http://a", "A", NULL, 0, "url and url_env are both set, want one of them" },
	{ "localhost:80", NULL, NULL, 0,
	  "url = \"localhost:80\" is no address, want http://... or https://..." },
	{ "http:///v1", NULL, NULL, 0,
	  "url = \"http:///v1\" is no address, want http://... or https://..." },
	{ "https://me:pw@h/v1", NULL, NULL, 0,
	  "url has a user name in it; credentials go into key_env" },
	{ "https://h/v1?key=x", NULL, NULL, 0,
	  "url = \"https://h/v1?key=x\" has a query, want the base alone" },
	{ "http://h", NULL, "[]", 0, "extra is an array, want an object" },
	{ "http://h", NULL, "{\"stream\":true}", 0,
	  "extra asks for a stream, which is not read here" },
	{ "http://h", NULL, NULL, 2,
	  "max_cost = 2 needs prices: set input_price and output_price" },
};

START_TEST(a_mistake_in_the_description_is_named)
	{
		struct teacher  t;
		struct rt_error err = RT_ERROR_INIT;

		defaults(&t, 1);
		t.cfg.url = mistakes[_i].url;
		t.cfg.url_env = mistakes[_i].url_env;
		t.cfg.extra = mistakes[_i].extra;
		t.cfg.max_cost = mistakes[_i].max_cost;
		ck_assert_int_lt(P->check(&t.cfg, &err), 0);
		ck_assert_str_eq(err.msg, mistakes[_i].msg);
	}
END_TEST

START_TEST(a_file_that_is_no_cache_is_named)
	{
		struct teacher  t;
		struct rt_error err = RT_ERROR_INIT;

		defaults(&t, 1);
		temp_write("cache.sqlite",
		           "this is a text and no database, long enough to be one ......."
		           "..........................................................",
		           120);
		ck_assert_int_eq(begin(&t, &err), RT_E_FORMAT);
		ck_assert_str_eq(
			temp_strip(err.msg),
			"cannot open cache.sqlite: file is not a database; is this the path of a "
			"cache? move the file away to begin a new one");
		end(&t);
	}
END_TEST

/* ---- times ---- */

static const struct {
	const char *line;
	double      told; /* at 2015-10-21 07:28:00 */
} headers[] = {
	{ "Retry-After: 120\r\n", 120 },
	{ "retry-after:  0.5 \r\n", .5 },
	{ "Retry-After: Wed, 21 Oct 2015 07:28:30 GMT\r\n", 30 },
	{ "Retry-After: Wed, 21 Oct 2015 07:00:00 GMT\r\n", 0 },
	{ "Retry-After: soon\r\n", 0 },
	{ "Retry-After: -1\r\n", 0 },
	{ "Retry-After: 1e300\r\n", 0 },
	{ "Retry-After-All: 5\r\n", 0 },
	{ "x-ratelimit-reset-requests: 6m0s\r\n", 0 }, /* while some remain */
};

START_TEST(a_wait_is_read_from_headers)
	{
		struct openai_wait w = OPENAI_WAIT_NONE;

		openai_wait_header(&w, headers[_i].line, strlen(headers[_i].line), 1445412480);
		ck_assert_double_eq_tol(openai_wait_told(&w), headers[_i].told, 1e-12);
	}
END_TEST

static const struct {
	const char *text;
	double      seconds;
} durations[] = { { "1s", 1 },     { "6m0s", 360 }, { "20ms", .02 }, { "1h2m3.5s", 3723.5 },
	          { "1d", 86400 }, { "7", 7 },      { "1x", 0 },     { "", 0 } };

START_TEST(a_reset_counts_when_nothing_remains)
	{
		struct openai_wait w = OPENAI_WAIT_NONE;
		char               line[80];

		openai_wait_header(&w, "x-ratelimit-remaining-requests: 0", 33, 0);
		snprintf(line, sizeof line, "x-ratelimit-reset-requests: %s", durations[_i].text);
		openai_wait_header(&w, line, strlen(line), 0);
		ck_assert_double_eq_tol(openai_wait_told(&w), durations[_i].seconds, 1e-12);
		openai_wait_header(&w, "HTTP/1.1 200 OK", 15, 0); /* another answer */
		ck_assert_double_eq(openai_wait_told(&w), 0);
	}
END_TEST

START_TEST(waits_double_up_to_a_minute_and_scatter_by_half)
	{
		ck_assert_double_eq(openai_wait_own(1, .5), .5);
		ck_assert_double_eq(openai_wait_own(2, .5), 1);
		ck_assert_double_eq(openai_wait_own(7, .5), 32);
		ck_assert_double_eq(openai_wait_own(8, .5), 60);
		ck_assert_double_eq(openai_wait_own(100, .5), 60);
		ck_assert_double_eq(openai_wait_own(1, 0), .25);
		ck_assert_double_le(openai_wait_own(1, 1 - 1e-9), .75);
	}
END_TEST

RUNNER("openai", 120, {
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	tcase_add_test(tc, many_questions_are_under_way_at_once_and_each_is_answered_once);
	tcase_add_test(tc, a_request_goes_out_as_openai_has_it);
	TABLE_TEST(tc, a_reply_is_as_teacher_h_has_it_now_and_from_the_cache, replies);
	TABLE_TEST(tc, a_failure_that_passes_is_tried_again, passing);
	tcase_add_test(tc, a_limit_that_is_reached_holds_back_all_requests);
	TABLE_TEST(tc, a_failure_that_stays_fails_its_request_and_no_other, failing);
	tcase_add_test(tc, after_all_tries_a_request_fails_with_the_last_reason);
	TABLE_TEST(tc, what_no_request_can_get_past_stops_them_all, stopping);
	tcase_add_test(tc, without_a_server_all_stop_and_the_address_is_named);
	tcase_add_test(tc, the_cache_answers_the_same_row_and_request_and_nothing_else);
	tcase_add_test(tc, twins_in_one_batch_are_asked_once);
	tcase_add_test(tc, a_reply_on_its_way_when_the_stage_stops_is_kept);
	tcase_add_test(tc, cancelled_it_comes_back_soon_also_from_a_silent_server);
	tcase_add_test(tc, never_more_than_max_cost_is_spent_in_all_runs_together);
	tcase_add_test(tc, a_reply_that_does_not_say_what_it_cost_counts_with_the_most);
	tcase_add_test(tc, a_price_is_per_million_tokens_or_unknown);
	tcase_add_test(tc, a_key_that_the_server_echoes_is_nowhere);
	tcase_add_test(tc, a_key_that_cannot_be_one_is_refused_by_place_and_not_shown);
	TABLE_TEST(tc, a_mistake_in_the_description_is_named, mistakes);
	tcase_add_test(tc, a_file_that_is_no_cache_is_named);
	TABLE_TEST(tc, a_wait_is_read_from_headers, headers);
	TABLE_TEST(tc, a_reset_counts_when_nothing_remains, durations);
	tcase_add_test(tc, waits_double_up_to_a_minute_and_scatter_by_half);
})
