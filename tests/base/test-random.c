/* test-random.c - hashes and random numbers against published vectors. */
#include <retort/hash.h>
#include <retort/memory.h>
#include <retort/random.h>

#include "runner.h"
#include "temp.h"

#include <math.h>
#include <string.h>

/* Random123 1.14, tests/kat_vectors, philox4x32 with 10 rounds. */
static const struct {
	uint32_t counter[4], key[2], want[4];
} vectors[] = {
	{ { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
	{ { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
	  { 0xffffffff, 0xffffffff },
	  { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
	{ { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
	  { 0xa4093822, 0x299f31d0 },
	  { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
};

START_TEST(philox_gives_the_published_numbers)
	{
		uint32_t out[4];

		rt_philox(vectors[_i].counter, vectors[_i].key, out);
		ck_assert_mem_eq(out, vectors[_i].want, sizeof out);
	}
END_TEST

START_TEST(seed_stream_and_index_each_matter)
	{
		const uint64_t x = rt_random_bits(1, 2, 3);

		ck_assert_uint_eq(x, rt_random_bits(1, 2, 3));
		ck_assert_uint_ne(x, rt_random_bits(2, 2, 3));
		ck_assert_uint_ne(x, rt_random_bits(1, 3, 3));
		ck_assert_uint_ne(x, rt_random_bits(1, 2, 4));
		ck_assert_uint_ne(x, rt_random_bits(1 + (1ull << 32), 2, 3));
		ck_assert_uint_ne(x, rt_random_bits(1, 2 + (1ull << 32), 3));
		ck_assert_uint_ne(x, rt_random_bits(1, 2, 3 + (1ull << 32)));
	}
END_TEST

START_TEST(uniform_and_normal_have_their_moments)
	{
		const int n = 200000;
		double    u = 0, z = 0, zz = 0, low = 1, high = 0;

		for (int i = 0; i < n; i++) {
			const double x = rt_random_uniform(7, 0, (uint64_t)i),
				     y = rt_random_normal(7, 1, (uint64_t)i);

			u += x / n;
			z += y / n;
			zz += y * y / n;
			low = x < low ? x : low;
			high = x > high ? x : high;
		}
		ck_assert(low >= 0 && low < 1e-4 && high < 1 && high > 1 - 1e-4);
		ck_assert_double_eq_tol(u, 0.5, 4 * 0.2887 / sqrt(n));
		ck_assert_double_eq_tol(z, 0, 4 / sqrt(n));
		ck_assert_double_eq_tol(zz, 1, 4 * sqrt(2.0 / n));
	}
END_TEST

START_TEST(below_reaches_every_value_and_no_other)
	{
		int seen[7] = { 0 };

		for (uint64_t i = 0; i < 7000; i++) {
			const uint64_t x = rt_random_below(1, 0, i, 7);

			ck_assert_uint_lt(x, 7);
			seen[x]++;
		}
		for (int i = 0; i < 7; i++)
			ck_assert(seen[i] > 850 && seen[i] < 1150);
		ck_assert_uint_eq(rt_random_below(1, 0, 0, 1), 0);
	}
END_TEST

START_TEST(a_permutation_has_everything_once_and_every_order)
	{
		int     orders[3][3] = { { 0 } };
		int64_t p[3];

		for (uint64_t seed = 0; seed < 6000; seed++) {
			rt_random_permutation(seed, 5, 3, p);
			ck_assert_int_eq(p[0] + p[1] + p[2], 3);
			ck_assert(p[0] != p[1] && p[1] != p[2] && p[0] != p[2]);
			orders[p[0]][p[1]]++;
		}
		for (int i = 0; i < 3; i++)
			for (int k = 0; k < 3; k++)
				ck_assert(i == k || (orders[i][k] > 850 && orders[i][k] < 1150));
		rt_random_permutation(1, 1, 0, NULL);
	}
END_TEST

/* FIPS 180-4 examples. */
static const struct {
	const char *text, *want;
} digests[] = {
	{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

START_TEST(sha256_gives_the_published_digests)
	{
		const char *text = digests[_i].text;
		char        hex[RT_HASH_HEX];
		int64_t     size;

		rt_hash_hex(text, strlen(text), hex);
		ck_assert_str_eq(hex, digests[_i].want);
		ck_assert_int_eq(
			rt_hash_file(temp_write("f", text, strlen(text)), hex, &size, NULL), 0);
		ck_assert_str_eq(hex, digests[_i].want);
		ck_assert_int_eq(size, (int64_t)strlen(text));
	}
END_TEST

START_TEST(a_hash_in_pieces_is_the_hash_of_the_whole)
	{
		const size_t   n = 1000000;
		char          *a = rt_alloc(n, 1), hex[RT_HASH_HEX], whole[RT_HASH_HEX];
		struct rt_hash h;

		memset(a, 'a', n);
		rt_hash_init(&h);
		for (size_t i = 0; i < n; i += 1000)
			rt_hash_add(&h, a + i, 1000);
		rt_hash_end_hex(&h, hex);
		rt_hash_file(temp_write("f", a, n), whole, NULL, NULL);
		rt_free(a);
		ck_assert_str_eq(
			hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
		ck_assert_str_eq(whole, hex);
	}
END_TEST

START_TEST(what_cannot_be_hashed_is_named)
	{
		struct rt_error err = RT_ERROR_INIT;
		char            hex[RT_HASH_HEX] = "untouched";

		ck_assert_int_eq(rt_hash_file(temp_path("none"), hex, NULL, &err), RT_E_NOENT);
		ck_assert_str_eq(temp_strip(err.msg),
		                 "cannot open none: No such file or directory");
		ck_assert_int_eq(rt_hash_file("/dev/null", hex, NULL, &err), RT_E_INVAL);
		ck_assert_str_eq(err.msg, "/dev/null is not a regular file");
		ck_assert_str_eq(hex, "untouched");
	}
END_TEST

RUNNER("random", 60, {
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	TABLE_TEST(tc, philox_gives_the_published_numbers, vectors);
	tcase_add_test(tc, seed_stream_and_index_each_matter);
	tcase_add_test(tc, uniform_and_normal_have_their_moments);
	tcase_add_test(tc, below_reaches_every_value_and_no_other);
	tcase_add_test(tc, a_permutation_has_everything_once_and_every_order);
	TABLE_TEST(tc, sha256_gives_the_published_digests, digests);
	tcase_add_test(tc, a_hash_in_pieces_is_the_hash_of_the_whole);
	tcase_add_test(tc, what_cannot_be_hashed_is_named);
})
