/* base.c - a pipeline file that is another one with changes: base, name, seed, trackers, repeat,
 * set, and more stages. */
#include "pipeline/settings.h"

#include <retort/file.h>
#include <retort/memory.h>
#include <retort/text.h>

#include <string.h>

enum { DEEPEST = 8 };

static const char *const keys[] = { "retort", "base",   "name",   "seed", "trackers",
	                            "set",    "stages", "repeat", NULL };

static int wrong(const struct setting *at, struct rt_error *err, const char *fmt, const char *what)
{
	const int r = rt_fail(err, RT_E_USAGE, fmt, what);

	return rt_within(err, r, "%s:%d", at->file, at->line);
}

static int check_keys(const struct setting *root, struct rt_error *err)
{
	for (int64_t i = 0; i < root->n; i++) {
		bool known = false;

		for (int k = 0; keys[k]; k++)
			known |= strcmp(keys[k], root->items[i]->name) == 0;
		if (!known)
			return wrong(root->items[i], err,
			             "a pipeline with a base has no '%s', only retort, base, name, "
			             "seed, trackers, repeat, set and stages; set = { stage = { "
			             "key = value; }; "
			             "} changes what the base says",
			             root->items[i]->name);
	}
	return 0;
}

/* The members of each group of `set` into the stage of that name. */
static int change_stages(struct setting *root, const struct setting *set, struct rt_arena *a,
                         struct rt_error *err)
{
	int r = 0;

	if (set->type != SET_GROUP)
		return wrong(set, err, "set is a group { stage = { key = value; }; }, not %s",
		             settings_type_name(set));
	for (int64_t i = 0; r == 0 && i < set->n; i++) {
		struct setting *changes = set->items[i], *stage;

		if (changes->type != SET_GROUP)
			return wrong(changes, err, "what is set of stage '%s' is a group { }",
			             changes->name);
		r = settings_stage(root, changes->name, &stage, err);
		if (r < 0)
			return rt_within(err, r, "%s:%d", changes->file, changes->line);
		for (int64_t k = 0; r == 0 && k < changes->n; k++)
			r = settings_put(stage, changes->items[k], a, err);
	}
	return r;
}

/* The base's stages, and behind them those of the file. */
static int add_stages(struct setting *root, const struct setting *more, struct rt_arena *a,
                      struct rt_error *err)
{
	struct setting *stages = settings_get(root, "stages"), **items;

	if (more->type != SET_LIST || !stages || stages->type != SET_LIST)
		return wrong(more, err,
		             "stages are a list ( { name = ...; use = ...; }, ... ), not %s",
		             settings_type_name(more->type != SET_LIST || !stages ? more : stages));
	items = rt_arena_alloc(a, (size_t)(stages->n + more->n), sizeof(struct setting *));
	if (!items)
		return rt_fail_nomem(err, "settings");
	memcpy(items, stages->items, (size_t)stages->n * sizeof(struct setting *));
	memcpy(items + stages->n, more->items, (size_t)more->n * sizeof(struct setting *));
	stages->items = items;
	stages->n += more->n;
	return 0;
}

/* The path of the base, from the folder of the file that names it. */
static char *path_of(const struct setting *base)
{
	const char *slash = strrchr(base->file, '/');
	char       *folder = slash ? rt_strdup(base->file) : NULL, *path;

	if (!slash || *base->s == '/')
		path = rt_strdup(base->s);
	else if (folder) {
		folder[slash - base->file + 1] = '\0';
		path = rt_path_join(folder, base->s);
	} else
		path = NULL;
	rt_free(folder);
	return path;
}

static int derive(const char *path, int depth, struct rt_arena *a, struct setting **ret,
                  struct rt_error *err)
{
	static const char *const taken[] = { "name", "seed", "trackers", "repeat", NULL };
	struct setting          *root, *base, *set, *more;
	char                    *from;
	int                      r = settings_read(path, a, &root, err);

	if (r < 0)
		return r;
	*ret = root;
	base = settings_get(root, "base");
	if (!base)
		return 0;
	r = check_keys(root, err);
	if (r < 0)
		return r;
	if (base->type != SET_STRING)
		return wrong(base, err, "base is the path of a pipeline file, not %s",
		             settings_type_name(base));
	if (depth == DEEPEST)
		return wrong(base, err, "bases of bases more than 8 deep: does '%s' name itself?",
		             base->s);
	from = path_of(base);
	r = from ? derive(from, depth + 1, a, ret, err) : rt_fail_nomem(err, "a path");
	if (r == RT_E_NOENT || r == RT_E_IO) /* other errors name their line */
		r = rt_within(err, RT_E_USAGE, "%s:%d: base", base->file, base->line);
	rt_free(from);
	for (int k = 0; r == 0 && taken[k]; k++)
		if (settings_get(root, taken[k]))
			r = settings_put(*ret, settings_get(root, taken[k]), a, err);
	set = settings_get(root, "set");
	more = settings_get(root, "stages");
	if (r == 0 && set)
		r = change_stages(*ret, set, a, err);
	return r == 0 && more ? add_stages(*ret, more, a, err) : r;
}

int settings_derive(const char *path, struct rt_arena *a, struct setting **ret,
                    struct rt_error *err)
{
	return derive(path, 0, a, ret, err);
}
