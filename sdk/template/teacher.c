/* @KIND@-@NAME@.c - a teacher that repeats what it is told: for trying out pipelines. */
#include <retort/teacher.h>

#include <math.h>
#include <string.h>

struct config {
	const char *prefix;
};

static const struct rt_param params[] = {
	RT_PARAM_STRING(struct config, prefix, "You said: ", "What every answer begins with."),
	RT_PARAM_END
};

static const char *last_words(const struct rt_json *body)
{
	const struct rt_json *messages = rt_json_get(body, "messages");
	const size_t          n = rt_json_length(messages);
	const char           *words = n ? rt_json_string(rt_json_get(rt_json_at(messages, n - 1), "content")) : NULL;

	return words ? words : "";
}

/* { role, content } */
static struct rt_json *new_message(const char *prefix, const char *words)
{
	struct rt_text  text = RT_TEXT_INIT;
	struct rt_json *message = rt_json_new_object();
	int             r = message ? 0 : RT_E_NOMEM;

	rt_text_printf(&text, "%s%s", prefix, words);
	if (r == 0)
		r |= rt_json_set(message, "role", rt_json_new_string("assistant"));
	if (r == 0)
		r |= rt_json_set(message, "content", text.failed ? NULL : rt_json_new_string(text.data));
	rt_text_free(&text);
	if (r < 0) {
		rt_json_free(message);
		return NULL;
	}
	return message;
}

/* { index, finish_reason, message } */
static struct rt_json *new_choice(int64_t index, const char *prefix, const char *words)
{
	struct rt_json *choice = rt_json_new_object();
	int             r = choice ? 0 : RT_E_NOMEM;

	if (r == 0)
		r |= rt_json_set(choice, "index", rt_json_new_int(index));
	if (r == 0)
		r |= rt_json_set(choice, "finish_reason", rt_json_new_string("stop"));
	if (r == 0)
		r |= rt_json_set(choice, "message", new_message(prefix, words));
	if (r < 0) {
		rt_json_free(choice);
		return NULL;
	}
	return choice;
}

/* { choices, usage } */
static struct rt_json *new_reply(const struct config *c, const struct rt_json *body)
{
	struct rt_json *reply = rt_json_new_object(), *choices = rt_json_new_array();
	struct rt_json *usage = rt_json_new_object();
	int             r = reply && choices && usage ? 0 : RT_E_NOMEM;

	for (int64_t i = 0; r == 0 && i < rt_json_int(rt_json_get(body, "n"), 1); i++)
		r = rt_json_append(choices, new_choice(i, c->prefix, last_words(body)));
	if (r == 0)
		r |= rt_json_set(usage, "prompt_tokens", rt_json_new_int(0));
	if (r == 0)
		r |= rt_json_set(usage, "completion_tokens", rt_json_new_int(0));
	if (r == 0)
		r |= rt_json_set(reply, "choices", rt_json_ref(choices));
	if (r == 0)
		r |= rt_json_set(reply, "usage", rt_json_ref(usage));
	rt_json_free(choices);
	rt_json_free(usage);
	if (r < 0) {
		rt_json_free(reply);
		return NULL;
	}
	return reply;
}

static int chat(void *state, const struct rt_teacher_request *requests, int64_t n, rt_reply_fn *reply, void *arg,
                struct rt_error *err)
{
	int r = 0;

	for (int64_t i = 0; r == 0 && i < n; i++) {
		const char     *role = rt_json_string(rt_json_get(requests[i].body, "role"));
		struct rt_json *answer;

		if (role && strcmp(role, "assistant") != 0) {
			r = reply(arg, i, NULL, "this teacher answers, it cannot go on as the user", err);
			continue;
		}
		answer = new_reply(state, requests[i].body);
		r = answer ? reply(arg, i, answer, NULL, err) : rt_fail_nomem(err, "a reply");
		rt_json_free(answer);
	}
	return r;
}

static double price(const void *config, double calls, double input_tokens, double output_tokens)
{
	(void)config, (void)calls, (void)input_tokens, (void)output_tokens;
	return 0;
}

static const struct rt_teacher_ops ops = { .size = sizeof ops, .chat = chat, .price = price };

RT_PLUGIN(@KIND@_@ID@, @KINDUP@,
          .name = "@NAME@", .version = "0.1", .license = "Apache-2.0",
          .summary = "Repeats what it is told; costs nothing.",
          .config_size = sizeof(struct config), .params = params, .ops.teacher = &ops);
