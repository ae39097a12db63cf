/* local-user.c - see local-user.h */
#include "local-user.h"

#include <retort/memory.h>

#include <string.h>

/* A user's message that nobody writes: where it is rendered, the user goes on. */
static const char STAND_IN[] = "\x01";

static struct rt_json *with_stand_in(const struct rt_json *messages)
{
	struct rt_json *list = rt_json_new_array(), *o = rt_json_new_object();
	int             r = list && o ? 0 : RT_E_NOMEM;

	for (size_t i = 0; r == 0 && i < rt_json_length(messages); i++)
		r = rt_json_append(list, rt_json_ref(rt_json_at(messages, i)));
	if (r == 0) {
		r |= rt_json_set(o, "role", rt_json_new_string("user"));
		r |= rt_json_set(o, "content", rt_json_new_string(STAND_IN));
		r |= rt_json_append(list, rt_json_ref(o));
	}
	rt_json_free(o);
	if (r == 0)
		return list;
	rt_json_free(list);
	return NULL;
}

static size_t place_of(const struct rt_text *text)
{
	size_t at = text->len;

	while (at > 0 && text->data[at - 1] != STAND_IN[0])
		at--;
	return at;
}

/* The first words of what the template writes behind the message end it, unless they are a token
 * that ends it anyway. */
static int end_after(const struct rt_model *m, const char *behind, char **ret, struct rt_error *err)
{
	const struct rt_tokenizer *t = rt_model_tokenizer(m);
	struct rt_ids              ids = RT_IDS_INIT;
	int64_t                    n;
	const int32_t             *stops = rt_model_stops(m, &n);
	bool                       ends = false;
	int                        r;

	behind += strspn(behind, " \t\r\n");
	r = rt_tokenizer_encode(t, behind, strlen(behind), RT_ENCODE_SPECIAL, &ids, err);
	for (int64_t i = 0; r == 0 && ids.len > 0 && i < n; i++)
		ends = ends || stops[i] == ids.data[0];
	rt_ids_free(&ids);
	if (r < 0 || ends || !*behind)
		return r;
	*ret = rt_strndup(behind, strcspn(behind, " \t\r\n"));
	return *ret ? 0 : rt_fail_nomem(err, "a stop string");
}

int user_prompt(const struct rt_model *m, const struct rt_json *body, struct rt_ids *prompt,
                char **after, struct rt_error *err)
{
	struct rt_json      *messages = with_stand_in(rt_json_get(body, "messages"));
	const struct rt_chat chat = { .messages = messages,
		                      .tools = rt_json_get(body, "tools"),
		                      .kwargs = rt_json_get(body, "chat_template_kwargs") };
	struct rt_text       text = RT_TEXT_INIT;
	struct rt_ids        ids = RT_IDS_INIT, mask = RT_IDS_INIT;
	size_t               at;
	int                  r = messages ? rt_model_encode_chat(m, &chat, &text, &ids, &mask, err)
	                                  : rt_fail_nomem(err, "messages");

	rt_ids_free(&ids);
	rt_ids_free(&mask);
	rt_json_free(messages);
	at = r == 0 ? place_of(&text) : 0;
	if (r == 0 && at == 0)
		r = rt_fail(err, RT_E_UNSUP,
		            "the model's chat template does not write users' messages as they are");
	if (r == 0)
		r = end_after(m, text.data + at, after, err);
	if (r == 0) {
		at--;
		if (at > 0 && text.data[at - 1] == ' ')
			at--;
		r = rt_tokenizer_encode(rt_model_tokenizer(m), text.data, at, RT_ENCODE_SPECIAL,
		                        prompt, err);
	}
	if (r == 0 && prompt->len == 0)
		r = rt_fail(
			err, RT_E_UNSUP,
			"the model's chat template writes nothing in front of a user's message");
	rt_text_free(&text);
	return r;
}
