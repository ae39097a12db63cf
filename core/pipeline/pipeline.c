/* pipeline.c - see pipeline.h */
#include "pipeline/pipeline.h"

#include "pipeline/graph.h"
#include "plugin/registry.h"

#include <retort/file.h>
#include <retort/text.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_STAGES = 4000, NAME_LIMIT = 64, FILE_VERSION = 1 };

static const char *const top_keys[] = { "retort",   "name",   "seed", "stages",
	                                "trackers", "repeat", NULL };
static const char *const stage_keys[] = { "name", "use", "seed", "result", NULL };
static const char *const tracker_keys[] = { "use", NULL };

/* Names that stand for something else in a run's folder. */
static const char *const reserved[] = { "logs", "run", NULL };

/* Stands in for a name that is missing or wrong, so that reading can go on. */
static const char nameless[] = "?";

struct reader {
	struct pipeline *p;
	struct report   *report;
};

static bool good_name(const char *s)
{
	return *s >= 'a' && *s <= 'z' && strlen(s) <= NAME_LIMIT &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(s);
}

static const char *read_name(struct reader *r, const struct setting *group, const char *what)
{
	const struct setting *s = settings_get(group, "name");

	if (!s) {
		report_error(r->report, group, "%s needs a name", what);
		return NULL;
	}
	if (s->type != SET_STRING || !good_name(s->s)) {
		report_error(r->report, s,
		             "the name of %s%s%s%s must begin with a small letter and have only "
		             "small letters, "
		             "digits, _ and -, at most %d",
		             what, s->type == SET_STRING ? " ('" : "",
		             s->type == SET_STRING ? s->s : "", s->type == SET_STRING ? "')" : "",
		             NAME_LIMIT);
		return NULL;
	}
	return s->s;
}

static void check_top_keys(struct reader *r, const struct setting *root)
{
	for (int64_t i = 0; i < root->n; i++) {
		const char *key = root->items[i]->name, *guess;
		bool        known = false;

		for (int k = 0; top_keys[k]; k++)
			known |= strcmp(top_keys[k], key) == 0;
		if (known)
			continue;
		guess = rt_suggest(key, top_keys);
		report_error(r->report, root->items[i], "a pipeline has no '%s'%s%s%s", key,
		             guess ? "; did you mean '"
		                   : ", only retort, name, seed, stages, trackers and repeat",
		             guess ? guess : "", guess ? "'?" : "");
	}
}

static void read_seed(struct reader *r, const struct setting *group, int64_t *seed)
{
	const struct setting *s = settings_get(group, "seed");

	if (s && (s->type != SET_INT || s->i < 0))
		report_error(r->report, s, "seed must be a whole number from 0 on");
	else if (s)
		*seed = s->i;
}

static void read_head(struct reader *r, const struct setting *root)
{
	const struct setting *version = settings_get(root, "retort");
	struct setting        whole = { .file = r->p->file };

	check_top_keys(r, root);
	if (!version)
		report_error(r->report, &whole,
		             "retort = %d; is missing: it names the version of this format",
		             FILE_VERSION);
	else if (version->type != SET_INT || version->i != FILE_VERSION)
		report_error(r->report, version,
		             "this program reads pipelines of version retort = %d", FILE_VERSION);
	if (settings_get(root, "name"))
		r->p->name = read_name(r, root, "the pipeline");
	else
		report_error(r->report, &whole,
		             "name = \"...\"; is missing: it names the folder of the results");
	read_seed(r, root, &r->p->seed);
}

static bool to_bool(struct reader *r, const struct setting *s)
{
	if (s && s->type != SET_BOOL)
		report_error(r->report, s, "'%s' must be true or false, not %s", s->name,
		             settings_type_name(s));
	return s && s->type == SET_BOOL && s->b;
}

static void check_stage_name(struct reader *r, const struct stage *s)
{
	const struct setting *at = settings_get(s->at, "name");

	for (const struct stage *t = r->p->stages; t < s; t++)
		if (strcmp(t->name, s->name) == 0)
			report_error(r->report, at,
			             "two stages are called '%s', the other in line %d", s->name,
			             settings_get(t->at, "name")->line);
	for (int i = 0; reserved[i]; i++)
		if (strcmp(reserved[i], s->name) == 0)
			report_error(
				r->report, at,
				"a stage cannot be called '%s': the run's folder uses this name",
				s->name);
}

