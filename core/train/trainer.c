/* trainer.c - the life of a training run: open or go on, step, keep.  See retort/train.h */
#include "train/trainer.h"

#include <retort/file.h>
#include <retort/json.h>
#include <retort/memory.h>
#include <retort/parallel.h>

#include <math.h>
#include <time.h>

enum { PIECE = 1 << 16 };

const char *const rt_schedules[] = { "cosine", "linear", "constant", NULL };
const char *const rt_products[] = { "f32", "bf16", NULL };

unsigned rt_products_matmul(int products)
{
	return products == RT_PRODUCTS_BF16 ? RT_MATMUL_BF16 : 0;
}

double trainer_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double schedule_rate(const struct rt_training *o, int64_t at, int64_t steps)
{
	const double warm = ceil(o->warmup * (double)steps), i = (double)at;
	double       past;

	if (i <= warm)
		return o->rate * i / warm;
	past = (double)steps > warm ? (i - warm) / ((double)steps - warm) : 1;
	switch (o->schedule) {
	case RT_SCHEDULE_COSINE: past = (1 - cos(acos(-1) * past)) / 2; break;
	case RT_SCHEDULE_LINEAR: break;
	default: past = 0;
	}
	return o->rate * (1 + (o->rate_end - 1) * past);
}

/* ---- opening ------------------------------------------------------------------------------- */

/* Pieces that a slot is cut into. */
static int64_t piece_size(const struct slot *s)
{
	return s->rows ? s->n : PIECE;
}

static int make_slot(struct rt_trainer *t, int64_t i, int64_t *place)
{
	const struct rt_parameter      p = rt_model_parameter(t->m, i);
	const struct rt_optimizer_ops *ops = t->o->optimizer->plugin->ops.optimizer;
	struct slot                   *s = &t->slots[i];

	s->param = p.tensor.data;
	s->gradient = rt_gradients_at(t->g, i);
	s->n = s->gradient ? rt_numel(&p.tensor) : 0;
	s->decay = p.tensor.ndim > 1 || t->o->decay_vectors;
	s->first = *place;
	*place += (s->n + 7) / 8 * 8;
	s->moments = ops->moments;
	if (ops->update_matrix && s->n && p.linear && p.layer >= 0) {
		s->rows = p.tensor.dim[0];
		s->columns = p.tensor.dim[1];
		s->moments = ops->matrix_moments;
	}
	t->n_pieces += (s->n + piece_size(s) - 1) / piece_size(s);
	for (uint32_t k = 0; k < s->moments; k++) {
		s->moment[k] = rt_alloc_aligned((size_t)s->n, t->moment_size);
		if (!s->moment[k])
			return RT_E_NOMEM;
	}
	if (t->o->average > 0) {
		s->average = rt_alloc_aligned((size_t)s->n, sizeof *s->average);
		if (!s->average)
			return RT_E_NOMEM;
		for (int64_t k = 0; k < s->n; k++)
			s->average[k] = s->param[k];
	}
	return 0;
}

static int make_slots(struct rt_trainer *t)
{
	int64_t place = 0, at = 0;
	int     r = 0;

	t->n = rt_model_parameters(t->m);
	t->slots = rt_alloc((size_t)t->n, sizeof *t->slots);
	for (int64_t i = 0; t->slots && r == 0 && i < t->n; i++)
		r = make_slot(t, i, &place);
	t->pieces = rt_alloc((size_t)t->n_pieces, sizeof *t->pieces);
	if (!t->slots || !t->pieces || r < 0)
		return RT_E_NOMEM;
	for (int64_t i = 0; i < t->n; i++) {
		const int64_t size = piece_size(&t->slots[i]);

		for (int64_t k = 0; k < t->slots[i].n; k += size) {
			const int64_t left = t->slots[i].n - k;

			t->pieces[at++] = (struct piece){ i, k, left < size ? left : size };
		}
	}
	return 0;
}

int rt_trainer_open(struct rt_trainer **ret, struct rt_model *m, const struct rt_training *o,
                    int64_t steps, struct rt_context *c, struct rt_error *err)
{
	struct rt_trainer *t = rt_alloc(1, sizeof *t);
	int                r;

	if (!t)
		return rt_fail_nomem(err, "a trainer");
	*t = (struct rt_trainer){ .m = m, .o = o, .c = c, .steps = steps };
	t->moment_size = o->small_moments ? sizeof(uint16_t) : sizeof(float);
	t->state = rt_path_join(rt_work_dir(c), "trainer.state");
	t->notes = rt_json_new_object();
	rt_model_multiply(m, rt_products_matmul(o->products));
	r = rt_gradients_new(&t->g, m, err);
	if (r == 0 && (!t->state || !t->notes || make_slots(t) < 0))
		r = rt_fail_nomem(err, "gradients and moments");
	if (r == 0)
		r = state_load(t, err);
	if (r == 0 && t->at > 0)
		rt_log(c, RT_LOG_INFO, "going on from step %lld of %lld", (long long)t->at,
		       (long long)steps);
	if (r < 0) {
		rt_trainer_close(t);
		return r;
	}
	t->saved = trainer_now();
	t->wait = o->save;
	*ret = t;
	return 0;
}

