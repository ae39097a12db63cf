/* tokenizer-decode.c - ids to text: the decoders of a tokenizer.json, token by token. */
#include "text/tok.h"

#include <retort/memory.h>

#include <string.h>

enum { MAX_DEPTH = 16, MAX_STEPS = 64 };

static const char META[] = "\xe2\x96\x81";

static const struct {
	const char   *name;
	enum tok_undo what;
} known[] = {
	{ "Replace", UNDO_REPLACE }, { "ByteFallback", UNDO_FALLBACK }, { "Fuse", UNDO_FUSE },
	{ "Strip", UNDO_STRIP },     { "ByteLevel", UNDO_BYTES },       { "Metaspace", UNDO_META },
};

static int read_one(struct tok_decodes *c, struct tok_decode *d, const struct rt_json *j,
                    struct rt_error *err)
{
	struct regex *re = NULL;
	const char   *content = rt_json_string(rt_json_get(j, "content"));
	int           r = 0;

	for (size_t i = 0; i + 1 < c->n; i++)
		d->fused |= c->v[i].what == UNDO_FUSE;
	if (d->what == UNDO_META)
		return tok_prepend_scheme(j, &d->prepend, err);
	if (d->what != UNDO_REPLACE && d->what != UNDO_STRIP)
		return 0;
	if (!content)
		return rt_fail(err, RT_E_FORMAT, "a decoder has no 'content'");
	rt_text_add(&d->to, content);
	d->start = rt_json_int(rt_json_get(j, "start"), 0);
	d->stop = rt_json_int(rt_json_get(j, "stop"), 0);
	if (d->what == UNDO_STRIP && d->fused && d->stop != 0)
		return rt_fail(err, RT_E_UNSUP,
		               "the decoder Strip with 'stop' = %lld after Fuse is not supported",
		               (long long)d->stop);
	if (d->what == UNDO_REPLACE)
		r = tok_pattern(rt_json_get(j, "pattern"), &d->from, &re, err);
	if (re) {
		regex_free(re);
		return rt_fail(err, RT_E_UNSUP,
		               "the decoder Replace with a Regex is not supported");
	}
	return r ? r : d->to.failed ? rt_fail_nomem(err, "a decoder") : 0;
}

int decodes_read(struct tok_decodes *c, const struct rt_json *j, int depth, struct rt_error *err)
{
	const char *type = rt_json_string(rt_json_get(j, "type"));

	if (rt_json_type(j) == RT_JSON_NULL) {
		c->spaced = depth == 0;
		return 0;
	}
	if (!type)
		return rt_fail(err, RT_E_FORMAT, "a decoder without a 'type'");
	if (depth > MAX_DEPTH || c->n >= MAX_STEPS)
		return rt_fail(err, RT_E_RANGE, "more than %d decoders, or deeper than %d",
		               MAX_STEPS, MAX_DEPTH);
	if (strcmp(type, "Sequence") == 0) {
		const struct rt_json *list = rt_json_get(j, "decoders");
		int                   r = 0;

		for (size_t i = 0; r == 0 && i < rt_json_length(list); i++)
			r = decodes_read(c, rt_json_at(list, i), depth + 1, err);
		return r;
	}
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(type, known[i].name) == 0) {
			if (!tok_grow(&c->v, &c->cap, c->n + 1, sizeof *c->v))
				return rt_fail_nomem(err, "a decoder");
			c->v[c->n] = (struct tok_decode){ .what = known[i].what,
				                          .from = RT_TEXT_INIT,
				                          .to = RT_TEXT_INIT };
			c->n++;
			return read_one(c, &c->v[c->n - 1], j, err);
		}
	return rt_fail(err, RT_E_UNSUP, "the decoder '%s' is not supported", type);
}

void decodes_free(struct tok_decodes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		rt_text_free(&c->v[i].from);
		rt_text_free(&c->v[i].to);
	}
	rt_free(c->v);
}

struct rt_decoder {
	const struct rt_tokenizer *t;
	unsigned                   flags;
	bool                       hold;     /* byte tokens wait for the whole run of them */
	int64_t                    count;    /* tokens so far */
	int64_t                    stripped; /* characters that a fused Strip took from the start */
	bool                       begun;    /* a fused Strip is over */
	bool                       run;      /* `bytes` are of byte tokens */
	struct rt_text             bytes;    /* not yet characters */
	struct rt_text             a, b;     /* a token on its way through the steps */
};

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	                              : -1;
}

