/* bench.c - retort bench: how fast models answer and learn on this machine, and how near that is to
 * what the machine can do. */
#include "cli/bench.h"

#include "cli/command.h"
#include "cli/lines.h"
#include "cli/progress.h"
#include "plugin/context.h"
#include "plugin/registry.h"
#include "plugin/specimen.h"

#include <retort/file.h>
#include <retort/memory.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMITS, PREFILL, DECODE, REQUEST, LOAD, TRAIN, PARTS };
static const char *const part_names[] = { "limits", "prefill", "decode", "request",
	                                  "load",   "train",   NULL };

enum {
	MOST_LIST = 16,
	MOST_SEQUENCES = 1024,
	MOST_TOKENS = 1 << 20,
	MOST_VOCABULARY = 1 << 22,
	NEVER = 1000000
};

/* What training stages can be told, bench can be told. */
struct training_config {
	struct rt_training training;
};
static const struct rt_param training_params[] = {
	RT_TRAINING_PARAMS(struct training_config, training), RT_PARAM_END
};
static const struct rt_plugin trainer = { .kind = RT_KIND_STAGE,
	                                  .name = "train",
	                                  .config_size = sizeof(struct training_config),
	                                  .params = training_params };

/* What was asked for; NULL and 0 where nothing was. */
struct wish {
	const char        *parts, *types, *sequences, *batch, *write, *folder;
	struct option_list set;
	int64_t            prompt, tokens, repeat, vocabulary;
	bool               json;
};

struct bench {
	struct bench_job    job; /* what all parts share */
	struct bench_limits limits;
	struct specimen     training;
	struct rt_context   context;
	struct context_sink sink;
	char               *folder; /* for files that go away again; NULL: none yet */
	bool                part[PARTS];
	int                 types[MOST_LIST];
	int64_t             n_types, sequences[MOST_LIST], n_sequences;
	bool                json;
};

/* ---- the command line ------------------------------------------------------------------------ */

/* The next word of a list with commas; NULL behind the last. */
static const char *next_word(const char **at, char word[BENCH_NAME])
{
	const size_t n = strcspn(*at, ",");

	if (!**at)
		return NULL;
	snprintf(word, BENCH_NAME, "%.*s", (int)n, *at);
	*at += n + ((*at)[n] == ',');
	return word;
}

static int choose(const char *option, const char *word, const char *const *names, int *ret,
                  struct rt_error *err)
{
	const char    *guess = rt_suggest(word, names);
	struct rt_text all = RT_TEXT_INIT;

	for (*ret = 0; names[*ret]; (*ret)++)
		if (strcmp(names[*ret], word) == 0)
			return 0;
	for (int i = 0; names[i]; i++)
		rt_text_printf(&all, "%s%s", i ? ", " : "", names[i]);
	rt_fail(err, RT_E_USAGE, "bench: --%s: there is no '%s' among %s%s%s%s", option, word,
	        all.data, guess ? "; did you mean '" : "", guess ? guess : "", guess ? "'?" : "");
	rt_text_free(&all);
	return RT_E_USAGE;
}

static int read_parts(struct bench *b, const char *list, struct rt_error *err)
{
	char word[BENCH_NAME];
	int  i, r = 0;

	while (r == 0 && next_word(&list, word)) {
		r = choose("parts", word, part_names, &i, err);
		if (r == 0)
			b->part[i] = true;
	}
	return r;
}

static int read_types(struct bench *b, const char *list, struct rt_error *err)
{
	char word[BENCH_NAME];
	int  r = 0;

	while (r == 0 && next_word(&list, word)) {
		if (b->n_types == MOST_LIST)
			return rt_fail(err, RT_E_USAGE, "bench: --type: at most %d types",
			               MOST_LIST);
		r = choose("type", word, bench_types, &b->types[b->n_types++], err);
	}
	return r;
}

static int read_sequences(struct bench *b, const char *list, struct rt_error *err)
{
	char word[BENCH_NAME], *end;
	int  r = 0;

	while (r == 0 && next_word(&list, word)) {
		const long long n = strtoll(word, &end, 10);

		if (*end || end == word || n < 1 || n > MOST_SEQUENCES ||
		    b->n_sequences == MOST_LIST)
			return rt_fail(err, RT_E_USAGE,
			               "bench: --sequences %s: must be at most %d whole numbers "
			               "from 1 to %d with commas between them, as 1,8,32",
			               word, MOST_LIST, MOST_SEQUENCES);
		b->sequences[b->n_sequences++] = n;
	}
	return r;
}

