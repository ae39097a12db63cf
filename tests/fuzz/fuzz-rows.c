/* fuzz-rows.c - JSON Lines of any bytes: rows that can be written and read again, or errors with
 * their line; and the answers and schemas in them can be looked at. */
#include "fuzz.h"

#include <retort/row.h>
#include <retort/rows.h>
#include <retort/schema.h>

#include <stdlib.h>
#include <string.h>

static void look(struct rt_json *row)
{
	const struct rt_json *reference;
	struct rt_text        t = RT_TEXT_INIT;
	struct rt_json       *again;
	char                  why[64];

	rt_json_print(row, 0, &t);
	if (!t.failed) {
		if (rt_json_parse(t.data, t.len, "again", 1, &again, NULL) < 0)
			abort(); /* what was written cannot be read */
		if (!rt_json_equal(row, again))
			abort();
		rt_json_free(again);
	}
	rt_row_normalize(row);
	for (size_t i = 0; (reference = rt_row_reference(row, i)); i++) {
		rt_text_clear(&t);
		rt_answer_text(reference, &t);
	}
	rt_text_free(&t);
	if (rt_schema_check(rt_json_get(row, "schema"), NULL) == 0)
		rt_schema_fits(rt_json_get(row, "schema"), rt_json_get(row, "value"), why,
		               sizeof why, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char            path[64];
	int             fd = fuzz_file(data, size, path), r;
	struct rt_rows *rows;
	struct rt_json *row;
	int64_t         line = 0;

	if (rt_rows_open(&rows, path, 4096, NULL) < 0)
		abort(); /* a regular file can be opened */
	for (;;) {
		struct rt_error err = RT_ERROR_INIT;

		r = rt_rows_next(rows, &row, &err);
		if (r == 0)
			break;
		if (rt_rows_line(rows) <= line || (r < 0 && !strstr(err.msg, path)))
			abort(); /* no progress, or an error that does not say where */
		line = rt_rows_line(rows);
		if (r == 1) {
			look(row);
			rt_json_free(row);
		}
	}
	rt_rows_close(rows);
	fuzz_close(fd);
	return 0;
}
