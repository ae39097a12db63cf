/* test-vet.c - descriptors and files that must not be used, and the words that say so. */
#include "plugin/kind.h"
#include "plugin/object.h"
#include "plugin/vet.h"

#include <retort/judge.h>
#include <retort/optimizer.h>
#include <retort/pruner.h>
#include <retort/random.h>
#include <retort/rl.h>
#include <retort/stage.h>

#include "runner.h"
#include "temp.h"

#include <stddef.h>

/* Sound rows with one thing spoiled, and operations that are only there to be there. */
#pragma GCC diagnostic ignored "-Woverride-init"
#pragma GCC diagnostic ignored "-Wpedantic"

/* Stands for any operation: vetting never calls it. */
static void never(void)
{
	ck_abort_msg("vetting ran code");
}

static const struct rt_judge_ops judge_ops = { .size = sizeof judge_ops,
	                                       .judge = (void *)(uintptr_t)never };

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	(void)state, (void)config, (void)c, (void)err;
	return 0;
}

#define PLUGIN(...)                                                                                \
	{                                                                                          \
		.magic = RT_MAGIC, .abi_major = RT_ABI_MAJOR, .abi_minor = RT_ABI_MINOR,           \
		.size = sizeof(struct rt_plugin), .kind = RT_KIND_JUDGE, .kind_abi = RT_JUDGE_ABI, \
		.name = "exact", .version = "1", .license = "MIT", .summary = "Sound.",            \
		.ops.judge = &judge_ops, __VA_ARGS__                                               \
	}

static const struct rt_judge_ops no_judge = { .size = sizeof no_judge };
static const struct rt_judge_ops small_ops = { .size = 4, .judge = (void *)(uintptr_t)never };
static const struct rt_rl_ops    no_rl = { .size = sizeof no_rl, .loss = (void *)(uintptr_t)never };
static const struct rt_pruner_ops    no_units = { .size = sizeof no_units,
	                                          .score = (void *)(uintptr_t)never };
static const struct rt_optimizer_ops six_matrix = { .size = sizeof six_matrix,
	                                            .update = (void *)(uintptr_t)never,
	                                            .matrix_moments = 6 };
static const struct rt_optimizer_ops five = { .size = sizeof five,
	                                      .moments = 5,
	                                      .update = (void *)(uintptr_t)never };
static const struct rt_param         use[] = {
		{ .name = "use", .doc = "Sound.", .type = RT_INT, .max.i = 9 }, RT_PARAM_END
};
static const struct rt_stage_output no_outputs[] = { { 0 } };
static const struct rt_stage_output dotted[] = { { "a.b", "Sound.", RT_MODEL, 0 }, { 0 } };
static const struct rt_stage_output twice[] = { { "a", "Sound.", RT_MODEL, 0 },
	                                        { "a", "Sound.", RT_DATASET, 0 },
	                                        { 0 } };
static const struct rt_stage_output typeless[] = { { "a", "Sound.", 7, 0 }, { 0 } };
#define STAGE(o)                                                                                   \
	{                                                                                          \
		.size = sizeof(struct rt_stage_ops), .outputs = o, .run = (void *)(uintptr_t)never \
	}
static const struct rt_stage_ops stages[] = { STAGE(no_outputs), STAGE(dotted), STAGE(twice),
	                                      STAGE(typeless) };
#define AS_STAGE(i) .kind = RT_KIND_STAGE, .kind_abi = RT_STAGE_ABI, .ops.stage = &stages[i]

