/* param-print.c - a parameter table for people, as a pipeline fragment, and as JSON. */
#include "plugin/param.h"

#include "plugin/registry.h"

#include <retort/stage.h>

#include <inttypes.h>
#include <math.h>
#include <stdint.h>

static const char *of_name(const struct rt_param *p)
{
	static const char *const artifacts[] = { "", "dataset", "model", "metrics" };

	if (p->type == RT_COMPONENT)
		return kind_name(p->of);
	return p->type == RT_INPUT && p->of < RT_ARTIFACT_END_ ? artifacts[p->of] : NULL;
}

static void add_type(const struct rt_param *p, struct rt_text *t)
{
	rt_text_printf(t, "%s%s", p->list ? "list of " : "", param_type_name(p));
	if (of_name(p))
		rt_text_printf(t, " (%s)", of_name(p));
}

static void add_range(const struct rt_param *p, struct rt_text *t)
{
	if (p->type == RT_INT)
		rt_text_printf(t, " %" PRId64 "..%" PRId64, p->min.i, p->max.i);
	else if (p->type == RT_REAL)
		rt_text_printf(t, " %g..%g", p->min.r, p->max.r);
	else if (p->type == RT_ENUM)
		for (int i = 0; p->choices[i]; i++)
			rt_text_printf(t, "%s%s", i ? "|" : " ", p->choices[i]);
	if (p->unit)
		rt_text_printf(t, " %s", p->unit);
	if (p->list && (p->least > 0 || p->most > 0)) {
		rt_text_printf(t, ", %" PRId64, p->least);
		if (p->most > 0)
			rt_text_printf(t, "..%" PRId64, p->most);
		rt_text_add(t, p->most > 0 ? " of them" : " or more of them");
	}
}

/* The default as it is written in a file. */
static void add_default(const struct rt_param *p, struct rt_text *t)
{
	switch (p->list ? RT_TYPE_END_ : p->type) {
	case RT_BOOL:
		rt_text_add(t, p->dflt.i ? "true" : "false");
		break;
	case RT_INT:
		rt_text_printf(t, "%" PRId64, p->dflt.i);
		break;
	case RT_REAL:
		rt_text_printf(t, p->dflt.r == floor(p->dflt.r) && fabs(p->dflt.r) < 1e6 ? "%.1f" : "%g", p->dflt.r);
		break;
	case RT_ENUM:
		rt_text_printf(t, "\"%s\"", p->choices[p->dflt.i]);
		break;
	case RT_TYPE_END_:
		rt_text_add(t, "( )");
		break;
	default:
		if (p->dflt.s)
			rt_text_printf(t, "\"%s\"", p->dflt.s);
		else
			rt_text_add(t, "none");
	}
}

static bool required(const struct rt_param *p)
{
	return (p->flags & RT_P_REQUIRED) || (p->list && p->least > 0);
}

void param_print_text(const struct rt_param *table, bool hidden, struct rt_text *out)
{
	for (const struct rt_param *p = table; p && p->name; p++) {
		if ((p->flags & RT_P_HIDDEN) && !hidden)
			continue;
		rt_text_printf(out, "  %-18s ", p->name);
		add_type(p, out);
		add_range(p, out);
		rt_text_add(out, required(p) ? ", required" : ", default ");
		if (!required(p))
			add_default(p, out);
		rt_text_printf(out, "\n                     %s\n", p->doc);
	}
}

void param_print_fragment(const struct rt_param *table, struct rt_text *out)
{
	for (const struct rt_param *p = table; p && p->name; p++) {
		const bool nothing = !required(p) && !p->list && !p->dflt.s && p->type != RT_BOOL &&
		                     p->type != RT_INT && p->type != RT_REAL && p->type != RT_ENUM;

		if (p->flags & RT_P_HIDDEN)
			continue;
		rt_text_printf(out, "    # %s\n    #   ", p->doc);
		add_type(p, out);
		add_range(p, out);
		rt_text_printf(out, "\n    %s%s = ", required(p) || nothing ? "# " : "", p->name);
		if (required(p))
			rt_text_add(out, "...");
		else
			add_default(p, out);
		rt_text_add(out, ";\n");
	}
}

static struct rt_json *default_json(const struct rt_param *p)
{
	switch (p->list ? RT_TYPE_END_ : p->type) {
	case RT_BOOL:
		return rt_json_new_bool(p->dflt.i != 0);
	case RT_INT:
		return rt_json_new_int(p->dflt.i);
	case RT_REAL:
		return rt_json_new_real(p->dflt.r);
	case RT_ENUM:
		return rt_json_new_string(p->choices[p->dflt.i]);
	case RT_TYPE_END_:
		return rt_json_new_array();
	default:
		return rt_json_new_string(p->dflt.s);
	}
}

static int set_range(struct rt_json *o, const struct rt_param *p)
{
	struct rt_json *choices;
	int             r = 0;

	if (p->type == RT_INT) {
		r |= rt_json_set(o, "min", rt_json_new_int(p->min.i));
		r |= rt_json_set(o, "max", rt_json_new_int(p->max.i));
	} else if (p->type == RT_REAL) {
		r |= rt_json_set(o, "min", rt_json_new_real(p->min.r));
		r |= rt_json_set(o, "max", rt_json_new_real(p->max.r));
	} else if (p->type == RT_ENUM) {
		choices = rt_json_new_array();
		for (int i = 0; choices && p->choices[i]; i++)
			r |= rt_json_append(choices, rt_json_new_string(p->choices[i]));
		r |= rt_json_set(o, "choices", choices);
	}
	return r;
}

static struct rt_json *row_json(const struct rt_param *p)
{
	struct rt_json *o = rt_json_new_object();
	int             r = 0;

	if (!o)
		return NULL;
	r |= rt_json_set(o, "name", rt_json_new_string(p->name));
	r |= rt_json_set(o, "type", rt_json_new_string(param_type_name(p)));
	r |= rt_json_set(o, "list", rt_json_new_bool(p->list));
	if (of_name(p))
		r |= rt_json_set(o, "of", rt_json_new_string(of_name(p)));
	r |= rt_json_set(o, "required", rt_json_new_bool(required(p)));
	if (!required(p))
		r |= rt_json_set(o, "default", default_json(p));
	r |= set_range(o, p);
	if (p->unit)
		r |= rt_json_set(o, "unit", rt_json_new_string(p->unit));
	r |= rt_json_set(o, "doc", rt_json_new_string(p->doc));
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

struct rt_json *param_print_json(const struct rt_param *table)
{
	struct rt_json *list = rt_json_new_array();

	for (const struct rt_param *p = table; list && p && p->name; p++)
		if (rt_json_append(list, row_json(p)) < 0) {
			rt_json_free(list);
			return NULL;
		}
	return list;
}
