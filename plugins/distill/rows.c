/* rows.c - see rows.h */
#include "rows.h"

#include <math.h>

int distill_check_row(const struct rt_distill_rows *rows, int64_t r, struct rt_error *err)
{
	const int64_t n = rows->teacher ? rows->V : rows->K;
	const float  *t = rows->teacher ? rows->teacher + r * n : rows->top_logprob + r * n;

	for (int64_t v = 0; v < rows->V; v++)
		if (!isfinite(rows->student[r * rows->V + v]))
			return rt_fail(err, RT_E_NUMERIC,
			               "row %lld: the student's logit %lld is not finite",
			               (long long)r, (long long)v);
	for (int64_t i = 0; i < n; i++)
		if (isnan(t[i]) || (isinf(t[i]) && t[i] > 0))
			return rt_fail(err, RT_E_NUMERIC,
			               "row %lld: the teacher's value %lld is not finite",
			               (long long)r, (long long)i);
	for (int64_t k = 0; !rows->teacher && k < n; k++)
		if (rows->top_id[r * n + k] < 0 || rows->top_id[r * n + k] >= rows->V)
			return rt_fail(err, RT_E_RANGE, "row %lld: token %d is not among %lld",
			               (long long)r, (int)rows->top_id[r * n + k],
			               (long long)rows->V);
	return 0;
}
