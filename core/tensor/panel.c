/* panel.c - weights into panels.  See panel.h */
#include "tensor/panel.h"

#include <retort/memory.h>
#include <retort/parallel.h>

#include "tensor/half.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

/* X(type, layout, zero) */
#define TYPES(X)                                                                                   \
	X(RT_Q4_0, b4, 8)                                                                          \
	X(RT_Q4_1, b4_min, 0)                                                                      \
	X(RT_Q5_0, b5, 16)                                                                         \
	X(RT_Q5_1, b5_min, 0)                                                                      \
	X(RT_Q8_0, b8, 128)                                                                        \
	X(RT_Q2_K, b4_min_half, 0)                                                                 \
	X(RT_Q3_K, b4_half, 4)                                                                     \
	X(RT_Q4_K, b4_min, 0)                                                                      \
	X(RT_Q5_K, b5_min, 0)                                                                      \
	X(RT_Q6_K, b6_half, 32)                                                                    \
	X(RT_IQ4_NL, b8, 128)                                                                      \
	X(RT_IQ4_XS, b8, 128)

#define LAYOUT(name, bits, min, half)                                                              \
	static const struct panel_layout layout_##name = { PANEL_##name, bits, min, half };
PANEL_LAYOUTS_ALL(LAYOUT)

#define TYPE(type, name, zero) [type] = { &layout_##name, zero },
static const struct {
	const struct panel_layout *layout;
	int                        zero;
} types[RT_DTYPES] = { TYPES(TYPE) };

/* u of a group [quad of k][row][k] into its place. */
static void put_bits(const struct panel_layout *l, uint8_t u[8][64], uint8_t *dst)
{
	if (l->bits == 8) {
		memcpy(dst, u, 512);
		return;
	}
	for (int t = 0; t < 4; t++)
		for (int i = 0; i < 64; i++)
			dst[64 * t + i] = (uint8_t)((u[t][i] & 15) | u[t + 4][i] << 4);
	dst += 256;
	if (l->bits == 5) {
		memset(dst, 0, 64);
		for (int s = 0; s < 8; s++)
			for (int i = 0; i < 64; i++)
				dst[i] = (uint8_t)(dst[i] | (u[s][i] >> 4) << s);
	} else if (l->bits == 6) {
		memset(dst, 0, 128);
		for (int s = 0; s < 8; s++)
			for (int i = 0; i < 64; i++)
				dst[64 * (s / 4) + i] = (uint8_t)(dst[64 * (s / 4) + i] |
				                                  (u[s][i] >> 4) << 2 * (s % 4));
	}
}

/* Is x kept well enough by an f16? */
static bool put_half(float x, uint16_t *dst)
{
	*dst = f32_to_f16(x);
	return fabsf(f16_to_f32(*dst) - x) <= ldexpf(fabsf(x), -11);
}

static bool put_scales(const struct panel_layout *l, const struct affine *w, int64_t g,
                       uint16_t *dst)
{
	const int halves = l->half ? 2 : 1;
	bool      fit = true;

	for (int h = 0; h < halves; h++)
		for (int j = 0; j < PANEL_ROWS; j++) {
			fit &= put_half(w[j].scale[2 * g + h], &dst[h * PANEL_ROWS + j]);
			if (l->min)
				fit &= put_half(w[j].min[2 * g + h],
				                &dst[(halves + h) * PANEL_ROWS + j]);
		}
	return fit;
}

struct packing {
	const struct kernels   *kernels;
	const struct rt_tensor *w;
	const struct panels    *to;
	int64_t                 bytes; /* of AFFINE elements as they are stored */
	atomic_bool             unfit;
};

/* Groups of an unpacked stretch that begins with group `first`. */
static void put_stretch(struct packing *k, uint8_t *panel, int64_t first, int64_t n,
                        struct affine *w)
{
	const struct panel_layout *l = k->to->layout;

	for (int j = 0; j < PANEL_ROWS; j++)
		for (int i = 0; i < AFFINE; i++)
			w[j].q[i] = (int8_t)(uint8_t)(w[j].q[i] + k->to->zero);
	for (int64_t g = 0; g < n; g++) {
		uint8_t *to = panel + (first + g) * panel_group(l);
		uint8_t  u[8][64];

		for (int s = 0; s < 8; s++)
			for (int j = 0; j < PANEL_ROWS; j++)
				memcpy(u[s] + 4 * j, w[j].q + INT8_GROUP * g + 4 * s, 4);
		put_bits(l, u, to + panel_scales(l) * (int64_t)sizeof(uint16_t));
		if (!put_scales(l, w, g, (uint16_t *)to))
			atomic_store(&k->unfit, true);
	}
}

static void pack_piece(void *arg, int64_t first, int64_t last)
{
	struct packing *k = arg;
	const int64_t   columns = k->to->k;

	for (int64_t p = first; p < last; p++)
		for (int64_t c = 0; c < columns; c += AFFINE) {
			const int64_t n = columns - c < AFFINE ? columns - c : AFFINE;
			struct affine w[PANEL_ROWS] = { 0 };

			for (int j = 0; j < PANEL_ROWS && p * PANEL_ROWS + j < k->to->rows; j++)
				k->kernels->unpack[k->w->dtype](
					(const char *)rt_at(k->w, (p * PANEL_ROWS + j) *
				                                          k->w->stride[0]) +
						c / AFFINE * k->bytes,
					n, &w[j]);
			put_stretch(k, k->to->data + p * k->to->stride, c / INT8_GROUP,
			            n / INT8_GROUP, w);
		}
}

int panels_pack(struct panels *ret, const struct rt_tensor *w, struct rt_error *err)
{
	const struct rt_dtype_info *info = rt_dtype_info(w->dtype);
	struct packing              k = { kernels(), w, ret, 0, false };
	int64_t                     panels;

	*ret = (struct panels){ 0 };
	if (!info || w->ndim != 2 || w->stride[1] != 1 || w->dim[1] % INT8_GROUP ||
	    !types[w->dtype].layout)
		return 0;
	ret->layout = types[w->dtype].layout;
	ret->zero = types[w->dtype].zero;
	ret->rows = w->dim[0];
	ret->k = w->dim[1];
	ret->stride = ret->k / INT8_GROUP * panel_group(ret->layout);
	panels = (ret->rows + PANEL_ROWS - 1) / PANEL_ROWS;
	ret->data = rt_alloc_aligned((size_t)panels, (size_t)ret->stride);
	if (!ret->data)
		return rt_fail_nomem(err, "weights in panels");
	k.bytes = AFFINE / info->block * info->bytes;
	rt_parallel(panels, 1, pack_piece, &k);
	if (atomic_load(&k.unfit))
		panels_free(ret);
	return 0;
}

void panels_free(struct panels *p)
{
	rt_free(p->data);
	*p = (struct panels){ 0 };
}