/* <0x41> */
static int byte_token(const struct rt_text *t)
{
	const char *s = t->data;

	if (t->len != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>' || hex(s[3]) < 0 ||
	    hex(s[4]) < 0)
		return -1;
	return 16 * hex(s[3]) + hex(s[4]);
}

static void unmap(const struct rt_text *in, struct rt_text *out)
{
	for (size_t i = 0, len; i < in->len; i += len) {
		const int b = tok_char_to_byte(rt_utf8_decode(in->data + i, in->len - i, &len));

		if (b < 0) { /* a token outside the alphabet stands for itself, whole */
			out->len = 0;
			rt_text_add_n(out, in->data, in->len);
			return;
		}
		rt_text_add_char(out, (char)b);
	}
}

static void unmeta(const struct tok_decode *d, bool first, const struct rt_text *in,
                   struct rt_text *out)
{
	for (size_t i = 0, len; i < in->len; i += len) {
		rt_utf8_decode(in->data + i, in->len - i, &len);
		if (len != 3 || memcmp(in->data + i, META, 3) != 0)
			rt_text_add_n(out, in->data + i, len);
		else if (!first || d->prepend == PREPEND_NEVER)
			rt_text_add_char(out, ' ');
	}
}

static void unstrip(struct rt_decoder *dec, const struct tok_decode *d, const struct rt_text *in,
                    struct rt_text *out)
{
	const size_t n = d->to.len;
	size_t       start = 0, end = in->len;
	int64_t      left = d->fused ? d->start - dec->stripped : d->start;

	if (!d->fused || !dec->begun)
		for (; n && left > 0 && start + n <= end &&
		       memcmp(in->data + start, d->to.data, n) == 0;
		     left--) {
			start += n;
			dec->stripped += d->fused;
		}
	for (int64_t k = 0;
	     n && k < d->stop && end >= start + n && memcmp(in->data + end - n, d->to.data, n) == 0;
	     k++)
		end -= n;
	if (d->fused && start < in->len)
		dec->begun = true;
	rt_text_add_n(out, in->data + start, end - start);
}

/* Write what is whole of `bytes`; with `all`, the rest too, as U+FFFD. */
static void emit(struct rt_decoder *d, bool all, struct rt_text *out)
{
	struct rt_text *t = &d->bytes;
	size_t          i = 0;

	if (d->run && d->hold) { /* a run of byte tokens is text as a whole or not at all */
		if (!all)
			return;
		if (rt_utf8_check(t->data, t->len) == t->len)
			rt_text_add_n(out, t->data, t->len);
		else
			for (; i < t->len; i++)
				rt_text_add(out, "\xef\xbf\xbd");
		rt_text_clear(t);
		return;
	}
	while (i < t->len) {
		const size_t         n = rt_utf8_check(t->data + i, t->len - i);
		const unsigned char *s = (const unsigned char *)t->data + i + n;
		const size_t         left = t->len - i - n;
		size_t               bad = 1, want;

		rt_text_add_n(out, t->data + i, n);
		i += n;
		if (left == 0)
			break;
		/* The longest beginning of a character is replaced as one. */
		want = s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 1;
		if (s[0] > 0xf4)
			want = 1;
		if (left > 1 && want > 1 && (s[1] & 0xc0) == 0x80 &&
		    !(s[0] == 0xe0 && s[1] < 0xa0) && !(s[0] == 0xed && s[1] > 0x9f) &&
		    !(s[0] == 0xf0 && s[1] < 0x90) && !(s[0] == 0xf4 && s[1] > 0x8f))
			for (bad = 2; bad < want && bad < left && (s[bad] & 0xc0) == 0x80;)
				bad++;
		if (!all && bad == left && want > bad)
			break;
		if (d->run)
			bad = 1;
		rt_text_add(out, "\xef\xbf\xbd");
		i += bad;
	}
	memmove(t->data, t->data + i, t->len - i);
	t->len -= i;
	if (t->cap)
		t->data[t->len] = '\0';
}

/* The text of one token, `a`, through all steps; or the byte that it stands for, else -1.  level:
 * bytes of it need not be whole characters. */
