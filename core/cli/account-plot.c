/* account-plot.c - drawings of an account, as SVG. */
#include "cli/account.h"

#include <retort/file.h>
#include <retort/rows.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 640, HEIGHT = 320, LEFT = 60, RIGHT = 150, TOP = 20, BOTTOM = 40, POINTS = 400 };

struct axes {
	double x0, x1, y0, y1; /* of the data; x may be a logarithm */
};

static double px(const struct axes *a, double x)
{
	const double span = a->x1 > a->x0 ? a->x1 - a->x0 : 1;

	return LEFT + (WIDTH - LEFT - RIGHT) * (x - a->x0) / span;
}

static double py(const struct axes *a, double y)
{
	const double span = a->y1 > a->y0 ? a->y1 - a->y0 : 1;

	return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - a->y0) / span;
}

static void frame(const struct axes *a, const char *x_name, const char *y_name, struct rt_text *out)
{
	rt_text_printf(out,
	               "<svg viewBox=\"0 0 %d %d\" width=\"%d\" role=\"img\">\n"
	               "<path class=\"axis\" d=\"M%d %dV%dH%d\"/>\n"
	               "<text x=\"%d\" y=\"%d\">%s</text>\n"
	               "<text x=\"%d\" y=\"%d\">%s</text>\n",
	               WIDTH, HEIGHT, WIDTH, LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT, LEFT,
	               HEIGHT - 8, x_name, LEFT - 50, TOP - 6, y_name);
	for (int i = 0; i <= 4; i++) {
		const double y = a->y0 + (a->y1 - a->y0) * i / 4;

		rt_text_printf(out,
		               "<text class=\"tick\" x=\"%d\" y=\"%.1f\">%.3g</text>\n"
		               "<path class=\"grid\" d=\"M%d %.1fH%d\"/>\n",
		               LEFT - 6, py(a, y) + 4, y, LEFT, py(a, y), WIDTH - RIGHT);
	}
}

/* ---- quality against size -------------------------------------------------------------------- */

static bool drawn(const struct account_model *m)
{
	return m->quality.name && !isnan(m->quality.value) && m->stage->bytes > 0;
}

static void point(const struct axes *a, const struct account_model *m, struct rt_text *out)
{
	const double x = px(a, log10((double)m->stage->bytes));
	const double y = py(a, 100 * m->quality.value);
	char         bytes[32], latency[32];

	if (!isnan(m->quality.low))
		rt_text_printf(out, "<path class=\"bar\" d=\"M%.1f %.1fV%.1f\"/>\n", x,
		               py(a, 100 * m->quality.low), py(a, 100 * m->quality.high));
	rt_text_printf(out,
	               "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\"><title>%s, %s</title></circle>\n",
	               x, y, account_bytes((double)m->stage->bytes, bytes),
	               account_seconds(m->latency, latency));
	rt_text_printf(out, "<text x=\"%.1f\" y=\"%.1f\">%s</text>\n", x + 7, y + 4,
	               m->stage->name);
}

void account_pareto(const struct account *a, struct rt_text *out)
{
	struct axes axes = { INFINITY, -INFINITY, 100, 0 };

	for (int64_t i = 0; i < a->n_models; i++) {
		const struct account_model *m = &a->models[i];

		if (!drawn(m))
			continue;
		axes.x0 = fmin(axes.x0, log10((double)m->stage->bytes));
		axes.x1 = fmax(axes.x1, log10((double)m->stage->bytes));
		axes.y0 = fmin(axes.y0,
		               100 * (isnan(m->quality.low) ? m->quality.value : m->quality.low));
		axes.y1 = fmax(axes.y1,
		               100 * (isnan(m->quality.high) ? m->quality.value : m->quality.high));
	}
	if (axes.x1 < axes.x0)
		return;
	axes.y0 = 10 * floor(axes.y0 / 10);
	axes.y1 = 10 * ceil(axes.y1 / 10);
	frame(&axes, "bytes of weights, logarithmic", "quality, %", out);
	for (double e = ceil(axes.x0); e <= axes.x1; e++)
		rt_text_printf(out, "<text x=\"%.1f\" y=\"%d\">1e%.0f</text>\n", px(&axes, e),
		               HEIGHT - BOTTOM + 16, e);
	for (int64_t i = 0; i < a->n_models; i++)
		if (drawn(&a->models[i]))
			point(&axes, &a->models[i], out);
	rt_text_add(out, "</svg>\n");
}

/* ---- scalars -----------------------------------------------------------------------------------
 */

/* Means over equal runs of steps: as many points as can be seen.  When steps go beyond them, each
 * two points become one. */
