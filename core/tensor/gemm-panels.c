/* gemm-panels.c - products of weights in panels.  See panel.h
 *
 * The input is rounded once for all products that share it; then blocks of panels, small enough
 * for the second cache, are multiplied by blocks of up to PANEL_MOST rows. */
#include "tensor/gemm.h"
#include "tensor/panel.h"

#include <retort/parallel.h>

#include <string.h>

enum {
	MOST = PANELS_TOGETHER,
	STRETCH = 1024,        /* of a row that is rounded at once */
	ROUND_GRAIN = 1 << 15, /* activations that one piece of work rounds */
	CACHE = 1 << 18,       /* bytes of panels that a piece multiplies */
	FEW = 4,               /* rows for which reading the panels is the limit: then pieces are */
	STREAM = 1 << 21,      /* long, since each begins with misses, but two for each thread */
	ROWS = 10 * PANEL_MOST /* rows of a piece */
};

/* Blocks of rows rounded to int8 or to int16, as struct int_rows has them, one behind the other; no
 * q where no product wants it. */
struct rounded {
	char  *q;
	float *scale;
};

struct job {
	const struct panels_product *p;
	int                          n;
	const struct kernels        *kernels;
	const float                 *x;
	int64_t                      ldx, m, k, groups;
	struct rounded               narrow, wide;
	float                       *sum[MOST];
	int32_t                     *less[MOST];
	int64_t                      per[MOST], across[MOST]; /* panels of a piece; pieces */
};

static bool is_wide(const struct job *j, int t)
{
	return j->p[t].w->layout->bits == 16;
}

/* ---- rounding ------------------------------------------------------------------------------- */

/* A stretch of one row of a block. */
struct stretch {
	int64_t row, column, n; /* the block's first row; where in it, how many */
	int     r, rows;        /* which of how many rows */
	float   scale[STRETCH / INT_GROUP];
	int16_t sums[2 * STRETCH / INT_GROUP];
};

/* What a product's layout wants of the sums. */
static void add_up(const struct job *j, int t, const struct stretch *s)
{
	const struct panels *w = j->p[t].w;
	const int            halves = w->layout->half ? 2 : 1;
	const int64_t        parts = halves * s->n / INT_GROUP;
	const int64_t at = halves * (s->row * j->groups + s->column / INT_GROUP * s->rows) + s->r;

	for (int64_t i = 0; i < parts; i++) {
		const int sum = halves == 2 ? s->sums[i] : s->sums[2 * i] + s->sums[2 * i + 1];

		j->less[t][at + i * s->rows] = -w->zero * sum;
		if (j->sum[t])
			j->sum[t][at + i * s->rows] = s->scale[i / halves] * (float)sum;
	}
}

/* A stretch of all rows of a block. */
static void round_stretch(const struct job *j, bool wide, struct stretch s)
{
	const struct rounded *to = wide ? &j->wide : &j->narrow;
	const int64_t         size = wide ? sizeof(int16_t) : sizeof(int8_t);
	char                 *q = to->q + size * (s.row * j->k + s.column * s.rows);
	float                *scale = to->scale + s.row * j->groups + s.column / INT_GROUP * s.rows;
	uint32_t              room[PANEL_MOST * STRETCH / 2];

	for (s.r = 0; s.r < s.rows; s.r++) {
		const float *x = j->x + (s.row + s.r) * j->ldx + s.column;
		char        *line = s.rows == 1 ? q : (char *)room + s.r * STRETCH * size;

		if (wide)
			j->kernels->int16_row(x, s.n, (int16_t *)line, s.scale);
		else
			j->kernels->int8_row(x, s.n, (int8_t *)line, s.scale, s.sums);
		for (int64_t g = 0; g < s.n / INT_GROUP; g++)
			scale[g * s.rows + s.r] = s.scale[g];
		for (int t = 0; !wide && t < j->n; t++)
			if (!is_wide(j, t))
				add_up(j, t, &s);
	}
	if (s.rows > 1)
		j->kernels->interleave(room, STRETCH * size / 4, s.rows, s.n * size / 4,
		                       (uint32_t *)q);
}