void rt_trainer_close(struct rt_trainer *t)
{
	if (!t)
		return;
	for (int64_t i = 0; t->slots && i < t->n; i++) {
		for (int k = 0; k < MAX_MOMENTS; k++)
			rt_free(t->slots[i].moment[k]);
		rt_free(t->slots[i].average);
	}
	rt_model_multiply(t->m, 0);
	rt_free(t->slots);
	rt_free(t->pieces);
	rt_free(t->state);
	rt_json_free(t->notes);
	rt_gradients_free(t->g);
	rt_free(t);
}

int64_t rt_trainer_at(const struct rt_trainer *t)
{
	return t->at;
}

struct rt_gradients *rt_trainer_gradients(struct rt_trainer *t)
{
	return t->g;
}

struct rt_json *rt_trainer_notes(struct rt_trainer *t)
{
	return t->notes;
}

/* ---- stepping ------------------------------------------------------------------------------ */

/* A checkpoint when it is time.  One that takes long is kept more seldom: at most a twentieth of
 * the time goes into it. */
static int save_in_time(struct rt_trainer *t, bool now, struct rt_error *err)
{
	const double begun = trainer_now();
	int          r;

	if (!now && begun - t->saved < t->wait)
		return 0;
	r = state_save(t, err);
	t->saved = trainer_now();
	t->wait = 20 * (t->saved - begun) > t->o->save && t->o->save > 0 ? 20 * (t->saved - begun)
	                                                                 : t->o->save;
	return r;
}

void rt_trainer_hold(struct rt_trainer *t, bool hold)
{
	t->held = hold;
}

int rt_trainer_save(struct rt_trainer *t, struct rt_error *err)
{
	const bool swapped = t->swapped;
	int        r;

	if (t->held)
		return 0;
	if (swapped)
		rt_trainer_swap(t);
	r = save_in_time(t, true, err);
	if (swapped)
		rt_trainer_swap(t);
	return r;
}

int rt_trainer_step(struct rt_trainer *t, struct rt_stepped *ret, struct rt_error *err)
{
	const double norm = rt_gradients_norm(t->g),
		     rate = schedule_rate(t->o, t->at + 1, t->steps);
	double clip = 1;
	int    r;

	if (!isfinite(norm))
		return rt_fail(
			err, RT_E_NUMERIC,
			"the gradients of step %lld are not finite; lower rate (it is %g), or "
			"look for damaged weights",
			(long long)t->at + 1, rate);
	/* As PyTorch's clip_grad_norm_() does it. */
	if (t->o->clip > 0 && t->o->clip / (norm + 1e-6) < 1)
		clip = t->o->clip / (norm + 1e-6);
	r = trainer_update(t, rate, clip, err);
	if (r < 0)
		return rt_within(err, r, "optimizer-%s", t->o->optimizer->plugin->name);
	t->at++;
	*ret = (struct rt_stepped){ t->at, rate, norm };
	rt_scalar(t->c, "train/grad_norm", t->at, norm);
	rt_scalar(t->c, "train/learning_rate", t->at, rate);
	rt_progress(t->c, t->at, t->steps, "steps");
	if (t->held)
		return 0;
	if (rt_cancelled(t->c)) {
		r = save_in_time(t, true, err);
		return r < 0 ? r : rt_fail(err, RT_E_CANCEL, "cancelled");
	}
	return save_in_time(t, false, err);
}

static void swap_pieces(void *arg, int64_t from, int64_t to)
{
	const struct rt_trainer *t = arg;

	for (int64_t p = from; p < to; p++) {
		const struct piece *piece = &t->pieces[p];
		float              *a = t->slots[piece->slot].param + piece->first;
		float              *b = t->slots[piece->slot].average + piece->first;

		for (int64_t i = 0; i < piece->n; i++) {
			const float x = a[i];

			a[i] = b[i];
			b[i] = x;
		}
	}
}

void rt_trainer_swap(struct rt_trainer *t)
{
	if (t->o->average > 0)
		rt_parallel(t->n_pieces, 1, swap_pieces, t);
	t->swapped = !t->swapped;
}
