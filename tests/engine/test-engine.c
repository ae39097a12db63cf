/* test-engine.c - generation: what third parties get, whatever stands beside a request. */
#include "heard.h"

#include "base/fault.h"
#include "engine/engine.h"
#include "tensor/kernels.h"

#include <retort/generate.h>
#include <retort/memory.h>
#include <retort/parallel.h>
#include <retort/random.h>

#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int64_t take(const json_t *list, int32_t *ret)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		ret[i] = (int32_t)json_integer_value(json_array_get(list, i));
	return (int64_t)json_array_size(list);
}

static const char *const folders[] = { "qwen2-tiny", "qwen3-tiny", "llama-tiny",
	                               "qwen2-bf16-sharded" };

START_TEST(greedy_answers_are_those_of_transformers)
	{
		const struct rt_engine_options o = { .exact = true, .chunk = 5 };
		struct rt_model               *m = open_golden(folders[_i]);
		char                           name[100];
		int32_t                        prompt[MOST], want[MOST];
		static struct heard            h;
		json_t                        *j, *greedy;
		struct rt_request              q = { .prompt = prompt,
			                             .ignore_stops = true,
			                             .prompt_logps = true };

		snprintf(name, sizeof name, "%s/golden.json", folders[_i]);
		j = golden_json(name);
		greedy = json_object_get(j, "greedy");
		q.n = take(json_object_get(greedy, "prompt"), prompt);
		q.max_tokens = take(json_object_get(greedy, "tokens"), want);
		generate(m, &o, &q, 1, &h);
		ck_assert_int_eq(h.n[0], q.max_tokens);
		ck_assert_mem_eq(h.id[0], want, (size_t)q.max_tokens * sizeof *want);
		ck_assert_int_eq(h.finish[0], RT_FINISH_LENGTH);
		json_decref(j);
		rt_model_close(m);
	}
END_TEST

/* Log-probabilities of ids[1..n) as training sees them. */
static void score(const struct rt_model *m, const int32_t *ids, int64_t n, float *logp)
{
	const struct rt_span span = { 0, n, 0, n, 0 };
	const int64_t        width = rt_model_shape(m)->hidden;
	float               *hidden = calloc((size_t)(n * width), sizeof *hidden);
	int32_t              position[2 * MOST];
	struct rt_batch      b = { ids, position, n, &span, 1 };

	for (int64_t i = 0; i < n; i++)
		position[i] = (int32_t)i;
	ck_assert_int_eq(rt_model_forward(m, &b, NULL, hidden, NULL), 0);
	ck_assert_int_eq(
		rt_model_logps(m, hidden, n - 1, ids + 1, NULL, logp, NULL, NULL, NULL, NULL), 0);
	free(hidden);
}

/* Both sum the same f32 products in another order; 2e-5 is some 20 roundings of a logit near 10. */
START_TEST(log_probabilities_are_those_that_training_sees)
	{
		const struct rt_engine_options o = { .exact = true, .chunk = 7 };
		struct rt_model               *m = open_golden("qwen3-tiny");
		int32_t                        ids[2 * MOST];
		float                          logp[2 * MOST];
		static struct heard            h;
		struct rt_request              q = { .prompt = ids,
			                             .n = 12,
			                             .max_tokens = 40,
			                             .ignore_stops = true,
			                             .prompt_logps = true,
			                             .sampling = { .temperature = 1 },
			                             .seed = 3 };

		for (int i = 0; i < 12; i++)
			ids[i] = 7 * i + 1;
		generate(m, &o, &q, 1, &h);
		memcpy(ids + 12, h.id[0], 40 * sizeof *ids);
		score(m, ids, 52, logp);
		for (int i = 1; i < 12; i++)
			ck_assert_float_eq_tol(h.prompt[0][i], logp[i - 1], 2e-5f);
		for (int i = 0; i < 40; i++)
			ck_assert_float_eq_tol(h.logp[0][i], logp[11 + i], 2e-5f);
		rt_model_close(m);
	}
END_TEST

/* The log-probabilities of a prompt by rounded products beside those of plain ones: activations of
 * bf16, off by at most 2^-8 of each; or, where integers of 16 bits are multiplied and bf16 is not,
 * of 14 bits, off by 2^-14 of the largest in a group. */
