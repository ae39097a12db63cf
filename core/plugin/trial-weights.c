/* trial-weights.c - pruner, quantizer and optimizer. */
#include "plugin/trial.h"

#include <retort/optimizer.h>
#include <retort/pruner.h>
#include <retort/quantizer.h>

#include <math.h>
#include <string.h>

enum { ROWS = 6, COLS = 16, SAMPLES = 64, WEIGHTS = ROWS * COLS };

/* A layer with what a calibration of SAMPLES inputs would have seen. */
static struct rt_linear new_layer(void)
{
	const float *x = trial_normal(31, SAMPLES * COLS, 1);
	float        hessian[COLS * COLS], norm[COLS];

	for (int i = 0; i < COLS; i++)
		for (int j = 0; j < COLS; j++) {
			double sum = 0;

			for (int s = 0; s < SAMPLES; s++)
				sum += (double)x[s * COLS + i] * x[s * COLS + j];
			hessian[i * COLS + j] = (float)(sum / SAMPLES);
		}
	for (int i = 0; i < COLS; i++)
		norm[i] = sqrtf(hessian[i * COLS + i]);
	return (struct rt_linear){ .rows = ROWS,
		                   .cols = COLS,
		                   .weight = trial_normal(32, WEIGHTS, 0.1),
		                   .hessian = trial_input(hessian, COLS * COLS, sizeof *hessian),
		                   .norm = trial_input(norm, COLS, sizeof *norm),
		                   .samples = SAMPLES };
}

/* ---- pruner ---- */

enum { UNITS = 10 };

struct pruning {
	struct rt_linear     layer;
	struct rt_unit_stats stats;
	uint8_t             *keep;
	float               *weight, *importance;
};

static void pruner_prepare(struct trial *t)
{
	struct pruning *d = trial_output(1, sizeof *d);
	float           positive[UNITS];

	for (int i = 0; i < UNITS; i++)
		positive[i] = 0.1f + (float)(i * 7 % UNITS);
	d->layer = new_layer();
	d->stats = (struct rt_unit_stats){ .n = UNITS };
	d->stats.activation = d->stats.count = d->stats.weight =
		trial_input(positive, UNITS, sizeof *positive);
	for (int i = 0; i < UNITS; i++)
		positive[i] /= 2 * UNITS;
	d->stats.similarity = trial_input(positive, UNITS, sizeof *positive);
	d->keep = trial_output(WEIGHTS, sizeof *d->keep);
	d->weight = trial_output(WEIGHTS, sizeof *d->weight);
	d->importance = trial_output(UNITS, sizeof *d->importance);
	t->data = d;
}

static int pruner_once(struct trial *t, struct rt_error *err)
{
	struct pruning             *d = t->data;
	const struct rt_pruner_ops *ops = t->plugin->ops.pruner;
	int                         r = 0;

	if (ops->mask)
		r = ops->mask(t->state, &d->layer, 0.5, d->keep, d->weight, err);
	if (r == 0 && ops->mask)
		rt_hash_add(&t->digest, d->weight, WEIGHTS * sizeof *d->weight);
	if (r == 0 && ops->score)
		d->stats.units = ops->units(t->config);
	if (r == 0 && ops->score)
		r = ops->score(t->state, &d->stats, d->importance, err);
	if (r == 0 && ops->score)
		rt_hash_add(&t->digest, d->importance, UNITS * sizeof *d->importance);
	return r;
}

static void verify_density(struct trial *t, struct pruning *d, double density)
{
	const double want = density * WEIGHTS;
	int          stay = 0, odd = 0;
	double       left = 0;

	if (t->plugin->ops.pruner->mask(t->state, &d->layer, density, d->keep, d->weight, NULL) <
	    0) {
		trial_say(t, TRIAL_SKIP, "the mask has the density asked for", "refuses %g",
		          density);
		return;
	}
	for (int i = 0; i < WEIGHTS; i++) {
		odd += d->keep[i] > 1;
		stay += d->keep[i];
		if (!d->keep[i])
			left = fmax(left, fabs((double)d->weight[i]));
	}
	trial_check(t, odd == 0 && fabs(stay - want) <= ROWS, "the mask has the density asked for",
	            "at %g %d of %d weights stay, %g were asked for", density, stay, WEIGHTS, want);
	trial_check(t, left <= 0 && trial_finite(d->weight, WEIGHTS),
	            "pruned weights are 0, the others finite", "at %g one is %g", density, left);
}

