/* augment.c - stage-augment: more rows of function calls, by other values for their arguments.
 *
 * An argument whose text stands once in the user's message is a slot.  Copies of a row get other
 * values in their slots, in message and call alike: values of the same argument in other rows, or
 * made-up words.  A small model learns from it to copy what it has never seen (the slot
 * substitution of Louvan and Magnini 2020).  At most 32 slots of a row, of less than 256 bytes
 * each, are exchanged; others keep their values. */
#include <retort/file.h>
#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/random.h>
#include <retort/row.h>
#include <retort/rows.h>
#include <retort/stage.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SLOTS = 32, MAX_VALUE = 256 };

struct config {
	const struct rt_artifact *data;
	int64_t                   copies;
	double                    exchange, made_up, words;
	bool                      across, originals;
};

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct config, data, DATASET, "Rows with calls as answers.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_INT(struct config, copies, 2, 1, 1000, "copies", "Variants of each row."),
	RT_PARAM_REAL(struct config, exchange, .7, 0, 1, NULL,
	              "Chance of a slot to get another value."),
	RT_PARAM_REAL(struct config, made_up, .2, 0, 1, NULL,
	              "Chance of such a value to be made up."),
	RT_PARAM_REAL(
		struct config, words, .5, 0, 1, NULL,
		"Share of the words of made-up values that come from the data; the others are "
		"random letters."),
	RT_PARAM_BOOL(struct config, across, false,
	              "Whether arguments of one name share their values, whatever the function."),
	RT_PARAM_BOOL(struct config, originals, true,
	              "Whether the rows themselves stay, in front."),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "rows", "The rows and their variants.", RT_DATASET, 0 },
	{ "report", "How many rows had slots, and how many variants came of them.", RT_METRICS, 0 },
	{ 0 }
};

/* All values of one argument of one function, or of all functions, each as often as it came. */
struct pool {
	bool            across;
	struct rt_json *values; /* "function.argument" -> array; "": words */
};

/* A value that stands in the text: [start, start + n). */
struct slot {
	size_t      start, n;
	const char *key;              /* of the argument */
	size_t      call, item;       /* item: in an array; SIZE_MAX: the argument itself */
	char        value[MAX_VALUE]; /* what it becomes */
};

struct job {
	const struct config *cfg;
	struct rt_context   *c;
	struct pool          pool;
	struct rt_rows_out  *out;
	int64_t              rows, with_slots, made, draw;
};

/* The next random number of the run. */
static double chance(struct job *j)
{
	return rt_random_uniform(rt_seed(j->c), 1, (uint64_t)j->draw++);
}

static size_t below(struct job *j, size_t n)
{
	return (size_t)rt_random_below(rt_seed(j->c), 2, (uint64_t)j->draw++, n);
}

/* ---- values --------------------------------------------------------------------------------- */

static int pool_add(struct pool *p, const char *key, const char *value)
{
	struct rt_json *list = rt_json_get(p->values, key);

	if (!list) {
		list = rt_json_new_array();
		if (rt_json_set(p->values, key, list) < 0)
			return RT_E_NOMEM;
	}
	return rt_json_append(list, rt_json_new_string(value));
}

static void pool_key(const struct pool *p, const char *function, const char *argument,
                     char key[MAX_VALUE])
{
	snprintf(key, MAX_VALUE, "%s.%s", function && !p->across ? function : "", argument);
}

static int pool_words(struct pool *p, const char *text)
{
	char   word[64];
	size_t n = 0;
	int    r = 0;

	for (;; text++) {
		if (*text && !isspace((unsigned char)*text)) {
			if (n < sizeof word - 1)
				word[n++] = *text;
			continue;
		}
		word[n] = '\0';
		if (n && rt_utf8_check(word, n) == n)
			r |= pool_add(p, "", word);
		n = 0;
		if (!*text)
			return r;
	}
}

typedef int value_fn(void *arg, const char *function, const char *argument, size_t call,
                     size_t item, const char *value);

/* Every text among the arguments of an answer. */
static int each_value(const struct rt_json *answer, value_fn *fn, void *arg)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < rt_call_count(answer); i++) {
		const char *function = rt_call_name(answer, i);

		for (struct rt_json_iter a = rt_json_first(rt_call_arguments(answer, i));
		     r == 0 && a.key; rt_json_next(&a)) {
			if (rt_json_string(a.value))
				r = fn(arg, function, a.key, i, SIZE_MAX, rt_json_string(a.value));
			for (size_t k = 0; rt_json_is(a.value, RT_JSON_ARRAY) && r == 0 &&
			                   k < rt_json_length(a.value);
			     k++)
				if (rt_json_string(rt_json_at(a.value, k)))
					r = fn(arg, function, a.key, i, k,
					       rt_json_string(rt_json_at(a.value, k)));
		}
	}
	return r;
}

static int note_value(void *arg, const char *function, const char *argument, size_t call,
                      size_t item, const char *value)
{
	struct pool *p = arg;
	char         key[MAX_VALUE];

	(void)call, (void)item;
	pool_key(p, function, argument, key);
	return pool_add(p, key, value);
}