START_TEST(products_of_sixteen_bits_are_close_to_plain_ones)
	{
		const struct rt_engine_options exact = { .exact = true };
		struct rt_model               *m = open_golden("qwen2-bf16-sharded");
		const bool integers = kernels()->panel[PANEL_b16] && !kernels()->panel[PANEL_tight];
		const float             slack = integers ? 2e-3f : 2e-2f;
		int32_t                 prompt[MOST];
		static struct heard     plain, rounded;
		const struct rt_request q = { .prompt = prompt, .n = 24, .prompt_logps = true };
		float                   most = 0.0f;

		for (int i = 0; i < q.n; i++)
			prompt[i] = 5 * i + 3;
		generate(m, &exact, &q, 1, &plain);
		generate(m, NULL, &q, 1, &rounded);
		for (int i = 1; i < q.n; i++)
			most = fmaxf(most, fabsf(plain.prompt[0][i] - rounded.prompt[0][i]));
		ck_assert_float_le(most, slack);
		ck_assert_float_gt(most, 0.0f); /* they were rounded */
		rt_model_close(m);
	}
END_TEST

static const char *const beside[] = { "qwen2-tiny", "llama-tiny", "gguf/tiny-qwen2.gguf",
	                              "qwen2-bf16-sharded" };

/* Prompts of many lengths; alone, all together, and three at a time: the same bits. */
START_TEST(an_answer_does_not_depend_on_the_requests_beside_it)
	{
		struct rt_model    *m = open_golden(beside[_i]);
		const int64_t       V = rt_model_shape(m)->vocabulary;
		static int32_t      prompt[REQUESTS][MOST];
		static struct heard all, few, one;
		struct rt_request   q[REQUESTS];

		for (int i = 0; i < REQUESTS; i++) {
			const int n = 1 + (i * 11) % 40;

			for (int k = 0; k < n; k++)
				prompt[i][k] = (int32_t)rt_random_below(5, (uint64_t)i, (uint64_t)k,
				                                        (uint64_t)V);
			q[i] = (struct rt_request){ .prompt = prompt[i],
				                    .n = n,
				                    .max_tokens = 5 + 3 * i,
				                    .seed = 9,
				                    .stream = (uint64_t)i,
				                    .ignore_stops = true,
				                    .sampling = { .temperature = 1.5 } };
		}
		generate(m, &(struct rt_engine_options){ .chunk = 16 }, q, REQUESTS, &all);
		generate(m, &(struct rt_engine_options){ .chunk = 16, .sequences = 3 }, q, REQUESTS,
		         &few);
		for (int i = 0; i < REQUESTS; i++) {
			const size_t n = (size_t)all.n[i];

			generate(m, &(struct rt_engine_options){ .chunk = 16 }, &q[i], 1, &one);
			ck_assert_int_eq(one.n[0], 5 + 3 * i);
			ck_assert_int_eq(all.n[i], one.n[0]);
			ck_assert_mem_eq(all.id[i], one.id[0], n * sizeof(int32_t));
			ck_assert_mem_eq(few.id[i], one.id[0], n * sizeof(int32_t));
			ck_assert_mem_eq(all.logp[i], one.logp[0], n * sizeof(float));
			ck_assert_mem_eq(few.logp[i], one.logp[0], n * sizeof(float));
		}
		rt_model_close(m);
	}
END_TEST

/* Prompts that begin alike in whole parts, in half of one, or are the same, in and out of turn:
 * what is copied from a neighbour is what would have been computed. */
START_TEST(what_prompts_share_has_the_same_bits)
	{
		static const int    same[REQUESTS] = { 40, 40, 17, 5, 40, 33, 40, 16, 40 };
		struct rt_model    *m = open_golden(beside[_i]);
		static int32_t      prompt[REQUESTS][MOST];
		static struct heard all, few, one;
		struct rt_request   q[REQUESTS];

		for (int i = 0; i < REQUESTS; i++) {
			/* Requests 1, 4, 6 are the same prompt as 0; 8 begins like it and goes on.
			 */
			for (int k = 0; k < 50; k++)
				prompt[i][k] = 3 + (k < same[i] ? k : 7 * i + k) % 40;
			q[i] = (struct rt_request){ .prompt = prompt[i],
				                    .n = i == 8 ? 50 : 40,
				                    .max_tokens = 4 + i,
				                    .seed = 9,
				                    .stream = (uint64_t)i,
				                    .ignore_stops = true,
				                    .prompt_logps = i == 5,
				                    .sampling = { .temperature = 1.5 } };
		}
		generate(m, &(struct rt_engine_options){ .chunk = 16 }, q, REQUESTS, &all);
		generate(m, &(struct rt_engine_options){ .chunk = 16, .sequences = 2 }, q, REQUESTS,
		         &few);
		for (int i = 0; i < REQUESTS; i++) {
			const size_t n = (size_t)all.n[i];

			generate(m, &(struct rt_engine_options){ .chunk = 16 }, &q[i], 1, &one);
			ck_assert_int_eq(one.n[0], 4 + i);
			ck_assert_mem_eq(all.id[i], one.id[0], n * sizeof(int32_t));
			ck_assert_mem_eq(few.id[i], one.id[0], n * sizeof(int32_t));
			ck_assert_mem_eq(all.logp[i], one.logp[0], n * sizeof(float));
			ck_assert_mem_eq(few.logp[i], one.logp[0], n * sizeof(float));
			ck_assert_mem_eq(all.prompt[i], one.prompt[0], 12 * sizeof(float));
		}
		rt_model_close(m);
	}
