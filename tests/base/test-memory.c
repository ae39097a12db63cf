/* test-memory.c - allocation, arenas and errors. */
#include <retort/error.h>
#include <retort/memory.h>

#include "base/fault.h"
#include "runner.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

START_TEST(a_product_that_overflows_is_refused)
	{
		ck_assert_ptr_null(rt_alloc(SIZE_MAX / 2, 3));
		ck_assert_ptr_null(rt_alloc_aligned(SIZE_MAX, 1));
		ck_assert_ptr_null(rt_alloc_unset(SIZE_MAX / 2, 3));
		ck_assert_ptr_null(rt_realloc(NULL, SIZE_MAX / 4, 8));
	}
END_TEST

/* Also where pages are large, and where the size is not a multiple of one. */
START_TEST(large_memory_is_aligned_to_its_last_byte)
	{
		static const size_t sizes[] = { (2 << 20) - 64, 2 << 20, (2 << 20) + 1, 5000001 };

		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			unsigned char *zeroed = rt_alloc_aligned(sizes[i], 1);
			unsigned char *p = rt_alloc_unset(1, sizes[i]);

			ck_assert_ptr_nonnull(p);
			ck_assert_uint_eq((uintptr_t)p % 64 + (uintptr_t)zeroed % 64, 0);
			memset(p, 1, sizes[i]);
			for (size_t k = 0; k < sizes[i]; k += 509)
				ck_assert_uint_eq(zeroed[k], 0);
			ck_assert_uint_eq(zeroed[sizes[i] - 1], 0);
			rt_free(p);
			rt_free(zeroed);
		}
	}
END_TEST

START_TEST(aligned_memory_is_aligned_and_zeroed)
	{
		for (size_t n = 0; n < 300; n += 7) {
			unsigned char *p = rt_alloc_aligned(n, 1);

			ck_assert_uint_eq((uintptr_t)p % 64, 0);
			for (size_t i = 0; i < n; i++)
				ck_assert_uint_eq(p[i], 0);
			rt_free(p);
		}
	}
END_TEST

START_TEST(the_nth_allocation_fails_when_asked)
	{
		void *p;

		ck_assert_int_eq(fault_set("alloc:2", NULL), 0);
		p = rt_alloc(1, 1);
		ck_assert_ptr_nonnull(p);
		ck_assert_ptr_null(rt_alloc(1, 1));
		rt_free(p);
		ck_assert_int_eq(fault_set("alloc:0", NULL), RT_E_USAGE);
		ck_assert_int_eq(fault_set("allocs:1", NULL), RT_E_USAGE);
		ck_assert_int_eq(fault_set(NULL, NULL), 0);
	}
END_TEST

START_TEST(an_arena_reuses_its_memory_after_reset)
	{
		struct rt_arena a = RT_ARENA_INIT;
		char           *p, *q;

		for (int i = 0; i < 1000; i++)
			ck_assert_ptr_nonnull(rt_arena_alloc(&a, 1000, 1));
		ck_assert_uint_ge(a.peak, 1000000);
		rt_arena_reset(&a);
		p = rt_arena_alloc(&a, 10, 1);
		memset(p, 1, 10);
		rt_arena_reset(&a);
		q = rt_arena_alloc(&a, 10, 1);
		ck_assert_ptr_eq(p, q);
		ck_assert_int_eq(q[9], 0);
		ck_assert_ptr_null(rt_arena_alloc(&a, SIZE_MAX, 2));
		rt_arena_free(&a);
		rt_arena_free(&a);
	}
END_TEST

START_TEST(a_long_message_ends_in_dots_and_never_inside_a_character)
	{
		struct rt_error err = RT_ERROR_INIT;
		char            text[3000] = "x";

		for (size_t i = 1; i + 2 < sizeof text; i += 2)
			memcpy(text + i, "\xc3\xa9", 3);
		ck_assert_int_eq(rt_fail(&err, RT_E_RANGE, "%s", text), RT_E_RANGE);
		ck_assert_str_eq(err.msg + strlen(err.msg) - 3, "...");
		ck_assert_uint_eq((unsigned char)err.msg[strlen(err.msg) - 4], 0xa9);
		rt_within(&err, err.code, "stage %s", "long");
		ck_assert_int_eq(strncmp(err.msg, "stage long: x", 13), 0);
		ck_assert_uint_lt(strlen(err.msg), sizeof err.msg);
	}
END_TEST

START_TEST(a_full_disk_comes_with_its_remedy)
	{
		struct rt_error err = RT_ERROR_INIT;

		errno = ENOSPC;
		ck_assert_int_eq(rt_fail_errno(&err, "cannot write %s", "a"), RT_E_IO);
		ck_assert_str_eq(
			err.msg,
			"cannot write a: No space left on device; make room and run again, "
			"finished work is kept");
	}
END_TEST

RUNNER("memory", 60, {
	tcase_add_test(tc, a_product_that_overflows_is_refused);
	tcase_add_test(tc, aligned_memory_is_aligned_and_zeroed);
	tcase_add_test(tc, large_memory_is_aligned_to_its_last_byte);
	tcase_add_test(tc, the_nth_allocation_fails_when_asked);
	tcase_add_test(tc, an_arena_reuses_its_memory_after_reset);
	tcase_add_test(tc, a_long_message_ends_in_dots_and_never_inside_a_character);
	tcase_add_test(tc, a_full_disk_comes_with_its_remedy);
})
