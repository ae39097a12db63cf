/* gemm.c - own matrix products: packing, blocking, threads.  See gemm.h
 *
 * Sums are cut into stretches of MAX_K.  For some of them at once, the operand with fewer rows is
 * packed into panels (as high as the register block, any storage type turned to float on the way)
 * by all threads together, and is shared, at most MAX_SHARED rows at once.  Then each piece of work
 * packs, stretch by stretch, some panels of the other operand for itself, so that they are in its
 * own cache, and multiplies all of the shared ones with them: what one core wrote and another must
 * read is slow, so it is the smaller of the two.  Rows of a, where they are floats that need
 * nothing done to them, are not packed: the kernel takes the next number of each, wherever it is.
 * A result is the same sum whatever the cuts, so results do not depend on the number of threads. */
#include "tensor/gemm.h"

#include <retort/parallel.h>

#include "tensor/dtype.h"
#include "tensor/kernels.h"

#include <stdatomic.h>
#include <string.h>

enum {
	MAX_K = 512,            /* a multiple of STEP */
	STEP = 256,             /* of a panel is filled at once: a multiple of every block */
	MAX_SHARED = 1024,      /* rows */
	SHARED_BYTES = 4 << 20, /* of stretches that are packed at once, at least one */
	TOGETHER = 4,           /* shared panels that are packed at once */
	OWN_BYTES = 1 << 18,    /* that a piece of work packs for itself, at most */
	PIECES = 32,            /* that there should be, for threads to share */
	SETS = 1024 /* bytes: rows at multiples of it meet in a few sets of the first cache */
};

/* One operand as panels: of a or of b^T. */
struct side {
	const struct operand *o;
	int64_t               rows;
	int                   width; /* of a panel */
	float                 alpha;
};

struct job {
	const struct product *p;
	const struct kernels *kernels;
	gemm_fn              *gemm;
	pack_fn              *pack, *pack_across;
	bool                  pairs, round; /* of bf16; to bf16 */
	struct side           shared, own;
	bool                  turned;      /* b is shared, not a */
	bool                  lies;        /* whole panels of a are read where they are */
	float                *packed;      /* the shared panels */
	int64_t               first, rows; /* of the shared side, at hand */
	int64_t               k0, k;       /* of all stretches at hand */
	int64_t               some;        /* own rows of a piece */
	int64_t               part;        /* shared rows of a piece */
	int64_t               along;       /* pieces along the own side */
	atomic_int            code;        /* of a failure in some piece */
};

/* Of a sum. */
struct stretch {
	int64_t k0, k;
	int64_t depth; /* of a panel: k, or pairs of k */
	float  *shared;
};

static int64_t at_most(int64_t n, int64_t limit)
{
	return n < limit ? n : limit;
}

#define AT(index) (data + (index) / info->block * info->bytes)
/* `count` rows, n of k each, as floats times alpha: lines of k where k has stride 1, else one of
 * rows for each k.  Their distance. */
static int64_t gather(const struct job *j, const struct operand *o, int64_t origin, int count,
                      float alpha, int64_t n, float *dst)
{
	const struct rt_dtype_info *info = rt_dtype_info(o->dtype);
	const char                 *data = (const char *)o->data;
	load_fn                    *load = j->kernels->load[o->dtype];
	/* The odd row length keeps rows from sharing cache sets. */
	const int64_t ld = o->k == 1 ? STEP + 16 : count;

	if (o->k == 1)
		for (int i = 0; i < count; i++)
			load(AT(origin + i * o->row), n, dst + i * ld);
	else if (o->row == 1)
		for (int64_t p = 0; p < n; p++)
			load(AT(origin + p * o->k), count, dst + p * ld);
	else
		for (int64_t i = 0; i < n * count; i++)
			load(AT(origin + i / count * o->k + i % count * o->row), 1, dst + i);
	for (int64_t i = 0; alpha != 1.0f && i < (o->k == 1 ? count : n); i++)
		for (int64_t q = 0; q < (o->k == 1 ? n : count); q++)
			dst[i * ld + q] *= alpha;
	return ld;
}

/* May panels of a be read where they lie? */
static bool can_lie(const struct product *p)
{
	return p->a.dtype == RT_F32 && p->a.k == 1 && p->alpha == 1.0f && !p->bf16 &&
	       p->a.row * (int64_t)sizeof(float) % SETS != 0;
}

