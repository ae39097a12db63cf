/* new-plugin.c - retort new-plugin: a project of one's own that builds, tests and installs a
 * plugin. */
#include "cli/command.h"
#include "plugin/kind.h"
#include "plugin/param.h"

#include <retort/file.h>
#include <retort/memory.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is written for @WORDS@ in templates. */
struct words {
	const char *kind, *name;
	char        kindup[32], id[80], source[128], use[128];
	const char *where;
};

/* How a pipeline uses a plugin of each kind: what stands around its name, and where that stands. */
static const struct {
	const char *before, *behind, *where;
} uses[RT_KIND_END_] = {
	[RT_KIND_STAGE] = { "{ name = \"mine\"; use = \"", "\"; }", "among the stages" },
	[RT_KIND_TEACHER] = { "teacher = { use = \"", "\"; };",
	                      "in a stage that asks one, as sample" },
	[RT_KIND_TOOL] = { "functions = ( { use = \"", "\"; } );",
	                   "in a stage that calls functions, as prototype" },
	[RT_KIND_JUDGE] = { "judges = ( { use = \"", "\"; } );",
	                    "in a stage that judges answers, as evaluate or reject" },
	[RT_KIND_SAMPLER] = { "sampler = { use = \"", "\"; };",
	                      "in a teacher that draws tokens, as local" },
	[RT_KIND_REJECTOR] = { "keep = { use = \"", "\"; };",
	                       "in a stage that selects, as reject" },
	[RT_KIND_RL] = { "rl = { use = \"", "\"; };",
	                 "in a stage that learns from rewards, as reinforce or prefer" },
	[RT_KIND_DISTILL] = { "loss = { use = \"", "\"; };",
	                      "in a stage that learns from a teacher's scores, as distill" },
	[RT_KIND_PRUNER] = { "pruner = { use = \"", "\"; };", "in a stage that prunes, as prune" },
	[RT_KIND_QUANTIZER] = { "quantizer = { use = \"", "\"; };",
	                        "in a stage that quantizes, as quantize" },
	[RT_KIND_OPTIMIZER] = { "optimizer = { use = \"", "\"; };",
	                        "in a stage that trains, as train or distill" },
	[RT_KIND_FORMAT] = { "format = { use = \"", "\"; };",
	                     "in a stage that reads or writes models, as model or export" },
	[RT_KIND_TRACKER] = { "trackers = ( { use = \"", "\"; } );", "beside the stages" },
};

struct project {
	const char  *templates;
	char        *folder; /* where it grows, before it gets its name */
	struct words words;
};

static const char *meaning(const struct words *w, const char *word, size_t n)
{
	const struct {
		const char *word, *text;
	} all[] = { { "@KIND@", w->kind }, { "@KINDUP@", w->kindup }, { "@NAME@", w->name },
		    { "@ID@", w->id },     { "@USE@", w->use },       { "@WHERE@", w->where } };

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (strlen(all[i].word) == n && memcmp(all[i].word, word, n) == 0)
			return all[i].text;
	return NULL;
}

static void substitute(const struct words *w, const struct rt_text *in, struct rt_text *out)
{
	const char *p = in->data, *end = p + in->len;

	while (p < end) {
		const char  *at = memchr(p, '@', (size_t)(end - p));
		const char  *close = at ? memchr(at + 1, '@', (size_t)(end - at - 1)) : NULL;
		const char  *text = close ? meaning(w, at, (size_t)(close + 1 - at)) : NULL;
		const size_t n = (size_t)((text ? at : at ? at + 1 : end) - p);

		rt_text_add_n(out, p, n);
		if (text)
			rt_text_add(out, text);
		p = text ? close + 1 : p + n;
	}
}

static int copy(const struct project *p, const char *from, const char *to, struct rt_error *err)
{
	struct rt_text in = RT_TEXT_INIT, out = RT_TEXT_INIT;
	char *source = rt_path_join(p->templates, from), *target = rt_path_join(p->folder, to);
	int r = source && target ? rt_file_read(source, 0, &in, err) : rt_fail_nomem(err, "a path");

	if (r == 0) {
		substitute(&p->words, &in, &out);
		r = out.failed ? rt_fail_nomem(err, target)
		               : rt_file_write(target, out.data, out.len, err);
	}
	rt_text_free(&in);
	rt_text_free(&out);
	rt_free(source);
	rt_free(target);
	return r;
}

