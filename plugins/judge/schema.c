/* schema.c - judge-schema: are the calls of an answer ones that the tools allow? */
#include <retort/judge.h>
#include <retort/row.h>
#include <retort/schema.h>

#include <stdio.h>

struct config {
	const char *tools;
	bool        call_required;
};

struct state {
	struct rt_json *tools; /* NULL: each row has its own */
	bool            call_required;
};

static const struct rt_param params[] = {
	RT_PARAM_PATH(struct config, tools, NULL,
	              "JSON list of tools; without it, each row's own `tools` count."),
	RT_PARAM_BOOL(struct config, call_required, true,
	              "Whether an answer without any call is wrong."),
	RT_PARAM_END
};

static void say(struct rt_verdict *v, double score, const char *reason)
{
	v->score = score;
	snprintf(v->reason, sizeof v->reason, "%s", reason);
}

/* 1 when call i is fine, 0 when not and *v says why, negative for a bad schema. */
static int check_call(const struct rt_json *tools, const struct rt_json *candidate, size_t i,
                      struct rt_verdict *v, struct rt_error *err)
{
	const char           *name = rt_call_name(candidate, i);
	const struct rt_json *arguments = rt_call_arguments(candidate, i);
	const struct rt_json *tool = name ? rt_tool_find(tools, name) : NULL;
	char                  why[100];
	int                   r;

	if (!tool) {
		say(v, 0, "no such function");
		return 0;
	}
	if (!rt_json_is(arguments, RT_JSON_OBJECT)) {
		say(v, 0, "arguments are no JSON object");
		return 0;
	}
	if (!rt_json_get(tool, "parameters"))
		return 1;
	r = rt_schema_fits(rt_json_get(tool, "parameters"), arguments, why, sizeof why, err);
	if (r == 0)
		say(v, 0, why);
	return r < 0 ? rt_within(err, r, "tool %s", name) : r;
}

static int judge_one(void *state, const struct rt_json *row, const struct rt_json *candidate,
                     struct rt_verdict *v, struct rt_error *err)
{
	const struct state   *st = state;
	const struct rt_json *tools = st->tools ? st->tools : rt_json_get(row, "tools");
	const size_t          n = rt_call_count(candidate);
	int                   r = 1;

	say(v, 1, "");
	if (!tools) {
		const char *id = rt_json_string(rt_json_get(row, "id"));

		return rt_fail(err, RT_E_FORMAT,
		               "row '%s' has no tools; name a file with tools = \"...\"",
		               id ? id : "?");
	}
	if (n == 0 && st->call_required)
		say(v, 0, "no call");
	for (size_t i = 0; r == 1 && i < n; i++)
		r = check_call(tools, candidate, i, v, err);
	return r < 0 ? r : 0;
}

static int judge(void *state, const struct rt_group *groups, int64_t n, struct rt_verdict *verdicts,
                 struct rt_error *err)
{
	return rt_judge_each(judge_one, state, groups, n, verdicts, err);
}

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	const struct config *cfg = config;
	struct state        *st = state;
	int                  r;

	(void)c;
	st->call_required = cfg->call_required;
	if (!cfg->tools)
		return 0;
	r = rt_tools_read(cfg->tools, &st->tools, err);
	return r < 0 ? r : rt_schema_check_tools(st->tools, cfg->tools, err);
}

static void close_(void *state)
{
	rt_json_free(((struct state *)state)->tools);
}

static const struct rt_judge_ops ops = { .size = sizeof ops, .judge = judge };

RT_PLUGIN(judge_schema, JUDGE, .name = "schema", .version = "1.0", .license = "Apache-2.0",
          .summary = "1 when every call names a tool and its arguments fit the tool's JSON Schema.",
          .config_size = sizeof(struct config), .params = params,
          .state_size = sizeof(struct state), .open = open_, .close = close_, .ops.judge = &ops);
