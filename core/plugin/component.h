/* plugin/component.h - a plugin's state comes to life and ends. */
#ifndef PLUGIN_COMPONENT_H
#define PLUGIN_COMPONENT_H

#include <retort/plugin.h>

/* Give the component, whose plugin, config and context are set, its state, and call open().
 * On failure it is closed again; the message does not name the plugin. */
int component_open(struct rt_component *o, struct rt_error *err);

/* Close what component_open() opened; nothing where it did not, or failed. */
void component_close(struct rt_component *o);

#endif