static int read_batch(struct bench *b, const char *text, struct rt_error *err)
{
	long long n, length;
	int       end = 0;

	if (sscanf(text, "%lldx%lld%n", &n, &length, &end) != 2 || text[end] || n < 1 ||
	    length < 2 || n > MOST_TOKENS || length > MOST_TOKENS)
		return rt_fail(err, RT_E_USAGE,
		               "bench: --batch %s: must be sequences x tokens, as 16x128, of at "
		               "least 2 tokens",
		               text);
	b->job.batch = n;
	b->job.length = length;
	return 0;
}

/* Training's parameters are read before anything is measured, and its plugins opened: children have
 * them, too. */
static int read_training(struct bench *b, const struct option_list *set, struct rt_error *err)
{
	const char         *texts[sizeof set->at / sizeof *set->at + 1] = { NULL };
	struct rt_training *t;
	int                 r;

	memcpy(texts, set->at, (size_t)set->n * sizeof *texts);
	b->context = (struct rt_context){ .sink = &b->sink, .stage = "bench", .seed = 1 };
	r = registry_init(program_plugin_path, err);
	if (r == 0)
		r = specimen_make(&b->training, &trainer, ".", &b->context, texts, err);
	if (r < 0)
		return rt_within(err, r, set->n ? "bench: --set" : "bench");
	t = &((struct training_config *)b->training.config)->training;
	t->save = NEVER;
	b->job.training = t;
	b->job.context = &b->context;
	return 0;
}

/* Options that nothing has a use for are mistakes: no part, nor --write. */
static int check_use(const struct bench *b, const struct wish *w, struct rt_error *err)
{
	const bool *p = b->part;
	const bool  answers = p[PREFILL] || p[DECODE] || p[REQUEST] || p[LOAD];
	const bool  some = answers || p[TRAIN];
	const struct {
		const char *name;
		bool        given, used;
		const char *by;
	} all[] = {
		{ "parts", w->parts, true, "measuring" },
		{ "prompt", w->prompt > 0, p[PREFILL] || p[REQUEST], "prefill and request" },
		{ "tokens", w->tokens > 0, p[DECODE] || p[REQUEST], "decode and request" },
		{ "sequences", w->sequences, p[DECODE], "decode" },
		{ "batch", w->batch, p[TRAIN], "training" },
		{ "set", w->set.n > 0, p[TRAIN], "training" },
		{ "repeat", w->repeat > 0, some, "parts that measure a model" },
		{ "folder", w->folder, some, "parts that measure a model" },
		{ "json", w->json, true, "measuring" },
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (all[i].given && w->write)
			return rt_fail(err, RT_E_USAGE,
			               "bench: --%s is for measuring, --write measures nothing",
			               all[i].name);
		if (all[i].given && !all[i].used)
			return rt_fail(err, RT_E_USAGE,
			               "bench: --%s is for %s; --parts leaves that out",
			               all[i].name, all[i].by);
	}
	if (w->types && !answers)
		return rt_fail(err, RT_E_USAGE,
		               "bench: --type is for parts that answer; --parts leaves them out");
	if (w->vocabulary && !some)
		return rt_fail(err, RT_E_USAGE,
		               "bench: --vocabulary is for parts that measure a model; --parts "
		               "leaves them out");
	return 0;
}

static int read_wish(struct bench *b, const struct wish *w, struct rt_error *err)
{
	int r = read_parts(b, w->parts ? w->parts : "limits,prefill,decode,request,load,train",
	                   err);

	b->json = w->json;
	b->job.prompt = w->prompt ? w->prompt : 512;
	b->job.tokens = w->tokens ? w->tokens : 64;
	b->job.repeat = w->repeat ? w->repeat : 3;
	b->job.vocabulary = w->vocabulary;
	if (r == 0)
		r = check_use(b, w, err);
	if (r == 0)
		r = read_types(b, w->types ? w->types : "q8_0", err);
	if (r == 0)
		r = read_sequences(b, w->sequences ? w->sequences : "1,8,32", err);
	if (r == 0 && w->batch)
		r = read_batch(b, w->batch, err);
	if (r == 0 && b->part[TRAIN])
		r = read_training(b, &w->set, err);
	return r;
}

