/* param-print.c - a parameter table for people, for a pipeline file, and for programs. */
#include "plugin/kind.h"
#include "plugin/param.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { WIDTH = 79, INDENT = 8 };

/* A number of a row's type, as pipeline files write it. */
static void print_number(const struct rt_param *p, union rt_value v, struct rt_text *out)
{
	struct rt_json *j;

	if (p->type != RT_REAL) {
		rt_text_printf(out, "%" PRId64, v.i);
		return;
	}
	j = rt_json_new_real(v.r);
	if (j)
		rt_json_print(j, 0, out);
	else
		out->failed = true;
	rt_json_free(j);
}

static bool has_least(const struct rt_param *p)
{
	return p->type == RT_REAL ? p->min.r > -DBL_MAX : p->min.i != INT64_MIN;
}

static bool has_most(const struct rt_param *p)
{
	return p->type == RT_REAL ? p->max.r < DBL_MAX : p->max.i != INT64_MAX;
}

static void print_choices(const struct rt_param *p, struct rt_text *out)
{
	for (int i = 0; p->choices[i]; i++)
		rt_text_printf(out, "%s\"%s\"",
		               i == 0              ? ""
		               : p->choices[i + 1] ? ", "
		                                   : " or ",
		               p->choices[i]);
}

void param_print_range(const struct rt_param *p, struct rt_text *out)
{
	const bool number = p->type == RT_INT || p->type == RT_REAL;

	if (p->type == RT_ENUM)
		print_choices(p, out);
	if (!number)
		return;
	if (has_least(p) && !has_most(p))
		rt_text_add(out, "at least ");
	if (has_least(p))
		print_number(p, p->min, out);
	if (has_most(p)) {
		rt_text_add(out, has_least(p) ? " to " : "at most ");
		print_number(p, p->max, out);
	}
	if (p->unit && (has_least(p) || has_most(p)))
		rt_text_printf(out, " %s", p->unit);
}

static void print_quoted(const char *s, struct rt_text *out)
{
	rt_text_add_char(out, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			rt_text_add_char(out, '\\');
		rt_text_add_char(out, *s);
	}
	rt_text_add_char(out, '"');
}

void param_print_default(const struct rt_param *p, struct rt_text *out)
{
	if (p->list) {
		rt_text_add(out, "()");
		return;
	}
	switch (p->type) {
	case RT_BOOL: rt_text_add(out, p->dflt.i ? "true" : "false"); break;
	case RT_INT:
	case RT_REAL: print_number(p, p->dflt, out); break;
	case RT_ENUM: print_quoted(p->choices[p->dflt.i], out); break;
	default:
		if (p->dflt.s)
			print_quoted(p->dflt.s, out);
		else
			rt_text_add(out, "none");
	}
}

static bool required(const struct rt_param *p)
{
	return (p->flags & RT_P_REQUIRED) || (p->list && p->least > 0);
}

static void print_count(const struct rt_param *p, struct rt_text *out)
{
	if (p->most > 0 && p->most == p->least)
		rt_text_printf(out, ", exactly %" PRId64, p->most);
	else if (p->most > 0)
		rt_text_printf(out, ", %" PRId64 " to %" PRId64, p->least, p->most);
	else if (p->least > 0)
		rt_text_printf(out, ", at least %" PRId64, p->least);
}

/* Words in lines of at most WIDTH, each begun with `lead`. */
static void print_wrapped(const char *text, const char *lead, struct rt_text *out)
{
	size_t column = 0;

	while (*text) {
		const size_t n = strcspn(text, " ");

		if (column > 0 && column + 1 + n > WIDTH) {
			rt_text_add_char(out, '\n');
			column = 0;
		}
		rt_text_add(out, column > 0 ? " " : lead);
		column += column > 0 ? 1 : strlen(lead);
		rt_text_add_n(out, text, n);
		column += n;
		text += n + (text[n] == ' ');
	}
	rt_text_add_char(out, '\n');
}

/* "int, 2 to 8 bits, default 4". */
static void print_facts(const struct rt_param *p, struct rt_text *out)
{
	struct rt_text range = RT_TEXT_INIT;

	rt_text_add(out, param_type_name(p));
	print_count(p, out);
	param_print_range(p, &range);
	if (range.len > 0)
		rt_text_printf(out, "%s%s", p->list ? ", each " : ", ", range.data);
	else if (p->unit)
		rt_text_printf(out, ", in %s", p->unit);
	if (p->flags & RT_P_ENV)
		rt_text_add(out, ", name of an environment variable");
	if (p->flags & RT_P_FOLDER)
		rt_text_add(out, ", a folder");
	out->failed = out->failed || range.failed;
	rt_text_free(&range);
	if (required(p)) {
		rt_text_add(out, ", required");
		return;
	}
	rt_text_add(out, ", default ");
	param_print_default(p, out);
}

