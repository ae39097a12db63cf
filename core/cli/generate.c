/* generate.c - retort generate: a model goes on, from one prompt on a terminal or from rows. */
#include "cli/lines.h"

#include "cli/command.h"
#include "cli/progress.h"

#include <retort/generate.h>
#include <retort/memory.h>

#include <stdio.h>
#include <string.h>

enum {
	GROUP = 256,      /* rows that are answered together */
	SCHEMA = 16 << 20 /* bytes of a schema */
};

/* A prompt, and its answer when it is there. */
struct prompt {
	struct rt_ids   ids;
	struct rt_json *id, *answer;
};

struct job {
	struct rt_model   *m;
	struct rt_engine  *engine;
	struct rt_request  like; /* what all requests share */
	struct option_list stop;
	const char        *stops[65];
	struct rt_grammar *grammar; /* or NULL */
	int64_t            top;
	bool               chat, special, ids_only;
	struct prompt      at[GROUP];
	int64_t            n, shown, before; /* in this group; of them printed; in earlier ones */
};

static void clear_group(struct job *j)
{
	for (int64_t i = 0; i < j->n; i++) {
		rt_ids_free(&j->at[i].ids);
		rt_json_free(j->at[i].id);
		rt_json_free(j->at[i].answer);
		j->at[i] = (struct prompt){ .ids = RT_IDS_INIT };
	}
	j->before += j->n;
	j->n = j->shown = 0;
}

/* ---- prompts -------------------------------------------------------------------------------- */

static int encode_chat(const struct job *j, const struct rt_json *row, struct rt_ids *ids,
                       struct rt_error *err)
{
	struct rt_text text = RT_TEXT_INIT;
	struct rt_ids  mask = RT_IDS_INIT;
	struct rt_chat chat;
	int            r = lines_chat(row, &chat, err);

	if (r == 0) {
		chat.generation_prompt = true;
		r = rt_model_encode_chat(j->m, &chat, &text, ids, &mask, err);
	}
	rt_text_free(&text);
	rt_ids_free(&mask);
	return r;
}

/* Text, or with --chat what a user says. */
static int encode_text(const struct job *j, const char *text, size_t n, struct rt_ids *ids,
                       struct rt_error *err)
{
	const struct rt_tokenizer *t = rt_model_tokenizer(j->m);
	struct rt_json            *row, *messages, *message;
	int                        r;

	if (!t)
		return rt_fail(err, RT_E_INVAL, "the model comes without a tokenizer; give ids");
	if (!j->chat)
		return rt_tokenizer_encode(
			t, text, n, RT_ENCODE_TEMPLATE | (j->special ? RT_ENCODE_SPECIAL : 0), ids,
			err);
	row = rt_json_new_object();
	messages = rt_json_new_array();
	message = rt_json_new_object();
	r = row && messages && message ? 0 : RT_E_NOMEM;
	if (r == 0) {
		r |= rt_json_set(message, "role", rt_json_new_string("user"));
		r |= rt_json_set(message, "content", rt_json_new_string_n(text, n));
		r |= rt_json_append(messages, rt_json_ref(message));
		r |= rt_json_set(row, "messages", rt_json_ref(messages));
	}
	r = r == 0 ? encode_chat(j, row, ids, err) : rt_fail_nomem(err, "a prompt");
	rt_json_free(row);
	rt_json_free(messages);
	rt_json_free(message);
	return r;
}

static int take_row(const struct job *j, const struct rt_json *row, struct rt_ids *ids,
                    struct rt_error *err)
{
	const struct rt_json *list = rt_json_get(row, "ids"), *text = rt_json_get(row, "text");
	int                   r = lines_check_row(row, err);

	if (r < 0)
		return r;
	if (list)
		r = lines_take_ids(list, rt_model_shape(j->m)->vocabulary, ids, err);
	else if (rt_json_string(text))
		r = encode_text(j, rt_json_string(text), rt_json_length(text), ids, err);
	else if (rt_json_get(row, "messages"))
		r = encode_chat(j, row, ids, err);
	else
		r = rt_fail(err, RT_E_FORMAT, "a row needs ids, text (a string) or messages");
	return r;
}

/* The prompt leaves room for an answer. */
static int check_length(const struct job *j, const struct rt_ids *ids, struct rt_error *err)
{
	const int64_t most = rt_model_shape(j->m)->context;

	if (ids->len == 0)
		return rt_fail(err, RT_E_RANGE, "the prompt has no tokens");
	if ((int64_t)ids->len >= most)
		return rt_fail(err, RT_E_RANGE,
		               "the prompt has %zu tokens, and the model was made for %lld with "
		               "the answer",
		               ids->len, (long long)most);
	return 0;
}

