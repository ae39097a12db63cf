/* plugin/object.h - may this file be loaded?  Looks at the file, runs nothing. */
#ifndef PLUGIN_OBJECT_H
#define PLUGIN_OBJECT_H

#include <retort/error.h>

#include <stddef.h>

/* A regular file that only its owner's group may change, and a whole shared object for this
 * machine.  The dynamic linker maps what a header promises and dies on what is not there, so
 * a truncated file has to be found before.  The message does not name the file. */
int object_check(const char *path, struct rt_error *err);

/* The same for bytes in memory. */
int object_check_bytes(const void *bytes, size_t n, struct rt_error *err);

#endif
