/* param-vet.c - is a parameter table sound?  Data only, so that a plugin is refused before it runs.
 */
#include "plugin/kind.h"
#include "plugin/param.h"

#include <retort/stage.h>

#include <math.h>
#include <string.h>

enum { MOST_ROWS = 256, MOST_NAME = 63 };

#define KNOWN_FLAGS                                                                                \
	(RT_P_REQUIRED | RT_P_NOKEY | RT_P_HIDDEN | RT_P_ENV | RT_P_FOLDER | RT_P_WRITTEN)

bool param_name_ok(const char *name, char joint)
{
	size_t n = 0;

	if (!name || *name < 'a' || *name > 'z')
		return false;
	for (; name[n]; n++)
		if (!(name[n] >= 'a' && name[n] <= 'z') && !(name[n] >= '0' && name[n] <= '9') &&
		    name[n] != joint)
			return false;
	return n <= MOST_NAME;
}

bool param_sentence_ok(const char *text)
{
	const size_t n = text ? strlen(text) : 0;

	return n > 1 && text[n - 1] == '.' && !strchr(text, '\n') && rt_utf8_check(text, n) == n;
}

static int bad(const struct rt_param *p, const char *what, struct rt_error *err)
{
	return rt_fail(err, RT_E_ABI, "parameter '%s': %s", p->name, what);
}

static int vet_choices(const struct rt_param *p, struct rt_error *err)
{
	int64_t n = 0;

	for (; p->choices && p->choices[n]; n++)
		for (int64_t k = 0; k < n; k++)
			if (strcmp(p->choices[k], p->choices[n]) == 0)
				return bad(p, "a choice is there twice", err);
	if (n == 0)
		return bad(p, "has no choices", err);
	if (p->min.i != 0 || p->max.i != n - 1)
		return bad(p, "choices must end in NULL, and the range be all of them", err);
	return 0;
}

static int vet_range(const struct rt_param *p, struct rt_error *err)
{
	const bool has_default = !p->list && !(p->flags & RT_P_REQUIRED);
	bool       order, inside;

	if (p->type == RT_REAL) {
		order = p->min.r <= p->max.r;
		inside = isfinite(p->dflt.r) && p->min.r <= p->dflt.r && p->dflt.r <= p->max.r;
	} else {
		order = p->min.i <= p->max.i;
		inside = p->min.i <= p->dflt.i && p->dflt.i <= p->max.i;
	}
	if (!order)
		return bad(p, "the smallest value is above the largest", err);
	if (has_default && !inside)
		return bad(p, "its default is outside its range", err);
	return 0;
}

static int vet_values(const struct rt_param *p, struct rt_error *err)
{
	int r = 0;

	switch (p->type) {
	case RT_ENUM: r = vet_choices(p, err); return r == 0 ? vet_range(p, err) : r;
	case RT_BOOL:
	case RT_INT:
	case RT_REAL: return vet_range(p, err);
	case RT_COMPONENT:
		return kind_abi(p->of) ? 0 : bad(p, "is a component of no known kind", err);
	case RT_INPUT:
		return p->of >= RT_DATASET && p->of < RT_ARTIFACT_END_
		               ? 0
		               : bad(p, "is an input of no known type", err);
	default: return 0;
	}
}

static int vet_flags(const struct rt_param *p, struct rt_error *err)
{
	if (p->flags & ~(uint32_t)KNOWN_FLAGS)
		return bad(p, "has a flag that this retort does not know", err);
	if ((p->flags & RT_P_ENV) && p->type != RT_STRING)
		return bad(p, "RT_P_ENV is for strings", err);
	if ((p->flags & (RT_P_FOLDER | RT_P_WRITTEN)) && p->type != RT_PATH)
		return bad(p, "RT_P_FOLDER and RT_P_WRITTEN are for paths", err);
	if (p->list > 1)
		return bad(p, "list must be 0 or 1", err);
	if (p->least < 0 || p->most < 0 || (p->most > 0 && p->most < p->least))
		return bad(p, "the fewest and most values of its list make no sense", err);
	return 0;
}

static size_t end_of(const struct rt_param *p)
{
	return p->offset + (p->list ? sizeof(struct rt_ints) : param_size(p));
}

static int vet_row(const struct rt_param *p, size_t config_size, struct rt_error *err)
{
	int r;

	if (!param_name_ok(p->name, '_'))
		return rt_fail(err, RT_E_ABI,
		               "parameter '%.80s': a name has lower case letters, digits and _",
		               p->name);
	if (p->type < RT_BOOL || p->type >= RT_TYPE_END_)
		return rt_fail(err, RT_E_ABI, "parameter '%s': unknown type %u", p->name, p->type);
	if (!param_sentence_ok(p->doc))
		return bad(p, "its doc must be a sentence with its full stop", err);
	r = vet_flags(p, err);
	if (r == 0)
		r = vet_values(p, err);
	if (r == 0 && end_of(p) > config_size)
		r = rt_fail(
			err, RT_E_ABI,
			"parameter '%s' lies outside the config of %zu bytes: is .config_size set?",
			p->name, config_size);
	return r;
}

static int vet_apart(const struct rt_param *table, const struct rt_param *p, struct rt_error *err)
{
	for (const struct rt_param *q = table; q < p; q++) {
		if (strcmp(q->name, p->name) == 0)
			return bad(p, "is declared twice", err);
		if (q->offset < end_of(p) && p->offset < end_of(q))
			return rt_fail(err, RT_E_ABI,
			               "parameters '%s' and '%s' share a field of the config",
			               q->name, p->name);
	}
	return 0;
}

int param_vet(const struct rt_param *table, size_t config_size, struct rt_error *err)
{
	for (const struct rt_param *p = table; p && p->name; p++) {
		int r;

		if (p - table >= MOST_ROWS)
			return rt_fail(err, RT_E_ABI,
			               "has more than %d parameters: is RT_PARAM_END missing?",
			               MOST_ROWS);
		r = vet_row(p, config_size, err);
		if (r == 0)
			r = vet_apart(table, p, err);
		if (r < 0)
			return r;
	}
	return 0;
}