/* ---- answers -------------------------------------------------------------------------------- */

static const char *const finishes[] = { [RT_FINISH_STOP] = "stop",
	                                [RT_FINISH_STRING] = "stop_string",
	                                [RT_FINISH_LENGTH] = "length",
	                                [RT_FINISH_STUCK] = "stuck" };

static struct rt_json *reals(const float *x, int64_t n)
{
	struct rt_json *a = rt_json_new_array();
	int             r = a ? 0 : RT_E_NOMEM;

	for (int64_t i = 0; r == 0 && i < n; i++)
		r = rt_json_append(a, rt_json_new_real(x[i]));
	if (r == 0)
		return a;
	rt_json_free(a);
	return NULL;
}

static struct rt_json *best_json(const struct rt_answer *a, int64_t top)
{
	struct rt_json *list = rt_json_new_array();
	int             r = list ? 0 : RT_E_NOMEM;

	for (int64_t i = 0; r == 0 && i < a->n; i++) {
		struct rt_json *place = rt_json_new_array();

		r = rt_json_append(list, place);
		for (int64_t k = 0; r == 0 && k < top; k++) {
			struct rt_json *pair = rt_json_new_array();

			r = rt_json_append(place, pair);
			if (r == 0)
				r |= rt_json_append(pair, rt_json_new_int(a->top_id[i * top + k]));
			if (r == 0)
				r |= rt_json_append(pair,
				                    rt_json_new_real(a->top_logp[i * top + k]));
		}
	}
	if (r == 0)
		return list;
	rt_json_free(list);
	return NULL;
}

static struct rt_json *answer_json(const struct job *j, const struct prompt *p,
                                   const struct rt_answer *a)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0 && p->id)
		r = rt_json_set(o, "id", rt_json_ref(p->id));
	if (r == 0 && a->text)
		r = rt_json_set(o, "text", rt_json_new_string_n(a->text, a->text_n));
	if (r == 0)
		r = rt_json_set(o, "ids", lines_ids(a->id, (size_t)a->n));
	if (r == 0)
		r = rt_json_set(o, "logp", reals(a->logp, a->n));
	if (r == 0 && j->top)
		r = rt_json_set(o, "top", best_json(a, j->top));
	if (r == 0)
		r = rt_json_set(o, "finish", rt_json_new_string(finishes[a->finish]));
	if (r == 0 && a->stop >= 0)
		r = rt_json_set(o, "stop", rt_json_new_int(a->stop));
	if (r == 0)
		r = rt_json_set(o, "prompt_tokens", rt_json_new_int((int64_t)p->ids.len));
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

/* Answers come in any order, and are printed in that of the rows. */
static int on_answer(void *arg, int64_t index, const struct rt_answer *a, struct rt_error *err)
{
	struct job *j = arg;
	int         r = 0;

	j->at[index].answer = answer_json(j, &j->at[index], a);
	if (!j->at[index].answer)
		return rt_fail_nomem(err, "an answer");
	for (; r == 0 && j->shown < j->n && j->at[j->shown].answer; j->shown++)
		r = lines_put(rt_json_ref(j->at[j->shown].answer), err);
	progress_rows("generate", j->before + j->shown);
	return r;
}

static int answer_group(struct job *j, struct rt_error *err)
{
	struct rt_request *q = rt_alloc(GROUP, sizeof *q);
	int                r = q ? 0 : rt_fail_nomem(err, "requests");

	for (int64_t i = 0; r == 0 && i < j->n; i++) {
		q[i] = j->like;
		q[i].prompt = j->at[i].ids.data;
		q[i].n = (int64_t)j->at[i].ids.len;
		q[i].stream = (uint64_t)(j->before + i);
	}
	if (r == 0 && j->n)
		r = rt_generate(j->engine, q, j->n, on_answer, NULL, j, err);
	if (r == 0)
		r = program_flush(err);
	clear_group(j);
	rt_free(q);
	return r;
}

static int on_row(void *arg, const struct rt_json *row, struct rt_error *err)
{
	struct job    *j = arg;
	struct prompt *p = &j->at[j->n++];
	int            r;

	*p = (struct prompt){ .ids = RT_IDS_INIT, .id = rt_json_ref(rt_json_get(row, "id")) };
	r = take_row(j, row, &p->ids, err);
	if (r == 0)
		r = check_length(j, &p->ids, err);
	return r == 0 && j->n == GROUP ? answer_group(j, err) : r;
}

/* ---- one prompt ----------------------------------------------------------------------------- */

