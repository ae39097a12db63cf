/* schema.h - what judging a value by a schema and writing one share. */
#ifndef TEXT_SCHEMA_H
#define TEXT_SCHEMA_H

#include <retort/schema.h>

/* Bits 1 << enum rt_json_type of what `type` names, or 0 for a name that it is not. */
unsigned schema_types(const struct rt_json *name);

/* As rt_schema_fits(), for a schema within root. */
int schema_fits(const struct rt_json *root, const struct rt_json *schema,
                const struct rt_json *value, struct rt_error *err);

/* What "$ref" refers to within root. */
int schema_target(const struct rt_json *root, const struct rt_json *ref, const struct rt_json **ret,
                  struct rt_error *err);

#endif
