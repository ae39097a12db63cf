/* rows.inc.c - exponentials and long sums over rows; included by kernels.inc.c.
 *
 * No product here is fused and all sums run in TREE lanes, so every instruction set returns
 * the same bits. */

/* e^x for x <= 88: x = n ln 2 + r with |r| <= ln 2 / 2, a polynomial of degree 6 in r (Taylor;
 * its rest is below 2^-25 there), times 2^n.  Relative error below 2^-22.5; 0 below -87; NaN
 * stays NaN. */
static inline float exp_of(float x)
{
	const float y = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
	const float shifted = y * 1.44269504f + MAGIC, n = shifted - MAGIC;
	const float r = (y - n * 0.693359375f) - n * -2.12194440e-4f;
	float       p = 1.0f / 720.0f;
	float       power;

	p = p * r + 1.0f / 120.0f;
	p = p * r + 1.0f / 24.0f;
	p = p * r + 1.0f / 6.0f;
	p = p * r + 0.5f;
	p = p * r + 1.0f;
	p = p * r + 1.0f;
	power = half_from_bits((half_to_bits(shifted) << 23) + 0x3f800000u);
	return x < -87.0f ? 0.0f : p * power;
}

static float max_of(const float *x, int64_t n)
{
	float   m[TREE];
	int64_t i = 0;
	int     bad = 0;

	for (int k = 0; k < TREE; k++)
		m[k] = -INFINITY;
	for (; i + TREE <= n; i += TREE)
		for (int k = 0; k < TREE; k++) {
			bad |= x[i + k] != x[i + k];
			m[k] = x[i + k] > m[k] ? x[i + k] : m[k];
		}
	for (; i < n; i++) {
		bad |= x[i] != x[i];
		m[0] = x[i] > m[0] ? x[i] : m[0];
	}
	for (int k = 1; k < TREE; k++)
		m[0] = m[k] > m[0] ? m[k] : m[0];
	return bad ? NAN : m[0];
}

/* Float within a stretch of 256, double across them. */
static double sum_exp(const float *x, int64_t n, float shift, float *dst)
{
	double sum = 0.0;

	for (int64_t first = 0; first < n; first += 16 * TREE) {
		const int64_t last = n - first < 16 * TREE ? n : first + 16 * TREE;
		float         s[TREE] = { 0 };
		int64_t       i = first;

		for (; i + TREE <= last; i += TREE) {
			float e[TREE];

			for (int k = 0; k < TREE; k++) {
				e[k] = exp_of(x[i + k] - shift);
				s[k] += e[k];
			}
			if (dst)
				memcpy(dst + i, e, sizeof e);
		}
		for (; i < last; i++) {
			const float e = exp_of(x[i] - shift);

			s[0] += e;
			if (dst)
				dst[i] = e;
		}
		for (int w = TREE / 2; w > 0; w /= 2)
			for (int k = 0; k < w; k++)
				s[k] += s[k + w];
		sum += s[0];
	}
	return sum;
}

static double sum_products(const float *x, const float *y, int64_t n)
{
	double  s[TREE] = { 0 };
	int64_t i = 0;

	for (; i + TREE <= n; i += TREE)
		for (int k = 0; k < TREE; k++)
			s[k] += (double)x[i + k] * y[i + k];
	for (; i < n; i++)
		s[0] += (double)x[i] * y[i];
	for (int w = TREE / 2; w > 0; w /= 2)
		for (int k = 0; k < w; k++)
			s[k] += s[k + w];
	return s[0];
}

static double sum_squares(const float *x, int64_t n)
{
	return sum_products(x, x, n);
}

static void swiglu(const float *gate, const float *up, float *y, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		y[i] = gate[i] / (1.0f + exp_of(-gate[i])) * up[i];
}

/* silu(g) = g s with s = sigmoid(g); its derivative is s (1 + g (1 - s)). */
static void swiglu_backward(const float *gate, const float *up, const float *dy, float *dgate,
                            float *dup, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		const float g = gate[i], u = up[i], d = dy[i];
		const float s = 1.0f / (1.0f + exp_of(-g));

		dup[i] = d * (g * s);
		dgate[i] = d * u * (s * (1.0f + g * (1.0f - s)));
	}
}
