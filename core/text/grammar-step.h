/* grammar-step.h - one byte goes to one value.  See grammar.h
 *
 * feed() gives a byte to the innermost value of a thread; what becomes of the thread, or of several
 * where the forms of a value part, is put into the next set.  A thread that cannot take the byte is
 * not.  Numbers and words end with the first byte that does not belong to them, which then goes to
 * the value around. */
#ifndef TEXT_GRAMMAR_STEP_H
#define TEXT_GRAMMAR_STEP_H

#include "text/grammar.h"

/* Threads that still fit. */
struct grammar_set {
	int                   n;
	struct grammar_thread t[GRAMMAR_THREADS];
};

/* Marks of calls, which must not come about by chance where rt_chat_calls() looks for them: ours,
 * and that of another form. */
#define MARK_OPEN    "<tool_call>"
#define MARK_CLOSE   "</tool_call>"
#define MARK_FOREIGN "[TOOL_CALLS]"

/* How much of a mark stands in front when c has come.  Their first byte stands nowhere else in
 * them. */
uint32_t mark_progress(const char *mark, uint32_t at, unsigned char c);
/* Is the foreign mark complete with c? */
bool mark_foreign(struct grammar_frame *f, unsigned char c);

bool is_blank(unsigned char c);

void thread_copy(struct grammar_thread *to, const struct grammar_thread *from);

/* The thread goes on: as it stands; with a blank more; in another phase, at its beginning; without
 * the innermost value, which has ended.  Forms beyond the number of threads are lost: what is
 * written is then of one of the others. */
void thread_keep(struct grammar_set *out, struct grammar_thread *t);
void thread_keep_blank(struct grammar_set *out, struct grammar_thread *t, unsigned char c);
void thread_keep_phase(struct grammar_set *out, struct grammar_thread *t, struct grammar_frame *f,
                       uint8_t phase);
void thread_end(struct grammar_set *out, struct grammar_thread *t);

/* A value begins with c, in each of its forms. */
void value_begin(struct grammar_set *out, struct grammar_thread *t, const struct grammar_node *node,
                 unsigned char c);

/* Of the words that fit so far, those whose next byte is c; false, and nothing changed, when there
 * are none.  A word that ends here stands in front of those that go on. */
bool word_narrow(struct grammar_frame *f, unsigned char c);
bool word_ends(const struct grammar_frame *f);

/* A byte of f, the innermost value of t. */
typedef void grammar_step(struct grammar_set *out, struct grammar_thread *t,
                          struct grammar_frame *f, unsigned char c);
grammar_step string_step, object_step, array_step, call_step, calls_step, whole_step;

/* Does any text fit that has no byte of rt_matcher_takes_text()? */
bool value_takes_text(const struct grammar_frame *f);
bool answer_takes_text(const struct grammar_frame *f);

/* Is it within a string? */
bool value_in_string(const struct grammar_frame *f);

/* May an answer end here? */
bool answer_may_end(const struct grammar_frame *f);

#endif
