/* write.c - stage-write: new messages of users, written by a teacher.
 *
 * ask       the teacher reads some messages of the data and writes others like them (as in
 *           Self-Instruct, Wang 2022); for large models that follow instructions
 * continue  the teacher goes on as the user, behind what stands in front of the user's message in
 *           a row of the data; for checkpoints that were trained on users' messages, too
 *
 * What request number q says depends on the seed and q alone, replies are taken in the order of the
 * requests, and each is in the journal before it is used: so it does not matter how many are asked
 * at once, or how often a run is killed.  A message that is the same as an example, as one that is
 * excluded or as one that was written before, or near one (see seen.h), is dropped and counted. */
#include "write.h"
#include "../judge/words.h"

#include <retort/hash.h>
#include <retort/memory.h>
#include <retort/metrics.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const hows[] = { "ask", "continue", NULL };

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct config, data, DATASET, "Rows whose users' messages are examples.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_INPUTS(struct config, exclude, DATASET, 0, 100,
	                "Rows whose users' messages must not be written: test sets."),
	RT_PARAM_COMPONENT(struct config, teacher, TEACHER, NULL, "Who writes.",
	                   .flags = RT_P_REQUIRED),
	RT_PARAM_ENUM(struct config, how, WRITE_ASK, hows,
	              "Whether the teacher is asked for messages like the examples, or goes on as "
	              "the user itself."),
	RT_PARAM_INT(struct config, count, 0, 1, 1 << 30, "messages",
	             "How many new ones are wanted.", .flags = RT_P_REQUIRED),
	RT_PARAM_INT(struct config, each, 10, 1, 64, "messages", "How many a request asks for."),
	RT_PARAM_INT(struct config, examples, 8, 1, MOST_EXAMPLES, "messages",
	             "How many a request shows; of `ask`."),
	RT_PARAM_PATH(struct config, instruction, NULL,
	              "Text file: what is asked instead, with {examples} and {count} where they "
	              "belong."),
	RT_PARAM_PATH(struct config, tools, NULL,
	              "JSON list of tools for rows that have none of their own; of `continue`."),
	RT_PARAM_PATH(struct config, system, NULL,
	              "Text file: the system message for rows that have none of their own; of "
	              "`continue`."),
	RT_PARAM_REAL(struct config, temperature, 1, 0, 2, NULL, "Of the teacher's sampling."),
	RT_PARAM_REAL(struct config, top_p, 1, 0, 1, NULL, "Nucleus of the teacher's sampling."),
	RT_PARAM_INT(struct config, max_tokens, 1024, 1, 1 << 20, "tokens", "Longest reply."),
	RT_PARAM_REAL(struct config, near, .9, .05, 1, NULL,
	              "A message is dropped when this share of the shingles in it and in another "
	              "is in both (Broder 1997)."),
	RT_PARAM_INT(struct config, shingle, 2, 1, 16, "words",
	             "How many words side by side are a shingle."),
	RT_PARAM_INT(struct config, min_words, 1, 1, 4096, "words", "Shorter ones are dropped."),
	RT_PARAM_INT(struct config, max_words, 100, 1, 4096, "words", "Longer ones are dropped."),
	RT_PARAM_INT(
		struct config, max_asked, 0, 0, 1 << 30, "requests",
		"The stage ends after so many, however few messages came; 0: ten times as many "
		"as it takes when nothing is dropped."),
	RT_PARAM_REAL(struct config, max_failed, .05, 0, 1, NULL,
	              "The stage fails when a larger share of requests gets no reply."),
	RT_PARAM_INT(struct config, batch, 64, 1, 4096, "requests",
	             "How many the teacher sees at once.", .flags = RT_P_NOKEY),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "rows", "Rows with a new message of a user's and no answer.", RT_DATASET, 0 },
	{ "report", "Requests, messages, and how many were dropped for what.", RT_METRICS, 0 },
	{ 0 }
};

static const char *const fates[FATES] = {
	[KEPT] = "kept",
	[SAME] = "dropped, double",
	[NEAR] = "dropped, near double",
	[OUT] = "dropped, excluded",
	[NEARLY_OUT] = "dropped, near excluded",
	[SHORT] = "dropped, too short",
	[LONG] = "dropped, too long",
	[CUT] = "dropped, cut off",
};

