/* grammar-answer.c - calls, and the answer around them.  See grammar-step.h */
#include "text/grammar-step.h"

/* Where an answer begins with it, rt_chat_calls() takes the rest as a call. */
#define MARK_SHELL "<|python_tag|>"

uint32_t mark_progress(const char *mark, uint32_t at, unsigned char c)
{
	return c == (unsigned char)mark[at] ? at + 1 : c == (unsigned char)mark[0];
}

bool mark_foreign(struct grammar_frame *f, unsigned char c)
{
	f->foreign = mark_progress(MARK_FOREIGN, (uint32_t)f->foreign, c);
	return f->foreign == sizeof MARK_FOREIGN - 1;
}

/* A byte of a mark, and with its last one the next phase. */
static void keep_mark(struct grammar_set *out, struct grammar_thread *t, struct grammar_frame *f,
                      const char *mark, uint8_t next)
{
	f->at++;
	if (mark[f->at])
		thread_keep(out, t);
	else
		thread_keep_phase(out, t, f, next);
}

/* {"name": one of the words, "arguments": what belongs to it} */
static const char *const parts[] = { "{", "\"name\"", ":", NULL, ",", "\"arguments\"",
	                             ":", NULL,       "}" };
enum { NAME = 3, ARGUMENTS = 7, LAST = 8 };

void call_step(struct grammar_set *out, struct grammar_thread *t, struct grammar_frame *f,
               unsigned char c)
{
	const char *part = parts[f->phase];

	if (is_blank(c) && f->phase > 0 && f->at == 0) {
		thread_keep_blank(out, t, c);
	} else if (f->phase == NAME) {
		if (!word_narrow(f, c))
			return;
		if (word_ends(f))
			thread_keep_phase(out, t, f, NAME + 1);
		else
			thread_keep(out, t);
	} else if (f->phase == ARGUMENTS) {
		f->phase = LAST;
		value_begin(out, t, f->node->of[f->first], c);
	} else if (f->phase == LAST) {
		if (c == '}')
			thread_end(out, t);
	} else if ((unsigned char)part[f->at] == c) {
		keep_mark(out, t, f, part, (uint8_t)(f->phase + 1));
	}
}

/* ---- the answer around ---------------------------------------------------------------------- */

/* BEGINNING, TEXT: of an answer that may have text; BETWEEN: of one that is calls only. */
enum answer_phase { BEFORE, BEGINNING, TEXT, BETWEEN, VALUE_BEGINS, AFTER };

/* Of an answer with calls, frames use: at: bytes of the mark that stand in front; first: of
 * MARK_SHELL, or that the answer has begun with something else; mark: calls. */
enum { NOT_FIRST = UINT16_MAX };

/* A byte of text.  Nothing in it may look like a call of another form: as an answer that is one
 * object does. */
static void free_text(struct grammar_set *out, struct grammar_thread *t, struct grammar_frame *f,
                      unsigned char c)
{
	if (f->phase == BEGINNING) {
		const bool shell = f->first < sizeof MARK_SHELL - 1 &&
		                   c == (unsigned char)MARK_SHELL[f->first];

		if ((c == '{' && (f->first == 0 || f->first == NOT_FIRST)) ||
		    (shell && f->first == sizeof MARK_SHELL - 2))
			return;
		f->first = shell ? (uint16_t)(f->first + 1) : NOT_FIRST;
		if (!shell && !is_blank(c) && c != '\v' && c != '\f')
			f->phase = TEXT;
	}
	if (mark_foreign(f, c))
		return;
	f->at = mark_progress(MARK_OPEN, f->at, c);
	if (f->at < sizeof MARK_OPEN - 1)
		thread_keep(out, t);
	else if (!f->node->no_calls)
		thread_keep_phase(out, t, f, VALUE_BEGINS);
}

void calls_step(struct grammar_set *out, struct grammar_thread *t, struct grammar_frame *f,
                unsigned char c)
{
	const uint8_t next = f->node->calls_only ? BETWEEN : TEXT;

	if (f->phase == BEFORE)
		f->phase = f->node->calls_only ? BETWEEN : BEGINNING;
	if (f->phase == BEGINNING || f->phase == TEXT) {
		free_text(out, t, f, c);
	} else if (is_blank(c) && f->at == 0) {
		thread_keep_blank(out, t, c);
	} else if (f->phase == VALUE_BEGINS) {
		f->phase = AFTER;
		value_begin(out, t, f->node->of[0], c);
	} else if (f->phase == BETWEEN && c == (unsigned char)MARK_OPEN[f->at]) {
		keep_mark(out, t, f, MARK_OPEN, VALUE_BEGINS);
	} else if (f->phase == AFTER && c == (unsigned char)MARK_CLOSE[f->at]) {
		f->mark = 1;
		keep_mark(out, t, f, MARK_CLOSE, next);
	}
}

void whole_step(struct grammar_set *out, struct grammar_thread *t, struct grammar_frame *f,
                unsigned char c)
{
	if (is_blank(c)) {
		thread_keep_blank(out, t, c);
	} else if (f->phase == BEFORE) {
		f->phase = AFTER;
		value_begin(out, t, f->node->of[0], c);
	}
}

bool answer_takes_text(const struct grammar_frame *f)
{
	return f->node->kind == GRAMMAR_CALLS && f->phase == TEXT && !f->at && !f->foreign;
}

bool answer_may_end(const struct grammar_frame *f)
{
	if (f->node->kind == GRAMMAR_WHOLE)
		return f->phase == AFTER;
	if (f->node->calls_only)
		return f->phase == BETWEEN && f->at == 0 && f->mark;
	return f->phase <= TEXT;
}