END_TEST

static int ignore(void *arg, int64_t i, const struct rt_answer *a, struct rt_error *err)
{
	(void)arg, (void)i, (void)a, (void)err;
	return 0;
}

/* Four times the same 40 tokens go through the model once; of 50 that begin with 33 of them two
 * parts of 16 are there already; a prompt whose log-probabilities are wanted is computed. */
START_TEST(what_prompts_share_is_computed_once)
	{
		struct rt_model  *m = open_golden(beside[_i]);
		struct rt_engine *e;
		int32_t           prompt[40], other[50];
		struct rt_request q[6];

		for (int k = 0; k < 50; k++) {
			other[k] = 3 + (k < 33 ? k : k + 1) % 50;
			prompt[k % 40] = 3 + k % 40;
		}
		for (int i = 0; i < 6; i++)
			q[i] = (struct rt_request){ .prompt = i == 4 ? other : prompt,
				                    .n = i == 4 ? 50 : 40,
				                    .max_tokens = 3,
				                    .ignore_stops = true,
				                    .prompt_logps = i == 5 };
		ck_assert_int_eq(
			rt_engine_open(&e, m, &(struct rt_engine_options){ .chunk = 16 }, NULL), 0);
		for (int again = 0; again < 2; again++) { /* the weights may have changed */
			ck_assert_int_eq(rt_generate(e, q, 6, ignore, NULL, NULL, NULL), 0);
			ck_assert_int_eq(e->computed, 40 + 50 - 32 + 40);
		}
		rt_engine_close(e);
		rt_model_close(m);
	}
END_TEST

/* Nine sampled answers of a quantized model, several at once. */
static void answer_nine(struct heard *h)
{
	struct rt_model  *m = open_golden(beside[0]);
	const int64_t     V = rt_model_shape(m)->vocabulary;
	static int32_t    prompt[REQUESTS][MOST];
	struct rt_request q[REQUESTS];

	for (int i = 0; i < REQUESTS; i++) {
		for (int k = 0; k < 30; k++)
			prompt[i][k] =
				(int32_t)rt_random_below(6, (uint64_t)i, (uint64_t)k, (uint64_t)V);
		q[i] = (struct rt_request){ .prompt = prompt[i],
			                    .n = 30,
			                    .max_tokens = 20,
			                    .seed = 9,
			                    .stream = (uint64_t)i,
			                    .ignore_stops = true,
			                    .sampling = { .temperature = 1.5 } };
	}
	generate(m, &(struct rt_engine_options){ .chunk = 16, .sequences = 4 }, q, REQUESTS, h);
	rt_model_close(m);
}

