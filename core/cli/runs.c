/* runs.c - retort runs: what is kept, where it came from, and what may go. */
#include "cli/command.h"
#include "pipeline/store.h"

#include <retort/file.h>
#include <retort/memory.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

struct view {
	struct store *store;
	const char   *name; /* PIPELINE or PIPELINE.STAGE, or NULL */
	bool          json, dry;
	int64_t       seen, bad;
};

static const char *text_of(const struct rt_json *o, const char *key)
{
	const char *s = rt_json_string(rt_json_get(o, key));

	return s ? s : "?";
}

static void print_object(const struct rt_json *m)
{
	char      when[32] = "?";
	time_t    t = (time_t)rt_json_int(rt_json_get(rt_json_get(m, "made"), "finished"), 0);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(when, sizeof when, "%Y-%m-%d %H:%M", &tm);
	printf("  finished %s, %s%.1f s", when,
	       rt_json_bool(rt_json_get(rt_json_get(m, "made"), "resumed"), false) ? "over " : "",
	       rt_json_real(rt_json_get(rt_json_get(m, "made"), "seconds"), 0));
	for (struct rt_json_iter i = rt_json_first(rt_json_get(m, "outputs")); i.key;
	     rt_json_next(&i)) {
		const int64_t rows = rt_json_int(rt_json_get(i.value, "rows"), -1);

		printf(", %s %s", i.key, text_of(i.value, "type"));
		if (rows >= 0)
			printf(" of %lld rows", (long long)rows);
	}
	if (rt_json_get(m, "gate"))
		printf(", gate not met: %s", text_of(m, "gate"));
	printf("\n");
}

static int list_run(void *arg, const char *name, bool is_dir, struct rt_error *err)
{
	struct view    *v = arg;
	struct rt_json *run, *stages;
	struct rt_error why = RT_ERROR_INIT;
	size_t          done = 0;
	int             r;

	if (!is_dir || name[0] == '.')
		return 0;
	r = store_run(v->store, name, &run, &why);
	if (r == RT_E_NOENT)
		return 0;
	v->seen++;
	if (r < 0) {
		printf("%-24s %s\n", name, r == RT_E_FORMAT ? "damaged" : "cannot be read");
		if (v->bad++ == 0 && err) /* and the others are listed, too */
			*err = why;
		return 0;
	}
	stages = rt_json_get(run, "stages");
	for (size_t i = 0; i < rt_json_length(stages); i++)
		done += store_has(v->store, text_of(rt_json_at(stages, i), "key"));
	printf("%-24s %zu of %zu stages done\n", name, done, rt_json_length(stages));
	rt_json_free(run);
	return 0;
}

static int do_list(struct view *v, struct rt_error *err)
{
	int r = rt_list_dir(store_dir(v->store), list_run, v, err);

	if (r == 0 && v->seen == 0)
		printf("no runs in %s\n", store_dir(v->store));
	return r == 0 && v->bad ? RT_E_FORMAT : r;
}

static void print_params(const struct rt_json *stage, int depth)
{
	struct rt_text t = RT_TEXT_INIT;

	for (struct rt_json_iter i = rt_json_first(rt_json_get(stage, "params")); i.key;
	     rt_json_next(&i)) {
		rt_text_clear(&t);
		rt_json_print(i.value, RT_JSON_SPACED, &t);
		printf("%*s%s = %.200s\n", 4 * depth + 4, "", i.key, t.data);
	}
	rt_text_free(&t);
}

/* An object, its parameters and files, and then the same of everything it was made from. */
static int print_lineage(const struct view *v, const char *name, const char *key, int depth,
                         struct rt_error *err)
{
	struct rt_json *m;
	int             r;

