/* gemm-panels.c - products of weights in panels.  See panel.h
 *
 * The input is rounded once for all products that share it; then blocks of panels, small enough
 * for the second cache, are multiplied by blocks of up to PANEL_MOST rows.  For many rows weights
 * of twelve bits are bf16 again there, as putting them together for each block is arithmetic, too.
 */
#include "tensor/gemm.h"
#include "tensor/panel.h"

#include <retort/parallel.h>

#include "base/pool.h"

#include <string.h>

enum {
	MOST = PANELS_TOGETHER,
	STRETCH = 1024,        /* of a row that is rounded at once */
	ROUND_GRAIN = 1 << 15, /* activations that one piece of work rounds */
	CACHE = 1 << 18,       /* bytes of panels that a piece multiplies */
	FEW = 4,               /* rows for which reading the panels is the limit */
	STREAM = 1 << 21, /* bytes of a piece then, at most: long, as each begins with misses */
	KEPT = 1 << 20,   /* bytes of a matrix of which threads keep their part in their caches */
	MANY = 2 * PANEL_MOST,  /* rows for which one more pass over a block of panels pays */
	ROWS = 10 * PANEL_MOST, /* rows of a piece */
	MUCH = 8                /* times what is short where threads are near each other */
};

#define HAND_OVER 0.2e-6 /* seconds for which kernels have their panel_alone */

static const struct panel_layout loose = { PANEL_loose, 16, false, false };

/* Blocks of rows rounded, as struct input_rows has them, one behind the other; no q where no
 * product wants it. */
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
	struct rounded               in[PANEL_INPUTS];
	float                       *sum[MOST];
	int32_t                     *less[MOST];
	int64_t                      per[MOST], across[MOST]; /* panels of a piece; pieces */
	size_t                       room; /* bytes of those of twelve bits, loose */
};

/* Panels [first, last) of a product, in the order that a kernel reads. */
struct some {
	const struct panel_layout *layout;
	const uint8_t             *data;
	int64_t                    stride, first, last;
};

static enum panel_input input_of(const struct job *j, int t)
{
	return panel_input(j->p[t].w->layout);
}

static int64_t input_size(enum panel_input input)
{
	return input == INPUT_INT8 ? 1 : 2;
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

/* One row of it. */
static void round_line(const struct job *j, enum panel_input input, struct stretch *s, void *line)
{
	const float *x = j->x + (s->row + s->r) * j->ldx + s->column;
	float       *scale;

	if (input == INPUT_BF16) {
		j->kernels->bf16_row(x, s->n, line);
		return;
	}
	if (input == INPUT_INT16)
		j->kernels->int16_row(x, s->n, line, s->scale);
	else
		j->kernels->int8_row(x, s->n, line, s->scale, s->sums);
	scale = j->in[input].scale + s->row * j->groups + s->column / INT_GROUP * s->rows;
	for (int64_t g = 0; g < s->n / INT_GROUP; g++)
		scale[g * s->rows + s->r] = s->scale[g];
	for (int t = 0; input == INPUT_INT8 && t < j->n; t++)
		if (input_of(j, t) == INPUT_INT8)
			add_up(j, t, s);
}

/* A stretch of all rows of a block. */
static void round_stretch(const struct job *j, enum panel_input input, struct stretch s)
{
	const int64_t size = input_size(input);
	char         *q = j->in[input].q + size * (s.row * j->k + s.column * s.rows);
	union {
		uint32_t fours[PANEL_MOST * STRETCH / 2];
		int16_t  wide[PANEL_MOST * STRETCH];
		int8_t   bytes[2 * PANEL_MOST * STRETCH];
	} room;

	for (s.r = 0; s.r < s.rows; s.r++)
		round_line(j, input, &s,
		           s.rows == 1 ? q : (void *)(room.bytes + s.r * STRETCH * size));
	if (s.rows > 1)
		j->kernels->interleave(room.fours, STRETCH * size / 4, s.rows, s.n * size / 4,
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
			for (int input = 0; input < PANEL_INPUTS; input++)
				if (j->in[input].q)
					round_stretch(j, (enum panel_input)input, s);
		}
	}
}

/* ---- multiplying ---------------------------------------------------------------------------- */

