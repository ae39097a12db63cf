/* write-request.c - what stage-write shows its teacher, and asks. */
#include "write.h"

#include <retort/memory.h>
#include <retort/random.h>
#include <retort/row.h>

#include <stdio.h>
#include <string.h>

/* ---- examples and what is excluded ---- */

typedef int row_fn(struct job *j, struct rt_json *row, struct rt_error *err);

static int each_row(struct job *j, const char *folder, row_fn *fn, struct rt_error *err)
{
	char           *path = rt_path_join(folder, "rows.jsonl");
	struct rt_rows *rows = NULL;
	struct rt_json *row;
	int             r = path ? rt_rows_open(&rows, path, 0, err) : rt_fail_nomem(err, "a path");

	while (r >= 0 && (r = rt_rows_next(rows, &row, err)) == 1) {
		r = rt_cancelled(j->c) ? rt_fail(err, RT_E_CANCEL, "cancelled") : fn(j, row, err);
		rt_json_free(row);
	}
	rt_rows_close(rows);
	rt_free(path);
	return r;
}

/* Every message of a user's in the row. */
static int exclude(struct job *j, struct rt_json *row, struct rt_error *err)
{
	const struct rt_json *messages = rt_json_get(row, "messages");
	int                   r = 0;

	for (size_t i = 0; r == 0 && i < rt_json_length(messages); i++) {
		const struct rt_json *m = rt_json_at(messages, i);
		const char           *role = rt_json_string(rt_json_get(m, "role")),
			   *text = rt_json_string(rt_json_get(m, "content"));

		if (role && text && strcmp(role, "user") == 0)
			r = seen_add(&j->seen, text, EXCLUDED, err);
	}
	return r;
}

/* What is excluded is not shown either. */
static int take_example(struct job *j, struct rt_json *row, struct rt_error *err)
{
	size_t        at;
	const char   *text = write_example(row, &at);
	enum seen_how how;
	int           tag, r = text ? seen_look(&j->seen, text, &how, &tag, err) : 0;

	if (r < 0 || !text)
		return r;
	if (how == SEEN_SAME && tag == EXCLUDED) {
		j->excluded_examples++;
		return 0;
	}
	if (j->n_rows == j->cap_rows) {
		const int64_t    cap = j->cap_rows ? 2 * j->cap_rows : 256;
		struct rt_json **more = rt_realloc(j->rows, (size_t)cap, sizeof *more);

		if (!more)
			return rt_fail_nomem(err, "rows");
		j->rows = more;
		j->cap_rows = cap;
	}
	j->rows[j->n_rows++] = rt_json_ref(row);
	return seen_add(&j->seen, text, EXAMPLE, err);
}

int write_read_data(struct job *j, struct rt_error *err)
{
	int r = 0;

	for (int64_t i = 0; r == 0 && i < j->cfg->exclude.n; i++)
		r = each_row(j, j->cfg->exclude.at[i]->path, exclude, err);
	if (r == 0)
		r = each_row(j, j->cfg->data->path, take_example, err);
	if (r == 0 && j->excluded_examples)
		rt_log(j->c, RT_LOG_INFO, "%lld rows are in what is excluded, and no examples",
		       (long long)j->excluded_examples);
	if (r == 0 && j->n_rows == 0)
		r = j->excluded_examples
		            ? rt_fail(err, RT_E_FORMAT, "all messages of %s are excluded",
		                      j->cfg->data->name)
		            : rt_fail(err, RT_E_FORMAT, "%s has no row with a message of a user's",
		                      j->cfg->data->name);
	return r;
}

/* ---- requests ---- */

/* Different rows for request q, drawn as Floyd does (Bentley 1987). */
static int64_t draw(const struct job *j, int64_t q, const struct rt_json **ret)
{
	const int64_t n = j->n_rows, most = j->cfg->examples < n ? j->cfg->examples : n;
	int64_t       at[MOST_EXAMPLES];

	for (int64_t i = 0; i < most; i++) {
		const uint64_t last = (uint64_t)(n - most + i);
		int64_t        x =
			(int64_t)rt_random_below(rt_seed(j->c), (uint64_t)q, (uint64_t)i, last + 1);

		for (int64_t k = 0; k < i; k++)
			if (at[k] == x)
				x = (int64_t)last;
		at[i] = x;
		ret[i] = j->rows[x];
	}
	return most;
}

const struct rt_json *write_example_of(const struct job *j, int64_t q)
{
	return j->rows[rt_random_below(rt_seed(j->c), (uint64_t)q, 0, (uint64_t)j->n_rows)];
}

static struct rt_json *request_body(const struct job *j, int64_t q)
{
	const struct config  *c = j->cfg;
	struct ask_sampling   s = { 1, c->max_tokens, c->temperature, c->top_p };
	const struct rt_json *some[MOST_EXAMPLES], *tools = NULL, *example = NULL;
	struct rt_json       *messages, *o;

	if (c->how == WRITE_ASK) {
		messages = write_ask(j->instruction.data, some, draw(j, q, some), c->each);
	} else {
		s.n = c->each;
		example = write_example_of(j, q);
		tools = ask_tools(&j->files, example);
		messages = write_front(&j->files, example);
	}
	o = messages ? ask_body(messages, tools, example, &s) : NULL;
	rt_json_free(messages);
	if (o && c->how == WRITE_CONTINUE &&
	    rt_json_set(o, "role", rt_json_new_string("user")) < 0) {
		rt_json_free(o);
		o = NULL;
	}
	return o;
}

void write_id_of(int64_t q, char id[24])
{
	snprintf(id, 24, "w%lld", (long long)q);
}

static int on_reply(void *arg, int64_t index, const struct rt_json *reply, const char *why,
                    struct rt_error *err)
{
	struct job *j = arg;

	if (!reply) {
		rt_log(j->c, RT_LOG_WARN, "request '%s' has no reply: %s", j->requests[index].id,
		       why ? why : "unknown");
		return 0;
	}
	return ask_journal_add(&j->journal, j->requests[index].id, reply, err);
}

void write_empty_batch(struct job *j)
{
	for (int64_t i = 0; i < j->filled; i++)
		rt_json_free((struct rt_json *)j->requests[i].body);
	j->filled = 0;
}

/* Requests [first, last), but for those that were answered before. */
int write_requests(struct job *j, int64_t first, int64_t last, struct rt_error *err)
{
	const struct rt_component *t = j->cfg->teacher;
	int                        r = 0;

	for (int64_t q = first; r == 0 && q < last; q++) {
		char           *id = j->ids[j->filled];
		struct rt_json *body;

		write_id_of(q, id);
		if (rt_json_get(j->journal.done, id))
			continue;
		body = request_body(j, q);
		if (body)
			j->requests[j->filled++] = (struct rt_teacher_request){ id, body };
		else
			r = rt_fail_nomem(err, "a request");
	}
	if (r == 0 && j->filled > 0) {
		r = t->plugin->ops.teacher->chat(t->state, j->requests, j->filled, on_reply, j,
		                                 err);
		if (r < 0 && r != RT_E_CANCEL)
			r = rt_within(err, r, "teacher-%s", t->plugin->name);
	}
	write_empty_batch(j);
	return r;
}
