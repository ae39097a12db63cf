/* test-bench.c - retort bench: what it counts is counted again another way; what a process of a
 * part leaves. */
#include "runner.h"

#include "cli/bench.h"
#include "tensor/kernels.h"

#include <retort/memory.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 64 << 20 };

static const char *const models[] = { "qwen2-tiny", "llama-tiny", "qwen3-tiny" }; /* tied or not */

static struct rt_model *open_folder(const char *name)
{
	struct rt_error  err = RT_ERROR_INIT;
	struct rt_model *m = NULL;
	char             path[4096];

	snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, name);
	ck_assert_msg(rt_model_open(&m, path, 0, &err) == 0, "%s", err.msg);
	return m;
}

static struct rt_model *open_model(int i)
{
	return open_folder(models[i]);
}

/* Weights, and 8 sequences that begin with 10.5 tokens, as an engine reads them. */
static void check_bytes(const struct rt_model *m, bool exact, double weights)
{
	const struct rt_engine_options o = { .exact = exact };
	const struct rt_model_shape   *s = rt_model_shape(m);
	struct rt_engine              *e;

	for (int64_t layer = 0; layer < s->layers; layer++)
		for (int64_t head = 0; head < s->kv_heads; head++)
			weights += 8 * 10.5 * 2 * (double)s->head_dim * sizeof(float);
	ck_assert_int_eq(rt_engine_open(&e, m, &o, NULL), 0);
	ck_assert_double_eq(bench_bytes(e, 8, 10.5), weights);
	rt_engine_close(e);
}

/* Matrices one by one, attention pair by pair. */
START_TEST(flops_are_those_of_all_products)
	{
		enum { SEQUENCES = 3, LENGTH = 5, ROWS = 2 };
		struct rt_model             *m = open_model(_i);
		const struct rt_model_shape *s = rt_model_shape(m);
		double                       want = 0;

		for (int64_t i = 0; i < rt_model_parameters(m); i++) {
			const struct rt_parameter p = rt_model_parameter(m, i);
			const bool                head =
				p.layer < 0 && (p.linear || (s->tied && p.tensor.ndim == 2));

			if (head)
				want += 2. * ROWS * (double)rt_numel(&p.tensor);
			else if (p.linear)
				want += 2. * LENGTH * (double)rt_numel(&p.tensor);
		}
		for (int64_t layer = 0; layer < s->layers; layer++)
			for (int64_t head = 0; head < s->heads; head++)
				for (int query = 0; query < LENGTH; query++)
					for (int key = 0; key <= query; key++)
						want += 2 * 2. *
						        (double)s->head_dim; /* score, value */
		ck_assert_double_eq(bench_flops(s, SEQUENCES, LENGTH, ROWS), SEQUENCES * want);
		rt_model_close(m);
	}
END_TEST

START_TEST(bytes_are_weights_once_and_the_cache_of_each)
	{
		struct rt_model             *m = open_model(_i);
		const struct rt_model_shape *s = rt_model_shape(m);
		double                       want = 0;

		for (int64_t i = 0; i < rt_model_parameters(m); i++) {
			const struct rt_parameter p = rt_model_parameter(m, i);

			if (s->tied || strcmp(p.name, "model.embed_tokens.weight") != 0)
				want += (double)rt_bytes(&p.tensor);
		}
		check_bytes(m, false, want); /* f32 has no panels */
		check_bytes(m, true, want);
		rt_model_close(m);
	}
END_TEST

