/* test-pack.c - weights in panels: a matrix that has none between others that do. */
#include "runner.h"
#include "tensor/numeric.h"

#include <retort/memory.h>
#include <retort/tensor.h>

#include "model/layer.h"

#include <string.h>

enum { ROWS = 3, HIDDEN = 64, HEADS = 4, HEAD = 16, PARTS = 3 };

static const int part[PARTS] = { L_Q, L_K, L_V };

/* One layer's queries, keys and values, quantized; `odd` has a scale that is infinite. */
static void make(struct model *m, int odd)
{
	const uint16_t infinite = 0x7c00;

	*m = (struct model){ 0 };
	m->config = (struct model_config){ .vocabulary = 16,
		                           .hidden = HIDDEN,
		                           .layers = 1,
		                           .heads = HEADS,
		                           .kv_heads = HEADS,
		                           .head_dim = HEAD,
		                           .feed_forward = 16 };
	ck_assert_int_eq(weights_init(&m->weights, 1, NULL), 0);
	for (int i = 0; i < PARTS; i++) {
		struct rt_tensor *t = weights_at(&m->weights, 0, part[i]);
		const float      *w = random_floats(HIDDEN * HIDDEN, (uint32_t)i);
		void             *blocks = random_floats(HIDDEN * HIDDEN, 9);

		ck_assert_int_eq(rt_quantize(RT_Q8_0, w, HIDDEN, HIDDEN, NULL, blocks, NULL), 0);
		*t = rt_tensor(blocks, RT_Q8_0, 2, (int64_t[]){ HIDDEN, HIDDEN });
		if (i == odd)
			memcpy(blocks, &infinite, sizeof infinite);
	}
}

/* Each by itself. */
static void multiply(const struct model *m, const struct panels *p, const float *x, float *y)
{
	const struct model_run run = { .panels = p };
	struct linear          l[PARTS];

	for (int i = 0; i < PARTS; i++)
		l[i] = (struct linear){ W_LAYERS + part[i], -1,
			                layer_rows(y + i * ROWS * HIDDEN, ROWS, HIDDEN), false };
	ck_assert_int_eq(
		layer_linears(m, &run, layer_rows((float *)x, ROWS, HIDDEN), l, PARTS, NULL), 0);
}

/* Activations are rounded to 8 bits where there are panels: half a step of 1/127 for each of 64
 * products of numbers up to 1, added up as chance has it. */
START_TEST(a_matrix_without_panels_leaves_the_others_theirs)
	{
		enum { ALL = PARTS * ROWS * HIDDEN };
		const float   *x = random_floats(ROWS * HIDDEN, 3);
		float          got[ALL], want[ALL];
		struct model   m;
		struct panels *p;

		make(&m, _i);
		p = model_pack(&m, NULL);
		ck_assert_ptr_nonnull(p);
		for (int i = 0; i < PARTS; i++)
			ck_assert_int_eq(p[W_LAYERS + part[i]].data == NULL, i == _i);
		multiply(&m, NULL, x, want);
		multiply(&m, p, x, got);
		for (int i = 0; i < ALL; i++)
			if (i / (ROWS * HIDDEN) != _i)
				ck_assert_msg(fabsf(got[i] - want[i]) < .1f, "%d: %g, want %g", i,
				              (double)got[i], (double)want[i]);
			else
				ck_assert(!memcmp(&got[i], &want[i], sizeof *got) ||
				          (isnan(got[i]) && isnan(want[i])));
		rt_free(p);
		weights_fini(&m.weights);
	}
END_TEST

RUNNER("pack", 60,
       { tcase_add_loop_test(tc, a_matrix_without_panels_leaves_the_others_theirs, 0, PARTS + 1); })
