/* specimen.c - see specimen.h */
#include "plugin/specimen.h"

#include "plugin/component.h"
#include "plugin/param.h"
#include "plugin/registry.h"
#include "plugin/trial.h"

#include <retort/file.h>
#include <retort/memory.h>
#include <retort/stage.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct making {
	struct specimen   *s;
	const char        *folder;
	struct rt_context *context;
};

static int cannot(const struct rt_param *p, const char *what, struct rt_error *err)
{
	return rt_fail(err, RT_E_UNSUP,
	               "'%s' needs %s, which cannot be made up: give one with --set %s=...",
	               p->name, what, p->name);
}

/* The first plugin of a kind on the path. */
struct first {
	unsigned                kind;
	const struct rt_plugin *plugin;
};

static int take_first(void *arg, const struct registry_entry *e, struct rt_error *err)
{
	struct first *f = arg;

	(void)err;
	if (!f->plugin && e->plugin && e->plugin->kind == f->kind)
		f->plugin = e->plugin;
	return 0;
}

static int make_component(struct making *m, const struct rt_param *p, const char *name, void *at,
                          struct rt_error *err)
{
	struct first         f = { .kind = p->of };
	struct specimen     *part = rt_alloc(1, sizeof *part);
	struct rt_component *component;
	int                  r;

	if (!part)
		return rt_fail_nomem(err, "a component");
	r = name ? registry_open(p->of, name, &f.plugin, err) : registry_each(take_first, &f, err);
	if (r == 0 && !f.plugin)
		r = cannot(p, kind_with_article(p->of), err);
	if (r == 0)
		r = specimen_make(part, f.plugin, m->folder, m->context, NULL, err);
	if (r == 0)
		r = specimen_open(part, err);
	if (r < 0)
		return rt_within(err, r, "'%s'", p->name);
	component = &part->component;
	memcpy(at, &component, sizeof component);
	return 0;
}

static int write_rows(const char *folder, char **ret, struct rt_error *err)
{
	*ret = rt_path_join(folder, "rows.jsonl");
	return *ret ? rt_file_write(*ret, trial_rows, strlen(trial_rows), err)
	            : rt_fail_nomem(err, "a path");
}

static int make_input(struct making *m, const struct rt_param *p, void *at, struct rt_error *err)
{
	struct rt_artifact *a = rt_alloc(1, sizeof *a);
	char               *path;
	int                 r;

	if (p->of != RT_DATASET)
		return cannot(p, p->of == RT_MODEL ? "a model" : "metrics", err);
	r = a ? write_rows(m->folder, &path, err) : rt_fail_nomem(err, "an input");
	if (r < 0)
		return r;
	*a = (struct rt_artifact){ .type = p->of, .path = m->folder, .name = p->name, .rows = 2 };
	memcpy(at, &a, sizeof a);
	return 0;
}

/* The least that will do for one value. */
static int make_value(struct making *m, const struct rt_param *p, void *at, struct rt_error *err)
{
	union rt_value v = p->type == RT_BOOL || p->type == RT_STRING ? p->dflt : p->min;
	char          *path = NULL;

	switch (p->type) {
	case RT_COMPONENT: return make_component(m, p, p->dflt.s, at, err);
	case RT_INPUT: return make_input(m, p, at, err);
	case RT_PATH:
		if (write_rows(m->folder, &path, err) < 0)
			return RT_E_IO;
		v.s = p->flags & RT_P_FOLDER ? m->folder : path;
		break;
	case RT_STRING: v.s = p->flags & RT_P_ENV ? "HOME" : "text"; break;
	default: break;
	}
	param_store(p, at, v);
	return 0;
}

static int read_value(struct making *m, const struct rt_param *p, const char *text, void *at,
                      struct rt_error *err);

/* As few as will do, or the one that was given. */
static int make_list(struct making *m, const struct rt_param *p, const char *value, void *field,
                     struct rt_error *err)
{
	const int64_t  n = value ? 1 : p->least;
	const size_t   size = param_size(p);
	char          *values = rt_alloc((size_t)n, size);
	struct rt_ints list = { (void *)values, n };
	int            r = values ? 0 : rt_fail_nomem(err, "a list");

