/* server.h - a server of chat completions that misbehaves as it is told.
 *
 * It runs in threads of this process, one a connection, on a free port of the loopback.  The steps
 * of a script answer the requests in the order in which they arrive; the last one goes on. */
#ifndef TESTS_HTTP_SERVER_H
#define TESTS_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

enum server_how {
	SERVER_WHOLE,   /* status, headers, body */
	SERVER_CHUNKED, /* the same in chunks of a few bytes */
	SERVER_CUT,     /* the connection closes in the middle of the body */
	SERVER_SHUT,    /* it closes without a word */
	SERVER_HUGE,    /* a body without end */
	SERVER_SILENT   /* nothing, until the client goes away */
};

struct server_step {
	enum server_how how;
	int             status;  /* 0: 200 */
	const char     *headers; /* more of them, each with CR LF; or NULL */
	const char     *body;    /* NULL: a good reply that repeats what the user said, n times */
	int             delay;   /* milliseconds before the answer */
};

struct server;

/* script NULL: good replies alone.  log (may be NULL): each request is noted there, as what the
 * user said, before it is answered. */
struct server *server_start(const struct server_step *script, int n, const char *log);
void           server_stop(struct server *s);

int         server_port(const struct server *s);
int         server_count(struct server *s);        /* requests so far */
int         server_most_at_once(struct server *s); /* requests under way at the same time */
const char *server_body(struct server *s, int i);  /* of request i, until the server stops */
const char *server_head(struct server *s, int i);
double      server_time(struct server *s, int i); /* when it came, monotonic seconds */

/* What the last message of the user says in the body of a request, or "". */
struct rt_json;
const char *server_words(const struct rt_json *body);

#endif
