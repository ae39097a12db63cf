/* prune-stats.h - what calibration saw of a model's units, and at its linear layers. */
#ifndef STAGE_PRUNE_STATS_H
#define STAGE_PRUNE_STATS_H

#include "calibration.h"

#include <retort/pruner.h>

/* All per layer where there is a layer: [layers][units]. */
struct prune_stats {
	const struct rt_model *m;
	double                *similarity; /* [layers] sum of cosines of input and output */
	double                *heads;      /* [layers][heads] sum of L2 norms */
	double                *neurons;    /* [layers][feed_forward] sum of |activation| */
	double                *count;      /* [vocabulary] */
	struct moments        *inputs;     /* [layers] without products */
	float                 *last;       /* rows that went into the layer before */
	int64_t                tokens;     /* that were seen */
};

int  prune_stats_init(struct prune_stats *s, const struct rt_model *m, struct rt_error *err);
void prune_stats_fini(struct prune_stats *s);

/* All batches through the model. */
int prune_stats_collect(struct prune_stats *s, const struct calibration *data, struct rt_context *c,
                        struct rt_error *err);

#endif
