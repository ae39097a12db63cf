/* trial.c - see trial.h: what the trials of all kinds share. */
#include "plugin/trial.h"

#include <retort/random.h>

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char trial_rows[] =
	"{\"id\":\"r1\",\"messages\":[{\"role\":\"user\",\"content\":\"What is 2 + 2?\"},"
	"{\"role\":\"assistant\",\"content\":\"4\"}]}\n"
	"{\"id\":\"r2\",\"messages\":[{\"role\":\"user\",\"content\":\"How warm is it in Rome?\"},"
	"{\"role\":\"assistant\",\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":"
	"\"weather\","
	"\"arguments\":{\"city\":\"Rome\"}}}]}],"
	"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"weather\",\"parameters\":{"
	"\"type\":\"object\","
	"\"properties\":{\"city\":{\"type\":\"string\"}},\"required\":[\"city\"]}}}]}\n";

/* A line is RESULT TAB CHECK TAB REASON; control characters in a reason become spaces. */
static void write_line(struct trial *t, char result, const char *check, const char *fmt, va_list ap)
{
	char reason[RT_ERROR_TEXT + 200];

	vsnprintf(reason, sizeof reason, fmt, ap);
	for (char *p = reason; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	fprintf(t->report, "%c\t%s\t%s\n", result, check, reason);
	fflush(t->report);
}

void trial_say(struct trial *t, enum trial_result result, const char *check, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(t, (char)result, check, fmt, ap);
	va_end(ap);
}

bool trial_check(struct trial *t, bool good, const char *check, const char *why, ...)
{
	va_list ap;

	if (good) {
		trial_say(t, TRIAL_PASS, check, "%s", "");
		return true;
	}
	va_start(ap, why);
	write_line(t, TRIAL_FAIL, check, why, ap);
	va_end(ap);
	return false;
}

void trial_now(struct trial *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(t, '@', "", fmt, ap);
	va_end(ap);
}

/* The bytes end where a page begins that must not be touched. */
static unsigned char *guarded(size_t bytes, unsigned char **ret_first, size_t *ret_pages)
{
	const size_t   page = (size_t)sysconf(_SC_PAGESIZE);
	const size_t   inner = (bytes + page - 1) / page * page;
	unsigned char *p = mmap(NULL, inner + 2 * page, PROT_READ | PROT_WRITE,
	                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p, page, PROT_NONE) < 0 ||
	    mprotect(p + page + inner, page, PROT_NONE) < 0)
		_exit(EXIT_FAILURE);
	*ret_first = p + page;
	*ret_pages = inner;
	return p + page + inner - bytes;
}

void *trial_output(size_t n, size_t size)
{
	unsigned char *first;
	size_t         pages;
	unsigned char *p = guarded(n * size, &first, &pages);

	return memset(p, 0xff, n * size); /* a NaN, whatever the width */
}

const void *trial_input(const void *bytes, size_t n, size_t size)
{
	unsigned char *first;
	size_t         pages;
	unsigned char *p = guarded(n * size, &first, &pages);

	if (n * size > 0)
		memcpy(p, bytes, n * size);
	if (pages > 0)
		mprotect(first, pages, PROT_READ);
	return p;
}

const float *trial_normal(uint64_t stream, int64_t n, double scale)
{
	float       *x = trial_output((size_t)n, sizeof *x);
	const float *sealed;

	for (int64_t i = 0; i < n; i++)
		x[i] = (float)(scale * rt_random_normal(1, stream, (uint64_t)i));
	sealed = trial_input(x, (size_t)n, sizeof *x);
	return sealed;
}

bool trial_finite(const float *x, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		if (!isfinite(x[i]))
			return false;
	return true;
}

double trial_slope(trial_loss_fn *loss, void *arg, float x, float step)
{
	const float  high = x + step, low = x - step;
	const double at = loss(arg, x), above = loss(arg, high), below = loss(arg, low);
	const double right = (above - at) / ((double)high - x),
		     left = (at - below) / ((double)x - low);

	if (fabs(right - left) > 0.05 * (fabs(right) + fabs(left)) + 1e-3)
		return NAN;
	return (above - below) / ((double)high - low);
}

const struct trial_kind *trial_kind(unsigned kind)
{
#define RT_X(name, num, text, member) [num] = &trial_##member,
	static const struct trial_kind *const kinds[RT_KIND_END_] = { RT_KIND_MAP(RT_X) };
#undef RT_X

	return kinds[kind];
}
