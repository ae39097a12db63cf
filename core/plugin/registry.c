/* registry.c - see plugin/registry.h.  The only file that knows libltdl. */
#define _GNU_SOURCE /* secure_getenv */
#include "plugin/registry.h"

#include "plugin/vet.h"

#include <retort/file.h>
#include <retort/memory.h>
#include <retort/text.h>

#include <errno.h>
#include <ltdl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FOLDERS = 64 };

struct opened {
	const struct rt_plugin *plugin;
	char                   *file;
	struct opened          *next;
};

static struct {
	bool            started;
	char           *folders[MAX_FOLDERS];
	int             n;
	struct opened  *opened;
} registry;

const char *kind_name(unsigned kind)
{
	static const char *const names[] = {
#define RT_X(name, num, text, member) [num] = text,
		RT_KIND_MAP(RT_X)
#undef RT_X
	};

	return kind >= 1 && kind < RT_KIND_END_ ? names[kind] : "unknown";
}

unsigned kind_find(const char *name)
{
	for (unsigned k = 1; k < RT_KIND_END_; k++)
		if (strcmp(kind_name(k), name) == 0)
			return k;
	return 0;
}

static int add_folder(const char *path, size_t n, struct rt_error *err)
{
	if (n == 0)
		return 0;
	if (registry.n == MAX_FOLDERS)
		return rt_fail(err, RT_E_USAGE, "more than %d plugin folders", MAX_FOLDERS);
	registry.folders[registry.n] = rt_strndup(path, n);
	if (!registry.folders[registry.n])
		return rt_fail_nomem(err, "the plugin folders");
	registry.n++;
	return 0;
}

static int add_list(const char *list, struct rt_error *err)
{
	int r = 0;

	while (r == 0 && list && *list) {
		const size_t n = strcspn(list, ":");

		r = add_folder(list, n, err);
		list += n + (list[n] == ':');
	}
	return r;
}

static int add_user_folder(struct rt_error *err)
{
	const char *data = secure_getenv("XDG_DATA_HOME"), *home = secure_getenv("HOME");
	char       *path = NULL;
	int         r;

	if (data && *data == '/')
		path = rt_asprintf("%s/retort/plugins", data);
	else if (home && *home == '/')
		path = rt_asprintf("%s/.local/share/retort/plugins", home);
	else
		return 0;
	r = path ? add_folder(path, strlen(path), err) : rt_fail_nomem(err, "the plugin folders");
	rt_free(path);
	return r;
}

/* A program that libtool has built and not installed runs from a folder called .libs, with
 * the tree's plugins beside it. */
static int add_own_folder(struct rt_error *err)
{
	char    exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	char   *slash;

	if (n > 0) {
		exe[n] = '\0';
		slash = strrchr(exe, '/');
		if (slash && slash - exe > 6 && memcmp(slash - 6, "/.libs", 6) == 0)
			return add_folder(exe, (size_t)(slash - exe), err);
	}
	return add_folder(RETORT_PLUGINDIR, strlen(RETORT_PLUGINDIR), err);
}

int registry_init(const char *path, struct rt_error *err)
{
	int r;

	if (registry.started)
		return 0;
	if (lt_dlinit() != 0)
		return rt_fail(err, RT_E_IO, "cannot start the module loader: %s", lt_dlerror());
	registry.started = true;
	r = add_list(path, err);
	if (r == 0)
		r = add_list(secure_getenv("RETORT_PLUGIN_PATH"), err);
	if (r == 0)
		r = add_user_folder(err);
	if (r == 0)
		r = add_own_folder(err);
	return r;
}

void registry_exit(void)
{
	while (registry.opened) {
		struct opened *o = registry.opened;

		registry.opened = o->next;
		rt_free(o->file);
		rt_free(o);
	}
	for (int i = 0; i < registry.n; i++)
		rt_free(registry.folders[i]);
	registry.n = 0;
	if (registry.started)
		lt_dlexit();
	registry.started = false;
}

