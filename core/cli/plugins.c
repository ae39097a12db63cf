/* plugins.c - retort plugins: which there are, and what one of them takes. */
#include "cli/command.h"
#include "plugin/param.h"
#include "plugin/registry.h"

#include <retort/stage.h>
#include <retort/text.h>

#include <stdio.h>
#include <string.h>

struct view {
	unsigned kind; /* 0: all */
	bool     json, hidden;
	int64_t  seen, refused;
};

static struct rt_json *outputs_json(const struct rt_stage_output *output)
{
	static const char *const types[RT_ARTIFACT_END_] = {
		[RT_DATASET] = "dataset", [RT_MODEL] = "model", [RT_METRICS] = "metrics"
	};
	struct rt_json *a = rt_json_new_array(), *o;
	int             r = a ? 0 : RT_E_NOMEM;

	for (; r == 0 && output->name; output++) {
		o = rt_json_new_object();
		r = rt_json_append(a, o);
		if (r == 0)
			r |= rt_json_set(o, "name", rt_json_new_string(output->name));
		if (r == 0)
			r |= rt_json_set(o, "type", rt_json_new_string(types[output->type]));
		if (r == 0)
			r |= rt_json_set(o, "doc", rt_json_new_string(output->doc));
	}
	if (r == 0)
		return a;
	rt_json_free(a);
	return NULL;
}

static struct rt_json *plugin_json(const struct rt_plugin *p, const char *file, const char *note)
{
	struct rt_json *o = rt_json_new_object();
	int             r = 0;

	if (!o)
		return NULL;
	r |= rt_json_set(o, "kind", rt_json_new_string(kind_name(p->kind)));
	r |= rt_json_set(o, "name", rt_json_new_string(p->name));
	r |= rt_json_set(o, "version", rt_json_new_string(p->version));
	r |= rt_json_set(o, "license", rt_json_new_string(p->license));
	r |= rt_json_set(o, "summary", rt_json_new_string(p->summary));
	r |= rt_json_set(o, "file", rt_json_new_string(file));
	r |= rt_json_set(o, "parameters", param_print_json(p->params));
	if (p->kind == RT_KIND_STAGE)
		r |= rt_json_set(o, "outputs", outputs_json(p->ops.stage->outputs));
	if (note)
		r |= rt_json_set(o, "note", rt_json_new_string(note));
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

static int print_json(struct rt_json *o, struct rt_error *err)
{
	struct rt_text t = RT_TEXT_INIT;
	int            r = 0;

	if (o)
		rt_json_print(o, 0, &t);
	if (!o || t.failed)
		r = rt_fail_nomem(err, "a listing");
	else
		puts(t.data);
	rt_text_free(&t);
	rt_json_free(o);
	return r;
}

static struct rt_json *refused_json(const struct registry_entry *e)
{
	struct rt_json *o = rt_json_new_object();
	int             r = 0;

