/* bind.c - see bind.h */
#include "pipeline/bind.h"

#include "plugin/param.h"
#include "plugin/registry.h"

#include <retort/file.h>
#include <retort/stage.h>

#include <stdio.h>
#include <string.h>

enum { MAX_DEPTH = 8 };

/* One instance while it is being read. */
struct binding {
	struct report    *report;
	struct ref     ***refs;
	struct instance  *in;
	struct rt_json   *params; /* of the identity, lent */
	const char       *who;    /* "stage drafts: teacher-openai" */
	struct instance **last_part;
	int               depth;
};

static const char *const component_skip[] = { "use", NULL };

static struct instance *bind(unsigned kind, const char *name, const struct setting *group,
                             const struct setting *at, const char *const *skip, const char *who,
                             int depth, struct ref ***refs, struct report *report);

static void *take(struct binding *b, int64_t n, size_t size)
{
	void *p = rt_arena_alloc(b->report->arena, (size_t)n, size);

	if (!p)
		b->report->nomem = true;
	return p;
}

/* Put a value into the identity's params; a parameter that does not change the result stays out. */
static void identify(struct binding *b, const struct rt_param *p, struct rt_json *value)
{
	if (p->flags & RT_P_NOKEY)
		rt_json_free(value);
	else if (rt_json_set(b->params, p->name, value) < 0)
		b->report->nomem = true;
}

static void wrong_type(struct binding *b, const struct rt_param *p, const struct setting *s,
                       const char *want)
{
	report_error(b->report, s, "%s: '%s' must be %s, not %s", b->who, p->name, want,
	             settings_type_name(s));
}

/* The path as it can be opened: relative to the folder of the file that names it. */
static const char *resolve_path(struct binding *b, const struct setting *s)
{
	const char *slash = s->line > 0 ? strrchr(s->file, '/') : NULL;
	size_t      dir = slash && s->s[0] != '/' ? (size_t)(slash - s->file) + 1 : 0;
	char       *path = take(b, (int64_t)(dir + strlen(s->s) + 1), 1);

	if (path) {
		memcpy(path, s->file, dir);
		strcpy(path + dir, s->s);
	}
	return path;
}

/* An object that will hold { what: hash } once it is known. */
static struct rt_json *new_slot(struct binding *b, struct rt_json **ret)
{
	*ret = rt_json_new_object();
	if (!*ret)
		b->report->nomem = true;
	return *ret;
}

static void add_ref(struct binding *b, int what, const struct rt_param *p, const struct setting *s,
                    const char *text, const void **field, struct rt_json *slot)
{
	struct ref *r = take(b, 1, sizeof *r);

	if (!r)
		return;
	*r = (struct ref){ .what = what, .at = s, .param = p, .text = text, .field = field };
	r->slot = rt_json_ref(slot);
	**b->refs = r;
	*b->refs = &r->next;
}

/* Text-like values: what they are read as, what they are in the identity. */
static bool read_text(struct binding *b, const struct rt_param *p, const struct setting *s,
                      union rt_value *v, struct rt_json **id)
{
	if (s->type != SET_STRING) {
		wrong_type(b, p, s, p->type == RT_PATH ? "a path in quotes" : "text in quotes");
		return false;
	}
	if (p->type == RT_PATH && !*s->s) {
		report_error(b->report, s, "%s: '%s' is an empty path", b->who, p->name);
		return false;
	}
	v->s = p->type == RT_PATH ? resolve_path(b, s) : s->s;
	if (p->type == RT_PATH && !(p->flags & RT_P_WRITTEN))
		add_ref(b, REF_PATH, p, s, v->s, NULL, new_slot(b, id));
	else
		*id = rt_json_new_string(p->type == RT_PATH ? s->s : v->s);
	if ((p->flags & RT_P_ENV) && *s->s)
		add_ref(b, REF_ENV, p, s, v->s, NULL, NULL);
	return v->s != NULL;
}

/* One value of a type that is read on the spot.  *id is its form in the identity. */
static bool read_plain(struct binding *b, const struct rt_param *p, const struct setting *s,
                       union rt_value *v, struct rt_json **id)
{
	struct rt_error err = RT_ERROR_INIT;
	int             r = 0;

