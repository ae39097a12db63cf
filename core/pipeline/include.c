/* include.c - see include.h.  libconfig could follow includes itself, but it reads them
 * relative to one fixed folder, ends the process when one is a folder, and cannot say
 * where a cycle began.  Comments are dropped on the way, and numbers made safe. */
#include "pipeline/include.h"

#include <retort/file.h>

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 16, MAX_BYTES = 16 << 20 };

/* Where the scanner is between two characters. */
enum place { CODE, STRING, BLOCK_COMMENT };

static int note_line(struct source *s, const char *file, int line, struct rt_error *err)
{
	if (s->n == s->cap) {
		const int64_t       cap = s->cap ? 2 * s->cap : 256;
		struct source_line *more = rt_realloc(s->lines, (size_t)cap, sizeof *more);

		if (!more)
			return rt_fail_nomem(err, "the lines of a pipeline file");
		s->lines = more;
		s->cap = cap;
	}
	s->lines[s->n++] = (struct source_line){ file, line };
	return 0;
}

static bool is_word(char c)
{
	return c == '_' || c == '-' || c == '*' || isalnum((unsigned char)c);
}

/* A whole number at p, copied with an L behind it: without one, libconfig 1.5 wraps what does
 * not fit 32 bits and says nothing.  Returns its end, or p when there is none. */
static const char *copy_integer(struct source *s, const char *p, const char *end,
                                struct rt_error *err)
{
	const char *q = p + (*p == '-' || *p == '+');
	const bool  hex = end - q > 2 && q[0] == '0' && (q[1] == 'x' || q[1] == 'X');
	char        digits[32] = "";
	size_t      n = 0;

	if (hex)
		q += 2;
	for (; q < end && (hex ? isxdigit((unsigned char)*q) : isdigit((unsigned char)*q)); q++)
		n++;
	if (n == 0 || (q < end && (*q == '.' || (!hex && (*q == 'e' || *q == 'E')))))
		return p;
	n = (size_t)(q - p);
	if (n < sizeof digits)
		memcpy(digits, p, n);
	errno = 0;
	if (hex && digits[0])
		(void)strtoull(digits, NULL, 16);
	else if (digits[0])
		(void)strtoll(digits, NULL, 10);
	if (errno || !digits[0]) {
		rt_fail(err, RT_E_USAGE, "the whole number %.*s does not fit 64 bits",
		        (int)(n < 40 ? n : 40), p);
		return NULL;
	}
	rt_text_add_n(&s->text, p, n);
	rt_text_add_char(&s->text, 'L');
	while (q < end && (*q == 'L' || *q == 'l'))
		q++;
	return q;
}

/* Copy what stands in code up to the next comment, string or number; NULL is an error. */
static const char *copy_code(struct source *s, enum place *in, const char *p, const char *end,
                             struct rt_error *err)
{
	const char *q = p;

	if (*p == '#' || (*p == '/' && p + 1 < end && p[1] == '/'))
		return end;
	if (*p == '/' && p + 1 < end && p[1] == '*') {
		*in = BLOCK_COMMENT;
		return p + 2;
	}
	if (isdigit((unsigned char)*p) || *p == '-' || *p == '+' || *p == '.') {
		q = copy_integer(s, p, end, err);
		if (!q || q > p)
			return q;
		for (q = p + 1; q < end && (isalnum((unsigned char)*q) || strchr(".+-", *q)); q++)
			;
	} else if (is_word(*p)) {
		while (q < end && is_word(*q))
			q++;
	} else {
		*in = *p == '"' ? STRING : CODE;
		q = p + 1;
	}
	rt_text_add_n(&s->text, p, (size_t)(q - p));
	return q;
}

/* Copy text in quotes, up to its end or the line's. */
static const char *copy_string(struct source *s, enum place *in, const char *p, const char *end,
                               struct rt_error *err)
{
	const char *q = p;

	for (; q < end && *in == STRING; q++) {
		if (end - q >= 4 && memcmp(q, "\\x00", 4) == 0) {
			rt_fail(err, RT_E_USAGE, "text cannot hold a zero byte (\\x00)");
			return NULL;
		}
		if (*q == '\\' && q + 1 < end)
			q++;
		else if (*q == '"')
			*in = CODE;
	}
	rt_text_add_n(&s->text, p, (size_t)(q - p));
	return q;
}

/* Copy one line without its comments.  *in: where the line before ended, and this one ends. */
static int copy_line(struct source *s, enum place *in, const char *p, const char *end,
                     struct rt_error *err)
{
	while (p && p < end) {
		if (*in == STRING)
			p = copy_string(s, in, p, end, err);
		else if (*in == CODE)
			p = copy_code(s, in, p, end, err);
		else if (end - p >= 2 && p[0] == '*' && p[1] == '/')
			*in = CODE, p += 2;
		else
			p++;
	}
	if (!p)
		return RT_E_USAGE;
	rt_text_add_char(&s->text, '\n');
	return s->text.failed ? rt_fail_nomem(err, "the text of a pipeline file") : 0;
}

