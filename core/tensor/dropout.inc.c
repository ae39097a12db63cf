/* dropout.inc.c - elements left out by chance; included by kernels.inc.c.
 *
 * Philox4x32-10 (retort/random.h) for sixteen counters side by side.  A block of its 128 bits draws
 * for eight elements, sixteen apart, so that lanes of a vector are neighbours in memory. */

struct philox {
	uint32_t c[4][DROPOUT_BLOCKS];
};

static inline void philox_round(struct philox *p, uint32_t k0, uint32_t k1)
{
	for (int l = 0; l < DROPOUT_BLOCKS; l++) {
		const uint64_t a = (uint64_t)0xd2511f53u * p->c[0][l];
		const uint64_t b = (uint64_t)0xcd9e8d57u * p->c[2][l];

		p->c[0][l] = (uint32_t)(b >> 32) ^ p->c[1][l] ^ k0;
		p->c[1][l] = (uint32_t)b;
		p->c[2][l] = (uint32_t)(a >> 32) ^ p->c[3][l] ^ k1;
		p->c[3][l] = (uint32_t)a;
	}
}

static void dropout(const struct draws *d, uint32_t block, float *x, int64_t n)
{
	for (int64_t i = 0; i < n; i += DROPOUT_CHUNK, block += DROPOUT_BLOCKS) {
		const int64_t count = n - i < DROPOUT_CHUNK ? n - i : DROPOUT_CHUNK;
		float         keep[DROPOUT_CHUNK];
		struct philox p;

		for (int l = 0; l < DROPOUT_BLOCKS; l++) {
			p.c[0][l] = block + (uint32_t)l;
			for (int w = 1; w < 4; w++)
				p.c[w][l] = d->counter[w - 1];
		}
		for (uint32_t r = 0; r < 10; r++)
			philox_round(&p, d->key[0] + r * 0x9e3779b9u, d->key[1] + r * 0xbb67ae85u);
		for (int h = 0; h < 2; h++)
			for (int w = 0; w < 4; w++)
				for (int l = 0; l < DROPOUT_BLOCKS; l++)
					keep[(4 * h + w) * DROPOUT_BLOCKS + l] =
						(p.c[w][l] >> 16 * h & 0xffff) < d->limit
							? 0.0f
							: d->scale;
		for (int64_t k = 0; k < count; k++)
			x[i + k] *= keep[k];
	}
}
