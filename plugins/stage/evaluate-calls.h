/* evaluate-calls.h - which functions and which arguments are right, counted over rows. */
#ifndef STAGE_EVALUATE_CALLS_H
#define STAGE_EVALUATE_CALLS_H

#include <retort/json.h>

/* Add one answer (NULL: none) and its reference to counts, an object of the caller's.  Calls are
 * paired by name, in order, each once; an argument is right when the paired call has it with an
 * equal value. */
int calls_count(struct rt_json *counts, const struct rt_json *answer,
                const struct rt_json *reference);

/* As metrics, each a share with its interval, in byte order of the names:
 *   name                    rows whose calls are of the right functions
 *   precision, recall       arguments that were given and are right; that are due and are there
 *   precision/F, recall/F   the same of function F, and of each argument F.A
 *   confusion/F/G           rows where F was due first and G was called first; "-" is no call */
int calls_report(const struct rt_json *counts, struct rt_json *metrics);

#endif
