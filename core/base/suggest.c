/* suggest.c - "did you mean": the nearest word of a list. */
#include <retort/text.h>

#include <string.h>

enum { LONGEST = 64 };

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edits from a (m letters) to b (n letters): insert, delete, replace, or swap two neighbours
 * (optimal string alignment).  Three rows of the table are enough. */
static size_t distance(const char *a, size_t m, const char *b, size_t n)
{
	size_t rows[3][LONGEST + 1];

	for (size_t j = 0; j <= n; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= m; i++) {
		size_t *now = rows[i % 3], *up = rows[(i + 2) % 3], *upper = rows[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= n; j++) {
			now[j] = least(up[j - 1] + (a[i - 1] != b[j - 1]),
			               least(up[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], upper[j - 2] + 1);
		}
	}
	return rows[m % 3][n];
}

const char *rt_suggest(const char *word, const char *const *list)
{
	const size_t m = strlen(word);
	const char  *best = NULL;
	size_t       nearest = LONGEST;

	for (; *list && m <= LONGEST; list++) {
		const size_t n = strlen(*list);
		size_t       d;

		if (n > LONGEST)
			continue;
		d = distance(word, m, *list, n);
		if (d < nearest && 3 * d <= (m > n ? m : n)) {
			nearest = d;
			best = *list;
		}
	}
	return best;
}
