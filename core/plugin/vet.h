/* plugin/vet.h - is this descriptor fit to be used?  Reads data, runs nothing. */
#ifndef PLUGIN_VET_H
#define PLUGIN_VET_H

#include <retort/plugin.h>

/* id: "<kind>-<name>" that the file name promises, or NULL.  The message says what is wrong,
 * both sides' numbers where versions differ, and the remedy. */
int vet_plugin(const struct rt_plugin *p, const char *id, struct rt_error *err);

#endif