/* What a stage is called: its name, and the suffix of a repeat. */
static const char *name_stage(struct reader *r, const struct stage *s)
{
	const char *name = read_name(r, s->at, "a stage");
	char       *whole;

	if (!name || !*s->suffix)
		return name ? name : nameless;
	whole = rt_arena_alloc(&r->p->arena, strlen(name) + strlen(s->suffix) + 1, 1);
	if (!whole) {
		r->report->nomem = true;
		return nameless;
	}
	strcat(strcpy(whole, name), s->suffix);
	if (!good_name(whole))
		report_error(r->report, s->at,
		             "the repeat '%s' has a name of more than %d characters; give the "
		             "stage a shorter one",
		             whole, NAME_LIMIT);
	return whole;
}

/* s->suffix and s->seed are there: of a repeat they are its own. */
static void read_stage(struct reader *r, struct stage *s, const struct setting *group)
{
	const struct setting *use = settings_get(group, "use");
	struct ref          **refs = &s->refs;
	char                  who[NAME_LIMIT + 16];

	s->at = group;
	if (group->type != SET_GROUP) {
		s->name = nameless;
		report_error(r->report, group,
		             "a stage is a group { name = ...; use = ...; }, not %s",
		             settings_type_name(group));
		return;
	}
	s->name = name_stage(r, s);
	s->result = to_bool(r, settings_get(group, "result"));
	if (!*s->suffix)
		read_seed(r, group, &s->seed);
	if (s->name != nameless)
		check_stage_name(r, s);
	snprintf(who, sizeof who, "stage %s", s->name);
	if (!use || use->type != SET_STRING) {
		report_error(r->report, use ? use : group,
		             "%s needs use = \"name of a stage plugin\"", who);
		return;
	}
	s->top = bind_plugin(RT_KIND_STAGE, use->s, group, stage_keys, who, &refs, r->report);
	while (s->top && stage_ops(s)->outputs[s->n_outputs].name)
		s->n_outputs++;
}

/* ---- stages once more, with other seeds ------------------------------------------------------ */

/* The values of a list of `repeat`, or the one that stands for it. */
struct values {
	const struct setting  *at;
	struct setting *const *items;
	int64_t                n;
};

static struct values repeat_values(struct reader *r, const struct setting *repeat, const char *key)
{
	const struct setting *s = repeat->type == SET_GROUP ? settings_get(repeat, key) : NULL;

	for (int64_t i = 0; s && i < repeat->n; i++)
		if (repeat->items[i] == s && s->type != SET_LIST && s->type != SET_GROUP)
			return (struct values){ s, &repeat->items[i], 1 };
	if (s && s->type == SET_LIST)
		return (struct values){ s, s->items, s->n };
	report_error(
		r->report, s ? s : repeat,
		"%s of repeat %s; write repeat = { seeds = ( 8, 9 ); stages = ( \"a\", \"b\" ); };",
		key, s ? "must be a list" : "are missing");
	return (struct values){ .at = s };
}

static void check_seed(struct reader *r, const struct values *seeds, int64_t at)
{
	const struct setting *s = seeds->items[at];

	if (s->type != SET_INT || s->i < 0)
		report_error(r->report, s, "a seed of repeat must be a whole number from 0 on");
	for (int64_t i = 0; i < at; i++)
		if (s->type == SET_INT && seeds->items[i]->type == SET_INT &&
		    s->i == seeds->items[i]->i)
			report_error(r->report, s, "repeat names the seed %lld twice",
			             (long long)s->i);
}

/* With the stage's own seed a repeat would be the stage itself, and count as another. */
static void check_name(struct reader *r, const struct setting *root, const struct values *seeds,
                       const struct values *names, int64_t at)
{
	const struct setting *s = names->items[at];
	struct setting       *stage;
	struct rt_error       e;
	int64_t               own = r->p->seed;

	if (s->type != SET_STRING) {
		report_error(r->report, s, "stages of repeat are names, not %s",
		             settings_type_name(s));
		return;
	}
	if (settings_stage(root, s->s, &stage, &e) < 0) {
		report_error(r->report, s, "repeat: %s", e.msg);
		return;
	}
	if (settings_get(stage, "seed") && settings_get(stage, "seed")->type == SET_INT)
		own = settings_get(stage, "seed")->i;
	for (int64_t i = 0; i < at; i++)
		if (names->items[i]->type == SET_STRING && strcmp(names->items[i]->s, s->s) == 0) {
			report_error(r->report, s, "repeat names the stage '%s' twice", s->s);
			return;
		}
	for (int64_t i = 0; i < seeds->n; i++)
		if (seeds->items[i]->type == SET_INT && seeds->items[i]->i == own)
			report_error(r->report, seeds->items[i],
			             "%lld is the seed that stage %s has already: its repeat would "
			             "be the same; take another one",
			             (long long)own, s->s);
}

