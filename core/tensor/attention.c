/* attention.c - the forward pass of attention, and what both passes share.  See nn.h */
#include "tensor/attention.h"

#include <retort/memory.h>
#include <retort/parallel.h>

#include <math.h>
#include <string.h>

enum { ALONE = 1 << 16 }; /* multiplications that are done before another thread has begun */

int attention_check(struct attention_job *j, struct rt_error *err)
{
	const struct nn_heads q = j->q, k = j->k, v = j->v;

	if (k.heads < 1 || q.heads % k.heads || k.heads != v.heads || q.n != k.n ||
	    k.rows != v.rows)
		return rt_fail(err, RT_E_SHAPE,
		               "%lld query heads of %lld and %lld key heads of "
		               "%lld do not go together",
		               (long long)q.heads, (long long)q.n, (long long)k.heads,
		               (long long)k.n);
	if (j->out.rows != q.rows || j->out.heads != q.heads || j->out.n != v.n)
		return rt_fail(err, RT_E_SHAPE, "the result of attention has %lld heads of %lld",
		               (long long)q.heads, (long long)v.n);
	for (int64_t i = 0; i < j->o->n_spans; i++) {
		const struct rt_span s = j->o->spans[i];

		if (s.q < 0 || s.count < 0 || s.count > q.rows - s.q || s.k < 0 ||
		    s.context < s.count || s.context > k.rows - s.k)
			return rt_fail(err, RT_E_SHAPE,
			               "span %lld (%lld queries from %lld, %lld "
			               "keys from %lld) leaves %lld rows and %lld keys",
			               (long long)i, (long long)s.count, (long long)s.q,
			               (long long)s.context, (long long)s.k, (long long)q.rows,
			               (long long)k.rows);
	}
	j->group = q.heads / k.heads;
	j->queries = j->group < TILE_ROWS ? TILE_ROWS / j->group : 1;
	return 0;
}

static int64_t tiles(int64_t n, int64_t per)
{
	return (n + per - 1) / per;
}

int64_t attention_queries(const struct attention_job *j, const struct rt_span *s)
{
	return s->count > 0 ? tiles(s->count, tiles(s->count, j->queries)) : 0;
}

static int64_t tiles_of(const struct attention_job *j, const struct rt_span *s, bool keys)
{
	if (s->count == 0)
		return 0;
	return keys ? tiles(s->context, TILE_KEYS) : tiles(s->count, j->queries);
}

int64_t attention_pieces(const struct attention_job *j, bool keys)
{
	int64_t n = 0;

	for (int64_t i = 0; i < j->o->n_spans; i++)
		n += tiles_of(j, &j->o->spans[i], keys) * j->k.heads;
	return n;
}

struct attention_tile attention_piece(const struct attention_job *j, bool keys, int64_t number)
{
	const struct rt_span *s = j->o->spans;
	struct attention_tile t;
	int64_t               n, per;

	for (; n = tiles_of(j, s, keys), number >= n * j->k.heads; s++)
		number -= n * j->k.heads;
	per = keys ? TILE_KEYS : attention_queries(j, s);
	t.span = s;
	t.head = number / n;
	/* The last tiles see the most keys: they come first, so that none is left alone. */
	t.first = (n - 1 - number % n) * per;
	t.count = (keys ? s->context : s->count) - t.first;
	t.count = t.count < per ? t.count : per;
	t.rows = t.count * j->group;
	return t;
}

void attention_sees(const struct attention_job *j, const struct rt_span *s, int64_t i,
                    int64_t *ret_low, int64_t *ret_high)
{
	*ret_high = s->context - s->count + i + 1;
	*ret_low = j->o->window > 0 && *ret_high > j->o->window ? *ret_high - j->o->window : 0;
}

void attention_gather(const struct attention_job *j, const struct attention_tile *t,
                      struct nn_heads x, float factor, float *dst)
{
	for (int64_t r = 0; r < t->rows; r++, dst += x.n) {
		const int64_t row = t->span->q + t->first + r / j->group;
		const int64_t head = t->head * j->group + r % j->group;
		const float  *src = x.data + row * x.ld + head * x.n;

		for (int64_t i = 0; i < x.n; i++)
			dst[i] = factor * src[i];
	}
}