	for (int64_t i = 0; r == 0 && i < n; i++)
		r = value ? read_value(m, p, value, values + (size_t)i * size, err)
		          : make_value(m, p, values + (size_t)i * size, err);
	memcpy(field, &list, sizeof list);
	return r;
}

/* One --set value, by the type of its parameter. */
static int read_value(struct making *m, const struct rt_param *p, const char *text, void *at,
                      struct rt_error *err)
{
	union rt_value v = { .s = text };
	char          *end = NULL;
	int            r = 0;

	errno = 0;
	switch (p->type) {
	case RT_COMPONENT: return make_component(m, p, text, at, err);
	case RT_INPUT:
		return rt_fail(err, RT_E_UNSUP, "'%s' is an input, it cannot be set here", p->name);
	case RT_BOOL:
		v.i = strcmp(text, "true") == 0;
		if (!v.i && strcmp(text, "false") != 0)
			r = rt_fail(err, RT_E_USAGE, "'%s' must be true or false, not \"%s\"",
			            p->name, text);
		break;
	case RT_ENUM: r = param_choose(p, text, &v.i, err); break;
	case RT_INT: v.i = strtoll(text, &end, 10); break;
	case RT_REAL: v.r = strtod(text, &end); break;
	default: break;
	}
	if (end && (*end || end == text || errno))
		return rt_fail(err, RT_E_USAGE, "'%s' must be a number, not \"%s\"", p->name, text);
	if (r == 0 && end)
		r = param_check(p, v, err);
	if (r == 0)
		param_store(p, at, v);
	return r;
}

static const char *value_of(const char *const *set, const char *name)
{
	const size_t n = strlen(name);

	for (; set && *set; set++)
		if (strncmp(*set, name, n) == 0 && (*set)[n] == '=')
			return *set + n + 1;
	return NULL;
}

static int fill(struct making *m, const struct rt_param *p, const char *value, struct rt_error *err)
{
	void *field = (char *)m->s->config + p->offset;

	if (p->list)
		return value || p->least > 0 ? make_list(m, p, value, field, err) : 0;
	if (value)
		return read_value(m, p, value, field, err);
	if ((p->flags & RT_P_REQUIRED) || (p->type == RT_COMPONENT && p->dflt.s))
		return make_value(m, p, field, err);
	return 0;
}

static int check_names(const struct rt_plugin *plugin, const char *const *set, struct rt_error *err)
{
	for (; set && *set; set++) {
		char        name[80];
		const char *guess;

		snprintf(name, sizeof name, "%.*s", (int)strcspn(*set, "="), *set);
		guess = param_suggest(plugin->params, name);
		if (!param_find(plugin->params, name))
			return rt_fail(err, RT_E_USAGE, "%s-%s has no parameter '%s'%s%s%s",
			               kind_name(plugin->kind), plugin->name, name,
			               guess ? "; did you mean '" : "", guess ? guess : "",
			               guess ? "'?" : "");
	}
	return 0;
}

int specimen_make(struct specimen *s, const struct rt_plugin *plugin, const char *folder,
                  struct rt_context *c, const char *const *set, struct rt_error *err)
{
	struct making m = { s, folder, c };
	int           r = check_names(plugin, set, err);

	*s = (struct specimen){ .plugin = plugin };
	s->config = rt_alloc(1, plugin->config_size ? plugin->config_size : 1);
	if (!s->config)
		return rt_fail_nomem(err, "a config");
	s->component = (struct rt_component){ .plugin = plugin, .config = s->config, .context = c };
	param_defaults(plugin->params, s->config);
	for (const struct rt_param *p = plugin->params; r == 0 && p && p->name; p++)
		r = fill(&m, p, value_of(set, p->name), err);
	return r;
}

int specimen_open(struct specimen *s, struct rt_error *err)
{
	const struct rt_plugin *p = s->plugin;
	int                     r = p->check ? p->check(s->config, err) : 0;

	return r < 0 ? r : component_open(&s->component, err);
}

void specimen_close(struct specimen *s)
{
	component_close(&s->component);
}
