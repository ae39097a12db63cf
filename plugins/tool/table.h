/* table.h - a table in a file: CSV with a first line of names (RFC 4180), or JSON Lines. */
#ifndef TOOL_TABLE_H
#define TOOL_TABLE_H

#include <retort/json.h>

/* All rows as an array of objects.  A path that ends in .csv is CSV, whose values are text; any
 * other is JSON Lines.  Errors name path and line. */
int table_read(const char *path, struct rt_json **ret, struct rt_error *err);

#endif
