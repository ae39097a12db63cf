/* dropout.c - elements left out by chance.  See nn.h */
#include <retort/parallel.h>

#include "tensor/kernels.h"
#include "tensor/nn.h"

#include <math.h>

enum { GRAIN = 1 << 14 };

struct job {
	struct draws    draws;
	struct nn_heads x;
};

static void drop_rows(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;
	const int64_t     n = j->x.heads * j->x.n;
	const int64_t     blocks = (n + DROPOUT_CHUNK - 1) / DROPOUT_CHUNK * DROPOUT_BLOCKS;

	for (int64_t r = first; r < last; r++)
		kernels()->dropout(&j->draws, (uint32_t)(r * blocks), j->x.data + r * j->x.ld, n);
}

void nn_dropout(const struct nn_dropout *o, uint64_t site, struct nn_heads x)
{
	const int64_t  n = x.heads * x.n;
	const uint32_t limit = (uint32_t)lrint(o->rate * 65536);
	struct job     j = { .x = x };

	j.draws = (struct draws){ .key = { (uint32_t)o->seed, (uint32_t)(o->seed >> 32) },
		                  .counter = { (uint32_t)site, (uint32_t)o->stream,
		                               (uint32_t)(o->stream >> 32) },
		                  .limit = limit,
		                  /* of the limit, not of the rate: the mean stays, exactly */
		                  .scale = (float)(65536.0 / (65536.0 - limit)) };
	if (limit > 0 && n > 0)
		rt_parallel(x.rows, 1 + GRAIN / n, drop_rows, &j);
}
