/* describe.c - see describe.h */
#include "cli/describe.h"

#include "plugin/context.h"
#include "plugin/registry.h"

#include <stdio.h>

static void print_mistakes(const struct report *report)
{
	for (const struct mistake *m = report->first; m; m = m->next) {
		struct rt_text t = RT_TEXT_INIT;

		report_print(m, &t);
		context_redact(t.data);
		fprintf(stderr, "retort: %s\n", t.data);
		rt_text_free(&t);
	}
}

int describe_pipeline(const char *file, const struct option_list *set, struct pipeline *p,
                      struct rt_error *err)
{
	const struct pipeline_options options = { set->at, set->n };
	struct report                 report;
	int                           r = registry_init(program_plugin_path, err);

	*p = (struct pipeline){ .arena = RT_ARENA_INIT };
	if (r == 0)
		r = pipeline_read(file, &options, p, &report, err);
	else
		return r;
	if (r == RT_E_NOMEM)
		return r;
	print_mistakes(&report);
	if (report.errors > 1)
		return rt_fail(err, RT_E_USAGE, "%s: %lld mistakes; nothing was run", file,
		               (long long)report.errors);
	if (report.errors == 1)
		return rt_fail(err, RT_E_USAGE, "%s: one mistake; nothing was run", file);
	return r;
}
