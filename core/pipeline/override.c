/* override.c - --set path.to.key=value, applied to the tree before anybody reads it. */
#include "pipeline/settings.h"

#include <retort/text.h>

#include <string.h>

static int64_t named(const struct setting *list, const char *name)
{
	for (int64_t i = 0; i < list->n; i++) {
		const struct setting *s = settings_get(list->items[i], "name");

		if (list->items[i]->type == SET_GROUP && s && s->type == SET_STRING &&
		    strcmp(s->s, name) == 0)
			return i;
	}
	return -1;
}

static int no_such(const struct setting *at, const char *part, struct rt_error *err)
{
	const char *names[256];
	const char *guess;
	int64_t     n = 0;

	for (int64_t i = 0; i < at->n && n < 255; i++) {
		const struct setting *name = settings_get(at->items[i], "name");

		if (at->type == SET_LIST && name && name->type == SET_STRING)
			names[n++] = name->s;
		else if (at->type == SET_GROUP)
			names[n++] = at->items[i]->name;
	}
	names[n] = NULL;
	guess = rt_suggest(part, names);
	return rt_fail(err, RT_E_USAGE, "nothing here is called '%s'%s%s%s", part,
	               guess ? "; did you mean '" : "", guess ? guess : "", guess ? "'?" : "");
}

/* Step from a group or list into the part called `part`; stages may be named directly. */
static struct setting *step(struct setting *at, const char *part, bool top)
{
	struct setting *stages = top ? settings_get(at, "stages") : NULL;
	struct setting *next = at->type == SET_GROUP ? settings_get(at, part) : NULL;
	int64_t         i;

	if (next)
		return next;
	if (at->type == SET_LIST)
		stages = at;
	i = stages ? named(stages, part) : -1;
	return i >= 0 ? stages->items[i] : NULL;
}

static int read_value(const char *text, const char *label, struct rt_arena *a, struct setting **ret,
                      struct rt_error *err)
{
	struct rt_text  t = RT_TEXT_INIT;
	struct setting *root, *s = NULL;
	int             r;

	rt_text_printf(&t, "value = %s;", text);
	r = t.failed ? rt_fail_nomem(err, label)
	             : settings_parse(t.data, t.len, label, a, &root, NULL);
	rt_text_free(&t);
	if (r == 0 && root->n == 1)
		s = root->items[0];
	if (!s && r != RT_E_NOMEM) {
		s = rt_arena_alloc(a, 1, sizeof *s);
		if (s) {
			s->type = SET_STRING;
			s->s = rt_arena_strdup(a, text);
		}
	}
	if (!s || (s->type == SET_STRING && !s->s))
		return rt_fail_nomem(err, label);
	*ret = s;
	return 0;
}

static void mark(struct setting *s, const char *label)
{
	s->file = label;
	s->line = 0;
	for (int64_t i = 0; i < s->n; i++)
		mark(s->items[i], label);
}

int settings_put(struct setting *group, struct setting *value, struct rt_arena *a,
                 struct rt_error *err)
{
	struct setting **more;

	for (int64_t i = 0; i < group->n; i++)
		if (strcmp(group->items[i]->name, value->name) == 0) {
			group->items[i] = value;
			return 0;
		}
	more = rt_arena_alloc(a, (size_t)group->n + 1, sizeof *more);
	if (!more)
		return rt_fail_nomem(err, "settings");
	if (group->n > 0)
		memcpy(more, group->items, (size_t)group->n * sizeof *more);
	more[group->n++] = value;
	group->items = more;
	return 0;
}

int settings_stage(const struct setting *root, const char *name, struct setting **ret,
                   struct rt_error *err)
{
	const struct setting *stages = settings_get(root, "stages");
	const int64_t         i = stages ? named(stages, name) : -1;

	if (i < 0)
		return no_such(stages ? stages : root, name, err);
	*ret = stages->items[i];
	return 0;
}

int settings_override(struct setting *root, const char *assignment, struct rt_arena *a,
                      struct rt_error *err)
{
	char *label = rt_arena_alloc(a, strlen(assignment) + sizeof "--set ", 1);
	char *path = rt_arena_strdup(a, assignment), *eq = path ? strchr(path, '=') : NULL;
	struct setting *at = root, *value = NULL;
	bool            top = true;
	int             r;

	if (!label || !path)
		return rt_fail_nomem(err, "--set");
	strcat(strcpy(label, "--set "), assignment);
	if (!eq || eq == path)
		return rt_fail(err, RT_E_USAGE, "--set '%s': write stage.key=value", assignment);
	*eq = '\0';
	for (char *dot; (dot = strchr(path, '.')); path = dot + 1, top = false) {
		struct setting *next;

		*dot = '\0';
		next = step(at, path, top);
		if (!next) {
			const struct setting *stages = top ? settings_get(root, "stages") : at;

			return rt_within(err, no_such(stages ? stages : at, path, err), "%s",
			                 label);
		}
		at = next;
	}
	if (at->type != SET_GROUP || !*path)
		return rt_fail(err, RT_E_USAGE,
		               "%s: '%s' is no key of a stage; write stage.key=value", label, path);
	r = read_value(eq + 1, label, a, &value, err);
	if (r < 0)
		return r;
	mark(value, label);
	value->name = path;
	return settings_put(at, value, a, err);
}
