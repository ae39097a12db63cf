/* progress.c - see progress.h */
#include "cli/progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static bool   shown;
static double begun, said;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void progress_rows(const char *command, int64_t done)
{
	const double t = now();

	if (begun == 0)
		begun = said = t;
	if (t - said < 0.2 || !isatty(STDERR_FILENO) || isatty(STDOUT_FILENO))
		return;
	said = t;
	shown = true;
	fprintf(stderr, "\r\033[K%s: %lld rows, %.3g/s", command, (long long)done,
	        (double)done / (t - begun));
}

void progress_step(const char *command, const char *step)
{
	if (!isatty(STDERR_FILENO))
		return;
	shown = true;
	fprintf(stderr, "\r\033[K%s: %s ...", command, step);
}

void progress_clear(void)
{
	if (shown)
		fputs("\r\033[K", stderr);
	shown = false;
}
