/* process.h - run a program once: bytes in, bytes out, within a time and a size. */
#ifndef TOOL_PROCESS_H
#define TOOL_PROCESS_H

#include <retort/context.h>
#include <retort/text.h>

struct process {
	const char *const *argv, *const *env; /* both end with NULL; argv[0] is a path */
	const char *folder;                   /* to run in */
	double      timeout;                  /* seconds */
	int64_t     limit;                    /* bytes of its output */

	/* what became of it */
	struct rt_text out, told; /* standard output; the beginning of standard error */
	int            status;    /* as waitpid() has it */
	bool           late, large;
};

/* Start it in a process group of its own, feed it n bytes, and wait.  One that is late, writes too
 * much, or is cancelled is killed with all that it started.  Negative: it cannot be started, or the
 * stage was cancelled.  SIGPIPE must be ignored, as the host does. */
int  process_run(struct process *p, const char *bytes, size_t n, struct rt_context *c,
                 struct rt_error *err);
void process_fini(struct process *p);

#endif