	switch (p->type) {
	case RT_BOOL:
		if (s->type != SET_BOOL)
			return wrong_type(b, p, s, "true or false"), false;
		v->i = s->b;
		*id = rt_json_new_bool(s->b);
		return true;
	case RT_INT:
		if (s->type != SET_INT)
			return wrong_type(b, p, s, "a whole number"), false;
		v->i = s->i;
		*id = rt_json_new_int(v->i);
		r = param_check(p, *v, &err);
		break;
	case RT_REAL:
		if (s->type != SET_INT && s->type != SET_REAL)
			return wrong_type(b, p, s, "a number"), false;
		v->r = s->type == SET_INT ? (double)s->i : s->r;
		*id = rt_json_new_real(v->r);
		r = param_check(p, *v, &err);
		break;
	case RT_ENUM:
		if (s->type != SET_STRING)
			return wrong_type(b, p, s, "one of its words in quotes"), false;
		*id = rt_json_new_string(s->s);
		r = param_choose(p, s->s, &v->i, &err);
		break;
	default: return read_text(b, p, s, v, id);
	}
	if (r < 0)
		report_error(b->report, s, "%s: %s", b->who, err.msg);
	return r == 0;
}

/* A component: "name", or { use = "name"; ... }.  s NULL: the default `name`. */
static struct rt_component *read_component(struct binding *b, const struct rt_param *p,
                                           const struct setting *s, const char *name,
                                           struct rt_json **id)
{
	const struct setting *use = s && s->type == SET_GROUP ? settings_get(s, "use") : s;
	struct instance      *part;

	if (s && s->type != SET_GROUP && s->type != SET_STRING)
		return wrong_type(b, p, s, "{ use = \"name\"; ... } or \"name\""), NULL;
	if (s && (!use || use->type != SET_STRING)) {
		report_error(b->report, s, "%s: '%s' needs use = \"name of a %s\"", b->who, p->name,
		             kind_name(p->of));
		return NULL;
	}
	if (b->depth >= MAX_DEPTH) {
		report_error(b->report, s, "%s: '%s': components nest deeper than %d", b->who,
		             p->name, MAX_DEPTH);
		return NULL;
	}
	part = bind(p->of, use ? use->s : name, s && s->type == SET_GROUP ? s : NULL,
	            use ? use : NULL, component_skip, b->who, b->depth + 1, b->refs, b->report);
	if (!part)
		return NULL;
	*b->last_part = part;
	b->last_part = &part->next;
	*id = part->identity;
	return &part->component;
}

/* An input: the name of a stage or of one of its outputs. */
static bool read_input(struct binding *b, const struct rt_param *p, const struct setting *s,
                       const void **field, struct rt_json **id)
{
	/* What check() sees: that there is one, and nothing of it. */
	static const struct rt_artifact unresolved = { .rows = -1 };

	if (s->type != SET_STRING) {
		wrong_type(b, p, s, "the name of a stage in quotes");
		return false;
	}
	*field = &unresolved;
	add_ref(b, REF_INPUT, p, s, s->s, field, new_slot(b, id));
	return true;
}

/* One value into `at`; *id gets its form in the identity. */
static bool read_value(struct binding *b, const struct rt_param *p, const struct setting *s,
                       void *at, struct rt_json **id)
{
	union rt_value       v = { .i = 0 };
	struct rt_component *c;

	*id = NULL;
	if (p->type == RT_INPUT)
		return read_input(b, p, s, at, id);
	if (p->type == RT_COMPONENT) {
		c = read_component(b, p, s, NULL, id);
		memcpy(at, &c, sizeof c);
		return c != NULL;
	}
	if (!read_plain(b, p, s, &v, id)) {
		rt_json_free(*id);
		*id = NULL;
		return false;
	}
	param_store(p, at, v);
	return true;
}