static void check_repeat(struct reader *r, const struct setting *root, const struct setting *repeat,
                         const struct values *seeds, const struct values *names)
{
	for (int64_t i = 0; i < repeat->n; i++)
		if (repeat->items[i] != seeds->at && repeat->items[i] != names->at)
			report_error(r->report, repeat->items[i],
			             "repeat has no '%s', only seeds and stages",
			             repeat->items[i]->name);
	if (seeds->n > 0 && names->at && names->n == 0)
		report_error(
			r->report, names->at,
			"repeat has seeds, and no stages to repeat; write seeds = ( ); if none "
			"should be");
	for (int64_t i = 0; i < seeds->n; i++)
		check_seed(r, seeds, i);
	for (int64_t i = 0; i < names->n; i++)
		check_name(r, root, seeds, names, i);
}

/* What is wrong with a stage has been said of itself: repeats come into being when nothing is. */
static void read_repeats(struct reader *r, const struct setting *root, const struct values *seeds,
                         const struct values *names)
{
	for (int64_t k = 0; k < seeds->n; k++) {
		char *suffix = rt_arena_alloc(&r->p->arena, 24, 1);

		if (!suffix) {
			r->report->nomem = true;
			return;
		}
		snprintf(suffix, 24, "_%lld", (long long)seeds->items[k]->i);
		for (int64_t i = 0; i < names->n; i++) {
			struct stage   *s = &r->p->stages[r->p->n++];
			struct setting *group = NULL;

			settings_stage(root, names->items[i]->s, &group, NULL);
			s->suffix = suffix;
			s->seed = seeds->items[k]->i;
			read_stage(r, s, group);
		}
	}
}

static void read_stages(struct reader *r, const struct setting *root)
{
	const struct setting *list = settings_get(root, "stages");
	const struct setting *repeat = settings_get(root, "repeat");
	struct setting        whole = { .file = r->p->file };
	struct values         seeds = { 0 }, names = { 0 };
	int64_t               n;

	if (!list || list->type != SET_LIST || list->n == 0) {
		report_error(r->report, list ? list : &whole,
		             "stages = ( { name = ...; use = ...; }, ... ); is missing or empty");
		return;
	}
	if (repeat) {
		seeds = repeat_values(r, repeat, "seeds");
		names = repeat_values(r, repeat, "stages");
	}
	n = list->n + seeds.n * names.n;
	if (n > MAX_STAGES || seeds.n > MAX_STAGES || names.n > MAX_STAGES) {
		report_error(r->report, list->n > MAX_STAGES ? list : repeat,
		             "%lld stages, and %lld repeated with %lld seeds: at most %d are "
		             "allowed together",
		             (long long)list->n, (long long)names.n, (long long)seeds.n,
		             MAX_STAGES);
		return;
	}
	if (repeat)
		check_repeat(r, root, repeat, &seeds, &names);
	r->p->stages = rt_arena_alloc(&r->p->arena, (size_t)n, sizeof *r->p->stages);
	if (!r->p->stages) {
		r->report->nomem = true;
		return;
	}
	for (int64_t i = 0; i < list->n; i++) {
		struct stage *s = &r->p->stages[i];

		r->p->n = i + 1;
		s->suffix = "";
		s->seed = r->p->seed;
		read_stage(r, s, list->items[i]);
	}
	if (r->report->errors == 0)
		read_repeats(r, root, &seeds, &names);
}

static void read_tracker(struct reader *r, const struct setting *s, struct ref ***refs)
{
	const struct setting *use = s->type == SET_GROUP ? settings_get(s, "use") : s;
	struct instance      *t = NULL;

	if (!use || use->type != SET_STRING)
		report_error(r->report, s, "a tracker is { use = \"name\"; ... }");
	else
		t = bind_plugin(RT_KIND_TRACKER, use->s, s->type == SET_GROUP ? s : NULL,
		                tracker_keys, "trackers", refs, r->report);
	if (t)
		r->p->trackers[r->p->n_trackers++] = t;
}

static void read_trackers(struct reader *r, const struct setting *root)
{
	struct setting *list = settings_get(root, "trackers");
	struct ref    **refs = &r->p->tracker_refs;
	int64_t         n = !list ? 0 : list->type == SET_LIST ? list->n : 1;

	r->p->trackers = rt_arena_alloc(&r->p->arena, (size_t)n, sizeof(struct instance *));
	if (!r->p->trackers) {
		r->report->nomem = true;
		return;
	}
	for (int64_t i = 0; i < n; i++)
		read_tracker(r, list->type == SET_LIST ? list->items[i] : list, &refs);
}

