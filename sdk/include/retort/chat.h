/* retort/chat.h - chat templates: a conversation to the text that a model was trained on.
 *
 * The model's own Jinja template is interpreted, with the settings of transformers
 * (trim_blocks, lstrip_blocks; tojson as json.dumps writes it; raise_exception, strftime_now).
 * What it cannot do is RT_E_UNSUP with the line.  Steps, depth, memory and output are limited.
 *
 * A template does not change after it was opened: any number of threads may render it. */
#ifndef RETORT_CHAT_H
#define RETORT_CHAT_H

#include <retort/error.h>
#include <retort/json.h>
#include <retort/text.h>
#include <retort/tokenizer.h>

struct rt_template;

/* From n bytes of text; `name` begins the messages. [any] */
int rt_template_parse(struct rt_template **ret, const char *text, size_t n, const char *name,
                      struct rt_error *err);
/* From a folder (chat_template.jinja, or chat_template in tokenizer_config.json), or from a file
 * with a template. [any] */
int  rt_template_open(struct rt_template **ret, const char *path, struct rt_error *err);
void rt_template_free(struct rt_template *t); /* NULL is fine */

const char *rt_template_source(const struct rt_template *t); /* its text, lent */

struct rt_chat {
	const struct rt_json *messages, *tools; /* arrays; tools may be NULL */
	const struct rt_json *kwargs;           /* more variables: an object, or NULL */
	bool                  generation_prompt;
	const char           *bos, *eos; /* spelled; NULL: not defined */
	int64_t               now;       /* seconds since 1970, for strftime_now */
};

/* Append the text.  What raise_exception says is RT_E_INVAL with that message. [any] */
int rt_template_render(const struct rt_template *t, const struct rt_chat *chat, struct rt_text *out,
                       struct rt_error *err);

/* Append the text, its ids, and for each id whether the assistant wrote it (1 or 0), up to and
 * with the special token that ends its turn.  The template need not mark anything: what changes
 * when an assistant message is replaced, together with what the prompt for it did not give, is
 * what the assistant wrote.  Special tokens in the text are tokens. [any] */
int rt_template_encode(const struct rt_template *t, const struct rt_tokenizer *tokenizer,
                       const struct rt_chat *chat, struct rt_text *out, struct rt_ids *ids,
                       struct rt_ids *mask, struct rt_error *err);

/* Tool calls in a reply, in the forms in which models write them:
 *   Hermes, Qwen   <tool_call>{"name": ..., "arguments": {...}}</tool_call>, any number
 *   Llama 3        the whole reply is {"name": ..., "parameters" or "arguments": {...}}, behind
 *                  <|python_tag|> or not
 *   Mistral        [TOOL_CALLS] [{"name": ..., "arguments": {...}}, ...], or NAME{...} or
 *                  NAME[ARGS]{...} behind each mark
 * *ret_calls is an array of { "type": "function", "function": { "name", "arguments" } },
 * arguments an object (release with rt_json_free()); text outside of the calls is appended to
 * *content, without the blanks around it.  A reply without calls gives an empty array.  A call
 * that is begun and is not such JSON is RT_E_FORMAT: what a judge should know. [any] */
int rt_chat_calls(const char *reply, size_t n, struct rt_json **ret_calls, struct rt_text *content,
                  struct rt_error *err);

/* A reply as the assistant's message: { role, content?, tool_calls? }.  A call that is begun and is
 * no JSON leaves the reply as the text it is.  RT_E_FORMAT when it is not UTF-8. [any] */
int rt_chat_message(const char *reply, size_t n, struct rt_json **ret, struct rt_error *err);

#endif