/* ---- messages ------------------------------------------------------------------------------- */

static int fate_of(struct job *j, const char *text, bool whole, enum fate *ret,
                   struct rt_error *err)
{
	const int64_t words = (int64_t)words_split(text, j->words);
	enum seen_how how;
	int           tag, r = seen_look(&j->seen, text, &how, &tag, err);

	if (r < 0)
		return r;
	if (!whole)
		*ret = CUT;
	else if (words < j->cfg->min_words)
		*ret = SHORT;
	else if (words > j->cfg->max_words)
		*ret = LONG;
	else if (how == SEEN_NEW)
		*ret = KEPT;
	else if (tag == EXCLUDED)
		*ret = how == SEEN_SAME ? OUT : NEARLY_OUT;
	else
		*ret = how == SEEN_SAME ? SAME : NEAR;
	return 0;
}

static struct rt_json *user_message(const char *text)
{
	struct rt_json *o = rt_json_new_object();

	if (o && (rt_json_set(o, "role", rt_json_new_string("user")) < 0 ||
	          rt_json_set(o, "content", rt_json_new_string(text)) < 0)) {
		rt_json_free(o);
		o = NULL;
	}
	return o;
}

/* Of `continue` with what stood in front of the message; the id is made of the message, so that
 * rows of several stages can be put together. */
static struct rt_json *new_row(const struct job *j, const char *text)
{
	static const char *const      kept[] = { "tools", "template_kwargs", NULL };
	static const struct ask_files none = { .system = RT_TEXT_INIT };
	const bool                    on = j->cfg->how == WRITE_CONTINUE;
	struct rt_json               *o = rt_json_new_object(),
		       *messages = on ? write_front(&none, j->of) : rt_json_new_array(),
		       *meta = rt_json_new_object();
	char hex[RT_HASH_HEX], id[24];
	int  r = o && messages && meta ? 0 : RT_E_NOMEM;

