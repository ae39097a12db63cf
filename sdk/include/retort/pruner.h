/* retort/pruner.h - kind `pruner`: what of a layer matters least?
 *
 * Two ways to answer.  `mask` says for each weight of one linear layer whether it stays
 * (unstructured, n:m); `score` says how important each unit of a group is (layers, heads,
 * neurons, vocabulary), and the host removes the least important. */
#ifndef RETORT_PRUNER_H
#define RETORT_PRUNER_H

#include <retort/plugin.h>

/* 2: units() is asked of a config, before anything is open. */
#define RT_PRUNER_ABI 2

/* A linear layer y = W x, with what calibration saw at its input. */
struct rt_linear {
	int64_t      rows, cols; /* outputs, inputs */
	const float *weight;     /* (rows, cols) */
	const float *hessian;    /* (cols, cols) mean over samples of x x^T; NULL: not collected */
	const float *norm; /* (cols) root of the mean over samples of x_j^2; NULL: not collected */
	int64_t      samples; /* that calibration saw */
};

enum rt_units { RT_UNIT_LAYER = 1, RT_UNIT_HEAD, RT_UNIT_NEURON, RT_UNIT_TOKEN };

/* A group of n units that compete, with the statistics of each.  Layers have similarity, tokens
 * count, heads and neurons activation and weight; the others are NULL. */
struct rt_unit_stats {
	uint32_t     units; /* enum rt_units */
	uint32_t     reserved;
	int64_t      n;
	const float *activation; /* (n) mean |output| (neurons), L2 norm of the output (heads) */
	const float *similarity; /* (n) mean cosine of input and output (layers) */
	const float *count;      /* (n) occurrences in the calibration text (tokens) */
	const float *weight;     /* (n) L2 norm of the unit's weights */
};

struct rt_pruner_ops {
	uint32_t size; /* sizeof(struct rt_pruner_ops) */
	uint32_t reserved;

	/* Keep `density` of the weights: keep (rows, cols) is written, 1 stays.  weight_out
	 * (rows, cols), NULL when not wanted, gets the weights after whatever update the
	 * method makes to those that stay; pruned ones are 0. [worker] */
	int (*mask)(void *state, const struct rt_linear *layer, double density, uint8_t *keep,
	            float *weight_out, struct rt_error *err);

	/* importance (n): higher stays; finite. [any] */
	int (*score)(const void *state, const struct rt_unit_stats *stats, float *importance,
	             struct rt_error *err);

	/* The units (enum rt_units) that an instance with this config scores; with score, else
	 * NULL.  Also asked when a pipeline is checked, and nothing is open. [any] */
	uint32_t (*units)(const void *config);
};

#endif
