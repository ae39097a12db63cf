/* retort/tool.h - kind `tool`: functions that a prototype may call.
 *
 * An instance serves one function or several; which, its parameters may decide.  How they are
 * declared to the model (names, JSON Schemas) stands in a file of tools, not here: whoever calls
 * has checked the arguments against it. */
#ifndef RETORT_TOOL_H
#define RETORT_TOOL_H

#include <retort/plugin.h>

#define RT_TOOL_ABI 2 /* 2: function() names what is served; was serves() */

struct rt_tool_ops {
	uint32_t size; /* sizeof(struct rt_tool_ops) */
	uint32_t reserved;

	/* Call `name`, one of those it serves, with `arguments`, an object.  *ret is the result,
	 * any JSON value, released by the caller.  A call that fails in its own terms (nothing
	 * found, out of range, a program that ends badly) is a result { "error": "..." } for the
	 * model to see; an error is for what the model cannot mend, and ends the stage.  Same
	 * arguments, same result. [worker] */
	int (*call)(void *state, const char *name, const struct rt_json *arguments,
	            struct rt_json **ret, struct rt_error *err);

	/* The i-th function that this instance serves, from 0; NULL behind the last. [any] */
	const char *(*function)(const void *state, int64_t i);
};

#endif
