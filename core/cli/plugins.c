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

static struct rt_json *plugin_json(const struct rt_plugin *p, const char *file)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	if (r < 0)
		return NULL;
	r |= rt_json_set(o, "kind", rt_json_new_string(kind_name(p->kind)));
	r |= rt_json_set(o, "name", rt_json_new_string(p->name));
	r |= rt_json_set(o, "version", rt_json_new_string(p->version));
	r |= rt_json_set(o, "license", rt_json_new_string(p->license));
	r |= rt_json_set(o, "summary", rt_json_new_string(p->summary));
	r |= rt_json_set(o, "file", rt_json_new_string(file));
	r |= rt_json_set(o, "parameters", param_print_json(p->params));
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

	if (o && (rt_json_set(o, "id", rt_json_new_string(e->id)) < 0 ||
	          rt_json_set(o, "file", rt_json_new_string(e->file)) < 0 ||
	          rt_json_set(o, "refused", rt_json_new_string(e->problem)) < 0)) {
		rt_json_free(o);
		return NULL;
	}
	return o;
}

static int show(void *arg, const struct registry_entry *e, struct rt_error *err)
{
	struct view *v = arg;

	if (v->kind && strncmp(e->id, kind_name(v->kind), strlen(kind_name(v->kind))) != 0)
		return 0;
	v->seen++;
	v->refused += !e->plugin;
	if (v->json)
		return print_json(e->plugin ? plugin_json(e->plugin, e->file) : refused_json(e), err);
	if (e->plugin)
		printf("%-20s %s\n", e->id, e->plugin->summary);
	else
		printf("%-20s REFUSED: %s\n", e->id, e->problem);
	return 0;
}

static int open_id(const char *id, const struct rt_plugin **ret, struct rt_error *err)
{
	const char *dash = strchr(id, '-');
	char        kind[32];
	int         r;

	snprintf(kind, sizeof kind, "%.*s", dash ? (int)(dash - id) : 0, id);
	if (!dash || !kind_find(kind))
		return rt_fail(err, RT_E_USAGE, "plugins: '%s' is no KIND-NAME, like judge-exact", id);
	r = registry_open(kind_find(kind), dash + 1, ret, err);
	if (r == RT_E_NOENT && registry_suggest(kind_find(kind), dash + 1))
		return rt_fail(err, RT_E_USAGE, "there is no plugin %s; did you mean '%s-%s'?", id, kind,
		               registry_suggest(kind_find(kind), dash + 1));
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
		return print_json(plugin_json(p, registry_file(p)), err);
	param_print_text(p->params, v->hidden, &t);
	printf("%s-%s %s (%s)\n%s\n%s\n", kind_name(p->kind), p->name, p->version, p->license, p->summary,
	       registry_file(p));
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

static int run(const struct command *self, int argc, char **argv, struct rt_error *err)
{
	struct view         v = { 0 };
	const char         *kind = NULL;
	bool                fragment = false;
	const struct option options[] = {
		{ "kind", 0, "KIND", "only plugins of one kind", OPT_TEXT, &kind, 0, 0 },
		{ "json", 0, NULL, "one JSON object a plugin", OPT_FLAG, &v.json, 0, 0 },
		{ "hidden", 0, NULL, "hidden parameters, too", OPT_FLAG, &v.hidden, 0, 0 },
		{ "fragment", 0, NULL, "its parameters, ready to be put into a pipeline", OPT_FLAG, &fragment, 0, 0 },
		OPTION_END
	};
	int r = options_read(self, options, &argc, argv, 0, 1, err);

	if (r != 0)
		return r < 0 ? r : 0;
	v.kind = kind ? kind_find(kind) : 0;
	if (kind && !v.kind)
		return rt_fail(err, RT_E_USAGE, "plugins: there is no kind '%s'", kind);
	r = registry_init(program_plugin_path, err);
	if (r < 0)
		return r;
	if (argc == 1)
		return fragment ? show_fragment(argv[0], err) : show_one(&v, argv[0], err);
	r = registry_each(show, &v, err);
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
