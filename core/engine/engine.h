/* engine.h - what an engine holds while it generates. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <retort/generate.h>

#include "engine/allow.h"
#include "engine/stream.h"
#include "model/rt-model.h"

/* A request that is being answered, in its own stretch of the cache. */
struct slot {
	const struct rt_request *q; /* NULL: free */
	int64_t                  index;
	int64_t                  first;  /* row of the cache where it begins */
	int64_t                  length; /* tokens whose keys and values are there */
	int64_t                  most;   /* tokens that it may have */
	int32_t                 *id;     /* [most], with the stop token behind */
	float                   *logp;   /* [most] */
	float                   *prompt_logp, *top_logp;
	int32_t                 *top_id;
	int64_t                  n;
	bool                     waits; /* for its first token */
	int32_t                  drawn;
	float                    drawn_logp;
	int                      code; /* of drawing */
	struct rt_error          error;
	struct stream            stream;
	struct rt_matcher       *matcher; /* or NULL: anything may come */
	bool                     stuck;   /* nothing may */
	enum rt_finish           finish;  /* 0: goes on */
	int32_t                  stop;
	float                    stop_logp;
	double                   begun, first_token;
	/* What stands in its stretch of the cache: keys and values of a prompt, for others to copy.
	 */
	int32_t *known; /* [reach] */
	int64_t  known_n;
	bool     queued; /* but not computed yet */
	float   *last;   /* [hidden] of the prompt's last token */
};

/* Tokens of a prompt that the next pass computes. */
struct part {
	struct slot *slot;
	int64_t      at, n;
};

struct rt_engine {
	const struct rt_model   *m;
	struct rt_engine_options o;
	struct panels           *panels; /* of the model's weights; NULL: products are exact */
	struct model_cache       cache;
	struct model_tape        room; /* of forward passes */
	struct slot             *slots;
	int64_t                  n_slots, reach; /* reach: rows of the cache for a slot */
	/* for the rows of a pass */
	int32_t        *token, *position;
	struct rt_span *spans;
	float          *hidden;
	float          *logits, *logps; /* [slots, vocabulary]; logps: of those that want all */
	struct slot   **choosing;       /* the slots of these rows */
	int32_t        *known;          /* of all slots */
	float          *last;
	int64_t         rows;            /* that there is room for */
	struct part    *parts;           /* [rows] */
	int64_t         n_parts, queued; /* and rows of them */
	int64_t         computed;        /* tokens of this call's prompts, others were copied */
	struct allow   *allow;           /* NULL: no request has had a grammar */
	rt_token_fn    *tell;
	void           *arg;
};

/* Begin a request: memory for its answer. */
int  slot_begin(struct rt_engine *e, struct slot *s, const struct rt_request *q, int64_t index,
                struct rt_error *err);
void slot_clear(struct slot *s);

/* Put the prompt of a slot's request into the queue; passes go out as the queue is full, and the
 * rest with prompt_flush(), which also chooses the first tokens. */
int prompt_queue(struct rt_engine *e, struct slot *s, struct rt_error *err);
int prompt_flush(struct rt_engine *e, struct rt_error *err);

/* The next tokens of e->choosing[n] from logits [n, vocabulary], which are overwritten. */
int slots_choose(struct rt_engine *e, int64_t n, struct rt_error *err);

/* How the rows of a pass go through the model. */
struct model_run engine_run(struct rt_engine *e, unsigned matmul_flags);

/* One pass over rows of e->token, e->position, e->spans; hidden is filled. */
int    engine_pass(struct rt_engine *e, int64_t rows, int64_t spans, const struct model_run *run,
                   struct rt_error *err);
double engine_now(void);

/* Bytes of weights that a pass reads whole. */
int64_t engine_read_bytes(const struct rt_engine *e);

#endif
