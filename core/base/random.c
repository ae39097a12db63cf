/* random.c - see retort/random.h */
#include <retort/random.h>

#include <math.h>

__extension__ typedef unsigned __int128 wide;

static void mix(uint32_t c[4], uint32_t k0, uint32_t k1)
{
	const uint64_t a = (uint64_t)0xd2511f53u * c[0], b = (uint64_t)0xcd9e8d57u * c[2];

	c[0] = (uint32_t)(b >> 32) ^ c[1] ^ k0;
	c[1] = (uint32_t)b;
	c[2] = (uint32_t)(a >> 32) ^ c[3] ^ k1;
	c[3] = (uint32_t)a;
}

void rt_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
	uint32_t c[4] = { counter[0], counter[1], counter[2], counter[3] };
	uint32_t k0 = key[0], k1 = key[1];

	for (int i = 0; i < 10; i++) {
		mix(c, k0, k1);
		k0 += 0x9e3779b9u; /* the golden ratio */
		k1 += 0xbb67ae85u; /* the square root of 3, less 1 */
	}
	for (int i = 0; i < 4; i++)
		out[i] = c[i];
}

/* Two times 64 bits for one place. */
static void bits(uint64_t seed, uint64_t stream, uint64_t index, uint64_t ret[2])
{
	const uint32_t counter[4] = { (uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream,
		                      (uint32_t)(stream >> 32) };
	const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
	uint32_t       out[4];

	rt_philox(counter, key, out);
	ret[0] = (uint64_t)out[1] << 32 | out[0];
	ret[1] = (uint64_t)out[3] << 32 | out[2];
}

static double uniform(uint64_t x)
{
	return (double)(x >> 11) * 0x1p-53;
}

uint64_t rt_random_bits(uint64_t seed, uint64_t stream, uint64_t index)
{
	uint64_t x[2];

	bits(seed, stream, index, x);
	return x[0];
}

double rt_random_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
	return uniform(rt_random_bits(seed, stream, index));
}

double rt_random_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
	const double tau = 6.283185307179586;
	uint64_t     x[2];

	bits(seed, stream, index, x);
	return sqrt(-2 * log1p(-uniform(x[0]))) * cos(tau * uniform(x[1]));
}

uint64_t rt_random_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n)
{
	return (uint64_t)((wide)rt_random_bits(seed, stream, index) * n >> 64);
}

void rt_random_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t *out)
{
	for (int64_t i = 0; i < n; i++)
		out[i] = i;
	for (int64_t i = n - 1; i > 0; i--) {
		const int64_t j =
			(int64_t)rt_random_below(seed, stream, (uint64_t)i, (uint64_t)i + 1);
		const int64_t x = out[i];

		out[i] = out[j];
		out[j] = x;
	}
}
