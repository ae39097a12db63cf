/* plugin/context.h - the inside of what a run lends a plugin. */
#ifndef PLUGIN_CONTEXT_H
#define PLUGIN_CONTEXT_H

#include <retort/context.h>

#include <stdatomic.h>

/* Where things go.  Called from any thread, several at once; each may be NULL. */
struct context_sink {
	void *arg;
	void (*log)(void *arg, const char *stage, enum rt_level level, const char *text);
	void (*progress)(void *arg, const char *stage, int64_t done, int64_t total,
	                 const char *unit);
	void (*scalar)(void *arg, const char *stage, const char *tag, int64_t step, double value);
	void (*event)(void *arg, const char *stage, const char *name, const struct rt_json *fields);
	bool (*cancelled)(void *arg);
};

struct rt_context {
	const struct context_sink *sink;
	const char                *stage; /* its name, for messages */
	uint64_t                   seed;
	const char                *work_dir;
	atomic_llong               shown; /* monotonic milliseconds of the last progress */
};

/* Replace every value that rt_env() has lent by "***", in place.  Values shorter than four
 * bytes are no secrets. [any] */
void context_redact(char *text);

#endif
