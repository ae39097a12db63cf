/* life.c - see life.h */
#include "pipeline/life.h"

#include "plugin/component.h"
#include "plugin/registry.h"

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
	component_close(&in->component);
	close_parts(in->parts);
}

int life_open(struct instance *in, struct rt_context *c, struct rt_error *err)
{
	int r = 0;

	for (struct instance *part = in->parts; part; part = part->next) {
		r = life_open(part, c, err);
		if (r < 0) {
			close_parts(in->parts);
			return r;
		}
	}
	in->component.context = c;
	r = component_open(&in->component, err);
	if (r < 0) {
		close_parts(in->parts);
		return rt_within(err, r, "%s-%s", kind_name(in->plugin->kind), in->plugin->name);
	}
	return 0;
}
