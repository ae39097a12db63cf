/* tokenizer-split.c - the pre-tokenizers of a tokenizer.json, read and applied. */
#include "text/normal.h"
#include "text/tok.h"

#include <retort/memory.h>

#include <string.h>

enum { MAX_DEPTH = 16, MAX_STEPS = 256 };

static const char META[] = "\xe2\x96\x81"; /* the lower block that stands for a space */

const char tok_gpt2_pattern[] =
	"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* \w of the one split that the reference does not give to Oniguruma. */
#define RUST_WORD "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{200c}\\x{200d}"

/* ---- pieces ---- */

void pieces_add(struct tok_pieces *p, const char *s, size_t n, int64_t id, bool first)
{
	if (n == 0 && id < 0)
		return;
	if (!tok_grow(&p->v, &p->cap, p->n + 1, sizeof *p->v)) {
		p->failed = true;
		return;
	}
	p->v[p->n++] = (struct tok_piece){ p->text.len, n, id, first };
	rt_text_add_n(&p->text, s, n);
	p->failed |= p->text.failed;
}

void pieces_clear(struct tok_pieces *p)
{
	rt_text_clear(&p->text);
	p->n = 0;
}

void pieces_free(struct tok_pieces *p)
{
	rt_text_free(&p->text);
	rt_free(p->v);
}

/* ---- reading ---- */

static struct tok_split *add(struct tok_splits *c, enum tok_split_kind kind, struct rt_error *err)
{
	if (!tok_grow(&c->v, &c->cap, c->n + 1, sizeof *c->v)) {
		rt_fail_nomem(err, "a pre-tokenizer");
		return NULL;
	}
	c->v[c->n] = (struct tok_split){ .kind = kind, .from = RT_TEXT_INIT };
	return &c->v[c->n++];
}

static int behavior(const struct rt_json *j, enum tok_behavior otherwise, enum tok_behavior *ret,
                    struct rt_error *err)
{
	static const char *const names[] = { "Removed", "Isolated", "MergedWithPrevious",
		                             "MergedWithNext", "Contiguous" };
	const struct rt_json    *v = rt_json_get(j, "behavior");

	*ret = otherwise;
	if (!rt_json_string(v))
		return 0;
	for (int i = 0; i < 5; i++)
		if (strcmp(names[i], rt_json_string(v)) == 0) {
			*ret = (enum tok_behavior)i;
			return 0;
		}
	return rt_fail(err, RT_E_UNSUP, "the behavior '%.60s' of a split is not supported",
	               rt_json_string(v));
}

static int add_regex(struct tok_splits *c, const char *pattern, enum tok_behavior how, bool invert,
                     struct rt_error *err)
{
	struct tok_split *s = add(c, SPLIT_PATTERN, err);

	if (!s)
		return RT_E_NOMEM;
	s->behavior = how;
	s->invert = invert;
	return regex_new(&s->re, pattern, strlen(pattern), err);
}

static int add_class(struct tok_splits *c, bool (*is)(uint32_t), enum tok_behavior how,
                     struct rt_error *err)
{
	struct tok_split *s = add(c, SPLIT_PATTERN, err);

	if (!s)
		return RT_E_NOMEM;
	s->is = is;
	s->behavior = how;
	return 0;
}

static int read_split(struct tok_splits *c, const struct rt_json *j, struct rt_error *err)
{
	struct tok_split *s = add(c, SPLIT_PATTERN, err);
	int               r;

	if (!s)
		return RT_E_NOMEM;
	s->invert = rt_json_bool(rt_json_get(j, "invert"), false);
	r = behavior(j, ISOLATED, &s->behavior, err);
	return r ? r : tok_pattern(rt_json_get(j, "pattern"), &s->from, &s->re, err);
}

static int read_byte_level(struct tok_splits *c, const struct rt_json *j, struct rt_error *err)
{
	int r = 0;

	if (rt_json_bool(rt_json_get(j, "add_prefix_space"), true) && !add(c, SPLIT_PREFIX, err))
		return RT_E_NOMEM;
	if (rt_json_bool(rt_json_get(j, "use_regex"), true))
		r = add_regex(c, tok_gpt2_pattern, ISOLATED, false, err);
	return r ? r : add(c, SPLIT_BYTES, err) ? 0 : RT_E_NOMEM;
}

