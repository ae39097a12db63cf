/* training.c - see training.h */
#include "training.h"

#include <math.h>

const char *const          training_dtypes[4] = { "f32", "bf16", "f16", NULL };
static const enum rt_dtype numbers[] = { RT_F32, RT_BF16, RT_F16 };

int training_check(const struct rt_training *t, double epochs, int64_t steps, struct rt_error *err)
{
	if (t->schedule == RT_SCHEDULE_CONSTANT && fabs(t->rate_end - RT_RATE_END) > 0)
		return rt_fail(err, RT_E_USAGE,
		               "rate_end = %g does nothing with schedule = \"constant\": leave it "
		               "out, or at %g",
		               t->rate_end, RT_RATE_END);
	return epochs > 0 || steps > 0 ? 0 : rt_fail(err, RT_E_RANGE, "neither epochs nor steps");
}

int64_t training_order(struct rt_order *ret, struct rt_context *c, int64_t n, int64_t batch,
                       double epochs, int64_t steps)
{
	batch = batch < n ? batch : n;
	*ret = (struct rt_order){ .seed = rt_seed(c), .n = n, .batch = batch };
	return steps ? steps : (int64_t)ceil(epochs * (double)n / (double)batch);
}

int training_reference(struct rt_model **ret, const struct rt_model *m,
                       const struct rt_artifact *from, int products, struct rt_error *err)
{
	int r = rt_model_open(ret, from->path, 0, err);

	if (r < 0)
		return r;
	if (rt_model_shape(*ret)->vocabulary != rt_model_shape(m)->vocabulary)
		return rt_fail(err, RT_E_SHAPE, "the reference model has another vocabulary");
	rt_model_multiply(*ret, rt_products_matmul(products));
	return 0;
}

int training_goes_on(struct rt_context *c, struct rt_error *err)
{
	return rt_cancelled(c) ? rt_fail(err, RT_E_CANCEL, "cancelled") : 0;
}

int training_stopped(struct rt_trainer *t, int r, struct rt_error *err)
{
	const int kept = r == RT_E_CANCEL ? rt_trainer_save(t, err) : 0;

	return kept < 0 ? kept : r;
}

int training_write(struct rt_model *m, struct rt_trainer **t, struct rt_tape **tape, int dtype,
                   const char *folder, const struct rt_artifact *like, struct rt_error *err)
{
	rt_trainer_close(*t);
	rt_tape_free(*tape);
	*t = NULL;
	*tape = NULL;
	return rt_model_write(m, folder, numbers[dtype], like->path, err);
}
