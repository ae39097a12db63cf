/* filter.c - see filter.h */
#include "filter.h"

#include <retort/row.h>

#include <string.h>

/* ---- lengths ---- */

void filter_prompt(const struct rt_json *row, struct rt_text *out)
{
	const struct rt_json *messages = rt_json_get(row, "messages");
	bool                  first = true;

	for (size_t i = 0; i < rt_row_prompt(row); i++) {
		const struct rt_json *m = rt_json_at(messages, i);
		const char           *role = rt_json_string(rt_json_get(m, "role"));

		if (role && strcmp(role, "system") == 0)
			continue;
		if (!first)
			rt_text_add_char(out, '\n');
		first = false;
		rt_answer_text(m, out);
	}
}

static int length(struct filter *f, int64_t *ret, struct rt_error *err)
{
	int r = 0;

	if (f->text.failed)
		return rt_fail_nomem(err, "a text");
	*ret = 0;
	if (!f->tokenizer) {
		for (size_t i = 0; i < f->text.len; i++)
			*ret += ((unsigned char)f->text.data[i] & 0xc0) != 0x80;
		return 0;
	}
	f->ids.len = 0;
	r = rt_tokenizer_encode(f->tokenizer, f->text.data, f->text.len, 0, &f->ids, err);
	if (r == 0 && f->ids.failed)
		r = rt_fail_nomem(err, "tokens");
	*ret = (int64_t)f->ids.len;
	return r;
}

static const char *outside(int64_t n, int64_t least, int64_t most, const char *few,
                           const char *many)
{
	return n < least ? few : most > 0 && n > most ? many : NULL;
}

static int check_lengths(struct filter *f, const struct rt_json *row, const char **ret_why,
                         struct rt_error *err)
{
	const struct filter_limits *l = f->limits;
	const struct rt_json       *answer = rt_row_reference(row, 0);
	int64_t                     n;
	int                         r = 0;

	if (l->min_prompt || l->max_prompt) {
		rt_text_clear(&f->text);
		filter_prompt(row, &f->text);
		r = length(f, &n, err);
		if (r == 0)
			*ret_why = outside(n, l->min_prompt, l->max_prompt, "prompt too short",
			                   "prompt too long");
	}
	if (r < 0 || *ret_why || (!l->min_answer && !l->max_answer))
		return r;
	rt_text_clear(&f->text);
	if (answer)
		rt_answer_text(answer, &f->text);
	r = length(f, &n, err);
	if (r == 0)
		*ret_why = outside(n, l->min_answer, l->max_answer, "answer too short",
		                   "answer too long");
	return r;
}

/* ---- fields ---- */

/* FIELD = VALUE, FIELD != VALUE, blanks around both dropped. */
struct condition {
	const char *field, *value;
	size_t      field_n, value_n;
	bool        differs;
};

static void trim(const char **s, size_t *n)
{
	while (*n > 0 && (*s)[*n - 1] == ' ')
		--*n;
	while (*n > 0 && **s == ' ') {
		++*s;
		--*n;
	}
}

static bool parse(const char *text, struct condition *ret)
{
	const char *equals = strchr(text, '=');

	if (!equals)
		return false;
	ret->differs = equals > text && equals[-1] == '!';
	ret->field = text;
	ret->field_n = (size_t)(equals - text) - ret->differs;
	ret->value = equals + 1;
	ret->value_n = strlen(equals + 1);
	trim(&ret->field, &ret->field_n);
	trim(&ret->value, &ret->value_n);
	return ret->field_n > 0 && ret->field_n < 256;
}

int filter_check(const struct rt_strings *where, struct rt_error *err)
{
	struct condition c;

	for (int64_t i = 0; i < where->n; i++)
		if (!parse(where->at[i], &c) || (c.value_n > 0 && *c.value == '='))
			return rt_fail(err, RT_E_FORMAT,
			               "where = \"%s\" is none of \"FIELD = VALUE\" and "
			               "\"FIELD != VALUE\"",
			               where->at[i]);
	return 0;
}

/* "a.b" is b of a, unless a key is spelled like that. */
static const struct rt_json *find(const struct rt_json *row, const struct condition *c)
{
	char                  path[256];
	char                 *rest = path;
	const struct rt_json *at;

	memcpy(path, c->field, c->field_n);
	path[c->field_n] = '\0';
	at = rt_json_get(row, path);
	if (at)
		return at;
	at = row;
	while (rest) {
		char *dot = strchr(rest, '.');

		if (dot)
			*dot = '\0';
		at = rt_json_get(at, rest);
		rest = dot ? dot + 1 : NULL;
	}
	return at;
}

static int holds(struct filter *f, const struct rt_json *row, const struct condition *c, bool *ret,
                 struct rt_error *err)
{
	const struct rt_json *at = find(row, c);

	rt_text_clear(&f->text);
	if (rt_json_is(at, RT_JSON_STRING))
		rt_text_add_n(&f->text, rt_json_string(at), rt_json_length(at));
	else if (at)
		rt_json_print(at, RT_JSON_SORT, &f->text);
	if (f->text.failed)
		return rt_fail_nomem(err, "a field");
	*ret = (at && f->text.len == c->value_n &&
	        memcmp(f->text.data, c->value, c->value_n) == 0) != c->differs;
	return 0;
}

static int check_fields(struct filter *f, const struct rt_json *row, const char **ret_why,
                        struct rt_error *err)
{
	for (int64_t i = 0; i < f->where->n; i++) {
		struct condition c;
		bool             good = false;
		int r = parse(f->where->at[i], &c) ? holds(f, row, &c, &good, err) : RT_E_INVAL;

		if (r < 0)
			return r;
		if (good)
			continue;
		rt_text_clear(&f->text);
		rt_text_printf(&f->text, "not %s", f->where->at[i]);
		*ret_why = f->text.data;
		return f->text.failed ? rt_fail_nomem(err, "a reason") : 0;
	}
	return 0;
}

int filter_row(struct filter *f, const struct rt_json *row, const char **ret_why,
               struct rt_error *err)
{
	int r;

	if (!f->text.data)
		f->text = (struct rt_text)RT_TEXT_INIT;
	*ret_why = NULL;
	r = check_lengths(f, row, ret_why, err);
	return r < 0 || *ret_why ? r : check_fields(f, row, ret_why, err);
}

void filter_fini(struct filter *f)
{
	if (f->text.data)
		rt_text_free(&f->text);
	rt_ids_free(&f->ids);
}
