/* @KIND@-@NAME@.c - Huber distance between student and teacher logits. */
#include <retort/distill.h>

#include <math.h>

struct config {
	double delta;
};

static const struct rt_param params[] = {
	RT_PARAM_REAL(struct config, delta, 1, 1e-6, 1e6, NULL, "Where the loss turns from quadratic to linear."),
	RT_PARAM_END
};

/* One row: the mean over the vocabulary, times `factor`. */
static double eval_row(double k, const float *s, const float *t, int64_t V, double factor, float *g)
{
	double sum = 0;

	for (int64_t i = 0; i < V; i++) {
		const double d = (double)s[i] - t[i], a = fabs(d);

		sum += a <= k ? 0.5 * d * d : k * (a - 0.5 * k);
		g[i] = (float)(factor / (double)V * fmax(-k, fmin(k, d)));
	}
	return factor / (double)V * sum;
}

static int eval(const void *state, const struct rt_distill_rows *rows, float *gradient, double *ret_loss,
                struct rt_error *err)
{
	const double  k = ((const struct config *)state)->delta;
	const int64_t V = rows->V;
	double        loss = 0;

	if (!rows->teacher)
		return rt_fail(err, RT_E_UNSUP, "needs all logits of the teacher, not its most likely tokens");
	for (int64_t r = 0; r < rows->R; r++) {
		const double weight = rows->weight ? rows->weight[r] : 1;

		if (weight != 0)
			loss += eval_row(k, rows->student + r * V, rows->teacher + r * V, V, weight * rows->scale,
			                 gradient + r * V);
		else
			for (int64_t i = 0; i < V; i++)
				gradient[r * V + i] = 0;
	}
	if (!isfinite(loss))
		return rt_fail(err, RT_E_NUMERIC, "a logit is not finite");
	*ret_loss = loss;
	return 0;
}

static const struct rt_distill_ops ops = { .size = sizeof ops, .eval = eval };

RT_PLUGIN(@KIND@_@ID@, @KINDUP@,
          .name = "@NAME@", .version = "0.1", .license = "Apache-2.0",
          .summary = "Huber distance between the logits of student and teacher.",
          .config_size = sizeof(struct config), .params = params, .ops.distill = &ops);
