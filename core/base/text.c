/* text.c - see retort/text.h */
#include <retort/text.h>

#include <retort/memory.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

char rt_text_empty[1] = "";

/* Room for n more bytes and the terminator. */
static bool reserve(struct rt_text *t, size_t n)
{
	size_t need, cap = t->cap ? t->cap : 64;
	char  *p;

	if (t->failed)
		return false;
	if (__builtin_add_overflow(t->len, n, &need) || need >= SIZE_MAX / 4) {
		t->failed = true;
		return false;
	}
	if (need < t->cap)
		return true;
	while (cap <= need)
		cap *= 2;
	p = rt_realloc(t->cap ? t->data : NULL, cap, 1);
	if (!p) {
		t->failed = true;
		return false;
	}
	t->data = p;
	t->cap = cap;
	return true;
}

void rt_text_add_n(struct rt_text *t, const void *bytes, size_t n)
{
	if (n == 0 || !reserve(t, n))
		return;
	memcpy(t->data + t->len, bytes, n);
	t->len += n;
	t->data[t->len] = '\0';
}

void rt_text_add(struct rt_text *t, const char *s)
{
	rt_text_add_n(t, s, strlen(s));
}

void rt_text_add_char(struct rt_text *t, char c)
{
	rt_text_add_n(t, &c, 1);
}

void rt_text_printf(struct rt_text *t, const char *fmt, ...)
{
	va_list ap, again;
	int     n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n < 0) {
		t->failed = true;
	} else if (reserve(t, (size_t)n)) {
		vsnprintf(t->data + t->len, (size_t)n + 1, fmt, again);
		t->len += (size_t)n;
	}
	va_end(again);
	va_end(ap);
}

void rt_text_clear(struct rt_text *t)
{
	t->len = 0;
	t->failed = false;
	if (t->cap)
		t->data[0] = '\0';
}

void rt_text_free(struct rt_text *t)
{
	if (t->cap)
		rt_free(t->data);
	*t = (struct rt_text)RT_TEXT_INIT;
}

char *rt_text_take(struct rt_text *t)
{
	char *p = NULL;

	if (reserve(t, 0)) {
		p = t->data;
		p[t->len] = '\0';
		*t = (struct rt_text)RT_TEXT_INIT;
	}
	rt_text_free(t);
	return p;
}
