/* openai.h - teacher-openai's parameters and state. */
#ifndef TEACHER_OPENAI_H
#define TEACHER_OPENAI_H

#include "openai-cache.h"
#include "openai-http.h"

#include <retort/file.h>
#include <retort/json.h>
#include <retort/teacher.h>

struct openai_config {
	const char *model, *url, *url_env, *key_env, *extra, *cache, *record;
	int64_t     parallel, retries, draw;
	double      timeout, connect_timeout, max_wait, input_price, output_price, max_cost;
};

/* Where one request stands. */
enum openai_stand { OPENAI_IDLE, OPENAI_WAITING, OPENAI_RUNNING };

struct openai_slot {
	enum openai_stand      stand;
	int64_t                index, attempt; /* of the request; tries that failed */
	double                 due;   /* waiting: when it goes out, on the monotonic clock */
	double                 bound; /* the most that it can cost */
	struct rt_text         text;  /* the body */
	char                   key[RT_HASH_HEX];
	struct openai_exchange exchange;
};

struct openai {
	const struct openai_config *cfg;
	struct rt_context          *context;
	char                       *url;    /* with its path */
	const char                 *secret; /* the key, or NULL; the host's */
	struct rt_json             *patch;
	struct openai_cache        *cache;
	struct rt_journal          *record;
	struct openai_http          http;
	struct openai_slot         *slots; /* (cfg->parallel) */
	double                      spent; /* by this stage, in all its runs */
	double                      gate;  /* nothing goes out before, on the monotonic clock */
	int64_t                     paid, recalled, doubtful;
	bool                        told_usage, told_n;
};

/* The op of retort/teacher.h. */
int openai_chat(void *state, const struct rt_teacher_request *requests, int64_t n,
                rt_reply_fn *reply, void *arg, struct rt_error *err);

/* Use a reply that is in the cache: read it, record it, hand it out. */
int openai_deliver(struct openai *o, const struct rt_teacher_request *q, int64_t index,
                   const struct rt_text *text, rt_reply_fn *reply, void *arg, struct rt_error *err);

/* Keep a reply: into the cache, and what it costs into the ledger.  *text becomes what was kept,
 * which is what openai_deliver() takes. */
int openai_keep(struct openai *o, const struct openai_slot *s, const char *id,
                const struct rt_json *reply, struct rt_text *text, struct rt_error *err);

/* Black the key out of what a server said. */
void openai_scrub(const struct openai *o, char *text);

#endif