static int undo(struct rt_decoder *d, bool *level)
{
	const struct tok_decodes *c = &d->t->decodes;
	int                       byte = -1;

	for (size_t i = 0; i < c->n && byte < 0; i++) {
		const struct tok_decode *s = &c->v[i];
		struct rt_text           swap;

		rt_text_clear(&d->b);
		switch (s->what) {
		case UNDO_FUSE: continue;
		case UNDO_FALLBACK: byte = byte_token(&d->a); continue;
		case UNDO_REPLACE: tok_replace(d->a.data, d->a.len, &s->from, &s->to, &d->b); break;
		case UNDO_STRIP: unstrip(d, s, &d->a, &d->b); break;
		case UNDO_BYTES:
			unmap(&d->a, &d->b);
			*level = true;
			break;
		case UNDO_META: unmeta(s, d->count == 0, &d->a, &d->b); break;
		}
		swap = d->a;
		d->a = d->b;
		d->b = swap;
	}
	return byte;
}

/* The text of one token goes out, as far as its characters are whole. */
static void steps(struct rt_decoder *d, struct rt_text *out)
{
	bool       level = false;
	const int  byte = undo(d, &level);
	const char one = (char)byte;

	if (d->run != (byte >= 0) || (!level && byte < 0))
		emit(d, true, out);
	d->run = byte >= 0;
	if (byte >= 0) {
		rt_text_add_n(&d->bytes, &one, 1);
		d->begun = true;
	} else {
		rt_text_add_n(&d->bytes, d->a.data, d->a.len);
	}
	emit(d, false, out);
}

/* The token as its vocabulary spells it, to `a`; false when no token has the id. */
static bool spell(struct rt_decoder *d, int32_t id)
{
	const struct tok_vocab *v = &d->t->vocab;

	if (id < 0 || (size_t)id >= v->size || !v->token[id].there)
		return false;
	rt_text_clear(&d->a);
	if (d->t->decodes.spaced && d->count > 0)
		rt_text_add_char(&d->a, ' ');
	rt_text_add_n(&d->a, v->text.data + v->token[id].at, v->token[id].len);
	return true;
}

int tok_bytes(struct rt_decoder *d, int32_t id, struct rt_text *out, struct rt_error *err)
{
	bool level = false;
	int  byte;
	char one;

	d->count = 1; /* in the midst of a text */
	d->begun = true;
	if (!spell(d, id))
		return 0;
	byte = undo(d, &level);
	one = (char)byte;
	if (byte >= 0)
		rt_text_add_n(out, &one, 1);
	else
		rt_text_add_n(out, d->a.data, d->a.len);
	return d->a.failed || d->b.failed || out->failed ? rt_fail_nomem(err, "decoding") : 0;
}

int rt_decoder_put(struct rt_decoder *d, int32_t id, struct rt_text *out, struct rt_error *err)
{
	if ((d->flags & RT_DECODE_SKIP && rt_tokenizer_special(d->t, id)) || !spell(d, id))
		return 0;
	steps(d, out);
	d->count++;
	if (d->a.failed || d->b.failed || d->bytes.failed || out->failed)
		return rt_fail_nomem(err, "decoding");
	return 0;
}

int rt_decoder_finish(struct rt_decoder *d, struct rt_text *out, struct rt_error *err)
{
	emit(d, true, out);
	d->count = d->stripped = 0;
	d->begun = d->run = false;
	return out->failed ? rt_fail_nomem(err, "decoding") : 0;
}

static void init(struct rt_decoder *d, const struct rt_tokenizer *t, unsigned flags)
{
	*d = (struct rt_decoder){
		.t = t, .flags = flags, .bytes = RT_TEXT_INIT, .a = RT_TEXT_INIT, .b = RT_TEXT_INIT
	};
}

static void fini(struct rt_decoder *d)
{
	rt_text_free(&d->bytes);
	rt_text_free(&d->a);
	rt_text_free(&d->b);
}

int rt_decoder_new(struct rt_decoder **ret, const struct rt_tokenizer *t, unsigned flags,
                   struct rt_error *err)
{
	struct rt_decoder *d = rt_alloc(1, sizeof *d);

	if (!d)
		return rt_fail_nomem(err, "a decoder");
	init(d, t, flags);
	*ret = d;
	return 0;
}

void rt_decoder_free(struct rt_decoder *d)
{
	if (d)
		fini(d);
	rt_free(d);
}

int rt_tokenizer_decode(const struct rt_tokenizer *t, const int32_t *ids, size_t n, unsigned flags,
                        struct rt_text *out, struct rt_error *err)
{
	struct rt_decoder d;
	int               r = 0;

	init(&d, t, flags);
	d.hold = true;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = rt_decoder_put(&d, ids[i], out, err);
	if (r == 0)
		r = rt_decoder_finish(&d, out, err);
	fini(&d);
	return r;
}
