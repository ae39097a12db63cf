/* account-text.c - an account as Markdown. */
#include "cli/account.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Text in a cell of a table, on one line. */
static void cell(struct rt_text *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '|' || *s == '\\')
			rt_text_add_char(out, '\\');
		rt_text_add_char(out, *s == '\n' ? ' ' : *s);
	}
}

static void percent(struct rt_text *out, const struct figure *f)
{
	if (!f->name)
		rt_text_add(out, "-");
	else
		rt_text_printf(out, "%.1f %% [%.1f, %.1f] (n %lld)", 100 * f->value, 100 * f->low,
		               100 * f->high, (long long)f->n);
}

static void models(const struct account *a, struct rt_text *out)
{
	char bytes[32], count[32], fast[32], slow[32], time[32];

	if (a->n_models == 0)
		return;
	rt_text_add(out, "## Models, step by step\n\n"
	                 "| step | by | quality (95 %) | size | parameters | latency p50 | p95 | "
	                 "made in |\n|---|---|---|---|---|---|---|---|\n");
	for (int64_t i = 0; i < a->n_models; i++) {
		const struct account_model *m = &a->models[i];

		rt_text_printf(out, "| %s | %s | ", m->stage->name, m->stage->plugin);
		percent(out, &m->quality);
		rt_text_printf(out, " | %s | %s | %s | %s | %s |\n",
		               account_bytes((double)m->stage->bytes, bytes),
		               account_count(m->parameters, count),
		               account_seconds(m->latency, fast),
		               account_seconds(m->latency95, slow),
		               account_made(m->stage->seconds, m->stage->resumed, time));
	}
	rt_text_add(out, "\nQuality is the first judge of the evaluation of each model's answers, "
	                 "with Wilson's\ninterval; latency is that of one request at a time.\n\n");
}

static void figures(const struct account_stage *s, struct rt_text *out)
{
	for (struct rt_json_iter o = rt_json_first(s->metrics); o.key; rt_json_next(&o))
		for (struct rt_json_iter i = rt_json_first(o.value); i.key; rt_json_next(&i)) {
			struct figure f;

			if (strchr(i.key, '/') || !account_figure(s, o.key, i.key, &f))
				continue;
			rt_text_printf(out, "| %s | %s | ", s->name, i.key);
			rt_text_printf(out, f.value == floor(f.value) ? "%.0f" : "%.4g", f.value);
			if (!isnan(f.low))
				rt_text_printf(out, " [%.4g, %.4g]", f.low, f.high);
			rt_text_printf(out, " | %lld |\n", (long long)f.n);
		}
}

static void add_failure(void *arg, const char *question, const char *expected, const char *answer,
                        const char *reason)
{
	struct rt_text *out = arg;

	rt_text_add(out, "| ");
	cell(out, question);
	rt_text_add(out, " | ");
	cell(out, expected);
	rt_text_add(out, " | ");
	cell(out, answer);
	rt_text_add(out, " | ");
	cell(out, reason);
	rt_text_add(out, " |\n");
}

/* Of the last evaluation: of what comes out in the end. */
static int failures(const struct account *a, struct rt_text *out, struct rt_error *err)
{
	struct rt_text rows = RT_TEXT_INIT;
	int            r = 0;

	for (int64_t i = a->n - 1; r == 0 && i >= 0 && rows.len == 0; i--)
		if (a->stages[i].manifest && !a->stages[i].repeat &&
		    strcmp(a->stages[i].plugin, "evaluate") == 0) {
			r = account_failures(a, &a->stages[i], 5, add_failure, &rows, err);
			if (r == 0 && rows.len)
				rt_text_printf(out,
				               "## Failures of %s\n\n| question | expected | "
				               "answer | reason |\n|---|---|---|---|\n%s\n",
				               a->stages[i].name, rows.data);
		}
	rt_text_free(&rows);
	return r;
}

int account_markdown(const struct account *a, struct rt_text *out, struct rt_error *err)
{
	char time[32];
	int  r;

	rt_text_printf(out,
	               "# %s\n\n%lld of %lld stages done, %s of work, seed %lld, models were asked "
	               "%.0f tokens and gave %.0f, cost %.4g.\n\n",
	               a->name, (long long)a->done, (long long)a->n,
	               account_made(a->seconds, a->resumed, time), (long long)a->seed,
	               a->input_tokens, a->output_tokens, a->cost);
	models(a, out);
	r = failures(a, out, err);
	rt_text_add(out,
	            "## All figures\n\n| stage | figure | value (95 %) | n |\n|---|---|---|---|\n");
	for (int64_t i = 0; i < a->n; i++)
		figures(&a->stages[i], out);
	return r == 0 && out->failed ? rt_fail_nomem(err, "a report") : r;
}