static void pruner_verify(struct trial *t)
{
	struct pruning *d = t->data;

	if (t->plugin->ops.pruner->score)
		trial_check(t, d->stats.units >= RT_UNIT_LAYER && d->stats.units <= RT_UNIT_TOKEN,
		            "it says what units it scores", "it says %u", (unsigned)d->stats.units);
	if (t->plugin->ops.pruner->score)
		trial_check(t, trial_finite(d->importance, UNITS),
		            "every importance is written and finite", "one is not");
	if (!t->plugin->ops.pruner->mask)
		return;
	verify_density(t, d, 0.5);
	verify_density(t, d, 0.25);
	verify_density(t, d, 1);
	trial_check(t,
	            t->plugin->ops.pruner->mask(t->state, &d->layer, 0.5, d->keep, NULL, NULL) == 0,
	            "weight_out may be NULL", "it fails");
}

const struct trial_kind trial_pruner = { pruner_prepare, pruner_once, pruner_verify };

/* ---- quantizer ---- */

struct quantizing {
	struct rt_linear layer;
	uint8_t         *codes, *zeros;
	float           *scales;
};

/* scales and zeros are as large as the grid wants them, so that a write behind them is seen. */
static void make_room(struct quantizing *d, const struct rt_grid *grid)
{
	const size_t groups = (size_t)(WEIGHTS / grid->group);

	d->scales = trial_output(groups, sizeof *d->scales);
	d->zeros = trial_output(groups, sizeof *d->zeros);
}

static const struct rt_grid usual = { .bits = 4, .group = COLS / 2, .symmetric = false };

static void quantizer_prepare(struct trial *t)
{
	struct quantizing *d = trial_output(1, sizeof *d);

	d->layer = new_layer();
	d->codes = trial_output(WEIGHTS, sizeof *d->codes);
	make_room(d, &usual);
	t->data = d;
}

static int quantize(struct trial *t, const struct rt_linear *layer, const struct rt_grid *grid,
                    struct rt_error *err)
{
	struct quantizing *d = t->data;

	return t->plugin->ops.quantizer->quantize(t->state, layer, grid, d->codes, d->scales,
	                                          d->zeros, err);
}

static int quantizer_once(struct trial *t, struct rt_error *err)
{
	struct quantizing *d = t->data;
	int                r = quantize(t, &d->layer, &usual, err);

	if (r == 0)
		rt_hash_add(&t->digest, d->codes, WEIGHTS);
	return r;
}

/* tr(D H D^T) of the error over that of the weights: what the layer's output loses. */
static double output_error(const struct quantizing *d, const struct rt_grid *grid)
{
	double lost = 0, all = 0;

	for (int r = 0; r < ROWS; r++)
		for (int i = 0; i < COLS; i++)
			for (int j = 0; j < COLS; j++) {
				double       e[2];
				const int    at[2] = { r * COLS + i, r * COLS + j };
				const double h = d->layer.hessian[i * COLS + j];

				for (int k = 0; k < 2; k++) {
					const int64_t g = at[k] / grid->group;

					e[k] = (double)d->scales[g] *
					               (d->codes[at[k]] - d->zeros[g]) -
					       d->layer.weight[at[k]];
				}
				lost += e[0] * h * e[1];
				all += (double)d->layer.weight[at[0]] * h * d->layer.weight[at[1]];
			}
	return lost / all;
}

/* Is it a number of the grid's type, and on the side of 0 where it may be? */
static bool scale_fits(const struct rt_grid *grid, float scale)
{
	float   back = scale;
	uint8_t stored[sizeof scale];

	if (!isfinite(scale) || (scale < 0 && !grid->flip))
		return false;
	return rt_quantize(grid->scale, &scale, 1, 1, NULL, stored, NULL) == 0 &&
	       rt_dequantize(grid->scale, stored, 1, &back, NULL) == 0 &&
	       fabs((double)back - (double)scale) <= 0;
}