static int fill(const struct project *p, struct rt_error *err)
{
	char  kind_file[64];
	char *m4 = rt_path_join(p->folder, "m4");
	const struct {
		const char *from, *to;
	} files[] = {
		{ "configure.ac", "configure.ac" },
		{ "Makefile.am", "Makefile.am" },
		{ "README", "README" },
		{ "gitignore", ".gitignore" },
		{ "../retort.m4", "m4/retort.m4" },
		{ kind_file, p->words.source },
	};
	int r = m4 ? rt_mkdir_all(m4, err) : rt_fail_nomem(err, "a path");

	snprintf(kind_file, sizeof kind_file, "%s.c", p->words.kind);
	for (size_t i = 0; r == 0 && i < sizeof files / sizeof *files; i++)
		r = copy(p, files[i].from, files[i].to, err);
	rt_free(m4);
	return r;
}

/* rmdir() succeeds for an empty folder alone, and that one may be replaced. */
static int make_room(const char *target, struct rt_error *err)
{
	if (!rt_exists(target) || rmdir(target) == 0)
		return 0;
	return rt_fail(err, RT_E_USAGE, "new-plugin: %s is there already: name a new folder",
	               target);
}

/* All of it appears at once, or nothing. */
static int create(struct project *p, const char *target, struct rt_error *err)
{
	size_t n = strlen(target);
	int    r;

	while (n > 1 && target[n - 1] == '/')
		n--;
	p->folder = rt_asprintf("%.*s.tmp-%ld", (int)n, target, (long)getpid());
	if (!p->folder)
		return rt_fail_nomem(err, "a path");
	r = fill(p, err);
	if (r == 0)
		r = make_room(target, err);
	if (r == 0)
		r = rt_rename(p->folder, target, err);
	if (r < 0)
		rt_remove_all(p->folder, NULL);
	rt_free(p->folder);
	return r;
}

static int set_words(struct words *w, const char *kind, const char *name, struct rt_error *err)
{
	const unsigned k = kind_find(kind);
	const char    *guess = kind_suggest(kind);
	size_t         i;

	if (!k)
		return rt_fail(err, RT_E_USAGE, "new-plugin: there is no kind '%s'%s%s%s", kind,
		               guess ? "; did you mean '" : "; see `retort plugins`",
		               guess ? guess : "", guess ? "'?" : "");
	if (!param_name_ok(name, '-'))
		return rt_fail(err, RT_E_USAGE,
		               "new-plugin: '%s' is no name: lower case letters, digits and -, a "
		               "letter first",
		               name);
	w->kind = kind;
	w->name = name;
	for (i = 0; kind[i]; i++)
		w->kindup[i] = (char)toupper((unsigned char)kind[i]);
	for (i = 0; name[i]; i++)
		w->id[i] = name[i] == '-' ? '_' : name[i];
	snprintf(w->source, sizeof w->source, "%s-%s.c", kind, name);
	snprintf(w->use, sizeof w->use, "%s%s%s", uses[k].before, name, uses[k].behind);
	w->where = uses[k].where;
	return 0;
}

static int run(const struct command *self, int argc, char **argv, struct rt_error *err)
{
	struct project      p = { .templates = RETORT_DATADIR "/template" };
	const struct option options[] = { { "template", 0, "FOLDER",
		                            "templates of your own (default: the installed ones)",
		                            OPT_TEXT, &p.templates, 0, 0 },
		                          OPTION_END };
	int                 r = options_read(self, options, &argc, argv, 3, 3, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = set_words(&p.words, argv[0], argv[1], err);
	if (r == 0 && !rt_exists(p.templates))
		r = rt_fail(err, RT_E_NOENT,
		            "new-plugin: there are no templates in %s: install retort, or name "
		            "them with "
		            "--template",
		            p.templates);
	if (r == 0)
		r = make_room(argv[2], err);
	if (r == 0)
		r = create(&p, argv[2], err);
	if (r < 0)
		return r;
	printf("%s: %s called '%s'.  Build it and test it with\n\n", argv[2],
	       kind_with_article(kind_find(argv[0])), argv[1]);
	printf("    cd %s && autoreconf -fi && ./configure && make check\n\n", argv[2]);
	printf("What it does is in %s; what it has to do, in <retort/%s.h>.\n", p.words.source,
	       argv[0]);
	return 0;
}

const struct command command_new_plugin = {
	.name = "new-plugin",
	.arguments = "KIND NAME FOLDER",
	.summary = "Write a project that builds, tests and installs a plugin.",
	.help = "KIND is one of stage, teacher, tool, judge, sampler, rejector, rl, distill, "
		"pruner,\n"
		"quantizer, optimizer, format, tracker.  The project holds a small plugin of that "
		"kind\n"
		"that works; change it into yours.\n",
	.run = run,
};
