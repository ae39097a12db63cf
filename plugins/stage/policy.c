/* policy.c - see policy.h */
#include "policy.h"

int policy_logps(struct rt_packed *packed, struct rt_model *m, struct rt_pass *x,
                 const struct rt_sequence *const *s, int64_t n, int64_t rows, struct rt_tape *tape,
                 int64_t *ret_n, struct rt_error *err)
{
	int r;

	*ret_n = rt_pack_count(s, n, rows);
	r = rt_pack(packed, s, *ret_n, err);
	if (r == 0)
		r = rt_pass_reserve(x, m, packed->batch.rows, err);
	if (r == 0)
		r = rt_model_forward(m, &packed->batch, tape, x->hidden, err);
	if (r == 0)
		r = rt_model_logps(m, x->hidden, packed->batch.rows, packed->label, NULL, x->logp,
		                   NULL, NULL, NULL, err);
	return r;
}

int policy_learn(const struct rt_packed *packed, struct rt_model *m, struct rt_pass *x,
                 struct rt_tape *tape, struct rt_gradients *g, struct rt_error *err)
{
	int r = rt_model_logps(m, x->hidden, packed->batch.rows, packed->label, x->coef, x->logp,
	                       NULL, x->dhidden, g, err);

	return r < 0 ? r : rt_model_backward(m, &packed->batch, tape, x->dhidden, g, err);
}
