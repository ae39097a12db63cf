/* json-print.c - JSON values as text. */
#include <retort/json.h>

#include <retort/file.h>
#include <retort/memory.h>

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct printer {
	struct rt_text *out;
	unsigned        flags;
	int             depth;
};

static void print(struct printer *p, const struct rt_json *j);

/* The fewest significant digits that read back to the same double, as "d.ddde+xx" with the
 * locale's decimal point.  A normal number keeps any 15 digits, so fewer are these with
 * zeros at the end. */
static void shortest(double r, char *buf, size_t size)
{
	for (int digits = fabs(r) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
		snprintf(buf, size, "%.*e", digits - 1, r);
		if (strtod(buf, NULL) == r)
			return;
	}
}

/* As Python's repr(): plain from 1e-4 to below 1e16, else with an exponent; always with a
 * point or an exponent, so that it reads back as a real. */
static void print_real(struct rt_text *out, double r)
{
	char  buf[40], digits[20];
	char *e;
	int   n = 0, exponent;

	shortest(r, buf, sizeof buf);
	e = strchr(buf, 'e');
	exponent = atoi(e + 1);
	for (const char *s = buf; s < e; s++)
		if (*s >= '0' && *s <= '9')
			digits[n++] = *s;
	while (n > 1 && digits[n - 1] == '0')
		n--;
	if (signbit(r))
		rt_text_add_char(out, '-');
	if (exponent < -4 || exponent >= 16)
		rt_text_printf(out, "%c%s%.*se%c%02d", digits[0], n > 1 ? "." : "", n - 1,
		               digits + 1, exponent < 0 ? '-' : '+', abs(exponent));
	else if (exponent < 0)
		rt_text_printf(out, "0.%.*s%.*s", -exponent - 1, "000", n, digits);
	else if (n <= exponent + 1)
		rt_text_printf(out, "%.*s%.*s.0", n, digits, exponent + 1 - n, "000000000000000");
	else
		rt_text_printf(out, "%.*s.%.*s", exponent + 1, digits, n - exponent - 1,
		               digits + exponent + 1);
}

static const char *short_escape(unsigned char c)
{
	switch (c) {
	case '"': return "\\\"";
	case '\\': return "\\\\";
	case '\b': return "\\b";
	case '\f': return "\\f";
	case '\n': return "\\n";
	case '\r': return "\\r";
	case '\t': return "\\t";
	default: return NULL;
	}
}

static void print_escape(struct rt_text *out, uint32_t code)
{
	const char *known = code < 0x80 ? short_escape((unsigned char)code) : NULL;

	if (known)
		rt_text_add(out, known);
	else if (code < 0x10000)
		rt_text_printf(out, "\\u%04" PRIx32, code);
	else
		rt_text_printf(out, "\\u%04" PRIx32 "\\u%04" PRIx32,
		               0xd800 + ((code - 0x10000) >> 10),
		               0xdc00 + ((code - 0x10000) & 0x3ff));
}

static void print_string(struct printer *p, const char *s, size_t n)
{
	const bool ascii = p->flags & RT_JSON_ASCII;
	size_t     done = 0, i = 0, len;

	rt_text_add_char(p->out, '"');
	while (i < n) {
		const unsigned char c = (unsigned char)s[i];
		uint32_t            code = c;

		len = 1;
		if (c >= 0x20 && c != '"' && c != '\\' && (c < 0x80 || !ascii)) {
			i++;
			continue;
		}
		if (c >= 0x80)
			code = rt_utf8_decode(s + i, n - i, &len);
		rt_text_add_n(p->out, s + done, i - done);
		print_escape(p->out, code);
		i += len;
		done = i;
	}
	rt_text_add_n(p->out, s + done, n - done);
	rt_text_add_char(p->out, '"');
}

static void print_break(const struct printer *p)
{
	if (!(p->flags & RT_JSON_INDENT))
		return;
	rt_text_add_char(p->out, '\n');
	for (int i = 0; i < p->depth; i++)
		rt_text_add(p->out, "  ");
}

/* In front of item i of a container. */
static void print_separator(const struct printer *p, size_t i)
{
	if (i > 0)
		rt_text_add(p->out,
		            p->flags & RT_JSON_SPACED && !(p->flags & RT_JSON_INDENT) ? ", " : ",");
	print_break(p);
}

static void print_array(struct printer *p, const struct rt_json *j)
{
	const size_t n = rt_json_length(j);

	rt_text_add_char(p->out, '[');
	p->depth++;
	for (size_t i = 0; i < n; i++) {
		print_separator(p, i);
		print(p, rt_json_at(j, i));
	}
	p->depth--;
	if (n > 0)
		print_break(p);
	rt_text_add_char(p->out, ']');
}

static void print_member(struct printer *p, const struct rt_json_iter *m, size_t i)
{
	print_separator(p, i);
	print_string(p, m->key, strlen(m->key));
	rt_text_add(p->out, p->flags & (RT_JSON_SPACED | RT_JSON_INDENT) ? ": " : ":");
	print(p, m->value);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct rt_json_iter *)a)->key, ((const struct rt_json_iter *)b)->key);
}

static void print_sorted(struct printer *p, const struct rt_json *j, size_t n)
{
	struct rt_json_iter *members = rt_alloc(n, sizeof *members);
	size_t               i = 0;

	if (!members) {
		p->out->failed = true;
		return;
	}
	for (struct rt_json_iter m = rt_json_first(j); m.key; rt_json_next(&m))
		members[i++] = m;
	qsort(members, n, sizeof *members, by_key);
	for (i = 0; i < n; i++)
		print_member(p, &members[i], i);
	rt_free(members);
}

static void print_object(struct printer *p, const struct rt_json *j)
{
	const size_t n = rt_json_length(j);
	size_t       i = 0;

	rt_text_add_char(p->out, '{');
	p->depth++;
	if (p->flags & RT_JSON_SORT)
		print_sorted(p, j, n);
	else
		for (struct rt_json_iter m = rt_json_first(j); m.key; rt_json_next(&m))
			print_member(p, &m, i++);
	p->depth--;
	if (n > 0)
		print_break(p);
	rt_text_add_char(p->out, '}');
}

static void print(struct printer *p, const struct rt_json *j)
{
	switch (rt_json_type(j)) {
	case RT_JSON_NULL: rt_text_add(p->out, "null"); break;
	case RT_JSON_BOOL: rt_text_add(p->out, rt_json_bool(j, false) ? "true" : "false"); break;
	case RT_JSON_INT: rt_text_printf(p->out, "%" PRId64, rt_json_int(j, 0)); break;
	case RT_JSON_REAL: print_real(p->out, rt_json_real(j, 0)); break;
	case RT_JSON_STRING: print_string(p, rt_json_string(j), rt_json_length(j)); break;
	case RT_JSON_ARRAY: print_array(p, j); break;
	case RT_JSON_OBJECT: print_object(p, j); break;
	}
}

void rt_json_print(const struct rt_json *j, unsigned flags, struct rt_text *out)
{
	print(&(struct printer){ .out = out, .flags = flags }, j);
}

int rt_json_write(const struct rt_json *j, unsigned flags, const char *path, struct rt_error *err)
{
	struct rt_text t = RT_TEXT_INIT;
	int            r;

	rt_json_print(j, flags, &t);
	rt_text_add_char(&t, '\n');
	r = t.failed ? rt_fail_nomem(err, path) : rt_file_write(path, t.data, t.len, err);
	rt_text_free(&t);
	return r;
}
