/* retort/text.h - text that grows, and questions about UTF-8.
 *
 *     struct rt_text t = RT_TEXT_INIT;
 *     rt_text_add(&t, "a");  rt_text_printf(&t, "%d", 1);
 *     if (t.failed) ...out of memory...
 *     rt_text_free(&t);
 *
 * Appending never fails on the spot: the first allocation that fails sets `failed`,
 * later appends do nothing, and one check at the end is enough.  data is always
 * terminated and may hold zero bytes; it is never NULL.  A text belongs to one thread at a time. */
#ifndef RETORT_TEXT_H
#define RETORT_TEXT_H

#include <retort/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rt_text {
	char  *data;
	size_t len, cap; /* cap 0: data is not owned (the empty text) */
	bool   failed;
};

extern char rt_text_empty[1];
#define RT_TEXT_INIT                                                                               \
	{                                                                                          \
		rt_text_empty, 0, 0, false                                                         \
	}

void rt_text_add(struct rt_text *t, const char *s);
void rt_text_add_n(struct rt_text *t, const void *bytes, size_t n);
void rt_text_add_char(struct rt_text *t, char c);
void rt_text_printf(struct rt_text *t, const char *fmt, ...) RT_PRINTF(2, 3);
void rt_text_clear(struct rt_text *t); /* len 0, keeps the memory and clears `failed` */
void rt_text_free(struct rt_text *t);

/* Hand over the buffer (release with rt_free()), or NULL when an append had failed.
 * The text is empty afterwards. */
char *rt_text_take(struct rt_text *t);

/* Offset of the first byte that is not valid UTF-8 (overlong forms, surrogates and values
 * past U+10FFFF are not), or n. [any] */
size_t rt_utf8_check(const char *s, size_t n);

/* The code point at s (n > 0 bytes left) and its length in *ret_len; 0xfffd with length 1
 * for a byte that starts none. [any] */
uint32_t rt_utf8_decode(const char *s, size_t n, size_t *ret_len);

/* Write a code point; returns the number of bytes, 1 to 4. [any] */
size_t rt_utf8_encode(uint32_t code, char out[4]);

/* The word of `list` (NULL-terminated) nearest to `word`, for "did you mean", or NULL when
 * none is near: at most a third of its letters may be wrong. [any] */
const char *rt_suggest(const char *word, const char *const *list);

#endif
