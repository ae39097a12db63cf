/* csv.c - see csv.h */
#include "csv.h"

#include <retort/file.h>
#include <retort/memory.h>
#include <retort/rows.h>

#include <string.h>
#include <strings.h>

struct csv {
	char         *path;
	struct rt_map map;
	const char   *at, *end;
	int64_t       line, began; /* of `at`; of the record that came last */
	char        **names;
	size_t        n_names;
	/* the record that is read: its fields, each with a zero byte behind it */
	struct rt_text text;
	size_t        *starts, n, cap;
};

static const char *const json_columns[] = { "messages", "conversations",   "tools", "accepted",
	                                    "scores",   "candidates",      "meta",  "function_call",
	                                    "history",  "template_kwargs", NULL };

bool csv_named(const char *path)
{
	const size_t n = strlen(path);

	return n > 4 && strcasecmp(path + n - 4, ".csv") == 0;
}

static int wrong(const struct csv *c, int64_t line, const char *what, struct rt_error *err)
{
	return rt_fail(err, RT_E_FORMAT, "%s:%lld: %s", c->path, (long long)line, what);
}

/* ---- records ---- */

/* Bytes of the line end at `at`, or 0. */
static size_t line_end(const struct csv *c)
{
	if (c->at < c->end && *c->at == '\n')
		return 1;
	return c->end - c->at > 1 && c->at[0] == '\r' && c->at[1] == '\n' ? 2 : 0;
}

static int quoted(struct csv *c, struct rt_error *err)
{
	const int64_t began = c->line;

	for (c->at++; c->at < c->end; c->at++) {
		if (*c->at == '"' && (c->at + 1 == c->end || c->at[1] != '"')) {
			c->at++;
			if (c->at < c->end && *c->at != ',' && line_end(c) == 0)
				return wrong(c, c->line,
				             "text behind the quote that ends a field; a quote "
				             "inside of a field is written twice",
				             err);
			return 0;
		}
		c->at += *c->at == '"';
		c->line += *c->at == '\n';
		rt_text_add_char(&c->text, *c->at);
	}
	return wrong(c, began, "the quotes of a field that begins here are not closed", err);
}

static int plain(struct csv *c, struct rt_error *err)
{
	for (; c->at < c->end && *c->at != ',' && line_end(c) == 0; c->at++) {
		if (*c->at == '"')
			return wrong(c, c->line,
			             "a quote inside of a field without quotes; put the field into "
			             "quotes, and write those inside of it twice",
			             err);
		if (*c->at == '\r')
			return wrong(c, c->line,
			             "a carriage return alone; lines end with LF or CR LF", err);
		rt_text_add_char(&c->text, *c->at);
	}
	return 0;
}

static int begin_field(struct csv *c)
{
	if (c->n == c->cap) {
		const size_t cap = c->cap ? 2 * c->cap : 16;
		size_t      *more = rt_realloc(c->starts, cap, sizeof *more);

		if (!more)
			return RT_E_NOMEM;
		c->starts = more;
		c->cap = cap;
	}
	c->starts[c->n++] = c->text.len;
	return 0;
}

/* 1: a record is in c; 0: the end. */
static int record(struct csv *c, struct rt_error *err)
{
	size_t n;
	bool   more = true;

	while ((n = line_end(c)) > 0) {
		c->at += n;
		c->line++;
	}
	if (c->at == c->end)
		return 0;
	c->began = c->line;
	c->n = 0;
	rt_text_clear(&c->text);
	while (more) {
		int r = begin_field(c);

		if (r == 0)
			r = c->at < c->end && *c->at == '"' ? quoted(c, err) : plain(c, err);
		if (r < 0)
			return r == RT_E_NOMEM ? rt_fail_nomem(err, "a record") : r;
		rt_text_add_char(&c->text, '\0');
		more = c->at < c->end && *c->at == ',';
		c->at += more;
	}
	n = line_end(c);
	c->at += n;
	c->line += n > 0;
	if (c->text.failed)
		return rt_fail_nomem(err, "a record");
	if (c->text.len > RT_ROW_LIMIT)
		return rt_fail(err, RT_E_RANGE,
		               "%s:%lld: a record of %zu bytes, at most %d are read", c->path,
		               (long long)c->began, c->text.len, RT_ROW_LIMIT);
	return 1;
}

/* ---- rows ---- */

