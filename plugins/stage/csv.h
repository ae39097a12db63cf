/* csv.h - rows from a CSV file (RFC 4180).
 *
 * The first record names the columns; each record behind it is an object with the cells as text,
 * but for columns of a row that are no text (messages, tools, ...), whose cells are JSON.  An empty
 * cell is an absent key.  A field in quotes may hold commas, line ends, and quotes written twice;
 * lines end with LF or CR LF; a byte order mark is passed over, and so are empty lines.
 * Errors begin with "path:line: ". */
#ifndef STAGE_CSV_H
#define STAGE_CSV_H

#include <retort/json.h>

#include <stdint.h>

struct csv;

int  csv_open(struct csv **ret, const char *path, struct rt_error *err);
void csv_close(struct csv *c); /* NULL is fine */

/* 1: *ret is the next row, released by the caller; 0: the end; negative: an error. */
int     csv_next(struct csv *c, struct rt_json **ret, struct rt_error *err);
int64_t csv_line(const struct csv *c); /* where the row that came last begins, from 1 */

/* Whether a path is read as CSV: its name ends in .csv. */
bool csv_named(const char *path);

#endif
