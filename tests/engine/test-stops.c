/* test-stops.c - where an answer ends: stop strings, and what was told by then. */
#include "heard.h"

START_TEST(a_stop_string_ends_the_answer_in_front_of_it)
	{
		struct rt_model    *m = open_golden("gguf/tiny-qwen2.gguf");
		int32_t             prompt[4] = { 40, 41, 42, 43 };
		static struct heard whole, cut;
		struct rt_request   q = { .prompt = prompt,
			                  .n = 4,
			                  .max_tokens = 30,
			                  .ignore_stops = true,
			                  .sampling = { .temperature = 2 },
			                  .seed = 11 };
		char                needle[8];
		const char         *stop[] = { "never seen at all", needle, NULL };
		const char         *at;

		generate(m, NULL, &q, 1, &whole);
		ck_assert_str_eq(whole.text[0], whole.told[0]);
		ck_assert_uint_gt(strlen(whole.text[0]), 20);
		snprintf(needle, sizeof needle, "%.5s", whole.text[0] + 10);
		if (rt_utf8_check(needle, strlen(needle)) < strlen(needle))
			snprintf(needle, sizeof needle, "%.1s", whole.text[0] + 10);
		at = strstr(whole.text[0], needle);
		q.stop = stop;
		generate(m, NULL, &q, 1, &cut);
		ck_assert_int_eq(cut.finish[0], RT_FINISH_STRING);
		ck_assert_uint_eq(strlen(cut.text[0]), (size_t)(at - whole.text[0]));
		ck_assert_mem_eq(cut.text[0], whole.text[0], strlen(cut.text[0]));
		ck_assert_str_eq(cut.text[0], cut.told[0]);
		ck_assert_int_lt(cut.n[0], 30);
		rt_model_close(m);
	}
END_TEST

/* Greedily "hello world" gives four tokens and a stop token; of each beginning of a stop string
 * that their text ends in, and of each length, what was told is the answer. */
START_TEST(what_was_told_is_the_answer)
	{
		struct rt_model    *m = open_golden("gguf/tiny-qwen2.gguf");
		struct rt_ids       ids = RT_IDS_INIT;
		static struct heard whole, h;
		char                needle[64];
		const char         *stop[] = { needle, NULL };
		struct rt_request   q = { .max_tokens = 8 };

		ck_assert_int_eq(rt_tokenizer_encode(rt_model_tokenizer(m), "hello world", 11, 0,
		                                     &ids, NULL),
		                 0);
		q.prompt = ids.data;
		q.n = (int64_t)ids.len;
		generate(m, NULL, &q, 1, &whole);
		ck_assert_int_eq(whole.finish[0], RT_FINISH_STOP);
		ck_assert_str_eq(whole.text[0], whole.told[0]);
		for (size_t at = 0; at < strlen(whole.text[0]); at++) {
			snprintf(needle, sizeof needle, "%.40s never", whole.text[0] + at);
			q.stop = stop;
			generate(m, NULL, &q, 1, &h);
			ck_assert_int_eq(h.finish[0], RT_FINISH_STOP);
			ck_assert_str_eq(h.text[0], whole.text[0]);
			ck_assert_str_eq(h.told[0], whole.text[0]);
		}
		q = (struct rt_request){ .prompt = ids.data, .n = 1, .ignore_stops = true };
		for (q.max_tokens = 1; q.max_tokens < 40; q.max_tokens++) {
			generate(m, NULL, &q, 1, &h);
			ck_assert_str_eq(h.told[0], h.text[0]);
		}
		rt_ids_free(&ids);
		rt_model_close(m);
	}
END_TEST

RUNNER("stops", 120, {
	tcase_add_test(tc, a_stop_string_ends_the_answer_in_front_of_it);
	tcase_add_test(tc, what_was_told_is_the_answer);
})
