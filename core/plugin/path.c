/* path.c - see path.h */
#define _GNU_SOURCE /* secure_getenv */
#include "plugin/path.h"

#include <retort/file.h>
#include <retort/memory.h>

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Takes over folder; one that is there already is not searched twice. */
static int add(struct plugin_path *p, char *folder, struct rt_error *err)
{
	if (!folder)
		return rt_fail_nomem(err, "the plugin path");
	for (int i = 0; i < p->n; i++)
		if (strcmp(p->folder[i], folder) == 0) {
			rt_free(folder);
			return 0;
		}
	if (p->n == PATH_MOST) {
		rt_free(folder);
		return rt_fail(err, RT_E_USAGE, "the plugin path has more than %d folders",
		               PATH_MOST);
	}
	p->folder[p->n++] = folder;
	return 0;
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Folders with : between them; empty ones are passed over. */
static int add_list(struct plugin_path *p, const char *list, const char *must, struct rt_error *err)
{
	while (list && *list) {
		const size_t n = strcspn(list, ":");
		char        *folder = n ? rt_strndup(list, n) : NULL;
		int          r = 0;

		if (folder && must && !is_folder(folder)) {
			r = rt_fail(err, RT_E_USAGE, "%s: there is no folder %s", must, folder);
			rt_free(folder);
		} else if (n) {
			r = add(p, folder, err);
		}
		if (r < 0)
			return r;
		list += n + (list[n] == ':');
	}
	return 0;
}

static int add_users(struct plugin_path *p, struct rt_error *err)
{
	const char *data = secure_getenv("XDG_DATA_HOME"), *home = secure_getenv("HOME");

	if (data && *data == '/')
		return add(p, rt_asprintf("%s/retort/plugins", data), err);
	if (home && *home == '/')
		return add(p, rt_asprintf("%s/.local/share/retort/plugins", home), err);
	return 0;
}

/* In a build tree the program lies in a folder .libs, and its plugins beside it. */
static int add_own(struct plugin_path *p, struct rt_error *err)
{
	char    exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	char   *slash;

	exe[n > 0 ? n : 0] = '\0';
	slash = strrchr(exe, '/');
	if (slash && slash - exe > 6 && strncmp(slash - 6, "/.libs", 6) == 0)
		return add(p, rt_strndup(exe, (size_t)(slash - exe)), err);
	return add(p, rt_strdup(RETORT_PLUGINDIR), err);
}

int path_init(struct plugin_path *p, const char *option, struct rt_error *err)
{
	int r;

	*p = (struct plugin_path){ .n = 0 };
	r = add_list(p, option, "--plugin-path", err);
	if (r == 0)
		r = add_list(p, secure_getenv("RETORT_PLUGIN_PATH"), NULL, err);
	if (r == 0)
		r = add_users(p, err);
	if (r == 0)
		r = add_own(p, err);
	if (r < 0)
		path_fini(p);
	return r;
}

void path_fini(struct plugin_path *p)
{
	for (int i = 0; i < p->n; i++)
		rt_free(p->folder[i]);
	*p = (struct plugin_path){ .n = 0 };
}

int path_trust(const char *folder, struct rt_error *err)
{
	struct stat st;

	if (stat(folder, &st) == 0 && (st.st_mode & S_IWOTH))
		return rt_fail(err, RT_E_ABI,
		               "lies in a folder that anyone can write to: chmod o-w %s", folder);
	return 0;
}
