/* estimate.c - see estimate.h: row counts flow through the graph ahead of the work. */
#include "pipeline/estimate.h"

#include <retort/memory.h>

#include <math.h>

static const struct rt_estimate unknown = { NAN, NAN, NAN, NAN,
	                                    NAN, NAN, NAN, { -1, -1, -1, -1, -1, -1, -1, -1 } };

/* A finished stage knows how many rows it has. */
static int read_rows(const struct stage *s, const struct store *store, struct rt_estimate *ret,
                     struct rt_error *err)
{
	struct rt_json *m;
	int             r = store_manifest(store, s->key, &m, err);

	if (r < 0)
		return r;
	for (int64_t i = 0; i < s->n_outputs; i++)
		ret->rows[i] = rt_json_int(rt_json_get(rt_json_get(rt_json_get(m, "outputs"),
		                                                   stage_ops(s)->outputs[i].name),
		                                       "rows"),
		                           -1);
	rt_json_free(m);
	return 0;
}

/* The sum of two that may be unknown is unknown; 0 is where sums begin. */
static void add(struct rt_estimate *sum, const struct rt_estimate *e)
{
	sum->calls += e->calls;
	sum->input_tokens += e->input_tokens;
	sum->output_tokens += e->output_tokens;
	sum->money += e->money;
	sum->seconds += e->seconds;
	sum->disk += e->disk;
	sum->memory = isnan(e->memory) || isnan(sum->memory) ? NAN : fmax(sum->memory, e->memory);
}

/* Is a teacher among the parts, or the parts of parts? */
static bool asks(const struct instance *in)
{
	for (const struct instance *part = in->parts; part; part = part->next)
		if (part->plugin->kind == RT_KIND_TEACHER || asks(part))
			return true;
	return false;
}

static int estimate_stage(struct pipeline *p, struct stage *s, const struct store *store,
                          struct estimates *all, struct rt_error *err)
{
	struct rt_estimate *e = &all->of[s - p->stages];
	int                 r = 0;

	*e = unknown;
	if (store && store_has(store, s->key)) {
		all->done[s - p->stages] = true;
		return read_rows(s, store, e, err);
	}
	for (int64_t i = 0; i < s->n_inputs; i++)
		s->inputs[i].artifact.rows = all->of[s->inputs[i].stage].rows[s->inputs[i].output];
	if (!asks(s->top))
		e->calls = e->input_tokens = e->output_tokens = e->money = 0;
	if (RT_HAS(stage_ops(s), estimate))
		r = stage_ops(s)->estimate(s->top->config, e, err);
	all->to_do++;
	add(&all->sum, e);
	return r < 0 ? rt_within(err, r, "stage %s", s->name) : 0;
}

int estimate_all(struct pipeline *p, const struct store *store, struct estimates *ret,
                 struct rt_error *err)
{
	int r = 0;

	*ret = (struct estimates){ 0 };
	ret->of = rt_alloc((size_t)p->n, sizeof *ret->of);
	ret->done = rt_alloc((size_t)p->n, sizeof *ret->done);
	if (!ret->of || !ret->done)
		return rt_fail_nomem(err, "a plan");
	for (int64_t k = 0; r == 0 && k < p->n; k++)
		r = estimate_stage(p, &p->stages[p->order[k]], store, ret, err);
	return r;
}

void estimate_free(struct estimates *e)
{
	rt_free(e->of);
	rt_free(e->done);
	*e = (struct estimates){ 0 };
}
