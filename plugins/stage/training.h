/* training.h - what the stages that train share beside the trainer: how long they go on, what they
 * compare with, and how they end. */
#ifndef STAGE_TRAINING_H
#define STAGE_TRAINING_H

#include <retort/stage.h>
#include <retort/train.h>

/* Choices of a parameter `dtype`: how the weights are stored. */
extern const char *const training_dtypes[4];

/* For check(): is there anything to do, and is nothing said that would not count? */
int training_check(const struct rt_training *t, double epochs, int64_t steps, struct rt_error *err);

/* Batches of n things, of at most `batch`, as *ret gives them; returns how many to go through:
 * `steps`, or where that is 0 as many as `epochs` take. */
int64_t training_order(struct rt_order *ret, struct rt_context *c, int64_t n, int64_t batch,
                       double epochs, int64_t steps);

/* Open the model that m is compared with: of the same vocabulary, and multiplied as m will be. */
int training_reference(struct rt_model **ret, const struct rt_model *m,
                       const struct rt_artifact *from, int products, struct rt_error *err);

/* Between the parts of a step, which may take minutes: RT_E_CANCEL when the user wants to stop. */
int training_goes_on(struct rt_context *c, struct rt_error *err);

/* Work outside of an update that came to r: where it was cancelled, the steps that are done are
 * kept. r, or why they could not be kept. */
int training_stopped(struct rt_trainer *t, int r, struct rt_error *err);

/* Write the model that was trained, with what else `like` holds.  Writing reads what was written,
 * and the memory of training is not needed any more: *t and *tape are closed. */
int training_write(struct rt_model *m, struct rt_trainer **t, struct rt_tape **tape, int dtype,
                   const char *folder, const struct rt_artifact *like, struct rt_error *err);

#endif
