/* grammar-value.c - the values of JSON, byte by byte.  See grammar-step.h */
#include "text/grammar-step.h"

#include <string.h>

/* ---- words ---------------------------------------------------------------------------------- */

bool word_narrow(struct grammar_frame *f, unsigned char c)
{
	const struct grammar_word *w = f->node->words;
	uint16_t                   first = f->first, last = f->last;

	while (first < last && (w[first].n <= f->at || (unsigned char)w[first].text[f->at] < c))
		first++;
	while (last > first && (unsigned char)w[last - 1].text[f->at] > c)
		last--;
	if (first == last)
		return false;
	f->first = first;
	f->last = last;
	f->at++;
	return true;
}

bool word_ends(const struct grammar_frame *f)
{
	return f->first < f->last && f->at > 0 && f->node->words[f->first].n == f->at;
}

/* ---- strings -------------------------------------------------------------------------------- */

enum string_phase { S_START, S_TEXT, S_ESCAPE, S_HEX };

/* Of a string, frames use: at: characters; first: bytes of MARK_CLOSE that stand in front, which
 * would end the call for whoever reads it; last: digits of \u; mark: their value.  Of a free key,
 * `mark` is its hash. */

/* The first byte of a character: how many follow, and which may be next (Unicode 15, table 3-7). */
static bool character(struct grammar_frame *f, unsigned char c)
{
	f->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	f->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	f->need = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	return c >= 0x20 && (c < 0x80 || (c >= 0xc2 && c <= 0xf4));
}

static bool more_of_character(struct grammar_frame *f, unsigned char c)
{
	if (c < f->low || c > f->high)
		return false;
	f->low = 0x80;
	f->high = 0xbf;
	f->need--;
	return true;
}

static int hex(unsigned char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	                              : -1;
}

/* \uXXXX, but for the halves of pairs. */
static bool hex_digit(struct grammar_frame *f, unsigned char c)
{
	const int d = hex(c);

	if (d < 0)
		return false;
	f->mark = 16 * f->mark + (uint32_t)d;
	f->last++;
	if (f->last == 2 && f->mark >= 0xd8 && f->mark <= 0xdf)
		return false;
	if (f->last == 4)
		f->phase = S_TEXT;
	return true;
}

static bool escaped(struct grammar_frame *f, unsigned char c)
{
	f->phase = c == 'u' ? S_HEX : S_TEXT;
	f->last = 0;
	f->mark = 0;
	return c == 'u' || (c != '\0' && strchr("\"\\/bfnrt", c) != NULL);
}

static bool text(struct grammar_frame *f, unsigned char c)
{
	if (f->at == f->node->most)
		return false;
	f->at++;
	f->first = (uint16_t)mark_progress(MARK_CLOSE, f->first, c);
	if (f->first == sizeof MARK_CLOSE - 1 || mark_foreign(f, c))
		return false;
	if (c == '\\') {
		f->phase = S_ESCAPE;
		return true;
	}
	return character(f, c);
}

void string_step(struct grammar_set *out, struct grammar_thread *t, struct grammar_frame *f,
                 unsigned char c)
{
	bool fits = false;

	if (f->phase == S_START) {
		f->phase = S_TEXT;
		f->first = 0;
		fits = c == '"';
	} else if (f->need) {
		fits = more_of_character(f, c);
	} else if (f->phase == S_ESCAPE) {
		fits = escaped(f, c);
	} else if (f->phase == S_HEX) {
		fits = hex_digit(f, c);
	} else if (c == '"') {
		if (f->at >= f->node->least)
			thread_end(out, t);
		return;
	} else {
		fits = text(f, c);
	}
	if (fits)
		thread_keep(out, t);
}

/* ---- objects and arrays --------------------------------------------------------------------- */

enum phase { START, FIRST, KEY, COLON, VALUE, NEXT, MORE };

/* Where a blank may stand. */
static bool takes_blank(const struct grammar_frame *f)
{
	return f->phase != START && f->phase != KEY;
}

static bool seen(const struct grammar_frame *f, size_t i)
{
	return f->seen[i / 64] >> i % 64 & 1;
}

/* Would a value of this node, inside of the thread's innermost one, go too deep? */
static bool too_deep(const struct grammar_thread *t, const struct grammar_node *value)
{
	return t->depth + value->height > GRAMMAR_DEPTH;
}

/* Is there a key left to be written? */
static bool has_more(const struct grammar_thread *t, const struct grammar_frame *f)
{
	if (f->node->kind == GRAMMAR_OPEN)
		return f->last < GRAMMAR_FREE && !too_deep(t, f->node->of[0]);
	for (size_t i = f->first; i < f->last; i++)
		if (!seen(f, i) && !too_deep(t, f->node->of[i]))
			return true;
	return false;
}

