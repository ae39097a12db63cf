/* @KIND@-@NAME@.c - is the answer short enough? */
#include <retort/judge.h>
#include <retort/row.h>

#include <stdio.h>

struct config {
	int64_t most;
};

struct state {
	int64_t most;
};

static const struct rt_param params[] = {
	RT_PARAM_INT(struct config, most, 2000, 1, 1000000, "bytes", "The longest answer that scores 1."),
	RT_PARAM_END
};

static int judge_one(int64_t most, const struct rt_json *candidate, struct rt_verdict *v, struct rt_error *err)
{
	struct rt_text text = RT_TEXT_INIT;
	int            r = 0;

	rt_answer_text(candidate, &text);
	*v = (struct rt_verdict){ .score = 1 };
	if (text.failed)
		r = rt_fail_nomem(err, "an answer");
	else if ((int64_t)text.len > most) {
		v->score = (double)most / (double)text.len;
		snprintf(v->reason, sizeof v->reason, "too long");
	}
	rt_text_free(&text);
	return r;
}

static int judge(void *state, const struct rt_group *groups, int64_t n, struct rt_verdict *verdicts,
                 struct rt_error *err)
{
	const struct state *s = state;
	int                 r = 0;

	for (int64_t g = 0; r == 0 && g < n; g++)
		for (int64_t i = 0; r == 0 && i < groups[g].n; i++)
			r = judge_one(s->most, groups[g].candidates[i], verdicts++, err);
	return r;
}

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	(void)c, (void)err;
	((struct state *)state)->most = ((const struct config *)config)->most;
	return 0;
}

static const struct rt_judge_ops ops = { .size = sizeof ops, .judge = judge };

RT_PLUGIN(@KIND@_@ID@, @KINDUP@,
          .name = "@NAME@", .version = "0.1", .license = "Apache-2.0",
          .summary = "1 for an answer that is short enough, less the longer it is.",
          .config_size = sizeof(struct config), .params = params, .state_size = sizeof(struct state),
          .open = open_, .ops.judge = &ops);
