/* vet.c - see vet.h.  The order matters: nothing is read before what guards it was found good. */
#include "plugin/vet.h"

#include "plugin/kind.h"
#include "plugin/param.h"

#include <stdio.h>
#include <string.h>

/* Of the first release; later ones only grow. */
enum { SIZE_1_0 = offsetof(struct rt_plugin, ops) + sizeof(void *) };

/* Beyond these a size is a mistake, not a wish. */
enum { MOST_CONFIG = 1 << 20, MOST_STATE = 1 << 30 };

static int vet_guards(const struct rt_plugin *p, struct rt_error *err)
{
	if (p->magic != RT_MAGIC)
		return rt_fail(err, RT_E_ABI,
		               "its retort_plugin is no plugin descriptor: use RT_PLUGIN()");
	if (p->abi_major != RT_ABI_MAJOR)
		return rt_fail(err, RT_E_ABI,
		               "built for plugin ABI %u.%u, this retort has %u.%u: rebuild it with "
		               "this retort's headers",
		               p->abi_major, p->abi_minor, RT_ABI_MAJOR, RT_ABI_MINOR);
	if (p->abi_minor > RT_ABI_MINOR)
		return rt_fail(err, RT_E_ABI,
		               "built for plugin ABI %u.%u, this retort has %u.%u: install a newer "
		               "retort, or rebuild it",
		               p->abi_major, p->abi_minor, RT_ABI_MAJOR, RT_ABI_MINOR);
	if (p->size < SIZE_1_0 || p->size > sizeof *p)
		return rt_fail(err, RT_E_ABI,
		               "its descriptor has %u bytes, plugin ABI %u.%u has %zu: rebuild it",
		               p->size, p->abi_major, p->abi_minor, sizeof *p);
	if (!kind_abi(p->kind))
		return rt_fail(err, RT_E_ABI,
		               "is of kind %u, this retort knows 1 to %d: install a newer retort",
		               p->kind, RT_KIND_END_ - 1);
	if (p->kind_abi != kind_abi(p->kind))
		return rt_fail(err, RT_E_ABI, "built for %s interface %u, this retort has %u: %s",
		               kind_name(p->kind), p->kind_abi, kind_abi(p->kind),
		               p->kind_abi < kind_abi(p->kind)
		                       ? "rebuild it with this retort's headers"
		                       : "install a newer retort, or rebuild it");
	return 0;
}

static int vet_texts(const struct rt_plugin *p, struct rt_error *err)
{
	if (!param_name_ok(p->name, '-'))
		return rt_fail(err, RT_E_ABI,
		               "its name is '%.80s': a name has lower case letters, digits and -",
		               p->name ? p->name : "");
	if (!p->version || !*p->version)
		return rt_fail(err, RT_E_ABI, "has no version: set .version");
	if (!p->license || !*p->license)
		return rt_fail(err, RT_E_ABI, "has no licence: set .license to an SPDX expression");
	if (!param_sentence_ok(p->summary))
		return rt_fail(err, RT_E_ABI, "its summary must be a sentence with its full stop");
	return 0;
}

static int vet_sizes(const struct rt_plugin *p, struct rt_error *err)
{
	if (p->config_size > MOST_CONFIG)
		return rt_fail(err, RT_E_ABI, "wants a config of %zu bytes, at most %d are given",
		               p->config_size, MOST_CONFIG);
	if (p->state_size > MOST_STATE)
		return rt_fail(err, RT_E_ABI,
		               "wants a state of %zu bytes, at most %d are given: allocate what is "
		               "large in open()",
		               p->state_size, MOST_STATE);
	if (p->open && p->state_size == 0)
		return rt_fail(
			err, RT_E_ABI,
			"has open() and no state to fill: set .state_size, or leave open() out");
	return 0;
}

static int vet_id(const struct rt_plugin *p, const char *id, struct rt_error *err)
{
	char own[200];

	snprintf(own, sizeof own, "%s-%s", kind_name(p->kind), p->name);
	if (id && strcmp(id, own) != 0)
		return rt_fail(err, RT_E_ABI,
		               "calls itself %s, its file is called %s.so: rename one of them", own,
		               id);
	return 0;
}

/* Words with a meaning of their own in the braces that hold the parameters. */
static int vet_reserved(const struct rt_plugin *p, struct rt_error *err)
{
	static const char *const words[] = { "use", "name", "seed", "result" };
	const size_t             n = p->kind == RT_KIND_STAGE ? sizeof words / sizeof *words : 1;

	for (size_t i = 0; i < n; i++)
		if (param_find(p->params, words[i]))
			return rt_fail(err, RT_E_ABI,
			               "parameter '%s': pipeline files use that word themselves, "
			               "take another",
			               words[i]);
	return 0;
}

int vet_plugin(const struct rt_plugin *p, const char *id, struct rt_error *err)
{
	int r = vet_guards(p, err);

	if (r == 0)
		r = vet_texts(p, err);
	if (r == 0)
		r = vet_id(p, id, err);
	if (r == 0)
		r = vet_sizes(p, err);
	if (r == 0)
		r = kind_vet_ops(p, err);
	if (r == 0)
		r = param_vet(p->params, p->config_size, err);
	return r == 0 ? vet_reserved(p, err) : r;
}
