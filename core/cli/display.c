/* display.c - see display.h */
#include "cli/display.h"

#include <retort/memory.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { PLAIN_SECONDS = 10, JSON_SECONDS = 1, LINE = 512 };

/* A stage that is being worked on. */
struct active {
	const char *stage;
	double      start; /* when it began */
	double      said;  /* when its progress was last written */
	int64_t     first, done, total;
	char        unit[24];
	bool        live, counted; /* counted: progress has been heard */
};

struct display {
	struct run_listener listener;
	enum display_mode   mode;
	bool                terminal, color, verbose;
	int                 width, shown; /* living lines on the screen now */
	int64_t             stages;
	int                 name_width;
	struct active      *active; /* by position */
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const char *clock_text(char out[32])
{
	const time_t t = time(NULL);
	struct tm    tm;

	gmtime_r(&t, &tm);
	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return out;
}

static const char *span(double s, char out[24])
{
	if (s < 100)
		snprintf(out, 24, "%.1f s", s);
	else if (s < 6000)
		snprintf(out, 24, "%d:%02d min", (int)s / 60, (int)s % 60);
	else
		snprintf(out, 24, "%d:%02d h", (int)s / 3600, (int)s / 60 % 60);
	return out;
}

/* "1200 of 5000 rows, 340/s, 0:11 left" */
static void progress_text(const struct active *a, char *out, size_t n)
{
	const double passed = now() - a->start;
	const double rate = passed > 0.2 ? (double)(a->done - a->first) / passed : 0;
	char         left[24];
	int          k;

	k = a->total >= 0 ? snprintf(out, n, "%lld of %lld %s", (long long)a->done,
	                             (long long)a->total, a->unit)
	                  : snprintf(out, n, "%lld %s", (long long)a->done, a->unit);
	if (rate > 0 && k > 0 && (size_t)k < n)
		k += snprintf(out + k, n - (size_t)k, rate < 10 ? ", %.2f/s" : ", %.0f/s", rate);
	if (rate > 0 && a->total > a->done && k > 0 && (size_t)k < n)
		snprintf(out + k, n - (size_t)k, ", %s left",
		         span((double)(a->total - a->done) / rate, left));
}

/* Take the living lines off the screen, so that a lasting one can be written. */
static void erase(struct display *d)
{
	if (d->shown > 0)
		fprintf(stderr, "\r\033[%dA\033[J", d->shown);
	d->shown = 0;
}

static void draw(struct display *d)
{
	for (int64_t i = 0; d->terminal && i < d->stages; i++) {
		const struct active *a = &d->active[i];
		char                 text[LINE], line[2 * LINE], passed[24];

		if (!a->live)
			continue;
		if (a->counted)
			progress_text(a, text, sizeof text);
		else
			snprintf(text, sizeof text, "%s", span(now() - a->start, passed));
		snprintf(line, sizeof line, "  %-*s  %s", d->name_width, a->stage, text);
		fprintf(stderr, "%.*s\n", d->width > 1 ? d->width - 1 : 79, line);
		d->shown++;
	}
	fflush(stderr);
}

static void json_line(const char *stage, const char *event, struct rt_json *o)
{
	struct rt_text t = RT_TEXT_INIT;
	char           at[32];

	if (!o)
		return;
	rt_json_set(o, "time", rt_json_new_string(clock_text(at)));
	rt_json_set(o, "stage", rt_json_new_string(stage));
	rt_json_set(o, "event", rt_json_new_string(event));
	rt_json_print(o, RT_JSON_SORT, &t);
	if (!t.failed)
		fprintf(stderr, "%s\n", t.data);
	rt_text_free(&t);
	rt_json_free(o);
}

static const struct {
	const char *word, *mark, *color;
} states[] = {
	[RUN_WAITING] = { "waiting", " ", "" },
	[RUN_CACHED] = { "done already", "=", "\033[2m" },
	[RUN_LOCKED] = { "another process makes it, waiting", "~", "\033[33m" },
	[RUN_STARTED] = { "started", ">", "" },
	[RUN_RESUMED] = { "resumed", ">", "" },
	[RUN_DONE] = { "done", "+", "\033[32m" },
	[RUN_FAILED] = { "failed", "!", "\033[31m" },
};

static void news_json(const struct run_news *n)
{
	struct rt_json *o = rt_json_new_object();

	if (o && (n->state == RUN_DONE || n->state == RUN_FAILED))
		rt_json_set(o, "seconds", rt_json_new_real(n->seconds));
	if (o && n->text && *n->text)
		rt_json_set(o, n->state == RUN_FAILED ? "error" : "text",
		            rt_json_new_string(n->text));
	json_line(n->stage, states[n->state].word, o);
}

static void news_line(const struct display *d, const struct run_news *n)
{
	char at[32], passed[24] = "";
	bool text = n->text && *n->text;

	if (n->state == RUN_DONE)
		span(n->seconds, passed);
	if (!d->terminal) {
		fprintf(stderr, "%s %s %s: %s%s%s%s%s\n", clock_text(at),
		        n->state == RUN_FAILED ? "error" : "info", n->stage, states[n->state].word,
		        text ? ", " : "", text ? n->text : "", *passed ? ", " : "", passed);
		return;
	}
	if (n->state == RUN_STARTED || n->state == RUN_RESUMED || n->state == RUN_FAILED)
		return; /* the living line says so; a failure is told at the end */
	fprintf(stderr, "%s%s%s %-*s  %s%s%s%s%s\n", d->color ? states[n->state].color : "",
	        states[n->state].mark, d->color ? "\033[0m" : "", d->name_width, n->stage,
	        states[n->state].word, text ? ", " : "", text ? n->text : "", *passed ? ", " : "",
	        passed);
}

static void on_news(void *arg, const struct run_news *n)
{
	struct display *d = arg;
	struct active  *a = &d->active[n->position];

	erase(d);
	a->live = n->state == RUN_STARTED || n->state == RUN_RESUMED;
	if (a->live) {
		*a = (struct active){
			.stage = n->stage, .start = now(), .said = now(), .live = true
		};
	}
	if (d->mode == DISPLAY_JSON)
		news_json(n);
	else
		news_line(d, n);
	draw(d);
}

static void on_log(void *arg, const char *stage, enum rt_level level, const char *text)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	struct display          *d = arg;
	struct rt_json          *o;
	char                     at[32];

