/* openai-http.c - see openai-http.h */
#include "openai-http.h"

#include <retort/memory.h>

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

static CURLcode global;

static void start_curl(void)
{
	global = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int nomem(struct rt_error *err)
{
	return rt_fail_nomem(err, "HTTP");
}

static int add_header(struct openai_http *h, const char *line, struct rt_error *err)
{
	struct curl_slist *more = curl_slist_append(h->headers, line);

	if (!more)
		return nomem(err);
	h->headers = more;
	return 0;
}

static int add_key(struct openai_http *h, const char *key, struct rt_error *err)
{
	char *line;
	int   r;

	if (!key)
		return 0;
	line = rt_asprintf("Authorization: Bearer %s", key);
	r = line ? add_header(h, line, err) : nomem(err);
	if (line)
		explicit_bzero(line, strlen(line));
	rt_free(line);
	return r;
}

int openai_http_open(struct openai_http *h, const char *key, int64_t connections,
                     struct rt_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int                   r;

	pthread_once(&once, start_curl);
	if (global != CURLE_OK)
		return rt_fail(err, RT_E_IO, "libcurl does not start: %s",
		               curl_easy_strerror(global));
	h->multi = curl_multi_init();
	if (!h->multi)
		return nomem(err);
	if (curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)connections) != CURLM_OK)
		return nomem(err);
	r = add_header(h, "Content-Type: application/json", err);
	if (r == 0)
		r = add_header(h, "Expect:", err); /* the body goes at once */
	return r == 0 ? add_key(h, key, err) : r;
}

void openai_http_close(struct openai_http *h)
{
	for (struct curl_slist *l = h->headers; l; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(h->headers);
	curl_multi_cleanup(h->multi);
	*h = (struct openai_http){ 0 };
}

static size_t take_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct openai_exchange *x = arg;

	(void)size; /* always 1 */
	if (x->body.len + n > OPENAI_MOST_BODY) {
		x->too_large = true;
		return 0;
	}
	rt_text_add_n(&x->body, bytes, n);
	return x->body.failed ? 0 : n;
}

static size_t take_header(char *bytes, size_t size, size_t n, void *arg)
{
	struct openai_exchange *x = arg;

	(void)size;
	openai_wait_header(&x->wait, bytes, n, (int64_t)time(NULL));
	return n;
}

int openai_exchange_open(struct openai_exchange *x, const struct openai_http *h, const char *url,
                         double connect_timeout, double timeout, void *owner, struct rt_error *err)
{
	bool bad = false;

	x->body = (struct rt_text)RT_TEXT_INIT;
	x->owner = owner;
	x->easy = curl_easy_init();
	if (!x->easy)
		return nomem(err);
#define SET(option, value) bad = bad || curl_easy_setopt(x->easy, option, value) != CURLE_OK
	SET(CURLOPT_URL, url);
	SET(CURLOPT_HTTPHEADER, h->headers);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_USERAGENT, "retort");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(1000 * connect_timeout));
	SET(CURLOPT_TIMEOUT_MS, (long)(1000 * timeout));
	SET(CURLOPT_ERRORBUFFER, x->error);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, x);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, x);
	SET(CURLOPT_PRIVATE, x);
#undef SET
	return bad ? nomem(err) : 0;
}

void openai_exchange_close(struct openai_exchange *x)
{
	curl_easy_cleanup(x->easy);
	x->easy = NULL;
	rt_text_free(&x->body);
}

int openai_http_send(struct openai_http *h, struct openai_exchange *x, const struct rt_text *text,
                     struct rt_error *err)
{
	rt_text_free(&x->body); /* the last one may have been large */
	x->body = (struct rt_text)RT_TEXT_INIT;
	x->wait = OPENAI_WAIT_NONE;
	x->too_large = false;
	x->error[0] = '\0';
	if (curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)text->len) ||
	    curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, text->data) ||
	    curl_multi_add_handle(h->multi, x->easy))
		return nomem(err);
	return 0;
}

void openai_http_abort(struct openai_http *h, struct openai_exchange *x)
{
	curl_multi_remove_handle(h->multi, x->easy);
}

static int multi_failed(CURLMcode code, struct rt_error *err)
{
	return code == CURLM_OUT_OF_MEMORY
	               ? nomem(err)
	               : rt_fail(err, RT_E_IO, "libcurl: %s", curl_multi_strerror(code));
}

int openai_http_move(struct openai_http *h, struct rt_error *err)
{
	int             running;
	const CURLMcode code = curl_multi_perform(h->multi, &running);

	return code == CURLM_OK ? 0 : multi_failed(code, err);
}

int openai_http_sleep(struct openai_http *h, double seconds, struct rt_error *err)
{
	/* Without a transfer it sleeps all the same. */
	const CURLMcode code =
		curl_multi_poll(h->multi, NULL, 0, (int)ceil(1000 * fmax(0, seconds)), NULL);

	return code == CURLM_OK ? 0 : multi_failed(code, err);
}

static enum openai_end end_of(const struct openai_exchange *x, CURLcode code)
{
	long sent = 0;

	switch (code) {
	case CURLE_OK: return OPENAI_ANSWERED;
	case CURLE_OUT_OF_MEMORY: return OPENAI_OUT_OF_MEMORY;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT: return OPENAI_UNREACHED;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE: return OPENAI_IMPOSSIBLE;
	case CURLE_WRITE_ERROR: return x->too_large ? OPENAI_TOO_LARGE : OPENAI_OUT_OF_MEMORY;
	case CURLE_OPERATION_TIMEDOUT:
		/* before or behind the first byte? */
		curl_easy_getinfo(x->easy, CURLINFO_REQUEST_SIZE, &sent);
		return sent > 0 ? OPENAI_BROKEN : OPENAI_UNREACHED;
	default: return OPENAI_BROKEN;
	}
}

struct openai_exchange *openai_http_next(struct openai_http *h, enum openai_end *ret)
{
	struct openai_exchange *x = NULL;
	CURLMsg                *m;
	CURLcode                code;
	int                     left;

	do {
		m = curl_multi_info_read(h->multi, &left);
	} while (m && m->msg != CURLMSG_DONE);
	if (!m)
		return NULL;
	code = m->data.result;
	curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&x);
	curl_multi_remove_handle(h->multi, x->easy);
	if (code != CURLE_OK && !x->error[0])
		strcpy(x->error, curl_easy_strerror(code));
	*ret = end_of(x, code);
	return x;
}

long openai_exchange_status(const struct openai_exchange *x)
{
	long status = 0;

	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}
