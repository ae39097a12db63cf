/* prune-stats.h - what calibration saw of a model's units. */
#ifndef STAGE_PRUNE_STATS_H
#define STAGE_PRUNE_STATS_H

#include <retort/pruner.h>
#include <retort/train.h>

/* All per layer where there is a layer: [layers][units]. */
struct prune_stats {
	const struct rt_model *m;
	double                *similarity; /* [layers] sum of cosines of input and output */
	double                *heads;      /* [layers][heads] sum of L2 norms */
	double                *neurons;    /* [layers][feed_forward] sum of |activation| */
	double                *count;      /* [vocabulary] */
	double                *squares; /* [layers][4][widest] sum of x_j^2 at the linear layers */
	int64_t                widest;
	float                 *last; /* rows that went into the layer before */
	int64_t                last_rows, room;
	int64_t                tokens; /* that were seen */
};

int  prune_stats_init(struct prune_stats *s, const struct rt_model *m, struct rt_error *err);
void prune_stats_fini(struct prune_stats *s);

/* The rows of a dataset through the model, at most `samples` of them. */
int prune_stats_collect(struct prune_stats *s, const struct rt_sequences *data, int64_t samples,
                        int64_t rows, struct rt_context *c, struct rt_error *err);

#endif
