/* retort/metrics.h - figures with what they were measured on, and how sure they are.
 *
 *     m = rt_json_new_object();
 *     r |= rt_metric_rate(m, "exact", 612, 700);
 *     r |= rt_metrics_write(m, out[0], err); */
#ifndef RETORT_METRICS_H
#define RETORT_METRICS_H

#include <retort/json.h>

#include <stdint.h>

/* A figure without an interval: a count, a size.  A stage whose figures are not all finite fails:
 * leave out what is not known.  0 or RT_E_NOMEM, as all of them. */
int rt_metric(struct rt_json *m, const char *name, double value, int64_t n);

/* `successes` of n, with Wilson's 95 % score interval (Wilson 1927). n 0: left out. */
int rt_metric_rate(struct rt_json *m, const char *name, int64_t successes, int64_t n);

/* The mean of n values from their sum and sum of squares, with the normal 95 % interval; the
 * values are counted on in double. n 0: left out; n 1: no interval. */
int rt_metric_mean(struct rt_json *m, const char *name, double sum, double squares, int64_t n);

/* The same of scores within 0..1, with an interval that stays there: Wilson's, of as many yeses and
 * noes as would make the mean as sure.  Their variance is at most p (1 - p), what yes and no have;
 * where it is f times that, n / f in place of n, f at least 1 / n.  All 0 or all 1: that of n. */
int rt_metric_score(struct rt_json *m, const char *name, double sum, double squares, int64_t n);

/* The same of differences of such scores, which are within -1..1: no differences at all among n do
 * not say that there are none. */
int rt_metric_difference(struct rt_json *m, const char *name, double sum, double squares,
                         int64_t n);

/* Bounds of Wilson's interval; n > 0. */
void rt_wilson(int64_t successes, int64_t n, double *low, double *high);

/* dir/metrics.json, atomically. */
int rt_metrics_write(const struct rt_json *m, const char *dir, struct rt_error *err);

#endif
