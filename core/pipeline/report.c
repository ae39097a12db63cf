/* report.c - see report.h */
#include "pipeline/report.h"

#include <retort/text.h>

#include <stdio.h>
#include <string.h>

static bool before(const struct mistake *a, const struct mistake *b)
{
	return strcmp(a->file, b->file) == 0 && a->line < b->line;
}

/* Keep each file's mistakes in order of their lines, files in order of appearance. */
static void insert(struct report *r, struct mistake *m)
{
	struct mistake **at = &r->first;

	while (*at && !before(m, *at))
		at = &(*at)->next;
	m->next = *at;
	*at = m;
}

static void add(struct report *r, const struct setting *at, bool warning, const char *fmt,
                va_list ap)
{
	char            text[RT_ERROR_TEXT];
	struct mistake *m = rt_arena_alloc(r->arena, 1, sizeof *m);

	vsnprintf(text, sizeof text, fmt, ap);
	*(warning ? &r->warnings : &r->errors) += 1;
	if (!m || !(m->text = rt_arena_strdup(r->arena, text))) {
		r->nomem = true;
		return;
	}
	m->file = at && at->file ? at->file : "";
	m->line = at ? at->line : 0;
	m->warning = warning;
	insert(r, m);
}

void report_error(struct report *r, const struct setting *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(r, at, false, fmt, ap);
	va_end(ap);
}

void report_warning(struct report *r, const struct setting *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(r, at, true, fmt, ap);
	va_end(ap);
}

void report_print(const struct mistake *m, struct rt_text *out)
{
	if (*m->file)
		rt_text_printf(out, m->line ? "%s:%d: " : "%s: ", m->file, m->line);
	rt_text_printf(out, "%s%s", m->warning ? "warning: " : "", m->text);
}

int report_result(const struct report *r, struct rt_error *err)
{
	struct rt_text t = RT_TEXT_INIT;

	if (r->nomem)
		return rt_fail_nomem(err, "the list of mistakes");
	for (const struct mistake *m = r->first; m; m = m->next) {
		if (m->warning)
			continue;
		report_print(m, &t);
		rt_fail(err, RT_E_USAGE, "%s", t.data);
		rt_text_free(&t);
		return RT_E_USAGE;
	}
	return 0;
}
