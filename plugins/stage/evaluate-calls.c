/* evaluate-calls.c - see evaluate-calls.h */
#include "evaluate-calls.h"

#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/row.h>

#include <stdlib.h>
#include <string.h>

enum { MAX_CALLS = 256 };

/* [hits, of] under a key. */
static int count(struct rt_json *counts, char *key, bool hit)
{
	struct rt_json *pair = key ? rt_json_get(counts, key) : NULL;
	int             r = key ? 0 : RT_E_NOMEM;

	if (r == 0 && !pair) {
		pair = rt_json_new_array();
		r |= rt_json_append(pair, rt_json_new_int(0));
		r |= rt_json_append(pair, rt_json_new_int(0));
		r |= rt_json_set(counts, key, pair);
	}
	if (r == 0) {
		r |= rt_json_replace(pair, 0,
		                     rt_json_new_int(rt_json_int(rt_json_at(pair, 0), 0) + hit));
		r |= rt_json_replace(pair, 1,
		                     rt_json_new_int(rt_json_int(rt_json_at(pair, 1), 0) + 1));
	}
	rt_free(key);
	return r;
}

/* One argument: of all, of its function, and by its name. */
static int count_argument(struct rt_json *counts, const char *what, const char *function,
                          const char *name, bool hit)
{
	int r = count(counts, rt_strdup(what), hit);

	r |= count(counts, rt_asprintf("%s/%s", what, function), hit);
	return r | count(counts, rt_asprintf("%s/%s.%s", what, function, name), hit);
}

/* The arguments of call i of one message, held against those of its pair in the other. */
static int count_arguments(struct rt_json *counts, const char *what, const struct rt_json *message,
                           size_t i, const struct rt_json *other)
{
	const char *name = rt_call_name(message, i);
	int         r = 0;

	for (struct rt_json_iter a = rt_json_first(rt_call_arguments(message, i)); a.key;
	     rt_json_next(&a)) {
		const struct rt_json *same = rt_json_get(other, a.key);

		r |= count_argument(counts, what, name ? name : "?", a.key,
		                    same && rt_json_equal(a.value, same));
	}
	return r;
}

/* pair[i]: the call of b that call i of a goes with, or -1.  The number of pairs. */
static size_t pair_calls(const struct rt_json *a, const struct rt_json *b, int pair[MAX_CALLS])
{
	const size_t n = rt_call_count(a), m = rt_call_count(b);
	bool         taken[MAX_CALLS] = { false };
	size_t       pairs = 0;

	for (size_t i = 0; i < n && i < MAX_CALLS; i++) {
		const char *name = rt_call_name(a, i);

		pair[i] = -1;
		for (size_t k = 0; k < m && k < MAX_CALLS && pair[i] < 0; k++) {
			const char *other = rt_call_name(b, k);

			if (!taken[k] && name && other && strcmp(name, other) == 0) {
				taken[k] = true;
				pair[i] = (int)k;
				pairs++;
			}
		}
	}
	return pairs;
}

static int count_side(struct rt_json *counts, const char *what, const struct rt_json *message,
                      const struct rt_json *other)
{
	int pair[MAX_CALLS], r = 0;

	pair_calls(message, other, pair);
	for (size_t i = 0; i < rt_call_count(message) && i < MAX_CALLS; i++)
		r |= count_arguments(counts, what, message, i,
		                     pair[i] < 0 ? NULL
		                                 : rt_call_arguments(other, (size_t)pair[i]));
	return r;
}

static const char *first_name(const struct rt_json *message)
{
	const char *name = rt_call_count(message) ? rt_call_name(message, 0) : NULL;

	return name ? name : "-";
}

int calls_count(struct rt_json *counts, const struct rt_json *answer,
                const struct rt_json *reference)
{
	const size_t n = rt_call_count(answer), m = rt_call_count(reference);
	int          pair[MAX_CALLS], r = 0;

	if (n + m == 0) /* text on both sides is not about functions */
		return 0;
	r |= count(counts, rt_strdup("name"), n == m && pair_calls(answer, reference, pair) == n);
	r |= count_side(counts, "precision", answer, reference);
	r |= count_side(counts, "recall", reference, answer);
	r |= count(counts,
	           rt_asprintf("confusion/%s/%s", first_name(reference), first_name(answer)), true);
	return r;
}

/* How often F was due first, whatever was called. */
static int64_t due(const struct rt_json *counts, const char *key)
{
	const size_t n = (size_t)(strrchr(key, '/') - key) + 1;
	int64_t      sum = 0;

	for (struct rt_json_iter i = rt_json_first(counts); i.key; rt_json_next(&i))
		if (strncmp(i.key, key, n) == 0 && strchr(i.key + n, '/') == NULL)
			sum += rt_json_int(rt_json_at(i.value, 1), 0);
	return sum;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int calls_report(const struct rt_json *counts, struct rt_json *metrics)
{
	const size_t n = rt_json_length(counts);
	const char **keys = rt_alloc(n + 1, sizeof *keys);
	size_t       k = 0;
	int          r = keys ? 0 : RT_E_NOMEM;

	for (struct rt_json_iter i = rt_json_first(counts); keys && i.key; rt_json_next(&i))
		keys[k++] = i.key;
	if (keys)
		qsort(keys, k, sizeof *keys, by_bytes);
	for (size_t i = 0; r == 0 && i < k; i++) {
		const struct rt_json *pair = rt_json_get(counts, keys[i]);
		const bool            confusion = strncmp(keys[i], "confusion/", 10) == 0;

		r = rt_metric_rate(metrics, keys[i], rt_json_int(rt_json_at(pair, 0), 0),
		                   confusion ? due(counts, keys[i])
		                             : rt_json_int(rt_json_at(pair, 1), 0));
	}
	rt_free(keys);
	return r;
}
