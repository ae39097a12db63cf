/* jsonl.c - tracker-jsonl: one JSON object a line, for jq, pandas and spreadsheets.
 *
 *   {"time":1767225600.5,"tag":"student/train/loss","step":40,"value":1.2345}
 *   {"time":1767225601.0,"stage":"student","event":"done","fields":{"seconds":12.5}}
 *
 * A later run of the same pipeline appends. */
#include <retort/file.h>
#include <retort/memory.h>
#include <retort/tracker.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct config {
	const char *file;
};

struct state {
	const char *name;
	char       *path;
	FILE       *out;
};

static const struct rt_param params[] = { RT_PARAM_STRING(
						  struct config, file, "events.jsonl",
						  "Name of the file in the run's logs folder."),
	                                  RT_PARAM_END };

static int check(const void *config, struct rt_error *err)
{
	const char *file = ((const struct config *)config)->file;

	if (!*file || strchr(file, '/'))
		return rt_fail(err, RT_E_RANGE, "file = \"%s\" must be a plain name", file);
	return 0;
}

/* A crash may have cut the last line short: end it, so that the next one stands alone. */
static int end_torn_line(struct state *st, struct rt_error *err)
{
	char c = '\n';

	if (fseek(st->out, -1, SEEK_END) == 0 && fread(&c, 1, 1, st->out) != 1)
		return rt_fail_errno(err, "cannot read %s", st->path);
	if (fseek(st->out, 0, SEEK_END) != 0 || (c != '\n' && fputc('\n', st->out) == EOF))
		return rt_fail_errno(err, "cannot write %s", st->path);
	return 0;
}

static int begin(void *state, const char *dir, const char *pipeline, bool resumed,
                 struct rt_error *err)
{
	struct state *st = state;
	int           fd;

	(void)pipeline, (void)resumed;
	st->path = rt_path_join(dir, st->name);
	if (!st->path)
		return rt_fail_nomem(err, "a path");
	fd = open(st->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	st->out = fd < 0 ? NULL : fdopen(fd, "a+");
	if (!st->out) {
		rt_fail_errno(err, "cannot open %s", st->path);
		if (fd >= 0)
			close(fd);
		return RT_E_IO;
	}
	return end_torn_line(st, err);
}

static int put(struct state *st, struct rt_json *line, struct rt_error *err)
{
	struct rt_text t = RT_TEXT_INIT;
	int            r = 0;

	rt_json_print(line, 0, &t);
	rt_text_add_char(&t, '\n');
	if (t.failed)
		r = rt_fail_nomem(err, "a line");
	else if (fwrite(t.data, 1, t.len, st->out) != t.len)
		r = rt_fail_errno(err, "cannot write %s", st->path);
	rt_text_free(&t);
	return r;
}

static int scalar(void *state, double time, const char *tag, int64_t step, double value,
                  struct rt_error *err)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_json_set(o, "time", rt_json_new_real(time));
		r |= rt_json_set(o, "tag", rt_json_new_string(tag));
		r |= rt_json_set(o, "step", rt_json_new_int(step));
		r |= rt_json_set(o, "value", rt_json_new_real(value));
	}
	r = r < 0 ? rt_fail_nomem(err, "a line") : put(state, o, err);
	rt_json_free(o);
	return r;
}

static int event(void *state, double time, const char *stage, const char *name,
                 const struct rt_json *fields, struct rt_error *err)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_json_set(o, "time", rt_json_new_real(time));
		r |= rt_json_set(o, "stage", rt_json_new_string(stage));
		r |= rt_json_set(o, "event", rt_json_new_string(name));
		if (fields)
			r |= rt_json_set(o, "fields", rt_json_ref(fields));
	}
	r = r < 0 ? rt_fail_nomem(err, "a line") : put(state, o, err);
	rt_json_free(o);
	return r;
}

static int flush(void *state, struct rt_error *err)
{
	struct state *st = state;

	if (fflush(st->out) != 0 || fsync(fileno(st->out)) != 0)
		return rt_fail_errno(err, "cannot write %s", st->path);
	return 0;
}

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	(void)c, (void)err;
	((struct state *)state)->name = ((const struct config *)config)->file;
	return 0;
}

static void close_(void *state)
{
	struct state *st = state;

	if (st->out)
		fclose(st->out);
	rt_free(st->path);
}

static const struct rt_tracker_ops ops = {
	.size = sizeof ops, .begin = begin, .scalar = scalar, .event = event, .flush = flush
};

RT_PLUGIN(tracker_jsonl, TRACKER, .name = "jsonl", .version = "1.0", .license = "Apache-2.0",
          .summary = "Scalars and events as JSON Lines in the run's logs folder.",
          .config_size = sizeof(struct config), .params = params,
          .state_size = sizeof(struct state), .check = check, .open = open_, .close = close_,
          .ops.tracker = &ops);
