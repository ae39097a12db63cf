/* gemm-panels.c - products of weights in panels.  See panel.h
 *
 * The input is rounded once for all products that share it; then blocks of panels, small enough
 * for the second cache, are multiplied by PANEL_MOST rows at a time. */
#include "tensor/gemm.h"
#include "tensor/panel.h"

#include <retort/parallel.h>

#include <string.h>

enum {
	MOST = PANELS_TOGETHER,
	ROUND_GRAIN = 1 << 15, /* activations that one piece of work rounds */
	CACHE = 1 << 18,       /* bytes of panels that a piece multiplies */
	FEW = 4,               /* rows for which reading the panels is the limit: then pieces are */
	STREAM = 1 << 21,      /* long, since each begins with misses, but two for each thread */
	ROWS = 10 * PANEL_MOST, /* rows of a piece */
	ALONE = 300000          /* multiplications that are done before another thread wakes up */
};

/* Rows rounded to int8 or to int16; no q where no product wants it. */
struct rounded {
	void  *q;
	float *scale;
};

struct job {
	const struct panels_product *p;
	int                          n;
	const struct kernels        *kernels;
	const float                 *x;
	int64_t                      ldx, m, k, groups;
	struct rounded               narrow, wide;
	int16_t                     *sums; /* of the narrow ones */
	float                       *sum[MOST];
	int32_t                     *less[MOST];
	int64_t                      per[MOST], across[MOST]; /* panels of a piece; pieces */
};

static bool is_wide(const struct job *j, int t)
{
	return j->p[t].w->layout->bits == 16;
}

/* ---- rounding ------------------------------------------------------------------------------- */

/* What a product's layout wants of the sums. */
static void add_up(const struct job *j, int t, int64_t row)
{
	const struct panels *w = j->p[t].w;
	const int            halves = w->layout->half ? 2 : 1;
	const int16_t       *from = j->sums + row * 2 * j->groups;
	const float         *scale = j->narrow.scale + row * j->groups;
	int32_t             *less = j->less[t] + row * halves * j->groups;
	float               *sum = j->sum[t] ? j->sum[t] + row * halves * j->groups : NULL;

	for (int64_t g = 0; g < j->groups; g++)
		for (int h = 0; h < halves; h++) {
			const int s = halves == 2 ? from[2 * g + h] : from[2 * g] + from[2 * g + 1];

			less[halves * g + h] = -w->zero * s;
			if (sum)
				sum[halves * g + h] = scale[g] * (float)s;
		}
}

static void round_rows(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;

	for (int64_t i = first; i < last; i++) {
		const float  *x = j->x + i * j->ldx;
		const int64_t at = i * j->groups;

		if (j->wide.q)
			j->kernels->int16_row(x, j->k, (int16_t *)j->wide.q + i * j->k,
			                      j->wide.scale + at);
		if (j->narrow.q)
			j->kernels->int8_row(x, j->k, (int8_t *)j->narrow.q + i * j->k,
			                     j->narrow.scale + at, j->sums + 2 * at);
		for (int t = 0; t < j->n; t++)
			if (!is_wide(j, t))
				add_up(j, t, i);
	}
}

/* ---- multiplying ---------------------------------------------------------------------------- */

static void put(const struct panels_product *p, int64_t row, int64_t column, float *sum)
{
	const int64_t left = p->w->rows - column;
	const int     n = left < PANEL_ROWS ? (int)left : PANEL_ROWS;
	float        *c = p->c + row * p->ldc + column;

	for (int i = 0; p->bias && i < n; i++)
		sum[i] += p->bias[column + i];
	for (int i = 0; p->add && i < n; i++)
		sum[i] += c[i];
	memcpy(c, sum, (size_t)n * sizeof *c);
}

/* Up to PANEL_MOST rows from `row` on, times panels [first, last). */
static void multiply_rows(const struct job *j, int t, int64_t row, int64_t last_row, int64_t first,
                          int64_t last)
{
	const struct panels_product *p = &j->p[t];
	const int64_t                part = (p->w->layout->half ? 2 : 1) * j->groups;
	const int rows = last_row - row < PANEL_MOST ? (int)(last_row - row) : PANEL_MOST;
	const struct rounded *x = is_wide(j, t) ? &j->wide : &j->narrow;
	const int64_t         bytes = is_wide(j, t) ? 2 * j->k : j->k;
	const struct int_rows a = { .q = (const char *)x->q + row * bytes,
		                    .scale = x->scale + row * j->groups,
		                    .sum = j->sum[t] ? j->sum[t] + row * part : NULL,
		                    .less = j->less[t] ? j->less[t] + row * part : NULL,
		                    .bytes = bytes };
	float                 sum[PANEL_MOST * PANEL_ROWS];

	for (int64_t i = first; i < last; i++) {
		j->kernels->panel[p->w->layout->number](p->w->data + i * p->w->stride, j->groups,
		                                        &a, rows, sum);
		for (int r = 0; r < rows; r++)
			put(p, row + r, i * PANEL_ROWS, sum + r * PANEL_ROWS);
	}
}