/* `count` rows from `row` as the panel that the kernel wants. */
static void pack_panel(const struct job *j, const struct stretch *t, const struct side *s,
                       int64_t row, int count, float *dst)
{
	const struct operand *o = s->o;
	const int             width = s->width;
	pack_fn              *pack = o->k == 1 ? j->pack : j->pack_across;
	const bool direct = o->dtype == RT_F32 && s->alpha == 1.0f && (o->k == 1 || o->row == 1);
	float      room[GEMM_MAX_NR * (STEP + 16)];

	if (j->lies && o == &j->p->a && count == width)
		return;
	for (int64_t k = 0; k < t->k; k += STEP, dst += (j->pairs ? STEP / 2 : STEP) * width) {
		const int64_t n = at_most(t->k - k, STEP),
			      origin = row * o->row + (t->k0 + k) * o->k;
		int64_t ld = o->k == 1 ? o->row : o->k;

		if (!direct)
			ld = gather(j, o, origin, count, s->alpha, n, room);
		pack(direct ? (const float *)o->data + origin : room, ld, count, width, n, dst);
		if (j->round && !j->pairs)
			j->kernels->bf16_round(dst, width * n);
	}
}
#undef AT

static int64_t up(int64_t n, int64_t step)
{
	return (n + step - 1) / step;
}

static int64_t depth_of(const struct job *j, int64_t k)
{
	return j->pairs ? up(k, 2) : k;
}

static struct stretch stretch_at(const struct job *j, int64_t number)
{
	const int64_t  k = number * MAX_K, size = up(j->rows, j->shared.width) * j->shared.width;
	struct stretch t = { j->k0 + k, at_most(j->k - k, MAX_K), 0, NULL };

	t.depth = depth_of(j, t.k);
	t.shared = j->packed + number * size * depth_of(j, MAX_K);
	return t;
}

/* Rows [first, last) of one side, panel by panel. */
static void pack_rows(const struct job *j, const struct stretch *t, const struct side *s,
                      int64_t first, int64_t last, float *dst)
{
	for (int64_t i = first; i < last; i += s->width, dst += s->width * t->depth)
		pack_panel(j, t, s, i, (int)at_most(last - i, s->width), dst);
}

static void pack_shared(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;
	const int64_t     w = j->shared.width, panels = up(j->rows, w);

	for (int64_t i = first; i < last; i++) {
		const struct stretch t = stretch_at(j, i / panels);
		const int64_t        row = i % panels * w;

		pack_panel(j, &t, &j->shared, j->first + row, (int)at_most(j->rows - row, w),
		           t.shared + row * t.depth);
	}
}

/* One register block at row i and column n, through a buffer where it sticks out of c. */
static void tile(const struct job *j, const struct stretch *t, int64_t i, int64_t n, const float *a,
                 const float *b)
{
	const struct kernels *kn = j->kernels;
	float                *c = j->p->c + i * j->p->ldc + n;
	const bool            add = j->p->add || t->k0 > 0;
	const int             rows = (int)at_most(j->p->m - i, kn->mr),
		  columns = (int)at_most(j->p->n - n, kn->nr);
	struct strip strip = { a, 1, kn->mr };
	float        buffer[GEMM_MAX_MR * GEMM_MAX_NR];

	if (j->lies && rows == kn->mr)
		strip = (struct strip){ (const float *)j->p->a.data + i * j->p->a.row + t->k0,
			                j->p->a.row, 1 };
	if (rows == kn->mr && columns == kn->nr) {
		j->gemm(t->depth, &strip, b, c, j->p->ldc, add);
		return;
	}
	j->gemm(t->depth, &strip, b, buffer, kn->nr, false);
	for (int r = 0; r < rows; r++) {
		const float *x = buffer + r * kn->nr;
		float       *y = c + r * j->p->ldc;

		for (int s = 0; s < columns; s++)
			y[s] = add ? x[s] + y[s] : x[s];
	}
}

/* Own rows [o0, o1) with shared ones [s0, s1). */
static void multiply_stretch(const struct job *j, const struct stretch *t, int64_t s0, int64_t s1,
                             int64_t o0, int64_t o1, float *own)
{
	const int ws = j->shared.width, wo = j->own.width;

	pack_rows(j, t, &j->own, o0, o1, own);
	for (int64_t s = s0; s < s1; s += ws)
		for (int64_t o = o0; o < o1; o += wo) {
			const float *ps = t->shared + s * t->depth, *po = own + (o - o0) * t->depth;

			if (j->turned)
				tile(j, t, o, j->first + s, po, ps);
			else
				tile(j, t, j->first + s, o, ps, po);
		}
}

