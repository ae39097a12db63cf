/* openai-bench.h - teacher-openai with a host of ten lines, and questions to ask it. */
#ifndef TESTS_PLUGINS_OPENAI_BENCH_H
#define TESTS_PLUGINS_OPENAI_BENCH_H

#include "teacher/openai.h"

#include "http/server.h"
#include "plugin/context.h"
#include "plugin/param.h"
#include "temp.h"

#include <retort/memory.h>

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern const struct rt_plugin retort_plugin_teacher_openai;
#define P      (&retort_plugin_teacher_openai)

#define SECRET "sk-0123456789-abcdefgh"

/* ---- a host of ten lines ---- */

static char        said[1 << 16];
static atomic_bool cancelled;

static inline void hear(void *arg, const char *stage, enum rt_level level, const char *text)
{
	(void)arg, (void)stage, (void)level;
	snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", text);
}

static inline bool is_cancelled(void *arg)
{
	(void)arg;
	return atomic_load(&cancelled);
}

static const struct context_sink sink = { .log = hear, .cancelled = is_cancelled };
static struct rt_context         context = { .sink = &sink, .stage = "drafts", .seed = 7 };

struct teacher {
	struct openai_config cfg;
	void                *state;
	char                 url[80];
};

/* Parameters as a pipeline that sets no more than it must; paths in the folder of the test. */
static inline void defaults(struct teacher *t, int port)
{
	static char cache[512];

	snprintf(cache, sizeof cache, "%s", temp_path("cache.sqlite"));
	context.work_dir = temp_folder;
	memset(t, 0, sizeof *t);
	param_defaults(P->params, &t->cfg);
	snprintf(t->url, sizeof t->url, "http://127.0.0.1:%d/v1", port);
	t->cfg.model = "m";
	t->cfg.url = t->url;
	t->cfg.key_env = "";
	t->cfg.cache = cache;
	t->cfg.timeout = 20;
}

static inline int begin(struct teacher *t, struct rt_error *err)
{
	int r = P->check(&t->cfg, err);

	t->state = rt_alloc_aligned(1, P->state_size);
	ck_assert_ptr_nonnull(t->state);
	return r == 0 ? P->open(t->state, &t->cfg, &context, err) : r;
}

static inline void end(struct teacher *t)
{
	P->close(t->state);
	rt_free(t->state);
	t->state = NULL;
}

/* ---- requests and what came of them ---- */

enum { MOST = 64 };

struct answers {
	int             n[MOST], replies, failures, stop_at;
	struct rt_json *reply;     /* the last one */
	char            why[1024]; /* the last one */
};

static inline int take(void *arg, int64_t index, const struct rt_json *reply, const char *why,
                       struct rt_error *err)
{
	struct answers *a = arg;

	a->n[index]++;
	if (reply) {
		a->replies++;
		rt_json_free(a->reply);
		a->reply = rt_json_ref(reply);
	} else {
		a->failures++;
		snprintf(a->why, sizeof a->why, "%s", why);
	}
	return a->stop_at && a->replies + a->failures == a->stop_at
	               ? rt_fail(err, RT_E_CANCEL, "enough")
	               : 0;
}

static inline struct rt_json *parse(const char *text)
{
	struct rt_json *j;
	struct rt_error err = RT_ERROR_INIT;

	ck_assert_msg(rt_json_parse(text, strlen(text), "test", 1, &j, &err) == 0, "%s", err.msg);
	return j;
}

/* Ask n questions, "question 0" and so on, with more fields as `more` has them. */
static inline int ask_n(struct teacher *t, int n, const char *more, struct answers *a,
                        struct rt_error *err)
{
	struct rt_teacher_request q[MOST];
	char                      ids[MOST][16], text[512];
	int                       r;

	memset(a->n, 0, sizeof a->n);
	for (int i = 0; i < n; i++) {
		snprintf(ids[i], sizeof ids[i], "r%d", i);
		snprintf(text, sizeof text,
		         "{\"messages\":[{\"role\":\"user\",\"content\":\"question %d\"}],"
		         "\"max_tokens\":20%s}",
		         i, more);
		q[i] = (struct rt_teacher_request){ ids[i], parse(text) };
	}
	r = P->ops.teacher->chat(t->state, q, n, take, a, err);
	for (int i = 0; i < n; i++)
		rt_json_free((struct rt_json *)q[i].body);
	return r;
}

static inline int ask_one(struct teacher *t, const char *id, const char *body, struct answers *a,
                          struct rt_error *err)
{
	struct rt_teacher_request q = { id, parse(body) };
	int                       r = P->ops.teacher->chat(t->state, &q, 1, take, a, err);

	rt_json_free((struct rt_json *)q.body);
	return r;
}

static inline const char *content(const struct rt_json *reply)
{
	return rt_json_string(rt_json_get(
		rt_json_get(rt_json_at(rt_json_get(reply, "choices"), 0), "message"), "content"));
}

static inline double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define USER "{\"role\":\"user\",\"content\":\"hi\"}"

#endif