static void check_count(struct binding *b, const struct rt_param *p, const struct setting *s,
                        int64_t n)
{
	if (n < p->least)
		report_error(b->report, s, "%s: '%s' has %lld values, needs at least %lld", b->who,
		             p->name, (long long)n, (long long)p->least);
	else if (p->most > 0 && n > p->most)
		report_error(b->report, s, "%s: '%s' has %lld values, at most %lld are allowed",
		             b->who, p->name, (long long)n, (long long)p->most);
}

/* Every list struct of param.h is a pointer and a count. */
static void store_list(void *field, void *values, int64_t n)
{
	struct rt_ints list = { values, n };

	memcpy(field, &list, sizeof list);
}

/* A list; a value that stands alone is a list of one. */
static void read_list(struct binding *b, const struct rt_param *p, struct setting *s, void *field)
{
	struct setting *alone[1] = { s }, **items = s->type == SET_LIST ? s->items : alone;
	const int64_t   n = s->type == SET_LIST ? s->n : 1;
	const size_t    size = param_size(p);
	char           *values = take(b, n, size);
	struct rt_json *ids = rt_json_new_array(), *id;

	check_count(b, p, s, n);
	if (!values || !ids)
		b->report->nomem = true;
	for (int64_t i = 0; values && ids && i < n; i++)
		if (read_value(b, p, items[i], values + (size_t)i * size, &id) &&
		    rt_json_append(ids, id) < 0)
			b->report->nomem = true;
	store_list(field, values, values ? n : 0);
	if (ids)
		identify(b, p, ids);
}

static void read_param(struct binding *b, const struct rt_param *p, struct setting *s)
{
	void           *field = (char *)b->in->config + p->offset;
	struct rt_json *id;

	if (p->list)
		read_list(b, p, s, field);
	else if (read_value(b, p, s, field, &id))
		identify(b, p, id);
}

/* The identity of a default; the value itself is in the config already. */
static struct rt_json *default_identity(const struct rt_param *p)
{
	if (p->list)
		return rt_json_new_array();
	switch (p->type) {
	case RT_BOOL: return rt_json_new_bool(p->dflt.i != 0);
	case RT_INT: return rt_json_new_int(p->dflt.i);
	case RT_REAL: return rt_json_new_real(p->dflt.r);
	case RT_ENUM: return rt_json_new_string(p->choices[p->dflt.i]);
	case RT_STRING: return rt_json_new_string(p->dflt.s);
	default: return rt_json_new_null();
	}
}

/* A parameter that the file does not set. */
static void use_default(struct binding *b, const struct rt_param *p, const struct setting *at)
{
	struct rt_component *c;
	struct rt_json      *id;

	if ((p->flags & RT_P_REQUIRED) || (p->list && p->least > 0)) {
		report_error(b->report, at, "%s: '%s' must be set: %s", b->who, p->name, p->doc);
		return;
	}
	if (p->type == RT_COMPONENT && !p->list && p->dflt.s) {
		c = read_component(b, p, NULL, p->dflt.s, &id);
		memcpy((char *)b->in->config + p->offset, &c, sizeof c);
		if (c)
			identify(b, p, id);
		return;
	}
	if (p->type == RT_PATH && !p->list && p->dflt.s && !(p->flags & RT_P_WRITTEN)) {
		add_ref(b, REF_PATH, p, at, p->dflt.s, NULL, new_slot(b, &id));
		identify(b, p, id);
		return;
	}
	if ((p->flags & RT_P_ENV) && p->dflt.s && !p->list)
		add_ref(b, REF_ENV, p, at, p->dflt.s, NULL, NULL);
	identify(b, p, default_identity(p));
}

static bool in_list(const char *const *list, const char *word)
{
	for (; list && *list; list++)
		if (strcmp(*list, word) == 0)
			return true;
	return false;
}

static void unknown_key(struct binding *b, const struct setting *s)
{
	const char *guess = param_suggest(b->in->plugin->params, s->name);

	if (guess)
		report_error(b->report, s, "%s has no parameter '%s'; did you mean '%s'?", b->who,
		             s->name, guess);
	else
		report_error(b->report, s,
		             "%s has no parameter '%s'; `retort plugins %s-%s` lists them", b->who,
		             s->name, kind_name(b->in->plugin->kind), b->in->plugin->name);
}

