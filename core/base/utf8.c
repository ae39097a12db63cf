/* utf8.c - UTF-8 by the table of well-formed byte sequences (Unicode 15, table 3-7). */
#include <retort/text.h>

/* Length of the well-formed sequence at s, or 0. */
static size_t sequence(const unsigned char *s, size_t n)
{
	unsigned char low = 0x80, high = 0xbf; /* bounds of the second byte */
	size_t        len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	switch (s[0]) {
	case 0xe0: low = 0xa0; break;  /* shorter forms exist below */
	case 0xed: high = 0x9f; break; /* surrogates above */
	case 0xf0: low = 0x90; break;
	case 0xf4: high = 0x8f; break; /* past U+10FFFF above */
	}
	if (n < len || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

size_t rt_utf8_check(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n) {
		const size_t len = sequence((const unsigned char *)s + i, n - i);

		if (!len)
			break;
		i += len;
	}
	return i;
}

uint32_t rt_utf8_decode(const char *s, size_t n, size_t *ret_len)
{
	static const unsigned char payload[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	const unsigned char       *u = (const unsigned char *)s;
	const size_t               len = sequence(u, n);
	uint32_t                   code = u[0] & payload[len];

	*ret_len = len ? len : 1;
	if (!len)
		return 0xfffd;
	for (size_t i = 1; i < len; i++)
		code = code << 6 | (u[i] & 0x3f);
	return code;
}

size_t rt_utf8_encode(uint32_t code, char out[4])
{
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t                     len;

	if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		code = 0xfffd;
	len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = len - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (code & 0x3f));
		code >>= 6;
	}
	out[0] = (char)(lead[len] | code);
	return len;
}