	printf("%*s%s  %.12s", 4 * depth, "", name, key);
	if (!store_has(v->store, key)) {
		printf("  not done yet\n");
		return 0;
	}
	r = store_manifest(v->store, key, &m, err);
	if (r < 0)
		return r;
	printf("  %s %s\n%*s", text_of(rt_json_get(m, "stage"), "plugin"),
	       text_of(rt_json_get(m, "stage"), "version"), 4 * depth, "");
	print_object(m);
	print_params(rt_json_get(m, "stage"), depth);
	for (size_t i = 0; i < rt_json_length(rt_json_get(m, "files")); i++) {
		const struct rt_json *f = rt_json_at(rt_json_get(m, "files"), i);

		printf("%*sfile %s  sha256 %.12s\n", 4 * depth + 4, "", text_of(f, "path"),
		       text_of(f, "sha256"));
	}
	for (size_t i = 0; r == 0 && i < rt_json_length(rt_json_get(m, "inputs")); i++) {
		const struct rt_json *in = rt_json_at(rt_json_get(m, "inputs"), i);

		r = print_lineage(v, text_of(in, "stage"), text_of(in, "key"), depth + 1, err);
	}
	rt_json_free(m);
	return r;
}

static int print_manifest(const struct view *v, const char *key, struct rt_error *err)
{
	struct rt_json *m;
	struct rt_text  t = RT_TEXT_INIT;
	int             r = store_manifest(v->store, key, &m, err);

	if (r < 0)
		return r;
	rt_json_print(m, 0, &t);
	if (t.failed)
		r = rt_fail_nomem(err, "a manifest");
	else
		puts(t.data);
	rt_text_free(&t);
	rt_json_free(m);
	return r;
}

static int do_show(struct view *v, struct rt_error *err)
{
	const char *dot = v->name ? strchr(v->name, '.') : NULL;
	char *pipeline = dot ? rt_strndup(v->name, (size_t)(dot - v->name)) : rt_strdup(v->name);
	struct rt_json *run, *stages;
	int             r;

	if (!v->name)
		return rt_fail(err, RT_E_USAGE, "runs show: which? PIPELINE or PIPELINE.STAGE");
	r = pipeline ? store_run(v->store, pipeline, &run, err) : rt_fail_nomem(err, v->name);
	rt_free(pipeline);
	if (r < 0)
		return r;
	stages = rt_json_get(run, "stages");
	for (size_t i = 0; r == 0 && i < rt_json_length(stages); i++) {
		const struct rt_json *s = rt_json_at(stages, i);
		const char           *key = text_of(s, "key");

		if (dot && strcmp(dot + 1, text_of(s, "name")) != 0)
			continue;
		v->seen++;
		if (!v->json)
			r = print_lineage(v, text_of(s, "name"), key, 0, err);
		else if (store_has(v->store, key))
			r = print_manifest(v, key, err);
	}
	if (r == 0 && v->seen == 0)
		r = rt_fail(err, RT_E_NOENT, "%s: the pipeline has no stage '%s'", v->name,
		            dot ? dot + 1 : "");
	rt_json_free(run);
	return r;
}

static int do_remove(struct view *v, struct rt_error *err)
{
	struct rt_json *run = NULL;
	char           *path;
	int             r;

	if (!v->name || v->name[0] == '.' || strchr(v->name, '/'))
		return rt_fail(err, RT_E_USAGE, "runs remove: which? a pipeline's name");
	r = store_run(v->store, v->name, &run, err);
	rt_json_free(run);
	if (r < 0 && r != RT_E_FORMAT) /* a damaged one may go */
		return r;
	path = rt_path_join(store_dir(v->store), v->name);
	r = path ? 0 : rt_fail_nomem(err, v->name);
	if (r == 0 && !v->dry)
		r = rt_remove_all(path, err);
	if (r == 0)
		printf("%s %s; `retort runs collect` frees what only it used\n",
		       v->dry ? "would remove" : "removed", path);
	rt_free(path);
	return r;
}

static int do_collect(struct view *v, struct rt_error *err)
{
	struct store_garbage g;
	int                  r = store_collect(v->store, v->dry, &g, err);

	if (r == 0)
		printf("%s %lld artifacts (%.1f MB) and %lld unfinished ones\n",
		       v->dry ? "would remove" : "removed", (long long)g.objects,
		       (double)g.bytes / 1e6, (long long)g.others);
	return r;
}

