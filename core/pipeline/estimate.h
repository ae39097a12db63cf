/* pipeline/estimate.h - what the stages that are not done yet would take. */
#ifndef PIPELINE_ESTIMATE_H
#define PIPELINE_ESTIMATE_H

#include "pipeline/pipeline.h"
#include "pipeline/store.h"

struct estimates {
	struct rt_estimate *of;   /* by index of the stage */
	bool               *done; /* finished already */
	struct rt_estimate
		sum; /* of what is not; memory is the largest, unknown counts as unknown */
	int64_t to_do;
};

/* Keys must have been computed.  store may be NULL: nothing is done. */
int  estimate_all(struct pipeline *p, const struct store *store, struct estimates *ret,
                  struct rt_error *err);
void estimate_free(struct estimates *e);

#endif
