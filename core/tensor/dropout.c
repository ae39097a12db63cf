/* dropout.c - elements left out by chance.  See nn.h */
#include <retort/parallel.h>
#include <retort/random.h>

#include "tensor/nn.h"

#include <math.h>

enum {
	DRAWS = 8, /* elements that one block of random bits decides on: 16 bits each */
	GRAIN = 1 << 13
};

struct job {
	const struct nn_dropout *o;
	uint64_t                 site;
	uint32_t                 limit; /* draws below it are left out */
	float                    scale;
	struct nn_heads          x;
};

static void drop(const struct job *j, int64_t block, float *x, int64_t n)
{
	const uint32_t counter[4] = { (uint32_t)block, (uint32_t)j->site, (uint32_t)j->o->stream,
		                      (uint32_t)(j->o->stream >> 32) };
	const uint32_t key[2] = { (uint32_t)j->o->seed, (uint32_t)(j->o->seed >> 32) };
	uint32_t       bits[4];

	rt_philox(counter, key, bits);
	for (int64_t i = 0; i < n; i++) {
		const uint32_t draw = bits[i / 2] >> (i % 2 ? 16 : 0) & 0xffff;

		x[i] = draw < j->limit ? 0 : x[i] * j->scale;
	}
}

static void drop_rows(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;
	const int64_t     n = j->x.heads * j->x.n, blocks = (n + DRAWS - 1) / DRAWS;

	for (int64_t r = first; r < last; r++)
		for (int64_t b = 0; b < blocks; b++) {
			const int64_t at = b * DRAWS, left = n - at;

			drop(j, r * blocks + b, j->x.data + r * j->x.ld + at,
			     left < DRAWS ? left : DRAWS);
		}
}

void nn_dropout(const struct nn_dropout *o, uint64_t site, struct nn_heads x)
{
	const int64_t n = x.heads * x.n;
	/* The scale is of the limit, not of the rate: the mean stays to the last bit of a draw. */
	const uint32_t limit = (uint32_t)lrint(o->rate * 65536);
	struct job     j = { o, site, limit, (float)(65536.0 / (65536.0 - limit)), x };

	if (limit > 0 && n > 0)
		rt_parallel(x.rows, 1 + GRAIN / n, drop_rows, &j);
}
