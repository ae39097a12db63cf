/* heard.h - answers of an engine, copied. */
#ifndef TESTS_ENGINE_HEARD_H
#define TESTS_ENGINE_HEARD_H

#include "golden.h"
#include "runner.h"

#include <retort/generate.h>

#include <string.h>

enum { MOST = 64, REQUESTS = 9 };

struct heard {
	int32_t id[REQUESTS][MOST];
	float   logp[REQUESTS][MOST], prompt[REQUESTS][MOST];
	int64_t n[REQUESTS];
	char    text[REQUESTS][1024];
	char    told[REQUESTS][1024];
	int     finish[REQUESTS];
	int     answers;
};

/* Text that may hold zero bytes, which become dots. */
static inline void append(char *to, const char *text, size_t n)
{
	size_t at = strlen(to);

	ck_assert_uint_lt(at + n, 1024);
	for (size_t i = 0; i < n; i++)
		to[at++] = text[i] ? text[i] : '.';
	to[at] = '\0';
}

static inline int hear(void *arg, int64_t i, const struct rt_answer *a, struct rt_error *err)
{
	struct heard *h = arg;

	(void)err;
	ck_assert_int_le(a->n, MOST);
	memcpy(h->id[i], a->id, (size_t)a->n * sizeof *a->id);
	memcpy(h->logp[i], a->logp, (size_t)a->n * sizeof *a->logp);
	if (a->prompt_logp)
		memcpy(h->prompt[i], a->prompt_logp, 12 * sizeof(float));
	if (a->text)
		append(h->text[i], a->text, a->text_n);
	h->n[i] = a->n;
	h->finish[i] = (int)a->finish;
	h->answers++;
	return 0;
}

static inline int tell(void *arg, int64_t i, int32_t id, const char *text, size_t n,
                       struct rt_error *err)
{
	struct heard *h = arg;

	(void)id, (void)err;
	append(h->told[i], text, n);
	return 0;
}

static inline struct rt_model *open_golden(const char *name)
{
	const char      *root = getenv("RETORT_GOLDEN");
	char             path[4096];
	struct rt_model *m;
	struct rt_error  err = RT_ERROR_INIT;

	snprintf(path, sizeof path, "%s/%s", root && *root ? root : GOLDEN_DIR, name);
	ck_assert_msg(rt_model_open(&m, path, 0, &err) == 0, "%s", err.msg);
	return m;
}

static inline void generate(const struct rt_model *m, const struct rt_engine_options *o,
                            const struct rt_request *q, int64_t n, struct heard *h)
{
	struct rt_engine *e;
	struct rt_error   err = RT_ERROR_INIT;

	memset(h, 0, sizeof *h);
	ck_assert_int_eq(rt_engine_open(&e, m, o, NULL), 0);
	ck_assert_msg(rt_generate(e, q, n, hear, tell, h, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(h->answers, n);
	rt_engine_close(e);
}

#endif