void param_print_text(const struct rt_param *table, bool hidden, struct rt_text *out)
{
	struct rt_text facts = RT_TEXT_INIT;

	for (const struct rt_param *p = table; p && p->name; p++) {
		if ((p->flags & RT_P_HIDDEN) && !hidden)
			continue;
		rt_text_clear(&facts);
		rt_text_printf(&facts, "%s: ", p->name);
		print_facts(p, &facts);
		out->failed = out->failed || facts.failed;
		print_wrapped(facts.data, "  ", out);
		print_wrapped(p->doc, "      ", out);
	}
	rt_text_free(&facts);
}

/* What must be set stands there to be filled in; the rest is there as its default. */
static void print_setting(const struct rt_param *p, struct rt_text *out)
{
	const bool none = !p->list && p->type > RT_REAL && p->type != RT_ENUM && !p->dflt.s;

	rt_text_printf(out, "  %s%s = ", none && !required(p) ? "# " : "", p->name);
	if (required(p))
		rt_text_add(out, p->type == RT_INT || p->type == RT_REAL || p->type == RT_BOOL
		                         ? "?"
		                         : "\"?\"");
	else if (none)
		rt_text_add(out, "\"...\"");
	else
		param_print_default(p, out);
	rt_text_add(out, ";\n");
}

void param_print_fragment(const struct rt_param *table, struct rt_text *out)
{
	struct rt_text facts = RT_TEXT_INIT;

	for (const struct rt_param *p = table; p && p->name; p++) {
		if (p->flags & RT_P_HIDDEN)
			continue;
		rt_text_clear(&facts);
		print_facts(p, &facts);
		out->failed = out->failed || facts.failed;
		print_wrapped(p->doc, "  # ", out);
		print_wrapped(facts.data, "  # ", out);
		print_setting(p, out);
	}
	rt_text_free(&facts);
}

static struct rt_json *number_json(const struct rt_param *p, union rt_value v)
{
	return p->type == RT_REAL ? rt_json_new_real(v.r) : rt_json_new_int(v.i);
}

static struct rt_json *default_json(const struct rt_param *p)
{
	if (p->list)
		return rt_json_new_array();
	switch (p->type) {
	case RT_BOOL: return rt_json_new_bool(p->dflt.i != 0);
	case RT_INT:
	case RT_REAL: return number_json(p, p->dflt);
	case RT_ENUM: return rt_json_new_string(p->choices[p->dflt.i]);
	default: return rt_json_new_string(p->dflt.s);
	}
}

static struct rt_json *choices_json(const struct rt_param *p)
{
	struct rt_json *a = rt_json_new_array();
	int             r = a ? 0 : RT_E_NOMEM;

	for (int i = 0; r == 0 && p->choices[i]; i++)
		r = rt_json_append(a, rt_json_new_string(p->choices[i]));
	if (r < 0) {
		rt_json_free(a);
		return NULL;
	}
	return a;
}

static int set_limits(struct rt_json *o, const struct rt_param *p)
{
	const bool number = p->type == RT_INT || p->type == RT_REAL;
	int        r = 0;

	if (number && has_least(p))
		r |= rt_json_set(o, "min", number_json(p, p->min));
	if (number && has_most(p))
		r |= rt_json_set(o, "max", number_json(p, p->max));
	if (p->type == RT_ENUM)
		r |= rt_json_set(o, "choices", choices_json(p));
	if (p->list && p->least > 0)
		r |= rt_json_set(o, "fewest", rt_json_new_int(p->least));
	if (p->list && p->most > 0)
		r |= rt_json_set(o, "most", rt_json_new_int(p->most));
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
	r |= rt_json_set(o, "doc", rt_json_new_string(p->doc));
	r |= rt_json_set(o, "required", rt_json_new_bool(required(p)));
	if (!required(p))
		r |= rt_json_set(o, "default", default_json(p));
	r |= set_limits(o, p);
	if (p->unit)
		r |= rt_json_set(o, "unit", rt_json_new_string(p->unit));
	if (p->flags & RT_P_HIDDEN)
		r |= rt_json_set(o, "hidden", rt_json_new_bool(true));
	if (r < 0) {
		rt_json_free(o);
		return NULL;
	}
	return o;
}

struct rt_json *param_print_json(const struct rt_param *table)
{
	struct rt_json *a = rt_json_new_array();
	int             r = a ? 0 : RT_E_NOMEM;

	for (const struct rt_param *p = table; r == 0 && p && p->name; p++)
		r = rt_json_append(a, row_json(p));
	if (r < 0) {
		rt_json_free(a);
		return NULL;
	}
	return a;
}
