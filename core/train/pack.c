/* pack.c - sequences side by side, and in which order they come.  See retort/train.h */
#include <retort/memory.h>
#include <retort/random.h>
#include <retort/train.h>

static int reserve(struct rt_packed *p, int64_t rows, int64_t spans, struct rt_error *err)
{
	if (rows > p->cap_rows || spans > p->cap_spans) {
		const size_t n = (size_t)(rows > p->cap_rows ? rows : p->cap_rows);
		const size_t k = (size_t)(spans > p->cap_spans ? spans : p->cap_spans);

		rt_packed_free(p);
		p->own_token = rt_alloc(n, sizeof *p->own_token);
		p->own_position = rt_alloc(n, sizeof *p->own_position);
		p->own_label = rt_alloc(n, sizeof *p->own_label);
		p->own_weight = rt_alloc(n, sizeof *p->own_weight);
		p->own_spans = rt_alloc(k, sizeof *p->own_spans);
		if (!p->own_token || !p->own_position || !p->own_label || !p->own_weight ||
		    !p->own_spans) {
			rt_packed_free(p);
			return rt_fail_nomem(err, "a batch");
		}
		p->cap_rows = (int64_t)n;
		p->cap_spans = (int64_t)k;
	}
	return 0;
}

int rt_pack(struct rt_packed *p, const struct rt_sequence *const *s, int64_t n,
            struct rt_error *err)
{
	int64_t rows = 0, at = 0;
	int     r;

	for (int64_t i = 0; i < n; i++)
		rows += s[i]->n;
	r = reserve(p, rows, n, err);
	if (r < 0)
		return r;
	p->total = 0;
	for (int64_t i = 0; i < n; at += s[i++]->n) {
		p->own_spans[i] = (struct rt_span){ at, s[i]->n, at, s[i]->n, 0 };
		for (int64_t k = 0; k < s[i]->n; k++) {
			const bool  last = k + 1 == s[i]->n;
			const float weight = last ? 0 : s[i]->weight[k + 1];

			p->own_token[at + k] = s[i]->token[k];
			p->own_position[at + k] = (int32_t)k;
			p->own_label[at + k] = weight > 0 ? s[i]->token[k + 1] : RT_IGNORE;
			p->own_weight[at + k] = weight;
			p->total += weight;
		}
	}
	p->batch = (struct rt_batch){ p->own_token, p->own_position, rows, p->own_spans, n };
	p->label = p->own_label;
	p->weight = p->own_weight;
	return 0;
}

void rt_packed_free(struct rt_packed *p)
{
	rt_free(p->own_token);
	rt_free(p->own_position);
	rt_free(p->own_label);
	rt_free(p->own_weight);
	rt_free(p->own_spans);
	*p = (struct rt_packed){ 0 };
}

int64_t rt_pack_count(const struct rt_sequence *const *s, int64_t n, int64_t rows)
{
	int64_t i = 0, sum = 0;

	while (i < n && (i == 0 || sum + s[i]->n <= rows))
		sum += s[i++]->n;
	return i;
}

double rt_pack_weight(const struct rt_sequence *const *s, int64_t n)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++)
		for (int64_t k = 0; k < s[i]->n; k++)
			sum += (double)s[i]->weight[k];
	return sum;
}

int rt_pass_reserve(struct rt_pass *p, const struct rt_model *m, int64_t rows, struct rt_error *err)
{
	const size_t n = (size_t)rows, width = (size_t)rt_model_shape(m)->hidden;

	if (rows <= p->rows)
		return 0;
	rt_pass_free(p);
	p->hidden = rt_alloc_aligned(n * width, sizeof *p->hidden);
	p->dhidden = rt_alloc_aligned(n * width, sizeof *p->dhidden);
	p->logp = rt_alloc(n, sizeof *p->logp);
	p->coef = rt_alloc(n, sizeof *p->coef);
	if (!p->hidden || !p->dhidden || !p->logp || !p->coef) {
		rt_pass_free(p);
		return rt_fail_nomem(err, "a batch");
	}
	p->rows = rows;
	return 0;
}

void rt_pass_free(struct rt_pass *p)
{
	rt_free(p->hidden);
	rt_free(p->dhidden);
	rt_free(p->logp);
	rt_free(p->coef);
	*p = (struct rt_pass){ 0 };
}

int rt_order_step(struct rt_order *o, int64_t step, int64_t *ret_index, struct rt_error *err)
{
	if (!o->at) {
		o->at = rt_alloc((size_t)o->n, sizeof *o->at);
		if (!o->at)
			return rt_fail_nomem(err, "an order");
		o->epoch = -1;
	}
	for (int64_t i = 0; i < o->batch; i++) {
		const int64_t place = step * o->batch + i, epoch = place / o->n;

		if (epoch != o->epoch)
			rt_random_permutation(o->seed, (uint64_t)epoch, o->n, o->at);
		o->epoch = epoch;
		ret_index[i] = o->at[place % o->n];
	}
	return 0;
}

void rt_order_free(struct rt_order *o)
{
	rt_free(o->at);
	o->at = NULL;
}
