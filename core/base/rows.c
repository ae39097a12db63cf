/* rows.c - see retort/rows.h */
#include <retort/rows.h>

#include <retort/file.h>
#include <retort/memory.h>

#include "base/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024 };

struct rt_rows {
	char          *path;
	int            fd;
	bool           lent; /* fd is the caller's */
	int64_t        limit, size, line;
	int64_t        taken;      /* bytes of the file that are in lines or behind them */
	size_t         at, filled; /* chunk[at, filled) is still to be looked at */
	bool           ended;      /* the file has no more */
	bool           open_end;   /* the last line had no newline */
	struct rt_text text;       /* a line that spans chunks */
	char           chunk[CHUNK];
};

/* Takes over fd unless it is lent; a negative one is an error that err holds already. */
static int open_fd(struct rt_rows **ret, int fd, bool lent, int64_t size, const char *name,
                   int64_t limit, struct rt_error *err)
{
	struct rt_rows *r = fd < 0 ? NULL : rt_alloc(1, sizeof *r);

	if (!r) {
		if (fd >= 0 && !lent)
			close(fd);
		return fd < 0 ? fd : rt_fail_nomem(err, "reading rows");
	}
	r->text = (struct rt_text)RT_TEXT_INIT;
	r->limit = limit > 0 ? limit : RT_ROW_LIMIT;
	r->fd = fd;
	r->lent = lent;
	r->size = size;
	r->path = rt_strdup(name);
	if (!r->path) {
		rt_rows_close(r);
		return rt_fail_nomem(err, "reading rows");
	}
	*ret = r;
	return 0;
}

int rt_rows_open(struct rt_rows **ret, const char *path, int64_t limit, struct rt_error *err)
{
	int64_t   size = 0;
	const int fd = disk_open_regular(path, &size, err);

	return open_fd(ret, fd, false, size, path, limit, err);
}

int rt_rows_from(struct rt_rows **ret, int fd, const char *name, int64_t limit,
                 struct rt_error *err)
{
	return open_fd(ret, fd, true, -1, name, limit, err);
}

void rt_rows_close(struct rt_rows *r)
{
	if (!r)
		return;
	if (!r->lent)
		close(r->fd);
	rt_text_free(&r->text);
	rt_free(r->path);
	rt_free(r);
}

int64_t rt_rows_line(const struct rt_rows *r)
{
	return r->line;
}

int64_t rt_rows_bytes(const struct rt_rows *r)
{
	return r->taken;
}

int64_t rt_rows_size(const struct rt_rows *r)
{
	return r->size;
}

/* After an error there is no more: one who goes on must come to an end. */
static int refill(struct rt_rows *r, struct rt_error *err)
{
	const ssize_t n = disk_read(r->fd, r->chunk, sizeof r->chunk);

	r->at = 0;
	r->filled = n > 0 ? (size_t)n : 0;
	r->ended = n <= 0;
	if (n < 0)
		return rt_fail_errno(err, "%s:%lld: cannot read", r->path, (long long)r->line);
	return 0;
}

/* What is there of the current line, and whether its end is. */
static size_t piece(const struct rt_rows *r, bool *ret_whole)
{
	const char *start = r->chunk + r->at;
	const char *end = memchr(start, '\n', r->filled - r->at);

	*ret_whole = end != NULL;
	return end ? (size_t)(end - start) : r->filled - r->at;
}

static void advance(struct rt_rows *r, size_t n, bool newline)
{
	r->at += n + newline;
	r->taken += (int64_t)n + newline;
}

/* A line that does not fit is passed over to its end, so that reading can go on. */
static int collect(struct rt_rows *r, struct rt_error *err)
{
	bool    whole = false, large = false;
	int64_t total = 0;

	while (!whole) {
		size_t n;
		int    code = 0;

		if (r->at == r->filled && !r->ended)
			code = refill(r, err);
		if (code < 0)
			return code;
		if (r->ended)
			break;
		n = piece(r, &whole);
		total += (int64_t)n;
		large = large || total > r->limit;
		if (!large)
			rt_text_add_n(&r->text, r->chunk + r->at, n);
		advance(r, n, whole);
	}
	r->open_end = !whole;
	if (large)
		return rt_fail(err, RT_E_RANGE,
		               "%s:%lld: a line of %lld bytes, at most %lld are read", r->path,
		               (long long)r->line, (long long)total, (long long)r->limit);
	if (r->text.failed)
		return rt_fail(err, RT_E_NOMEM, "%s:%lld: out of memory for a line of %lld bytes",
		               r->path, (long long)r->line, (long long)total);
	return 0;
}