/* ---- slots ---------------------------------------------------------------------------------- */

static const char *user_text(const struct rt_json *row, struct rt_json **ret_message)
{
	const struct rt_json *messages = rt_json_get(row, "messages");

	for (size_t i = rt_row_prompt(row); i-- > 0;) {
		struct rt_json *m = rt_json_at(messages, i);
		const char     *role = rt_json_string(rt_json_get(m, "role"));

		*ret_message = m;
		if (role && strcmp(role, "user") == 0)
			return rt_json_string(rt_json_get(m, "content"));
	}
	return NULL;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || (unsigned char)c >= 0x80 || c == '_';
}

/* Where value stands as whole words; NULL when nowhere, or more than once. */
static const char *find_once(const char *text, const char *value)
{
	const size_t n = strlen(value);
	const char  *found = NULL;

	for (const char *at = text; n && (at = strstr(at, value)); at++) {
		if ((at > text && is_word(at[-1]) && is_word(value[0])) ||
		    (is_word(at[n]) && is_word(value[n - 1])))
			continue;
		if (found)
			return NULL;
		found = at;
	}
	return found;
}

struct finding {
	const char  *text;
	struct slot *slots;
	size_t       n;
};

static int note_slot(void *arg, const char *function, const char *argument, size_t call,
                     size_t item, const char *value)
{
	struct finding *f = arg;
	const char     *at = find_once(f->text, value);

	(void)function;
	if (!at || f->n == MAX_SLOTS || strlen(value) >= MAX_VALUE)
		return 0;
	f->slots[f->n++] =
		(struct slot){ (size_t)(at - f->text), strlen(value), argument, call, item, "" };
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	return x->start != y->start ? (x->start < y->start ? -1 : 1)
	                            : (x->n < y->n) - (x->n > y->n);
}

/* In order, without those that lie in or over another. */
static size_t find_slots(const struct rt_json *answer, const char *text, struct slot *slots)
{
	struct finding f = { text, slots, 0 };
	size_t         n = 0, end = 0;

	each_value(answer, note_slot, &f);
	qsort(slots, f.n, sizeof *slots, by_start);
	for (size_t i = 0; i < f.n; i++) {
		if (slots[i].start < end)
			continue;
		end = slots[i].start + slots[i].n;
		slots[n++] = slots[i];
	}
	return n;
}

/* ---- other values --------------------------------------------------------------------------- */

static void make_up(struct job *j, char *value)
{
	const struct rt_json *words = rt_json_get(j->pool.values, "");
	const size_t          count = 1 + below(j, 4);
	size_t                at = 0;

	for (size_t i = 0; i < count; i++) {
		char        letters[16];
		const char *word = letters;
		size_t      n = 2 + below(j, 9);

		for (size_t k = 0; k < n; k++)
			letters[k] = (char)('a' + below(j, 26));
		letters[n] = '\0';
		if (chance(j) < j->cfg->words && rt_json_length(words))
			word = rt_json_string(rt_json_at(words, below(j, rt_json_length(words))));
		n = strlen(word);
		if (at + n + 2 > MAX_VALUE)
			break;
		if (i)
			value[at++] = ' ';
		memcpy(value + at, word, n);
		at += n;
	}
	value[at] = '\0';
}

static void choose_value(struct job *j, const struct rt_json *answer, const char *text,
                         struct slot *s)
{
	const struct rt_json *list;
	const char           *value;
	char                  key[MAX_VALUE];

	memcpy(s->value, text + s->start, s->n);
	s->value[s->n] = '\0';
	if (chance(j) >= j->cfg->exchange)
		return;
	if (chance(j) < j->cfg->made_up) {
		make_up(j, s->value);
		return;
	}
	pool_key(&j->pool, rt_call_name(answer, s->call), s->key, key);
	list = rt_json_get(j->pool.values, key);
	value = rt_json_length(list)
	                ? rt_json_string(rt_json_at(list, below(j, rt_json_length(list))))
	                : NULL;
	if (value && strlen(value) < MAX_VALUE)
		strcpy(s->value, value);
}

/* ---- variants ------------------------------------------------------------------------------- */

static int put_value(const struct rt_json *answer, const struct slot *s)
{
	struct rt_json *arguments = (struct rt_json *)rt_call_arguments(answer, s->call);

	if (s->item == SIZE_MAX)
		return rt_json_set(arguments, s->key, rt_json_new_string(s->value));
	return rt_json_replace(rt_json_get(arguments, s->key), s->item,
	                       rt_json_new_string(s->value));
}

static int put_text(struct rt_json *message, const char *text, const struct slot *slots, size_t n)
{
	struct rt_text t = RT_TEXT_INIT;
	size_t         at = 0;
	int            r;

	for (size_t i = 0; i < n; i++) {
		rt_text_add_n(&t, text + at, slots[i].start - at);
		rt_text_add(&t, slots[i].value);
		at = slots[i].start + slots[i].n;
	}
	rt_text_add(&t, text + at);
	r = t.failed ? RT_E_NOMEM
	             : rt_json_set(message, "content", rt_json_new_string_n(t.data, t.len));
	rt_text_free(&t);
	return r;
}

