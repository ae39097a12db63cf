/* words.h - texts as words, and how much two of them have in common.
 *
 * Words are runs of letters, digits and bytes past ASCII; ASCII letters count as small, and nothing
 * is stemmed, so that no language is left out.  Of a text only the first WORDS_MOST are taken. */
#ifndef JUDGE_WORDS_H
#define JUDGE_WORDS_H

#include <stdbool.h>
#include <stddef.h>

enum { WORDS_MOST = 4096 };

struct word {
	const char *at; /* into the text */
	size_t      n;
};

/* Number of words; `words` has room for WORDS_MOST. */
size_t words_split(const char *text, struct word *words);

char words_lower(char c);

/* Memory of a comparison: some 160 KiB, so on no stack. */
struct words_room {
	struct word a[WORDS_MOST], b[WORDS_MOST];
	size_t      row[WORDS_MOST + 1];
};

/* ROUGE-L F1 (Lin 2004): twice the longest common subsequence of words over the words of both; two
 * texts without any word are equal. */
double words_rouge_l(struct words_room *room, const char *x, const char *y);

#endif
