/* normal.c - see normal.h; the only user of utf8proc. */
#include "text/normal.h"

#include <retort/memory.h>

#include <string.h>
#include <utf8proc.h>

/* Code points below this one are their own NFC and do not combine. */
enum { NFC_PLAIN = 0x300 };

static bool plain(enum normal_form form, const char *s, size_t n)
{
	const unsigned char limit = form == NORMAL_NFC ? 0xcc : 0x80; /* 0xcc starts U+0300 */

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] >= limit)
			return false;
	return true;
}

static int class_of(utf8proc_int32_t c)
{
	return c < NFC_PLAIN ? 0 : utf8proc_get_property(c)->combining_class;
}

/* Sort one run of combining marks by class, stable: counted, so that a long run is cheap. */
static void order(utf8proc_int32_t *run, size_t n, utf8proc_int32_t *spare)
{
	size_t place[257] = { 0 };

	for (size_t i = 0; i < n; i++)
		place[class_of(run[i]) + 1]++;
	for (int i = 1; i < 257; i++)
		place[i] += place[i - 1];
	for (size_t i = 0; i < n; i++)
		spare[place[class_of(run[i])]++] = run[i];
	memcpy(run, spare, n * sizeof *run);
}

static void order_all(utf8proc_int32_t *v, size_t n, utf8proc_int32_t *spare)
{
	for (size_t i = 0; i < n; i++) {
		size_t end = i;

		while (end < n && class_of(v[end]) != 0)
			end++;
		if (end - i > 1)
			order(v + i, end - i, spare);
		i = end;
	}
}

int normal_form(enum normal_form form, const char *s, size_t n, struct rt_text *out,
                struct rt_error *err)
{
	const bool        compose = form == NORMAL_NFC || form == NORMAL_NFKC;
	const bool        compat = form == NORMAL_NFKC || form == NORMAL_NFKD;
	utf8proc_option_t how = UTF8PROC_STABLE |
	                        (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
	                        (compat ? UTF8PROC_COMPAT : 0);
	utf8proc_int32_t *v = NULL, *spare = NULL;
	utf8proc_ssize_t  len = 0, cap = (utf8proc_ssize_t)n + 64;
	int               bound = 0;

	if (plain(form, s, n)) {
		rt_text_add_n(out, s, n);
		return 0;
	}
	for (size_t i = 0, step; i < n || !v; i += step) {
		const utf8proc_int32_t c = (utf8proc_int32_t)rt_utf8_decode(s + i, n - i, &step);

		if (!v || len + 32 > cap) { /* no character has more than 18 in its decomposition */
			void *more = rt_realloc(v, (size_t)(cap *= 2), sizeof *v);

			if (!more) {
				rt_free(v);
				return rt_fail_nomem(err, "a normal form");
			}
			v = more;
		}
		len += utf8proc_decompose_char(c, v + len, cap - len, how, &bound);
	}
	spare = rt_alloc((size_t)len, sizeof *spare);
	if (spare) {
		order_all(v, (size_t)len, spare);
		if (compose)
			len = utf8proc_normalize_utf32(v, len, how);
		for (utf8proc_ssize_t i = 0; i < len; i++) {
			char b[4];

			rt_text_add_n(out, b, rt_utf8_encode((uint32_t)v[i], b));
		}
	}
	rt_free(v);
	rt_free(spare);
	return spare && !out->failed ? 0 : rt_fail_nomem(err, "a normal form");
}

void normal_lower(const char *s, size_t n, struct rt_text *out)
{
	char b[4];

	for (size_t i = 0, step; i < n; i += step) {
		const uint32_t c = rt_utf8_decode(s + i, n - i, &step);

		if (c == 0x130) /* the one character whose lower case is two */
			rt_text_add(out, "i\xcc\x87");
		else
			rt_text_add_n(
				out, b,
				rt_utf8_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)c), b));
	}
}

void normal_upper(const char *s, size_t n, struct rt_text *out)
{
	char b[4];

	for (size_t i = 0, step; i < n; i += step) {
		const uint32_t c = rt_utf8_decode(s + i, n - i, &step);

		if (c == 0xdf)
			rt_text_add(out, "SS");
		else
			rt_text_add_n(
				out, b,
				rt_utf8_encode((uint32_t)utf8proc_toupper((utf8proc_int32_t)c), b));
	}
}

bool normal_is_space(uint32_t c)
{
	return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
	       c == 0x205f || c == 0x3000;
}

static bool in(uint32_t c, utf8proc_category_t first, utf8proc_category_t last)
{
	const utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);

	return k >= first && k <= last;
}

bool normal_is_word(uint32_t c)
{
	return in(c, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_NL) ||
	       in(c, UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PC) || (c >= 0x24b6 && c <= 0x24e9) ||
	       c == 0x200c || c == 0x200d;
}

bool normal_is_numeric(uint32_t c)
{
	return in(c, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO);
}

bool normal_is_punct(uint32_t c)
{
	return (c > ' ' && c < 127 &&
	        strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", (int)c) != NULL) ||
	       in(c, UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PO);
}

bool normal_is_mark(uint32_t c)
{
	return in(c, UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_MN);
}
