/* retort/memory.h - allocation that may fail, and memory that is freed all at once.
 *
 * Running out of memory is an ordinary error: every allocator here returns NULL,
 * and the caller returns rt_fail_nomem().  All memory of retort comes from here, so
 * a test can make any single allocation fail and see that nothing breaks. */
#ifndef RETORT_MEMORY_H
#define RETORT_MEMORY_H

#include <stddef.h>

/* Zeroed memory of n * size bytes, or NULL (also when the product overflows).
 * n * size = 0 gives a valid pointer.  Release with rt_free(). [any] */
void *rt_alloc(size_t n, size_t size);

/* The same, aligned to 64 bytes: for anything a vector kernel touches. [any] */
void *rt_alloc_aligned(size_t n, size_t size);

/* The same, not zeroed: for large memory that several threads fill, whose pages come to each as it
 * writes. [any] */
void *rt_alloc_unset(size_t n, size_t size);

/* Grow or shrink to n * size bytes; new bytes are not zeroed.  On failure NULL, and
 * ptr is as it was.  Not for aligned memory. [any] */
void *rt_realloc(void *ptr, size_t n, size_t size);

/* NULL is fine. [any] */
void rt_free(void *ptr);

char *rt_strdup(const char *s);            /* NULL when s is NULL, too */
char *rt_strndup(const char *s, size_t n); /* exactly n bytes and a terminator */
char *rt_asprintf(const char *fmt, ...)
#if defined(__GNUC__)
	__attribute__((format(printf, 1, 2)))
#endif
	;

/* An arena: blocks that grow as needed, freed or reused together.
 *
 *     struct rt_arena a = RT_ARENA_INIT;
 *     x = rt_arena_alloc(&a, n);  ...  rt_arena_reset(&a);  ...  rt_arena_free(&a);
 *
 * Not shared between threads.  Every piece is aligned to 64 bytes. */
struct rt_arena {
	struct rt_arena_block *top;
	size_t                 used, peak; /* bytes handed out since reset; most ever */
};

#define RT_ARENA_INIT                                                                              \
	{                                                                                          \
		0, 0, 0                                                                            \
	}

void *rt_arena_alloc(struct rt_arena *a, size_t n, size_t size); /* zeroed, or NULL */
char *rt_arena_strdup(struct rt_arena *a, const char *s);
void  rt_arena_reset(struct rt_arena *a); /* keeps the largest block for reuse */
void  rt_arena_free(struct rt_arena *a);  /* back to RT_ARENA_INIT */

#endif
