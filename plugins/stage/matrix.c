/* matrix.c - see matrix.h */
#include "matrix.h"

#include <retort/blocks.h>
#include <retort/memory.h>

#include <math.h>

/* What its columns are worth, for a fit of single blocks; *ret stays NULL where nobody knows. */
static int importance_of(const struct recipe *recipe, const struct rt_parameter *p, float **ret,
                         struct rt_error *err)
{
	const int64_t cols = p->tensor.dim[1];

	*ret = NULL;
	if (!recipe->moments)
		return 0;
	*ret = rt_alloc((size_t)cols, sizeof **ret);
	if (!*ret)
		return rt_fail_nomem(err, "an importance");
	moments_norm(recipe->moments, input_of(p->name), *ret);
	for (int64_t i = 0; i < cols; i++)
		(*ret)[i] *= (*ret)[i];
	return 0;
}

static int fit_blocks(const struct recipe *recipe, const struct rt_parameter *p, const float *w,
                      const struct rt_tensor *to, struct rt_error *err)
{
	float *importance;
	int    r = importance_of(recipe, p, &importance, err);

	if (r == 0)
		r = rt_quantize(to->dtype, w, to->dim[0], to->dim[1], importance, to->data, err);
	rt_free(importance);
	return r;
}

/* What a quantizer made is what was asked for: one zero, codes within the grid. */
static int vet(const struct rt_plugin *p, const struct rt_grid *grid, const uint8_t *codes,
               const uint8_t *zeros, int64_t n, struct rt_error *err)
{
	for (int64_t i = 0; i < n; i++)
		if (codes[i] >> grid->bits || zeros[i / grid->group] != 1 << (grid->bits - 1))
			return rt_fail(
				err, RT_E_INVAL,
				"quantizer-%s gives code %d with zero %d on a symmetric grid "
				"of %lld bits",
				p->name, codes[i], zeros[i / grid->group], (long long)grid->bits);
	return 0;
}

static int run_quantizer(const struct recipe *recipe, const struct rt_linear *l,
                         const struct rt_grid *grid, const struct rt_tensor *to,
                         struct rt_error *err)
{
	const struct rt_component *q = recipe->quantizer;
	const size_t n = (size_t)(l->rows * l->cols), groups = n / (size_t)grid->group;
	uint8_t     *codes = rt_alloc(n, 1), *zeros = rt_alloc(groups, 1);
	float       *scales = rt_alloc(groups, sizeof *scales);
	int          r = codes && zeros && scales ? 0 : rt_fail_nomem(err, "the codes of a layer");

	if (r == 0)
		r = q->plugin->ops.quantizer->quantize(q->state, l, grid, codes, scales, zeros,
		                                       err);
	if (r < 0 && r != RT_E_NOMEM)
		r = rt_within(err, r, "quantizer-%s", q->plugin->name);
	if (r == 0)
		r = vet(q->plugin, grid, codes, zeros, (int64_t)n, err);
	if (r == 0)
		r = rt_blocks_pack(to->dtype, l->rows, l->cols, grid->group, codes, scales,
		                   to->data, err);
	rt_free(codes);
	rt_free(zeros);
	rt_free(scales);
	return r;
}

/* Codes and scales by the plugin, with what calibration saw. */
static int fit_grid(const struct recipe *recipe, const struct rt_parameter *p, const float *w,
                    const struct rt_grid *grid, const struct rt_tensor *to, struct rt_error *err)
{
	struct rt_linear l = { .rows = to->dim[0], .cols = to->dim[1], .weight = w };
	const size_t     cols = (size_t)l.cols;
	float           *norm = NULL, *hessian = NULL;
	int              r = 0;

	if (l.cols % grid->group)
		return rt_fail(err, RT_E_SHAPE,
		               "group = %lld does not divide %lld columns; take a smaller one, "
		               "or skip this matrix",
		               (long long)grid->group, (long long)l.cols);
	if (recipe->moments) {
		norm = rt_alloc(cols, sizeof *norm);
		hessian = rt_alloc_aligned(cols, cols * sizeof *hessian);
		if (!norm || !hessian)
			r = rt_fail_nomem(err, "the statistics of a layer");
	}
	if (r == 0 && recipe->moments) {
		moments_norm(recipe->moments, input_of(p->name), norm);
		moments_mean(recipe->moments, input_of(p->name), hessian);
		l.norm = norm;
		l.hessian = hessian;
		l.samples = recipe->moments->tokens;
	}
	if (r == 0)
		r = run_quantizer(recipe, &l, grid, to, err);
	rt_free(norm);
	rt_free(hessian);
	return r;
}

int matrix_quantize(const struct recipe *recipe, const struct rt_parameter *p,
                    const struct rt_tensor *to, struct rt_error *err)
{
	const int64_t  n = rt_numel(to);
	float         *w = rt_alloc_aligned((size_t)n, sizeof *w);
	struct rt_grid grid = { .bits = rt_block_bits(to->dtype),
		                .group = recipe->group ? recipe->group : 32,
		                .symmetric = true,
		                .flip = rt_block_bits(to->dtype) < 8,
		                .scale = RT_F16 };
	int            r = w ? 0 : rt_fail_nomem(err, "the weights of a layer");

	if (r == 0)
		r = rt_dequantize(p->tensor.dtype, p->tensor.data, n, w, err);
	if (r == 0 && recipe->quantizer && grid.bits)
		r = fit_grid(recipe, p, w, &grid, to, err);
	else if (r == 0)
		r = fit_blocks(recipe, p, w, to, err);
	rt_free(w);
	return r < 0 ? rt_within(err, r, "%s", p->name) : 0;
}

int matrix_error(const struct rt_parameter *p, const struct rt_tensor *to, double *ret,
                 struct rt_error *err)
{
	const int64_t cols = to->dim[1];
	float        *x = rt_alloc((size_t)cols, 2 * sizeof *x), *y = x ? x + cols : x;
	double        lost = 0, all = 0;
	int           r = x ? 0 : rt_fail_nomem(err, "a comparison");

	for (int64_t k = 0; r == 0 && k < to->dim[0]; k++) {
		r = rt_dequantize(p->tensor.dtype, rt_at(&p->tensor, k * cols), cols, x, err);
		if (r == 0)
			r = rt_dequantize(to->dtype, rt_at(to, k * cols), cols, y, err);
		for (int64_t c = 0; r == 0 && c < cols; c++) {
			const double d = (double)y[c] - (double)x[c];

			lost += d * d;
			all += (double)x[c] * (double)x[c];
		}
	}
	rt_free(x);
	if (r == 0)
		*ret = all > 0 ? sqrt(lost / all) : 0;
	return r;
}