/* 1: *text is the next line; 0: the end.  A line that lies inside the chunk is lent, not copied. */
static int next_line(struct rt_rows *r, const char **text, size_t *len, struct rt_error *err)
{
	bool whole;
	int  code = 0;

	if (r->at == r->filled && !r->ended)
		code = refill(r, err);
	if (code < 0 || r->ended)
		return code;
	r->line++;
	r->open_end = false;
	*len = piece(r, &whole);
	*text = r->chunk + r->at;
	if (whole && (int64_t)*len <= r->limit) {
		advance(r, *len, true);
		return 1;
	}
	rt_text_clear(&r->text);
	code = collect(r, err);
	*text = r->text.data;
	*len = r->text.len;
	return code < 0 ? code : 1;
}

static void skip_mark(const char **text, size_t *len)
{
	if (*len >= 3 && memcmp(*text, "\xef\xbb\xbf", 3) == 0) {
		*text += 3;
		*len -= 3;
	}
}

static bool blank(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r')
			return false;
	return true;
}

/* What else people take for rows, by how it begins. */
static const char *instead(const struct rt_rows *r, const char *text, size_t len)
{
	if (r->line > 1 || len == 0)
		return NULL;
	if (text[0] == '[')
		return "a list; rows are JSON Lines, an object a line, as `jq -c .[]` writes them";
	if (len >= 2 && memcmp(text, "\x1f\x8b", 2) == 0)
		return "compressed; rows are read plain, as gunzip writes them";
	return NULL;
}

static int parse(const struct rt_rows *r, const char *text, size_t len, struct rt_json **ret,
                 struct rt_error *err)
{
	struct rt_json *j;
	const char     *what = instead(r, text, len);
	int             code;

	if (what)
		return rt_fail(err, RT_E_FORMAT, "%s is %s", r->path, what);
	code = rt_json_parse(text, len, r->path, r->line, &j, err);
	if (code == RT_E_FORMAT && r->open_end && err) {
		struct rt_error why = *err;

		return rt_fail(err, code, "%s; the file ends inside this line, it may be cut short",
		               why.msg);
	}
	if (code < 0)
		return code;
	if (!rt_json_is(j, RT_JSON_OBJECT)) {
		code = rt_fail(err, RT_E_FORMAT, "%s:%lld: a row is an object, this is %s", r->path,
		               (long long)r->line, rt_json_type_name(j));
		rt_json_free(j);
		return code;
	}
	*ret = j;
	return 1;
}

int rt_rows_next(struct rt_rows *r, struct rt_json **ret, struct rt_error *err)
{
	const char *text = "";
	size_t      len = 0;

	for (;;) {
		const int code = next_line(r, &text, &len, err);

		if (code <= 0)
			return code;
		if (r->line == 1)
			skip_mark(&text, &len);
		if (!blank(text, len))
			return parse(r, text, len, ret, err);
	}
}

struct rt_rows_out {
	struct rt_file *file;
	struct rt_text  text;
	int64_t         count;
};

int rt_rows_create(struct rt_rows_out **ret, const char *path, struct rt_error *err)
{
	struct rt_rows_out *w = rt_alloc(1, sizeof *w);
	int                 r;

	if (!w)
		return rt_fail_nomem(err, "writing rows");
	w->text = (struct rt_text)RT_TEXT_INIT;
	r = rt_file_create(&w->file, path, err);
	if (r < 0) {
		rt_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

int rt_rows_put(struct rt_rows_out *w, const struct rt_json *row, struct rt_error *err)
{
	if (!rt_json_is(row, RT_JSON_OBJECT))
		return rt_fail(err, RT_E_INVAL, "row %lld: a row is an object, this is %s",
		               (long long)w->count + 1, rt_json_type_name(row));
	rt_text_clear(&w->text);
	rt_json_print(row, 0, &w->text);
	rt_text_add_char(&w->text, '\n');
	if (w->text.failed)
		return rt_fail_nomem(err, "writing a row");
	if (w->text.len - 1 > RT_ROW_LIMIT)
		return rt_fail(err, RT_E_RANGE, "row %lld has %zu bytes, a line holds at most %d",
		               (long long)w->count + 1, w->text.len - 1, RT_ROW_LIMIT);
	if (rt_file_put(w->file, w->text.data, w->text.len) < 0)
		return rt_file_flush(w->file, err);
	w->count++;
	return 0;
}

int64_t rt_rows_count(const struct rt_rows_out *w)
{
	return w->count;
}

int rt_rows_finish(struct rt_rows_out *w, struct rt_error *err)
{
	const int r = rt_file_commit(w->file, err);

	rt_text_free(&w->text);
	rt_free(w);
	return r;
}

void rt_rows_discard(struct rt_rows_out *w)
{
	if (!w)
		return;
	rt_file_discard(w->file);
	rt_text_free(&w->text);
	rt_free(w);
}
