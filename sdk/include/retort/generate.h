/* retort/generate.h - generation: many sequences at once over one cache of keys and values.
 *
 *     struct rt_engine *e;
 *     rt_engine_open(&e, model, NULL, err);
 *     rt_generate(e, requests, n, answered, NULL, arg, err);
 *     rt_engine_close(e);
 *
 * Sequences are started as others end (continuous batching, Yu 2022); prompts are computed in
 * chunks.  What a request gets depends on the request alone, not on those beside it: not on
 * their number, their order, or the number of threads. */
#ifndef RETORT_GENERATE_H
#define RETORT_GENERATE_H

#include <retort/grammar.h>
#include <retort/model.h>
#include <retort/sampler.h>

struct rt_engine;

struct rt_engine_options {
	int64_t sequences; /* that are computed at once; 0: 16 */
	int64_t tokens;    /* room in the cache, of all sequences together; 0: as many as sequences
	                    * of the longest request take, or what fits in `memory` */
	int64_t memory;    /* bytes of the cache at most; 0: a quarter of the machine's */
	int64_t chunk;     /* prompt tokens in one pass; 0: 512 */
	bool    exact; /* products are those of f32 activations and the weights as they are; else
	                * integers are multiplied: activations are rounded in groups of 32, to 8
	                * bits (1/254 of the largest in the group) where weights are of a block
	                * type; to 14 (1/16382) where they are f16 or bf16, and weights likewise
	                * (2^-13 of the largest, most of bf16 not at all).  A processor that
	                * multiplies pairs of bf16 does so where weights are bf16: activations are
	                * rounded to bf16 (2^-8 of each), weights to 2^-15 of the largest in their
	                * group, most not at all.  One without an instruction for integers of 16
	                * bits multiplies f16 and bf16 as floats, prompts of bf16 rounded to bf16 */
};

/* The model must outlive the engine; options NULL: all defaults.  Unless exact, weights are brought
 * into the order in which integer products read them: a copy, in whose place the pages of the file
 * leave memory.  [worker] */
int  rt_engine_open(struct rt_engine **ret, const struct rt_model *m,
                    const struct rt_engine_options *options, struct rt_error *err);
void rt_engine_close(struct rt_engine *e); /* NULL is fine */

/* How a token is drawn: logits / temperature; then the top_k largest; then, of these, the fewest
 * that together have top_p; then those with at least min_p of the largest.  This is the order of
 * transformers; vLLM applies min_p in front of top_k.  Temperature 0 is greedy, the smallest id of
 * equals; top_k, top_p and min_p 0 (top_p also 1) leave all. */
struct rt_sampling {
	double  temperature, top_p, min_p;
	int64_t top_k;
};

/* Draw one of V tokens; logits are overwritten, -inf is a token that is not allowed.  No memory is
 * allocated and nothing is sorted.  RT_E_NUMERIC when a logit is NaN or +inf or all are -inf.
 * [any] */
int rt_sample(const struct rt_sampling *s, float *logits, int64_t V, double uniform,
              int32_t *ret_token, struct rt_error *err);

struct rt_request {
	const int32_t     *prompt;
	int64_t            n;          /* >= 1 */
	int64_t            max_tokens; /* of the answer; cut so that the whole fits the context */
	struct rt_sampling sampling;
	const struct rt_sampler_ops *sampler; /* instead of rt_sample(), or NULL */
	void                        *sampler_state;
	uint64_t                 seed, stream; /* uniforms are Philox(seed, stream, token number) */
	const struct rt_grammar *grammar; /* what the answer may be, or NULL: a token that may not
	                                   * stand where it is drawn is drawn again, among those
	                                   * that may.  max_tokens and stop strings cut it off
	                                   * wherever it is */
	const char *const *stop;          /* NULL-terminated stop strings, or NULL */
	bool               ignore_stops;  /* do not end at the model's stop tokens */
	bool               prompt_logps;  /* log-probabilities of the prompt are wanted too */
	int64_t            top;           /* alternatives wanted for each token, 0 to 1000 */
};

/* STOP is also the end of an answer to which nothing could be added.  STUCK: what the grammar lets
 * through the vocabulary cannot write. */
enum rt_finish { RT_FINISH_STOP = 1, RT_FINISH_STRING, RT_FINISH_LENGTH, RT_FINISH_STUCK };

struct rt_answer {
	const int32_t *id;
	int64_t        n; /* without the stop token, and without a token that only spells the stop
	                   * string */
	const float   *logp;        /* [n] under the model itself: temperature 1, nothing cut off */
	const float   *prompt_logp; /* [prompt n]; the first is 0; or NULL */
	const int32_t *top_id;      /* [n][top] best first, or NULL */
	const float   *top_logp;
	enum rt_finish finish;
	int32_t        stop; /* the stop token, or -1 */
	float          stop_logp;
	const char *text; /* decoded, cut in front of the stop string; NULL without a tokenizer */
	size_t      text_n;
	double      first_seconds, seconds; /* to the first token; to the end */
};

/* Called on the calling thread as requests end, in any order; the answer is lent.  A negative
 * return value stops the rest and is returned by rt_generate(). */
typedef int rt_answer_fn(void *arg, int64_t index, const struct rt_answer *a, struct rt_error *err);

/* Called for each token as it is chosen, with whole characters of new text; and once more with id
 * -1 in front of the answer, when text had been held back: for a stop string that did not come, or
 * a character that was not finished (U+FFFD).  All pieces together are the answer's text.  May be
 * NULL. */
typedef int rt_token_fn(void *arg, int64_t index, int32_t id, const char *text, size_t n,
                        struct rt_error *err);

/* RT_E_RANGE for a prompt that is longer than context or cache, before anything runs; RT_E_NUMERIC
 * when a logit is not a number, with the request's index. [worker] */
int rt_generate(struct rt_engine *e, const struct rt_request *requests, int64_t n,
                rt_answer_fn *answer, rt_token_fn *token, void *arg, struct rt_error *err);

#endif
