/* call-match.c - judge-call-match: how similar are the calls to the reference's?
 *
 * The graded reward of STAR (Ni et al. 2026, arXiv 2602.03022, eq. 7 and 8):
 *     R = sum over matched calls of sim / (predicted calls + unmatched reference calls)
 *     sim(p, g) = sum over shared keys of s(p_k, g_k) / keys in either     (1 if both have none)
 * Calls are matched by name, in the order predicted, each reference call once.  s compares
 * text by ROUGE-L F1 (Lin 2004: longest common subsequence of words), numbers, truth
 * values and null by equality, anything else by its canonical JSON.  Text answers are compared
 * by ROUGE-L, too; what words are is said in words.h. */
#include "words.h"

#include <retort/judge.h>
#include <retort/row.h>

#include <stdio.h>
#include <string.h>

enum { MAX_CALLS = 256 };

struct state {
	struct words_room room;
};

static double rouge_l(struct state *st, const char *x, const char *y)
{
	return words_rouge_l(&st->room, x, y);
}

static double similarity(struct state *st, const struct rt_json *x, const struct rt_json *y)
{
	struct rt_text a = RT_TEXT_INIT, b = RT_TEXT_INIT;
	double         s;

	if (rt_json_is(x, RT_JSON_STRING) && rt_json_is(y, RT_JSON_STRING))
		return rouge_l(st, rt_json_string(x), rt_json_string(y));
	if (rt_json_equal(x, y))
		return 1;
	if (rt_json_is(x, RT_JSON_STRING))
		rt_text_add(&a, rt_json_string(x));
	else
		rt_json_print(x, RT_JSON_SORT, &a);
	if (rt_json_is(y, RT_JSON_STRING))
		rt_text_add(&b, rt_json_string(y));
	else
		rt_json_print(y, RT_JSON_SORT, &b);
	s = a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
	rt_text_free(&a);
	rt_text_free(&b);
	return s;
}

static double call_similarity(struct state *st, const struct rt_json *p, const struct rt_json *g)
{
	size_t either = rt_json_length(g);
	double sum = 0;

	for (struct rt_json_iter i = rt_json_first(p); i.key; rt_json_next(&i)) {
		const struct rt_json *other = rt_json_get(g, i.key);

		if (other)
			sum += similarity(st, i.value, other);
		else
			either++;
	}
	return either == 0 ? 1 : sum / (double)either;
}

static double calls_score(struct state *st, const struct rt_json *candidate,
                          const struct rt_json *reference)
{
	const size_t n = rt_call_count(candidate), m = rt_call_count(reference);
	bool         taken[MAX_CALLS] = { false };
	size_t       matched = 0;
	double       sum = 0;

	for (size_t i = 0; i < n && i < MAX_CALLS; i++)
		for (size_t k = 0; k < m && k < MAX_CALLS; k++) {
			const char *a = rt_call_name(candidate, i), *b = rt_call_name(reference, k);

			if (taken[k] || !a || !b || strcmp(a, b) != 0)
				continue;
			taken[k] = true;
			matched++;
			sum += call_similarity(st, rt_call_arguments(candidate, i),
			                       rt_call_arguments(reference, k));
			break;
		}
	return n + m - matched == 0 ? 1 : sum / (double)(n + m - matched);
}

static double score(struct state *st, const struct rt_json *candidate,
                    const struct rt_json *reference)
{
	const char *x = rt_json_string(rt_json_get(candidate, "content"));
	const char *y = rt_json_string(rt_json_get(reference, "content"));

	if (rt_call_count(candidate) == 0 && rt_call_count(reference) == 0)
		return rouge_l(st, x ? x : "", y ? y : "");
	return calls_score(st, candidate, reference);
}

static int judge_one(void *state, const struct rt_json *row, const struct rt_json *candidate,
                     struct rt_verdict *v, struct rt_error *err)
{
	const struct rt_json *reference;
	double                best = -1;

	for (size_t i = 0; (reference = rt_row_reference(row, i)); i++) {
		const double s = score(state, candidate, reference);

		if (s > best)
			best = s;
	}
	if (best < 0)
		return rt_row_no_reference(row, err);
	*v = (struct rt_verdict){ .score = best };
	if (best < 1)
		snprintf(v->reason, sizeof v->reason, "%s",
		         best == 0    ? "nothing matches"
		         : best < 0.5 ? "less than half matches"
		                      : "a part differs");
	return 0;
}

static int judge(void *state, const struct rt_group *groups, int64_t n, struct rt_verdict *verdicts,
                 struct rt_error *err)
{
	return rt_judge_each(judge_one, state, groups, n, verdicts, err);
}

static const struct rt_judge_ops ops = { .size = sizeof ops, .judge = judge };

RT_PLUGIN(judge_call_match, JUDGE, .name = "call-match", .version = "1.0", .license = "Apache-2.0",
          .summary = "Graded similarity of calls and text to the nearest reference (STAR, Ni 2026, "
                     "eq. 7 and 8).",
          .state_size = sizeof(struct state), .ops.judge = &ops);