static bool has_all(const struct grammar_frame *f)
{
	for (size_t i = 0; f->node->kind == GRAMMAR_OBJECT && i < GRAMMAR_KEYS / 64; i++)
		if (f->node->required[i] & ~f->seen[i])
			return false;
	return true;
}

/* All keys fit again. */
static void key_begins(struct grammar_frame *f)
{
	if (f->node->kind == GRAMMAR_OBJECT) {
		f->first = 0;
		f->last = (uint16_t)f->node->n;
	}
	f->mark = 2166136261u;
}

/* A byte of one of the known keys; `first` is then the one that it was. */
static void known_key(struct grammar_set *out, struct grammar_thread *t, struct grammar_frame *f,
                      unsigned char c)
{
	if (!word_narrow(f, c) || !has_more(t, f))
		return;
	if (word_ends(f)) {
		f->seen[f->first / 64] |= (uint64_t)1 << f->first % 64;
		f->phase = COLON;
	}
	thread_keep(out, t);
}

/* A byte of any key: characters as they are, so that two that differ are two, and none twice. */
static void free_key(struct grammar_set *out, struct grammar_thread *t, struct grammar_frame *f,
                     unsigned char c)
{
	if (f->need) {
		if (!more_of_character(f, c))
			return;
	} else if (c == '"') {
		for (uint16_t i = 0; i < f->last; i++)
			if (f->keys[i] == f->mark)
				return;
		f->keys[f->last++] = f->mark;
		f->phase = COLON;
	} else if (c == '\\' || c == '<' || c == '[' || !character(f, c)) {
		return;
	}
	f->mark = (f->mark ^ c) * 16777619u; /* FNV-1a */
	thread_keep(out, t);
}

void object_step(struct grammar_set *out, struct grammar_thread *t, struct grammar_frame *f,
                 unsigned char c)
{
	const bool open = f->node->kind == GRAMMAR_OPEN;

	if (is_blank(c) && takes_blank(f)) {
		thread_keep_blank(out, t, c);
		return;
	}
	switch ((enum phase)f->phase) {
	case START:
		if (open)
			f->last = 0; /* keys so far */
		if (c == '{')
			thread_keep_phase(out, t, f, FIRST);
		break;
	case FIRST:
	case MORE:
		key_begins(f);
		if (c == '"' && has_more(t, f)) {
			if (open || word_narrow(f, c))
				f->phase = KEY;
			thread_keep(out, t);
		} else if (c == '}' && f->phase == FIRST && has_all(f)) {
			thread_end(out, t);
		}
		break;
	case KEY: (open ? free_key : known_key)(out, t, f, c); break;
	case COLON:
		if (c == ':')
			thread_keep_phase(out, t, f, VALUE);
		break;
	case VALUE:
		f->phase = NEXT;
		value_begin(out, t, f->node->of[open ? 0 : f->first], c);
		break;
	case NEXT:
		key_begins(f);
		if (c == ',' && has_more(t, f))
			thread_keep_phase(out, t, f, MORE);
		else if (c == '}' && has_all(f))
			thread_end(out, t);
		break;
	}
}

void array_step(struct grammar_set *out, struct grammar_thread *t, struct grammar_frame *f,
                unsigned char c)
{
	if (is_blank(c) && takes_blank(f)) {
		thread_keep_blank(out, t, c);
	} else if (f->phase == START) {
		if (c == '[')
			thread_keep_phase(out, t, f, FIRST);
	} else if (c == ']' && f->phase != MORE) {
		if (f->at >= f->node->least)
			thread_end(out, t);
	} else if (f->phase == NEXT) {
		f->phase = MORE;
		if (c == ',' && f->at < f->node->most && !too_deep(t, f->node->of[0]))
			thread_keep(out, t);
	} else if (f->at < f->node->most) {
		f->phase = NEXT;
		f->at++;
		value_begin(out, t, f->node->of[0], c);
	}
}

bool value_takes_text(const struct grammar_frame *f)
{
	return f->node->kind == GRAMMAR_STRING && f->phase == S_TEXT && !f->need && !f->first &&
	       !f->foreign && f->node->most == UINT32_MAX;
}

bool value_in_string(const struct grammar_frame *f)
{
	return f->node->kind == GRAMMAR_STRING ||
	       (f->node->kind == GRAMMAR_OPEN && f->phase == KEY);
}
