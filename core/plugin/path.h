/* plugin/path.h - the folders that plugins are looked for in, in order. */
#ifndef PLUGIN_PATH_H
#define PLUGIN_PATH_H

#include <retort/error.h>

enum { PATH_MOST = 32 };

struct plugin_path {
	char *folder[PATH_MOST + 1]; /* NULL behind the last */
	int   n;
};

/* option: --plugin-path, or NULL.  A folder that is named there must exist. */
int  path_init(struct plugin_path *p, const char *option, struct rt_error *err);
void path_fini(struct plugin_path *p);

/* Is this a folder that only trusted hands can put files into?  RT_E_ABI with the remedy, or 0;
 * a folder that is not there is fine. */
int path_trust(const char *folder, struct rt_error *err);

#endif
