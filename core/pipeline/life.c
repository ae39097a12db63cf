/* life.c - see life.h */
#include "pipeline/life.h"

#include "plugin/registry.h"

#include <retort/memory.h>

/* Parts from the last to the first; recursion keeps the list simple. */
static void close_parts(struct instance *part)
{
	if (!part)
		return;
	close_parts(part->next);
	life_close(part);
}

void life_close(struct instance *in)
{
	if (!in->component.state)
		return;
	if (in->plugin->close)
		in->plugin->close(in->component.state);
	rt_free(in->component.state);
	in->component.state = NULL;
	close_parts(in->parts);
}

int life_open(struct instance *in, struct rt_context *c, struct rt_error *err)
{
	const struct rt_plugin *p = in->plugin;
	int                     r = 0;

	for (struct instance *part = in->parts; part; part = part->next) {
		r = life_open(part, c, err);
		if (r < 0) {
			close_parts(in->parts);
			return r;
		}
	}
	in->component.context = c;
	in->component.state = rt_alloc_aligned(1, p->state_size ? p->state_size : 1);
	if (!in->component.state) {
		close_parts(in->parts);
		return rt_fail_nomem(err, p->name);
	}
	if (p->open)
		r = p->open(in->component.state, in->config, c, err);
	if (r < 0) {
		life_close(in);
		return rt_within(err, r, "%s-%s", kind_name(p->kind), p->name);
	}
	return 0;
}
