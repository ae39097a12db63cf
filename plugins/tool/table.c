/* table.c - tool-table: a function that looks rows up in a table.
 *
 * Arguments are columns: the rows in which all of them have the given values are the result,
 * { "rows": [ ... ], "found": how many there are }.  Equal are equal JSON values, and text that
 * spells a number or a truth value equals it, since a CSV file has only text.  An argument that is
 * no column, no argument at all, or nothing found is { "error": ... }, which the model can mend. */
#include "table.h"

#include <retort/memory.h>
#include <retort/tool.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

struct config {
	const char       *path, *function;
	struct rt_strings show;
	int64_t           limit;
};

struct state {
	const struct config *cfg;
	struct rt_json      *rows;
	struct rt_json      *columns; /* of any row: name -> true, in order */
};

static const struct rt_param params[] = {
	RT_PARAM_PATH(
		struct config, path, NULL,
		"The table: CSV with a first line of names when it ends in .csv, else JSON Lines.",
		.flags = RT_P_REQUIRED),
	RT_PARAM_STRING(struct config, function, NULL,
	                "The function's name, as the tools declare it.", .flags = RT_P_REQUIRED),
	RT_PARAM_STRINGS(struct config, show, 0, 0, "Columns of a result; all when it is empty."),
	RT_PARAM_INT(struct config, limit, 10, 1, 1 << 20, "rows", "Longest result."), RT_PARAM_END
};

/* ---- results ---- */

/* { "error": ... } */
static int mistake(const struct rt_text *text, struct rt_json **ret, struct rt_error *err)
{
	struct rt_json *o = rt_json_new_object();

	if (o &&
	    rt_json_set(o, "error",
	                text->failed ? NULL : rt_json_new_string_n(text->data, text->len)) == 0) {
		*ret = o;
		return 0;
	}
	rt_json_free(o);
	return rt_fail_nomem(err, "a result");
}

static void list_columns(const struct state *st, struct rt_text *out)
{
	const char *between = "";

	for (struct rt_json_iter i = rt_json_first(st->columns); i.key; rt_json_next(&i)) {
		rt_text_printf(out, "%s%s", between, i.key);
		between = ", ";
	}
}

/* ---- looking up ---- */

static bool number(const struct rt_json *j, double *ret)
{
	struct rt_json *n = NULL;
	const char     *s = rt_json_string(j);

	*ret = rt_json_real(j, NAN);
	if (s && (*s == '-' || (*s >= '0' && *s <= '9')) &&
	    rt_json_parse(s, rt_json_length(j), "", 1, &n, NULL) == 0)
		*ret = rt_json_real(n, NAN);
	rt_json_free(n);
	return !isnan(*ret);
}

static bool equal(const struct rt_json *cell, const struct rt_json *value)
{
	const bool  both = rt_json_is(cell, RT_JSON_STRING) && rt_json_is(value, RT_JSON_STRING);
	double      a, b;
	const char *s = rt_json_string(cell);

	if (both || rt_json_equal(cell, value))
		return rt_json_equal(cell, value);
	if (s && rt_json_is(value, RT_JSON_BOOL))
		return strcmp(s, rt_json_bool(value, false) ? "true" : "false") == 0;
	return number(cell, &a) && number(value, &b) && !(a < b) && !(a > b);
}

static bool matches(const struct rt_json *row, const struct rt_json *arguments)
{
	for (struct rt_json_iter i = rt_json_first(arguments); i.key; rt_json_next(&i))
		if (!rt_json_get(row, i.key) || !equal(rt_json_get(row, i.key), i.value))
			return false;
	return true;
}

/* A row with the columns that are shown. */
static struct rt_json *shown(const struct config *c, const struct rt_json *row)
{
	struct rt_json *o;
	int             r = 0;

