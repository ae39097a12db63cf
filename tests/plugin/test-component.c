/* test-component.c - a plugin's state: its own, or its config; closed once, whatever happens. */
#include "plugin/component.h"

#include "runner.h"

#include <stdint.h>

struct config {
	int answer;
};

static int closed;

static void close_(void *state)
{
	(void)state;
	closed++;
}

static int refuse(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	(void)state, (void)config, (void)c;
	return rt_fail(err, RT_E_IO, "no");
}

static int fill(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	(void)c, (void)err;
	*(int *)state += ((const struct config *)config)->answer;
	return 0;
}

static const struct config config = { 42 };

START_TEST(without_a_state_ops_see_the_config)
	{
		const struct rt_plugin p = { .name = "p",
			                     .config_size = sizeof config,
			                     .close = close_ };
		struct rt_component    o = { .plugin = &p, .config = &config };

		closed = 0;
		ck_assert_int_eq(component_open(&o, NULL), 0);
		ck_assert_ptr_eq(o.state, &config);
		component_close(&o);
		component_close(&o);
		ck_assert_ptr_null(o.state);
		ck_assert_int_eq(closed, 1);
	}
END_TEST

START_TEST(a_state_is_zeroed_and_aligned_and_filled_by_open)
	{
		const struct rt_plugin p = { .name = "p", .state_size = sizeof(int), .open = fill };
		struct rt_component    o = { .plugin = &p, .config = &config };

		ck_assert_int_eq(component_open(&o, NULL), 0);
		ck_assert_uint_eq((uintptr_t)o.state % 64, 0);
		ck_assert_int_eq(*(int *)o.state, 42);
		component_close(&o);
		ck_assert_ptr_null(o.state);
	}
END_TEST

static const size_t sizes[] = { 0, sizeof(int) };

START_TEST(what_does_not_open_is_closed_once)
	{
		const struct rt_plugin p = {
			.name = "p", .state_size = sizes[_i], .open = refuse, .close = close_
		};
		struct rt_component o = { .plugin = &p, .config = &config };
		struct rt_error     err = RT_ERROR_INIT;

		closed = 0;
		ck_assert_int_eq(component_open(&o, &err), RT_E_IO);
		ck_assert_str_eq(err.msg, "no");
		ck_assert_ptr_null(o.state);
		component_close(&o);
		ck_assert_int_eq(closed, 1);
	}
END_TEST

RUNNER("component", 10, tcase_add_test(tc, without_a_state_ops_see_the_config);
       tcase_add_test(tc, a_state_is_zeroed_and_aligned_and_filled_by_open);
       TABLE_TEST(tc, what_does_not_open_is_closed_once, sizes);)
