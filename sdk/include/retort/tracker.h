/* retort/tracker.h - kind `tracker`: where the numbers of a run go.
 *
 * What open() or begin() returns ends the run before anything is done.  A tracker that fails later
 * is left out, with a warning at the end: it never stops a run that is under way. */
#ifndef RETORT_TRACKER_H
#define RETORT_TRACKER_H

#include <retort/plugin.h>

#define RT_TRACKER_ABI 1

struct rt_tracker_ops {
	uint32_t size; /* sizeof(struct rt_tracker_ops) */
	uint32_t reserved;

	/* A run begins.  dir: the run's folder for trackers, there already.  resumed: earlier
	 * parts of this run may have been tracked. */
	int (*begin)(void *state, const char *dir, const char *pipeline, bool resumed,
	             struct rt_error *err); /* [main] */

	/* seconds since the epoch; tag is "stage/name". One call at a time. */
	int (*scalar)(void *state, double time, const char *tag, int64_t step, double value,
	              struct rt_error *err); /* [worker] */
	int (*event)(void *state, double time, const char *stage, const char *name,
	             const struct rt_json *fields, struct rt_error *err); /* [worker] */

	/* All that was said is safe on the disk, or at the server, when it returns. */
	int (*flush)(void *state, struct rt_error *err); /* [worker] */
};

#endif
