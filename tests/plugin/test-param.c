/* test-param.c - parameter tables: vetted, filled, checked, shown. */
#include "plugin/param.h"

#include <retort/memory.h>
#include <retort/plugin.h>
#include <retort/stage.h>

#include "runner.h"
#include "torture.h"

#include <float.h>
#include <math.h>
#include <string.h>

struct config {
	bool                      flag;
	int64_t                   bits, any;
	double                    rate, free_;
	const char               *text, *path;
	int                       mode;
	struct rt_component      *loss;
	const struct rt_artifact *data;
	struct rt_ints            sizes;
	struct rt_strings         names;
	struct rt_components      judges;
};

static const char *const modes[] = { "fast", "exact", NULL };

static const struct rt_param table[] = {
	RT_PARAM_BOOL(struct config, flag, true, "A flag."),
	RT_PARAM_INT(struct config, bits, 4, 2, 8, "bits", "Bits per weight."),
	RT_PARAM_INT(struct config, any, -1, INT64_MIN, INT64_MAX, "tokens", "Any number."),
	RT_PARAM_REAL(struct config, rate, 0.01, 0, INFINITY, NULL, "A rate."),
	RT_PARAM_REAL(struct config, free_, 0, -DBL_MAX, 1, "s", "At most one.",
	              .flags = RT_P_HIDDEN),
	RT_PARAM_STRING(struct config, text, NULL, "The name of a variable.", .flags = RT_P_ENV),
	RT_PARAM_PATH(struct config, path, "a \"b\"", "A folder.", .flags = RT_P_FOLDER),
	RT_PARAM_ENUM(struct config, mode, 1, modes, "How."),
	RT_PARAM_COMPONENT(struct config, loss, DISTILL, "kl", "The loss."),
	RT_PARAM_INPUT(struct config, data, DATASET, "The rows.", .flags = RT_P_REQUIRED),
	RT_PARAM_INTS(struct config, sizes, 1, 9, 0, 3, NULL,
	              "Sizes, which is a sentence that goes on for so "
	              "long that it does not fit into one line of a terminal."),
	RT_PARAM_STRINGS(struct config, names, 2, 0, "Names."),
	RT_PARAM_COMPONENTS(struct config, judges, JUDGE, 1, 1, "One judge."),
	RT_PARAM_END
};

START_TEST(a_sound_table_passes)
	{
		struct rt_error err = RT_ERROR_INIT;

		ck_assert_msg(param_vet(table, sizeof(struct config), &err) == 0, "%s", err.msg);
		ck_assert_int_eq(param_vet(NULL, 0, &err), 0);
	}
END_TEST

START_TEST(defaults_fill_a_config)
	{
		struct config c = { 0 };

		param_defaults(table, &c);
		param_defaults(NULL, &c);
		ck_assert(c.flag && c.bits == 4 && c.any == -1 && c.rate == 0.01 && c.mode == 1);
		ck_assert_ptr_null(c.text);
		ck_assert_str_eq(c.path, "a \"b\"");
		ck_assert_ptr_null(c.loss);
		ck_assert_int_eq(c.sizes.n, 0);
	}
END_TEST

START_TEST(rows_are_found_and_suggested)
	{
		ck_assert_ptr_eq(param_find(table, "bits"), &table[1]);
		ck_assert_ptr_null(param_find(table, "bit"));
		ck_assert_ptr_null(param_find(NULL, "bit"));
		ck_assert_str_eq(param_suggest(table, "bit"), "bits");
		ck_assert_ptr_null(param_suggest(NULL, "bit"));
	}
END_TEST

static const struct {
	const char *name, *want;
} type_names[] = {
	{ "flag", "bool" },
	{ "bits", "int" },
	{ "rate", "real" },
	{ "text", "string" },
	{ "path", "path" },
	{ "mode", "choice" },
	{ "loss", "distill" },
	{ "data", "dataset" },
	{ "sizes", "list of ints" },
	{ "names", "list of strings" },
	{ "judges", "list of judges" },
};

START_TEST(types_have_names_that_users_know)
	{
		ck_assert_str_eq(param_type_name(param_find(table, type_names[_i].name)),
		                 type_names[_i].want);
	}
END_TEST

static const struct {
	const char    *name;
	union rt_value v;
	const char    *want;
} values[] = {
	{ "bits", { .i = 2 }, NULL },
	{ "bits", { .i = 8 }, NULL },
	{ "bits", { .i = 9 }, "'bits' must be 2 to 8 bits, not 9" },
	{ "any", { .i = INT64_MIN }, NULL },
	{ "rate", { .r = 0 }, NULL },
	{ "rate", { .r = 1e300 }, NULL },
	{ "rate", { .r = -1e-9 }, "'rate' must be at least 0.0, not -1e-09" },
	{ "rate", { .r = NAN }, "'rate' must be at least 0.0, not nan" },
	{ "rate", { .r = INFINITY }, "'rate' must be at least 0.0, not inf" },
	{ "free_", { .r = 2 }, "'free_' must be at most 1.0 s, not 2" },
};

