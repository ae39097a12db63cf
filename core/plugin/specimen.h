/* plugin/specimen.h - a made-up configuration that a plugin can be tried with. */
#ifndef PLUGIN_SPECIMEN_H
#define PLUGIN_SPECIMEN_H

#include "plugin/context.h"

#include <retort/plugin.h>

/* An instance: its config, filled with defaults and, where something has to be set, with the
 * least that will do.  Components are open; an input is a small dataset in `folder`. */
struct specimen {
	const struct rt_plugin *plugin;
	void                   *config;
	struct rt_component     component; /* component.state: after specimen_open() */
};

/* set: "key=value" texts that go over what would be made up, up to NULL.  RT_E_UNSUP when a
 * value cannot be made up.  Nothing is released: for a process that ends. */
int specimen_make(struct specimen *s, const struct rt_plugin *plugin, const char *folder,
                  struct rt_context *c, const char *const *set, struct rt_error *err);

/* check(), and component_open(). */
int  specimen_open(struct specimen *s, struct rt_error *err);
void specimen_close(struct specimen *s);

#endif
