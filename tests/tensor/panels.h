/* panels.h - weights of every type, and what panels of the kernels in use hold of them. */
#ifndef TESTS_PANELS_H
#define TESTS_PANELS_H

#include <retort/tensor.h>

#include "numeric.h"
#include "runner.h"
#include "tensor/panel.h"

#include <math.h>
#include <string.h>

enum { N = 37, MOST_K = 1312, MOST_M = 27 };

static inline const struct isa *next_usable(const struct isa *i)
{
	while (i->kernels && !i->usable())
		i++;
	if (i->kernels)
		kernels_set(i->kernels);
	return i;
}

#define EACH_ISA(i)                                                                                \
	for (const struct isa *i = next_usable(isa_all); i->kernels; i = next_usable(i + 1))

/* In memory of its own. */
static inline struct panels pack(const struct rt_tensor *w)
{
	struct panels p = panels_plan(w);
	uint8_t      *memory = rt_alloc_unset((size_t)panels_bytes(&p), 1);

	ck_assert_ptr_nonnull(memory);
	if (p.layout)
		panels_fill(&p, w, memory);
	if (!p.data)
		rt_free(memory);
	return p;
}

/* Weights of a type, and what they are worth. */
struct stored {
	struct rt_tensor t;
	float           *plain;
	int64_t          k;
};

static inline bool is_wide(int dtype)
{
	return dtype == RT_F16 || dtype == RT_BF16;
}

/* Do the kernels in use multiply it by pairs of bf16? */
static inline bool in_pairs(int dtype)
{
	return dtype == RT_BF16 && kernels()->panel[PANEL_tight];
}

/* Do the kernels in use have panels for it? */
static inline bool multiplied(int dtype)
{
	return !is_wide(dtype) || kernels()->panel[PANEL_b16];
}

/* Weights of 16 bits as panels hold them: in a group whose largest begins with 2^e, whole multiples
 * of 2^(e - 12), so that at most half of that is lost, 2^-13 of the largest; of bf16, which has 8
 * digits, nothing down to 2^(e - 5). */
static inline void round_weights(int dtype, float *w, int64_t n)
{
	for (int64_t g = 0; g < n; g += 32) {
		float top = 0.0f;

		for (int64_t i = g; i < g + 32; i++)
			top = fmaxf(top, fabsf(w[i]));
		if (top == 0.0f)
			continue;
		const int unit = (int)fmax(ilogb(top), -114) - 12;

		for (int64_t i = g; i < g + 32; i++) {
			const float was = w[i];

			w[i] = (float)ldexp(nearbyint(ldexp(was, -unit)), unit);
			ck_assert(fabs((double)was - w[i]) <= ldexp(1.0, unit - 1));
			if (dtype == RT_BF16 && fabs((double)was) >= ldexp(1.0, unit + 7))
				ck_assert(w[i] == was);
		}
	}
}

/* In twelve bits: as it is down to 2^(e - 14), below that to the nearer of 2^(e - 14) and 0. */
static inline void tighten_weights(float *w, int64_t n)
{
	for (int64_t g = 0; g < n; g += 32) {
		float top = 0x1p-112f;

		for (int64_t i = g; i < g + 32; i++)
			top = fmaxf(top, fabsf(w[i]));
		const float least = ldexpf(1.0f, ilogbf(top) - 14);

		for (int64_t i = g; i < g + 32; i++)
			if (fabsf(w[i]) < least)
				w[i] = fabsf(w[i]) < least / 2 || fabsf(w[i]) < 0x1p-126f
				               ? 0.0f
				               : copysignf(least, w[i]);
	}
}

static inline bool store(int dtype, const float *w, struct stored *ret)
{
	const struct rt_dtype_info *info = rt_dtype_info(dtype);
	void                       *blocks = random_floats(N * MOST_K, 1);

	if (!info || (info->block == 1 && !is_wide(dtype)))
		return false;
	ret->k = info->block == 256 ? 1280 : MOST_K; /* stretches cut short, too */
	ret->plain = random_floats(N * ret->k, 1);
	ck_assert_int_eq(rt_quantize(dtype, w, N, ret->k, NULL, blocks, NULL), 0);
	ck_assert_int_eq(rt_dequantize(dtype, blocks, N * ret->k, ret->plain, NULL), 0);
	ret->t = rt_tensor(blocks, (enum rt_dtype)dtype, 2, (int64_t[]){ N, ret->k });
	return true;
}

/* What panels of the kernels in use hold. */
static inline void hold(int dtype, struct stored *s)
{
	ck_assert_int_eq(rt_dequantize(dtype, s->t.data, N * s->k, s->plain, NULL), 0);
	if (in_pairs(dtype))
		tighten_weights(s->plain, N * s->k);
	else if (is_wide(dtype))
		round_weights(dtype, s->plain, N * s->k);
}

#endif