static void read_all(struct binding *b, const struct setting *group, const struct setting *at,
                     const char *const *skip)
{
	const struct rt_plugin *plugin = b->in->plugin;
	const int64_t           before = b->report->errors;
	struct rt_error         err = RT_ERROR_INIT;

	for (int64_t i = 0; group && i < group->n; i++) {
		struct setting        *s = group->items[i];
		const struct rt_param *p = param_find(plugin->params, s->name);

		if (in_list(skip, s->name))
			continue;
		if (p)
			read_param(b, p, s);
		else
			unknown_key(b, s);
	}
	for (const struct rt_param *p = plugin->params; p && p->name; p++)
		if (!group || !settings_get(group, p->name))
			use_default(b, p, at);
	if (b->report->errors != before || b->report->nomem || !plugin->check ||
	    plugin->check(b->in->config, &err) == 0)
		return;
	if (err.code == RT_E_NOMEM)
		b->report->nomem = true;
	else
		report_error(b->report, at, "%s: %s", b->who, err.msg);
}

/* { "plugin": "judge-exact", "version": "1.0", "params": {} } */
static bool new_identity(struct binding *b, const char *id)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	b->params = rt_json_new_object();
	if (r == 0)
		r |= rt_json_set(o, "plugin", rt_json_new_string(id));
	if (r == 0)
		r |= rt_json_set(o, "version", rt_json_new_string(b->in->plugin->version));
	if (r == 0)
		r |= rt_json_set(o, "params", b->params);
	else
		rt_json_free(b->params);
	if (r < 0) {
		rt_json_free(o);
		b->report->nomem = true;
		return false;
	}
	b->in->identity = o;
	return true;
}

static void no_plugin(struct report *report, const struct setting *at, const char *who,
                      unsigned kind, const char *name, const struct rt_error *err)
{
	const char *guess = err->code == RT_E_NOENT ? registry_suggest(kind, name) : NULL;

	if (err->code == RT_E_NOMEM)
		report->nomem = true;
	else if (guess)
		report_error(report, at, "%s: there is no %s '%s'; did you mean '%s'?", who,
		             kind_name(kind), name, guess);
	else
		report_error(report, at, "%s: %s", who, err->msg);
}

static struct instance *bind(unsigned kind, const char *name, const struct setting *group,
                             const struct setting *at, const char *const *skip, const char *who,
                             int depth, struct ref ***refs, struct report *report)
{
	struct binding          b = { .report = report, .refs = refs, .depth = depth };
	const struct rt_plugin *plugin;
	struct rt_error         err = RT_ERROR_INIT;
	char                    id[160], label[400];

	if (registry_open(kind, name, &plugin, &err) < 0) {
		no_plugin(report, at, who, kind, name, &err);
		return NULL;
	}
	snprintf(id, sizeof id, "%s-%s", kind_name(kind), name);
	snprintf(label, sizeof label, "%s: %s", who, id);
	b.in = take(&b, 1, sizeof *b.in);
	b.who = rt_arena_strdup(report->arena, label);
	if (!b.in || !b.who) {
		report->nomem = true;
		return NULL;
	}
	b.in->plugin = plugin;
	b.in->config = take(&b, 1, plugin->config_size ? plugin->config_size : 1);
	b.last_part = &b.in->parts;
	if (!b.in->config || !new_identity(&b, id))
		return NULL;
	b.in->component = (struct rt_component){ .plugin = plugin, .config = b.in->config };
	param_defaults(plugin->params, b.in->config);
	read_all(&b, group, at, skip);
	return b.in;
}

struct instance *bind_plugin(unsigned kind, const char *name, const struct setting *group,
                             const char *const *skip, const char *who, struct ref ***refs,
                             struct report *report)
{
	const struct setting *use = settings_get(group, "use");

	return bind(kind, name, group, use ? use : group, skip, who, 0, refs, report);
}

void bind_free(struct instance *top, struct ref *refs)
{
	if (top)
		rt_json_free(top->identity);
	for (; refs; refs = refs->next)
		rt_json_free(refs->slot);
}
