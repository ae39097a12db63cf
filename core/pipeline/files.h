/* pipeline/files.h - the files of an artifact: list them with their hashes, compare, link. */
#ifndef PIPELINE_FILES_H
#define PIPELINE_FILES_H

#include <retort/json.h>

#include <stdbool.h>

/* [ { "path": "rows.jsonl", "size": N, "sha256": H }, ... ] of all below `dir`, in order of paths.
 * Each file is read from the disk, and with `flush` flushed to it first; folders too.
 * Links and special files have no place in an artifact: an error. */
int files_describe(const char *dir, bool flush, struct rt_json **ret, struct rt_error *err);

/* Is `dir` still what files_describe() said?  The first difference is the error. */
int files_compare(const char *dir, const struct rt_json *files, struct rt_error *err);

/* A symbolic link at `path`, in place of one that is there, atomically.  Something else that is
 * there is an error. */
int files_link(const char *target, const char *path, struct rt_error *err);

#endif