static int on_token(void *arg, int64_t index, int32_t id, const char *text, size_t n,
                    struct rt_error *err)
{
	const struct job *j = arg;

	(void)index;
	if (j->ids_only)
		printf("%d\n", (int)id);
	else if (n > 0)
		fwrite(text, 1, n, stdout);
	return program_flush(err);
}

static int on_end(void *arg, int64_t index, const struct rt_answer *a, struct rt_error *err)
{
	const struct job *j = arg;

	(void)index;
	if (!j->ids_only)
		putchar('\n');
	fprintf(stderr, "%lld tokens after %zu, %.1f a second, the first after %.2f s; %s\n",
	        (long long)a->n, j->at[0].ids.len,
	        a->n > 1 ? (double)(a->n - 1) / (a->seconds - a->first_seconds) : 0.,
	        a->first_seconds, finishes[a->finish]);
	return program_flush(err);
}

/* "1,2,3", with or without blanks and brackets. */
static int parse_ids(const struct job *j, const char *s, struct rt_ids *ids, struct rt_error *err)
{
	struct rt_text  t = RT_TEXT_INIT;
	struct rt_json *list = NULL;
	int             r;

	rt_text_printf(&t, strchr(s, '[') ? "%s" : "[%s]", s);
	r = t.failed ? rt_fail_nomem(err, "ids")
	             : rt_json_parse(t.data, t.len, "--ids", 1, &list, err);
	if (r == RT_E_FORMAT)
		r = rt_fail(err, RT_E_USAGE,
		            "generate: --ids %s: must be whole numbers with commas between them, "
		            "as 1,2,3",
		            s);
	if (r == 0)
		r = lines_take_ids(list, rt_model_shape(j->m)->vocabulary, ids, err);
	rt_text_free(&t);
	rt_json_free(list);
	return r;
}

static int answer_one(struct job *j, const char *prompt, const char *list, struct rt_error *err)
{
	struct prompt    *p = &j->at[0];
	struct rt_request q = j->like;
	int               r;

	j->n = 1;
	r = list ? parse_ids(j, list, &p->ids, err)
	         : encode_text(j, prompt, strlen(prompt), &p->ids, err);
	if (r == 0)
		r = check_length(j, &p->ids, err);
	j->ids_only = !rt_model_tokenizer(j->m);
	q.prompt = p->ids.data;
	q.n = (int64_t)p->ids.len;
	if (r == 0)
		r = rt_generate(j->engine, &q, 1, on_end, on_token, j, err);
	clear_group(j);
	return r;
}

/* ---- the command ---------------------------------------------------------------------------- */

/* What all answers are to be. */
static int take_schema(struct job *j, const char *path, struct rt_error *err)
{
	struct rt_json *schema = NULL;
	int             r = rt_json_read(path, SCHEMA, &schema, err);

	if (r == 0) {
		r = rt_grammar_json(&j->grammar, schema, err);
		r = r < 0 ? rt_within(err, r, "%s", path) : 0;
	}
	rt_json_free(schema);
	j->like.grammar = j->grammar;
	return r;
}

/* What the command line says besides: NULL, and a seed below 0, where it says nothing. */
struct wish {
	const char *prompt, *list, *schema;
	bool        greedy;
	int64_t     seed;
};

/* No option contradicts another, or is without effect. */
static int check_wish(const struct job *j, const struct wish *w, struct rt_error *err)
{
	const struct rt_sampling *s = &j->like.sampling;
	const char               *why = NULL;

	if (w->prompt && w->list)
		why = "--prompt or --ids, not both";
	else if (w->list && (j->chat || j->special))
		why = "--chat and --special are for text, not for --ids";
	else if (j->chat && j->special)
		why = "--chat or --special, not both: a chat template says which tokens are "
		      "special";
	else if (w->greedy && s->temperature > 0)
		why = "--greedy or --temperature, not both";
	else if (s->temperature <= 0 && (s->top_k || s->top_p > 0 || s->min_p > 0))
		why = "--top-k, --top-p and --min-p are for sampling; give a "
		      "--temperature above 0, too";
	else if (s->temperature <= 0 && w->seed >= 0)
		why = "--seed is for sampling; give a --temperature above 0, too";
	else if (j->top && (w->prompt || w->list))
		why = "--top is for rows";
	return why ? rt_fail(err, RT_E_USAGE, "generate: %s", why) : 0;
}

