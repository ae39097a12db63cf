/* panel.inc.c - panels times rows of integers in portable C; included by the tables that have
 * nothing better.  See panel.h for what stands where. */
#define PANEL_OF(name) panel_##name
#define PANELS_HERE(X) PANEL_LAYOUTS_NARROW(X)

enum { PANEL_ALONE = 30000 };

/* u of one quad of a group: four numbers of each row. */
static inline void panel_quad(const uint8_t *w, int bits, int s, uint8_t *u)
{
	const uint8_t *plane = w + 256;

	if (bits == 8) {
		memcpy(u, w + 64 * s, 64);
		return;
	}
	for (int i = 0; i < 64; i++)
		u[i] = (uint8_t)(s < 4 ? w[64 * s + i] & 15 : w[64 * (s - 4) + i] >> 4);
	for (int i = 0; bits == 5 && i < 64; i++)
		u[i] = (uint8_t)(u[i] | (plane[i] >> s & 1) << 4);
	for (int i = 0; bits == 6 && i < 64; i++)
		u[i] = (uint8_t)(u[i] | (plane[64 * (s / 4) + i] >> 2 * (s % 4) & 3) << 4);
}

static int panel_block(int64_t rows)
{
	return rows < PANEL_MOST ? (int)rows : PANEL_MOST;
}

/* The sums of one of `rows` rows. */
static inline void panel_row(const uint8_t (*u)[64], const int8_t *q, int rows, int quads,
                             int32_t less, int32_t *sum)
{
	for (int j = 0; j < PANEL_ROWS; j++)
		sum[j] = less;
	for (int s = 0; s < quads; s++, q += 4 * rows)
		for (int j = 0; j < PANEL_ROWS; j++)
			for (int c = 0; c < 4; c++)
				sum[j] += u[s][4 * j + c] * q[c];
}

static inline void panel_any(int bits, bool min, bool half, const uint8_t *w, int64_t groups,
                             const struct input_rows *a, int rows, float *ret)
{
	const int halves = half ? 2 : 1, quads = 8 / halves, scales = PANEL_ROWS * (halves << min);
	const int8_t *q = (const int8_t *)a->q;

	memset(ret, 0, (size_t)(rows * PANEL_ROWS) * sizeof *ret);
	for (int64_t g = 0; g < groups; g++, w += 64 * bits + 2 * scales) {
		const uint16_t *scale = (const uint16_t *)w;
		uint8_t         u[8][64];

		for (int s = 0; s < 8; s++)
			panel_quad(w + 2 * scales, bits, s, u[s]);
		for (int h = 0; h < halves; h++, scale += PANEL_ROWS, q += 4 * quads * rows)
			for (int r = 0; r < rows; r++) {
				const int64_t at = (halves * g + h) * rows + r;
				const float   d = a->scale[g * rows + r];
				int32_t       sum[PANEL_ROWS];
				float        *to = ret + r * PANEL_ROWS;

				panel_row((const uint8_t(*)[64])(u + h * quads), q + 4 * r, rows,
				          quads, a->less[at], sum);
				for (int j = 0; j < PANEL_ROWS; j++)
					to[j] += (float)sum[j] * (f16_to_f32(scale[j]) * d);
				for (int j = 0; min && j < PANEL_ROWS; j++)
					to[j] -= f16_to_f32(scale[halves * PANEL_ROWS + j]) *
					         a->sum[at];
			}
	}
}

#define PANEL_FN(name, bits, min, half)                                                            \
	static void panel_##name(const uint8_t *w, int64_t groups, const struct input_rows *a,     \
	                         int rows, float *ret)                                             \
	{                                                                                          \
		panel_any(bits, min, half, w, groups, a, rows, ret);                               \
	}

PANELS_HERE(PANEL_FN)
