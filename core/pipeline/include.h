/* pipeline/include.h - a file and all that it includes, as one text that remembers its lines. */
#ifndef PIPELINE_INCLUDE_H
#define PIPELINE_INCLUDE_H

#include <retort/memory.h>
#include <retort/text.h>

#include <stdint.h>

struct source_line {
	const char *file;
	int         line;
};

struct source {
	struct rt_text      text; /* no @include is left in it */
	struct source_line *lines;
	int64_t             n, cap;
};

/* Reads `path`, or takes `text` of n bytes for its content when text is not NULL. */
int  source_read(struct source *s, const char *path, const char *text, size_t n, struct rt_arena *a,
                 struct rt_error *err);
void source_free(struct source *s);

/* Where line number `line` (from 1) of the text came from. */
struct source_line source_at(const struct source *s, int line);

#endif
