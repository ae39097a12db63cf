/* panel-pack.inc.c - unpacked weights into a group of a panel; included by kernels.inc.c, so that
 * the loops over its 64 bytes are vectors.  See panel.h for what goes where. */

/* u of a group, [quad of k][row][k]. */
static inline void pack_quads(const struct affine *w, int64_t group, int zero, uint8_t u[8][64])
{
	for (int j = 0; j < PANEL_ROWS; j++)
		for (int s = 0; s < 8; s++)
			memcpy(u[s] + 4 * j, w[j].q + INT_GROUP * group + 4 * s, 4);
	for (int s = 0; s < 8; s++)
		for (int i = 0; i < 64; i++)
			u[s][i] = (uint8_t)(u[s][i] + zero);
}

static inline void pack_numbers(int bits, uint8_t u[8][64], uint8_t *dst)
{
	uint8_t *plane = dst + 256;

	if (bits == 8) {
		memcpy(dst, u, 512);
		return;
	}
	for (int t = 0; t < 4; t++)
		for (int i = 0; i < 64; i++)
			dst[64 * t + i] = (uint8_t)((u[t][i] & 15) | u[t + 4][i] << 4);
	if (bits > 4)
		memset(plane, 0, bits == 5 ? 64 : 128);
	for (int s = 0; bits == 5 && s < 8; s++)
		for (int i = 0; i < 64; i++)
			plane[i] = (uint8_t)(plane[i] | (u[s][i] >> 4) << s);
	for (int s = 0; bits == 6 && s < 8; s++)
		for (int i = 0; i < 64; i++)
			plane[64 * (s / 4) + i] =
				(uint8_t)(plane[64 * (s / 4) + i] | (u[s][i] >> 4) << 2 * (s % 4));
}

/* Sixteen numbers as f16; true when each is kept to half of 2^-10 of it. */
static inline bool pack_halves(const float *x, uint16_t *dst)
{
	int bad = 0;

	for (int j = 0; j < PANEL_ROWS; j++) {
		dst[j] = f32_to_f16(x[j]);
		bad |= !(fabsf(f16_to_f32(dst[j]) - x[j]) <= fabsf(x[j]) * (1.0f / 2048.0f));
	}
	return !bad;
}

static bool panel_pack(const struct panel_layout *l, int zero, const struct affine *w,
                       int64_t groups, uint8_t *dst)
{
	const int halves = l->half ? 2 : 1;
	bool      fit = true;

	for (int64_t g = 0; g < groups; g++, dst += panel_group(l)) {
		uint8_t   u[8][64];
		uint16_t *scale = (uint16_t *)dst;
		float     x[PANEL_ROWS];

		for (int h = 0; h < halves; h++, scale += PANEL_ROWS) {
			for (int j = 0; j < PANEL_ROWS; j++)
				x[j] = w[j].scale[2 * g + h];
			fit &= pack_halves(x, scale);
		}
		for (int h = 0; l->min && h < halves; h++, scale += PANEL_ROWS) {
			for (int j = 0; j < PANEL_ROWS; j++)
				x[j] = w[j].min[2 * g + h];
			fit &= pack_halves(x, scale);
		}
		pack_quads(w, g, zero, u);
		pack_numbers(l->bits, u, (uint8_t *)scale);
	}
	return fit;
}

/* A group of a row to integers of at most 2^13: the scale is a power of two, so that a bf16 number
 * down to 1/32 of the largest, and one of f16 down to 1/4, is kept as it is.  Returns the scale as
 * bf16, 0 for what is not finite. */
static inline uint16_t pack_wide_group(const float *x, int16_t *q)
{
	uint32_t exponent = largest_bits(x) >> 23;

	if (exponent == 255)
		return 0;
	exponent = exponent < 13 ? 13 : exponent; /* the scale and its inverse are normal numbers */
	for (int i = 0; i < INT_GROUP; i++)
		q[i] = (int16_t)((x[i] * half_from_bits((266 - exponent) << 23) + MAGIC) - MAGIC);
	return (uint16_t)((exponent - 12) << 7);
}

static bool panel_pack_wide(const float *w, int64_t groups, uint8_t *dst)
{
	int bad = 0;

	for (int64_t g = 0; g < groups; g++, w += INT_GROUP) {
		uint16_t *scale = (uint16_t *)dst;
		int16_t   q[PANEL_ROWS][INT_GROUP];

		for (int j = 0; j < PANEL_ROWS; j++) {
			scale[j] = pack_wide_group(w + j * AFFINE, q[j]);
			bad |= !scale[j];
		}
		dst += PANEL_ROWS * sizeof *scale;
		for (int s = 0; s < INT_GROUP / 2; s++, dst += 4 * PANEL_ROWS)
			for (int j = 0; j < PANEL_ROWS; j++)
				memcpy(dst + 4 * j, &q[j][2 * s], 4);
	}
	return !bad;
}
