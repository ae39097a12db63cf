/* instance.h - a plugin that is linked into a test, with its parameters set by name. */
#ifndef TESTS_PLUGINS_INSTANCE_H
#define TESTS_PLUGINS_INSTANCE_H

#include "plugin/component.h"
#include "plugin/context.h"
#include "plugin/param.h"

#include <retort/json.h>
#include <retort/memory.h>
#include <retort/plugin.h>

#include <check.h>
#include <string.h>

struct instance_of {
	struct rt_component component;
	void               *config;
};

static inline struct instance_of instance_new(const struct rt_plugin *p, struct rt_context *c)
{
	struct instance_of i = { { .plugin = p, .context = c }, rt_alloc(1, p->config_size) };

	param_defaults(p->params, i.config);
	i.component.config = i.config;
	return i;
}

/* Copy a field: text is a const char *, lists are the structs of retort/param.h. */
static inline void instance_set(struct instance_of *i, const char *name, const void *field,
                                size_t size)
{
	const struct rt_param *p = param_find(i->component.plugin->params, name);

	ck_assert_msg(p != NULL, "no parameter %s", name);
	memcpy((char *)i->config + p->offset, field, size);
}

static inline void instance_text(struct instance_of *i, const char *name, const char *value)
{
	instance_set(i, name, &value, sizeof value);
}

static inline void instance_texts(struct instance_of *i, const char *name, const char *const *at,
                                  int64_t n)
{
	const struct rt_strings list = { at, n };

	instance_set(i, name, &list, sizeof list);
}

static inline int instance_open(struct instance_of *i, struct rt_error *err)
{
	return component_open(&i->component, err);
}

static inline void instance_close(struct instance_of *i)
{
	component_close(&i->component);
	rt_free(i->config);
}

static inline struct rt_json *json_of(const char *text)
{
	struct rt_json *j = NULL;
	struct rt_error err = RT_ERROR_INIT;

	ck_assert_msg(rt_json_parse(text, strlen(text), "test", 1, &j, &err) == 0, "%s", err.msg);
	return j;
}

#endif
