/* @KIND@-@NAME@.c - is the answer short enough? */
#include <retort/judge.h>
#include <retort/row.h>

#include <stdio.h>

struct config {
	int64_t most;
};

static const struct rt_param params[] = {
	RT_PARAM_INT(struct config, most, 2000, 1, 1000000, "bytes", "The longest answer that scores 1."),
	RT_PARAM_END
};

static int judge_one(void *state, const struct rt_json *row, const struct rt_json *candidate, struct rt_verdict *v,
                     struct rt_error *err)
{
	const struct config *c = state;
	struct rt_text       text = RT_TEXT_INIT;
	int                  r = 0;

	(void)row;
	rt_answer_text(candidate, &text);
	*v = (struct rt_verdict){ .score = 1 };
	if (text.failed)
		r = rt_fail_nomem(err, "an answer");
	else if ((int64_t)text.len > c->most) {
		v->score = (double)c->most / (double)text.len;
		snprintf(v->reason, sizeof v->reason, "too long");
	}
	rt_text_free(&text);
	return r;
}

static int judge(void *state, const struct rt_group *groups, int64_t n, struct rt_verdict *verdicts,
                 struct rt_error *err)
{
	return rt_judge_each(judge_one, state, groups, n, verdicts, err);
}

static const struct rt_judge_ops ops = { .size = sizeof ops, .judge = judge };

RT_PLUGIN(@KIND@_@ID@, @KINDUP@,
          .name = "@NAME@", .version = "0.1", .license = "Apache-2.0",
          .summary = "1 for an answer that is short enough, less the longer it is.",
          .config_size = sizeof(struct config), .params = params, .ops.judge = &ops);
