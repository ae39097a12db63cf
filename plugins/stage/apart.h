/* apart.h - a loss of distillation on many rows, by all threads. */
#ifndef STAGE_APART_H
#define STAGE_APART_H

#include <retort/distill.h>

/* What the loss's eval() says of all rows of d; the same bits for any number of threads.  Of
 * several failures the first row's is reported.  RT_E_NOMEM, or what eval() returns. */
int apart_rows(const struct rt_component *loss, const struct rt_distill_rows *d, float *gradient,
               double *ret_loss, struct rt_error *err);

#endif
