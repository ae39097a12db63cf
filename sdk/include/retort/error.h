/* retort/error.h - an error is a value: a code to branch on, a sentence to read.
 *
 * The caller owns the struct (usually on its stack), so reporting an error never
 * allocates and never touches global state.  A function that can fail returns 0
 * or a negative RT_E_* code, takes `struct rt_error *err` last, and leaves *err
 * and its outputs alone on success and on failure respectively.  err may be NULL
 * when the caller only wants the code.
 *
 * A message starts in lower case, has no full stop, and names the values, the
 * limit and the remedy.  Context is put in front on the way up, so that it reads
 * from the outside in:  p.cfg:12: stage accepted: judge-schema: no file tools.json */
#ifndef RETORT_ERROR_H
#define RETORT_ERROR_H

#include <stdarg.h>

#if defined(__GNUC__)
#define RT_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define RT_PRINTF(f, a)
#endif

/* Append only: the numbers are part of the ABI. */
#define RT_ERROR_MAP(X)                                                                            \
	X(NOMEM, 1, "out of memory")                                                               \
	X(INVAL, 2, "invalid argument")                                                            \
	X(RANGE, 3, "value out of range")                                                          \
	X(SHAPE, 4, "shapes do not agree")                                                         \
	X(NUMERIC, 5, "result is not finite")                                                      \
	X(NOENT, 6, "not found")                                                                   \
	X(FORMAT, 7, "malformed input")                                                            \
	X(IO, 8, "input or output failed")                                                         \
	X(ABI, 9, "incompatible plugin")                                                           \
	X(UNSUP, 10, "not supported")                                                              \
	X(CANCEL, 11, "cancelled")                                                                 \
	X(USAGE, 12, "wrong usage or description") /* the program exits with 2 */                  \
	X(GATE, 13, "quality gate not met")        /* the program exits with 3 */                  \
	X(BUSY, 14, "held by another process")     /* worth trying again */                        \
	X(BUDGET, 15, "budget spent")              /* a limit that the user set */

enum rt_code {
	RT_OK = 0,
#define RT_X(name, num, text) RT_E_##name = -(num),
	RT_ERROR_MAP(RT_X)
#undef RT_X
};

enum { RT_ERROR_TEXT = 1020 };

struct rt_error {
	int  code;               /* RT_OK, or the RT_E_* that the call returned */
	char msg[RT_ERROR_TEXT]; /* one sentence, valid UTF-8, always terminated */
};

#define RT_ERROR_INIT                                                                              \
	{                                                                                          \
		RT_OK, ""                                                                          \
	}

/* Set *err and return code, so that a failure is one line:
 *     return rt_fail(err, RT_E_SHAPE, "mask has %lld rows, want %lld", m, n);
 * A message that does not fit ends in "...", never inside a character. [any] */
int rt_fail(struct rt_error *err, int code, const char *fmt, ...) RT_PRINTF(3, 4);

/* The same for a system call that failed: appends ": " and the text of errno, and
 * for a full disk or missing permission what to do.  Returns RT_E_NOMEM for ENOMEM,
 * RT_E_NOENT for ENOENT, else RT_E_IO. [any] */
int rt_fail_errno(struct rt_error *err, const char *fmt, ...) RT_PRINTF(2, 3);

/* "out of memory for WHAT"; returns RT_E_NOMEM. [any] */
int rt_fail_nomem(struct rt_error *err, const char *what);

/* Put "context: " in front of the message on the way up; returns code. [any] */
int rt_within(struct rt_error *err, int code, const char *fmt, ...) RT_PRINTF(3, 4);

/* The general text of a code, e.g. for a caller that passed no rt_error. [any] */
const char *rt_code_text(int code);

#endif
