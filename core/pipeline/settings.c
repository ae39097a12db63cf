/* settings.c - see settings.h.  The only file that knows libconfig. */
#include "pipeline/settings.h"

#include "pipeline/include.h"

#include <retort/text.h>

#include <libconfig.h>
#include <stdio.h>
#include <string.h>

/* A text with its sources, while it is turned into settings. */
struct reading {
	const struct source *source;
	struct rt_arena     *arena;
	struct rt_error     *err;
};

static int convert(const struct reading *in, const config_setting_t *from, struct setting **ret);

static int convert_items(const struct reading *in, const config_setting_t *from, struct setting *to)
{
	const int n = config_setting_length(from);

	to->items = rt_arena_alloc(in->arena, (size_t)n, sizeof(struct setting *));
	if (!to->items)
		return rt_fail_nomem(in->err, "settings");
	for (int i = 0; i < n; i++) {
		int r = convert(in, config_setting_get_elem(from, (unsigned)i), &to->items[i]);

		if (r < 0)
			return r;
		to->n++;
	}
	return 0;
}

static int convert(const struct reading *in, const config_setting_t *from, struct setting **ret)
{
	struct setting          *to = rt_arena_alloc(in->arena, 1, sizeof *to);
	const struct source_line at = source_at(in->source, (int)config_setting_source_line(from));

	if (!to)
		return rt_fail_nomem(in->err, "settings");
	*ret = to;
	to->file = at.file;
	to->line = at.line;
	to->name = rt_arena_strdup(in->arena, config_setting_name(from));
	if (!to->name && config_setting_name(from))
		return rt_fail_nomem(in->err, "settings");
	switch (config_setting_type(from)) {
	case CONFIG_TYPE_BOOL:
		to->type = SET_BOOL;
		to->b = config_setting_get_bool(from);
		return 0;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		to->type = SET_INT;
		to->i = config_setting_get_int64(from);
		return 0;
	case CONFIG_TYPE_FLOAT:
		to->type = SET_REAL;
		to->r = config_setting_get_float(from);
		return 0;
	case CONFIG_TYPE_STRING:
		to->type = SET_STRING;
		to->s = rt_arena_strdup(in->arena, config_setting_get_string(from));
		if (to->s && rt_utf8_check(to->s, strlen(to->s)) < strlen(to->s))
			return rt_fail(in->err, RT_E_USAGE,
			               "%s:%d: text with \\x escapes that are not UTF-8", at.file,
			               at.line);
		return to->s ? 0 : rt_fail_nomem(in->err, "settings");
	case CONFIG_TYPE_GROUP: to->type = SET_GROUP; return convert_items(in, from, to);
	default: to->type = SET_LIST; return convert_items(in, from, to);
	}
}

/* libconfig's words for a beginner's commonest slips are short; say more where it helps. */
static const char *explain(const char *text)
{
	if (!text)
		return "cannot be read";
	if (strcmp(text, "syntax error") == 0)
		return "syntax error here or just before: a setting is name = value; a list (...) "
		       "needs commas "
		       "between its values, text needs double quotes";
	if (strcmp(text, "duplicate setting name") == 0)
		return "this name was set before in the same group; keep one of the two";
	if (strcmp(text, "mismatched element type in array") == 0)
		return "the values in [ ] must be of one type: write 1.0 beside 0.5, or use ( )";
	return text;
}

static int parse(const struct source *source, struct rt_arena *a, struct setting **ret,
                 struct rt_error *err)
{
	const struct reading in = { source, a, err };
	config_t             file;
	int                  r;

	config_init(&file);
	if (!config_read_string(&file, source->text.data)) {
		const struct source_line at = source_at(source, config_error_line(&file));

		r = rt_fail(err, RT_E_USAGE, "%s:%d: %s", at.file, at.line,
		            explain(config_error_text(&file)));
	} else {
		r = convert(&in, config_root_setting(&file), ret);
	}
	config_destroy(&file);
	return r;
}

static int read_source(const char *path, const char *text, size_t n, struct rt_arena *a,
                       struct setting **ret, struct rt_error *err)
{
	struct source source;
	int           r = source_read(&source, path, text, n, a, err);

	if (r < 0)
		return r;
	r = parse(&source, a, ret, err);
	source_free(&source);
	return r;
}

int settings_read(const char *path, struct rt_arena *a, struct setting **ret, struct rt_error *err)
{
	return read_source(path, NULL, 0, a, ret, err);
}

int settings_parse(const char *text, size_t n, const char *name, struct rt_arena *a,
                   struct setting **ret, struct rt_error *err)
{
	return read_source(name, text, n, a, ret, err);
}

struct setting *settings_get(const struct setting *group, const char *name)
{
	for (int64_t i = 0; group && i < group->n; i++)
		if (group->items[i]->name && strcmp(group->items[i]->name, name) == 0)
			return group->items[i];
	return NULL;
}

const char *settings_type_name(const struct setting *s)
{
	static const char *const names[] = {
		[SET_BOOL] = "true or false",
		[SET_INT] = "a whole number",
		[SET_REAL] = "a number with a fraction",
		[SET_STRING] = "text",
		[SET_GROUP] = "a group",
		[SET_LIST] = "a list",
	};

	return names[s->type];
}
