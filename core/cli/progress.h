/* cli/progress.h - one living line on a terminal for commands that take long; nothing elsewhere. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

/* "score: 340 rows, 52/s".  Shown where standard error is a terminal and standard output is not (a
 * command that prints its rows there shows how far it is), and at most five times a second. */
void progress_rows(const char *command, int64_t done);

/* "convert: comparing logits ...", at once. */
void progress_step(const char *command, const char *step);

/* Take the line away, before anything else is written and at the end. */
void progress_clear(void);

#endif