/* Code that anybody may change must not be loaded. */
static int check_mode(const char *path, struct rt_error *err)
{
	char       *copy = rt_strdup(path), *slash = copy ? strrchr(copy, '/') : NULL;
	struct stat st;
	int         r = 0;

	if (!copy)
		return rt_fail_nomem(err, path);
	if (slash)
		*slash = '\0';
	if (stat(path, &st) != 0)
		r = rt_fail_errno(err, "cannot look at %s", path);
	else if (!S_ISREG(st.st_mode))
		r = rt_fail(err, RT_E_ABI, "%s is no regular file", path);
	else if (st.st_mode & S_IWOTH)
		r = rt_fail(err, RT_E_ABI, "%s may be written by everybody; chmod o-w it", path);
	else if (slash && *copy && stat(copy, &st) == 0 && (st.st_mode & S_IWOTH))
		r = rt_fail(err, RT_E_ABI, "the folder %s may be written by everybody; chmod o-w it", copy);
	else if (access(path, R_OK) != 0)
		r = rt_fail_errno(err, "cannot read %s", path);
	rt_free(copy);
	return r;
}

/* The loader's own reason: lt_dlerror() of lt_dlopen() says only "file not found". */
static const char *why_not(const char *file)
{
	const lt_dlvtable *dl = lt_dlloader_find("lt_dlopen");
	const char        *why;

	lt_dlerror();
	if (dl && dl->module_open(dl->dlloader_data, file, NULL))
		return "it cannot be opened";
	why = lt_dlerror();
	return why ? why : "it cannot be opened";
}

static const struct rt_plugin *find_opened(const char *file)
{
	for (const struct opened *o = registry.opened; o; o = o->next)
		if (strcmp(o->file, file) == 0)
			return o->plugin;
	return NULL;
}

const char *registry_file(const struct rt_plugin *plugin)
{
	for (const struct opened *o = registry.opened; o; o = o->next)
		if (o->plugin == plugin)
			return o->file;
	return NULL;
}

static int remember(const struct rt_plugin *plugin, const char *file, struct rt_error *err)
{
	struct opened *o = rt_alloc(1, sizeof *o);

	if (!o || !(o->file = rt_strdup(file))) {
		rt_free(o);
		return rt_fail_nomem(err, "a plugin");
	}
	o->plugin = plugin;
	o->next = registry.opened;
	registry.opened = o;
	return 0;
}

/* The file's name without folder and ".so". */
static void id_of(const char *file, char *id, size_t n)
{
	const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file;
	const char *dot = strrchr(base, '.');

	snprintf(id, n, "%.*s", (int)(dot ? dot - base : (ptrdiff_t)strlen(base)), base);
}

int registry_open_file(const char *file, const struct rt_plugin **ret, struct rt_error *err)
{
	const struct rt_plugin *plugin = find_opened(file);
	lt_dlhandle             h;
	char                    id[200];
	int                     r;

	if (plugin) {
		*ret = plugin;
		return 0;
	}
	r = check_mode(file, err);
	if (r < 0)
		return r;
	h = lt_dlopen(file);
	if (!h)
		return rt_fail(err, RT_E_ABI, "%s is no usable plugin: %s", file, why_not(file));
	plugin = lt_dlsym(h, "retort_plugin");
	if (!plugin)
		return rt_fail(err, RT_E_ABI, "%s exports no retort_plugin; it is no plugin of retort", file);
	id_of(file, id, sizeof id);
	r = vet_plugin(plugin, id, err);
	if (r < 0)
		return rt_within(err, r, "%s", file);
	r = remember(plugin, file, err);
	if (r == 0)
		*ret = plugin;
	return r;
}

static char *file_of(int folder, const char *id)
{
	return rt_asprintf("%s/%s.so", registry.folders[folder], id);
}

int registry_open(unsigned kind, const char *name, const struct rt_plugin **ret, struct rt_error *err)
{
	struct rt_text folders = RT_TEXT_INIT;
	char           id[200];
	int            r = RT_E_NOENT;

	snprintf(id, sizeof id, "%s-%s", kind_name(kind), name);
	if (strchr(name, '/'))
		return rt_fail(err, RT_E_USAGE, "'%s' is no name of a plugin", name);
	for (int i = 0; i < registry.n; i++) {
		char *file = file_of(i, id);

		if (!file)
			return rt_fail_nomem(err, id);
		if (rt_exists(file)) {
			r = registry_open_file(file, ret, err);
			rt_free(file);
			return r;
		}
		rt_free(file);
		rt_text_printf(&folders, "%s%s", i ? ", " : "", registry.folders[i]);
	}
	rt_fail(err, RT_E_NOENT, "there is no plugin %s in %s", id, folders.data);
	rt_text_free(&folders);
	return r;
}

