/* bench-print.c - what was measured: a table for people, an object a line for programs.  See
 * bench.h */
#include "cli/bench.h"

#include "cli/lines.h"
#include "cli/progress.h"

#include "cli/command.h"

#include <retort/parallel.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct spread {
	double median, low, high;
};

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of the runs' seconds. */
static struct spread spread_of(const struct bench_result *r)
{
	double        x[BENCH_REPEAT];
	const int64_t n = r->n;

	memcpy(x, r->seconds, (size_t)n * sizeof *x);
	qsort(x, (size_t)n, sizeof *x, by_size);
	return (struct spread){ (x[(n - 1) / 2] + x[n / 2]) / 2, x[0], x[n - 1] };
}

/* One figure as it is shown. */
struct shown {
	const char *unit, *of; /* of: what share is a share of, or NULL */
	double      value, low, high, share;
	int64_t     runs;
};

static struct shown show(const struct bench_result *r, const struct bench_limits *limits)
{
	const struct spread s = spread_of(r);
	struct shown        f = { .unit = "ms", .value = 1e3 * s.median, .share = NAN };

	f.low = 1e3 * s.low;
	f.high = 1e3 * s.high;
	if (r->tokens > 0)
		f = (struct shown){ .unit = "tokens/s",
			            .value = r->tokens / s.median,
			            .low = r->tokens / s.high,
			            .high = r->tokens / s.low };
	if (r->bytes > 0 && limits->read > 0) {
		f.share = r->bytes / s.median / limits->read;
		f.of = "memory rate";
	} else if (r->flops > 0 && limits->arithmetic > 0) {
		f.share = r->flops / s.median / limits->arithmetic;
		f.of = "f32 peak";
	}
	f.runs = r->n;
	return f;
}

/* ---- a line ---------------------------------------------------------------------------------- */

static void print_text(const struct bench_line *l, const struct shown *f, int64_t memory)
{
	printf("  %-30s %10.*f %-9s", l->figure,
	       f->value < 100    ? 2
	       : f->value < 1000 ? 1
	                         : 0,
	       f->value, f->unit);
	if (l->model && f->runs > 1)
		printf(" %5.1f %%", 100 * (f->high - f->low) / 2 / f->value);
	else
		printf(" %7s", "");
	if (f->of)
		printf("  %5.1f %% of %-12s", 100 * f->share, f->of);
	else
		printf("  %-23s", "");
	if (memory > 0)
		printf(" %8.0f MB", (double)memory / 1e6);
	putchar('\n');
}

static struct rt_json *line_json(const struct bench_line *l, const struct shown *f,
                                 const struct bench_result *r)
{
	struct rt_json *o = rt_json_new_object();
	int             e = o ? 0 : RT_E_NOMEM;

	if (e == 0 && l->model) {
		e |= rt_json_set(o, "model", rt_json_new_string(l->model));
		e |= rt_json_set(o, "type", rt_json_new_string(l->type));
	}
	if (e == 0) {
		e |= rt_json_set(o, "part", rt_json_new_string(l->part));
		e |= rt_json_set(o, "figure", rt_json_new_string(l->figure));
		e |= rt_json_set(o, "unit", rt_json_new_string(f->unit));
		e |= rt_json_set(o, "value", rt_json_new_real(f->value));
	}
	if (e == 0 && l->sequences)
		e |= rt_json_set(o, "sequences", rt_json_new_int(l->sequences));
	if (e == 0 && l->model) {
		e |= rt_json_set(o, "low", rt_json_new_real(f->low));
		e |= rt_json_set(o, "high", rt_json_new_real(f->high));
		e |= rt_json_set(o, "runs", rt_json_new_int(r->n));
		e |= rt_json_set(o, "memory", rt_json_new_int(r->memory));
	}
	if (e == 0 && f->of) {
		e |= rt_json_set(o, "share", rt_json_new_real(f->share));
		e |= rt_json_set(o, "of", rt_json_new_string(f->of));
	}
	if (e == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

static int put(const struct bench_line *l, const struct shown *f, const struct bench_result *r,
               bool json, struct rt_error *err)
{
	int e = 0;

	progress_clear();
	if (json)
		e = lines_put(line_json(l, f, r), err);
	else
		print_text(l, f, l->model ? r->memory : 0);
	return e == 0 ? program_flush(err) : e;
}

int bench_print(const struct bench_line *l, const struct bench_result *r,
                const struct bench_limits *limits, bool json, struct rt_error *err)
{
	const struct shown f = show(r, limits);

	return put(l, &f, r, json, err);
}

/* ---- the machine, and the model ---------------------------------------------------------------
 */

/* As the system names it. */
static void processor_name(char name[BENCH_NAME])
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char  line[512];

	snprintf(name, BENCH_NAME, "an unknown processor");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, "model name", 10) == 0 && strstr(line, ": ")) {
			line[strcspn(line, "\n")] = '\0';
			snprintf(name, BENCH_NAME, "%.*s", BENCH_NAME - 1, strstr(line, ": ") + 2);
			break;
		}
	if (f)
		fclose(f);
}

int bench_print_head(bool json, struct rt_error *err)
{
	char            name[BENCH_NAME];
	struct rt_json *o;
	int             r;

	processor_name(name);
	if (!json) {
		printf("retort %s, %s, %d threads, %s\n", RETORT_VERSION, rt_isa(), rt_threads(),
		       name);
		printf("  %-30s %20s %7s   %-22s %11s\n", "", "median", "+-", "share of a limit",
		       "peak memory");
		return program_flush(err);
	}
	o = rt_json_new_object();
	r = rt_json_set(o, "retort", rt_json_new_string(RETORT_VERSION));
	r |= rt_json_set(o, "isa", rt_json_new_string(rt_isa()));
	r |= rt_json_set(o, "threads", rt_json_new_int(rt_threads()));
	r |= rt_json_set(o, "processor", rt_json_new_string(name));
	if (r == 0)
		return lines_put(o, err);
	rt_json_free(o);
	return rt_fail_nomem(err, "a line");
}

int bench_print_limits(const struct bench_result *r, bool json, struct rt_error *err)
{
	const struct bench_limits *l = &r->limits;
	const struct {
		const char *figure, *unit, *of;
		double      value, share;
	} rows[] = { { "f32 products from the cache", "GFLOP/s", NULL, l->arithmetic / 1e9, 0 },
		     { "f32 product, 2048 cubed", "GFLOP/s", "f32 peak", l->product / 1e9,
		       l->product / l->arithmetic },
		     { "reading memory", "GB/s", NULL, l->read / 1e9, 0 } };
	int e = 0;

	if (!json)
		printf("limits (products: %s)\n", r->blas);
	for (size_t i = 0; e == 0 && i < sizeof rows / sizeof *rows; i++) {
		struct bench_line  line = { .part = "limits" };
		const struct shown f = { .unit = rows[i].unit,
			                 .of = rows[i].of,
			                 .value = rows[i].value,
			                 .share = rows[i].share };

		snprintf(line.figure, sizeof line.figure, "%s", rows[i].figure);
		e = put(&line, &f, r, json, err);
	}
	return e;
}

int bench_print_model(const struct bench_line *l, const struct bench_result *r, bool json,
                      struct rt_error *err)
{
	progress_clear();
	if (json)
		return 0;
	printf("%s, %s", l->model, l->type);
	if (r->parameters)
		printf(": %.1f M parameters", (double)r->parameters / 1e6);
	if (r->weights)
		printf(", %.1f MB, %.2f bits each", (double)r->weights / 1e6,
		       8. * (double)r->weights / (double)r->parameters);
	putchar('\n');
	return program_flush(err);
}