static int verify_one(void *arg, const char *key, struct rt_error *err)
{
	struct view    *v = arg;
	struct rt_error why = RT_ERROR_INIT;

	(void)err;
	v->seen++;
	if (store_verify(v->store, key, &why) < 0) {
		v->bad++;
		printf("%.12s  %s\n", key, why.msg);
	}
	return 0;
}

static int do_verify(struct view *v, struct rt_error *err)
{
	int r = store_each(v->store, verify_one, v, err);

	if (r < 0)
		return r;
	printf("%lld artifacts, %lld damaged\n", (long long)v->seen, (long long)v->bad);
	return v->bad ? rt_fail(err, RT_E_FORMAT,
	                        "%lld artifacts are damaged; remove their folders below "
	                        "%s/.store/objects and run "
	                        "again",
	                        (long long)v->bad, store_dir(v->store))
	              : 0;
}

struct action {
	const char *name;
	bool        alone; /* needs the store for itself */
	bool        named, json, dry;
	int (*run)(struct view *v, struct rt_error *err);
};

static const struct action actions[] = {
	{ "list", .run = do_list },
	{ "show", .named = true, .json = true, .run = do_show },
	{ "remove", .alone = true, .named = true, .dry = true, .run = do_remove },
	{ "collect", .alone = true, .dry = true, .run = do_collect },
	{ "verify", .run = do_verify },
};

static const struct action *find_action(const char *name)
{
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (strcmp(name, actions[i].name) == 0)
			return &actions[i];
	return NULL;
}

/* Nothing is given that the action has no use for. */
static int check_use(const struct action *a, const struct view *v, struct rt_error *err)
{
	if (v->name && !a->named)
		return rt_fail(err, RT_E_USAGE, "runs %s: is for all runs, and takes no '%s'",
		               a->name, v->name);
	if (v->json && !a->json)
		return rt_fail(err, RT_E_USAGE, "runs %s: --json is for show", a->name);
	if (v->dry && !a->dry)
		return rt_fail(err, RT_E_USAGE, "runs %s: --dry-run is for remove and collect",
		               a->name);
	return 0;
}

static int run(const struct command *self, int argc, char **argv, struct rt_error *err)
{
	const char         *runs = "runs";
	struct view         v = { 0 };
	const struct option options[] = {
		{ "runs", 'r', "FOLDER", "where results are kept (default: runs)", OPT_TEXT, &runs,
		  0, 0 },
		{ "json", 0, NULL, "show: the manifests, one a line", OPT_FLAG, &v.json, 0, 0 },
		{ "dry-run", 'n', NULL, "remove, collect: only say what would go", OPT_FLAG, &v.dry,
		  0, 0 },
		OPTION_END
	};
	const struct action *a;
	int                  r = options_read(self, options, &argc, argv, 0, 2, err);

	if (r != 0)
		return r < 0 ? r : 0;
	a = find_action(argc > 0 ? argv[0] : "list");
	if (!a)
		return rt_fail(
			err, RT_E_USAGE,
			"runs: no action '%s'; there are list, show, remove, collect and verify",
			argv[0]);
	v.name = argc > 1 ? argv[1] : NULL;
	r = check_use(a, &v, err);
	if (r == 0)
		r = store_open(&v.store, runs, false, a->alone, err);
	if (r == 0)
		r = a->run(&v, err);
	store_close(v.store);
	return r;
}

const struct command command_runs = {
	.name = "runs",
	.arguments = "[list | show PIPELINE[.STAGE] | remove PIPELINE | collect | verify]",
	.summary = "List what was run, show its lineage, verify it, free space.",
	.help = "list     every pipeline and how far it is\n"
		"show     what a pipeline's artifacts came from: plugins, parameters, files, "
		"inputs\n"
		"remove   forget a pipeline's run; its artifacts stay until collect\n"
		"collect  remove artifacts and unfinished work that no run refers to\n"
		"verify   read every artifact again and compare it with its hashes\n",
	.run = run,
};
