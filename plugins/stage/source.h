/* source.h - rows of one file, JSON Lines or CSV, in whichever of the shapes that import.h knows.
 */
#ifndef STAGE_SOURCE_H
#define STAGE_SOURCE_H

#include "csv.h"

#include <retort/rows.h>

struct source {
	const char     *path;
	struct rt_rows *rows; /* one of the two */
	struct csv     *csv;
	int64_t         line;   /* where the row that came last begins */
	bool            joined; /* rows of another stage: their ids may be taken */
};

/* s is zeroed; path must outlive it. */
int  source_open(struct source *s, const char *path, bool joined, struct rt_error *err);
void source_close(struct source *s);

/* 1: *ret is a row with messages, released by the caller; 0: the end; negative: an error that
 * begins with "path:line: ". */
int source_next(struct source *s, struct rt_json **ret, struct rt_error *err);

#endif
