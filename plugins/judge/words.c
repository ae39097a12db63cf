/* words.c - see words.h */
#include "words.h"

#include <string.h>

static bool in_word(unsigned char c)
{
	return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

size_t words_split(const char *s, struct word *words)
{
	size_t n = 0;

	while (*s && n < WORDS_MOST) {
		const char *begin = s;

		while (in_word((unsigned char)*s))
			s++;
		if (s > begin)
			words[n++] = (struct word){ begin, (size_t)(s - begin) };
		else
			s++;
	}
	return n;
}

char words_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool same_word(struct word a, struct word b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (words_lower(a.at[i]) != words_lower(b.at[i]))
			return false;
	return true;
}

/* Length of the longest common subsequence, one row of the table at a time. */
static size_t common(const struct word *a, size_t n, const struct word *b, size_t m, size_t *row)
{
	memset(row, 0, (m + 1) * sizeof *row);
	for (size_t i = 0; i < n; i++) {
		size_t diagonal = 0;

		for (size_t k = 0; k < m; k++) {
			const size_t above = row[k + 1];

			if (same_word(a[i], b[k]))
				row[k + 1] = diagonal + 1;
			else if (row[k] > above)
				row[k + 1] = row[k];
			diagonal = above;
		}
	}
	return row[m];
}

double words_rouge_l(struct words_room *room, const char *x, const char *y)
{
	const size_t n = words_split(x, room->a), m = words_split(y, room->b);
	const double l = (double)common(room->a, n, room->b, m, room->row);

	if (n == 0 || m == 0)
		return n == m;
	return 2 * l / (double)(n + m);
}