static const char *const of_the_row[] = { "accepted", "candidates", "scores", "score", NULL };

static int variant(struct job *j, const struct rt_json *row, const struct slot *found, size_t n,
                   int64_t number, struct rt_error *err)
{
	struct rt_json       *copy = rt_json_copy(row), *message = NULL;
	const struct rt_json *answer = rt_row_reference(copy, 0);
	const char           *text = copy ? user_text(copy, &message) : NULL;
	struct slot           slots[MAX_SLOTS];
	char                 *id =
		rt_asprintf("%s~%lld", rt_json_string(rt_json_get(row, "id")), (long long)number);
	int r = copy && text && id ? 0 : RT_E_NOMEM;

	memcpy(slots, found, n * sizeof *slots);
	for (size_t i = 0; r == 0 && i < n; i++)
		choose_value(j, answer, text, &slots[i]);
	if (r == 0)
		r = put_text(message, text, slots, n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = put_value(answer, &slots[i]);
	/* What was said of the row does not hold for the copy. */
	for (int i = 0; r == 0 && of_the_row[i]; i++)
		r = rt_json_remove(copy, of_the_row[i]);
	if (r == 0)
		r = rt_json_set(copy, "id", rt_json_new_string(id));
	r = r < 0 ? rt_fail_nomem(err, "a variant") : rt_rows_put(j->out, copy, err);
	j->made += r == 0;
	rt_free(id);
	rt_json_free(copy);
	return r;
}

static int do_row(struct job *j, struct rt_json *row, struct rt_error *err)
{
	const struct rt_json *answer = rt_row_reference(row, 0);
	struct rt_json       *message;
	const char           *text = user_text(row, &message);
	struct slot           slots[MAX_SLOTS];
	const size_t          n = answer && text ? find_slots(answer, text, slots) : 0;
	int                   r = j->cfg->originals ? rt_rows_put(j->out, row, err) : 0;

	j->rows++;
	j->with_slots += n > 0;
	for (int64_t i = 1; r == 0 && n > 0 && i <= j->cfg->copies; i++)
		r = variant(j, row, slots, n, i, err);
	return r;
}

static int note_row(struct job *j, struct rt_json *row, struct rt_error *err)
{
	struct rt_json       *message;
	const struct rt_json *answer = rt_row_reference(row, 0);
	const char           *text = user_text(row, &message);

	if ((answer && each_value(answer, note_value, &j->pool) < 0) ||
	    (text && pool_words(&j->pool, text) < 0))
		return rt_fail_nomem(err, "values");
	return 0;
}

static int each_row(struct job *j, const char *path,
                    int (*fn)(struct job *, struct rt_json *, struct rt_error *),
                    struct rt_error *err)
{
	struct rt_rows *rows;
	struct rt_json *row;
	int             r = rt_rows_open(&rows, path, 0, err);

	if (r < 0)
		return r;
	while ((r = rt_rows_next(rows, &row, err)) == 1) {
		r = rt_cancelled(j->c) ? rt_fail(err, RT_E_CANCEL, "cancelled") : fn(j, row, err);
		rt_json_free(row);
		if (r < 0)
			break;
	}
	rt_rows_close(rows);
	return r;
}

static int write_report(const struct job *j, const char *dir, struct rt_error *err)
{
	struct rt_json *m = rt_json_new_object();
	int             r = m ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_metric(m, "rows", (double)j->rows, j->rows);
		r |= rt_metric_rate(m, "with_slots", j->with_slots, j->rows);
		r |= rt_metric(m, "variants", (double)j->made, j->rows);
	}
	r = r < 0 ? rt_fail_nomem(err, "a report") : rt_metrics_write(m, dir, err);
	rt_json_free(m);
	return r;
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	struct job j = { .cfg = state, .c = c };
	char      *in = rt_path_join(j.cfg->data->path, "rows.jsonl"),
	     *to = rt_path_join(out[0], "rows.jsonl");
	int r = in && to ? 0 : rt_fail_nomem(err, "a path");

	j.pool.across = j.cfg->across;
	j.pool.values = rt_json_new_object();
	if (r == 0 && !j.pool.values)
		r = rt_fail_nomem(err, "values");
	if (r == 0)
		r = each_row(&j, in, note_row, err);
	if (r == 0)
		r = rt_rows_create(&j.out, to, err);
	if (r == 0)
		r = each_row(&j, in, do_row, err);
	if (r == 0) {
		r = rt_rows_finish(j.out, err);
		j.out = NULL;
	}
	if (r == 0)
		r = write_report(&j, out[1], err);
	rt_rows_discard(j.out);
	rt_json_free(j.pool.values);
	rt_free(in);
	rt_free(to);
	return r;
}

static const struct rt_stage_ops ops = { .size = sizeof ops, .outputs = outputs, .run = run };

RT_PLUGIN(stage_augment, STAGE, .name = "augment", .version = "1.0", .license = "Apache-2.0",
          .summary = "More rows of function calls, by other values for their arguments.",
          .config_size = sizeof(struct config), .params = params, .ops.stage = &ops);