static const struct {
	struct rt_plugin plugin;
	const char      *id, *want;
} bad[] = {
	{ PLUGIN(.magic = 0), NULL, "its retort_plugin is no plugin descriptor: use RT_PLUGIN()" },
	{ PLUGIN(.abi_major = 0), NULL,
	  "built for plugin ABI 0.0, this retort has 1.0: rebuild it with this retort's headers" },
	{ PLUGIN(.abi_minor = 1), NULL,
	  "built for plugin ABI 1.1, this retort has 1.0: install a newer retort, or rebuild it" },
	{ PLUGIN(.size = 8), NULL,
	  "its descriptor has 8 bytes, plugin ABI 1.0 has 104: rebuild it" },
	{ PLUGIN(.size = 1000), NULL,
	  "its descriptor has 1000 bytes, plugin ABI 1.0 has 104: rebuild it" },
	{ PLUGIN(.kind = 0), NULL,
	  "is of kind 0, this retort knows 1 to 13: install a newer retort" },
	{ PLUGIN(.kind = 14), NULL,
	  "is of kind 14, this retort knows 1 to 13: install a newer retort" },
	{ PLUGIN(.kind_abi = 0), NULL,
	  "built for judge interface 0, this retort has 1: rebuild it with this retort's headers" },
	{ PLUGIN(.kind_abi = 2), NULL,
	  "built for judge interface 2, this retort has 1: install a newer retort, or rebuild it" },
	{ PLUGIN(.name = NULL), NULL,
	  "its name is '': a name has lower case letters, digits and -" },
	{ PLUGIN(.name = "a/b"), NULL,
	  "its name is 'a/b': a name has lower case letters, digits and -" },
	{ PLUGIN(.version = ""), NULL, "has no version: set .version" },
	{ PLUGIN(.license = NULL), NULL, "has no licence: set .license to an SPDX expression" },
	{ PLUGIN(.summary = "no stop"), NULL, "its summary must be a sentence with its full stop" },
	{ PLUGIN(.name = "exact"), "judge-other",
	  "calls itself judge-exact, its file is called judge-other.so: rename one of them" },
	{ PLUGIN(.config_size = 2 << 20), NULL,
	  "wants a config of 2097152 bytes, at most 1048576 are given" },
	{ PLUGIN(.state_size = (size_t)2 << 30), NULL,
	  "wants a state of 2147483648 bytes, at most 1073741824 are given: allocate what is large "
	  "in open()" },
	{ PLUGIN(.open = open_), NULL,
	  "has open() and no state to fill: set .state_size, or leave open() out" },
	{ PLUGIN(.ops.any = NULL), NULL, "has no operations: set .ops.judge" },
	{ PLUGIN(.ops.judge = &small_ops), NULL,
	  "its operations have 4 bytes, judge interface 1 has 16: set .size, or rebuild it" },
	{ PLUGIN(.ops.judge = &no_judge), NULL, "lacks an operation that every judge has: judge" },
	{ PLUGIN(.kind = RT_KIND_RL, .kind_abi = RT_RL_ABI, .ops.rl = &no_rl), NULL,
	  "lacks an operation that every rl has: advantages with loss, or prefer" },
	{ PLUGIN(.kind = RT_KIND_PRUNER, .kind_abi = RT_PRUNER_ABI, .ops.pruner = &no_units), NULL,
	  "score and units go together: which units are scored?" },
	{ PLUGIN(.kind = RT_KIND_OPTIMIZER, .kind_abi = RT_OPTIMIZER_ABI, .ops.optimizer = &five),
	  NULL, "wants 5 moments, an optimizer has at most 4" },
	{ PLUGIN(.kind = RT_KIND_OPTIMIZER, .kind_abi = RT_OPTIMIZER_ABI,
	         .ops.optimizer = &six_matrix),
	  NULL, "wants 6 moments, an optimizer has at most 4" },
	{ PLUGIN(.params = use, .config_size = 8), NULL,
	  "parameter 'use': pipeline files use that word themselves, take another" },
	{ PLUGIN(AS_STAGE(0)), NULL,
	  "a stage has 1 to 8 outputs, and a row with name NULL behind them" },
	{ PLUGIN(AS_STAGE(1)), NULL, "output 'a.b': a name has lower case letters, digits and _" },
	{ PLUGIN(AS_STAGE(2)), NULL, "output 'a' is declared twice" },
	{ PLUGIN(AS_STAGE(3)), NULL, "output 'a': unknown artifact type 7" },
};

START_TEST(a_descriptor_that_is_unfit_is_refused)
	{
		struct rt_error err = RT_ERROR_INIT;

		ck_assert_int_eq(vet_plugin(&bad[_i].plugin, bad[_i].id, &err), RT_E_ABI);
		ck_assert_str_eq(err.msg, bad[_i].want);
	}
END_TEST

START_TEST(a_sound_descriptor_passes)
	{
		static const struct rt_plugin sound = PLUGIN(.state_size = 1);
		struct rt_error               err = RT_ERROR_INIT;

		ck_assert_msg(vet_plugin(&sound, "judge-exact", &err) == 0, "%s", err.msg);
		ck_assert_int_eq(vet_plugin(&sound, NULL, NULL), 0);
	}
END_TEST

/* What plugins were built with must stay where it is. */
_Static_assert(offsetof(struct rt_plugin, magic) == 0, "ABI");
_Static_assert(offsetof(struct rt_plugin, size) == 8, "ABI");
_Static_assert(offsetof(struct rt_plugin, kind) == 12, "ABI");
_Static_assert(sizeof(void *) != 8 || offsetof(struct rt_plugin, params) == 56, "ABI");
_Static_assert(sizeof(void *) != 8 || offsetof(struct rt_plugin, ops) == 96, "ABI");
_Static_assert(sizeof(void *) != 8 || sizeof(struct rt_param) == 88, "ABI");