static const struct bench_shape *find_shape(const char *name)
{
	for (const struct bench_shape *s = bench_shapes; s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

/* A model, and nothing is asked for that is for shapes alone. */
static int check_file(const char *name, const struct wish *w, struct rt_error *err)
{
	int r = lines_check(name, 0, err);

	if (r < 0)
		return r;
	if (w->types)
		return rt_fail(err, RT_E_USAGE,
		               "bench: --type is for shapes, a file is measured as it is: retort "
		               "convert %s TO --type writes another",
		               name);
	if (w->vocabulary)
		return rt_fail(err, RT_E_USAGE,
		               "bench: --vocabulary is for shapes, and %s has its own", name);
	return 0;
}

static int check_model(const char *name, const struct wish *w, struct rt_error *err)
{
	const char *names[MOST_LIST] = { NULL }, *guess;

	if (find_shape(name))
		return 0;
	if (rt_exists(name))
		return check_file(name, w, err);
	for (int i = 0; bench_shapes[i].name; i++)
		names[i] = bench_shapes[i].name;
	guess = rt_suggest(name, names);
	return rt_fail(err, RT_E_NOENT,
	               "there is no %s: a model is a folder, a GGUF file or one of the shapes that "
	               "retort bench --help names%s%s%s",
	               name, guess ? "; did you mean " : "", guess ? guess : "", guess ? "?" : "");
}

/* ---- measuring ------------------------------------------------------------------------------- */

static int apart(const struct bench *b, bench_fn *fn, const char *model, const char *what,
                 struct bench_result *ret, struct rt_error *err)
{
	struct rt_text step = RT_TEXT_INIT;
	int            r;

	rt_text_printf(&step, "%s%s%s", model ? model : "", model ? ": " : "", what);
	progress_step("bench", step.data);
	rt_text_free(&step);
	r = bench_apart(fn, &b->job, ret, err);
	return r < 0 ? rt_within(err, r, model ? "%s: %s" : "%s%s", model ? model : "", what) : 0;
}

static int limits(struct bench *b, struct rt_error *err)
{
	struct bench_result result;
	int                 r = apart(b, bench_limit, NULL, "limits of the machine", &result, err);

	if (r < 0)
		return r;
	b->limits = result.limits;
	return bench_print_limits(&result, b->json, err);
}

static int make_folder(struct bench *b, const char *wish, struct rt_error *err)
{
	const char *temporary = getenv("TMPDIR");

	if (!wish)
		wish = temporary && *temporary ? temporary : "/tmp";
	b->folder = rt_asprintf("%s/retort-bench-XXXXXX", wish);
	if (!b->folder)
		return rt_fail_nomem(err, "a path");
	if (!mkdtemp(b->folder)) {
		rt_free(b->folder);
		b->folder = NULL;
		return rt_fail_errno(
			err, "bench: cannot make a folder in %s; --folder names another", wish);
	}
	b->context.work_dir = b->folder;
	return 0;
}

/* All runs of a part: in one process, or where each needs a fresh one in several. */
static int repeat(const struct bench *b, bench_fn *fn, const struct bench_line *l,
                  struct bench_result *ret, struct rt_error *err)
{
	const int64_t       processes = fn == bench_load ? b->job.repeat : 1;
	struct bench_result one;
	int                 r = apart(b, fn, l->model, l->figure, ret, err);

	for (int64_t i = 1; r == 0 && i < processes; i++) {
		r = apart(b, fn, l->model, l->figure, &one, err);
		if (r == 0)
			ret->seconds[ret->n++] = one.seconds[0];
	}
	return r;
}

/* One part on one model, whose type is that of its weights if it has no name yet.  `titled`:
 * whether the model's own line has been printed. */
static int part(struct bench *b, bench_fn *fn, struct bench_line *l, bool *titled,
                struct rt_error *err)
{
	struct bench_result result;
	int                 r = repeat(b, fn, l, &result, err);

	if (r < 0)
		return r;
	if (!l->type)
		l->type = rt_dtype_info(result.dtype)->name;
	if (fn == bench_train)
		snprintf(l->figure, sizeof l->figure, "train %lldx%lld", (long long)result.batch,
		         (long long)result.length);
	if (!*titled)
		r = bench_print_model(l, &result, b->json, err);
	*titled = true;
	return r == 0 ? bench_print(l, &result, &b->limits, b->json, err) : r;
}

static int decode(struct bench *b, struct bench_line *l, bool *titled, struct rt_error *err)
{
	int r = 0;

	for (int64_t i = 0; r == 0 && i < b->n_sequences; i++) {
		b->job.sequences = l->sequences = b->sequences[i];
		snprintf(l->figure, sizeof l->figure, "decode %lld, %lld at once",
		         (long long)b->job.tokens, (long long)b->job.sequences);
		r = part(b, bench_decode, l, titled, err);
	}
	l->sequences = 0;
	return r;
}

/* All parts that answer. */
static int answers(struct bench *b, struct bench_line *l, struct rt_error *err)
{
	bool titled = false;
	int  r = 0;

	if (b->part[PREFILL]) {
		l->part = part_names[PREFILL];
		snprintf(l->figure, sizeof l->figure, "prefill %lld", (long long)b->job.prompt);
		r = part(b, bench_prefill, l, &titled, err);
	}
	if (r == 0 && b->part[DECODE]) {
		l->part = part_names[DECODE];
		r = decode(b, l, &titled, err);
	}
	if (r == 0 && b->part[REQUEST]) {
		l->part = part_names[REQUEST];
		snprintf(l->figure, sizeof l->figure, "request %lld + %lld",
		         (long long)b->job.prompt, (long long)b->job.tokens);
		r = part(b, bench_request, l, &titled, err);
	}
	if (r == 0 && b->part[LOAD]) {
		l->part = part_names[LOAD];
		snprintf(l->figure, sizeof l->figure, "load, to the first token");
		r = part(b, bench_load, l, &titled, err);
	}
	return r;
}

static int training(struct bench *b, struct bench_line *l, struct rt_error *err)
{
	bool titled = false;

	l->type = "f32, training";
	l->part = part_names[TRAIN];
	snprintf(l->figure, sizeof l->figure, "train");
	return part(b, bench_train, l, &titled, err);
}

static int file(struct bench *b, const char *path, struct rt_error *err)
{
	struct bench_line l = { .model = path };
	int               r;

	b->job.path = path;
	r = answers(b, &l, err);
	return r == 0 && b->part[TRAIN] ? training(b, &l, err) : r;
}

/* A shape as one type; its file goes away again. */
static int shape_as(struct bench *b, const struct bench_shape *s, int64_t type, bool last,
                    struct rt_error *err)
{
	struct bench_line   l = { .model = s->name, .type = bench_types[b->types[type]] };
	struct bench_result written;
	char               *path = rt_asprintf("%s/%s-%s.gguf", b->folder, s->name, l.type);
	int                 r;

	if (!path)
		return rt_fail_nomem(err, "a path");
	b->job.shape = s;
	b->job.type = b->types[type];
	b->job.path = path;
	r = apart(b, bench_write, s->name, "writing", &written, err);
	if (r == 0)
		r = answers(b, &l, err);
	if (r == 0 && last && b->part[TRAIN])
		r = training(b, &l, err);
	rt_remove_all(path, NULL);
	rt_free(path);
	return r;
}

static int shape(struct bench *b, const struct bench_shape *s, struct rt_error *err)
{
	const bool asked = b->part[PREFILL] || b->part[DECODE] || b->part[REQUEST] || b->part[LOAD];
	const int64_t n = asked ? b->n_types : b->part[TRAIN];
	int           r = 0;

	for (int64_t i = 0; r == 0 && i < n; i++)
		r = shape_as(b, s, i, i + 1 == n, err);
	return r;
}

static int measure(struct bench *b, const struct wish *w, char **models, int n,
                   struct rt_error *err)
{
	int r = make_folder(b, w->folder, err);

	if (r == 0)
		r = bench_print_head(b->json, err);
	if (r == 0 && b->part[LIMITS])
		r = limits(b, err);
	for (int i = 0; r == 0 && i < n; i++) {
		const struct bench_shape *s = find_shape(models[i]);

		r = s ? shape(b, s, err) : file(b, models[i], err);
	}
	progress_clear();
	if (b->folder)
		rt_remove_all(b->folder, NULL);
	rt_free(b->folder);
	return r;
}

/* --write: one shape as a file that stays. */
static int write_one(struct bench *b, const char *path, char **models, int n, struct rt_error *err)
{
	const struct bench_shape *s = n == 1 ? find_shape(models[0]) : NULL;
	const size_t              length = strlen(path);
	struct bench_result       written;

	if (!s || b->n_types != 1 || length < 6 || strcmp(path + length - 5, ".gguf") != 0)
		return rt_fail(err, RT_E_USAGE,
		               "bench: --write FILE.gguf takes one shape and one --type");
	if (rt_exists(path))
		return rt_fail(err, RT_E_USAGE, "%s is there already; remove it first", path);
	b->job.shape = s;
	b->job.type = b->types[0];
	b->job.path = path;
	return apart(b, bench_write, s->name, "writing", &written, err);
}

static int run(const struct command *self, int argc, char **argv, struct rt_error *err)
{
	static struct bench bench;
	struct wish         w = { 0 };
	const struct option options[] = {
		{ "parts", 0, "LIST", "limits,prefill,decode,request,load,train (default: all)",
		  OPT_TEXT, &w.parts, 0, 0 },
		{ "type", 't', "LIST", "of shapes: q8_0 (default), q4_0, q4_k_m, bf16, f16, f32",
		  OPT_TEXT, &w.types, 0, 0 },
		{ "prompt", 'p', "N", "tokens of a prompt (default 512)", OPT_INT, &w.prompt, 1,
		  MOST_TOKENS },
		{ "tokens", 'n', "N", "tokens of an answer (default 64)", OPT_INT, &w.tokens, 1,
		  MOST_TOKENS },
		{ "sequences", 's', "LIST", "answered at once (default 1,8,32)", OPT_TEXT,
		  &w.sequences, 0, 0 },
		{ "batch", 'b', "NxTOKENS", "of a training step (1x512; small models 16x128)",
		  OPT_TEXT, &w.batch, 0, 0 },
		{ "set", 0, "KEY=VALUE", "a parameter of training, as recompute=true", OPT_LIST,
		  &w.set, 0, 0 },
		{ "repeat", 'r', "N", "runs of which the median is taken (default 3)", OPT_INT,
		  &w.repeat, 1, BENCH_REPEAT },
		{ "vocabulary", 0, "N", "tokens of a shape's vocabulary instead of its own",
		  OPT_INT, &w.vocabulary, 2, MOST_VOCABULARY },
		{ "folder", 0, "FOLDER", "where shapes are written (default $TMPDIR or /tmp)",
		  OPT_TEXT, &w.folder, 0, 0 },
		{ "write", 'w', "FILE", "write a shape as GGUF, measure nothing", OPT_TEXT,
		  &w.write, 0, 0 },
		{ "json", 0, NULL, "one JSON object a line", OPT_FLAG, &w.json, 0, 0 },
		OPTION_END
	};
	char *standard[] = { (char[]){ "qwen2.5-0.5b" } };
	int   r = options_read(self, options, &argc, argv, 0, MOST_LIST, err);

	if (r != 0)
		return r < 0 ? r : 0;
	if (argc == 0) {
		argv = standard;
		argc = 1;
	}
	r = read_wish(&bench, &w, err);
	for (int i = 0; r == 0 && i < argc; i++)
		r = check_model(argv[i], &w, err);
	if (r < 0)
		return r;
	bench_catch_signals();
	return w.write ? write_one(&bench, w.write, argv, argc, err)
	               : measure(&bench, &w, argv, argc, err);
}

const struct command command_bench = {
	.name = "bench",
	.arguments = "[MODEL|SHAPE]...",
	.summary = "How fast models answer and learn here, beside what the machine can do.",
	.help = "Shapes need no file, their weights are made up: qwen2.5-0.5b (the default),\n"
		"0.4b (its first 18 layers), 10m, 2m.  First the machine: f32 arithmetic out of\n"
		"the caches, and reading memory, with all threads.  Then, each in a process of\n"
		"its own,\n"
		"\n"
		"    prefill  tokens of a prompt a second            share of the f32 peak\n"
		"    decode   tokens of answers a second             share of the memory rate,\n"
		"             weights and cache being read for each\n"
		"    request  a prompt and its answer, all of it\n"
		"    load     from opening the file to the first token\n"
		"    train    tokens a second in whole steps: forward, loss, backward, optimizer\n"
		"\n"
		"Medians with half of what lies between best and worst, and the most memory that\n"
		"the process held.  What else runs on the machine shows: let it rest.\n"
		"\n"
		"    retort bench 10m 2m --type q8_0,q4_0\n"
		"    retort bench student.gguf --parts decode --sequences 1,16\n"
		"    retort bench 0.4b --parts train --batch 4x512 --set recompute=true\n",
	.run = run,
};
