/* pipeline/settings.h - a libconfig file as a tree of settings, each of which knows its line.
 *
 * Includes are followed here, relative to the file that names them:
 *     @include "other.cfg"
 * on a line of its own.  A file has at most 16 MiB, includes nest at most 16 deep. */
#ifndef PIPELINE_SETTINGS_H
#define PIPELINE_SETTINGS_H

#include <retort/error.h>
#include <retort/memory.h>

#include <stdbool.h>
#include <stdint.h>

enum setting_type { SET_BOOL, SET_INT, SET_REAL, SET_STRING, SET_GROUP, SET_LIST };

struct setting {
	const char       *name; /* NULL in a list */
	enum setting_type type;
	bool              b;
	int64_t           i;
	double            r;
	const char       *s;
	struct setting  **items; /* of a group or list */
	int64_t           n;
	const char       *file; /* "p.cfg", or "--set a.b=1" with line 0 */
	int               line;
	bool              used; /* for the reader: somebody has asked for it */
};

/* All memory comes from the arena.  Errors begin with "file:line: ". */
int settings_read(const char *path, struct rt_arena *a, struct setting **ret, struct rt_error *err);

/* The same, and where the file has base = "other.cfg", that file with the changes of this one: its
 * name, seed, trackers and repeat take the place of the base's, set = { stage = { key = value; }; }
 * those of its stages, and stages = ( ... ) come behind them.  Paths stay relative to the file that
 * they stand in. */
int settings_derive(const char *path, struct rt_arena *a, struct setting **ret,
                    struct rt_error *err);

/* The same from text that is at hand; `name` stands for the file. */
int settings_parse(const char *text, size_t n, const char *name, struct rt_arena *a,
                   struct setting **ret, struct rt_error *err);

/* Member of a group, or NULL. */
struct setting *settings_get(const struct setting *group, const char *name);

/* "a whole number", "text", "a group { }", ... */
const char *settings_type_name(const struct setting *s);

/* The stage of that name, or RT_E_USAGE with "did you mean". */
int settings_stage(const struct setting *root, const char *name, struct setting **ret,
                   struct rt_error *err);

/* Put a member into a group, in place of one of its name. */
int settings_put(struct setting *group, struct setting *value, struct rt_arena *a,
                 struct rt_error *err);

/* Apply one "path.to.key=value": replaces or adds.  The value is read as in a file; what
 * does not read so is taken as text.  A part of the path that meets a list of groups picks the one
 * whose `name` is that part; `stages.` in front may be left out. */
int settings_override(struct setting *root, const char *assignment, struct rt_arena *a,
                      struct rt_error *err);

#endif
