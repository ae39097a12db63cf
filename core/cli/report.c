/* report.c - retort report: what a run has brought, as Markdown or as one page of HTML. */
#include "cli/account.h"
#include "cli/command.h"

#include <retort/file.h>

#include <stdio.h>

static int write_out(const struct rt_text *t, const char *html, struct rt_error *err)
{
	if (html)
		return rt_file_write(html, t->data, t->len, err);
	if (fwrite(t->data, 1, t->len, stdout) != t->len)
		return program_flush(err);
	return 0;
}

static int run(const struct command *self, int argc, char **argv, struct rt_error *err)
{
	const char         *runs = "runs", *html = NULL;
	struct account      a = { .room = RT_ARENA_INIT };
	struct store       *store;
	struct rt_text      t = RT_TEXT_INIT;
	const struct option options[] = {
		{ "runs", 'r', "FOLDER", "where results are kept (default: runs)", OPT_TEXT, &runs,
		  0, 0 },
		{ "html", 0, "FILE", "write one page of HTML there", OPT_TEXT, &html, 0, 0 },
		OPTION_END
	};
	int r = options_read(self, options, &argc, argv, 1, 1, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = store_open(&store, runs, false, false, err);
	if (r < 0)
		return r;
	r = account_read(&a, store, argv[0], err);
	if (r == 0)
		r = html ? account_html(&a, &t, err) : account_markdown(&a, &t, err);
	if (r == 0)
		r = write_out(&t, html, err);
	rt_text_free(&t);
	account_free(&a);
	store_close(store);
	return r;
}

const struct command command_report = {
	.name = "report",
	.arguments = "PIPELINE",
	.summary = "What a run has brought: models step by step, figures, failures, lineage.",
	.help = "PIPELINE is the name that the pipeline file gives it; `retort runs` lists them.\n"
		"Prints Markdown: a table of the models that were made, each with the quality of\n"
		"its answers (the first judge of their evaluation), size and latency (of a "
		"measure\n"
		"stage; - is what none measured), some failures, and the figures.  Of several\n"
		"evaluations of a model the first in the run's order counts.  The page of --html\n"
		"has also the figures of single functions, a drawing of quality against size, the\n"
		"losses (where tracker jsonl kept them), and the lineage of every stage:\n"
		"parameters, inputs, and hashes of files.\n\n"
		"    retort report assistant --html report.html\n",
	.run = run,
};
