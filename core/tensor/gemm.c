/* gemm.c - own matrix products: packing, blocking, threads.  See gemm.h
 *
 * Sums are cut into stretches of MAX_K, rows into blocks of MAX_M.  For each, a is packed into
 * panels (as high as the register block, any storage type turned to float on the way), by all
 * threads together.  Then each piece of work packs some panels of b for itself, so that they are
 * in its own cache, and multiplies all of a with them.  A result is the same sum whatever the
 * cuts, so results do not depend on the number of threads. */
#include "tensor/gemm.h"

#include <retort/parallel.h>

#include "tensor/dtype.h"
#include "tensor/kernels.h"

#include <stdatomic.h>
#include <string.h>

enum {
	MAX_K = 512, /* a multiple of STEP */
	STEP = 256,  /* of a panel is filled at once: a multiple of every block */
	MAX_M = 1024,
	PIECE_A = 4, /* panels of a that are packed at once */
	PIECE_B = 4, /* panels of b that one piece of work packs, at most */
	PIECES = 32  /* that there should be, for threads to share */
};

struct job {
	const struct product *p;
	const struct kernels *kernels;
	gemm_fn              *gemm;
	pack_fn              *pack, *pack_across;
	bool                  pairs, round; /* of bf16; to bf16 */
	float                *a;            /* packed */
	int64_t               i0, k0;       /* the block at hand */
	int64_t               m, k;
	int64_t               depth;              /* of a panel: k, or pairs of k */
	int64_t               wide, high, across; /* of a piece; pieces along n */
	atomic_int            code;               /* of a failure in some piece */
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

/* `count` rows from `row`, times alpha, as the panel that the kernel wants. */
static void pack_panel(const struct job *j, const struct operand *o, int64_t row, int count,
                       int width, float alpha, float *dst)
{
	pack_fn   *pack = o->k == 1 ? j->pack : j->pack_across;
	const bool direct = o->dtype == RT_F32 && alpha == 1.0f && (o->k == 1 || o->row == 1);
	float      room[GEMM_MAX_NR * (STEP + 16)];

	for (int64_t k = 0; k < j->k; k += STEP, dst += (j->pairs ? STEP / 2 : STEP) * width) {
		const int64_t n = at_most(j->k - k, STEP),
			      origin = row * o->row + (j->k0 + k) * o->k;
		int64_t ld = o->k == 1 ? o->row : o->k;

		if (!direct)
			ld = gather(j, o, origin, count, alpha, n, room);
		pack(direct ? (const float *)o->data + origin : room, ld, count, width, n, dst);
		if (j->round && !j->pairs)
			j->kernels->bf16_round(dst, width * n);
	}
}
#undef AT

static int part(int64_t size, int64_t first, int width)
{
	return (int)(size - first < width ? size - first : width);
}

static int64_t up(int64_t n, int64_t step)
{
	return (n + step - 1) / step;
}

static void pack_a(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;
	const int         w = j->kernels->mr;

	for (int64_t t = first; t < last; t++)
		pack_panel(j, &j->p->a, j->i0 + t * w, part(j->m, t * w, w), w, j->p->alpha,
		           j->a + t * w * j->depth);
}

/* One register block, through a buffer where it sticks out of c. */
static void tile(const struct job *j, int64_t i, int64_t n, const float *b)
{
	const struct kernels *kn = j->kernels;
	const float          *a = j->a + i * j->depth;
	float                *c = j->p->c + (j->i0 + i) * j->p->ldc + n;
	const bool            add = j->p->add || j->k0 > 0;
	const int             rows = part(j->m, i, kn->mr), columns = part(j->p->n, n, kn->nr);
	float                 buffer[GEMM_MAX_MR * GEMM_MAX_NR];

	if (rows == kn->mr && columns == kn->nr) {
		j->gemm(j->depth, a, b, c, j->p->ldc, add);
		return;
	}
	j->gemm(j->depth, a, b, buffer, kn->nr, false);
	for (int r = 0; r < rows; r++) {
		const float *x = buffer + r * kn->nr;
		float       *y = c + r * j->p->ldc;

		for (int s = 0; s < columns; s++)
			y[s] = add ? x[s] + y[s] : x[s];
	}
}

/* A piece: some panels of b with some (most often all) of the packed ones of a. */
static void multiply_piece(const struct job *j, int64_t t, float *b)
{
	const int     w = j->kernels->nr;
	const int64_t i0 = t / j->across * j->high, i1 = at_most(j->m, i0 + j->high);
	const int64_t n0 = t % j->across * j->wide, n1 = at_most(j->p->n, n0 + j->wide);

	for (int64_t n = n0; n < n1; n += w)
		pack_panel(j, &j->p->b, n, part(j->p->n, n, w), w, 1.0f, b + (n - n0) * j->depth);
	for (int64_t i = i0; i < i1; i += j->kernels->mr)
		for (int64_t n = n0; n < n1; n += w)
			tile(j, i, n, b + (n - n0) * j->depth);
}

static void multiply(void *arg, int64_t first, int64_t last)
{
	struct job *j = arg;
	float      *b = workspace_take((size_t)(j->wide * j->depth) * sizeof *b);

	if (!b) {
		atomic_store(&j->code, RT_E_NOMEM);
		return;
	}
	for (int64_t t = first; t < last; t++)
		multiply_piece(j, t, b);
	workspace_give(b);
}

static void each(struct job *j, int64_t n, int64_t grain, rt_piece_fn *fn)
{
	if (j->p->serial)
		fn(j, 0, n);
	else
		rt_parallel(n, grain, fn, j);
}

/* Enough pieces for many threads: of few columns, then of few rows, which packs b more often. */
static void cut(struct job *j)
{
	const int64_t panels = up(j->p->n, j->kernels->nr), rows = up(j->m, j->kernels->mr);
	const int64_t some = up(panels, PIECES), down = up(PIECES / 2, panels);

	j->wide = at_most(some, PIECE_B) * j->kernels->nr;
	j->high = up(rows, j->p->serial ? 1 : down) * j->kernels->mr;
	j->across = up(j->p->n, j->wide);
}

int gemm_packed(const struct product *p, struct rt_error *err)
{
	const struct kernels *kn = kernels();
	const bool            pairs = p->bf16 && kn->gemm_bf16;
	struct job            j = { .p = p, .kernels = kn, .pairs = pairs, .round = p->bf16 };
	const int64_t         rows = at_most(p->m, MAX_M) + GEMM_MAX_MR;

	if (p->m == 0 || p->n == 0)
		return 0;
	j.gemm = pairs ? kn->gemm_bf16 : kn->gemm;
	j.pack = pairs ? kn->pack_bf16 : kn->pack;
	j.pack_across = pairs ? kn->pack_across_bf16 : kn->pack_across;
	j.a = workspace_take((size_t)(rows * at_most(p->k, MAX_K)) * sizeof *j.a);
	if (!j.a)
		return rt_fail_nomem(err, "a matrix product");
	for (j.i0 = 0; j.i0 < p->m; j.i0 += j.m) {
		j.m = at_most(p->m - j.i0, MAX_M / kn->mr * kn->mr);
		cut(&j);
		for (j.k0 = 0; j.k0 < p->k; j.k0 += j.k) {
			j.k = at_most(p->k - j.k0, MAX_K);
			j.depth = j.pairs ? up(j.k, 2) : j.k;
			each(&j, up(j.m, kn->mr), PIECE_A, pack_a);
			each(&j, up(j.m, j.high) * j.across, 1, multiply);
		}
	}
	workspace_give(j.a);
	return atomic_load(&j.code) ? rt_fail_nomem(err, "a matrix product") : 0;
}