static void verify_grid(struct trial *t, struct quantizing *d, const struct rt_grid *grid,
                        double bound)
{
	struct rt_error err = RT_ERROR_INIT;
	const int       top = (1 << grid->bits) - 1;
	const int64_t   groups = WEIGHTS / grid->group;
	bool            inside = true, middle = true;
	double          lost;

	make_room(d, grid);
	if (quantize(t, &d->layer, grid, &err) < 0) {
		trial_say(t, TRIAL_SKIP, "a grid", "refuses %lld bits: %s", (long long)grid->bits,
		          err.msg);
		return;
	}
	for (int i = 0; i < WEIGHTS; i++)
		inside = inside && d->codes[i] <= top;
	for (int64_t g = 0; g < groups; g++) {
		inside = inside && d->zeros[g] <= top && scale_fits(grid, d->scales[g]);
		middle = middle && (!grid->symmetric || d->zeros[g] == 1 << (grid->bits - 1));
	}
	trial_check(t, inside, "codes, zeros and scales are those of the grid",
	            "not so at %lld bits", (long long)grid->bits);
	trial_check(t, middle, "a symmetric grid has its zero in the middle", "not so at %lld bits",
	            (long long)grid->bits);
	lost = output_error(d, grid);
	trial_check(t, lost <= bound, "what comes back is near what went in",
	            "at %lld bits the output loses %.3g, at most %.3g is sound",
	            (long long)grid->bits, lost, bound);
}

static void quantizer_verify(struct trial *t)
{
	static const struct {
		struct rt_grid grid;
		double bound; /* of the squared error: about 4 times that of plain rounding */
	} grids[] = {
		{ { 8, COLS, false, false, RT_F32 }, 2e-4 },
		{ { 4, COLS / 2, false, false, RT_F32 }, 0.02 },
		{ { 4, COLS, true, false, RT_F32 }, 0.03 },
		{ { 2, COLS / 4, false, false, RT_F32 }, 0.3 },
		{ { 4, COLS / 2, true, false, RT_BF16 }, 0.03 },
		{ { 8, COLS / 2, true, false, RT_F16 }, 2e-4 },
		{ { 4, COLS / 2, true, true, RT_F16 }, 0.03 },
	};
	struct quantizing *d = t->data;
	struct rt_linear   layer = d->layer;
	float              bad[WEIGHTS];
	int                r;

	for (size_t i = 0; i < sizeof grids / sizeof *grids; i++)
		verify_grid(t, d, &grids[i].grid, grids[i].bound);
	memcpy(bad, d->layer.weight, sizeof bad);
	bad[3] = NAN;
	layer.weight = trial_input(bad, WEIGHTS, sizeof *bad);
	make_room(d, &usual);
	r = quantize(t, &layer, &usual, NULL);
	trial_check(t, r == RT_E_NUMERIC, "a weight that is not finite is RT_E_NUMERIC",
	            "returned %d", r);
}

const struct trial_kind trial_quantizer = { quantizer_prepare, quantizer_once, quantizer_verify };

/* ---- optimizer ---- */

enum { SIDE = 3, PARAMS = 33, STEPS = 400 };

struct optimizing {
	const float *first;
	float       *param, *gradient, *moment[4];
};

static void optimizer_prepare(struct trial *t)
{
	struct optimizing *d = trial_output(1, sizeof *d);

	d->first = trial_normal(41, PARAMS, 1);
	d->param = trial_output(PARAMS, sizeof *d->param);
	d->gradient = trial_output(PARAMS, sizeof *d->gradient);
	for (int i = 0; i < 4; i++)
		d->moment[i] = trial_output(PARAMS, sizeof *d->moment[i]);
	t->data = d;
}

/* Back to where it began, in front of the first step. */
static void start(struct optimizing *d)
{
	memcpy(d->param, d->first, PARAMS * sizeof *d->param);
	for (int i = 0; i < 4; i++)
		memset(d->moment[i], 0, PARAMS * sizeof *d->moment[i]);
}

