/* context.c - see plugin/context.h and retort/context.h */
#include "plugin/context.h"

#include <retort/memory.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE = 4096, SECRET_MIN = 4, PROGRESS_MS = 50 };

struct secret {
	struct secret *next;
	size_t         n;
	char           value[];
};

static struct secret  *secrets;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool known(const char *value)
{
	for (const struct secret *s = secrets; s; s = s->next)
		if (strcmp(s->value, value) == 0)
			return true;
	return false;
}

/* Kept for the life of the process: a late error may still hold it.  Longest first, so that a
 * secret inside another does not spoil it. */
static bool remember(const char *value)
{
	const size_t    n = strlen(value);
	struct secret **at = &secrets, *s;

	if (n < SECRET_MIN || known(value))
		return true;
	s = rt_alloc(1, sizeof *s + n + 1);
	if (!s)
		return false;
	strcpy(s->value, value);
	s->n = n;
	while (*at && (*at)->n > n)
		at = &(*at)->next;
	s->next = *at;
	*at = s;
	return true;
}

void context_redact(char *text)
{
	pthread_mutex_lock(&lock);
	for (const struct secret *s = secrets; s; s = s->next)
		for (char *p = text; (p = strstr(p, s->value)); p += 3) {
			memcpy(p, "***", 3);
			memmove(p + 3, p + s->n, strlen(p + s->n) + 1);
		}
	pthread_mutex_unlock(&lock);
}

void rt_log(struct rt_context *c, enum rt_level level, const char *fmt, ...)
{
	char    text[LINE];
	va_list ap;

	if (!c->sink->log)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	context_redact(text);
	c->sink->log(c->sink->arg, c->stage, level, text);
}

void rt_progress(struct rt_context *c, int64_t done, int64_t total, const char *unit)
{
	struct timespec t;
	long long       now, last = atomic_load(&c->shown);

	if (!c->sink->progress)
		return;
	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
	if (done < total && now - last < PROGRESS_MS)
		return;
	if (atomic_compare_exchange_strong(&c->shown, &last, now))
		c->sink->progress(c->sink->arg, c->stage, done, total, unit);
}

bool rt_cancelled(struct rt_context *c)
{
	return c->sink->cancelled && c->sink->cancelled(c->sink->arg);
}

uint64_t rt_seed(const struct rt_context *c)
{
	return c->seed;
}

const char *rt_work_dir(const struct rt_context *c)
{
	return c->work_dir;
}

const char *rt_env(struct rt_context *c, const char *name, struct rt_error *err)
{
	const char *value = getenv(name);
	bool        kept;

	(void)c;
	if (!value || !*value) {
		rt_fail(err, RT_E_USAGE, "the environment variable %s is not set", name);
		return NULL;
	}
	pthread_mutex_lock(&lock);
	kept = remember(value);
	pthread_mutex_unlock(&lock);
	if (!kept) {
		rt_fail_nomem(err, name);
		return NULL;
	}
	return value;
}

void rt_scalar(struct rt_context *c, const char *tag, int64_t step, double value)
{
	if (c->sink->scalar)
		c->sink->scalar(c->sink->arg, c->stage, tag, step, value);
}

void rt_event(struct rt_context *c, const char *name, const struct rt_json *fields)
{
	if (c->sink->event)
		c->sink->event(c->sink->arg, c->stage, name, fields);
}