/* Of each piece PANEL_MOST rows. */
static void round_rows(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;
	const int64_t     end = last * PANEL_MOST < j->m ? last * PANEL_MOST : j->m;
	struct stretch    s = { .row = first * PANEL_MOST };

	for (; s.row < end; s.row += s.rows) {
		s.rows = j->kernels->panel_block(j->m - s.row);
		for (s.column = 0; s.column < j->k; s.column += STRETCH) {
			s.n = j->k - s.column < STRETCH ? j->k - s.column : STRETCH;
			if (j->wide.q)
				round_stretch(j, true, s);
			if (j->narrow.q)
				round_stretch(j, false, s);
		}
	}
}

/* ---- multiplying ---------------------------------------------------------------------------- */

static inline void put_some(const struct panels_product *p, int64_t row, int64_t column, int n,
                            const float *sum)
{
	float *c = p->c + row * p->ldc + column;

	for (int i = 0; i < n; i++) {
		const float x = p->bias ? sum[i] + p->bias[column + i] : sum[i];

		c[i] = p->add ? x + c[i] : x;
	}
}

static void put(const struct panels_product *p, int64_t row, int64_t column, const float *sum)
{
	const int64_t left = p->w->rows - column;

	if (left >= PANEL_ROWS && !p->bias && !p->add)
		memcpy(p->c + row * p->ldc + column, sum, PANEL_ROWS * sizeof *sum);
	else if (left >= PANEL_ROWS)
		put_some(p, row, column, PANEL_ROWS, sum);
	else
		put_some(p, row, column, (int)left, sum);
}

/* A block of rows times panels [first, last). */
static void multiply_block(const struct job *j, int t, int64_t row, int rows, int64_t first,
                           int64_t last)
{
	const struct panels_product *p = &j->p[t];
	const int64_t                part = row * (p->w->layout->half ? 2 : 1) * j->groups;
	const struct rounded        *x = is_wide(j, t) ? &j->wide : &j->narrow;
	const struct int_rows        a = { .q = x->q + row * j->k * (is_wide(j, t) ? 2 : 1),
		                           .scale = x->scale + row * j->groups,
		                           .sum = j->sum[t] ? j->sum[t] + part : NULL,
		                           .less = j->less[t] ? j->less[t] + part : NULL };
	float                        sum[PANEL_MOST * PANEL_ROWS];

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

/* Rows [row, stop) times panels [first, last). */
static void multiply_rows(const struct job *j, int t, int64_t row, int64_t stop, int64_t first,
                          int64_t last)
{
	for (int rows; row < stop; row += rows) {
		rows = j->kernels->panel_block(j->m - row);
		multiply_block(j, t, row, rows, first, last);
	}
}

static void multiply(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;

	for (int64_t piece = first; piece < last; piece++) {
		const int64_t down = (j->m + ROWS - 1) / ROWS, row = piece % down * ROWS;
		const int64_t stop = row + ROWS < j->m ? row + ROWS : j->m;
		int64_t       at = piece / down, end, step;
		int           t = 0;

		for (; at >= j->across[t]; t++)
			at -= j->across[t];
		at *= j->per[t];
		end = at + j->per[t] < panels_of(j->p[t].w) ? at + j->per[t] : panels_of(j->p[t].w);
		/* A long piece is read once: all rows go on with it. */
		step = j->m > FEW ? end - at : 1;
		for (; at < end; at += step)
			multiply_rows(j, t, row, stop, at, at + step);
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
#define PART(pointer, count)                                                                       \
	do {                                                                                       \
		(pointer) = at ? (void *)(at + used) : NULL;                                       \
		used += ((count) * sizeof *(pointer) + 63) / 64 * 64;                              \
	} while (0)
	if (narrow) {
		PART(j->narrow.scale, n);
		PART(j->narrow.q, n * INT_GROUP);
	}
	if (wide) {
		PART(j->wide.scale, n);
		PART(j->wide.q, 2 * n * INT_GROUP);
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
	const int64_t k = p[0].w->k, blocks = (m + PANEL_MOST - 1) / PANEL_MOST;
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
	if (size <= j.kernels->panel_alone) {
		round_rows(&j, 0, blocks);
		multiply(&j, 0, pieces);
	} else {
		rt_parallel(blocks, 1 + ROUND_GRAIN / (PANEL_MOST * k), round_rows, &j);
		rt_parallel(pieces, 1, multiply, &j);
	}
	workspace_give(room);
	return 0;
}
