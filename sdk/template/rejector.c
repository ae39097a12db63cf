/* @KIND@-@NAME@.c - the best candidates of a row stay. */
#include <retort/rejector.h>

struct config {
	int64_t count;
};

static const struct rt_param params[] = {
	RT_PARAM_INT(struct config, count, 1, 1, 1000, "candidates", "How many stay."),
	RT_PARAM_END
};

/* How many are better: a higher score, or the same and earlier. */
static int64_t rank(const double *scores, int64_t n, int64_t i)
{
	int64_t better = 0;

	for (int64_t k = 0; k < n; k++)
		better += scores[k] > scores[i] || (scores[k] == scores[i] && k < i);
	return better;
}

static int select_(void *state, const struct rt_group *group, const double *scores, bool *keep,
                   struct rt_error *err)
{
	const struct config *c = state;

	(void)err;
	for (int64_t i = 0; i < group->n; i++)
		keep[i] = rank(scores, group->n, i) < c->count;
	return 0;
}

static const struct rt_rejector_ops ops = { .size = sizeof ops, .select = select_ };

RT_PLUGIN(@KIND@_@ID@, @KINDUP@,
          .name = "@NAME@", .version = "0.1", .license = "Apache-2.0",
          .summary = "Keeps the best candidates of each row.",
          .config_size = sizeof(struct config), .params = params, .ops.rejector = &ops);
