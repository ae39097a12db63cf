/* tokenizer-normalize.c - the normalizers of a tokenizer.json, read and applied. */
#include "text/normal.h"
#include "text/tok.h"

#include <retort/memory.h>

#include <string.h>

enum { MAX_DEPTH = 16, MAX_STEPS = 256 };

/* The alphabet of byte-level BPE (GPT-2's bytes_to_unicode): printable bytes stand for
 * themselves, the others for U+0100 and on, in their order. */
static bool printable(unsigned b)
{
	return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
}

static uint32_t byte_to_char(unsigned byte)
{
	uint32_t c = 256;

	if (printable(byte))
		return byte;
	for (unsigned b = 0; b < byte; b++)
		c += !printable(b);
	return c;
}

void tok_bytes_to_chars(const char *s, size_t n, struct rt_text *out)
{
	char   form[4];
	size_t run = 0;

	for (size_t i = 0; i < n; i++) {
		const unsigned char b = (unsigned char)s[i];

		if (b >= 33 && b <= 126) {
			run++;
			continue;
		}
		rt_text_add_n(out, s + i - run, run);
		run = 0;
		rt_text_add_n(out, form, rt_utf8_encode(byte_to_char(b), form));
	}
	rt_text_add_n(out, s + n - run, run);
}

int tok_char_to_byte(uint32_t c)
{
	if (c < 256)
		return printable(c) ? (int)c : -1;
	for (unsigned b = 0, next = 256; b < 256; b++)
		if (!printable(b) && next++ == c)
			return (int)b;
	return -1;
}

void tok_replace(const char *s, size_t n, const struct rt_text *from, const struct rt_text *to,
                 struct rt_text *out)
{
	size_t start = 0;

	for (size_t i = 0; from->len && i + from->len <= n;) {
		const char *hit = memchr(s + i, from->data[0], n - i - from->len + 1);

		if (!hit)
			break;
		i = (size_t)(hit - s);
		if (memcmp(hit, from->data, from->len) != 0) {
			i++;
			continue;
		}
		rt_text_add_n(out, s + start, i - start);
		rt_text_add_n(out, to->data, to->len);
		start = i += from->len;
	}
	rt_text_add_n(out, s + start, n - start);
}

int tok_pattern(const struct rt_json *j, struct rt_text *from, struct regex **ret_re,
                struct rt_error *err)
{
	const struct rt_json *string = rt_json_get(j, "String"), *regex = rt_json_get(j, "Regex");

	if (rt_json_string(j))
		string = j;
	if (rt_json_string(string)) {
		rt_text_add_n(from, rt_json_string(string), rt_json_length(string));
		return from->failed ? rt_fail_nomem(err, "a pattern") : 0;
	}
	if (rt_json_string(regex))
		return regex_new(ret_re, rt_json_string(regex), rt_json_length(regex), err);
	return rt_fail(err, RT_E_FORMAT,
	               "'pattern' is %s, neither { \"String\": ... } nor { \"Regex\": ... }",
	               rt_json_type_name(j));
}

static const struct {
	const char     *name;
	enum tok_change what;
	int             form;
} known[] = {
	{ "NFC", CHANGE_FORM, NORMAL_NFC },    { "NFD", CHANGE_FORM, NORMAL_NFD },
	{ "NFKC", CHANGE_FORM, NORMAL_NFKC },  { "NFKD", CHANGE_FORM, NORMAL_NFKD },
	{ "Lowercase", CHANGE_LOWER, 0 },      { "Prepend", CHANGE_PREPEND, 0 },
	{ "Replace", CHANGE_REPLACE, 0 },      { "Strip", CHANGE_STRIP, 0 },
	{ "StripAccents", CHANGE_ACCENTS, 0 }, { "ByteLevel", CHANGE_BYTES, 0 },
};

static int need_string(const struct rt_json *j, const char *key, struct rt_text *out,
                       struct rt_error *err)
{
	const struct rt_json *s = rt_json_get(j, key);

	if (!rt_json_string(s))
		return rt_fail(err, RT_E_FORMAT, "'%s' is %s, not a string", key,
		               rt_json_type_name(s));
	rt_text_add_n(out, rt_json_string(s), rt_json_length(s));
	return out->failed ? rt_fail_nomem(err, key) : 0;
}

static int read_one(struct tok_normal *c, const struct rt_json *j, struct rt_error *err)
{
	int r = 0;

	c->left = rt_json_bool(rt_json_get(j, "strip_left"), true);
	c->right = rt_json_bool(rt_json_get(j, "strip_right"), true);
	if (c->what == CHANGE_PREPEND)
		return need_string(j, "prepend", &c->to, err);
	if (c->what != CHANGE_REPLACE)
		return 0;
	r = tok_pattern(rt_json_get(j, "pattern"), &c->from, &c->re, err);
	if (c->re)
		c->what = CHANGE_REGEX;
	return r ? r : need_string(j, "content", &c->to, err);
}

