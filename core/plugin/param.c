/* param.c - rows of a parameter table and the values they describe. */
#include "plugin/param.h"

#include "plugin/kind.h"

#include <retort/stage.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_NAMES = 256 };

const struct rt_param *param_find(const struct rt_param *table, const char *name)
{
	for (const struct rt_param *p = table; p && p->name; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

const char *param_suggest(const struct rt_param *table, const char *name)
{
	const char *names[MOST_NAMES + 1];
	int         n = 0;

	for (const struct rt_param *p = table; p && p->name && n < MOST_NAMES; p++)
		names[n++] = p->name;
	names[n] = NULL;
	return rt_suggest(name, names);
}

const char *param_type_name(const struct rt_param *p)
{
	static const char *const plain[RT_TYPE_END_][2] = {
		[RT_BOOL] = { "bool", "list of bools" },
		[RT_INT] = { "int", "list of ints" },
		[RT_REAL] = { "real", "list of reals" },
		[RT_STRING] = { "string", "list of strings" },
		[RT_ENUM] = { "choice", "list of choices" },
		[RT_PATH] = { "path", "list of paths" },
	};
#define RT_X(name, num, text, member) [num] = { text, "list of " text "s" },
	static const char *const kinds[RT_KIND_END_][2] = { RT_KIND_MAP(RT_X) };
#undef RT_X
	static const char *const artifacts[RT_ARTIFACT_END_][2] = {
		[RT_DATASET] = { "dataset", "list of datasets" },
		[RT_MODEL] = { "model", "list of models" },
		[RT_METRICS] = { "metrics", "list of metrics" },
	};

	switch (p->type) {
	case RT_COMPONENT: return kinds[p->of][p->list];
	case RT_INPUT: return artifacts[p->of][p->list];
	default: return plain[p->type][p->list];
	}
}

size_t param_size(const struct rt_param *p)
{
	switch (p->type) {
	case RT_BOOL: return sizeof(bool);
	case RT_INT: return sizeof(int64_t);
	case RT_REAL: return sizeof(double);
	case RT_ENUM: return sizeof(int);
	default: return sizeof(void *);
	}
}

static bool in_range(const struct rt_param *p, union rt_value v)
{
	if (p->type == RT_REAL)
		return isfinite(v.r) && p->min.r <= v.r && v.r <= p->max.r;
	return p->min.i <= v.i && v.i <= p->max.i;
}

int param_check(const struct rt_param *p, union rt_value v, struct rt_error *err)
{
	struct rt_text range = RT_TEXT_INIT;
	char           value[40];

	if (in_range(p, v))
		return 0;
	param_print_range(p, &range);
	if (p->type == RT_REAL)
		snprintf(value, sizeof value, "%g", v.r);
	else
		snprintf(value, sizeof value, "%" PRId64, v.i);
	rt_fail(err, RT_E_RANGE, "'%s' must be %s, not %s", p->name, range.data, value);
	rt_text_free(&range);
	return RT_E_RANGE;
}

int param_choose(const struct rt_param *p, const char *word, int64_t *ret, struct rt_error *err)
{
	const char    *guess = rt_suggest(word, p->choices);
	struct rt_text all = RT_TEXT_INIT;

	for (int64_t i = 0; p->choices[i]; i++)
		if (strcmp(p->choices[i], word) == 0) {
			*ret = i;
			return 0;
		}
	param_print_range(p, &all);
	rt_fail(err, RT_E_RANGE, "'%s' must be %s, not \"%s\"%s%s%s", p->name, all.data, word,
	        guess ? "; did you mean \"" : "", guess ? guess : "", guess ? "\"?" : "");
	rt_text_free(&all);
	return RT_E_RANGE;
}

void param_store(const struct rt_param *p, void *at, union rt_value v)
{
	const bool b = v.i != 0;
	const int  word = (int)v.i;

	switch (p->type) {
	case RT_BOOL: memcpy(at, &b, sizeof b); break;
	case RT_INT: memcpy(at, &v.i, sizeof v.i); break;
	case RT_REAL: memcpy(at, &v.r, sizeof v.r); break;
	case RT_ENUM: memcpy(at, &word, sizeof word); break;
	default: memcpy(at, &v.s, sizeof v.s); break;
	}
}

void param_defaults(const struct rt_param *table, void *config)
{
	for (const struct rt_param *p = table; p && p->name; p++)
		if (!p->list && p->type != RT_COMPONENT && p->type != RT_INPUT)
			param_store(p, (char *)config + p->offset, p->dflt);
}