/* Of a Metaspace: the newer prepend_scheme, or the older add_prefix_space. */
int tok_prepend_scheme(const struct rt_json *j, enum tok_prepend *ret, struct rt_error *err)
{
	static const char *const names[] = { "never", "first", "always" };
	const char              *scheme = rt_json_string(rt_json_get(j, "prepend_scheme"));

	*ret = rt_json_bool(rt_json_get(j, "add_prefix_space"), true) ? PREPEND_ALWAYS
	                                                              : PREPEND_NEVER;
	if (!scheme)
		return 0;
	for (int i = 0; i < 3; i++)
		if (strcmp(scheme, names[i]) == 0) {
			*ret = (enum tok_prepend)i;
			return 0;
		}
	return rt_fail(err, RT_E_UNSUP, "the prepend_scheme '%.60s' is not supported", scheme);
}

static int read_metaspace(struct tok_splits *c, const struct rt_json *j, struct rt_error *err)
{
	const char       *mark = rt_json_string(rt_json_get(j, "replacement"));
	struct tok_split *s = add(c, SPLIT_META, err);
	int               r;

	if (!s)
		return RT_E_NOMEM;
	if (mark && strcmp(mark, META) != 0)
		return rt_fail(err, RT_E_UNSUP,
		               "the replacement '%.20s' of Metaspace is not supported", mark);
	r = tok_prepend_scheme(j, &s->prepend, err);
	if (r || !rt_json_bool(rt_json_get(j, "split"), true))
		return r;
	s = add(c, SPLIT_PATTERN, err);
	if (!s)
		return RT_E_NOMEM;
	s->behavior = MERGED_NEXT;
	rt_text_add(&s->from, META);
	return s->from.failed ? rt_fail_nomem(err, "a pre-tokenizer") : 0;
}

static int read_delimiter(struct tok_splits *c, const struct rt_json *j, struct rt_error *err)
{
	const char       *mark = rt_json_string(rt_json_get(j, "delimiter"));
	struct tok_split *s = mark ? add(c, SPLIT_PATTERN, err) : NULL;

	if (!mark)
		return rt_fail(err, RT_E_FORMAT, "CharDelimiterSplit has no 'delimiter'");
	if (!s)
		return RT_E_NOMEM;
	s->behavior = REMOVED;
	rt_text_add(&s->from, mark);
	return s->from.failed ? rt_fail_nomem(err, "a pre-tokenizer") : 0;
}

static int read_type(struct tok_splits *c, const char *type, const struct rt_json *j,
                     struct rt_error *err)
{
	enum tok_behavior how;
	int               r;

	if (strcmp(type, "ByteLevel") == 0)
		return read_byte_level(c, j, err);
	if (strcmp(type, "Split") == 0)
		return read_split(c, j, err);
	if (strcmp(type, "Metaspace") == 0)
		return read_metaspace(c, j, err);
	if (strcmp(type, "CharDelimiterSplit") == 0)
		return read_delimiter(c, j, err);
	if (strcmp(type, "Whitespace") == 0)
		return add_regex(c, "[" RUST_WORD "]+|[^" RUST_WORD "\\s]+", REMOVED, true, err);
	if (strcmp(type, "WhitespaceSplit") == 0)
		return add_class(c, normal_is_space, REMOVED, err);
	if (strcmp(type, "Digits") == 0)
		return add_class(c, normal_is_numeric,
		                 rt_json_bool(rt_json_get(j, "individual_digits"), false)
		                         ? ISOLATED
		                         : CONTIGUOUS,
		                 err);
	if (strcmp(type, "Punctuation") == 0) {
		r = behavior(j, ISOLATED, &how, err);
		return r ? r : add_class(c, normal_is_punct, how, err);
	}
	if (strcmp(type, "BertPreTokenizer") == 0) {
		r = add_class(c, normal_is_space, REMOVED, err);
		return r ? r : add_class(c, normal_is_punct, ISOLATED, err);
	}
	return rt_fail(err, RT_E_UNSUP, "the pre-tokenizer '%s' is not supported", type);
}

