/* server.c - see server.h */
#include "http/server.h"

#include <retort/json.h>
#include <retort/text.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4096 };

struct request {
	char  *head, *body;
	double at;
};

struct server {
	struct server            *next;
	const struct server_step *script;
	int                       n, fd, port, log;
	pthread_t                 thread;
	pthread_mutex_t           lock;
	struct request            requests[MOST];
	int                       count, at_once, most_at_once;
};

/* Threads of connections may outlive their server: what they look at stays. */
static struct server *servers;

struct client {
	struct server *server;
	int            fd;
};

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool send_all(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		const ssize_t k = send(fd, bytes, n, MSG_NOSIGNAL);

		if (k <= 0)
			return false;
		bytes += k;
		n -= (size_t)k;
	}
	return true;
}

/* ---- a request ---- */

static size_t content_length(const char *head)
{
	for (const char *line = head; line;
	     line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		if (strncasecmp(line, "Content-Length:", 15) == 0)
			return strtoull(line + 15, NULL, 10);
	return 0;
}

/* Head and body of the next request of a connection. */
static bool read_request(int fd, struct rt_text *head, struct rt_text *body)
{
	char    bytes[4096];
	ssize_t k;
	char   *end = NULL;

	while (!end && (k = recv(fd, bytes, sizeof bytes, 0)) > 0) {
		rt_text_add_n(head, bytes, (size_t)k);
		end = strstr(head->data, "\r\n\r\n");
	}
	if (!end)
		return false;
	rt_text_add_n(body, end + 4, head->len - (size_t)(end + 4 - head->data));
	end[2] = '\0';
	while (body->len < content_length(head->data)) {
		k = recv(fd, bytes, sizeof bytes, 0);
		if (k <= 0)
			return false;
		rt_text_add_n(body, bytes, (size_t)k);
	}
	return true;
}

const char *server_words(const struct rt_json *body)
{
	const struct rt_json *m = rt_json_get(body, "messages");

	for (size_t i = rt_json_length(m); i-- > 0;) {
		const char *role = rt_json_string(rt_json_get(rt_json_at(m, i), "role"));

		if (role && strcmp(role, "user") == 0)
			return rt_json_string(rt_json_get(rt_json_at(m, i), "content"));
	}
	return "";
}

static int note(struct server *s, const struct rt_text *head, const struct rt_text *body,
                const char *said)
{
	int i;

	pthread_mutex_lock(&s->lock);
	i = s->count < MOST ? s->count++ : MOST - 1;
	if (!s->requests[i].head)
		s->requests[i] =
			(struct request){ strdup(head->data), strdup(body->data), seconds() };
	if (++s->at_once > s->most_at_once)
		s->most_at_once = s->at_once;
	if (s->log >= 0 && dprintf(s->log, "%s\n", said) < 0)
		abort();
	pthread_mutex_unlock(&s->lock);
	return i;
}

/* ---- an answer ---- */

/* With tools it calls the first one, with what the user said as `city` where it wants one, and then
 * says what came back. */
static void good_message(const struct rt_json *request, const char *said, struct rt_text *out)
{
	const struct rt_json *m = rt_json_get(request, "messages"),
			     *last = rt_json_at(m, rt_json_length(m) - 1),
			     *tool = rt_json_get(rt_json_at(rt_json_get(request, "tools"), 0),
	                                         "function");
	const char *role = rt_json_string(rt_json_get(last, "role"));

	if (role && strcmp(role, "tool") == 0) {
		rt_text_add(out, "\"content\":");
		rt_json_print(rt_json_get(last, "content"), 0, out);
	} else if (tool && !rt_json_get(rt_json_get(rt_json_get(tool, "parameters"), "properties"),
	                                "city")) {
		rt_text_printf(out,
		               "\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"
		               "\"function\",\"function\":{\"name\":\"%s\",\"arguments\":\"{}\"}}"
		               "]",
		               rt_json_string(rt_json_get(tool, "name")));
	} else if (tool) {
		rt_text_printf(out,
		               "\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"
		               "\"function\",\"function\":{\"name\":\"%s\",\"arguments\":\"{"
		               "\\\"city\\\":\\\"%s\\\"}\"}}]",
		               rt_json_string(rt_json_get(tool, "name")), said);
	} else {
		rt_text_printf(out, "\"content\":\"re %s\"", said);
	}
}

static void good_reply(const struct rt_json *request, const char *said, struct rt_text *out)
{
	const int64_t n = rt_json_int(rt_json_get(request, "n"), 1);

	rt_text_add(out,
	            "{\"id\":\"x\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m-1\","
	            "\"choices\":[");
	for (int64_t i = 0; i < n; i++) {
		rt_text_printf(out,
		               "%s{\"index\":%d,\"finish_reason\":\"stop\",\"logprobs\":null,"
		               "\"message\":{\"role\":\"assistant\",",
		               i ? "," : "", (int)i);
		good_message(request, said, out);
		rt_text_add(out, "}}");
	}
	rt_text_printf(out, "],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":%d}}",
	               (int)(5 * n));
}

