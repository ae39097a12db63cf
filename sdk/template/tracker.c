/* @KIND@-@NAME@.c - scalars as comma-separated values, for spreadsheets. */
#include <retort/file.h>
#include <retort/memory.h>
#include <retort/tracker.h>

#include <stdio.h>
#include <unistd.h>

struct state {
	FILE *out;
};

static int begin(void *state, const char *dir, const char *pipeline, bool resumed, struct rt_error *err)
{
	struct state *s = state;
	char         *path = rt_path_join(dir, "@NAME@.csv");

	(void)pipeline, (void)resumed;
	if (!path)
		return rt_fail_nomem(err, "a path");
	s->out = fopen(path, "a");
	if (!s->out) {
		const int r = rt_fail_errno(err, "cannot open %s", path);

		rt_free(path);
		return r;
	}
	rt_free(path);
	if (ftell(s->out) == 0)
		fputs("time,tag,step,value\n", s->out);
	return 0;
}

static int report(struct state *s, struct rt_error *err)
{
	return ferror(s->out) ? rt_fail_errno(err, "cannot write the scalars") : 0;
}

static int scalar(void *state, double time, const char *tag, int64_t step, double value, struct rt_error *err)
{
	struct state *s = state;

	fprintf(s->out, "%.3f,%s,%lld,%.9g\n", time, tag, (long long)step, value);
	return report(s, err);
}

/* A table of scalars has no place for events. */
static int event(void *state, double time, const char *stage, const char *name, const struct rt_json *fields,
                 struct rt_error *err)
{
	(void)state, (void)time, (void)stage, (void)name, (void)fields, (void)err;
	return 0;
}

static int flush(void *state, struct rt_error *err)
{
	struct state *s = state;

	if (fflush(s->out) != 0 || fsync(fileno(s->out)) != 0)
		return rt_fail_errno(err, "cannot write the scalars");
	return 0;
}

static void close_(void *state)
{
	struct state *s = state;

	if (s->out)
		fclose(s->out);
}

static const struct rt_tracker_ops ops = {
	.size = sizeof ops, .begin = begin, .scalar = scalar, .event = event, .flush = flush
};

RT_PLUGIN(@KIND@_@ID@, @KINDUP@,
          .name = "@NAME@", .version = "0.1", .license = "Apache-2.0",
          .summary = "Scalars as comma-separated values.",
          .state_size = sizeof(struct state), .close = close_, .ops.tracker = &ops);