/* A piece: some panels of its own with some (most often all) of the shared ones. */
static void multiply_piece(const struct job *j, int64_t piece, float *own)
{
	const int64_t s0 = piece / j->along * j->part, s1 = at_most(j->rows, s0 + j->part);
	const int64_t o0 = piece % j->along * j->some, o1 = at_most(j->own.rows, o0 + j->some);

	for (int64_t i = 0; i * MAX_K < j->k; i++) {
		const struct stretch t = stretch_at(j, i);

		multiply_stretch(j, &t, s0, s1, o0, o1, own);
	}
}

static void multiply(void *arg, int64_t first, int64_t last)
{
	struct job *j = arg;
	float      *own =
		workspace_take((size_t)(j->some * depth_of(j, at_most(j->k, MAX_K))) * sizeof *own);

	if (!own) {
		atomic_store(&j->code, RT_E_NOMEM);
		return;
	}
	for (int64_t t = first; t < last; t++)
		multiply_piece(j, t, own);
	workspace_give(own);
}

static void each(struct job *j, int64_t n, int64_t grain, rt_piece_fn *fn)
{
	if (j->p->serial)
		fn(j, 0, n);
	else
		rt_parallel(n, grain, fn, j);
}

/* Enough pieces for many threads: of few own rows, then of few shared ones, which packs the own
 * ones more often. */
static void cut(struct job *j)
{
	const int64_t panels = up(j->own.rows, j->own.width), rows = up(j->rows, j->shared.width);
	const int64_t most = OWN_BYTES / (int64_t)sizeof(float) /
	                     (j->own.width * depth_of(j, at_most(j->k, MAX_K)));
	const int64_t some = at_most(up(panels, PIECES), most > 1 ? most : 1);
	const int64_t down = j->p->serial ? 1 : up(PIECES / 2, panels);

	j->some = some * j->own.width;
	j->part = up(rows, down) * j->shared.width;
	j->along = up(j->own.rows, j->some);
}

/* All stretches of k at hand. */
static void block(struct job *j)
{
	const int64_t panels = up(j->rows, j->shared.width) * up(j->k, MAX_K);

	cut(j);
	each(j, panels, TOGETHER, pack_shared);
	each(j, up(j->rows, j->part) * j->along, 1, multiply);
}

int gemm_packed(const struct product *p, struct rt_error *err)
{
	const struct kernels *kn = kernels();
	const bool            pairs = p->bf16 && kn->gemm_bf16;
	struct job            j = { .p = p, .kernels = kn, .pairs = pairs, .round = p->bf16 };
	const struct side a = { &p->a, p->m, kn->mr, p->alpha }, b = { &p->b, p->n, kn->nr, 1.0f };

	if (p->m == 0 || p->n == 0)
		return 0;
	j.turned = p->n < p->m;
	j.lies = can_lie(p);
	j.shared = j.turned ? b : a;
	j.own = j.turned ? a : b;
	j.gemm = pairs ? kn->gemm_bf16 : kn->gemm;
	j.pack = pairs ? kn->pack_bf16 : kn->pack;
	j.pack_across = pairs ? kn->pack_across_bf16 : kn->pack_across;
	const int64_t w = j.shared.width, rows = at_most(up(j.shared.rows, w), MAX_SHARED / w) * w;
	const int64_t bytes = rows * MAX_K * (int64_t)sizeof *j.packed;
	const int64_t ks =
		at_most(up(p->k, MAX_K), bytes < SHARED_BYTES ? SHARED_BYTES / bytes : 1);

	j.packed = workspace_take(
		(size_t)(ks > 1 ? ks * bytes : bytes / MAX_K * at_most(p->k, MAX_K)));
	if (!j.packed)
		return rt_fail_nomem(err, "a matrix product");
	for (j.first = 0; j.first < j.shared.rows; j.first += j.rows) {
		j.rows = at_most(j.shared.rows - j.first, rows);
		for (j.k0 = 0; j.k0 < p->k; j.k0 += j.k) {
			j.k = at_most(p->k - j.k0, ks * MAX_K);
			block(&j);
		}
	}
	workspace_give(j.packed);
	return atomic_load(&j.code) ? rt_fail_nomem(err, "a matrix product") : 0;
}
