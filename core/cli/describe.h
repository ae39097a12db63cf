/* cli/describe.h - read a pipeline file and show every mistake in it. */
#ifndef CLI_DESCRIBE_H
#define CLI_DESCRIBE_H

#include "cli/command.h"
#include "pipeline/pipeline.h"

/* Opens the registry, reads the file, prints mistakes and warnings to standard error, one a
 * line.  With errors the result is RT_E_USAGE and *err a closing line that counts them.
 * p is to be freed in any case. */
int describe_pipeline(const char *file, const struct option_list *set, struct pipeline *p,
                      struct rt_error *err);

#endif
