/* plan.c - retort plan: what would be done, and what it would take. */
#include "cli/command.h"
#include "cli/describe.h"
#include "pipeline/estimate.h"
#include "pipeline/keys.h"
#include "pipeline/store.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* 1234567 -> "1.2M"; unknown -> "?". */
static const char *short_number(double x, char *out, size_t n)
{
	static const char units[] = " kMGT";
	int               u = 0;

	if (isnan(x))
		return strcpy(out, "?");
	for (; fabs(x) >= 1000 && units[u + 1]; u++)
		x /= 1000;
	if (u == 0)
		snprintf(out, n, fabs(x - round(x)) < 1e-9 ? "%.0f" : "%.2f", x);
	else
		snprintf(out, n, "%.*f%c", x < 10 ? 1 : 0, x, units[u]);
	return out;
}

static const char *duration(double s, char *out, size_t n)
{
	if (isnan(s))
		return strcpy(out, "?");
	if (s < 100)
		snprintf(out, n, "%.0f s", ceil(s));
	else if (s < 6000)
		snprintf(out, n, "%.0f min", ceil(s / 60));
	else
		snprintf(out, n, "%.1f h", s / 3600);
	return out;
}

static void print_inputs(const struct stage *s)
{
	for (int64_t i = 0; i < s->n_inputs; i++)
		printf("%s%s", i ? ", " : " <- ", s->inputs[i].artifact.name);
}

static void print_estimate(const struct rt_estimate *e)
{
	char a[32], b[32], c[32], d[32], m[32], t[32], mem[32];

	printf("    to do: calls %s, tokens %s in %s out, money %s, time %s, memory %s, disk %s\n",
	       short_number(e->calls, a, sizeof a), short_number(e->input_tokens, b, sizeof b),
	       short_number(e->output_tokens, c, sizeof c), short_number(e->money, m, sizeof m),
	       duration(e->seconds, t, sizeof t), short_number(e->memory, mem, sizeof mem),
	       short_number(e->disk, d, sizeof d));
}

static void print_plan(const struct pipeline *p, const struct estimates *all)
{
	printf("pipeline %s, seed %lld, %lld of %lld stages to do\n", p->name, (long long)p->seed,
	       (long long)all->to_do, (long long)p->n);
	for (int64_t k = 0; k < p->n; k++) {
		const struct stage       *s = &p->stages[p->order[k]];
		const struct rt_estimate *e = &all->of[p->order[k]];

		printf("\n%s (%s)", s->name, s->top->plugin->name);
		print_inputs(s);
		for (int64_t i = 0; i < s->n_outputs; i++)
			if (stage_ops(s)->outputs[i].type == RT_DATASET && e->rows[i] >= 0)
				printf("%s %s %lld rows", i ? "," : " ->",
				       stage_ops(s)->outputs[i].name, (long long)e->rows[i]);
		printf("\n    key %.12s%s\n", s->key,
		       all->done[p->order[k]] ? ", done already" : "");
		if (!all->done[p->order[k]])
			print_estimate(e);
	}
	if (all->to_do > 0) {
		printf("\nall that is to do (? where a stage cannot say)\n");
		print_estimate(&all->sum);
	}
}

static struct rt_json *stage_json(const struct stage *s, const struct rt_estimate *e, bool done)
{
	const struct {
		const char *name;
		double      value;
	} figures[] = {
		{ "calls", e->calls },
		{ "input_tokens", e->input_tokens },
		{ "output_tokens", e->output_tokens },
		{ "money", e->money },
		{ "seconds", e->seconds },
		{ "memory", e->memory },
		{ "disk", e->disk },
	};
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	if (r < 0)
		return NULL;
	r |= rt_json_set(o, "stage", rt_json_new_string(s->name));
	r |= rt_json_set(o, "use", rt_json_new_string(s->top->plugin->name));
	r |= rt_json_set(o, "key", rt_json_new_string(s->key));
	r |= rt_json_set(o, "done", rt_json_new_bool(done));
	for (size_t i = 0; !done && i < sizeof figures / sizeof *figures; i++)
		r |= rt_json_set(o, figures[i].name, rt_json_new_real(figures[i].value));
	if (r < 0) {
		rt_json_free(o);
		return NULL;
	}
	return o;
}

static int print_json(const struct pipeline *p, const struct estimates *all, struct rt_error *err)
{
	for (int64_t k = 0; k < p->n; k++) {
		const int64_t   i = p->order[k];
		struct rt_json *o = stage_json(&p->stages[i], &all->of[i], all->done[i]);
		struct rt_text  t = RT_TEXT_INIT;

		if (o)
			rt_json_print(o, 0, &t);
		rt_json_free(o);
		if (!o || t.failed) {
			rt_text_free(&t);
			return rt_fail_nomem(err, "a plan");
		}
		puts(t.data);
		rt_text_free(&t);
	}
	return 0;
}

static int run(const struct command *self, int argc, char **argv, struct rt_error *err)
{
	struct option_list  set = { .n = 0 };
	const char         *runs = "runs";
	bool                json = false;
	const struct option options[] = {
		{ "runs", 'r', "FOLDER", "where results are kept (default: runs)", OPT_TEXT, &runs,
		  0, 0 },
		{ "set", 0, "STAGE.KEY=VALUE", "set a parameter, over what the file says", OPT_LIST,
		  &set, 0, 0 },
		{ "json", 0, NULL, "one JSON object a stage", OPT_FLAG, &json, 0, 0 },
		OPTION_END
	};
	struct pipeline  p;
	struct store    *store = NULL;
	struct estimates all = { 0 };
	int              r = options_read(self, options, &argc, argv, 1, 1, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = describe_pipeline(argv[0], &set, &p, err);
	if (r == 0)
		r = keys_compute(&p, err);
	if (r == 0) {
		r = store_open(&store, runs, false, false, err);
		if (r == RT_E_NOENT) /* nothing has been run here yet: all is to do */
			r = 0;
	}
	if (r == 0)
		r = estimate_all(&p, store, &all, err);
	if (r == 0 && json)
		r = print_json(&p, &all, err);
	else if (r == 0)
		print_plan(&p, &all);
	estimate_free(&all);
	store_close(store);
	pipeline_free(&p);
	return r;
}

const struct command command_plan = {
	.name = "plan",
	.arguments = "FILE",
	.summary = "Show the graph, what is done already, and what the rest would take.",
	.help = "Runs nothing.  Each stage states its own estimate; ? is something it cannot know\n"
		"beforehand.  Money is in the currency of the prices that the pipeline names.\n",
	.run = run,
};
