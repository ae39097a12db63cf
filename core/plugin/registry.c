/* registry.c - see registry.h.  The only file that knows about libltdl. */
#include "plugin/registry.h"

#include "plugin/object.h"
#include "plugin/path.h"
#include "plugin/vet.h"

#include <retort/memory.h>
#include <retort/text.h>

#include <limits.h>
#include <ltdl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What is known of one file, opened or refused. */
struct module {
	struct module          *next;
	char                   *id, *file;
	const struct rt_plugin *plugin; /* NULL: refused */
	struct rt_error         why;
};

static struct {
	bool               ready;
	struct plugin_path path;
	lt_dladvise        advise;
	struct module     *modules;
} registry;

static int start_ltdl(struct rt_error *err)
{
	if (lt_dlinit() != 0)
		return rt_fail(err, RT_E_IO, "cannot start the module loader: %s", lt_dlerror());
	if (lt_dladvise_init(&registry.advise) == 0 && lt_dladvise_local(&registry.advise) == 0)
		return 0;
	rt_fail_nomem(err, "the module loader");
	lt_dlexit();
	return RT_E_NOMEM;
}

int registry_init(const char *path, struct rt_error *err)
{
	int r;

	if (registry.ready)
		return 0;
	r = path_init(&registry.path, path, err);
	if (r == 0)
		r = start_ltdl(err);
	if (r < 0) {
		path_fini(&registry.path);
		return r;
	}
	registry.ready = true;
	return 0;
}

static void free_module(struct module *m)
{
	if (!m)
		return;
	rt_free(m->id);
	rt_free(m->file);
	rt_free(m);
}

void registry_exit(void)
{
	if (!registry.ready)
		return;
	while (registry.modules) {
		struct module *m = registry.modules;

		registry.modules = m->next;
		free_module(m);
	}
	lt_dladvise_destroy(&registry.advise);
	lt_dlexit();
	path_fini(&registry.path);
	registry.ready = false;
}

/* lt_dlopen() asks several loaders and keeps the last one's complaint, which is always "file
 * not found".  The one that matters is asked again to learn why. */
static const char *why_not(const char *file)
{
	const lt_dlvtable *dl = lt_dlloader_find("lt_dlopen");
	const char        *why = NULL;

	if (dl && !dl->module_open(dl->dlloader_data, file, NULL))
		why = lt_dlerror();
	return why ? why : "cannot be opened";
}

static int load(struct module *m, struct rt_error *err)
{
	const struct rt_plugin *p;
	lt_dlhandle             h;
	const char             *why;
	int                     r = object_check(m->file, err);

	if (r < 0)
		return r;
	h = lt_dlopenadvise(m->file, registry.advise);
	if (!h) {
		why = why_not(m->file);
		return rt_fail(err, RT_E_ABI, "cannot be loaded: %s",
		               strncmp(why, m->file, strlen(m->file)) == 0 &&
		                               why[strlen(m->file)] == ':'
		                       ? why + strlen(m->file) + 2
		                       : why);
	}
	p = lt_dlsym(h, "retort_plugin");
	if (!p)
		return rt_fail(
			err, RT_E_ABI,
			"exports no retort_plugin: define it with RT_PLUGIN(), and export it");
	r = vet_plugin(p, m->id, err);
	if (r == 0)
		m->plugin = p;
	return r;
}

/* The module of a file, loaded at the first call.  folder: whose rights count, or NULL. */
static struct module *module_of(const char *id, const char *file, const char *folder,
                                struct rt_error *err)
{
	struct module *m;

	for (m = registry.modules; m; m = m->next)
		if (strcmp(m->file, file) == 0)
			return m;
	m = rt_alloc(1, sizeof *m);
	if (m) {
		m->id = rt_strdup(id);
		m->file = rt_strdup(file);
	}
	if (!m || !m->id || !m->file) {
		free_module(m);
		rt_fail_nomem(err, "a plugin");
		return NULL;
	}
	if (!folder || path_trust(folder, &m->why) == 0)
		load(m, &m->why);
	m->next = registry.modules;
	registry.modules = m;
	return m;
}

static int result(const struct module *m, const struct rt_plugin **ret, struct rt_error *err)
{
	if (!m->plugin)
		return rt_fail(err, m->why.code, "%s: %s", m->file, m->why.msg);
	*ret = m->plugin;
	return 0;
}

static int not_found(unsigned kind, const char *name, struct rt_error *err)
{
	struct rt_text t = RT_TEXT_INIT;

	for (int i = 0; i < registry.path.n; i++)
		rt_text_printf(&t, "%s%s", i ? ", " : "", registry.path.folder[i]);
	rt_fail(err, RT_E_NOENT, "there is no %s '%s' (looked for %s-%s.so in %s)", kind_name(kind),
	        name, kind_name(kind), name, t.data);
	rt_text_free(&t);
	return RT_E_NOENT;
}

/* A link that leads nowhere is there too: it is refused, not passed over. */
static bool lies_there(const char *file)
{
	struct stat st;

	return lstat(file, &st) == 0;
}

int registry_open(unsigned kind, const char *name, const struct rt_plugin **ret,
                  struct rt_error *err)
{
	char *file = NULL,
	     *id = strchr(name, '/') ? NULL : rt_asprintf("%s-%s", kind_name(kind), name);
	int r = RT_E_NOENT;

	if (strchr(name, '/'))
		return rt_fail(err, RT_E_USAGE, "'%s' is a path, want the name of %s", name,
		               kind_with_article(kind));
	for (int i = 0; id && r == RT_E_NOENT && i < registry.path.n; i++) {
		const char    *folder = registry.path.folder[i];
		struct module *m;

		file = rt_asprintf("%s/%s.so", folder, id);
		if (!file)
			break;
		if (lies_there(file)) {
			m = module_of(id, file, folder, err);
			r = m ? result(m, ret, err) : RT_E_NOMEM;
			rt_free(file);
			rt_free(id);
			return r;
		}
		rt_free(file);
	}
	r = !id || !file ? rt_fail_nomem(err, "a plugin") : not_found(kind, name, err);
	rt_free(id);
	return r;
}

int registry_open_file(const char *path, const struct rt_plugin **ret, struct rt_error *err)
{
	char           file[PATH_MAX];
	struct module *m;
	char          *base, *id;
	size_t         n;

	if (!realpath(path, file))
		return rt_fail_errno(err, "cannot open %s", path);
	base = strrchr(file, '/') + 1;
	n = strlen(base);
	if (n < 4 || strcmp(base + n - 3, ".so") != 0)
		return rt_fail(err, RT_E_USAGE, "%s: a plugin is a file <kind>-<name>.so", path);
	id = rt_strndup(base, n - 3);
	if (!id)
		return rt_fail_nomem(err, "a plugin");
	m = module_of(id, file, NULL, err);
	rt_free(id);
	return m ? result(m, ret, err) : RT_E_NOMEM;
}

const char *registry_file(const struct rt_plugin *plugin)
{
	for (const struct module *m = registry.modules; m; m = m->next)
		if (m->plugin == plugin)
			return m->file;
	return NULL;
}

const char *const *registry_folders(void)
{
	return (const char *const *)registry.path.folder;
}
