/* metrics.c - see retort/metrics.h */
#include <retort/metrics.h>

#include <retort/file.h>
#include <retort/memory.h>

#include <math.h>

/* The 97.5 % point of the standard normal distribution. */
#define Z 1.959963984540054

static int add(struct rt_json *m, const char *name, double value, int64_t n, double low,
               double high)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_json_set(o, "value", rt_json_new_real(value));
		r |= rt_json_set(o, "n", rt_json_new_int(n));
	}
	if (r == 0 && !isnan(low)) {
		r |= rt_json_set(o, "low", rt_json_new_real(low));
		r |= rt_json_set(o, "high", rt_json_new_real(high));
	}
	if (r < 0) {
		rt_json_free(o);
		return RT_E_NOMEM;
	}
	return rt_json_set(m, name, o);
}

int rt_metric(struct rt_json *m, const char *name, double value, int64_t n)
{
	return add(m, name, value, n, NAN, NAN);
}

static void wilson(double p, double n, double *low, double *high)
{
	const double z2 = Z * Z / n, center = (p + z2 / 2) / (1 + z2);
	const double half = Z * sqrt(p * (1 - p) / n + z2 / (4 * n)) / (1 + z2);

	*low = p <= 0 ? 0 : center - half;
	*high = p >= 1 ? 1 : fmin(1, center + half);
}

void rt_wilson(int64_t successes, int64_t n, double *low, double *high)
{
	wilson((double)successes / (double)n, (double)n, low, high);
}

int rt_metric_rate(struct rt_json *m, const char *name, int64_t successes, int64_t n)
{
	double low, high;

	if (n == 0)
		return 0;
	rt_wilson(successes, n, &low, &high);
	return add(m, name, (double)successes / (double)n, n, low, high);
}

int rt_metric_mean(struct rt_json *m, const char *name, double sum, double squares, int64_t n)
{
	const double mean = n > 0 ? sum / (double)n : 0;
	double       variance, half;

	if (n == 0)
		return 0;
	if (n == 1)
		return rt_metric(m, name, mean, n);
	variance = fmax(0, (squares - sum * mean) / (double)(n - 1));
	half = Z * sqrt(variance / (double)n);
	return add(m, name, mean, n, mean - half, mean + half);
}

/* Of the mean p of n values within 0..1: Wilson's, of as many yeses and noes as make it as sure. */
static void bounds(double p, double variance, double n, double *low, double *high)
{
	const double most = p * (1 - p);

	wilson(p, most > 0 ? n / fmin(1, fmax(variance / most, 1 / n)) : n, low, high);
}

static double within(double low, double x, double high)
{
	return isnan(x) ? x : fmin(high, fmax(low, x));
}

int rt_metric_score(struct rt_json *m, const char *name, double sum, double squares, int64_t n)
{
	const double N = (double)n, p = n > 0 ? within(0, sum / N, 1) : 0;
	double       low, high;

	if (n == 0)
		return 0;
	bounds(p, squares / N - p * p, N, &low, &high);
	return add(m, name, p, n, low, high);
}

int rt_metric_difference(struct rt_json *m, const char *name, double sum, double squares, int64_t n)
{
	const double N = (double)n, d = n > 0 ? within(-1, sum / N, 1) : 0;
	double       low, high;

	if (n == 0)
		return 0;
	/* (1 + difference) / 2 is within 0..1, and has a quarter of the variance. */
	bounds((1 + d) / 2, (squares / N - d * d) / 4, N, &low, &high);
	return add(m, name, d, n, 2 * low - 1, 2 * high - 1);
}

int rt_metrics_write(const struct rt_json *m, const char *dir, struct rt_error *err)
{
	char *path = rt_path_join(dir, "metrics.json");
	int r = path ? rt_json_write(m, RT_JSON_INDENT, path, err) : rt_fail_nomem(err, "metrics");

	rt_free(path);
	return r;
}