static const struct {
	const char *id, *name;
	unsigned    kind;
} ids[] = {
	{ "judge-exact", "exact", RT_KIND_JUDGE },
	{ "rl-grpo", "grpo", RT_KIND_RL },
	{ "judge-call-match", "call-match", RT_KIND_JUDGE },
	{ "judge-", NULL, 0 },
	{ "judge", NULL, 0 },
	{ "jugde-exact", NULL, 0 },
	{ "-exact", NULL, 0 },
	{ "", NULL, 0 },
	{ "r-x", NULL, 0 },
};

START_TEST(an_id_is_a_kind_and_a_name)
	{
		const char *name = NULL;

		ck_assert_uint_eq(kind_split(ids[_i].id, &name), ids[_i].kind);
		if (ids[_i].name)
			ck_assert_str_eq(name, ids[_i].name);
	}
END_TEST

START_TEST(kinds_have_names_and_numbers)
	{
		for (unsigned k = 1; k < RT_KIND_END_; k++) {
			ck_assert_uint_eq(kind_find(kind_name(k)), k);
			ck_assert_uint_ge(kind_abi(k), 1);
		}
		ck_assert_uint_eq(kind_find("loss"), 0);
		ck_assert_uint_eq(kind_abi(0), 0);
		ck_assert_str_eq(kind_name(99), "unknown");
		ck_assert_str_eq(kind_suggest("smapler"), "sampler");
		ck_assert_str_eq(kind_with_article(RT_KIND_OPTIMIZER), "an optimizer");
	}
END_TEST

/* This test program is itself a whole ELF object. */
static void read_self(struct rt_text *t)
{
	ck_assert_int_eq(rt_file_read("/proc/self/exe", 0, t, NULL), 0);
}

START_TEST(an_object_that_is_cut_anywhere_is_refused)
	{
		struct rt_text t = RT_TEXT_INIT;

		read_self(&t);
		ck_assert_int_eq(object_check_bytes(t.data, t.len, NULL), 0);
		for (size_t n = 0; n < t.len; n += n < 2000 ? 1 : 4999)
			ck_assert_int_eq(object_check_bytes(t.data, n, NULL), RT_E_ABI);
		rt_text_free(&t);
	}
END_TEST

START_TEST(no_header_makes_the_check_read_outside)
	{
		struct rt_text t = RT_TEXT_INIT;

		read_self(&t);
		for (uint64_t i = 0; i < 20000; i++) {
			char header[512];

			memcpy(header, t.data, sizeof header);
			for (uint64_t k = 0; k < 3; k++)
				header[rt_random_below(1, k, i, 64)] =
					(char)rt_random_bits(2, k, i);
			object_check_bytes(header, sizeof header, NULL);
		}
		rt_text_free(&t);
	}
END_TEST

static const struct {
	size_t        at;
	unsigned char byte;
	const char   *want;
} headers[] = {
	{ 0, 'x', "is not a shared object" },
	{ 4, 9, "is for a machine of another word size or byte order: build it here" },
	{ 5, 9, "is for a machine of another word size or byte order: build it here" },
	{ 16, 1, "is no shared object (ELF type 1): link it with -shared" },
};

START_TEST(a_foreign_object_is_refused)
	{
		struct rt_text  t = RT_TEXT_INIT;
		struct rt_error err = RT_ERROR_INIT;

		read_self(&t);
		t.data[headers[_i].at] = (char)headers[_i].byte;
		ck_assert_int_eq(object_check_bytes(t.data, t.len, &err), RT_E_ABI);
		ck_assert_str_eq(err.msg, headers[_i].want);
		rt_text_free(&t);
	}
END_TEST

RUNNER("vet", 60, {
	TABLE_TEST(tc, a_descriptor_that_is_unfit_is_refused, bad);
	tcase_add_test(tc, a_sound_descriptor_passes);
	TABLE_TEST(tc, an_id_is_a_kind_and_a_name, ids);
	tcase_add_test(tc, kinds_have_names_and_numbers);
	tcase_add_test(tc, an_object_that_is_cut_anywhere_is_refused);
	tcase_add_test(tc, no_header_makes_the_check_read_outside);
	TABLE_TEST(tc, a_foreign_object_is_refused, headers);
})