/* sum is used up. */
static inline void put_some(const struct panels_product *p, int64_t row, int64_t column, int n,
                            float *restrict sum)
{
	float *restrict c = p->c + row * p->ldc + column;
	const float *restrict bias = p->bias ? p->bias + column : NULL;

	for (int i = 0; bias && i < n; i++)
		sum[i] += bias[i];
	for (int i = 0; p->add && i < n; i++)
		sum[i] += c[i];
	memcpy(c, sum, (size_t)n * sizeof *c);
}

/* A row's sums with n rows of weights; known numbers become a few moves of vectors. */
static void put(const struct panels_product *p, int64_t row, int64_t column, int n, float *sum)
{
	switch (n) {
	case PANEL_TWO: put_some(p, row, column, PANEL_TWO, sum); break;
	case PANEL_ROWS: put_some(p, row, column, PANEL_ROWS, sum); break;
	default: put_some(p, row, column, n, sum);
	}
}

/* A block of rows times some panels. */
static void multiply_block(const struct job *j, int t, int64_t row, int rows, const struct some *w)
{
	const struct panels_product *p = &j->p[t];
	const enum panel_input       input = input_of(j, t);
	const int64_t                part = row * (w->layout->half ? 2 : 1) * j->groups;
	const int                    step = panel_at_once(w->layout), width = step * PANEL_ROWS;
	const uint8_t               *data = w->data;
	struct input_rows            a = { .q = j->in[input].q + row * j->k * input_size(input) };
	float                        sum[PANEL_MOST * PANEL_TWO];

	if (j->in[input].scale)
		a.scale = j->in[input].scale + row * j->groups;
	if (j->sum[t])
		a.sum = j->sum[t] + part;
	if (j->less[t])
		a.less = j->less[t] + part;
	for (int64_t i = w->first; i < w->last; i += step, data += step * w->stride) {
		const int64_t left = p->w->rows - i * PANEL_ROWS;

		j->kernels->panel[w->layout->number](data, j->groups, &a, rows, sum);
		for (int r = 0; r < rows; r++)
			put(p, row + r, i * PANEL_ROWS, (int)(left < width ? left : width),
			    sum + r * width);
	}
}

/* Rows [row, stop) times some panels. */
static void multiply_rows(const struct job *j, int t, int64_t row, int64_t stop,
                          const struct some *w)
{
	for (int rows; row < stop; row += rows) {
		rows = j->kernels->panel_block(j->m - row);
		multiply_block(j, t, row, rows, w);
	}
}

/* Where twelve bits are bf16 again, and which: those of a product from a panel on. */
struct room {
	uint8_t *data; /* NULL: nowhere, they stay what they are */
	int      t;
	int64_t  first;
};

/* Panels [first, last) of a product: as they are, or loosened, unless they are already. */
static struct some get_panels(const struct job *j, int t, int64_t first, int64_t last,
                              struct room *room)
{
	const struct panels *w = j->p[t].w;
	const uint8_t       *data = w->data + first * w->stride;
	const int64_t        stride = panel_stride(&loose, j->groups);

	if (!room->data || w->layout->number != PANEL_tight)
		return (struct some){ w->layout, data, w->stride, first, last };
	if (t != room->t || first != room->first)
		for (int64_t i = 0; i < last - first; i += 2)
			j->kernels->panel_loosen(data + i * w->stride, j->groups,
			                         room->data + i * stride);
	room->t = t;
	room->first = first;
	return (struct some){ &loose, room->data, stride, first, last };
}

/* Pieces that the rows of x are cut into. */
static int64_t cuts(int64_t m)
{
	return (m + ROWS - 1) / ROWS;
}

static void multiply(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;
	struct room       room = { j->room ? workspace_take(j->room) : NULL, 0, -1 };

	for (int64_t piece = first; piece < last; piece++) {
		const int64_t down = cuts(j->m), row = piece % down * ROWS;
		const int64_t stop = row + ROWS < j->m ? row + ROWS : j->m;
		int64_t       at = piece / down, end, step;
		int           t = 0;

		for (; at >= j->across[t]; t++)
			at -= j->across[t];
		at *= j->per[t];
		end = at + j->per[t] < panels_of(j->p[t].w) ? at + j->per[t] : panels_of(j->p[t].w);
		/* A long piece is read once: if there is more than one block, all go on with it. */
		step = j->m <= FEW && j->kernels->panel_block(j->m) < j->m
		               ? panel_at_once(j->p[t].w->layout)
		               : end - at;
		for (; at < end; at += step) {
			const struct some w =
				get_panels(j, t, at, at + step < end ? at + step : end, &room);

			multiply_rows(j, t, row, stop, &w);
		}
	}
	workspace_give(room.data);
}

