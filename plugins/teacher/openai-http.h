/* openai-http.h - one request over HTTP, by way of libcurl's multi interface.
 *
 * Many exchanges run at once in one openai_http; each is used again and again.  One thread. */
#ifndef TEACHER_OPENAI_HTTP_H
#define TEACHER_OPENAI_HTTP_H

#include "openai-wait.h"

#include <retort/error.h>
#include <retort/text.h>

#include <curl/curl.h>

enum { OPENAI_MOST_BODY = 64 << 20 }; /* bytes of one reply */

struct openai_http {
	CURLM             *multi;
	struct curl_slist *headers;
};

struct openai_exchange {
	CURL              *easy;
	void              *owner; /* the caller's */
	struct rt_text     body;  /* what came */
	struct openai_wait wait;
	bool               too_large;
	char               error[CURL_ERROR_SIZE];
};

/* How an exchange ended. */
enum openai_end {
	OPENAI_ANSWERED,   /* with a status and a body, whatever they say */
	OPENAI_UNREACHED,  /* no connection: nothing was sent */
	OPENAI_BROKEN,     /* a connection, and no whole answer: it may have been paid for */
	OPENAI_TOO_LARGE,  /* more than OPENAI_MOST_BODY */
	OPENAI_IMPOSSIBLE, /* trying again is of no use: a certificate, an address */
	OPENAI_OUT_OF_MEMORY
};

/* key NULL: none is sent.  It goes into the header Authorization and nowhere else. */
int  openai_http_open(struct openai_http *h, const char *key, int64_t connections,
                      struct rt_error *err);
void openai_http_close(struct openai_http *h);

/* Times in seconds; redirects are not followed, for the key would go along. */
int  openai_exchange_open(struct openai_exchange *x, const struct openai_http *h, const char *url,
                          double connect_timeout, double timeout, void *owner, struct rt_error *err);
void openai_exchange_close(struct openai_exchange *x);

/* Begin: text is lent until the end. */
int  openai_http_send(struct openai_http *h, struct openai_exchange *x, const struct rt_text *text,
                      struct rt_error *err);
void openai_http_abort(struct openai_http *h, struct openai_exchange *x);

/* Move everything on; then *ret is an exchange that has ended, or NULL when there is no more. */
int                     openai_http_move(struct openai_http *h, struct rt_error *err);
struct openai_exchange *openai_http_next(struct openai_http *h, enum openai_end *ret);

/* Sleep until something arrives, at most so many seconds. */
int openai_http_sleep(struct openai_http *h, double seconds, struct rt_error *err);

long openai_exchange_status(const struct openai_exchange *x);

#endif