START_TEST(a_value_outside_is_told_the_limits)
	{
		struct rt_error err = RT_ERROR_INIT;
		const int r = param_check(param_find(table, values[_i].name), values[_i].v, &err);

		ck_assert_int_eq(r, values[_i].want ? RT_E_RANGE : 0);
		if (values[_i].want)
			ck_assert_str_eq(err.msg, values[_i].want);
	}
END_TEST

START_TEST(a_choice_is_one_of_its_words)
	{
		const struct rt_param *mode = param_find(table, "mode");
		struct rt_error        err = RT_ERROR_INIT;
		int64_t                i = -1;

		ck_assert_int_eq(param_choose(mode, "exact", &i, &err), 0);
		ck_assert_int_eq(i, 1);
		ck_assert_int_eq(param_choose(mode, "exakt", &i, &err), RT_E_RANGE);
		ck_assert_str_eq(err.msg, "'mode' must be \"fast\" or \"exact\", not \"exakt\"; "
		                          "did you mean \"exact\"?");
		ck_assert_int_eq(param_choose(mode, "best", &i, &err), RT_E_RANGE);
		ck_assert_str_eq(err.msg, "'mode' must be \"fast\" or \"exact\", not \"best\"");
	}
END_TEST

/* Rows that are wrong, each alone in a table: a sound one with something spoiled. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define ROW(...)                                                                                   \
	{                                                                                          \
		.name = "x", .doc = "Sound.", .type = RT_INT, .max.i = 9, __VA_ARGS__              \
	}
static const char *const none[] = { NULL };
static const char *const twice[] = { "a", "a", NULL };
static const struct {
	struct rt_param row;
	const char     *want;
} rows[] = {
	{ ROW(.name = ""), "parameter '': a name has lower case letters, digits and _" },
	{ ROW(.name = "Bits"), "parameter 'Bits': a name has lower case letters, digits and _" },
	{ ROW(.name = "a-b"), "parameter 'a-b': a name has lower case letters, digits and _" },
	{ ROW(.name = "1a"), "parameter '1a': a name has lower case letters, digits and _" },
	{ ROW(.type = 0), "parameter 'x': unknown type 0" },
	{ ROW(.type = 99), "parameter 'x': unknown type 99" },
	{ ROW(.doc = NULL), "parameter 'x': its doc must be a sentence with its full stop" },
	{ ROW(.doc = "."), "parameter 'x': its doc must be a sentence with its full stop" },
	{ ROW(.doc = "Two\nlines."),
	  "parameter 'x': its doc must be a sentence with its full stop" },
	{ ROW(.doc = "\xff."), "parameter 'x': its doc must be a sentence with its full stop" },
	{ ROW(.offset = 60),
	  "parameter 'x' lies outside the config of 64 bytes: is .config_size set?" },
	{ ROW(.offset = UINT32_MAX),
	  "parameter 'x' lies outside the config of 64 bytes: is .config_size set?" },
	{ ROW(.offset = 56, .list = 1),
	  "parameter 'x' lies outside the config of 64 bytes: is .config_size set?" },
	{ ROW(.dflt.i = 10), "parameter 'x': its default is outside its range" },
	{ ROW(.min.i = 10), "parameter 'x': the smallest value is above the largest" },
	{ ROW(.type = RT_REAL, .dflt.r = NAN), "parameter 'x': its default is outside its range" },
	{ ROW(.type = RT_REAL, .min.r = NAN, .max.r = 1),
	  "parameter 'x': the smallest value is above the largest" },
	{ ROW(.type = RT_BOOL, .max.i = 1, .dflt.i = 2),
	  "parameter 'x': its default is outside its range" },
	{ ROW(.type = RT_ENUM), "parameter 'x': has no choices" },
	{ ROW(.type = RT_ENUM, .choices = none), "parameter 'x': has no choices" },
	{ ROW(.type = RT_ENUM, .choices = twice, .max.i = 1),
	  "parameter 'x': a choice is there twice" },
	{ ROW(.type = RT_ENUM, .choices = modes, .max.i = 2),
	  "parameter 'x': choices must end in NULL, and the range be all of them" },
	{ ROW(.type = RT_COMPONENT), "parameter 'x': is a component of no known kind" },
	{ ROW(.type = RT_COMPONENT, .of = 99), "parameter 'x': is a component of no known kind" },
	{ ROW(.type = RT_INPUT, .of = 99), "parameter 'x': is an input of no known type" },
	{ ROW(.flags = 1u << 20), "parameter 'x': has a flag that this retort does not know" },
	{ ROW(.flags = RT_P_ENV), "parameter 'x': RT_P_ENV is for strings" },
	{ ROW(.flags = RT_P_FOLDER), "parameter 'x': RT_P_FOLDER and RT_P_WRITTEN are for paths" },
	{ ROW(.list = 2), "parameter 'x': list must be 0 or 1" },
	{ ROW(.list = 1, .least = 3, .most = 2),
	  "parameter 'x': the fewest and most values of its list make no sense" },
};

START_TEST(a_wrong_row_is_refused_by_name)
	{
		const struct rt_param t[] = { rows[_i].row, RT_PARAM_END };
		struct rt_error       err = RT_ERROR_INIT;

		ck_assert_int_eq(param_vet(t, 64, &err), RT_E_ABI);
		ck_assert_str_eq(err.msg, rows[_i].want);
	}
END_TEST

START_TEST(rows_that_collide_are_refused)
	{
		const struct rt_param same[] = { ROW(.offset = 0), ROW(.offset = 8), RT_PARAM_END };
		const struct rt_param over[] = { ROW(.offset = 0), ROW(.name = "y", .offset = 4),
			                         RT_PARAM_END };
		struct rt_param       endless[300];
		char                  names[300][8];
		struct rt_error       err = RT_ERROR_INIT;

		ck_assert_int_eq(param_vet(same, 64, &err), RT_E_ABI);
		ck_assert_str_eq(err.msg, "parameter 'x': is declared twice");
		ck_assert_int_eq(param_vet(over, 64, &err), RT_E_ABI);
		ck_assert_str_eq(err.msg, "parameters 'x' and 'y' share a field of the config");
		for (int i = 0; i < 300; i++) {
			endless[i] =
				(struct rt_param)ROW(.name = names[i], .offset = (uint32_t)i * 8);
			snprintf(names[i], sizeof names[i], "x%d", i);
		}
		ck_assert_int_eq(param_vet(endless, 1 << 20, &err), RT_E_ABI);
		ck_assert_str_eq(err.msg, "has more than 256 parameters: is RT_PARAM_END missing?");
	}
END_TEST

START_TEST(the_table_is_shown_to_people)
	{
		struct rt_text t = RT_TEXT_INIT;

		param_print_text(table, false, &t);
		ck_assert_str_eq(
			t.data,
			"  flag: bool, default true\n      A flag.\n"
			"  bits: int, 2 to 8 bits, default 4\n      Bits per weight.\n"
			"  any: int, in tokens, default -1\n      Any number.\n"
			"  rate: real, at least 0.0, default 0.01\n      A rate.\n"
			"  text: string, name of an environment variable, default none\n"
			"      The name of a variable.\n"
			"  path: path, a folder, default \"a \\\"b\\\"\"\n      A folder.\n"
			"  mode: choice, \"fast\" or \"exact\", default \"exact\"\n      How.\n"
			"  loss: distill, default \"kl\"\n      The loss.\n"
			"  data: dataset, required\n      The rows.\n"
			"  sizes: list of ints, 0 to 3, each 1 to 9, default ()\n"
			"      Sizes, which is a sentence that goes on for so long that it does "
			"not fit\n"
			"      into one line of a terminal.\n"
			"  names: list of strings, at least 2, required\n      Names.\n"
			"  judges: list of judges, exactly 1, required\n      One judge.\n");
		rt_text_clear(&t);
		param_print_text(table, true, &t);
		ck_assert_ptr_nonnull(
			strstr(t.data, "  free_: real, at most 1.0 s, default 0.0\n"));
		rt_text_free(&t);
	}
END_TEST

START_TEST(the_table_is_a_fragment_of_a_pipeline)
	{
		struct rt_text t = RT_TEXT_INIT;

		param_print_fragment(table, &t);
		ck_assert_ptr_nonnull(strstr(
			t.data,
			"  # Bits per weight.\n  # int, 2 to 8 bits, default 4\n  bits = 4;\n"));
		ck_assert_ptr_nonnull(strstr(t.data, "  # text = \"...\";\n"));
		ck_assert_ptr_nonnull(strstr(t.data, "  path = \"a \\\"b\\\"\";\n"));
		ck_assert_ptr_nonnull(strstr(t.data, "  data = \"?\";\n"));
		ck_assert_ptr_nonnull(strstr(t.data, "  sizes = ();\n"));
		rt_text_free(&t);
	}
END_TEST

static int print_all(struct rt_error *err)
{
	struct rt_text  t = RT_TEXT_INIT;
	struct rt_json *j = param_print_json(table);
	int             r = 0;

	param_print_text(table, true, &t);
	param_print_fragment(table, &t);
	if (j)
		rt_json_print(j, 0, &t);
	if (!j || t.failed)
		r = rt_fail_nomem(err, "a table");
	rt_json_free(j);
	rt_text_free(&t);
	return r;
}

START_TEST(any_allocation_may_fail)
	{
		ck_assert_int_ge(torture("alloc", print_all, RT_E_NOMEM), 50);
	}
END_TEST

RUNNER("param", 60, {
	tcase_add_test(tc, a_sound_table_passes);
	tcase_add_test(tc, defaults_fill_a_config);
	tcase_add_test(tc, rows_are_found_and_suggested);
	TABLE_TEST(tc, types_have_names_that_users_know, type_names);
	TABLE_TEST(tc, a_value_outside_is_told_the_limits, values);
	tcase_add_test(tc, a_choice_is_one_of_its_words);
	TABLE_TEST(tc, a_wrong_row_is_refused_by_name, rows);
	tcase_add_test(tc, rows_that_collide_are_refused);
	tcase_add_test(tc, the_table_is_shown_to_people);
	tcase_add_test(tc, the_table_is_a_fragment_of_a_pipeline);
	tcase_add_test(tc, any_allocation_may_fail);
})