/* Of bf16 in twelve bits, where the kernels in use have that: two panels and their exponents. */
START_TEST(weights_in_panels_count_as_they_are_kept)
	{
		struct rt_model *m = open_folder("qwen2-bf16-sharded");
		const bool tied = rt_model_shape(m)->tied, tight = kernels()->panel[PANEL_tight];
		double     plain = 0, want = 0;

		for (int64_t i = 0; i < rt_model_parameters(m); i++) {
			const struct rt_parameter p = rt_model_parameter(m, i);
			const int64_t             groups = p.tensor.dim[1] / INT_GROUP,
				      twos = (p.tensor.dim[0] + PANEL_TWO - 1) / PANEL_TWO;
			const bool matrix = p.linear || (tied && p.layer < 0 && p.tensor.ndim == 2);

			if (!tied && strcmp(p.name, "model.embed_tokens.weight") == 0)
				continue;
			ck_assert(!matrix || p.tensor.dim[1] % INT_GROUP == 0);
			plain += (double)rt_bytes(&p.tensor);
			want += matrix ? (double)(twos *
			                          (tight_head(groups) + 2 * groups * TIGHT_GROUP))
			               : (double)rt_bytes(&p.tensor);
		}
		check_bytes(m, true, plain);
		if (tight)
			check_bytes(m, false, want);
		ck_assert(want < plain);
		rt_model_close(m);
	}
END_TEST

static int hold(const struct bench_job *j, struct bench_result *ret, struct rt_error *err)
{
	char *p = rt_alloc((size_t)j->repeat, 1);

	(void)err;
	for (int64_t i = 0; i < j->repeat; i += 4096)
		((volatile char *)p)[i] = 1;
	rt_free(p);
	ret->tokens = 7;
	return 0;
}

static int refuse(const struct bench_job *j, struct bench_result *ret, struct rt_error *err)
{
	(void)ret;
	return rt_fail(err, RT_E_RANGE, "%lld is too much", (long long)j->repeat);
}

static int crash(const struct bench_job *j, struct bench_result *ret, struct rt_error *err)
{
	(void)ret, (void)err;
	signal((int)j->repeat, SIG_DFL);
	kill(getpid(), (int)j->repeat);
	return 0;
}

/* As a library does that cannot go on. */
static int leave(const struct bench_job *j, struct bench_result *ret, struct rt_error *err)
{
	(void)ret, (void)err;
	_exit((int)j->repeat);
}

START_TEST(parts_do_not_inherit_memory)
	{
		const struct bench_job large = { .repeat = BLOCK }, small = { .repeat = 1 };
		struct rt_error        err = RT_ERROR_INIT;
		struct bench_result    first, second;

		ck_assert_int_eq(bench_apart(hold, &large, &first, &err), 0);
		ck_assert_int_eq(bench_apart(hold, &small, &second, &err), 0);
		ck_assert_double_eq(first.tokens, 7);
		ck_assert_int_ge(first.memory, BLOCK);
		ck_assert_int_le(second.memory, first.memory - BLOCK / 2);
	}
END_TEST

START_TEST(a_process_says_what_it_died_of)
	{
		static const struct {
			bench_fn   *fn;
			int         with, code;
			const char *text;
		} cases[] = { { refuse, 3, RT_E_RANGE, "3 is too much" },
			      { crash, SIGKILL, RT_E_NOMEM, "the process was killed" },
			      { crash, SIGFPE, RT_E_INVAL, "the process ended by signal 8" },
			      { leave, 4, RT_E_INVAL, "the process ended with status 4" } };

		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			const struct bench_job j = { .repeat = cases[i].with };
			struct bench_result    result;
			struct rt_error        err = RT_ERROR_INIT;

			ck_assert_int_eq(bench_apart(cases[i].fn, &j, &result, &err),
			                 cases[i].code);
			ck_assert_msg(strncmp(err.msg, cases[i].text, strlen(cases[i].text)) == 0,
			              "%s", err.msg);
		}
	}
END_TEST

RUNNER("bench", 60, TABLE_TEST(tc, flops_are_those_of_all_products, models);
       TABLE_TEST(tc, bytes_are_weights_once_and_the_cache_of_each, models);
       tcase_add_test(tc, weights_in_panels_count_as_they_are_kept);
       tcase_add_test(tc, parts_do_not_inherit_memory);
       tcase_add_test(tc, a_process_says_what_it_died_of);)