int attention_abt(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
                  int64_t ldb, float *c, int64_t ldc)
{
	const struct product p = { .m = m,
		                   .n = n,
		                   .k = k,
		                   .a = { a, RT_F32, lda, 1 },
		                   .b = { b, RT_F32, ldb, 1 },
		                   .c = c,
		                   .ldc = ldc,
		                   .alpha = 1.0f,
		                   .serial = true };

	if (m > FEW_ROWS)
		return gemm_packed(&p, NULL);
	attention_few(m, n, k, a, lda, b, ldb, c, ldc);
	return 0;
}

int attention_ab(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
                 int64_t ldb, float *c, int64_t ldc)
{
	const struct product p = { .m = m,
		                   .n = n,
		                   .k = k,
		                   .a = { a, RT_F32, lda, 1 },
		                   .b = { b, RT_F32, 1, ldb },
		                   .c = c,
		                   .ldc = ldc,
		                   .alpha = 1.0f,
		                   .add = true,
		                   .serial = true };

	if (m > FEW_ROWS)
		return gemm_packed(&p, NULL);
	for (int64_t i = 0; i < m; i++)
		kernels()->weigh(a + i * lda, k, b, ldb, c + i * ldc, n);
	return 0;
}

int attention_atb(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
                  int64_t ldb, float *c, int64_t ldc)
{
	const struct product p = { .m = m,
		                   .n = n,
		                   .k = k,
		                   .a = { a, RT_F32, 1, lda },
		                   .b = { b, RT_F32, 1, ldb },
		                   .c = c,
		                   .ldc = ldc,
		                   .alpha = 1.0f,
		                   .add = true,
		                   .serial = true };

	return gemm_packed(&p, NULL);
}

void attention_zero(struct nn_heads x)
{
	for (int64_t r = 0; r < x.rows; r++)
		memset(x.data + r * x.ld, 0, (size_t)(x.heads * x.n) * sizeof *x.data);
}

void attention_failed(struct attention_job *j, int code)
{
	__atomic_store_n(&j->code, code, __ATOMIC_RELAXED);
}

/* ---- forward ---------------------------------------------------------------------------- */

/* Scratch of one tile. */
struct forward {
	float  *q, *s, *out; /* [rows, n], [rows, TILE_KEYS], [rows, v.n] */
	float  *top;         /* running maximum of each row */
	double *sum;         /* running sum of exp(s - top) */
};

/* Scores of keys [first, first + n) become weights; sums and out are brought to the new
 * maximum. */
static void weigh(const struct attention_job *j, const struct attention_tile *t, struct forward *f,
                  int64_t first, int64_t n)
{
	const struct kernels *kn = kernels();

	for (int64_t r = 0; r < t->rows; r++) {
		float  *s = f->s + r * TILE_KEYS, top, shrink;
		int64_t low, high;

		attention_sees(j, t->span, t->first + r / j->group, &low, &high);
		low = low > first ? low - first : 0;
		high = high - first < n ? high - first : n;
		if (low >= high) {
			memset(s, 0, (size_t)n * sizeof *s);
			continue;
		}
		top = kn->max(s + low, high - low);
		top = top < f->top[r] ? f->top[r] : top; /* NaN stays */
		shrink = f->top[r] == top ? 1.0f : expf(f->top[r] - top);
		f->sum[r] = f->sum[r] * shrink + kn->sum_exp(s + low, high - low, top, s + low);
		f->top[r] = top;
		memset(s, 0, (size_t)low * sizeof *s);
		memset(s + high, 0, (size_t)(n - high) * sizeof *s);
		if (shrink != 1.0f)
			for (int64_t i = 0; i < j->v.n; i++)
				f->out[r * j->v.n + i] *= shrink;
	}
}

