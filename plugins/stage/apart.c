/* apart.c - see apart.h.  Rows are independent (retort/distill.h), so that each piece of them is a
 * call of its own; the sum of the pieces' losses does not depend on who took them. */
#include "apart.h"

#include <retort/memory.h>
#include <retort/parallel.h>

enum { ROWS = 16 }; /* of a piece */

struct piece {
	double loss;
	int    code;
};

struct job {
	const struct rt_component    *loss;
	const struct rt_distill_rows *rows;
	float                        *gradient;
	struct piece                 *pieces;
};

static int eval_rows(const struct job *j, int64_t first, int64_t n, double *ret_loss,
                     struct rt_error *err)
{
	struct rt_distill_rows d = *j->rows;

	d.R = n;
	d.student += first * d.V;
	d.teacher = d.teacher ? d.teacher + first * d.V : NULL;
	d.top_id = d.top_id ? d.top_id + first * d.K : NULL;
	d.top_logprob = d.top_logprob ? d.top_logprob + first * d.K : NULL;
	d.weight = d.weight ? d.weight + first : NULL;
	return j->loss->plugin->ops.distill->eval(j->loss->state, &d, j->gradient + first * d.V,
	                                          ret_loss, err);
}

static void eval_piece(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;
	struct piece     *p = &j->pieces[first / ROWS];

	p->code = eval_rows(j, first, last - first, &p->loss, NULL);
}

/* What was wrong with a piece that failed, said by trying it again. */
static int explain(const struct job *j, int64_t piece, struct rt_error *err)
{
	const int64_t first = piece * ROWS, left = j->rows->R - first;
	const int     code = j->pieces[piece].code;
	double        ignored;

	rt_fail(err, code, "%s", rt_code_text(code));
	eval_rows(j, first, left < ROWS ? left : ROWS, &ignored, err);
	return rt_within(err, code, "rows from %lld on", (long long)first);
}

int apart_rows(const struct rt_component *loss, const struct rt_distill_rows *d, float *gradient,
               double *ret_loss, struct rt_error *err)
{
	const int64_t n = (d->R + ROWS - 1) / ROWS;
	struct job    j = { loss, d, gradient, rt_alloc((size_t)n, sizeof *j.pieces) };
	double        sum = 0;
	int           r = j.pieces || n == 0 ? 0 : rt_fail_nomem(err, "losses of rows");

	if (r < 0)
		return r;
	rt_parallel(d->R, ROWS, eval_piece, &j);
	for (int64_t i = 0; r == 0 && i < n; i++) {
		sum += j.pieces[i].loss;
		r = j.pieces[i].code < 0 ? explain(&j, i, err) : 0;
	}
	rt_free(j.pieces);
	if (r == 0)
		*ret_loss = sum;
	return r;
}