	if (level == RT_LOG_DEBUG && !d->verbose)
		return;
	erase(d);
	if (d->mode == DISPLAY_JSON) {
		o = rt_json_new_object();
		if (o) {
			rt_json_set(o, "level", rt_json_new_string(names[level]));
			rt_json_set(o, "text", rt_json_new_string(text));
		}
		json_line(stage, "log", o);
	} else if (d->terminal) {
		fprintf(stderr, "  %-*s  %s%s\n", d->name_width, stage,
		        level == RT_LOG_WARN ? "warning: " : "", text);
	} else {
		fprintf(stderr, "%s %s %s: %s\n", clock_text(at), names[level], stage, text);
	}
	draw(d);
}

static void progress_json(const struct active *a)
{
	struct rt_json *o = rt_json_new_object();

	if (o) {
		rt_json_set(o, "done", rt_json_new_int(a->done));
		if (a->total >= 0)
			rt_json_set(o, "total", rt_json_new_int(a->total));
		rt_json_set(o, "unit", rt_json_new_string(a->unit));
	}
	json_line(a->stage, "progress", o);
}

static struct active *find(struct display *d, const char *stage)
{
	for (int64_t i = 0; i < d->stages; i++)
		if (d->active[i].live && strcmp(d->active[i].stage, stage) == 0)
			return &d->active[i];
	return NULL;
}

static void on_progress(void *arg, const char *stage, int64_t done, int64_t total, const char *unit)
{
	struct display *d = arg;
	struct active  *a = find(d, stage);
	char            text[LINE], at[32];

	if (!a)
		return;
	if (!a->counted)
		a->first = done;
	a->counted = true;
	a->done = done;
	a->total = total;
	snprintf(a->unit, sizeof a->unit, "%s", unit);
	if (d->terminal) {
		erase(d);
		draw(d);
		return;
	}
	if (now() - a->said < (d->mode == DISPLAY_JSON ? JSON_SECONDS : PLAIN_SECONDS))
		return;
	a->said = now();
	if (d->mode == DISPLAY_JSON) {
		progress_json(a);
		return;
	}
	progress_text(a, text, sizeof text);
	fprintf(stderr, "%s info %s: %s\n", clock_text(at), stage, text);
}

int display_open(struct display **ret, const struct pipeline *p, enum display_mode mode,
                 bool verbose, struct rt_error *err)
{
	struct display *d = rt_alloc(1, sizeof *d);
	const char     *term = getenv("TERM");
	struct winsize  w;

	if (d)
		d->active = rt_alloc((size_t)p->n, sizeof *d->active);
	if (!d || !d->active) {
		rt_free(d);
		return rt_fail_nomem(err, "the display");
	}
	d->listener = (struct run_listener){ d, on_news, on_log, on_progress };
	d->mode = mode;
	d->verbose = verbose;
	d->stages = p->n;
	d->terminal =
		mode == DISPLAY_AUTO && isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
	d->color = d->terminal && !getenv("NO_COLOR");
	d->width = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
	for (int64_t i = 0; i < p->n; i++)
		if ((int)strlen(p->stages[i].name) > d->name_width)
			d->name_width = (int)strlen(p->stages[i].name);
	*ret = d;
	return 0;
}

void display_close(struct display *d)
{
	if (!d)
		return;
	erase(d);
	fflush(stderr);
	rt_free(d->active);
	rt_free(d);
}

const struct run_listener *display_listener(struct display *d)
{
	return &d->listener;
}
