/* table-read.c - see table.h */
#include "table.h"

#include <retort/file.h>
#include <retort/memory.h>
#include <retort/rows.h>

#include <string.h>
#include <strings.h>

enum { MOST_COLUMNS = 1024 };

struct csv {
	const char     *path, *at, *end;
	int64_t         line, begun; /* that is being read; where the record began */
	struct rt_text  field;
	struct rt_json *names; /* array */
};

static int wrong(const struct csv *c, int64_t line, const char *what, struct rt_error *err)
{
	return rt_fail(err, RT_E_FORMAT, "%s:%lld: %s", c->path, (long long)line, what);
}

/* A quoted field, behind its first quote. */
static int read_quoted(struct csv *c, struct rt_error *err)
{
	while (c->at < c->end) {
		const char ch = *c->at++;

		if (ch == '"' && (c->at == c->end || *c->at != '"'))
			return 0;
		if (ch == '"')
			c->at++; /* two quotes are one */
		c->line += ch == '\n';
		rt_text_add_char(&c->field, ch);
	}
	return wrong(c, c->begun, "a field's quote is not closed", err);
}

/* The next field into c->field; *ret_last: a line ends with it. */
static int read_field(struct csv *c, bool *ret_last, struct rt_error *err)
{
	int r = 0;

	rt_text_clear(&c->field);
	if (c->at < c->end && *c->at == '"') {
		c->at++;
		r = read_quoted(c, err);
	} else {
		while (c->at < c->end && !strchr(",\r\n\"", *c->at))
			rt_text_add_char(&c->field, *c->at++);
	}
	if (r < 0)
		return r;
	*ret_last = c->at == c->end || *c->at != ',';
	if (!*ret_last) {
		c->at++;
		return 0;
	}
	if (c->end - c->at >= 2 && c->at[0] == '\r' && c->at[1] == '\n')
		c->at++;
	if (c->at < c->end && *c->at != '\n')
		return wrong(c, c->line,
		             "a quote or a carriage return inside a field; quote it "
		             "whole, and write \"\" for a quote",
		             err);
	if (c->at < c->end)
		c->at++;
	c->line++;
	return 0;
}

static struct rt_json *new_text(const struct csv *c)
{
	return c->field.failed ? NULL : rt_json_new_string_n(c->field.data, c->field.len);
}

static int read_names(struct csv *c, struct rt_error *err)
{
	bool last = false;
	int  r = 0;

	c->begun = c->line;
	while (r == 0 && !last) {
		r = read_field(c, &last, err);
		for (size_t i = 0; r == 0 && i < rt_json_length(c->names); i++)
			if (strcmp(rt_json_string(rt_json_at(c->names, i)), c->field.data) == 0)
				r = wrong(c, c->begun, "a column's name is there twice", err);
		if (r == 0 && (!c->field.len || strlen(c->field.data) != c->field.len))
			r = wrong(c, c->begun, "a column has no name", err);
		if (r == 0 && rt_json_length(c->names) == MOST_COLUMNS)
			r = wrong(c, c->begun, "more than 1024 columns", err);
		if (r == 0 && rt_json_append(c->names, new_text(c)) < 0)
			r = rt_fail_nomem(err, "a table");
	}
	return r;
}

static int read_record(struct csv *c, struct rt_json *row, struct rt_error *err)
{
	const size_t n = rt_json_length(c->names);
	bool         last = false;
	size_t       k = 0;
	int          r = 0;

	c->begun = c->line;
	for (; r == 0 && !last; k++) {
		r = read_field(c, &last, err);
		if (r == 0 && k < n &&
		    rt_json_set(row, rt_json_string(rt_json_at(c->names, k)), new_text(c)) < 0)
			r = rt_fail_nomem(err, "a table");
	}
	if (r == 0 && k != n)
		r = rt_fail(err, RT_E_FORMAT, "%s:%lld: %zu fields, the first line has %zu",
		            c->path, (long long)c->begun, k, n);
	return r;
}

static int read_csv(struct csv *c, struct rt_json *rows, struct rt_error *err)
{
	int r = read_names(c, err);

	while (r == 0 && c->at < c->end) {
		struct rt_json *row = rt_json_new_object();

		r = row ? read_record(c, row, err) : rt_fail_nomem(err, "a table");
		if (r < 0)
			rt_json_free(row);
		else if (rt_json_append(rows, row) < 0)
			r = rt_fail_nomem(err, "a table");
	}
	return r;
}

/* Where text stops being UTF-8, as a line. */
static int check_text(const struct csv *c, struct rt_error *err)
{
	const size_t n = (size_t)(c->end - c->at), bad = rt_utf8_check(c->at, n);
	int64_t      line = 1;

	for (size_t i = 0; i < bad; i++)
		line += c->at[i] == '\n';
	return bad == n ? 0 : wrong(c, line, "this is no UTF-8", err);
}

static int open_csv(const char *path, struct rt_json *rows, struct rt_error *err)
{
	struct rt_text text = RT_TEXT_INIT;
	struct csv     c = { .path = path, .line = 1, .field = RT_TEXT_INIT };
	int            r = rt_file_read(path, 0, &text, err);

	c.at = text.data;
	c.end = text.data + text.len;
	c.names = rt_json_new_array();
	if (r == 0 && !c.names)
		r = rt_fail_nomem(err, "a table");
	if (r == 0 && text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
		c.at += 3; /* a byte order mark */
	if (r == 0)
		r = check_text(&c, err);
	if (r == 0)
		r = read_csv(&c, rows, err);
	rt_json_free(c.names);
	rt_text_free(&c.field);
	rt_text_free(&text);
	return r;
}

static int open_lines(const char *path, struct rt_json *rows, struct rt_error *err)
{
	struct rt_rows *lines;
	struct rt_json *row;
	int             r = rt_rows_open(&lines, path, 0, err);

	if (r < 0)
		return r;
	while ((r = rt_rows_next(lines, &row, err)) == 1)
		if (rt_json_append(rows, row) < 0) {
			r = rt_fail_nomem(err, "a table");
			break;
		}
	rt_rows_close(lines);
	return r;
}

int table_read(const char *path, struct rt_json **ret, struct rt_error *err)
{
	const size_t    n = strlen(path);
	struct rt_json *rows = rt_json_new_array();
	int             r;

	if (!rows)
		return rt_fail_nomem(err, "a table");
	r = n > 4 && strcasecmp(path + n - 4, ".csv") == 0 ? open_csv(path, rows, err)
	                                                   : open_lines(path, rows, err);
	if (r == 0 && rt_json_length(rows) == 0)
		r = rt_fail(err, RT_E_FORMAT, "%s has no rows", path);
	if (r < 0)
		rt_json_free(rows);
	else
		*ret = rows;
	return r;
}
