/* run.c - retort run: walk a pipeline. */
#include "pipeline/run.h"

#include "cli/command.h"
#include "cli/describe.h"
#include "cli/display.h"
#include "pipeline/keys.h"

#include <retort/file.h>
#include <retort/memory.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_JOBS = 64 };

/* The first signal asks the stages to stop where they can be resumed; the second ends at once,
 * which is safe too: nothing unfinished looks finished. */
static void on_signal(int number)
{
	static volatile sig_atomic_t seen;

	(void)number;
	if (seen)
		_exit(130);
	seen = 1;
	run_cancel();
}

static void catch_signals(void)
{
	struct sigaction a = { .sa_handler = on_signal };

	sigemptyset(&a.sa_mask);
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGHUP, &a, NULL);
}

/* "  exact_call       0.873  [0.846, 0.896]  n 700".  A name with a slash is a detail, for the
 * file. */
static void print_figures(const char *path)
{
	struct rt_json *m;

	if (rt_json_read(path, 0, &m, NULL) < 0)
		return;
	for (struct rt_json_iter i = rt_json_first(m); i.key; rt_json_next(&i)) {
		const double value = rt_json_real(rt_json_get(i.value, "value"), NAN);
		const double low = rt_json_real(rt_json_get(i.value, "low"), NAN);
		const double high = rt_json_real(rt_json_get(i.value, "high"), NAN);

		if (strchr(i.key, '/'))
			continue;
		printf(value == floor(value) ? "  %-32s %10.0f" : "  %-32s %10.4g", i.key, value);
		if (!isnan(low) && !isnan(high))
			printf("  [%.4g, %.4g]", low, high);
		else
			printf("  %16s", "");
		printf("  n %lld\n", (long long)rt_json_int(rt_json_get(i.value, "n"), 0));
	}
	rt_json_free(m);
}

static void print_stage(const struct pipeline *p, const struct stage *s, const char *runs)
{
	const struct rt_stage_output *out = stage_ops(s)->outputs;

	for (int64_t i = 0; i < s->n_outputs; i++) {
		char *link = i ? rt_asprintf("%s/%s/%s.%s", runs, p->name, s->name, out[i].name)
		               : rt_asprintf("%s/%s/%s", runs, p->name, s->name);
		char *file = link ? rt_path_join(link, "metrics.json") : NULL;

		if (file && out[i].type == RT_METRICS) {
			printf("%s\n", link);
			print_figures(file);
		}
		rt_free(link);
		rt_free(file);
	}
}

/* All figures that the run has brought, and where everything lies. */
static void print_results(const struct pipeline *p, const struct store *store, const char *runs)
{
	for (int64_t k = 0; k < p->n; k++)
		if (store_has(store, p->stages[p->order[k]].key))
			print_stage(p, &p->stages[p->order[k]], runs);
	printf("results: %s/%s\n", runs, p->name);
}

struct choices {
	struct option_list set;
	const char        *runs, *only, *log;
	int64_t            jobs;
	bool               verbose;
};

static int log_mode(const char *word, enum display_mode *ret, struct rt_error *err)
{
	static const char *const names[] = { "auto", "plain", "json" };

	for (int i = 0; i < 3; i++)
		if (strcmp(names[i], word) == 0) {
			*ret = (enum display_mode)i;
			return 0;
		}
	return rt_fail(err, RT_E_USAGE, "run: --log %s: must be auto, plain or json", word);
}

static int walk(struct pipeline *p, const struct choices *c, enum display_mode mode,
                struct rt_error *err)
{
	struct store      *store = NULL;
	struct display    *display = NULL;
	struct run_options o = { .only = c->only, .jobs = c->jobs };
	int                r = store_open(&store, c->runs, true, false, err);

	if (r == 0)
		r = display_open(&display, p, mode, c->verbose, err);
	if (r == 0) {
		o.listener = display_listener(display);
		catch_signals();
		r = run_pipeline(p, store, &o, err);
		display_close(display);
		if (mode != DISPLAY_JSON && (r == 0 || r == RT_E_GATE))
			print_results(p, store, c->runs);
	}
	store_close(store);
	return r;
}

static int run(const struct command *self, int argc, char **argv, struct rt_error *err)
{
	struct choices      c = { .runs = "runs", .log = "auto", .jobs = 1 };
	const struct option options[] = {
		{ "runs", 'r', "FOLDER", "where results are kept (default: runs)", OPT_TEXT,
		  &c.runs, 0, 0 },
		{ "set", 0, "STAGE.KEY=VALUE", "set a parameter, over what the file says", OPT_LIST,
		  &c.set, 0, 0 },
		{ "only", 0, "STAGE", "this stage and what it needs", OPT_TEXT, &c.only, 0, 0 },
		{ "jobs", 'j', "N", "stages at the same time (default: 1)", OPT_INT, &c.jobs, 1,
		  MAX_JOBS },
		{ "log", 0, "HOW", "auto, plain or json (one object a line)", OPT_TEXT, &c.log, 0,
		  0 },
		{ "verbose", 'v', NULL, "what plugins say for debugging, too", OPT_FLAG, &c.verbose,
		  0, 0 },
		OPTION_END
	};
	struct pipeline   p;
	enum display_mode mode = DISPLAY_AUTO;
	int               r = options_read(self, options, &argc, argv, 1, 1, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = log_mode(c.log, &mode, err);
	if (r < 0)
		return r;
	r = describe_pipeline(argv[0], &c.set, &p, err);
	if (r == 0)
		r = keys_compute(&p, err);
	if (r == 0)
		r = walk(&p, &c, mode, err);
	pipeline_free(&p);
	return r;
}

const struct command command_run = {
	.name = "run",
	.arguments = "FILE",
	.summary = "Walk a pipeline: do what is missing, keep what is done.",
	.help = "FOLDER/<pipeline>/<stage> leads to each stage's result.  What is finished is "
		"never\n"
		"computed again: after a crash, Ctrl-C or an edit, the same command goes on from "
		"there.\n"
		"Ctrl-C stops at a place to go on from; a second one stops at once.\n",
	.run = run,
};
