/* component.c - see component.h */
#include "plugin/component.h"

#include <retort/memory.h>

int component_open(struct rt_component *o, struct rt_error *err)
{
	const struct rt_plugin *p = o->plugin;
	int                     r;

	/* Without a state of its own a plugin sees its config there, which it does not write. */
	o->state = p->state_size ? rt_alloc_aligned(1, p->state_size) : (void *)o->config;
	if (!o->state)
		return rt_fail_nomem(err, "a state");
	r = p->open ? p->open(o->state, o->config, o->context, err) : 0;
	if (r < 0)
		component_close(o);
	return r;
}

void component_close(struct rt_component *o)
{
	if (!o->state)
		return;
	if (o->plugin->close)
		o->plugin->close(o->state);
	if (o->plugin->state_size)
		rt_free(o->state);
	o->state = NULL;
}