/* ---- the call ------------------------------------------------------------------------------- */

/* Lays the rounded rows out from `at` on; bytes that they take.  With NULL only the size counts. */
static size_t place(struct job *j, char *at)
{
	const size_t n = (size_t)(j->m * j->groups);
	size_t       used = 0;
	bool         wanted[PANEL_INPUTS] = { false };

	for (int t = 0; t < j->n; t++)
		wanted[input_of(j, t)] = true;
#define PART(pointer, count)                                                                       \
	do {                                                                                       \
		(pointer) = at ? (void *)(at + used) : NULL;                                       \
		used += ((count) * sizeof *(pointer) + 63) / 64 * 64;                              \
	} while (0)
	for (int input = 0; input < PANEL_INPUTS; input++) {
		const int64_t size = input_size((enum panel_input)input);

		if (wanted[input] && input != INPUT_BF16)
			PART(j->in[input].scale, n);
		if (wanted[input])
			PART(j->in[input].q, n * INT_GROUP * (size_t)size);
	}
	for (int t = 0; t < j->n; t++) {
		const struct panel_layout *l = j->p[t].w->layout;

		if (input_of(j, t) != INPUT_INT8)
			continue;
		PART(j->less[t], n * (l->half ? 2 : 1));
		if (l->min)
			PART(j->sum[t], n * (l->half ? 2 : 1));
	}
#undef PART
	return used;
}

/* Pieces that a thread takes at once: all that share their panels, where they are loosened for them
 * and enough are left for the others. */
static int64_t grain_of(const struct job *j, int64_t pieces)
{
	const int64_t down = cuts(j->m);

	return j->room && pieces >= 2 * rt_threads() * down ? down : 1;
}

/* How many panels a piece takes: for few rows each thread has two, so that none waits long for
 * another, or always the same one, where its cache may keep it. */
static int64_t piece_of(const struct panels *w, int64_t m)
{
	const int64_t parts = (panels_bytes(w) > KEPT ? 2 : 1) * rt_threads();
	const int64_t even = (panels_of(w) - 1) / parts, most = STREAM / w->stride;
	const int     step = panel_at_once(w->layout);
	int64_t       n = 1 + (even < most ? even : most);

	if (m > FEW)
		n = 1 + CACHE / w->stride;
	return (n + step - 1) / step * step;
}

/* Has one thread multiplied so often before another, which looks about for work, has its part and
 * is done?  Nobody asks how long that takes where the answer is plain. */
static bool is_short(const struct kernels *k, int64_t size)
{
	if (size <= k->panel_alone || size > MUCH * k->panel_alone)
		return size <= k->panel_alone;
	return (double)size <= (double)k->panel_alone * pool_hand_over() / HAND_OVER;
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
	char         *room = m > 0 ? workspace_take(place(&j, NULL)) : NULL;
	int64_t       pieces = 0, size = 0;

	if (m == 0)
		return 0;
	if (!room)
		return rt_fail_nomem(err, "a matrix product");
	place(&j, room);
	for (int t = 0; t < n; t++) {
		size_t bytes;

		j.per[t] = piece_of(p[t].w, m);
		j.across[t] = (panels_of(p[t].w) + j.per[t] - 1) / j.per[t];
		bytes = (size_t)(j.per[t] * panel_stride(&loose, j.groups));
		if (m > MANY && p[t].w->layout->number == PANEL_tight && j.room < bytes)
			j.room = bytes;
		pieces += j.across[t] * cuts(m);
		size += m * k * p[t].w->rows;
	}
	if (is_short(j.kernels, size)) {
		round_rows(&j, 0, blocks);
		multiply(&j, 0, pieces);
	} else {
		rt_parallel(blocks, 1 + ROUND_GRAIN / (PANEL_MOST * k), round_rows, &j);
		rt_parallel(pieces, grain_of(&j, pieces), multiply, &j);
	}
	workspace_give(room);
	return 0;
}