struct curve {
	double  sum[POINTS];
	int64_t n[POINTS], width, last;
};

static const char *const drawn_scalars[] = { "train/loss", "reward", NULL };
enum { SCALARS = 2 };

static void add_value(struct curve *c, int64_t step, double value)
{
	for (; step / c->width >= POINTS; c->width *= 2)
		for (int i = 0; i < POINTS; i++) {
			const int from = 2 * i;

			c->sum[i] = from < POINTS ? c->sum[from] + c->sum[from + 1] : 0;
			c->n[i] = from < POINTS ? c->n[from] + c->n[from + 1] : 0;
		}
	c->sum[step / c->width] += value;
	c->n[step / c->width]++;
	c->last = step > c->last ? step : c->last;
}

/* The curve of a tag "STAGE/SCALAR", made when it comes first; NULL: nobody draws it. */
static struct curve **curve_of(const struct account *a, struct curve **curves, const char *tag)
{
	for (int64_t i = 0; i < a->n; i++) {
		const size_t n = strlen(a->stages[i].name);

		if (strncmp(tag, a->stages[i].name, n) != 0 || tag[n] != '/')
			continue;
		for (int k = 0; drawn_scalars[k]; k++)
			if (strcmp(tag + n + 1, drawn_scalars[k]) == 0)
				return &curves[i * SCALARS + k];
	}
	return NULL;
}

static int take_event(const struct account *a, struct curve **curves, const struct rt_json *row,
                      struct rt_error *err)
{
	const char    *tag = rt_json_string(rt_json_get(row, "tag"));
	const int64_t  step = rt_json_int(rt_json_get(row, "step"), -1);
	const double   value = rt_json_real(rt_json_get(row, "value"), NAN);
	struct curve **c = tag && step >= 0 && isfinite(value) ? curve_of(a, curves, tag) : NULL;

	if (!c)
		return 0;
	if (!*c) {
		*c = rt_alloc(1, sizeof **c);
		if (!*c)
			return rt_fail_nomem(err, "a drawing");
		(*c)->width = 1;
	}
	add_value(*c, step, value);
	return 0;
}

static int read_events(const struct account *a, const char *path, struct curve **curves,
                       struct rt_error *err)
{
	struct rt_rows *rows;
	struct rt_json *row;
	int             r = rt_rows_open(&rows, path, 0, err);

	if (r < 0)
		return r;
	while ((r = rt_rows_next(rows, &row, err)) == 1) {
		r = take_event(a, curves, row, err);
		rt_json_free(row);
		if (r < 0)
			break;
	}
	rt_rows_close(rows);
	return r;
}

static void draw(const struct curve *c, const char *stage, const char *scalar, struct rt_text *out)
{
	struct axes axes = { 0, (double)(c->last / c->width + 1), 0, -INFINITY };
	int64_t     points = 0;

	for (int i = 0; i < POINTS; i++)
		if (c->n[i]) {
			axes.y0 = fmin(axes.y0, c->sum[i] / (double)c->n[i]);
			axes.y1 = fmax(axes.y1, c->sum[i] / (double)c->n[i]);
			points++;
		}
	if (points < 2)
		return;
	rt_text_printf(out, "<h3>%s</h3>\n", stage);
	frame(&axes, "steps", scalar, out);
	rt_text_printf(out,
	               "<text class=\"tick\" x=\"%d\" y=\"%d\">%lld</text>\n<path class=\"line\" "
	               "d=\"",
	               WIDTH - RIGHT, HEIGHT - BOTTOM + 16, (long long)c->last + 1);
	for (int i = 0, begun = 0; i < POINTS; i++)
		if (c->n[i])
			rt_text_printf(out, "%c%.1f %.1f", begun++ ? 'L' : 'M', px(&axes, i),
			               py(&axes, c->sum[i] / (double)c->n[i]));
	rt_text_add(out, "\"/>\n</svg>\n");
}

int account_curves(const struct account *a, struct rt_text *out, struct rt_error *err)
{
	char          *path = rt_asprintf("%s/%s/logs/events.jsonl", store_dir(a->store), a->name);
	struct curve **curves = rt_alloc((size_t)a->n * SCALARS + 1, sizeof(struct curve *));
	int            r = path && curves ? 0 : rt_fail_nomem(err, "drawings");

	if (r == 0 && rt_exists(path))
		r = read_events(a, path, curves, err);
	for (int64_t i = 0; curves && i < a->n * SCALARS; i++) {
		if (r == 0 && curves[i])
			draw(curves[i], a->stages[i / SCALARS].name, drawn_scalars[i % SCALARS],
			     out);
		rt_free(curves[i]);
	}
	rt_free(curves);
	rt_free(path);
	return r;
}
