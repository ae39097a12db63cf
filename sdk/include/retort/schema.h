/* retort/schema.h - does a value fit a JSON Schema?
 *
 * The part of draft 2020-12 that tool declarations use: type (a name or a list; "dict", "float",
 * "tuple" and "any" as BFCL writes them), properties, required, additionalProperties, enum,
 * const, items, minItems, maxItems, uniqueItems, minLength, maxLength, minimum, maximum,
 * exclusiveMinimum, exclusiveMaximum, multipleOf, anyOf, oneOf, allOf, not, $ref into the same
 * document ("#/..."), and the annotations, which restrict nothing (title, description, default,
 * examples, format, ...).  Any other keyword is an error, never ignored. */
#ifndef RETORT_SCHEMA_H
#define RETORT_SCHEMA_H

#include <retort/json.h>

/* Can this schema be judged by?  RT_E_UNSUP or RT_E_FORMAT, naming keyword and place. [any] */
int rt_schema_check(const struct rt_json *schema, struct rt_error *err);

/* Can the parameters of every tool of a list be judged by?  The message begins with `where`, the
 * file that they came from, and names the tool. [any] */
int rt_schema_check_tools(const struct rt_json *tools, const char *where, struct rt_error *err);

/* 1 it fits; 0 it does not, and why (n bytes) says where and what; negative: the schema itself is
 * at fault. [any] */
int rt_schema_fits(const struct rt_json *schema, const struct rt_json *value, char *why, size_t n,
                   struct rt_error *err);

#endif
