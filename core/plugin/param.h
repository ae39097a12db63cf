/* plugin/param.h - work on a plugin's parameter table: vet, defaults, values, show. */
#ifndef PLUGIN_PARAM_H
#define PLUGIN_PARAM_H

#include <retort/error.h>
#include <retort/json.h>
#include <retort/param.h>
#include <retort/text.h>

/* Is the table itself sound?  NULL is: a plugin without parameters. */
int param_vet(const struct rt_param *table, size_t config_size, struct rt_error *err);

/* [a-z][a-z0-9<joint>]*, at most 63 bytes; and a text that ends in a full stop.  NULL is neither.
 */
bool param_name_ok(const char *name, char joint);
bool param_sentence_ok(const char *text);

/* NULL tables have no rows. */
const struct rt_param *param_find(const struct rt_param *table, const char *name);
const char            *param_suggest(const struct rt_param *table, const char *name);

const char *param_type_name(const struct rt_param *p); /* "int", "list of paths", "judge", ... */

/* Bytes of one value of a row's type, as it lies in a config or a list. */
size_t param_size(const struct rt_param *p);

/* Is v in the range of p?  The message names value, range and unit. */
int param_check(const struct rt_param *p, union rt_value v, struct rt_error *err);

/* The index of a choice; an error lists all, with "did you mean". */
int param_choose(const struct rt_param *p, const char *word, int64_t *ret, struct rt_error *err);

/* Store v at `at`, which has room for one value: BOOL, INT, REAL, STRING, PATH, ENUM. */
void param_store(const struct rt_param *p, void *at, union rt_value v);

/* Fill a zeroed config with the defaults.  Components and inputs stay NULL, lists empty. */
void param_defaults(const struct rt_param *table, void *config);

/* "2 to 8 bits", "at least 0"; nothing where there is no limit. */
void param_print_range(const struct rt_param *p, struct rt_text *out);

/* A default as a pipeline file would say it: 4, 0.01, "word"; "none" where there is none. */
void param_print_default(const struct rt_param *p, struct rt_text *out);

/* The table: for people, as a fragment of a pipeline file, as JSON (NULL: no memory). */
void            param_print_text(const struct rt_param *table, bool hidden, struct rt_text *out);
void            param_print_fragment(const struct rt_param *table, struct rt_text *out);
struct rt_json *param_print_json(const struct rt_param *table);

#endif
