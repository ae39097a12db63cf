/* show-data.c - figures of datasets and tokenizers.  See show.h */
#include "cli/show.h"

#include <retort/memory.h>
#include <retort/row.h>
#include <retort/rows.h>

#include <stdlib.h>
#include <string.h>

/* ---- datasets ------------------------------------------------------------------------------- */

struct lengths {
	int64_t *at;
	int64_t  n, room;
};

struct figures {
	int64_t         rows, messages, with_tools, with_calls, with_reference, candidates, scored;
	struct rt_json *roles, *calls;  /* name: count */
	struct lengths  prompt, answer; /* bytes of text */
};

static int add_length(struct lengths *l, int64_t x)
{
	int64_t *more = l->at;

	if (l->n == l->room) {
		const int64_t room = l->room ? 2 * l->room : 1024;

		more = rt_realloc(l->at, (size_t)room, sizeof *more);
		if (!more)
			return RT_E_NOMEM;
		l->at = more;
		l->room = room;
	}
	l->at[l->n++] = x;
	return 0;
}

static int count(struct rt_json *o, const char *name)
{
	return rt_json_set(o, name, rt_json_new_int(rt_json_int(rt_json_get(o, name), 0) + 1));
}

static int64_t text_bytes(const struct rt_json *message)
{
	struct rt_text t = RT_TEXT_INIT;
	int64_t        n;

	rt_answer_text(message, &t);
	n = (int64_t)t.len;
	rt_text_free(&t);
	return n;
}

static int add_messages(struct figures *f, const struct rt_json *row)
{
	const struct rt_json *messages = rt_json_get(row, "messages");
	const size_t          prompt = rt_row_prompt(row);
	int64_t               bytes = 0;
	bool                  calls = false;
	int                   r = 0;

	for (size_t i = 0; r == 0 && i < rt_json_length(messages); i++) {
		const struct rt_json *m = rt_json_at(messages, i);
		const char           *role = rt_json_string(rt_json_get(m, "role"));

		f->messages++;
		r = count(f->roles, role ? role : "(none)");
		for (size_t k = 0; r == 0 && k < rt_call_count(m); k++) {
			const char *name = rt_call_name(m, k);

			calls = true;
			r = count(f->calls, name ? name : "(none)");
		}
		if (i < prompt)
			bytes += text_bytes(m);
	}
	f->with_calls += calls;
	if (r == 0)
		r = add_length(&f->prompt, bytes);
	if (r == 0 && rt_row_reference(row, 0)) {
		f->with_reference++;
		r = add_length(&f->answer, text_bytes(rt_row_reference(row, 0)));
	}
	return r;
}

static int add_row(struct figures *f, const struct rt_json *row, struct rt_error *err)
{
	f->rows++;
	f->with_tools += rt_json_length(rt_json_get(row, "tools")) > 0;
	f->candidates += (int64_t)rt_json_length(rt_json_get(row, "candidates"));
	f->scored += rt_json_get(row, "scores") != NULL;
	return add_messages(f, row) < 0 ? rt_fail_nomem(err, "figures") : 0;
}

static int by_size(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int put_lengths(struct rt_json *o, const char *name, struct lengths *l)
{
	struct rt_json *j = rt_json_new_object();
	double          sum = 0;
	int             r = j ? 0 : RT_E_NOMEM;

	if (l->n == 0) {
		rt_json_free(j);
		return r;
	}
	qsort(l->at, (size_t)l->n, sizeof *l->at, by_size);
	for (int64_t i = 0; i < l->n; i++)
		sum += (double)l->at[i];
	if (r == 0) {
		r |= rt_json_set(j, "mean", rt_json_new_real(sum / (double)l->n));
		r |= rt_json_set(j, "median", rt_json_new_int(l->at[l->n / 2]));
		r |= rt_json_set(j, "p95", rt_json_new_int(l->at[l->n * 95 / 100]));
		r |= rt_json_set(j, "max", rt_json_new_int(l->at[l->n - 1]));
	}
	r |= rt_json_set(o, name, j);
	return r;
}

static struct rt_json *figures_json(struct figures *f)
{
	const struct {
		const char *name;
		int64_t     value;
	} rows[] = { { "rows", f->rows },
		     { "messages", f->messages },
		     { "rows_with_tools", f->with_tools },
		     { "rows_with_calls", f->with_calls },
		     { "rows_with_reference", f->with_reference },
		     { "rows_with_scores", f->scored },
		     { "candidates", f->candidates } };
	struct rt_json *o = rt_json_new_object();
	int             r = rt_json_set(o, "dataset", rt_json_new_object());
	struct rt_json *d = rt_json_get(o, "dataset");

	for (size_t i = 0; r == 0 && i < sizeof rows / sizeof *rows; i++)
		r = rt_json_set(d, rows[i].name, rt_json_new_int(rows[i].value));
	if (r == 0)
		r |= rt_json_set(d, "roles", rt_json_ref(f->roles));
	if (r == 0)
		r |= rt_json_set(d, "calls", rt_json_ref(f->calls));
	if (r == 0)
		r |= put_lengths(d, "prompt_bytes", &f->prompt);
	if (r == 0)
		r |= put_lengths(d, "answer_bytes", &f->answer);
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

int show_dataset(const char *path, struct rt_json **ret, struct rt_error *err)
{
	struct figures  f = { .roles = rt_json_new_object(), .calls = rt_json_new_object() };
	struct rt_rows *rows = NULL;
	struct rt_json *row;
	int             r = rt_rows_open(&rows, path, 0, err);

	if (r == 0 && (!f.roles || !f.calls))
		r = rt_fail_nomem(err, "figures");
	while (r >= 0 && (r = rt_rows_next(rows, &row, err)) == 1) {
		r = add_row(&f, row, err);
		rt_json_free(row);
	}
	rt_rows_close(rows);
	if (r == 0) {
		*ret = figures_json(&f);
		r = *ret ? 0 : rt_fail_nomem(err, "figures");
	}
	rt_json_free(f.roles);
	rt_json_free(f.calls);
	rt_free(f.prompt.at);
	rt_free(f.answer.at);
	return r;
}

/* ---- tokenizers ----------------------------------------------------------------------------- */

int show_tokenizer(const struct rt_tokenizer *t, const char *path, struct rt_json **ret,
                   struct rt_error *err)
{
	struct rt_json *o = rt_json_new_object(), *list = rt_json_new_array(), *k;
	int64_t         special = 0, unused = 0, longest = 0;
	int             r = rt_json_set(o, "tokenizer", rt_json_new_object());

	(void)path;
	k = rt_json_get(o, "tokenizer");
	for (int64_t i = 0; r == 0 && i < rt_tokenizer_size(t); i++) {
		size_t      n = 0;
		const char *s = rt_tokenizer_token(t, i, &n);

		unused += !s;
		if (!s)
			continue;
		longest = (int64_t)n > longest ? (int64_t)n : longest;
		if (rt_tokenizer_special(t, i)) {
			special++;
			r = rt_json_append(list, rt_json_new_string_n(s, n));
		}
	}
	if (r == 0) {
		r |= rt_json_set(k, "tokens", rt_json_new_int(rt_tokenizer_size(t) - unused));
		r |= rt_json_set(k, "ids", rt_json_new_int(rt_tokenizer_size(t)));
		r |= rt_json_set(k, "longest_bytes", rt_json_new_int(longest));
		r |= rt_json_set(k, "special", rt_json_ref(list));
	}
	rt_json_free(list);
	if (r == 0) {
		*ret = o;
		return 0;
	}
	rt_json_free(o);
	return rt_fail_nomem(err, "figures");
}
