/* scan.c - what lies in the folders of the plugin path. */
#include "plugin/registry.h"

#include "plugin/path.h"

#include <retort/file.h>
#include <retort/memory.h>
#include <retort/text.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One file <kind>-<name>.so. */
struct found {
	char       *id;
	const char *folder;
	int         order; /* of its folder */
};

struct scan {
	struct found *at;
	size_t        n, cap;
	const char   *folder;
	int           order;
};

/* "judge-exact.so" is one, "libretort.so" and "jugde-exact.so" are not. */
static size_t id_length(const char *file)
{
	const size_t n = strlen(file);
	const char  *name;

	return n > 3 && strcmp(file + n - 3, ".so") == 0 && kind_split(file, &name) &&
	                       name < file + n - 3
	               ? n - 3
	               : 0;
}

static int note(void *arg, const char *file, bool is_dir, struct rt_error *err)
{
	struct scan *s = arg;
	const size_t n = is_dir ? 0 : id_length(file);

	if (n == 0)
		return 0;
	if (s->n == s->cap) {
		const size_t  cap = s->cap ? 2 * s->cap : 64;
		struct found *at = rt_realloc(s->at, cap, sizeof *at);

		if (!at)
			return rt_fail_nomem(err, "a list of plugins");
		s->at = at;
		s->cap = cap;
	}
	s->at[s->n] = (struct found){ rt_strndup(file, n), s->folder, s->order };
	if (!s->at[s->n].id)
		return rt_fail_nomem(err, "a list of plugins");
	s->n++;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	const int           r = strcmp(x->id, y->id);

	return r ? r : x->order - y->order;
}

/* A folder that is not there has nothing; one that cannot be read is an error. */
static int collect(struct scan *s, struct rt_error *err)
{
	const char *const *folder = registry_folders();
	int                r = 0;

	for (int i = 0; r == 0 && folder[i]; i++) {
		s->folder = folder[i];
		s->order = i;
		if (rt_exists(folder[i]))
			r = rt_list_dir(folder[i], note, s, err);
	}
	if (s->n > 1)
		qsort(s->at, s->n, sizeof *s->at, by_id);
	return r;
}

static void scan_free(struct scan *s)
{
	for (size_t i = 0; i < s->n; i++)
		rt_free(s->at[i].id);
	rt_free(s->at);
}

/* The winner at i, and behind it those of the same name that it hides, up to `end`. */
static int show(const struct scan *s, size_t i, size_t end, registry_fn *fn, void *arg,
                struct rt_error *err)
{
	struct registry_entry e = { .id = s->at[i].id };
	struct rt_error       why = RT_ERROR_INIT;
	struct rt_text        t = RT_TEXT_INIT;
	const char           *name = "";
	const unsigned        kind = kind_split(e.id, &name);
	char                 *file = rt_asprintf("%s/%s.so", s->at[i].folder, e.id);
	int                   r;

	if (!file)
		return rt_fail_nomem(err, "a list of plugins");
	e.file = file;
	r = registry_open(kind, name, &e.plugin, &why);
	if (r < 0)
		rt_text_add(&t, strncmp(why.msg, file, strlen(file)) == 0
		                        ? why.msg + strlen(file) + 2
		                        : why.msg);
	for (size_t k = i + 1; k < end; k++)
		rt_text_printf(&t, "%sshadows %s/%s.so", t.len ? "; " : "", s->at[k].folder, e.id);
	e.problem = t.len ? t.data : NULL;
	r = t.failed || r == RT_E_NOMEM ? rt_fail_nomem(err, "a list of plugins")
	                                : fn(arg, &e, err);
	rt_text_free(&t);
	rt_free(file);
	return r;
}

int registry_each(registry_fn *fn, void *arg, struct rt_error *err)
{
	struct scan s = { 0 };
	int         r = collect(&s, err);
	size_t      end;

	for (size_t i = 0; r == 0 && i < s.n; i = end) {
		for (end = i + 1; end < s.n && strcmp(s.at[end].id, s.at[i].id) == 0; end++)
			;
		r = show(&s, i, end, fn, arg, err);
	}
	scan_free(&s);
	return r;
}

/* The answer has to outlive the scan, and there is one at a time. */
const char *registry_suggest(unsigned kind, const char *name)
{
	static char  answer[128];
	struct scan  s = { 0 };
	const char **names = NULL, *guess = NULL;
	size_t       n = 0;

	if (collect(&s, NULL) == 0)
		names = rt_alloc(s.n + 1, sizeof *names);
	for (size_t i = 0; names && i < s.n; i++) {
		const char *own = "";

		if (kind_split(s.at[i].id, &own) == kind)
			names[n++] = own;
	}
	if (names)
		guess = rt_suggest(name, names);
	if (guess)
		snprintf(answer, sizeof answer, "%s", guess);
	rt_free(names);
	scan_free(&s);
	return guess ? answer : NULL;
}
