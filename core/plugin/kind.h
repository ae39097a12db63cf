/* plugin/kind.h - the kinds: names, numbers, and what each requires of its operations. */
#ifndef PLUGIN_KIND_H
#define PLUGIN_KIND_H

#include <retort/plugin.h>

/* "judge" and back; "unknown" for no number, 0 for no kind. */
const char *kind_name(unsigned kind);
unsigned    kind_find(const char *name);

/* The word nearest to `name` that is a kind, or NULL. */
const char *kind_suggest(const char *name);

/* The kind's number in front of `id`, "<kind>-<name>", and where its name begins; or 0. */
unsigned kind_split(const char *id, const char **ret_name);

/* "a judge", "an optimizer". */
const char *kind_with_article(unsigned kind);

/* RT_JUDGE_ABI, ... */
unsigned kind_abi(unsigned kind);

/* Do the operations have all that their kind requires? */
int kind_vet_ops(const struct rt_plugin *p, struct rt_error *err);

#endif