	if (c->show.n == 0)
		return rt_json_ref(row);
	o = rt_json_new_object();
	for (int64_t i = 0; o && r == 0 && i < c->show.n; i++)
		if (rt_json_get(row, c->show.at[i]))
			r = rt_json_set(o, c->show.at[i],
			                rt_json_ref(rt_json_get(row, c->show.at[i])));
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

static int look_up(const struct state *st, const struct rt_json *arguments, struct rt_json *list,
                   int64_t *ret_found)
{
	int r = 0;

	*ret_found = 0;
	for (size_t i = 0; r == 0 && i < rt_json_length(st->rows); i++) {
		const struct rt_json *row = rt_json_at(st->rows, i);

		if (matches(row, arguments) && ++*ret_found <= st->cfg->limit)
			r = rt_json_append(list, shown(st->cfg, row));
	}
	return r;
}

static int find(const struct state *st, const struct rt_json *arguments, struct rt_json **ret,
                int64_t *ret_found)
{
	struct rt_json *o = rt_json_new_object(), *list = rt_json_new_array();
	int             r = o && list ? look_up(st, arguments, list, ret_found) : RT_E_NOMEM;

	if (r == 0)
		r = rt_json_set(o, "rows", rt_json_ref(list));
	if (r == 0)
		r = rt_json_set(o, "found", rt_json_new_int(*ret_found));
	rt_json_free(list);
	if (r == 0)
		*ret = o;
	else
		rt_json_free(o);
	return r;
}

/* What is wrong with the arguments, into *why; nothing leaves it empty. */
static void check_arguments(const struct state *st, const struct rt_json *arguments,
                            struct rt_text *why)
{
	if (rt_json_length(arguments) == 0)
		rt_text_add(why, "no argument was given; there are ");
	for (struct rt_json_iter i = rt_json_first(arguments); !why->len && i.key; rt_json_next(&i))
		if (!rt_json_get(st->columns, i.key))
			rt_text_printf(why, "there is no column '%s'; there are ", i.key);
	if (why->len)
		list_columns(st, why);
}

static int call(void *state, const char *name, const struct rt_json *arguments,
                struct rt_json **ret, struct rt_error *err)
{
	const struct state *st = state;
	struct rt_text      why = RT_TEXT_INIT;
	struct rt_json     *result = NULL;
	int64_t             found = 0;
	int                 r = 0;

	(void)name; /* it serves one */
	check_arguments(st, arguments, &why);
	if (!why.len && find(st, arguments, &result, &found) < 0)
		r = rt_fail_nomem(err, "a result");
	if (r == 0 && result && found == 0) {
		rt_text_add(&why, "nothing found for ");
		rt_json_print(arguments, RT_JSON_SPACED, &why);
	}
	if (r == 0 && (why.len || why.failed)) {
		rt_json_free(result);
		r = mistake(&why, &result, err);
	}
	rt_text_free(&why);
	if (r == 0)
		*ret = result;
	return r;
}

static const char *function(const void *state, int64_t i)
{
	return i == 0 ? ((const struct state *)state)->cfg->function : NULL;
}

/* ---- life ---- */

static int note_columns(struct state *st)
{
	int r = 0;

	for (size_t k = 0; k < rt_json_length(st->rows); k++)
		for (struct rt_json_iter i = rt_json_first(rt_json_at(st->rows, k));
		     r == 0 && i.key; rt_json_next(&i))
			if (!rt_json_get(st->columns, i.key))
				r = rt_json_set(st->columns, i.key, rt_json_new_bool(true));
	return r;
}

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	struct state *st = state;
	int           r;

	(void)c;
	st->cfg = config;
	r = table_read(st->cfg->path, &st->rows, err);
	if (r < 0)
		return r;
	st->columns = rt_json_new_object();
	if (!st->columns || note_columns(st) < 0)
		return rt_fail_nomem(err, "a table");
	for (int64_t i = 0; i < st->cfg->show.n; i++)
		if (!rt_json_get(st->columns, st->cfg->show.at[i]))
			return rt_fail(err, RT_E_USAGE, "show names '%s', which is no column of %s",
			               st->cfg->show.at[i], st->cfg->path);
	return 0;
}

static void close_(void *state)
{
	struct state *st = state;

	rt_json_free(st->rows);
	rt_json_free(st->columns);
}

static const struct rt_tool_ops ops = { .size = sizeof ops, .call = call, .function = function };

RT_PLUGIN(tool_table, TOOL, .name = "table", .version = "1.0", .license = "Apache-2.0",
          .summary = "A function that looks rows up in a CSV or JSON Lines file.",
          .config_size = sizeof(struct config), .params = params,
          .state_size = sizeof(struct state), .open = open_, .close = close_, .ops.tool = &ops);