static int cell(const struct csv *c, size_t i, struct rt_json *row, struct rt_error *err)
{
	const char     *text = c->text.data + c->starts[i], *name = c->names[i];
	const size_t    end = i + 1 < c->n ? c->starts[i + 1] : c->text.len;
	const size_t    n = end - c->starts[i] - 1;
	struct rt_json *value = NULL;
	int             r = 0;
	bool            json = false;

	if (n == 0)
		return 0;
	for (size_t k = 0; json_columns[k]; k++)
		json |= strcmp(json_columns[k], name) == 0;
	if (json)
		r = rt_json_parse(text, n, name, 1, &value, err);
	else
		value = rt_json_new_string_n(text, n);
	if (r < 0)
		return rt_within(err, r, "%s:%lld: a cell of JSON", c->path, (long long)c->began);
	return rt_json_set(row, name, value) < 0 ? rt_fail_nomem(err, "a row") : 0;
}

int csv_next(struct csv *c, struct rt_json **ret, struct rt_error *err)
{
	struct rt_json *row;
	int             r = record(c, err);

	if (r <= 0)
		return r;
	if (c->n != c->n_names)
		return rt_fail(err, RT_E_FORMAT, "%s:%lld: %zu fields, the first line names %zu",
		               c->path, (long long)c->began, c->n, c->n_names);
	row = rt_json_new_object();
	if (!row)
		return rt_fail_nomem(err, "a row");
	r = 0;
	for (size_t i = 0; r == 0 && i < c->n; i++)
		r = cell(c, i, row, err);
	if (r < 0) {
		rt_json_free(row);
		return r;
	}
	*ret = row;
	return 1;
}

int64_t csv_line(const struct csv *c)
{
	return c->began;
}

/* ---- files ---- */

static int read_names(struct csv *c, struct rt_error *err)
{
	const int r = record(c, err);

	if (r < 0)
		return r;
	if (r == 0)
		return wrong(c, 1, "the file is empty; its first line names the columns", err);
	c->names = rt_alloc(c->n, sizeof *c->names);
	if (!c->names)
		return rt_fail_nomem(err, "columns");
	for (; c->n_names < c->n; c->n_names++) {
		const char *name = c->text.data + c->starts[c->n_names];

		if (!*name)
			return rt_fail(err, RT_E_FORMAT, "%s:%lld: column %zu has no name", c->path,
			               (long long)c->began, c->n_names + 1);
		for (size_t i = 0; i < c->n_names; i++)
			if (strcmp(c->names[i], name) == 0)
				return rt_fail(err, RT_E_FORMAT,
				               "%s:%lld: two columns are called '%s'", c->path,
				               (long long)c->began, name);
		c->names[c->n_names] = rt_strdup(name);
		if (!c->names[c->n_names])
			return rt_fail_nomem(err, "columns");
	}
	return 0;
}

static int check_text(const struct csv *c, struct rt_error *err)
{
	const size_t n = (size_t)(c->end - c->at), good = n ? rt_utf8_check(c->at, n) : 0;
	const char *zero = n ? memchr(c->at, '\0', n) : NULL, *bad = good < n ? c->at + good : zero;
	int64_t     line = 1;

	for (const char *p = c->at; bad && p < bad; p++)
		line += *p == '\n';
	return !bad ? 0
	            : wrong(c, line, good < n ? "not UTF-8; save the file as UTF-8" : "a zero byte",
	                    err);
}

int csv_open(struct csv **ret, const char *path, struct rt_error *err)
{
	struct csv *c = rt_alloc(1, sizeof *c);
	int         r;

	if (!c)
		return rt_fail_nomem(err, "reading CSV");
	c->text = (struct rt_text)RT_TEXT_INIT;
	c->line = 1;
	c->path = rt_strdup(path);
	r = c->path ? rt_file_map(&c->map, path, err) : rt_fail_nomem(err, "reading CSV");
	if (r == 0) {
		c->at = c->map.data;
		c->end = c->map.size ? c->at + c->map.size : c->at;
		if (c->map.size >= 3 && memcmp(c->at, "\xef\xbb\xbf", 3) == 0)
			c->at += 3;
		r = check_text(c, err);
	}
	if (r == 0)
		r = read_names(c, err);
	if (r < 0) {
		csv_close(c);
		return r;
	}
	*ret = c;
	return 0;
}

void csv_close(struct csv *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_names; i++)
		rt_free(c->names[i]);
	rt_free(c->names);
	rt_free(c->starts);
	rt_text_free(&c->text);
	if (c->map.data)
		rt_file_unmap(&c->map);
	rt_free(c->path);
	rt_free(c);
}