/* The file named by an @include line, into *name; 0 when the line is none. */
static int included_name(const char *p, const char *end, const char **name, size_t *len)
{
	static const char word[] = "@include";
	const char       *close;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if ((size_t)(end - p) < sizeof word || memcmp(p, word, sizeof word - 1) != 0)
		return 0;
	for (p += sizeof word - 1; p < end && (*p == ' ' || *p == '\t');)
		p++;
	if (p == end || *p != '"')
		return -1;
	close = memchr(p + 1, '"', (size_t)(end - p - 1));
	if (!close)
		return -1;
	*name = p + 1;
	*len = (size_t)(close - p - 1);
	return 1;
}

struct frame {
	const char         *path;
	const struct frame *above;
	int                 depth;
};

static int read_frame(struct source *s, const struct frame *f, const char *text, size_t n,
                      struct rt_arena *a, struct rt_error *err);

static int follow(struct source *s, const struct frame *from, const char *name, size_t len,
                  struct rt_arena *a, struct rt_error *err)
{
	const char    *slash = strrchr(from->path, '/');
	const size_t   dir = name[0] == '/' || !slash ? 0 : (size_t)(slash - from->path) + 1;
	char          *path = rt_arena_alloc(a, dir + len + 1, 1);
	struct frame   f = { path, from, from->depth + 1 };
	struct rt_text text = RT_TEXT_INIT;
	int            r;

	if (!path)
		return rt_fail_nomem(err, "an included file");
	memcpy(path, from->path, dir);
	memcpy(path + dir, name, len);
	for (const struct frame *u = from; u; u = u->above)
		if (strcmp(u->path, path) == 0)
			return rt_fail(err, RT_E_USAGE, "%s is included by itself", path);
	if (f.depth > MAX_DEPTH)
		return rt_fail(err, RT_E_USAGE, "includes nest deeper than %d", MAX_DEPTH);
	r = rt_file_read(path, MAX_BYTES, &text, err);
	if (r == 0)
		r = read_frame(s, &f, text.data, text.len, a, err);
	rt_text_free(&text);
	return r;
}

static int check_bytes(const struct frame *f, const char *text, size_t n, struct rt_error *err)
{
	const size_t bad = rt_utf8_check(text, n);
	const char  *zero = memchr(text, '\0', n);
	const char  *at = zero && (size_t)(zero - text) < bad ? zero : text + bad;
	int          line = 1;

	if (bad == n && !zero)
		return 0;
	for (const char *p = text; p < at; p++)
		line += *p == '\n';
	return rt_fail(err, RT_E_USAGE,
	               "%s:%d: byte 0x%02x is not UTF-8 text; save the file as UTF-8", f->path,
	               line, (unsigned)(unsigned char)*at);
}

static int read_frame(struct source *s, const struct frame *f, const char *text, size_t n,
                      struct rt_arena *a, struct rt_error *err)
{
	const char *end = text + n;
	enum place  in = CODE, was;
	int         line = 0, begun = 0, r = check_bytes(f, text, n, err);

	if (r == 0 && n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	while (r == 0 && text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text)), *stop = nl ? nl : end;
		const char *name;
		size_t      len;
		int         is = in == CODE ? included_name(text, stop, &name, &len) : 0;

		line++;
		if (is == 1)
			r = follow(s, f, name, len, a, err);
		else if (is == -1)
			r = rt_fail(err, RT_E_USAGE, "write @include \"file\", the name in quotes");
		else
			r = note_line(s, f->path, line, err);
		was = in;
		if (r == 0 && is == 0)
			r = copy_line(s, &in, text, stop, err);
		if (in != CODE && was == CODE)
			begun = line;
		if (r < 0 && r != RT_E_NOMEM)
			r = rt_within(err, RT_E_USAGE, "%s:%d", f->path, line);
		text = nl ? nl + 1 : end;
	}
	if (r == 0 && in != CODE)
		r = rt_fail(err, RT_E_USAGE, "%s:%d: %s begins here and does not end", f->path,
		            begun, in == STRING ? "a text in quotes" : "a comment");
	return r;
}

int source_read(struct source *s, const char *path, const char *text, size_t n, struct rt_arena *a,
                struct rt_error *err)
{
	struct frame   f = { rt_arena_strdup(a, path), NULL, 0 };
	struct rt_text own = RT_TEXT_INIT;
	int            r = f.path ? 0 : rt_fail_nomem(err, path);

	*s = (struct source){ .text = RT_TEXT_INIT };
	if (r == 0 && !text)
		r = rt_file_read(path, MAX_BYTES, &own, err);
	if (r == 0)
		r = read_frame(s, &f, text ? text : own.data, text ? n : own.len, a, err);
	rt_text_free(&own);
	if (r < 0)
		source_free(s);
	return r;
}

void source_free(struct source *s)
{
	rt_text_free(&s->text);
	rt_free(s->lines);
	*s = (struct source){ .text = RT_TEXT_INIT };
}

struct source_line source_at(const struct source *s, int line)
{
	if (s->n == 0)
		return (struct source_line){ "", 0 };
	if (line < 1)
		line = 1;
	return s->lines[line <= s->n ? line - 1 : s->n - 1];
}
