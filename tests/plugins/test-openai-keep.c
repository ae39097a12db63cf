/* test-openai-keep.c - teacher-openai pays for nothing twice, keeps to its budget, and keeps its
 * key to itself. */
#include "openai-bench.h"
#include "runner.h"

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

/* An address, and whether others on the way would read the key. */
static const struct {
	const char *url;
	bool        warns;
} ways[] = {
	{ "http://192.0.2.1/v1", true },     { "http://localhost.example/v1", true },
	{ "http://127.0.0.1:80/v1", false }, { "http://localhost/v1", false },
	{ "http://[::1]:80", false },        { "https://192.0.2.1/v1", false },
};

START_TEST(a_key_that_travels_in_plain_text_is_warned_of)
	{
		struct teacher  t;
		struct rt_error err = RT_ERROR_INIT;

		setenv("TEST_OPENAI_KEY", SECRET, 1);
		defaults(&t, 1);
		t.cfg.url = ways[_i].url;
		t.cfg.key_env = "TEST_OPENAI_KEY";
		ck_assert_msg(begin(&t, &err) == 0, "%s", err.msg);
		ck_assert_int_eq(strstr(said, "unencrypted") != NULL, ways[_i].warns);
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
	{ NULL, "TEST_URL", NULL, 0,
	  "TEST_URL in the environment is no address, want http://... or https://..." },
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

		setenv("TEST_URL", "localhost:8000", 1);
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

RUNNER("openai-keep", 120, {
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	tcase_add_test(tc, the_cache_answers_the_same_row_and_request_and_nothing_else);
	tcase_add_test(tc, twins_in_one_batch_are_asked_once);
	tcase_add_test(tc, a_reply_on_its_way_when_the_stage_stops_is_kept);
	tcase_add_test(tc, cancelled_it_comes_back_soon_also_from_a_silent_server);
	tcase_add_test(tc, never_more_than_max_cost_is_spent_in_all_runs_together);
	tcase_add_test(tc, a_reply_that_does_not_say_what_it_cost_counts_with_the_most);
	tcase_add_test(tc, a_price_is_per_million_tokens_or_unknown);
	tcase_add_test(tc, a_key_that_the_server_echoes_is_nowhere);
	tcase_add_test(tc, a_key_that_cannot_be_one_is_refused_by_place_and_not_shown);
	TABLE_TEST(tc, a_key_that_travels_in_plain_text_is_warned_of, ways);
	TABLE_TEST(tc, a_mistake_in_the_description_is_named, mistakes);
	tcase_add_test(tc, a_file_that_is_no_cache_is_named);
	TABLE_TEST(tc, a_wait_is_read_from_headers, headers);
	TABLE_TEST(tc, a_reset_counts_when_nothing_remains, durations);
	tcase_add_test(tc, waits_double_up_to_a_minute_and_scatter_by_half);
})
