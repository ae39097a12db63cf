/* cli/display.h - show how a run goes: living lines on a terminal, plain lines in a file, or JSON.
 *
 * All go to standard error.  NO_COLOR is respected. */
#ifndef CLI_DISPLAY_H
#define CLI_DISPLAY_H

#include "pipeline/run.h"

enum display_mode { DISPLAY_AUTO, DISPLAY_PLAIN, DISPLAY_JSON };

struct display;
int  display_open(struct display **ret, const struct pipeline *p, enum display_mode mode,
                  bool verbose, struct rt_error *err);
void display_close(struct display *d); /* NULL is fine; leaves the cursor on an empty line */

const struct run_listener *display_listener(struct display *d);

#endif
