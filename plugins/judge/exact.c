/* exact.c - judge-exact: is the answer one of the references, to the letter? */
#include <retort/judge.h>
#include <retort/row.h>

#include <stdio.h>
#include <string.h>

/* Why a call is not the reference, in few distinct words. */
static const char *difference(const struct rt_json *candidate, const struct rt_json *reference)
{
	const size_t n = rt_call_count(candidate), want = rt_call_count(reference);

	if (n == 0 && want == 0)
		return "other text";
	if (n == 0)
		return "text where a call was due";
	if (want == 0)
		return "a call where text was due";
	if (n != want)
		return n < want ? "a call is missing" : "a call too many";
	for (size_t i = 0; i < n; i++) {
		const char *a = rt_call_name(candidate, i), *b = rt_call_name(reference, i);

		if (!a || !b || strcmp(a, b) != 0)
			return "other function";
	}
	return "other arguments";
}

static int judge_one(void *state, const struct rt_json *row, const struct rt_json *candidate,
                     struct rt_verdict *v, struct rt_error *err)
{
	const struct rt_json *reference;
	struct rt_text        have = RT_TEXT_INIT, want = RT_TEXT_INIT;
	bool                  equal = false;

	(void)state;
	if (!rt_row_reference(row, 0))
		return rt_row_no_reference(row, err);
	rt_answer_text(candidate, &have);
	for (size_t i = 0; !equal && (reference = rt_row_reference(row, i)); i++) {
		rt_text_clear(&want);
		rt_answer_text(reference, &want);
		equal = have.len == want.len && memcmp(have.data, want.data, have.len) == 0 &&
		        (rt_call_count(candidate) > 0) == (rt_call_count(reference) > 0);
	}
	*v = (struct rt_verdict){ .score = equal };
	if (!equal)
		snprintf(v->reason, sizeof v->reason, "%s",
		         difference(candidate, rt_row_reference(row, 0)));
	equal = have.failed || want.failed;
	rt_text_free(&have);
	rt_text_free(&want);
	return equal ? rt_fail(err, RT_E_NOMEM, "out of memory for an answer") : 0;
}

static int judge(void *state, const struct rt_group *groups, int64_t n, struct rt_verdict *verdicts,
                 struct rt_error *err)
{
	return rt_judge_each(judge_one, state, groups, n, verdicts, err);
}

static const struct rt_judge_ops ops = { .size = sizeof ops, .judge = judge };

RT_PLUGIN(judge_exact, JUDGE, .name = "exact", .version = "1.0", .license = "Apache-2.0",
          .summary = "1 when the answer equals a reference: the same calls with equal arguments, "
                     "or the same text.",
          .ops.judge = &ops);