	if (!o)
		return NULL;
	r |= rt_json_set(o, "id", rt_json_new_string(e->id));
	r |= rt_json_set(o, "file", rt_json_new_string(e->file));
	r |= rt_json_set(o, "refused", rt_json_new_string(e->problem));
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

static int show(void *arg, const struct registry_entry *e, struct rt_error *err)
{
	struct view *v = arg;
	const char  *name;

	if (v->kind && kind_split(e->id, &name) != v->kind)
		return 0;
	v->seen++;
	v->refused += !e->plugin;
	if (v->json)
		return print_json(e->plugin ? plugin_json(e->plugin, e->file, e->problem)
		                            : refused_json(e),
		                  err);
	if (!e->plugin)
		printf("%-20s refused: %s %s\n", e->id, e->file, e->problem);
	else
		printf("%-20s %s\n", e->id, e->plugin->summary);
	if (e->plugin && e->problem)
		printf("%-20s (%s %s)\n", "", e->file, e->problem);
	return 0;
}

static int no_kind(const char *kind, struct rt_error *err)
{
	const char *guess = kind_suggest(kind);

	return rt_fail(err, RT_E_USAGE, "plugins: there is no kind '%s'%s%s%s", kind,
	               guess ? "; did you mean '" : "", guess ? guess : "", guess ? "'?" : "");
}

static int open_id(const char *id, const struct rt_plugin **ret, struct rt_error *err)
{
	const char    *name, *guess;
	const unsigned kind = kind_split(id, &name);
	char           word[32];
	int            r;

	snprintf(word, sizeof word, "%.*s", (int)strcspn(id, "-"), id);
	if (!kind && strchr(id, '-') && kind_find(word))
		return rt_fail(err, RT_E_USAGE,
		               "plugins: '%s' lacks the name of a plugin, as in judge-exact; for "
		               "all of a kind: --kind %s",
		               id, word);
	if (!kind && strchr(id, '-'))
		return no_kind(word, err);
	if (!kind)
		return rt_fail(err, RT_E_USAGE,
		               "plugins: '%s' is no KIND-NAME, like judge-exact%s%s", id,
		               kind_find(id) ? "; for all of a kind: --kind " : "",
		               kind_find(id) ? id : "");
	r = registry_open(kind, name, ret, err);
	guess = r == RT_E_NOENT ? registry_suggest(kind, name) : NULL;
	if (guess)
		return rt_fail(err, RT_E_USAGE, "there is no %s '%s'; did you mean '%s'?",
		               kind_name(kind), name, guess);
	return r;
}

static int show_one(const struct view *v, const char *id, struct rt_error *err)
{
	const struct rt_plugin *p;
	struct rt_text          t = RT_TEXT_INIT;
	int                     r = open_id(id, &p, err);

	if (r < 0)
		return r;
	if (v->json)
		return print_json(plugin_json(p, registry_file(p), NULL), err);
	param_print_text(p->params, v->hidden, &t);
	printf("%s-%s %s (%s)\n%s\n%s\n", kind_name(p->kind), p->name, p->version, p->license,
	       p->summary, registry_file(p));
	if (p->params && p->params->name)
		printf("\nparameters:\n%s", t.data);
	if (p->kind == RT_KIND_STAGE) {
		printf("\noutputs:\n");
		for (const struct rt_stage_output *o = p->ops.stage->outputs; o->name; o++)
			printf("  %-18s %s\n", o->name, o->doc);
	}
	r = t.failed ? rt_fail_nomem(err, "a listing") : 0;
	rt_text_free(&t);
	return r;
}

static int show_fragment(const char *id, struct rt_error *err)
{
	const struct rt_plugin *p;
	struct rt_text          t = RT_TEXT_INIT;
	int                     r = open_id(id, &p, err);

	if (r < 0)
		return r;
	param_print_fragment(p->params, &t);
	printf("  { use = \"%s\";\n%s  }\n", p->name, t.data);
	rt_text_free(&t);
	return 0;
}

/* Options that say what is shown of a plugin are for one, --kind is for a list. */
static int check_use(const struct view *v, const char *id, const char *kind, bool fragment,
                     struct rt_error *err)
{
	const char *why = NULL;

	if (id && kind)
		why = "--kind is for the list, not for one plugin";
	else if (!id && fragment)
		why = "--fragment is for one plugin: name it, as judge-exact";
	else if (!id && v->hidden)
		why = "--hidden is for one plugin: name it, as judge-exact";
	else if (fragment && (v->json || v->hidden))
		why = "--fragment goes with neither --json nor --hidden";
	return why ? rt_fail(err, RT_E_USAGE, "plugins: %s", why) : 0;
}

static void print_nothing(void)
{
	printf("no plugins in\n");
	for (const char *const *folder = registry_folders(); *folder; folder++)
		printf("  %s\n", *folder);
}

static int run(const struct command *self, int argc, char **argv, struct rt_error *err)
{
	struct view         v = { 0 };
	const char         *kind = NULL;
	bool                fragment = false;
	const struct option options[] = {
		{ "kind", 0, "KIND", "only plugins of one kind", OPT_TEXT, &kind, 0, 0 },
		{ "json", 0, NULL, "one JSON object a plugin", OPT_FLAG, &v.json, 0, 0 },
		{ "hidden", 0, NULL, "hidden parameters, too", OPT_FLAG, &v.hidden, 0, 0 },
		{ "fragment", 0, NULL, "its parameters, ready to be put into a pipeline", OPT_FLAG,
		  &fragment, 0, 0 },
		OPTION_END
	};
	int r = options_read(self, options, &argc, argv, 0, 1, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = check_use(&v, argc == 1 ? argv[0] : NULL, kind, fragment, err);
	if (r < 0)
		return r;
	v.kind = kind ? kind_find(kind) : 0;
	if (kind && !v.kind)
		return no_kind(kind, err);
	r = registry_init(program_plugin_path, err);
	if (r < 0)
		return r;
	if (argc == 1)
		return fragment ? show_fragment(argv[0], err) : show_one(&v, argv[0], err);
	r = registry_each(show, &v, err);
	if (r == 0 && v.seen == 0 && !v.json)
		print_nothing();
	if (r == 0 && v.refused && !v.json)
		printf("\n%lld of %lld refused\n", (long long)v.refused, (long long)v.seen);
	return r;
}

const struct command command_plugins = {
	.name = "plugins",
	.arguments = "[KIND-NAME]",
	.summary = "List plugins; with a name, its parameters.",
	.help = "Folders, the first that has a plugin wins: --plugin-path, RETORT_PLUGIN_PATH,\n"
		"$XDG_DATA_HOME/retort/plugins (~/.local/share/...), and the installed one.\n",
	.run = run,
};
