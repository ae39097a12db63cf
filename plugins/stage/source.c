/* source.c - see source.h */
#include "source.h"

#include "import.h"
#include "messages.h"

int source_open(struct source *s, const char *path, bool joined, struct rt_error *err)
{
	s->path = path;
	s->joined = joined;
	return csv_named(path) ? csv_open(&s->csv, path, err)
	                       : rt_rows_open(&s->rows, path, 0, err);
}

void source_close(struct source *s)
{
	rt_rows_close(s->rows);
	csv_close(s->csv);
}

int source_next(struct source *s, struct rt_json **ret, struct rt_error *err)
{
	struct rt_json *row;
	int             r = s->csv ? csv_next(s->csv, &row, err) : rt_rows_next(s->rows, &row, err);

	s->line = s->csv ? csv_line(s->csv) : rt_rows_line(s->rows);
	if (r <= 0)
		return r;
	r = import_row(row, err);
	if (r == 0 && !s->joined) /* what models answered stands as they did */
		r = messages_check(row, err);
	if (r < 0) {
		rt_json_free(row);
		return rt_within(err, r, "%s:%lld", s->path, (long long)s->line);
	}
	*ret = row;
	return 1;
}
