/* rows.h - what the losses of distillation check of a row before they use it. */
#ifndef DISTILL_ROWS_H
#define DISTILL_ROWS_H

#include <retort/distill.h>

/* The student's logits are finite; the teacher may rule tokens out with -inf, and names only
 * tokens of the vocabulary.  RT_E_NUMERIC, RT_E_RANGE. */
int distill_check_row(const struct rt_distill_rows *rows, int64_t r, struct rt_error *err);

#endif
