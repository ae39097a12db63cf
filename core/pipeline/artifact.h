/* pipeline/artifact.h - does a folder hold what its type promises?  The host's own check after
 * a stage has reported success. */
#ifndef PIPELINE_ARTIFACT_H
#define PIPELINE_ARTIFACT_H

#include <retort/json.h>
#include <retort/stage.h>

/* Reads all of it: a dataset's rows, each an object with an id of its own; a model's config
 * or GGUF magic; a metrics file's figures, all finite.  *ret gets { "type":, "rows": } for the
 * manifest. */
int artifact_check(const char *dir, unsigned type, struct rt_json **ret, struct rt_error *err);

#endif
