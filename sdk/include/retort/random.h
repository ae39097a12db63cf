/* retort/random.h - random numbers that are a function of where they are used.
 *
 * Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"):
 * counter in, numbers out, no state.  The same (seed, stream, index) gives the same
 * number on every machine, in every thread, in any order. */
#ifndef RETORT_RANDOM_H
#define RETORT_RANDOM_H

#include <stdint.h>

/* The block function itself: 128 bits of counter, 64 of key, 128 out. [any] */
void rt_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* 64 random bits.  key: seed; counter: index (low) and stream (high). [any] */
uint64_t rt_random_bits(uint64_t seed, uint64_t stream, uint64_t index);

double rt_random_uniform(uint64_t seed, uint64_t stream, uint64_t index); /* in [0, 1), 53 bits */
double rt_random_normal(uint64_t seed, uint64_t stream,
                        uint64_t index); /* Box-Muller, one of the pair */

/* In [0, n), n > 0, without bias worth speaking of (128-bit multiply: < 2^-64 n). [any] */
uint64_t rt_random_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n);

/* A random order of 0..n-1 in out (Fisher-Yates, Durstenfeld 1964). [any] */
void rt_random_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t *out);

#endif