static void write_out(const struct attention_job *j, const struct attention_tile *t,
                      const struct forward *f)
{
	for (int64_t r = 0; r < t->rows; r++) {
		const int64_t row = t->span->q + t->first + r / j->group;
		const int64_t head = t->head * j->group + r % j->group;
		const float   inverse = (float)(1.0 / f->sum[r]);
		float        *dst = j->out.data + row * j->out.ld + head * j->out.n;

		for (int64_t i = 0; i < j->out.n; i++)
			dst[i] = f->out[r * j->v.n + i] * inverse;
		if (j->lse)
			j->lse[row * j->q.heads + head] = f->top[r] + (float)log(f->sum[r]);
	}
}

static int forward_tile(const struct attention_job *j, const struct attention_tile *t,
                        struct forward *f)
{
	int64_t low, high, ignored;
	int     r = 0;

	attention_sees(j, t->span, t->first, &low, &ignored);
	attention_sees(j, t->span, t->first + t->count - 1, &ignored, &high);
	attention_gather(j, t, j->q, j->o->scale, f->q);
	memset(f->out, 0, (size_t)(t->rows * j->v.n) * sizeof *f->out);
	for (int64_t i = 0; i < t->rows; i++) {
		f->top[i] = -INFINITY;
		f->sum[i] = 0.0;
	}
	for (int64_t first = low / TILE_KEYS * TILE_KEYS; first < high && r == 0;
	     first += TILE_KEYS) {
		const int64_t n = high - first < TILE_KEYS ? high - first : TILE_KEYS;
		const int64_t row = t->span->k + first;
		const float  *k = j->k.data + row * j->k.ld + t->head * j->k.n;
		const float  *v = j->v.data + row * j->v.ld + t->head * j->v.n;

		r = attention_abt(t->rows, n, j->q.n, f->q, j->q.n, k, j->k.ld, f->s, TILE_KEYS);
		weigh(j, t, f, first, n);
		if (r == 0)
			r = attention_ab(t->rows, j->v.n, n, f->s, TILE_KEYS, v, j->v.ld, f->out,
			                 j->v.n);
	}
	write_out(j, t, f);
	return r;
}

static void forward_piece(void *arg, int64_t first, int64_t last)
{
	struct attention_job *j = arg;
	const int64_t         rows = j->queries * j->group;
	double               *room = workspace_take(
			      (size_t)rows *
			      (sizeof(double) + sizeof(float) * (size_t)(1 + j->q.n + j->v.n + TILE_KEYS)));
	struct forward f = { .sum = room };

	if (!room) {
		attention_failed(j, RT_E_NOMEM);
		return;
	}
	f.s = (float *)(room + rows);
	f.q = f.s + rows * TILE_KEYS;
	f.out = f.q + rows * j->q.n;
	f.top = f.out + rows * j->v.n;
	for (int64_t i = first; i < last; i++) {
		const struct attention_tile t = attention_piece(j, false, i);
		const int                   r = forward_tile(j, &t, &f);

		if (r != 0)
			attention_failed(j, r);
	}
	workspace_give(room);
}

int nn_attention(const struct nn_attention *o, struct nn_heads q, struct nn_heads k,
                 struct nn_heads v, struct nn_heads out, float *ret_lse, struct rt_error *err)
{
	struct attention_job j = { .o = o, .q = q, .k = k, .v = v, .out = out, .lse = ret_lse };
	int64_t              covered = 0, size = 0, pieces;
	int                  r = attention_check(&j, err);

	if (r != 0)
		return r;
	for (int64_t i = 0; i < o->n_spans; i++) {
		covered += o->spans[i].count;
		size += o->spans[i].count * o->spans[i].context * q.heads * (q.n + v.n);
	}
	if (covered != q.rows)
		attention_zero(out);
	pieces = attention_pieces(&j, false);
	rt_parallel(pieces, size > ALONE ? 1 : pieces, forward_piece, &j);
	return j.code ? rt_fail(err, j.code, "attention: %s", rt_code_text(j.code)) : 0;
}