static int64_t panels_of(const struct panels *w)
{
	return (w->rows + PANEL_ROWS - 1) / PANEL_ROWS;
}

static void multiply(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;

	for (int64_t piece = first; piece < last; piece++) {
		const int64_t down = (j->m + ROWS - 1) / ROWS;
		int64_t       at = piece / down, row = piece % down * ROWS, end, i;
		int           t = 0;

		for (; at >= j->across[t]; t++)
			at -= j->across[t];
		i = at * j->per[t];
		end = i + j->per[t] < panels_of(j->p[t].w) ? i + j->per[t] : panels_of(j->p[t].w);
		for (const int64_t stop = row + ROWS < j->m ? row + ROWS : j->m; row < stop;
		     row += PANEL_MOST)
			multiply_rows(j, t, row, stop, i, end);
	}
}

/* ---- the call ------------------------------------------------------------------------------- */

/* Lays the rounded rows out from `at` on; bytes that they take.  With NULL only the size counts. */
static size_t place(struct job *j, char *at)
{
	const size_t n = (size_t)(j->m * j->groups);
	size_t       used = 0;
	bool         narrow = false, wide = false;

	for (int t = 0; t < j->n; t++) {
		wide |= is_wide(j, t);
		narrow |= !is_wide(j, t);
	}
#define BYTES(pointer, bytes)                                                                      \
	do {                                                                                       \
		(pointer) = at ? (void *)(at + used) : NULL;                                       \
		used += ((bytes) + 63) / 64 * 64;                                                  \
	} while (0)
#define PART(pointer, count) BYTES(pointer, (count) * sizeof *(pointer))
	if (narrow) {
		PART(j->narrow.scale, n);
		PART(j->sums, 2 * n);
		BYTES(j->narrow.q, n * INT_GROUP);
	}
	if (wide) {
		PART(j->wide.scale, n);
		BYTES(j->wide.q, 2 * n * INT_GROUP);
	}
	for (int t = 0; t < j->n; t++) {
		const struct panel_layout *l = j->p[t].w->layout;

		if (is_wide(j, t))
			continue;
		PART(j->less[t], n * (l->half ? 2 : 1));
		if (l->min)
			PART(j->sum[t], n * (l->half ? 2 : 1));
	}
#undef PART
#undef BYTES
	return used;
}

/* How many panels a piece takes. */
static int64_t piece_of(const struct panels *w, int64_t m)
{
	const int64_t even = panels_of(w) / (2 * rt_threads()), most = STREAM / w->stride;

	if (m > FEW)
		return 1 + CACHE / w->stride;
	return 1 + (even < most ? even : most);
}

int panels_multiply(const float *x, int64_t ldx, int64_t m, const struct panels_product *p, int n,
                    struct rt_error *err)
{
	const int64_t k = p[0].w->k;
	struct job    j = { .p = p,
		            .n = n,
		            .kernels = kernels(),
		            .x = x,
		            .ldx = ldx,
		            .m = m,
		            .k = k,
		            .groups = k / INT_GROUP };
	char         *room = workspace_take(place(&j, NULL));
	int64_t       pieces = 0, size = 0;

	if (!room)
		return rt_fail_nomem(err, "a matrix product");
	place(&j, room);
	for (int t = 0; t < n; t++) {
		j.per[t] = piece_of(p[t].w, m);
		j.across[t] = (panels_of(p[t].w) + j.per[t] - 1) / j.per[t];
		pieces += j.across[t] * ((m + ROWS - 1) / ROWS);
		size += m * k * p[t].w->rows;
	}
	if (size <= ALONE) {
		round_rows(&j, 0, m);
		multiply(&j, 0, pieces);
	} else {
		rt_parallel(m, 1 + ROUND_GRAIN / k, round_rows, &j);
		rt_parallel(pieces, 1, multiply, &j);
	}
	workspace_give(room);
	return 0;
}