/* The gradient of sum a x^2 / 2, with a from 0.5 to 2. */
static double quadratic(const float *x, float *gradient)
{
	double f = 0;

	for (int i = 0; i < PARAMS; i++) {
		const double a = 0.5 + 1.5 * i / (PARAMS - 1);

		f += 0.5 * a * x[i] * x[i];
		gradient[i] = (float)(a * x[i]);
	}
	return f;
}

/* Elements [from, to) of one step. */
static int step(struct trial *t, int64_t number, int from, int to, struct rt_error *err)
{
	struct optimizing *d = t->data;
	struct rt_update   u = { .n = to - from,
		                 .param = d->param + from,
		                 .gradient = d->gradient + from,
		                 .step = number,
		                 .rate = 0.01,
		                 .clip = 1,
		                 .decay = false };

	for (uint32_t i = 0; i < t->plugin->ops.optimizer->moments; i++)
		u.moment[i] = d->moment[i] + from;
	return t->plugin->ops.optimizer->update(t->state, &u, err);
}

/* All of them as one matrix. */
static int step_matrix(struct trial *t, int64_t number, struct rt_error *err)
{
	struct optimizing             *d = t->data;
	const struct rt_optimizer_ops *ops = t->plugin->ops.optimizer;
	struct rt_update               u = { .n = PARAMS,
		                             .param = d->param,
		                             .gradient = d->gradient,
		                             .step = number,
		                             .rate = 0.01,
		                             .clip = 1,
		                             .rows = SIDE,
		                             .columns = PARAMS / SIDE };

	for (uint32_t i = 0; i < ops->matrix_moments; i++)
		u.moment[i] = d->moment[i];
	return ops->update_matrix(t->state, &u, err);
}

static int optimizer_once(struct trial *t, struct rt_error *err)
{
	struct optimizing *d = t->data;
	int                r;

	start(d);
	quadratic(d->param, d->gradient);
	r = step(t, 1, 0, PARAMS, err);
	if (r == 0)
		rt_hash_add(&t->digest, d->param, PARAMS * sizeof *d->param);
	if (r < 0 || !t->plugin->ops.optimizer->update_matrix)
		return r;
	start(d);
	quadratic(d->param, d->gradient);
	r = step_matrix(t, 1, err);
	if (r == 0)
		rt_hash_add(&t->digest, d->param, PARAMS * sizeof *d->param);
	return r;
}

static void goes_down(struct trial *t, bool matrix)
{
	struct optimizing *d = t->data;
	double             first, last;
	int                r = 0;

	start(d);
	first = quadratic(d->param, d->gradient);
	for (int i = 1; r == 0 && i <= STEPS; i++) {
		quadratic(d->param, d->gradient);
		r = matrix ? step_matrix(t, i, NULL) : step(t, i, 0, PARAMS, NULL);
	}
	last = quadratic(d->param, d->gradient);
	trial_check(t, r == 0 && last < 0.9 * first,
	            matrix ? "a quadratic of a matrix goes down" : "a quadratic goes down",
	            "from %g to %g in %d steps", first, last, STEPS);
}

static void optimizer_verify(struct trial *t)
{
	struct optimizing *d = t->data;
	float              whole[PARAMS];

	goes_down(t, false);
	if (t->plugin->ops.optimizer->update_matrix)
		goes_down(t, true);
	start(d);
	for (int i = 1; i <= 3; i++) {
		quadratic(d->param, d->gradient);
		step(t, i, 0, PARAMS, NULL);
	}
	memcpy(whole, d->param, sizeof whole);
	start(d);
	for (int i = 1; i <= 3; i++) {
		quadratic(d->param, d->gradient);
		step(t, i, 0, 13, NULL);
		step(t, i, 13, PARAMS, NULL);
	}
	trial_check(t, memcmp(whole, d->param, sizeof whole) == 0, "a tensor may be cut anywhere",
	            "two pieces differ from the whole");
}

const struct trial_kind trial_optimizer = { optimizer_prepare, optimizer_once, optimizer_verify };
