/* pick.h - what stays of units that are ranked. */
#ifndef STAGE_PICK_H
#define STAGE_PICK_H

#include <retort/error.h>

#include <stdint.h>

/* The places of the `stay` largest of n scores, ascending; of equal ones the first stay. */
int pick(const float *score, int64_t n, int64_t stay, int64_t *ret, struct rt_error *err);

#endif
