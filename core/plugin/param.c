/* param.c - see plugin/param.h: vet a table, find rows, store values. */
#include "plugin/param.h"

#include <retort/plugin.h>
#include <retort/stage.h>
#include <retort/text.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	size_t      size;
} types[] = {
	[RT_BOOL] = { "bool", sizeof(bool) },
	[RT_INT] = { "int", sizeof(int64_t) },
	[RT_REAL] = { "real", sizeof(double) },
	[RT_STRING] = { "string", sizeof(char *) },
	[RT_ENUM] = { "choice", sizeof(int) },
	[RT_PATH] = { "path", sizeof(char *) },
	[RT_COMPONENT] = { "component", sizeof(struct rt_component *) },
	[RT_INPUT] = { "input", sizeof(struct rt_artifact *) },
};

size_t param_size(const struct rt_param *p)
{
	return types[p->type].size;
}

const char *param_type_name(const struct rt_param *p)
{
	return types[p->type].name;
}

const struct rt_param *param_find(const struct rt_param *table, const char *name)
{
	for (const struct rt_param *p = table; p && p->name; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

const char *param_suggest(const struct rt_param *table, const char *name)
{
	const char *names[257];
	int         n = 0;

	for (const struct rt_param *p = table; p && p->name && n < 256; p++)
		names[n++] = p->name;
	names[n] = NULL;
	return rt_suggest(name, names);
}

/* " 1..8 bits", " 0..1", "" when every value is fine. */
static void add_range(const struct rt_param *p, struct rt_text *t)
{
	if (p->type == RT_INT && (p->min.i != INT64_MIN || p->max.i != INT64_MAX))
		rt_text_printf(t, "%" PRId64 "..%" PRId64, p->min.i, p->max.i);
	else if (p->type == RT_REAL && (isfinite(p->min.r) || isfinite(p->max.r)))
		rt_text_printf(t, "%g..%g", p->min.r, p->max.r);
	else if (p->type == RT_ENUM)
		for (int i = 0; p->choices[i]; i++)
			rt_text_printf(t, "%s%s", i ? "|" : "", p->choices[i]);
	if (p->unit)
		rt_text_printf(t, "%s%s", t->len ? " " : "", p->unit);
}

int param_check(const struct rt_param *p, union rt_value v, struct rt_error *err)
{
	struct rt_text range = RT_TEXT_INIT;
	bool           good;
	int            r = 0;

	if (p->type == RT_REAL)
		good = isfinite(v.r) && p->min.r <= v.r && v.r <= p->max.r;
	else if (p->type == RT_INT)
		good = p->min.i <= v.i && v.i <= p->max.i;
	else
		return 0;
	if (good)
		return 0;
	add_range(p, &range);
	if (p->type == RT_REAL)
		r = rt_fail(err, RT_E_RANGE, "%s = %g is outside %s", p->name, v.r, range.data);
	else
		r = rt_fail(err, RT_E_RANGE, "%s = %" PRId64 " is outside %s", p->name, v.i, range.data);
	rt_text_free(&range);
	return r;
}

int param_choose(const struct rt_param *p, const char *word, int64_t *ret, struct rt_error *err)
{
	struct rt_text all = RT_TEXT_INIT;
	const char    *guess;
	int            r;

	for (int i = 0; p->choices[i]; i++)
		if (strcmp(p->choices[i], word) == 0) {
			*ret = i;
			return 0;
		}
	for (int i = 0; p->choices[i]; i++)
		rt_text_printf(&all, "%s%s", i ? ", " : "", p->choices[i]);
	guess = rt_suggest(word, p->choices);
	r = rt_fail(err, RT_E_RANGE, "%s = \"%s\" must be one of %s%s%s%s", p->name, word, all.data,
	            guess ? "; did you mean '" : "", guess ? guess : "", guess ? "'?" : "");
	rt_text_free(&all);
	return r;
}

void param_store(const struct rt_param *p, void *at, union rt_value v)
{
	switch (p->type) {
	case RT_BOOL:
		*(bool *)at = v.i != 0;
		break;
	case RT_INT:
		*(int64_t *)at = v.i;
		break;
	case RT_REAL:
		*(double *)at = v.r;
		break;
	case RT_ENUM:
		*(int *)at = (int)v.i;
		break;
	case RT_STRING:
	case RT_PATH:
		*(const char **)at = v.s;
		break;
	default: /* components and inputs are filled in by the host */
		break;
	}
}

void param_defaults(const struct rt_param *table, void *config)
{
	for (const struct rt_param *p = table; p && p->name; p++)
		if (!p->list)
			param_store(p, (char *)config + p->offset, p->dflt);
}

static int bad_row(const struct rt_param *p, struct rt_error *err, const char *why)
{
	return rt_fail(err, RT_E_ABI, "parameter '%s': %s; its author must mend the table", p->name, why);
}

/* Is what the row says of its values in order? */
static int vet_values(const struct rt_param *p, struct rt_error *err)
{
	const bool optional = !(p->flags & RT_P_REQUIRED) && !p->list;

	if (p->type == RT_ENUM && (!p->choices || !p->choices[0]))
		return bad_row(p, err, "has no choices");
	if (p->type == RT_COMPONENT && (p->of < 1 || p->of >= RT_KIND_END_))
		return bad_row(p, err, "is a component of no kind");
	if (p->type == RT_INPUT && (p->of < 1 || p->of >= RT_ARTIFACT_END_))
		return bad_row(p, err, "is an input of no type");
	if (p->type == RT_INT && p->min.i > p->max.i)
		return bad_row(p, err, "has an empty range");
	if (p->type == RT_REAL && !(p->min.r <= p->max.r))
		return bad_row(p, err, "has an empty range");
	if ((p->flags & RT_P_ENV) && p->type != RT_STRING)
		return bad_row(p, err, "names an environment variable and must be a string");
	if (optional && p->type == RT_ENUM && (p->dflt.i < 0 || p->dflt.i > p->max.i))
		return bad_row(p, err, "has a default that is none of its choices");
	if (optional && (p->type == RT_INT || p->type == RT_REAL) && param_check(p, p->dflt, NULL) < 0)
		return bad_row(p, err, "has a default outside its range");
	if (p->least < 0 || p->most < 0 || (p->most > 0 && p->least > p->most))
		return bad_row(p, err, "has impossible limits of its length");
	return 0;
}

static int vet_row(const struct rt_param *p, size_t config_size, struct rt_error *err)
{
	const size_t n = strlen(p->name);
	size_t       size;

	if (n == 0 || n > 64 || !(p->name[0] >= 'a' && p->name[0] <= 'z') ||
	    strspn(p->name, "abcdefghijklmnopqrstuvwxyz0123456789_") != n)
		return bad_row(p, err, "a name has small letters, digits and _, at most 64");
	if (strcmp(p->name, "name") == 0 || strcmp(p->name, "use") == 0 || strcmp(p->name, "keep") == 0)
		return bad_row(p, err, "name, use and keep are the pipeline's own words");
	if (p->type < RT_BOOL || p->type >= RT_TYPE_END_)
		return bad_row(p, err, "has an unknown type");
	size = p->list ? sizeof(struct rt_ints) : types[p->type].size;
	if (p->offset > config_size || config_size - p->offset < size)
		return bad_row(p, err, "lies outside the config struct");
	if (!p->doc || strlen(p->doc) < 2 || p->doc[strlen(p->doc) - 1] != '.')
		return bad_row(p, err, "needs a sentence with its full stop");
	return vet_values(p, err);
}

int param_vet(const struct rt_param *table, size_t config_size, struct rt_error *err)
{
	for (const struct rt_param *p = table; p && p->name; p++) {
		int r = p - table < 256 ? vet_row(p, config_size, err)
				        : rt_fail(err, RT_E_ABI, "the parameter table has no end");

		if (r < 0)
			return r;
		if (param_find(table, p->name) != p)
			return bad_row(p, err, "is declared twice");
	}
	return 0;
}