static int generate(struct job *j, const char *path, const struct wish *w, struct rt_error *err)
{
	int r = lines_model(&j->m, path, 0, err);

	if (r == 0 && (j->stop.n || j->grammar) && !rt_model_tokenizer(j->m))
		r = rt_fail(err, RT_E_USAGE, "generate: %s needs a tokenizer, %s comes without one",
		            j->stop.n ? "--stop" : "--schema", path);
	if (r == 0)
		r = rt_engine_open(&j->engine, j->m, NULL, err);
	if (r < 0)
		return r;
	if (w->prompt || w->list)
		return answer_one(j, w->prompt, w->list, err);
	r = lines_rows(on_row, j, err);
	if (r == 0)
		r = answer_group(j, err);
	clear_group(j);
	return r;
}

static int run(const struct command *self, int argc, char **argv, struct rt_error *err)
{
	static struct job   job;
	struct job         *j = &job;
	struct rt_sampling *s = &j->like.sampling;
	struct wish         w = { .seed = -1 };
	const struct option options[] = {
		{ "prompt", 'p', "TEXT", "go on from this text", OPT_ANY_TEXT, &w.prompt, 0, 0 },
		{ "ids", 0, "LIST", "go on from these tokens: 1,2,3", OPT_TEXT, &w.list, 0, 0 },
		{ "chat", 'c', NULL, "the prompt is what a user says", OPT_FLAG, &j->chat, 0, 0 },
		{ "special", 's', NULL, "text that spells a special token is that token", OPT_FLAG,
		  &j->special, 0, 0 },
		{ "greedy", 0, NULL, "the most probable token (the default)", OPT_FLAG, &w.greedy,
		  0, 0 },
		{ "temperature", 't', "T", "sample; below 1 surer, above 1 more varied", OPT_REAL,
		  &s->temperature, 0, 100 },
		{ "top-k", 0, "K", "only the K most probable tokens", OPT_INT, &s->top_k, 0,
		  1 << 22 },
		{ "top-p", 0, "P", "only the fewest that together have P", OPT_REAL, &s->top_p, 0,
		  1 },
		{ "min-p", 0, "P", "only those with P of the best one's probability", OPT_REAL,
		  &s->min_p, 0, 1 },
		{ "seed", 0, "N", "of the chance; the same seed gives the same answer", OPT_INT,
		  &w.seed, 0, INT64_MAX },
		{ "max-tokens", 'n', "N", "length of an answer at most (default 256)", OPT_INT,
		  &j->like.max_tokens, 1, 1 << 30 },
		{ "stop", 0, "TEXT", "end in front of this text; may be repeated", OPT_LIST,
		  &j->stop, 0, 0 },
		{ "schema", 0, "FILE", "answers are JSON that fits this JSON Schema", OPT_TEXT,
		  &w.schema, 0, 0 },
		{ "ignore-stops", 0, NULL, "go on after the model's stop tokens", OPT_FLAG,
		  &j->like.ignore_stops, 0, 0 },
		{ "top", 'k', "K", "rows: the K most probable tokens of each place", OPT_INT,
		  &j->top, 0, 1000 },
		OPTION_END
	};
	int r;

	*j = (struct job){ .like.max_tokens = 256 };
	r = options_read(self, options, &argc, argv, 1, 1, err);
	if (r != 0)
		return r < 0 ? r : 0;
	r = check_wish(j, &w, err);
	if (r < 0)
		return r;
	memcpy(j->stops, j->stop.at, (size_t)j->stop.n * sizeof *j->stops);
	j->like.stop = j->stop.n ? j->stops : NULL;
	j->like.top = j->top;
	j->like.seed = w.seed < 0 ? 0 : (uint64_t)w.seed;
	r = w.schema ? take_schema(j, w.schema, err) : 0;
	if (r == 0)
		r = generate(j, argv[0], &w, err);
	rt_engine_close(j->engine);
	rt_grammar_free(j->grammar);
	rt_model_close(j->m);
	return r;
}

const struct command command_generate = {
	.name = "generate",
	.arguments = "MODEL",
	.summary = "Let a model go on from a prompt, or answer rows.",
	.help = "One prompt (--prompt, --ids) is answered as it comes.  Without one, rows are\n"
		"read from standard input as JSON Lines with one of ids, text and messages,\n"
		"answered many at a time, and printed in their order: text, ids, logp (under the\n"
		"model itself), finish (stop, stop_string, length, or stuck: the vocabulary lacks\n"
		"what --schema asks for).  The temperature comes first, then top-k, top-p and\n"
		"min-p, as in transformers; llama.cpp applies it last.\n"
		"\n"
		"    retort generate MODEL --chat --prompt 'play some jazz'\n"
		"    retort generate MODEL --chat --schema person.json --prompt 'who are you?'\n"
		"    retort generate MODEL --temperature 0.7 --top-p 0.9 <rows.jsonl\n",
	.run = run,
};
