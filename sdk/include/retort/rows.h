/* retort/rows.h - datasets: JSON Lines files, streamed.
 *
 * A row is an object with `id` (a string, unique in its dataset), `messages`, and as needed
 * `tools`, `accepted` (more answers that are right), `candidates` (answers that are not accepted
 * yet), `scores` (a number for each candidate or, as evaluate writes it, { judge: { score, reason }
 * }), `chosen` and `rejected`, `template_kwargs` and `meta` (lineage).  Keys that nobody knows are
 * kept. Files of any length; one line has a limit.  What is open belongs to one thread at a time.
 */
#ifndef RETORT_ROWS_H
#define RETORT_ROWS_H

#include <retort/error.h>
#include <retort/json.h>

#include <stdint.h>

enum { RT_ROW_LIMIT = 16 << 20 }; /* bytes of one line */

/* Reading.  Every error begins with "path:line: ".  A line that is empty or only white
 * space is skipped; a byte order mark in front and CR LF line ends are accepted.  A last line
 * without its newline is read; one that is cut inside JSON is an error.  limit: bytes of a line at
 * most, 0: RT_ROW_LIMIT. */
struct rt_rows;
int rt_rows_open(struct rt_rows **ret, const char *path, int64_t limit, struct rt_error *err);
/* From a descriptor that stays the caller's, a pipe perhaps; `name` stands for the path, and
 * rt_rows_size() is -1. */
int rt_rows_from(struct rt_rows **ret, int fd, const char *name, int64_t limit,
                 struct rt_error *err);
/* 1: *ret is the next row, released by the caller; 0: the end; negative: an error, after
 * which reading may go on with the next line. */
int     rt_rows_next(struct rt_rows *r, struct rt_json **ret, struct rt_error *err);
int64_t rt_rows_line(const struct rt_rows *r);  /* of the row that came last, from 1 */
int64_t rt_rows_bytes(const struct rt_rows *r); /* read so far, for progress */
int64_t rt_rows_size(const struct rt_rows *r);  /* of the file */
void    rt_rows_close(struct rt_rows *r);       /* NULL is fine */

/* Writing, atomically: the file appears when finish returns 0. */
struct rt_rows_out;
int     rt_rows_create(struct rt_rows_out **ret, const char *path, struct rt_error *err);
int     rt_rows_put(struct rt_rows_out *w, const struct rt_json *row, struct rt_error *err);
int64_t rt_rows_count(const struct rt_rows_out *w);
int     rt_rows_finish(struct rt_rows_out *w, struct rt_error *err); /* frees w in any case */
void    rt_rows_discard(struct rt_rows_out *w);                      /* NULL is fine */

#endif
