/* retort/tool.h - kind `tool`: a function that a prototype may call. */
#ifndef RETORT_TOOL_H
#define RETORT_TOOL_H

#include <retort/plugin.h>

#define RT_TOOL_ABI 1

struct rt_tool_ops {
	uint32_t size; /* sizeof(struct rt_tool_ops) */
	uint32_t reserved;

	/* Call `name` with `arguments` (an object that its schema has accepted).  *ret is
	 * the result, released by the caller.  A call that fails in its own terms (nothing
	 * found, out of range) is a result { "error": "..." } for the model to see; an
	 * error is for what the model cannot mend.  Same arguments, same result. [worker] */
	int (*call)(void *state, const char *name, const struct rt_json *arguments,
	            struct rt_json **ret, struct rt_error *err);

	/* Does this instance serve the function `name`? [any] */
	bool (*serves)(const void *state, const char *name);
};

#endif
