/* serve.c - the server of server.h as a program for shell tests, and a look into a cache.
 *
 *   serve LOG DELAY      good replies, each DELAY milliseconds late; the port goes to stdout, what
 *                        users say to LOG; it ends when stdin does
 *   serve --cached FILE  what users said in the requests that a cache has an answer to, and how
 *                        much all cost */
#include "http/server.h"

#include <retort/json.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int list(const char *path)
{
	sqlite3      *db;
	sqlite3_stmt *s;

	if (access(path, F_OK) < 0)
		return EXIT_SUCCESS;
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, "SELECT request FROM replies", -1, &s, NULL) != SQLITE_OK)
		return EXIT_FAILURE;
	while (sqlite3_step(s) == SQLITE_ROW) {
		const char     *text = (const char *)sqlite3_column_text(s, 0);
		struct rt_json *o = NULL;

		if (rt_json_parse(text, strlen(text), path, 1, &o, NULL) < 0)
			return EXIT_FAILURE;
		puts(server_words(o));
		rt_json_free(o);
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct server_step step = { .how = SERVER_WHOLE };
	char               byte;

	if (argc == 3 && strcmp(argv[1], "--cached") == 0)
		return list(argv[2]);
	if (argc != 3)
		return EXIT_FAILURE;
	step.delay = atoi(argv[2]);
	printf("%d\n", server_port(server_start(&step, 1, argv[1])));
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return EXIT_SUCCESS;
}
