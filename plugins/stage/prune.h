/* prune.h - one run of stage-prune: what it is asked for, what it has seen, what becomes of the
 * model. */
#ifndef STAGE_PRUNE_H
#define STAGE_PRUNE_H

#include "cut-text.h"
#include "prune-stats.h"

#include <retort/stage.h>

struct prune_config {
	const struct rt_artifact *model, *data;
	struct rt_component      *pruner;
	double                    remove;
	int64_t                   count, multiple, samples, rows;
};

struct pruning {
	const struct prune_config *cfg;
	struct rt_context         *c;
	struct rt_model           *m;
	struct rt_sequences        data;
	struct calibration         seen;
	struct prune_stats         stats;
	struct rt_arena            room;
	struct rt_json            *config; /* of the new model */
	struct rt_named_tensor    *tensors;
	int64_t                    n, before, after; /* tensors; units */
	struct cut_text            text;             /* when tokens go */
	double                     difference;       /* of logits, then */
};

/* RT_UNIT_...; 0: single weights. */
uint32_t prune_units_of(const struct prune_config *c);

/* Rank the units of the pruner, and put what stays into config and tensors (prune-cut.c). */
int prune_cut(struct pruning *j, struct rt_error *err);

#endif
