/* test-openai.c - teacher-openai against a server that misbehaves. */
#include "openai-bench.h"
#include "runner.h"

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
	{ "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":null,\"refusal\":null,"
	  "\"annotations\":"
	  "[],\"function_call\":null,\"reasoning_content\":\"hm\",\"tool_calls\":null},\"stop_"
	  "reason\":null}]}",
	  "{\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"message\":{\"content\":null,"
	  "\"reasoning_content\":\"hm\",\"role\":\"assistant\"}}]}" },
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

START_TEST(a_message_of_the_users_is_refused_and_nothing_goes_out)
	{
		struct server  *s = server_start(NULL, 0, NULL);
		struct teacher  t;
		struct answers  a = { 0 };
		struct rt_error err = RT_ERROR_INIT;

		defaults(&t, server_port(s));
		ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
		ck_assert_int_eq(ask_n(&t, 20, ",\"role\":\"user\"", &a, &err), 0);
		ck_assert_int_eq(a.failures, 20);
		ck_assert_str_eq(a.why, "chat completions answer as the assistant, they cannot go "
		                        "on as the user; a teacher-local can");
		ck_assert_int_eq(server_count(s), 0);
		/* nobody else's role goes over the wire */
		ck_assert_int_eq(ask_n(&t, 1, ",\"role\":\"assistant\"", &a, &err), 0);
		ck_assert_int_eq(a.replies, 1);
		ck_assert_ptr_null(strstr(server_body(s, 0), "\"role\":\"assistant\""));
		end(&t);
		rt_json_free(a.reply);
		server_stop(s);
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
	tcase_add_test(tc, a_message_of_the_users_is_refused_and_nothing_goes_out);
})
