/* retort/teacher.h - kind `teacher`: a model that answers chats, near or far.
 *
 * Requests and replies are JSON as in OpenAI's chat completions API, because that is the
 * form that users, servers and datasets share:
 *
 *   request  { messages, tools?, tool_choice?, n?, temperature?, top_p?, max_tokens?, stop?,
 *              seed?, logprobs?, top_logprobs?, response_format?, role?,
 *              chat_template_kwargs? }
 *   reply    { choices: [ { index, finish_reason, message: { role, content?, tool_calls? },
 *              logprobs? } ], usage: { prompt_tokens, completion_tokens }, model? }
 *
 * `arguments` of a tool call is an object here, never a JSON string: a teacher that gets
 * strings parses them, and leaves one that is not JSON as the string it is.
 *
 * `role` is whose message is asked for: "assistant" when it is not there, or "user", to go on as
 * the user; then the message of each choice has that role, no calls, and may follow no message at
 * all.  Chat completions have no such thing: a teacher that cannot do it refuses the request with a
 * sentence, and never answers as somebody else. */
#ifndef RETORT_TEACHER_H
#define RETORT_TEACHER_H

#include <retort/plugin.h>

#define RT_TEACHER_ABI 2 /* 1: requests had no `role` */

struct rt_teacher_request {
	const char           *id;   /* of the row; names the request in messages */
	const struct rt_json *body; /* the request above */
};

/* Called once for each request as it is answered, in any order, on the thread that called
 * chat().  reply is lent, NULL when the request failed for good: then why says so.  A
 * negative return value stops the rest and is returned by chat(). */
typedef int rt_reply_fn(void *arg, int64_t index, const struct rt_json *reply, const char *why,
                        struct rt_error *err);

struct rt_teacher_ops {
	uint32_t size; /* sizeof(struct rt_teacher_ops) */
	uint32_t reserved;

	/* Answer n requests, as many at once as the teacher can.  A reply that was paid for
	 * is given to `reply` before anything else is asked.  One request that fails does
	 * not fail the others; returns negative when nothing more can be answered (no
	 * server, no credit: RT_E_BUDGET, cancelled: RT_E_CANCEL). [worker] */
	int (*chat)(void *state, const struct rt_teacher_request *requests, int64_t n,
	            rt_reply_fn *reply, void *arg, struct rt_error *err);

	/* What n requests of about these many tokens would cost; unknown: NAN. [any] */
	double (*price)(const void *config, double calls, double input_tokens,
	                double output_tokens);

	/* Log-probabilities of given tokens: ids[0..n), scored from position `first` (>= 1).
	 * For each position t in [first, n), into row t - first: logprob[] of ids[t] given
	 * those before it, and the k most likely tokens with theirs, best first
	 * (top_id, top_logprob: (n - first) x k; k 0: none).  NULL when the teacher cannot.
	 * For stages of one's own: score and distill take a model. [worker] */
	int (*score)(void *state, const int32_t *ids, int64_t n, int64_t first, int64_t k,
	             float *logprob, int32_t *top_id, float *top_logprob, struct rt_error *err);
};

#endif
