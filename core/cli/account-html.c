/* account-html.c - an account as one page of HTML: no script, no style sheet, no picture from
 * elsewhere. */
#include "cli/account.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char style[] =
	"<style>\n"
	"body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;"
	"color:#1a1a1a}\n"
	"h1,h2{line-height:1.2}h2{margin-top:2em}\n"
	"table{border-collapse:collapse;margin:1em 0;width:100%}\n"
	"th,td{text-align:left;padding:.25em .7em .25em 0;border-bottom:1px solid #ddd;"
	"vertical-align:top}\n"
	"td.n{text-align:right;font-variant-numeric:tabular-nums}\n"
	"code,pre{font:13px/1.4 ui-monospace,monospace}pre{background:#f5f5f5;padding:.7em;"
	"overflow:auto}\n"
	"svg{max-width:100%;font-size:12px}.axis,.bar,.line{fill:none;stroke:#333}\n"
	".grid{stroke:#eee}.line{stroke:#0a5}.bar{stroke:#0a5}circle{fill:#0a5}"
	".tick{text-anchor:end;fill:#666}\n"
	"summary{cursor:pointer}.low{color:#666}\n"
	"</style>\n";

static void escape(struct rt_text *out, const char *s)
{
	for (; *s; s++)
		switch (*s) {
		case '&': rt_text_add(out, "&amp;"); break;
		case '<': rt_text_add(out, "&lt;"); break;
		case '>': rt_text_add(out, "&gt;"); break;
		case '"': rt_text_add(out, "&quot;"); break;
		default: rt_text_add_char(out, *s);
		}
}

static void cell(struct rt_text *out, const char *s)
{
	rt_text_add(out, "<td>");
	escape(out, s);
	rt_text_add(out, "</td>");
}

static void number(struct rt_text *out, const char *s)
{
	rt_text_add(out, "<td class=\"n\">");
	escape(out, s);
	rt_text_add(out, "</td>");
}

static void head(struct rt_text *out, const char *const *names)
{
	rt_text_add(out, "<table><tr>");
	for (; *names; names++)
		rt_text_printf(out, "<th>%s</th>", *names);
	rt_text_add(out, "</tr>\n");
}

/* ---- parts of the page ------------------------------------------------------------------------
 */

static void models(const struct account *a, struct rt_text *out)
{
	static const char *const names[] = { "step", "by",         "quality, 95 %",
		                             "size", "parameters", "latency p50",
		                             "p95",  "made in",    NULL };
	char                     text[96];

	if (a->n_models == 0)
		return;
	rt_text_add(out, "<h2>Models, step by step</h2>\n");
	head(out, names);
	for (int64_t i = 0; i < a->n_models; i++) {
		const struct account_model *m = &a->models[i];

		rt_text_add(out, "<tr>");
		cell(out, m->stage->name);
		cell(out, m->stage->plugin);
		snprintf(text, sizeof text, "%.1f %% [%.1f, %.1f], n %lld", 100 * m->quality.value,
		         100 * m->quality.low, 100 * m->quality.high, (long long)m->quality.n);
		cell(out, m->quality.name ? text : "-");
		number(out, account_bytes((double)m->stage->bytes, text));
		number(out, account_count(m->parameters, text));
		number(out, account_seconds(m->latency, text));
		number(out, account_seconds(m->latency95, text));
		number(out, account_made(m->stage->seconds, m->stage->resumed, text));
		rt_text_add(out, "</tr>\n");
	}
	rt_text_add(out,
	            "</table>\n<p class=\"low\">Quality: the first judge of the evaluation of "
	            "each model's answers, with Wilson's interval.  Latency: of one request at "
	            "a time.</p>\n");
	account_pareto(a, out);
}

static int curves(const struct account *a, struct rt_text *out, struct rt_error *err)
{
	struct rt_text all = RT_TEXT_INIT;
	const int      r = account_curves(a, &all, err);

	if (all.len)
		rt_text_printf(out, "<h2>Training</h2>\n%s", all.data);
	rt_text_free(&all);
	return r;
}

static void add_failure(void *arg, const char *question, const char *expected, const char *answer,
                        const char *reason)
{
	struct rt_text *out = arg;

	rt_text_add(out, "<tr>");
	cell(out, question);
	cell(out, expected);
	cell(out, answer);
	cell(out, reason);
	rt_text_add(out, "</tr>\n");
}

static int failures(const struct account *a, struct rt_text *out, struct rt_error *err)
{
	static const char *const names[] = { "question", "expected", "answer", "reason", NULL };
	int                      r = 0;

	for (int64_t i = 0; r == 0 && i < a->n; i++) {
		const struct account_stage *s = &a->stages[i];

		if (!s->manifest || strcmp(s->plugin, "evaluate") != 0)
			continue;
		rt_text_printf(out,
		               "<h2>Failures of %s</h2>\n<details><summary>the first ten"
		               "</summary>\n",
		               s->name);
		head(out, names);
		r = account_failures(a, s, 10, add_failure, out, err);
		rt_text_add(out, "</table></details>\n");
	}
	return r;
}

