/* pipeline/report.h - all that is wrong with a description, not only the first. */
#ifndef PIPELINE_REPORT_H
#define PIPELINE_REPORT_H

#include "pipeline/settings.h"

#include <retort/text.h>

struct mistake {
	const char     *file; /* "" when none */
	int             line; /* 0: none */
	bool            warning;
	const char     *text;
	struct mistake *next;
};

struct report {
	struct rt_arena *arena;
	struct mistake  *first; /* by file, in order of lines */
	int64_t          errors, warnings;
	bool             nomem;
};

/* at may be NULL. */
void report_error(struct report *r, const struct setting *at, const char *fmt, ...) RT_PRINTF(3, 4);
void report_warning(struct report *r, const struct setting *at, const char *fmt, ...)
	RT_PRINTF(3, 4);

/* 0 without errors, else RT_E_USAGE with the first of them (or RT_E_NOMEM). */
int report_result(const struct report *r, struct rt_error *err);

/* "p.cfg:3: text" */
void report_print(const struct mistake *m, struct rt_text *out);

#endif