static bool send_chunked(int fd, const char *head, const char *body, size_t n)
{
	char size[16];

	if (!send_all(fd, head, strlen(head)))
		return false;
	for (size_t at = 0; at < n; at += 7) {
		const size_t k = n - at < 7 ? n - at : 7;

		snprintf(size, sizeof size, "%zx\r\n", k);
		if (!send_all(fd, size, strlen(size)) || !send_all(fd, body + at, k) ||
		    !send_all(fd, "\r\n", 2))
			return false;
	}
	return send_all(fd, "0\r\n\r\n", 5);
}

static void send_endlessly(int fd)
{
	char spaces[1 << 16];

	memset(spaces, ' ', sizeof spaces);
	while (send_all(fd, spaces, sizeof spaces))
		;
}

/* Returns whether the connection goes on. */
static bool answer(int fd, const struct server_step *step, const char *body, size_t n)
{
	char head[1024], byte;

	if (step->how == SERVER_SHUT)
		return false;
	if (step->how == SERVER_SILENT)
		return recv(fd, &byte, 1, 0) > 0;
	snprintf(head, sizeof head, "HTTP/1.1 %d Status\r\nContent-Type: application/json\r\n%s",
	         step->status ? step->status : 200, step->headers ? step->headers : "");
	if (step->how == SERVER_HUGE) {
		strcat(head, "\r\n");
		if (send_all(fd, head, strlen(head)))
			send_endlessly(fd);
		return false;
	}
	if (step->how == SERVER_CHUNKED) {
		strcat(head, "Transfer-Encoding: chunked\r\n\r\n");
		return send_chunked(fd, head, body, n);
	}
	snprintf(head + strlen(head), sizeof head - strlen(head), "Content-Length: %zu\r\n\r\n", n);
	if (!send_all(fd, head, strlen(head)))
		return false;
	if (step->how == SERVER_CUT)
		return send_all(fd, body, n / 2) && false;
	return send_all(fd, body, n);
}

static bool serve(struct server *s, int fd, const struct rt_text *head, const struct rt_text *text)
{
	static const struct server_step good = { .how = SERVER_WHOLE };
	struct rt_json                 *request = NULL;
	struct rt_text                  made = RT_TEXT_INIT;
	const struct server_step       *step;
	const char                     *said;
	bool                            on;
	int                             i;

	rt_json_parse(text->data, text->len, "request", 1, &request, NULL);
	said = server_words(request);
	i = note(s, head, text, said);
	step = s->n ? &s->script[i < s->n ? i : s->n - 1] : &good;
	if (step->delay)
		nanosleep(&(struct timespec){ step->delay / 1000, step->delay % 1000 * 1000000L },
		          NULL);
	if (step->body)
		rt_text_add(&made, step->body);
	else
		good_reply(request, said, &made);
	pthread_mutex_lock(&s->lock);
	s->at_once--;
	pthread_mutex_unlock(&s->lock);
	on = answer(fd, step, made.data, made.len);
	rt_text_free(&made);
	rt_json_free(request);
	return on;
}

static void *converse(void *arg)
{
	struct client c = *(struct client *)arg;
	bool          on = true;

	free(arg);
	while (on) {
		struct rt_text head = RT_TEXT_INIT, body = RT_TEXT_INIT;

		on = read_request(c.fd, &head, &body) && serve(c.server, c.fd, &head, &body);
		rt_text_free(&head);
		rt_text_free(&body);
	}
	shutdown(c.fd, SHUT_RDWR);
	close(c.fd);
	return NULL;
}

/* ---- life ---- */

static void *listen_on(void *arg)
{
	struct server *s = arg;

	for (;;) {
		struct client *c = malloc(sizeof *c);
		pthread_t      t;

		*c = (struct client){ s, accept(s->fd, NULL, NULL) };
		if (c->fd < 0) {
			free(c);
			return NULL;
		}
		if (pthread_create(&t, NULL, converse, c) != 0)
			abort();
		pthread_detach(t);
	}
}

struct server *server_start(const struct server_step *script, int n, const char *log)
{
	struct server     *s = calloc(1, sizeof *s);
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t          size = sizeof at;

	*s = (struct server){ .next = servers, .script = script, .n = script ? n : 0, .log = -1 };
	servers = s;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (log)
		s->log = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&at, size) < 0 || listen(s->fd, 64) < 0 ||
	    getsockname(s->fd, (struct sockaddr *)&at, &size) < 0)
		abort();
	s->port = ntohs(at.sin_port);
	pthread_mutex_init(&s->lock, NULL);
	if (pthread_create(&s->thread, NULL, listen_on, s) != 0)
		abort();
	return s;
}

void server_stop(struct server *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
}

int server_port(const struct server *s)
{
	return s->port;
}

int server_count(struct server *s)
{
	int n;

	pthread_mutex_lock(&s->lock);
	n = s->count;
	pthread_mutex_unlock(&s->lock);
	return n;
}

int server_most_at_once(struct server *s)
{
	int n;

	pthread_mutex_lock(&s->lock);
	n = s->most_at_once;
	pthread_mutex_unlock(&s->lock);
	return n;
}

const char *server_body(struct server *s, int i)
{
	return s->requests[i].body;
}

const char *server_head(struct server *s, int i)
{
	return s->requests[i].head;
}

double server_time(struct server *s, int i)
{
	return s->requests[i].at;
}