/* Names of files while a listing is made. */
struct names {
	char  **at; /* "judge-exact", sorted, each once */
	int64_t n, cap;
};

static int add_name(struct names *names, const char *id)
{
	int64_t at = names->n;

	for (; at > 0 && strcmp(names->at[at - 1], id) >= 0; at--)
		if (strcmp(names->at[at - 1], id) == 0)
			return 0;
	if (names->n == names->cap) {
		const int64_t cap = names->cap ? 2 * names->cap : 64;
		char        **more = rt_realloc(names->at, (size_t)cap, sizeof *more);

		if (!more)
			return RT_E_NOMEM;
		names->at = more;
		names->cap = cap;
	}
	memmove(names->at + at + 1, names->at + at, (size_t)(names->n - at) * sizeof *names->at);
	names->at[at] = rt_strdup(id);
	if (!names->at[at]) {
		memmove(names->at + at, names->at + at + 1, (size_t)(names->n - at) * sizeof *names->at);
		return RT_E_NOMEM;
	}
	names->n++;
	return 0;
}

/* "<kind>-<name>.so" of a kind there is; other files are none of ours. */
static int see_file(void *arg, const char *name, bool is_dir, struct rt_error *err)
{
	const char *dot = strrchr(name, '.'), *dash = strchr(name, '-');
	char        id[200], kind[32];

	if (is_dir || !dot || strcmp(dot, ".so") != 0 || !dash || dash > dot)
		return 0;
	snprintf(kind, sizeof kind, "%.*s", (int)(dash - name), name);
	if (!kind_find(kind))
		return 0;
	id_of(name, id, sizeof id);
	return add_name(arg, id) < 0 ? rt_fail_nomem(err, "the list of plugins") : 0;
}

static int list_names(struct names *names, struct rt_error *err)
{
	int r = 0;

	for (int i = 0; r == 0 && i < registry.n; i++)
		if (rt_exists(registry.folders[i]))
			r = rt_list_dir(registry.folders[i], see_file, names, err);
	return r;
}

static void free_names(struct names *names)
{
	for (int64_t i = 0; i < names->n; i++)
		rt_free(names->at[i]);
	rt_free(names->at);
}

static int show_id(const char *id, registry_fn *fn, void *arg, struct rt_error *err)
{
	bool found = false;
	int  r = 0;

	for (int i = 0; r == 0 && i < registry.n; i++) {
		char                 *file = file_of(i, id);
		struct rt_error       why = RT_ERROR_INIT;
		struct registry_entry e = { .id = id, .file = file };

		if (!file)
			return rt_fail_nomem(err, id);
		if (rt_exists(file)) {
			if (found)
				rt_fail(&why, RT_E_ABI, "is hidden by another of the same name in an earlier folder");
			else
				registry_open_file(file, &e.plugin, &why);
			e.problem = *why.msg ? why.msg : NULL;
			found = true;
			r = fn(arg, &e, err);
		}
		rt_free(file);
	}
	return r;
}

int registry_each(registry_fn *fn, void *arg, struct rt_error *err)
{
	struct names names = { 0 };
	int          r = list_names(&names, err);

	for (int64_t i = 0; r == 0 && i < names.n; i++)
		r = show_id(names.at[i], fn, arg, err);
	free_names(&names);
	return r;
}

const char *registry_suggest(unsigned kind, const char *name)
{
	static char  best[200]; /* [main]: lent until the next call */
	const char  *list[257], *guess;
	struct names names = { 0 };
	const size_t prefix = strlen(kind_name(kind)) + 1;
	int          n = 0;

	if (list_names(&names, NULL) == 0)
		for (int64_t i = 0; i < names.n && n < 256; i++)
			if (strncmp(names.at[i], kind_name(kind), prefix - 1) == 0 && names.at[i][prefix - 1] == '-')
				list[n++] = names.at[i] + prefix;
	list[n] = NULL;
	guess = rt_suggest(name, list);
	if (guess)
		snprintf(best, sizeof best, "%s", guess);
	free_names(&names);
	return guess ? best : NULL;
}
