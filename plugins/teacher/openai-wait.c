/* openai-wait.c - see openai-wait.h */
#include "openai-wait.h"

#include <curl/curl.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_VALUE = 64 };

/* A decimal number at *s, which moves behind it; no sign, no exponent.  NAN: there is none. */
static double number(const char **s)
{
	const char *p = *s;
	double      v = 0, unit = 1;

	if (*p < '0' || *p > '9')
		return NAN;
	for (; *p >= '0' && *p <= '9'; p++)
		v = 10 * v + (*p - '0');
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++) {
			unit /= 10;
			v += unit * (*p - '0');
		}
	*s = p;
	return v;
}

/* "1h2m3.5s", "20ms", or seconds alone. */
static double duration(const char *s)
{
	static const struct {
		const char *name;
		double      seconds;
	} units[] = { { "ms", 1e-3 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
	double sum = 0;

	do {
		const double v = number(&s);
		size_t       u = 0;

		if (isnan(v))
			return NAN;
		if (!*s)
			return sum + v;
		while (u < 5 && strncmp(s, units[u].name, strlen(units[u].name)) != 0)
			u++;
		if (u == 5)
			return NAN;
		sum += v * units[u].seconds;
		s += strlen(units[u].name);
	} while (*s);
	return sum;
}

static double seconds_or_date(const char *s, int64_t now)
{
	const char  *p = s;
	const double v = number(&p);
	time_t       date;

	if (!isnan(v))
		return *p ? NAN : v;
	date = curl_getdate(s, NULL);
	return date < 0 ? NAN : fmax(0, (double)(date - now));
}

/* The value of the header `name` in a line, without blanks around it, or NULL. */
static const char *value_of(const char *line, size_t n, const char *name, char *out)
{
	const size_t len = strlen(name);

	if (n <= len || strncasecmp(line, name, len) != 0 || line[len] != ':')
		return NULL;
	line += len + 1;
	n -= len + 1;
	while (n > 0 && (*line == ' ' || *line == '\t'))
		line++, n--;
	while (n > 0 && (unsigned char)line[n - 1] <= ' ')
		n--;
	if (n >= MOST_VALUE)
		return NULL;
	memcpy(out, line, n);
	out[n] = '\0';
	return out;
}

void openai_wait_header(struct openai_wait *w, const char *line, size_t n, int64_t now)
{
	static const char *const resets[] = { "x-ratelimit-reset-requests",
		                              "x-ratelimit-reset-tokens" };
	static const char *const remainings[] = { "x-ratelimit-remaining-requests",
		                                  "x-ratelimit-remaining-tokens" };
	char                     text[MOST_VALUE];
	const char              *v;

	if (n > 5 && strncasecmp(line, "HTTP/", 5) == 0)
		*w = OPENAI_WAIT_NONE; /* another answer begins */
	if ((v = value_of(line, n, "retry-after", text)))
		w->retry_after = seconds_or_date(v, now);
	for (int i = 0; i < 2; i++) {
		if ((v = value_of(line, n, resets[i], text)))
			w->reset[i] = duration(v);
		if ((v = value_of(line, n, remainings[i], text)))
			w->remaining[i] = number(&v);
	}
}

double openai_wait_told(const struct openai_wait *w)
{
	double most = isnan(w->retry_after) ? 0 : w->retry_after;

	for (int i = 0; i < 2; i++)
		if (w->remaining[i] <= 0 && w->reset[i] > most)
			most = w->reset[i];
	return most;
}

double openai_wait_own(int64_t attempt, double uniform)
{
	const double plain = attempt > 7 ? 60 : 0.25 * (double)((int64_t)1 << attempt);

	return plain * (0.5 + uniform);
}