static void figures(const struct account_stage *s, struct rt_text *out)
{
	for (struct rt_json_iter o = rt_json_first(s->metrics); o.key; rt_json_next(&o))
		for (struct rt_json_iter i = rt_json_first(o.value); i.key; rt_json_next(&i)) {
			struct figure f;
			char          text[96];

			if (!account_figure(s, o.key, i.key, &f))
				continue;
			rt_text_add(out, "<tr>");
			cell(out, i.key);
			snprintf(text, sizeof text, f.value == floor(f.value) ? "%.0f" : "%.4g",
			         f.value);
			number(out, text);
			snprintf(text, sizeof text, "[%.4g, %.4g]", f.low, f.high);
			cell(out, isnan(f.low) ? "" : text);
			snprintf(text, sizeof text, "%lld", (long long)f.n);
			number(out, text);
			rt_text_add(out, "</tr>\n");
		}
}

/* What a stage was made of: parameters, files, inputs. */
static void lineage(const struct account_stage *s, struct rt_text *out)
{
	const struct rt_json *stage = rt_json_get(s->manifest, "stage");
	const struct rt_json *files = rt_json_get(s->manifest, "files");
	const struct rt_json *inputs = rt_json_get(s->manifest, "inputs");
	const char           *version = rt_json_string(rt_json_get(stage, "version"));
	struct rt_text        t = RT_TEXT_INIT;

	rt_text_printf(out, "<p>stage-%s %s, key <code>%.12s</code>", s->plugin,
	               version ? version : "?", s->key);
	for (size_t i = 0; i < rt_json_length(inputs); i++) {
		const char *from = rt_json_string(rt_json_get(rt_json_at(inputs, i), "stage"));

		rt_text_add(out, i ? ", " : "; from ");
		escape(out, from ? from : "?");
	}
	rt_text_add(out, "</p>\n<pre>");
	rt_json_print(rt_json_get(stage, "params"), RT_JSON_INDENT, &t);
	escape(out, t.data ? t.data : "");
	for (size_t i = 0; i < rt_json_length(files); i++) {
		const char *path = rt_json_string(rt_json_get(rt_json_at(files, i), "path"));
		const char *hash = rt_json_string(rt_json_get(rt_json_at(files, i), "sha256"));

		rt_text_add(out, "\nfile ");
		escape(out, path ? path : "?");
		rt_text_printf(out, "  sha256 %s", hash ? hash : "?");
	}
	rt_text_add(out, "</pre>\n");
	rt_text_free(&t);
}

static void stages(const struct account *a, struct rt_text *out)
{
	static const char *const names[] = { "figure", "value", "95 %", "n", NULL };

	rt_text_add(out, "<h2>Every stage</h2>\n");
	for (int64_t i = 0; i < a->n; i++) {
		const struct account_stage *s = &a->stages[i];
		char                        time[32];

		rt_text_printf(
			out, "<details><summary><b>%s</b> %s, %s</summary>\n", s->name, s->plugin,
			s->manifest ? account_made(s->seconds, s->resumed, time) : "not done");
		if (s->manifest) {
			head(out, names);
			figures(s, out);
			rt_text_add(out, "</table>\n");
			lineage(s, out);
		}
		rt_text_add(out, "</details>\n");
	}
}

int account_html(const struct account *a, struct rt_text *out, struct rt_error *err)
{
	char time[32];
	int  r;

	rt_text_add(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	                 "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
	escape(out, a->name);
	rt_text_printf(out, "</title>\n%s</head><body>\n<h1>", style);
	escape(out, a->name);
	rt_text_printf(
		out,
		"</h1>\n<p>%lld of %lld stages done, %s of work.  Models that were asked got "
		"%.0f tokens and gave %.0f; cost %.4g.</p>\n",
		(long long)a->done, (long long)a->n, account_made(a->seconds, a->resumed, time),
		a->input_tokens, a->output_tokens, a->cost);
	models(a, out);
	r = curves(a, out, err);
	if (r == 0)
		r = failures(a, out, err);
	stages(a, out);
	rt_text_printf(out,
	               "<h2>Again</h2>\n<p>retort %s, seed %lld.  The same file, seed and inputs "
	               "give the same keys; <code>retort runs verify</code> holds every file "
	               "against its hash.</p>\n<pre>retort run FILE --runs %s</pre>\n"
	               "</body></html>\n",
	               RETORT_VERSION, (long long)a->seed, store_dir(a->store));
	return r == 0 && out->failed ? rt_fail_nomem(err, "a report") : r;
}
