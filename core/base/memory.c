/* memory.c - see retort/memory.h.  Blocks come from malloc as they are, so that one may be
 * handed to a library that ends it with free(). */
#include <retort/memory.h>

#include "base/fault.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 64, BLOCK = 64 * 1024, HUGE = 2 << 20 };

static bool fits(size_t n, size_t size, size_t *ret)
{
	if (__builtin_mul_overflow(n, size, ret) || *ret > (size_t)PTRDIFF_MAX - HUGE)
		return false;
	if (*ret == 0)
		*ret = 1;
	return !fault_alloc();
}

void *rt_alloc(size_t n, size_t size)
{
	size_t bytes;

	return fits(n, size, &bytes) ? calloc(1, bytes) : NULL;
}

/* Weights and activations are walked through again and again: pages of 2 MiB take fewer faults
 * at first and fewer misses afterwards, and the processor reads ahead within a page only.  Where
 * the system has none nothing changes. */
static void wish_huge(void *p, size_t bytes)
{
#ifdef MADV_HUGEPAGE
	const uintptr_t first = ((uintptr_t)p + HUGE - 1) / HUGE * HUGE;
	const uintptr_t last = ((uintptr_t)p + bytes) / HUGE * HUGE;

	if (last > first)
		madvise((void *)first, last - first, MADV_HUGEPAGE);
#else
	(void)p, (void)bytes;
#endif
}

static void *take(size_t n, size_t size, size_t *ret_bytes)
{
	size_t bytes;
	void  *p;

	if (!fits(n, size, &bytes))
		return NULL;
	bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
	if (posix_memalign(&p, bytes >= HUGE ? HUGE : ALIGN, bytes) != 0)
		return NULL;
	if (bytes >= HUGE)
		wish_huge(p, bytes);
	*ret_bytes = bytes;
	return p;
}

void *rt_alloc_aligned(size_t n, size_t size)
{
	size_t bytes;
	void  *p = take(n, size, &bytes);

	return p ? memset(p, 0, bytes) : NULL;
}

void *rt_alloc_unset(size_t n, size_t size)
{
	size_t bytes;

	return take(n, size, &bytes);
}

void *rt_realloc(void *ptr, size_t n, size_t size)
{
	size_t bytes;

	return fits(n, size, &bytes) ? realloc(ptr, bytes) : NULL;
}

void rt_free(void *ptr)
{
	free(ptr);
}

char *rt_strndup(const char *s, size_t n)
{
	char *p = s ? rt_alloc(n + 1, 1) : NULL;

	if (p)
		memcpy(p, s, n);
	return p;
}

char *rt_strdup(const char *s)
{
	return s ? rt_strndup(s, strlen(s)) : NULL;
}

char *rt_asprintf(const char *fmt, ...)
{
	va_list ap, again;
	char   *p = NULL;
	int     n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n >= 0)
		p = rt_alloc((size_t)n + 1, 1);
	if (p)
		vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return p;
}

/* Blocks are chained, newest first; its bytes follow the header at an aligned place. */
struct rt_arena_block {
	struct rt_arena_block *below;
	size_t                 size, used;
};

static unsigned char *bytes_of(struct rt_arena_block *b)
{
	return (unsigned char *)b + ALIGN;
}

static bool grow(struct rt_arena *a, size_t bytes)
{
	size_t                 size = a->top ? a->top->size * 2 : BLOCK;
	struct rt_arena_block *b;

	if (size < bytes)
		size = bytes;
	b = rt_alloc_aligned(1, ALIGN + size);
	if (!b)
		return false;
	b->below = a->top;
	b->size = size;
	a->top = b;
	return true;
}

void *rt_arena_alloc(struct rt_arena *a, size_t n, size_t size)
{
	size_t bytes;
	void  *p;

	if (__builtin_mul_overflow(n, size, &bytes) || bytes > (size_t)PTRDIFF_MAX / 2)
		return NULL;
	bytes = (bytes ? bytes + ALIGN - 1 : ALIGN) / ALIGN * ALIGN;
	if ((!a->top || a->top->size - a->top->used < bytes) && !grow(a, bytes))
		return NULL;
	p = memset(bytes_of(a->top) + a->top->used, 0, bytes);
	a->top->used += bytes;
	a->used += bytes;
	if (a->used > a->peak)
		a->peak = a->used;
	return p;
}

char *rt_arena_strdup(struct rt_arena *a, const char *s)
{
	char *p = s ? rt_arena_alloc(a, strlen(s) + 1, 1) : NULL;

	return p ? strcpy(p, s) : NULL;
}

/* The newest block is the largest: each is twice the one below, or the size of a request
 * that was larger still. */
static void free_below(struct rt_arena_block *b)
{
	while (b) {
		struct rt_arena_block *below = b->below;

		rt_free(b);
		b = below;
	}
}

void rt_arena_reset(struct rt_arena *a)
{
	if (a->top) {
		free_below(a->top->below);
		a->top->below = NULL;
		a->top->used = 0;
	}
	a->used = 0;
}

void rt_arena_free(struct rt_arena *a)
{
	free_below(a->top);
	*a = (struct rt_arena)RT_ARENA_INIT;
}