	rt_hash_hex(seen_normal(&j->seen), strlen(seen_normal(&j->seen)), hex);
	snprintf(id, sizeof id, "w%.16s", hex);
	if (r == 0) {
		r |= rt_json_append(messages, user_message(text));
		r |= rt_json_set(meta, "written", rt_json_new_string(hows[j->cfg->how]));
		r |= rt_json_set(o, "id", rt_json_new_string(id));
		r |= rt_json_set(o, "messages", rt_json_ref(messages));
		for (int k = 0; on && kept[k]; k++)
			if (rt_json_get(j->of, kept[k]))
				r |= rt_json_set(o, kept[k],
				                 rt_json_ref(rt_json_get(j->of, kept[k])));
		r |= rt_json_set(o, "meta", rt_json_ref(meta));
	}
	rt_json_free(messages);
	rt_json_free(meta);
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

static int on_message(void *arg, const char *text, bool whole, struct rt_error *err)
{
	struct job     *j = arg;
	struct rt_json *row;
	enum fate       fate;
	int             r;

	if (j->fates[KEPT] == j->cfg->count)
		return 0;
	r = fate_of(j, text, whole, &fate, err);
	if (r < 0)
		return r;
	j->fates[fate]++;
	if (fate != KEPT)
		return 0;
	row = new_row(j, text);
	r = row ? rt_rows_put(j->out, row, err) : rt_fail_nomem(err, "a row");
	rt_json_free(row);
	if (r == 0)
		r = seen_add(&j->seen, text, WRITTEN, err);
	rt_progress(j->c, j->fates[KEPT], j->cfg->count, "messages");
	return r;
}

static int64_t read_so_far(const struct job *j)
{
	int64_t n = 0;

	for (int i = 0; i < FATES; i++)
		n += j->fates[i];
	return n;
}

/* Take what came for request q. */
static int use(struct job *j, int64_t q, struct rt_error *err)
{
	const struct rt_json *reply, *choices, *usage, *first;
	const int64_t         before = read_so_far(j);
	const char           *text, *why;
	char                  id[24];
	int                   r = 0;

	j->asked++;
	write_id_of(q, id);
	reply = rt_json_get(j->journal.done, id);
	if (!reply) {
		j->failed++;
		return 0;
	}
	choices = rt_json_get(reply, "choices");
	usage = rt_json_get(reply, "usage");
	j->input_tokens += rt_json_int(rt_json_get(usage, "prompt_tokens"), 0);
	j->output_tokens += rt_json_int(rt_json_get(usage, "completion_tokens"), 0);
	if (j->cfg->how == WRITE_CONTINUE) {
		j->of = write_example_of(j, q);
		r = write_read_choices(choices, on_message, j, err);
	} else {
		first = rt_json_at(choices, 0);
		text = rt_json_string(rt_json_get(rt_json_get(first, "message"), "content"));
		why = rt_json_string(rt_json_get(first, "finish_reason"));
		if (text)
			r = write_read_list(text, !why || strcmp(why, "length") != 0, on_message, j,
			                    err);
	}
	j->empty += r == 0 && read_so_far(j) == before;
	return r;
}

static int64_t most_asked(const struct config *c)
{
	return c->max_asked ? c->max_asked : 10 * ((c->count + c->each - 1) / c->each);
}

/* As many at once as may be needed, if nothing of theirs is dropped. */
static int write_all(struct job *j, struct rt_error *err)
{
	const struct config *c = j->cfg;
	const int64_t        most = most_asked(c);
	int                  r = 0;

	while (r == 0 && j->fates[KEPT] < c->count && j->asked < most) {
		const int64_t need = (c->count - j->fates[KEPT] + c->each - 1) / c->each;
		int64_t       end = j->asked + (need < c->batch ? need : c->batch);

		end = end < most ? end : most;
		r = rt_cancelled(j->c) ? rt_fail(err, RT_E_CANCEL, "cancelled")
		                       : write_requests(j, j->asked, end, err);
		while (r == 0 && j->asked < end && j->fates[KEPT] < c->count)
			r = use(j, j->asked, err);
	}
	return r;
}

/* ---- before and after ----------------------------------------------------------------------- */

static int check_done(const struct job *j, struct rt_error *err)
{
	const struct config *c = j->cfg;

	if ((double)j->failed > c->max_failed * (double)j->asked)
		return rt_fail(err, RT_E_FORMAT,
		               "%lld of %lld requests have no reply, more than max_failed = %g "
		               "allows; run again to ask for these alone",
		               (long long)j->failed, (long long)j->asked, c->max_failed);
	if (j->fates[KEPT] == 0)
		return rt_fail(err, RT_E_FORMAT,
		               "no new message in %lld replies, which hold %lld; is the teacher "
		               "one for how = \"%s\"?",
		               (long long)(j->asked - j->failed), (long long)read_so_far(j),
		               hows[c->how]);
	if (j->fates[KEPT] < c->count)
		rt_log(j->c, RT_LOG_WARN,
		       "%lld of %lld messages after %lld requests; raise max_asked for more",
		       (long long)j->fates[KEPT], (long long)c->count, (long long)j->asked);
	return 0;
}

static int write_report(const struct job *j, const char *dir, struct rt_error *err)
{
	struct rt_json *m = rt_json_new_object();
	const int64_t   all = read_so_far(j);
	int             r = m ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_metric(m, "requests", (double)j->asked, j->asked);
		r |= rt_metric_rate(m, "answered", j->asked - j->failed, j->asked);
		r |= rt_metric(m, "messages", (double)all, all);
		for (int i = 0; i < FATES; i++)
			r |= rt_metric(m, fates[i], (double)j->fates[i], all);
		r |= rt_metric(m, "replies without a message", (double)j->empty,
		               j->asked - j->failed);
		r |= rt_metric(m, "input_tokens", (double)j->input_tokens, j->asked);
		r |= rt_metric(m, "output_tokens", (double)j->output_tokens, j->asked);
	}
	r = r < 0 ? rt_fail_nomem(err, "the report") : rt_metrics_write(m, dir, err);
	rt_json_free(m);
	return r;
}

