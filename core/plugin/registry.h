/* plugin/registry.h - find, vet and open plugins.  Main thread only.
 *
 * Folders, the first that has a plugin wins: --plugin-path, RETORT_PLUGIN_PATH, the user's
 * ($XDG_DATA_HOME/retort/plugins), and the tree's own when run from a build, else the
 * installed one. */
#ifndef PLUGIN_REGISTRY_H
#define PLUGIN_REGISTRY_H

#include "plugin/kind.h"

#include <retort/plugin.h>

/* path: what --plugin-path said, folders with : between them, or NULL.  A second call without
 * registry_exit() in between changes nothing. */
int  registry_init(const char *path, struct rt_error *err);
void registry_exit(void);

/* The plugin KIND-NAME.  Opened once, kept for good: code stays mapped until the end. */
int registry_open(unsigned kind, const char *name, const struct rt_plugin **ret,
                  struct rt_error *err);

/* One plugin from a file of that name, wherever it lies. */
int registry_open_file(const char *path, const struct rt_plugin **ret, struct rt_error *err);

/* Where an open plugin came from. */
const char *registry_file(const struct rt_plugin *plugin);

/* The name of an installed plugin of that kind nearest to `name`, or NULL. */
const char *registry_suggest(unsigned kind, const char *name);

/* The folders in order of search, NULL behind the last. */
const char *const *registry_folders(void);

/* Every file <kind>-<name>.so on the path, in order of its name: a plugin, or why not. */
struct registry_entry {
	const char             *id, *file;
	const struct rt_plugin *plugin; /* NULL: refused */
	const char *problem; /* why refused, or what to know (shadows another), or NULL */
};
typedef int registry_fn(void *arg, const struct registry_entry *e, struct rt_error *err);
int         registry_each(registry_fn *fn, void *arg, struct rt_error *err);

#endif
