/* pipeline/bind.h - settings become a plugin's config, strictly, by its parameter table. */
#ifndef PIPELINE_BIND_H
#define PIPELINE_BIND_H

#include "pipeline/report.h"

#include <retort/hash.h>
#include <retort/json.h>
#include <retort/plugin.h>

/* Something outside the file that a config depends on. */
struct ref {
	enum { REF_INPUT, REF_PATH, REF_ENV } what;
	const struct setting  *at; /* NULL: a default */
	const struct rt_param *param;
	const char            *text;  /* "stage.output", a path as it can be opened, a variable */
	const void           **field; /* INPUT: where the artifact's address goes */
	struct rt_json        *slot;  /* the object in the identity that gets its key or hash */
	char        hash[RT_HASH_HEX], mark[RT_HASH_HEX]; /* PATH: see content.h; by keys.h */
	struct ref *next;
};

/* A plugin with its config: a stage, or a component inside one. */
struct instance {
	const struct rt_plugin *plugin;
	void                   *config;
	struct rt_component     component; /* what configs point to */
	struct instance        *parts;     /* its components, in order */
	struct instance        *next;      /* the next part of the same whole */
	struct rt_json         *identity;  /* { "plugin":, "version":, "params": {} }: lent, in the
	                                    * whole's; for a stage: owned */
};

/* Read `group` (a stage, or a component's braces) into a new instance of kind and name.
 * `skip` are keys that are not parameters (NULL-terminated).  Mistakes go to the report,
 * prefixed with `who`; what could be read is read nevertheless.  Refs are appended to *refs.
 * NULL when there is nothing to go on with. */
struct instance *bind_plugin(unsigned kind, const char *name, const struct setting *group,
                             const char *const *skip, const char *who, struct ref ***refs,
                             struct report *report);

/* Release the identity of a top instance (NULL is fine) and the slots of its refs; the rest is
 * the arena's. */
void bind_free(struct instance *top, struct ref *refs);

#endif
