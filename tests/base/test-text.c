/* test-text.c - growing text, UTF-8, and suggestions. */
#include <retort/memory.h>
#include <retort/text.h>

#include "runner.h"
#include "torture.h"

#include <string.h>

START_TEST(an_empty_text_is_a_string)
	{
		struct rt_text t = RT_TEXT_INIT;
		char          *s;

		ck_assert_str_eq(t.data, "");
		rt_text_clear(&t);
		rt_text_free(&t);
		s = rt_text_take(&t);
		ck_assert_str_eq(s, "");
		rt_free(s);
	}
END_TEST

START_TEST(text_grows_and_holds_zero_bytes)
	{
		struct rt_text t = RT_TEXT_INIT;
		char          *s;

		rt_text_add_n(&t, "a\0b", 3);
		for (int i = 0; i < 10000; i++)
			rt_text_printf(&t, "%d,", i % 10);
		rt_text_add_char(&t, '!');
		ck_assert_uint_eq(t.len, 3 + 20000 + 1);
		ck_assert_int_eq(t.data[t.len], 0);
		s = rt_text_take(&t);
		ck_assert_int_eq(memcmp(s, "a\0b0,1,", 7), 0);
		ck_assert_uint_eq(t.len, 0);
		rt_free(s);
	}
END_TEST

static int build(struct rt_error *err)
{
	struct rt_text t = RT_TEXT_INIT;
	char          *s;

	rt_text_add(&t, "a");
	for (int i = 0; i < 100; i++)
		rt_text_printf(&t, "%100d", i);
	s = rt_text_take(&t);
	if (!s)
		return rt_fail_nomem(err, "a text");
	ck_assert_uint_eq(strlen(s), 10001);
	rt_free(s);
	return 0;
}

START_TEST(a_text_that_missed_an_allocation_is_not_handed_over)
	{
		ck_assert_int_ge(torture("alloc", build, RT_E_NOMEM), 3);
	}
END_TEST

START_TEST(a_cleared_text_starts_afresh)
	{
		struct rt_text t = RT_TEXT_INIT;

		fault_set("alloc:1", NULL);
		rt_text_add(&t, "lost");
		ck_assert(t.failed);
		rt_text_add(&t, "also lost");
		ck_assert_str_eq(t.data, "");
		rt_text_clear(&t);
		rt_text_add(&t, "kept");
		ck_assert_str_eq(t.data, "kept");
		rt_text_free(&t);
	}
END_TEST

static const struct {
	const char *text;
	size_t      n, valid;
} utf8[] = {
	{ "", 0, 0 },
	{ "plain", 5, 5 },
	{ "a\0b", 3, 3 },
	{ "\xc3\xa9", 2, 2 },
	{ "\xe2\x82\xac", 3, 3 },
	{ "\xf0\x9f\x98\x80", 4, 4 },
	{ "\xf4\x8f\xbf\xbf", 4, 4 }, /* U+10FFFF */
	{ "\xf4\x90\x80\x80", 4, 0 }, /* one more */
	{ "\xf5\x80\x80\x80", 4, 0 },
	{ "ok\xc0\xaf", 4, 2 }, /* overlong / */
	{ "\xc1\xbf", 2, 0 },
	{ "\xe0\x9f\xbf", 3, 0 }, /* overlong */
	{ "\xe0\xa0\x80", 3, 3 },
	{ "\xf0\x8f\xbf\xbf", 4, 0 }, /* overlong */
	{ "\xf0\x90\x80\x80", 4, 4 },
	{ "\xed\x9f\xbf", 3, 3 },
	{ "\xed\xa0\x80", 3, 0 }, /* a surrogate */
	{ "\x80", 1, 0 },
	{ "x\xc3", 2, 1 }, /* cut short */
	{ "x\xe2\x82", 3, 1 },
	{ "x\xf0\x9f\x98", 4, 1 },
	{ "\xe2\x28\xa1", 3, 0 },
	{ "\xff", 1, 0 },
};

START_TEST(utf8_is_checked_by_the_book)
	{
		ck_assert_uint_eq(rt_utf8_check(utf8[_i].text, utf8[_i].n), utf8[_i].valid);
	}
END_TEST

START_TEST(every_code_point_survives_a_round_trip)
	{
		for (uint32_t code = 0; code <= 0x10ffff; code++) {
			char         s[4];
			size_t       len;
			const size_t n = rt_utf8_encode(code, s);
			const bool   surrogate = code >= 0xd800 && code <= 0xdfff;

			if (rt_utf8_check(s, n) != n ||
			    rt_utf8_decode(s, n, &len) != (surrogate ? 0xfffd : code) || len != n)
				ck_abort_msg("U+%04X", (unsigned)code);
		}
	}
END_TEST

START_TEST(a_stray_byte_decodes_to_the_replacement_character)
	{
		size_t len;

		ck_assert_uint_eq(rt_utf8_decode("\xe2\x82", 2, &len), 0xfffd);
		ck_assert_uint_eq(len, 1);
	}
END_TEST

static const struct {
	const char *word, *want;
} typos[] = {
	{ "temprature", "temperature" },
	{ "tempertaure", "temperature" }, /* two neighbours swapped */
	{ "bit", "bits" },
	{ "Bits", "bits" },
	{ "top-p", "top_p" },
	{ "bits", "bits" },
	{ "bytes", NULL },
	{ "x", NULL },
	{ "", NULL },
	{ "wholly_different", NULL },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL },
};

START_TEST(a_typo_gets_a_suggestion_and_another_word_does_not)
	{
		static const char *const list[] = { "bits", "temperature", "top_p", "n", NULL };
		const char              *got = rt_suggest(typos[_i].word, list);

		if (typos[_i].want)
			ck_assert_pstr_eq(got, typos[_i].want);
		else
			ck_assert_ptr_null(got);
	}
END_TEST

RUNNER("text", 60, {
	tcase_add_test(tc, an_empty_text_is_a_string);
	tcase_add_test(tc, text_grows_and_holds_zero_bytes);
	tcase_add_test(tc, a_text_that_missed_an_allocation_is_not_handed_over);
	tcase_add_test(tc, a_cleared_text_starts_afresh);
	TABLE_TEST(tc, utf8_is_checked_by_the_book, utf8);
	tcase_add_test(tc, every_code_point_survives_a_round_trip);
	tcase_add_test(tc, a_stray_byte_decodes_to_the_replacement_character);
	TABLE_TEST(tc, a_typo_gets_a_suggestion_and_another_word_does_not, typos);
})
