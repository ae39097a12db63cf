/* test-context.c - what a run lends a plugin: secrets stay secret, seeds and folders arrive. */
#include "plugin/context.h"

#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char said[256];

static void hear(void *arg, const char *stage, enum rt_level level, const char *text)
{
	(void)arg, (void)level;
	snprintf(said, sizeof said, "%s: %s", stage, text);
}

static const struct context_sink sink = { .log = hear };

START_TEST(a_value_from_the_environment_is_blacked_out_of_logs_and_errors)
	{
		struct rt_context c = { .sink = &sink, .stage = "drafts" };
		struct rt_error   err = RT_ERROR_INIT;

		setenv("TEST_KEY", "sk-very-secret", 1);
		ck_assert_str_eq(rt_env(&c, "TEST_KEY", &err), "sk-very-secret");
		rt_log(&c, RT_LOG_INFO, "key sk-very-secret, again sk-very-secret.");
		ck_assert_str_eq(said, "drafts: key ***, again ***.");
		rt_fail(&err, RT_E_IO, "401 for sk-very-secret");
		context_redact(err.msg);
		ck_assert_str_eq(err.msg, "401 for ***");
	}
END_TEST

START_TEST(a_secret_inside_another_does_not_spoil_it)
	{
		struct rt_context c = { .sink = &sink, .stage = "s" };
		char              text[] = "abcdefgh abcd";

		setenv("SHORT", "abcd", 1);
		setenv("LONG", "abcdefgh", 1);
		rt_env(&c, "SHORT", NULL);
		rt_env(&c, "LONG", NULL);
		context_redact(text);
		ck_assert_str_eq(text, "*** ***");
	}
END_TEST

START_TEST(a_variable_that_is_not_set_is_named)
	{
		struct rt_context c = { .sink = &sink, .stage = "s" };
		struct rt_error   err = RT_ERROR_INIT;

		unsetenv("NOT_SET");
		ck_assert_ptr_null(rt_env(&c, "NOT_SET", &err));
		ck_assert_str_eq(err.msg, "the environment variable NOT_SET is not set");
		setenv("NOT_SET", "", 1);
		ck_assert_ptr_null(rt_env(&c, "NOT_SET", &err));
	}
END_TEST

RUNNER("context", 60, {
	tcase_add_test(tc, a_value_from_the_environment_is_blacked_out_of_logs_and_errors);
	tcase_add_test(tc, a_secret_inside_another_does_not_spoil_it);
	tcase_add_test(tc, a_variable_that_is_not_set_is_named);
})