int normals_read(struct tok_normals *c, const struct rt_json *j, int depth, struct rt_error *err)
{
	const char *type = rt_json_string(rt_json_get(j, "type"));

	if (rt_json_type(j) == RT_JSON_NULL)
		return 0;
	if (!type)
		return rt_fail(err, RT_E_FORMAT, "a normalizer without a 'type'");
	if (depth > MAX_DEPTH || c->n >= MAX_STEPS)
		return rt_fail(err, RT_E_RANGE, "more than %d normalizers, or deeper than %d",
		               MAX_STEPS, MAX_DEPTH);
	if (strcmp(type, "Sequence") == 0) {
		const struct rt_json *list = rt_json_get(j, "normalizers");
		int                   r = 0;

		for (size_t i = 0; r == 0 && i < rt_json_length(list); i++)
			r = normals_read(c, rt_json_at(list, i), depth + 1, err);
		return r;
	}
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(type, known[i].name) == 0) {
			if (!tok_grow(&c->v, &c->cap, c->n + 1, sizeof *c->v))
				return rt_fail_nomem(err, "a normalizer");
			c->v[c->n] = (struct tok_normal){ .what = known[i].what,
				                          .form = known[i].form,
				                          .from = RT_TEXT_INIT,
				                          .to = RT_TEXT_INIT };
			return read_one(&c->v[c->n++], j, err);
		}
	return rt_fail(err, RT_E_UNSUP, "the normalizer '%s' is not supported", type);
}

static void strip(const struct tok_normal *c, const char *s, size_t n, struct rt_text *out)
{
	size_t len;

	while (c->left && n > 0 && normal_is_space(rt_utf8_decode(s, n, &len)))
		s += len, n -= len;
	while (c->right && n > 0) {
		size_t back = 1;

		while (back < n && ((unsigned char)s[n - back] & 0xc0) == 0x80)
			back++;
		if (!normal_is_space(rt_utf8_decode(s + n - back, back, &len)))
			break;
		n -= back;
	}
	rt_text_add_n(out, s, n);
}

static void drop_marks(const char *s, size_t n, struct rt_text *out)
{
	for (size_t i = 0, len; i < n; i += len)
		if (!normal_is_mark(rt_utf8_decode(s + i, n - i, &len)))
			rt_text_add_n(out, s + i, len);
}

static int replace_regex(const struct tok_normal *c, struct regex_match *m, const char *s, size_t n,
                         struct rt_text *out, struct rt_error *err)
{
	size_t from = 0, done = 0, start, end, len;
	bool   any = false;
	int    r;

	while (from <= n && (r = regex_find(c->re, m, s, n, from, &start, &end, err)) != 0) {
		if (r < 0)
			return r;
		if (start != end || !any ||
		    start != done) { /* nothing, right after a match, is none */
			rt_text_add_n(out, s + done, start - done);
			rt_text_add_n(out, c->to.data, c->to.len);
			done = end;
			any = true;
		}
		from = end;
		if (start == end) {
			if (end == n)
				break;
			rt_utf8_decode(s + end, n - end, &len);
			from = end + len;
		}
	}
	rt_text_add_n(out, s + done, n - done);
	return 0;
}

static int apply(const struct tok_normal *c, struct regex_match *m, const char *s, size_t n,
                 struct rt_text *out, struct rt_error *err)
{
	switch (c->what) {
	case CHANGE_FORM: return normal_form((enum normal_form)c->form, s, n, out, err);
	case CHANGE_LOWER: normal_lower(s, n, out); return 0;
	case CHANGE_PREPEND:
		if (n > 0)
			rt_text_add_n(out, c->to.data, c->to.len);
		rt_text_add_n(out, s, n);
		return 0;
	case CHANGE_REPLACE: tok_replace(s, n, &c->from, &c->to, out); return 0;
	case CHANGE_REGEX: return replace_regex(c, m, s, n, out, err);
	case CHANGE_STRIP: strip(c, s, n, out); return 0;
	case CHANGE_ACCENTS: drop_marks(s, n, out); return 0;
	case CHANGE_BYTES: tok_bytes_to_chars(s, n, out); return 0;
	}
	return 0;
}

int normals_apply(const struct tok_normals *c, struct regex_match *m, const char *s, size_t n,
                  struct rt_text *out, struct rt_error *err)
{
	struct rt_text t[2] = { RT_TEXT_INIT, RT_TEXT_INIT };
	int            r = 0;

	for (size_t i = 0; r == 0 && i < c->n; i++) {
		struct rt_text *to = &t[i & 1];

		rt_text_clear(to);
		r = apply(&c->v[i], m, s, n, to, err);
		if (r == 0 && (to->failed || to->len > (size_t)RT_TOKENIZER_TEXT))
			r = to->failed ? rt_fail_nomem(err, "a normalized text")
			               : rt_fail(err, RT_E_RANGE,
			                         "the text grows past %d bytes when normalized",
			                         RT_TOKENIZER_TEXT);
		s = to->data;
		n = to->len;
	}
	if (r == 0)
		rt_text_add_n(out, s, n);
	rt_text_free(&t[0]);
	rt_text_free(&t[1]);
	return r == 0 && out->failed ? rt_fail_nomem(err, "a normalized text") : r;
}

void normals_free(struct tok_normals *c)
{
	for (size_t i = 0; i < c->n; i++) {
		rt_text_free(&c->v[i].from);
		rt_text_free(&c->v[i].to);
		regex_free(c->v[i].re);
	}
	rt_free(c->v);
}
