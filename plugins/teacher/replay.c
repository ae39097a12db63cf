/* replay.c - teacher-replay: answers as a teacher did when it was recorded.
 *
 * A line of the file is { "id":, "request":, "reply": }, as teacher-openai records them.  A request
 * gets the reply that was recorded for the same row and an equal request; else the first one for an
 * equal request, since ids change when rows are imported anew, and only tell apart rows that say
 * the same.  Equal are requests whose JSON is, in whatever order its keys stand. */
#include <retort/hash.h>
#include <retort/memory.h>
#include <retort/rows.h>
#include <retort/teacher.h>

#include <stdio.h>
#include <string.h>

struct config {
	const char *path;
};

struct state {
	const char        *path;
	struct rt_context *context;
	struct rt_json    *by_row, *by_request; /* digest -> reply */
};

static const struct rt_param params[] = {
	RT_PARAM_PATH(struct config, path, NULL,
	              "JSON Lines of requests and replies, as teacher-openai records them.",
	              .flags = RT_P_REQUIRED),
	RT_PARAM_END
};

/* Digests of a request for a row, and of the request alone. */
static int digest(const char *id, const struct rt_json *request, char row[RT_HASH_HEX],
                  char alone[RT_HASH_HEX])
{
	struct rt_text t = RT_TEXT_INIT;
	struct rt_hash h;
	const bool     good = (rt_json_print(request, RT_JSON_SORT, &t), !t.failed);

	if (good) {
		rt_hash_hex(t.data, t.len, alone);
		rt_hash_init(&h);
		rt_hash_add(&h, id ? id : "", strlen(id ? id : "") + 1);
		rt_hash_add(&h, t.data, t.len);
		rt_hash_end_hex(&h, row);
	}
	rt_text_free(&t);
	return good ? 0 : RT_E_NOMEM;
}

/* The first one stays. */
static int put(struct rt_json *map, const char *key, const struct rt_json *reply)
{
	return rt_json_get(map, key) ? 0 : rt_json_set(map, key, rt_json_ref(reply));
}

static int add(struct state *st, const struct rt_json *line, int64_t number, struct rt_error *err)
{
	const struct rt_json *request = rt_json_get(line, "request"),
			     *reply = rt_json_get(line, "reply");
	char row[RT_HASH_HEX], alone[RT_HASH_HEX];
	int  r;

	if (!rt_json_is(rt_json_get(request, "messages"), RT_JSON_ARRAY) ||
	    !rt_json_is(rt_json_get(reply, "choices"), RT_JSON_ARRAY))
		return rt_fail(
			err, RT_E_FORMAT,
			"%s:%lld: this is no record, want { \"id\":, \"request\": { \"messages\": "
			"[...] }, \"reply\": { \"choices\": [...] } }",
			st->path, (long long)number);
	r = digest(rt_json_string(rt_json_get(line, "id")), request, row, alone);
	if (r == 0)
		r = put(st->by_row, row, reply);
	if (r == 0)
		r = put(st->by_request, alone, reply);
	return r < 0 ? rt_fail_nomem(err, "records") : 0;
}

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	struct state   *st = state;
	struct rt_rows *lines = NULL;
	struct rt_json *line;
	int             r;

	st->path = ((const struct config *)config)->path;
	st->context = c;
	st->by_row = rt_json_new_object();
	st->by_request = rt_json_new_object();
	if (!st->by_row || !st->by_request)
		return rt_fail_nomem(err, "records");
	r = rt_rows_open(&lines, st->path, 0, err);
	while (r >= 0 && (r = rt_rows_next(lines, &line, err)) == 1) {
		r = add(st, line, rt_rows_line(lines), err);
		rt_json_free(line);
	}
	rt_rows_close(lines);
	return r;
}

static void close_(void *state)
{
	struct state *st = state;

	rt_json_free(st->by_row);
	rt_json_free(st->by_request);
}

static int chat(void *state, const struct rt_teacher_request *requests, int64_t n,
                rt_reply_fn *reply, void *arg, struct rt_error *err)
{
	struct state *st = state;
	char          row[RT_HASH_HEX], alone[RT_HASH_HEX], why[400];
	int           r = 0;

	snprintf(why, sizeof why, "%.300s has no such request; record it with teacher-openai",
	         st->path);
	for (int64_t i = 0; r == 0 && i < n; i++) {
		const struct rt_json *found;

		if (rt_cancelled(st->context))
			return rt_fail(err, RT_E_CANCEL, "cancelled");
		if (digest(requests[i].id, requests[i].body, row, alone) < 0)
			return rt_fail_nomem(err, "a request");
		found = rt_json_get(st->by_row, row);
		if (!found)
			found = rt_json_get(st->by_request, alone);
		r = reply(arg, i, found, found ? NULL : why, err);
	}
	return r;
}

static double price(const void *config, double calls, double input_tokens, double output_tokens)
{
	(void)config, (void)calls, (void)input_tokens, (void)output_tokens;
	return 0;
}

static const struct rt_teacher_ops ops = { .size = sizeof ops, .chat = chat, .price = price };

RT_PLUGIN(teacher_replay, TEACHER, .name = "replay", .version = "1.0", .license = "Apache-2.0",
          .summary = "Answers as a teacher did when it was recorded: no network, no cost.",
          .config_size = sizeof(struct config), .params = params,
          .state_size = sizeof(struct state), .open = open_, .close = close_, .ops.teacher = &ops);