START_TEST(any_number_of_threads_gives_the_same_answers)
	{
		static const char *const threads[] = { "1", "2", "5" };
		struct heard            *all = mmap(NULL, 3 * sizeof *all, PROT_READ | PROT_WRITE,
		                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		ck_assert(all != MAP_FAILED);
		for (int i = 0; i < 3; i++) { /* the pool is started once in a process */
			const pid_t child = fork();
			int         status;

			if (child == 0) {
				setenv("RETORT_THREADS", threads[i], 1);
				answer_nine(&all[i]);
				_exit(0);
			}
			ck_assert_int_eq(waitpid(child, &status, 0), child);
			ck_assert_int_eq(status, 0);
		}
		ck_assert_int_eq(all[0].answers, REQUESTS);
		for (int i = 1; i < 3; i++) {
			ck_assert_mem_eq(all[0].id, all[i].id, sizeof all->id);
			ck_assert_mem_eq(all[0].logp, all[i].logp, sizeof all->logp);
		}
		munmap(all, 3 * sizeof *all);
	}
END_TEST

static struct rt_model *dynamic_model(void)
{
	static const char config[] =
		"{\"model_type\":\"llama\",\"hidden_size\":32,\"num_hidden_layers\":2,"
		"\"num_attention_heads\":4,\"intermediate_size\":64,\"vocab_size\":50,"
		"\"max_position_embeddings\":16,\"initializer_range\":0.5,"
		"\"rope_scaling\":{\"rope_type\":\"dynamic\",\"factor\":8.0}}";
	struct rt_json  *j = NULL;
	struct rt_model *m;

	ck_assert_int_eq(rt_json_parse(config, sizeof config - 1, "c", 1, &j, NULL), 0);
	ck_assert_int_eq(rt_model_new(&m, j, 1, NULL), 0);
	rt_json_free(j);
	return m;
}

/* Dynamic scaling over 16 positions: a sequence of 14 beside one of 27 has its own frequencies. */
START_TEST(frequencies_that_follow_the_length_follow_that_of_the_sequence)
	{
		struct rt_model *m = dynamic_model();
		int32_t          ids[41], position[41];
		struct rt_span   spans[2] = { { 0, 14, 0, 14, 0 }, { 14, 27, 14, 27, 0 } };
		struct rt_batch  both = { ids, position, 41, spans, 2 };
		struct rt_batch  alone = { ids, position, 14, spans, 1 };
		static float     x[41 * 32], y[14 * 32];

		for (int i = 0; i < 41; i++) {
			ids[i] = i;
			position[i] = i < 14 ? i : i - 14;
		}
		ck_assert_int_eq(rt_model_forward(m, &both, NULL, x, NULL), 0);
		ck_assert_int_eq(rt_model_forward(m, &alone, NULL, y, NULL), 0);
		/* products of 14 and of 41 rows may sum in another order, some 1e-6; with the
		 * frequencies of the other sequence they differ by 5e-3 and more */
		for (int i = 0; i < 14 * 32; i++)
			ck_assert_float_eq_tol(x[i], y[i], 1e-4f);
		rt_model_close(m);
	}
END_TEST

/* A prompt in parts has the frequencies of all of it; parts of 8 differ by 5e-3 and more with those
 * of their own lengths. */
START_TEST(a_prompt_in_parts_has_the_frequencies_of_the_whole)
	{
		struct rt_model    *m = dynamic_model();
		int32_t             prompt[27];
		static struct heard parts, whole;
		struct rt_request   q = {
			  .prompt = prompt, .n = 27, .max_tokens = 4, .ignore_stops = true
		};

		for (int i = 0; i < 27; i++)
			prompt[i] = i + 3;
		generate(m, &(struct rt_engine_options){ .chunk = 8 }, &q, 1, &parts);
		generate(m, &(struct rt_engine_options){ .chunk = 64 }, &q, 1, &whole);
		for (int i = 0; i < 4; i++) {
			ck_assert_int_eq(parts.id[0][i], whole.id[0][i]);
			ck_assert_float_eq_tol(parts.logp[0][i], whole.logp[0][i], 1e-4f);
		}
		rt_model_close(m);
	}
END_TEST

/* Greedy answers want the one log-probability, others all of them: by another way. */
START_TEST(log_probabilities_do_not_depend_on_what_else_is_wanted)
	{
		struct rt_model    *m = open_golden("qwen2-tiny");
		const int32_t       prompt[3] = { 7, 8, 9 };
		struct rt_request   q = { .prompt = prompt, .n = 3, .max_tokens = 12 };
		static struct heard one, all;

		q.ignore_stops = true;
		generate(m, NULL, &q, 1, &one);
		q.top = 3;
		generate(m, NULL, &q, 1, &all);
		ck_assert_int_eq(one.n[0], 12);
		ck_assert_mem_eq(one.id[0], all.id[0], sizeof one.id[0]);
		ck_assert_mem_eq(one.logp[0], all.logp[0], sizeof one.logp[0]);
		rt_model_close(m);
	}
END_TEST

/* ---- errors and memory ------------------------------------------------------------------------
 */

START_TEST(requests_that_cannot_be_answered_are_named)
	{
		struct rt_model    *m = open_golden("qwen2-tiny");
		const int32_t       good[2] = { 1, 2 }, wild[2] = { 1, 999999 };
		struct rt_engine   *e;
		struct rt_error     err = RT_ERROR_INIT;
		static struct heard h;
		struct rt_request   q = { .prompt = good, .n = 0, .max_tokens = 4 };

		ck_assert_int_eq(rt_engine_open(&e, m, NULL, NULL), 0);
		ck_assert_int_eq(rt_generate(e, &q, 1, hear, NULL, &h, &err), RT_E_INVAL);
		ck_assert_str_eq(err.msg, "request 0 has no prompt");
		q.prompt = wild;
		q.n = 2;
		ck_assert_int_eq(rt_generate(e, &q, 1, hear, NULL, &h, &err), RT_E_RANGE);
		ck_assert(strstr(err.msg, "token 999999 is not among the model's") != NULL);
		rt_engine_close(e);
		ck_assert_int_eq(
			rt_engine_open(&e, m, &(struct rt_engine_options){ .tokens = 3 }, NULL), 0);
		q.prompt = good;
		ck_assert_int_eq(rt_generate(e, &q, 1, hear, NULL, &h, &err), RT_E_RANGE);
		ck_assert(strstr(err.msg, "the limit is 3 tokens") != NULL);
		rt_engine_close(e);
		rt_model_close(m);
	}
END_TEST

static long allocations[MOST + 2];
static int  tokens_seen;

static int count_allocations(void *arg, int64_t i, int32_t id, const char *text, size_t n,
                             struct rt_error *err)
{
	(void)arg, (void)i, (void)id, (void)text, (void)n, (void)err;
	allocations[tokens_seen++] = fault_seen_allocs();
	return 0;
}

/* From the third token on: the first pass of one row may still make room, and each thread takes its
 * work space when it first gets a piece of work.  36 tokens of any allocation would show. */
START_TEST(tokens_are_decoded_without_allocating)
	{
		struct rt_model    *m = open_golden(beside[_i]);
		const int32_t       prompt[3] = { 1, 2, 3 };
		struct rt_engine   *e;
		static struct heard h;
		struct rt_request   q = {
			  .prompt = prompt, .n = 3, .max_tokens = 40, .top = 3, .ignore_stops = true
		};

		ck_assert_int_eq(rt_engine_open(&e, m, NULL, NULL), 0);
		tokens_seen = 0;
		ck_assert_int_eq(fault_set("alloc:1000000", NULL), 0);
		ck_assert_int_eq(rt_generate(e, &q, 1, hear, count_allocations, &h, NULL), 0);
		fault_set(NULL, NULL);
		ck_assert_int_ge(tokens_seen, 40);
		ck_assert_int_le(allocations[38] - allocations[2], rt_threads());
		rt_engine_close(e);
		rt_model_close(m);
	}
END_TEST

START_TEST(an_engine_that_found_no_memory_can_be_used_again)
	{
		struct rt_model    *m = open_golden("qwen2-tiny");
		const int32_t       prompt[3] = { 1, 2, 3 };
		static struct heard h;
		struct rt_request   q = { .prompt = prompt, .n = 3, .max_tokens = 4 };
		int                 r = -1;

		for (int n = 1; r != 0; n++) {
			struct rt_engine *e;
			struct rt_error   err = RT_ERROR_INIT;
			char              wish[32];

			ck_assert_int_eq(rt_engine_open(&e, m, NULL, NULL), 0);
			snprintf(wish, sizeof wish, "alloc:%d", n);
			ck_assert_int_eq(fault_set(wish, NULL), 0);
			r = rt_generate(e, &q, 1, hear, NULL, &h, &err);
			fault_set(NULL, NULL);
			ck_assert_msg(r == 0 || r == RT_E_NOMEM, "%s", err.msg);
			ck_assert_msg(rt_generate(e, &q, 1, hear, NULL, &h, &err) == 0, "%s: %s",
			              wish, err.msg);
			rt_engine_close(e);
		}
		rt_model_close(m);
	}
END_TEST

RUNNER("engine", 300, {
	tcase_add_test(tc,
	               any_number_of_threads_gives_the_same_answers); /* before a pool is there */
	TABLE_TEST(tc, greedy_answers_are_those_of_transformers, folders);
	tcase_add_test(tc, log_probabilities_are_those_that_training_sees);
	tcase_add_test(tc, products_of_sixteen_bits_are_close_to_plain_ones);
	TABLE_TEST(tc, an_answer_does_not_depend_on_the_requests_beside_it, beside);
	TABLE_TEST(tc, what_prompts_share_has_the_same_bits, beside);
	TABLE_TEST(tc, what_prompts_share_is_computed_once, beside);
	tcase_add_test(tc, frequencies_that_follow_the_length_follow_that_of_the_sequence);
	tcase_add_test(tc, a_prompt_in_parts_has_the_frequencies_of_the_whole);
	tcase_add_test(tc, an_engine_that_found_no_memory_can_be_used_again);
	tcase_add_test(tc, log_probabilities_do_not_depend_on_what_else_is_wanted);
	tcase_add_test(tc, requests_that_cannot_be_answered_are_named);
	TABLE_TEST(tc, tokens_are_decoded_without_allocating, beside);
})