int splits_read(struct tok_splits *c, const struct rt_json *j, int depth, struct rt_error *err)
{
	const char           *type = rt_json_string(rt_json_get(j, "type"));
	const struct rt_json *list = rt_json_get(j, "pretokenizers");
	int                   r = 0;

	if (rt_json_type(j) == RT_JSON_NULL)
		return 0;
	if (!type)
		return rt_fail(err, RT_E_FORMAT, "a pre-tokenizer without a 'type'");
	if (depth > MAX_DEPTH || c->n >= MAX_STEPS)
		return rt_fail(err, RT_E_RANGE, "more than %d pre-tokenizers, or deeper than %d",
		               MAX_STEPS, MAX_DEPTH);
	if (strcmp(type, "Sequence") != 0)
		return read_type(c, type, j, err);
	for (size_t i = 0; r == 0 && i < rt_json_length(list); i++)
		r = splits_read(c, rt_json_at(list, i), depth + 1, err);
	return r;
}

void splits_free(struct tok_splits *c)
{
	for (size_t i = 0; i < c->n; i++) {
		regex_free(c->v[i].re);
		rt_text_free(&c->v[i].from);
	}
	rt_free(c->v);
}

/* ---- applying ---- */

static void cut(struct tok_cuts *c, size_t start, size_t end, bool match)
{
	if (start == end)
		return;
	if (!tok_grow(&c->v, &c->cap, c->n + 1, sizeof *c->v)) {
		c->failed = true;
		return;
	}
	c->v[c->n++] = (struct tok_cut){ start, end, match };
}

/* 1 with the next match at or after `from`, 0, or a code.  Matches are never empty. */
static int next(const struct tok_split *s, struct regex_match *m, const char *t, size_t n,
                size_t from, size_t *start, size_t *end, struct rt_error *err)
{
	size_t len;

	if (s->is) {
		for (size_t i = from; i < n; i += len)
			if (s->is(rt_utf8_decode(t + i, n - i, &len))) {
				*start = i;
				*end = i + len;
				return 1;
			}
		return 0;
	}
	if (s->re) {
		int r = regex_find(s->re, m, t, n, from, start, end, err);

		while (r == 1 && *start == *end && *end < n) {
			rt_utf8_decode(t + *end, n - *end, &len);
			r = regex_find(s->re, m, t, n, *end + len, start, end, err);
		}
		return r == 1 && *start == *end ? 0 : r;
	}
	for (size_t i = from; s->from.len && i + s->from.len <= n; i++) {
		const char *hit = memchr(t + i, s->from.data[0], n - i - s->from.len + 1);

		if (!hit)
			return 0;
		i = (size_t)(hit - t);
		if (memcmp(hit, s->from.data, s->from.len) == 0) {
			*start = i;
			*end = i + s->from.len;
			return 1;
		}
	}
	return 0;
}

/* Join a match to what stands before it (or after it, from the back): only the first of several
 * matches in a row is joined, as in the reference. */
static void join(struct tok_cuts *c, bool forward)
{
	size_t n = 0;
	bool   previous = false;

	for (size_t k = 0; k < c->n; k++) {
		const size_t         i = forward ? k : c->n - 1 - k;
		const struct tok_cut it = c->v[i];
		struct tok_cut      *last = n == 0 ? NULL : &c->v[forward ? n - 1 : c->n - n];

		if (it.match && !previous && last) {
			if (forward)
				last->end = it.end;
			else
				last->start = it.start;
		} else {
			n++;
			c->v[forward ? n - 1 : c->n - n] = it;
		}
		previous = it.match;
	}
	if (!forward)
		memmove(c->v, c->v + c->n - n, n * sizeof *c->v);
	c->n = n;
}

