/* openai-keep.c - what becomes of a reply: it is kept, then recorded, then used.
 *
 * What is used is read back from what was kept, so a run that finds everything in the cache sees
 * the same bytes as the one that paid for it. */
#include "openai.h"

#include "openai-reply.h"

#include <retort/memory.h>

#include <math.h>
#include <string.h>

/* A server may echo what it was sent. */
void openai_scrub(const struct openai *o, char *text)
{
	const size_t n = o->secret ? strlen(o->secret) : 0;

	for (char *p = text; n > 0 && (p = strstr(p, o->secret)); p += strlen("***")) {
		const size_t rest = strlen(p + n) + 1;

		if (n < strlen("***"))
			return; /* too short to be a secret, or to hide one in its place */
		memcpy(p, "***", 3);
		memmove(p + 3, p + n, rest);
	}
}

static double cost_of(const struct openai *o, int64_t in, int64_t out)
{
	const struct openai_config *c = o->cfg;

	if (in < 0 || out < 0 || (c->input_price <= 0 && c->output_price <= 0))
		return NAN;
	return ((double)in * c->input_price + (double)out * c->output_price) / 1e6;
}

/* Say once what a server leaves out. */
static void tell(struct openai *o, bool no_usage, int64_t asked, int64_t given)
{
	if (no_usage && !o->told_usage)
		rt_log(o->context, RT_LOG_WARN,
		       "the server does not say how many tokens it used: they count as unknown%s",
		       o->cfg->max_cost > 0 ? ", and the most they can cost as spent" : "");
	if (given < asked && !o->told_n)
		rt_log(o->context, RT_LOG_WARN,
		       "the server gave %lld of %lld answers: it may not know n; ask with n = 1 "
		       "and "
		       "several values of draw",
		       (long long)given, (long long)asked);
	o->told_usage = o->told_usage || no_usage;
	o->told_n = o->told_n || given < asked;
}

int openai_keep(struct openai *o, const struct openai_slot *s, const char *id,
                const struct rt_json *reply, struct rt_text *text, struct rt_error *err)
{
	const int64_t in = openai_usage(reply, "prompt_tokens"),
		      out = openai_usage(reply, "completion_tokens");
	const double        cost = cost_of(o, in, out);
	struct openai_entry e = { .key = s->key,
		                  .id = id,
		                  .model = o->cfg->model,
		                  .request = &s->text,
		                  .reply = text,
		                  .input_tokens = in,
		                  .output_tokens = out,
		                  .cost = isnan(cost) && o->cfg->max_cost > 0 ? s->bound : cost };

	rt_text_clear(text);
	rt_json_print(reply, RT_JSON_SORT, text);
	if (text->failed)
		return rt_fail_nomem(err, "a reply");
	openai_scrub(o, text->data);
	text->len = strlen(text->data);
	if (!isnan(e.cost))
		o->spent += e.cost;
	o->paid++;
	return openai_cache_add(o->cache, &e, err);
}

/* { "id":, "request":, "reply": }: what teacher-replay reads. */
static int record(struct openai *o, const struct rt_teacher_request *q, const struct rt_json *reply,
                  struct rt_error *err)
{
	struct rt_json *line = rt_json_new_object();
	struct rt_text  t = RT_TEXT_INIT;
	int             r = line ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_json_set(line, "id", rt_json_new_string(q->id ? q->id : ""));
		r |= rt_json_set(line, "request", rt_json_ref(q->body));
		r |= rt_json_set(line, "reply", rt_json_ref(reply));
		rt_json_print(line, 0, &t);
	}
	r = r < 0 || t.failed ? rt_fail_nomem(err, "a record")
	                      : rt_journal_add(o->record, t.data, t.len, err);
	rt_text_free(&t);
	rt_json_free(line);
	return r;
}

int openai_deliver(struct openai *o, const struct rt_teacher_request *q, int64_t index,
                   const struct rt_text *text, rt_reply_fn *reply, void *arg, struct rt_error *err)
{
	const int64_t   asked = rt_json_int(rt_json_get(q->body, "n"), 1);
	struct rt_json *j;
	int r = rt_json_parse(text->data, text->len, openai_cache_path(o->cache), 1, &j, err);

	if (r < 0)
		return r;
	tell(o, openai_usage(j, "prompt_tokens") < 0, asked,
	     (int64_t)rt_json_length(rt_json_get(j, "choices")));
	if (o->record)
		r = record(o, q, j, err);
	if (r == 0)
		r = reply(arg, index, j, NULL, err);
	rt_json_free(j);
	return r;
}