static int prepare(struct job *j, struct rt_error *err)
{
	const struct config *c = j->cfg;
	int                  r = ask_files_read(&j->files, c->tools, c->system, err);

	j->requests = rt_alloc((size_t)c->batch, sizeof *j->requests);
	j->ids = rt_alloc((size_t)c->batch + 1, sizeof *j->ids);
	j->words = rt_alloc(WORDS_MOST, sizeof *j->words);
	if (r == 0 && (!j->requests || !j->ids || !j->words))
		r = rt_fail_nomem(err, "a job");
	if (r == 0 && c->instruction)
		r = rt_file_read(c->instruction, 1 << 20, &j->instruction, err);
	else
		rt_text_add(&j->instruction, write_instruction);
	if (r == 0 && rt_utf8_check(j->instruction.data, j->instruction.len) != j->instruction.len)
		r = rt_fail(err, RT_E_FORMAT, "%s is not UTF-8", c->instruction);
	if (r == 0)
		r = seen_open(&j->seen, c->shingle, c->near, err);
	if (r == 0)
		r = write_read_data(j, err);
	if (r == 0)
		r = ask_journal_open(&j->journal, rt_work_dir(j->c), err);
	if (r == 0 && rt_json_length(j->journal.done) > 0)
		rt_log(j->c, RT_LOG_INFO, "%zu requests were answered before",
		       rt_json_length(j->journal.done));
	return r;
}

static void clean(struct job *j)
{
	if (j->requests)
		write_empty_batch(j);
	for (int64_t i = 0; i < j->n_rows; i++)
		rt_json_free(j->rows[i]);
	rt_free(j->rows);
	rt_free(j->requests);
	rt_free(j->ids);
	rt_free(j->words);
	rt_text_free(&j->instruction);
	seen_close(&j->seen);
	ask_journal_close(&j->journal);
	ask_files_free(&j->files);
	rt_rows_discard(j->out);
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	struct job j = { .cfg = state,
		         .c = c,
		         .instruction = RT_TEXT_INIT,
		         .files = { .system = RT_TEXT_INIT } };
	char      *to = rt_path_join(out[0], "rows.jsonl");
	int        r = to ? prepare(&j, err) : rt_fail_nomem(err, "a path");

	if (r == 0)
		r = rt_rows_create(&j.out, to, err);
	if (r == 0)
		r = write_all(&j, err);
	if (r == 0)
		r = check_done(&j, err);
	if (r == 0) {
		r = rt_rows_finish(j.out, err);
		j.out = NULL;
	}
	if (r == 0)
		r = write_report(&j, out[1], err);
	clean(&j);
	rt_free(to);
	return r;
}

static int check(const void *config, struct rt_error *err)
{
	const struct config *c = config;

	if (c->how == WRITE_ASK && (c->tools || c->system))
		return rt_fail(err, RT_E_USAGE, "%s is for how = \"continue\"",
		               c->tools ? "tools" : "system");
	if (c->how == WRITE_CONTINUE && c->instruction)
		return rt_fail(err, RT_E_USAGE, "instruction is for how = \"ask\"");
	if (c->min_words > c->max_words)
		return rt_fail(err, RT_E_USAGE, "min_words = %lld is more than max_words = %lld",
		               (long long)c->min_words, (long long)c->max_words);
	return 0;
}

/* As if nothing was dropped. */
static int estimate(const void *config, struct rt_estimate *ret, struct rt_error *err)
{
	const struct config         *c = config;
	const struct rt_teacher_ops *ops = c->teacher->plugin->ops.teacher;

	(void)err;
	ret->rows[0] = c->count;
	ret->calls = (double)((c->count + c->each - 1) / c->each);
	if (RT_HAS(ops, price))
		ret->money = ops->price(c->teacher->config, ret->calls, NAN, NAN);
	return 0;
}

static const struct rt_stage_ops ops = {
	.size = sizeof ops, .outputs = outputs, .run = run, .estimate = estimate
};

RT_PLUGIN(stage_write, STAGE, .name = "write", .version = "1.0", .license = "Apache-2.0",
          .summary = "A teacher writes new messages of users, none like those it must not write "
                     "(Self-Instruct, Wang 2022).",
          .config_size = sizeof(struct config), .params = params, .check = check,
          .ops.stage = &ops);