static void arrange(struct tok_cuts *c, enum tok_behavior how)
{
	size_t n = 0;

	if (how == MERGED_PREVIOUS || how == MERGED_NEXT) {
		join(c, how == MERGED_PREVIOUS);
		return;
	}
	for (size_t i = 0; i < c->n; i++) {
		if (how == REMOVED && c->v[i].match)
			continue;
		if (how == CONTIGUOUS && n > 0 && c->v[n - 1].match == c->v[i].match)
			c->v[n - 1].end = c->v[i].end;
		else
			c->v[n++] = c->v[i];
	}
	c->n = n;
}

static int split(const struct tok_split *s, struct regex_match *m, struct tok_cuts *cuts,
                 const char *t, size_t n, bool first, struct tok_pieces *out, struct rt_error *err)
{
	size_t done = 0, start, end;
	int    r;

	cuts->n = 0;
	while (done < n && (r = next(s, m, t, n, done, &start, &end, err)) != 0) {
		if (r < 0)
			return r;
		cut(cuts, done, start, s->invert);
		cut(cuts, start, end, !s->invert);
		done = end;
	}
	if (done < n)
		cut(cuts, done, n, s->invert);
	if (cuts->failed)
		return rt_fail_nomem(err, "a split");
	arrange(cuts, s->behavior);
	for (size_t i = 0; i < cuts->n; i++)
		pieces_add(out, t + cuts->v[i].start, cuts->v[i].end - cuts->v[i].start, -1,
		           first && cuts->v[i].start == 0);
	return 0;
}

static void metaspace(const struct tok_split *s, const char *t, size_t n, bool first,
                      struct tok_pieces *out)
{
	static char          blank[] = " ", mark[] = "\xe2\x96\x81";
	const struct rt_text from = { blank, 1, 0, false }, to = { mark, 3, 0, false };
	const bool wanted = s->prepend == PREPEND_ALWAYS || (s->prepend == PREPEND_FIRST && first);
	struct rt_text text = RT_TEXT_INIT;

	if (wanted && n > 0 && t[0] != ' ' && !(n >= 3 && memcmp(t, META, 3) == 0))
		rt_text_add(&text, META);
	tok_replace(t, n, &from, &to, &text);
	pieces_add(out, text.data, text.len, -1, first);
	out->failed |= text.failed;
	rt_text_free(&text);
}

static void prefix(const char *t, size_t n, bool first, struct tok_pieces *out)
{
	const size_t at = out->text.len;

	if (n == 0 || t[0] == ' ') {
		pieces_add(out, t, n, -1, first);
		return;
	}
	pieces_add(out, " ", 1, -1, first);
	rt_text_add_n(&out->text, t, n);
	out->failed |= out->text.failed;
	if (!out->failed)
		out->v[out->n - 1].len = out->text.len - at;
}

static void bytes(const char *t, size_t n, bool first, struct tok_pieces *out)
{
	const size_t at = out->text.len;

	if (!tok_grow(&out->v, &out->cap, out->n + 1, sizeof *out->v)) {
		out->failed = true;
		return;
	}
	tok_bytes_to_chars(t, n, &out->text);
	out->v[out->n++] = (struct tok_piece){ at, out->text.len - at, -1, first };
	out->failed |= out->text.failed;
}

int splits_apply(const struct tok_splits *c, struct regex_match *m, struct tok_cuts *cuts,
                 struct tok_pieces *a, struct tok_pieces *b, struct rt_error *err)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct tok_split *s = &c->v[i];
		struct tok_pieces       swap = *a;

		pieces_clear(b);
		for (size_t k = 0; k < a->n; k++) {
			const struct tok_piece *p = &a->v[k];
			const char             *t = a->text.data + p->at;
			int                     r = 0;

			if (p->id >= 0)
				pieces_add(b, t, p->len, p->id, p->first);
			else if (s->kind == SPLIT_PATTERN)
				r = split(s, m, cuts, t, p->len, p->first, b, err);
			else if (s->kind == SPLIT_META)
				metaspace(s, t, p->len, p->first, b);
			else if (s->kind == SPLIT_PREFIX)
				prefix(t, p->len, p->first, b);
			else
				bytes(t, p->len, p->first, b);
			if (r < 0)
				return r;
		}
		*a = *b;
		*b = swap;
		if (a->failed || b->failed)
			return rt_fail_nomem(err, "the pieces of a text");
	}
	return 0;
}
