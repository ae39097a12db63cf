/* pipeline/life.h - instances come to life and end, components before what holds them. */
#ifndef PIPELINE_LIFE_H
#define PIPELINE_LIFE_H

#include "pipeline/bind.h"

/* Allocate states and call open(), parts first.  On failure everything that was opened is
 * closed again.  The message names the plugin. */
int life_open(struct instance *in, struct rt_context *c, struct rt_error *err);

/* Close what life_open() opened, in the opposite order. */
void life_close(struct instance *in);

#endif