static void check_path(const struct ref *ref, const char *who, struct report *report)
{
	const bool  folder = ref->param->flags & RT_P_FOLDER;
	struct stat st;

	if (stat(ref->text, &st) != 0)
		report_error(report, ref->at, "%s: %s = \"%s\": there is no such %s", who,
		             ref->param->name, ref->text, folder ? "folder" : "file");
	else if (folder != S_ISDIR(st.st_mode))
		report_error(report, ref->at, "%s: %s = \"%s\" is %s, a %s is needed", who,
		             ref->param->name, ref->text,
		             S_ISDIR(st.st_mode) ? "a folder" : "no folder",
		             folder ? "folder" : "file");
	else if (!folder && !S_ISREG(st.st_mode))
		report_error(report, ref->at, "%s: %s = \"%s\" is no regular file", who,
		             ref->param->name, ref->text);
	else if (access(ref->text, R_OK | (folder ? X_OK : 0)) != 0)
		report_error(report, ref->at,
		             "%s: %s = \"%s\" may not be read by this user; check owner and mode",
		             who, ref->param->name, ref->text);
}

/* Files are there and readable; credentials are set. */
static void check_refs(const struct ref *refs, const char *who, struct report *report)
{
	for (const struct ref *ref = refs; ref; ref = ref->next) {
		const char *value = ref->what == REF_ENV ? getenv(ref->text) : NULL;

		if (ref->what == REF_PATH)
			check_path(ref, who, report);
		else if (ref->what == REF_ENV && (!value || !*value))
			report_error(report, ref->at,
			             "%s: %s names the environment variable %s, which is not set",
			             who, ref->param->name, ref->text);
	}
}

static void check_outside(const struct pipeline *p, struct report *report)
{
	char who[NAME_LIMIT + 16];

	for (int64_t i = 0; i < p->n; i++) {
		snprintf(who, sizeof who, "stage %s", p->stages[i].name);
		if (!*p->stages[i].suffix)
			check_refs(p->stages[i].refs, who, report);
	}
	check_refs(p->tracker_refs, "trackers", report);
}

static int read_root(const char *file, const struct pipeline_options *o, struct rt_arena *a,
                     struct setting **root, struct rt_error *err)
{
	int r = settings_derive(file, a, root, err);

	for (int64_t i = 0; r == 0 && o && i < o->n_set; i++)
		r = settings_override(*root, o->set[i], a, err);
	return r;
}

int pipeline_read(const char *file, const struct pipeline_options *options, struct pipeline *ret,
                  struct report *report, struct rt_error *err)
{
	struct reader   in = { ret, report };
	struct setting *root;
	int             r;

	*ret = (struct pipeline){ .arena = RT_ARENA_INIT };
	*report = (struct report){ .arena = &ret->arena };
	ret->file = rt_arena_strdup(&ret->arena, file);
	if (!ret->file)
		return rt_fail_nomem(err, file);
	r = read_root(file, options, &ret->arena, &root, err);
	if (r < 0)
		return r;
	read_head(&in, root);
	read_stages(&in, root);
	read_trackers(&in, root);
	if (!report->nomem)
		graph_build(ret, report);
	check_outside(ret, report);
	return report_result(report, err);
}

void pipeline_free(struct pipeline *p)
{
	for (int64_t i = 0; i < p->n; i++)
		bind_free(p->stages[i].top, p->stages[i].refs);
	for (int64_t i = 0; i < p->n_trackers; i++)
		bind_free(p->trackers[i], NULL);
	bind_free(NULL, p->tracker_refs);
	rt_arena_free(&p->arena);
	*p = (struct pipeline){ .arena = RT_ARENA_INIT };
}

int64_t pipeline_find(const struct pipeline *p, const char *name)
{
	for (int64_t i = 0; i < p->n; i++)
		if (strcmp(p->stages[i].name, name) == 0)
			return i;
	return -1;
}

const struct rt_stage_ops *stage_ops(const struct stage *s)
{
	return s->top->plugin->ops.stage;
}

const char *artifact_type_name(unsigned type)
{
	static const char *const names[] = {
		[RT_DATASET] = "dataset", [RT_MODEL] = "model", [RT_METRICS] = "metrics"
	};

	return type >= RT_DATASET && type < RT_ARTIFACT_END_ ? names[type] : "unknown";
}
