/* render.c - retort render: conversations as the model sees them. */
#include "cli/lines.h"

#include "cli/command.h"

struct job {
	const struct rt_model *m;
	struct rt_template *template; /* of --template, or NULL */
	bool prompt;
};

/* Text, ids and mask; takes over nothing. */
static struct rt_json *answer(const struct rt_json *row, const struct rt_text *text,
                              const struct rt_ids *ids, const struct rt_ids *mask)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? lines_keep_id(row, o) : RT_E_NOMEM;

	if (r == 0)
		r = rt_json_set(o, "text", rt_json_new_string_n(text->data, text->len));
	if (r == 0)
		r = rt_json_set(o, "ids", lines_ids(ids->data, ids->len));
	if (r == 0)
		r = rt_json_set(o, "mask", lines_ids(mask->data, mask->len));
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

static int render(void *arg, const struct rt_json *row, struct rt_error *err)
{
	const struct job *job = arg;
	struct rt_text    text = RT_TEXT_INIT;
	struct rt_ids     ids = RT_IDS_INIT, mask = RT_IDS_INIT;
	struct rt_chat    chat;
	int               r = lines_chat(row, &chat, err);

	if (r == 0) {
		chat.generation_prompt = job->prompt;
		r = rt_model_encode_with(job->m, job->template, &chat, &text, &ids, &mask, err);
	}
	if (r == 0)
		r = lines_put(answer(row, &text, &ids, &mask), err);
	rt_text_free(&text);
	rt_ids_free(&ids);
	rt_ids_free(&mask);
	return r;
}

static int run(const struct command *self, int argc, char **argv, struct rt_error *err)
{
	struct job          job = { 0 };
	const char         *file = NULL;
	struct rt_model    *m = NULL;
	const struct option options[] = {
		{ "template", 't', "FILE", "this Jinja template, not the model's", OPT_TEXT, &file,
		  0, 0 },
		{ "generation-prompt", 'g', NULL, "end with what asks for an answer", OPT_FLAG,
		  &job.prompt, 0, 0 },
		OPTION_END
	};
	int r = options_read(self, options, &argc, argv, 1, 1, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = lines_text(&m, argv[0], RT_MODEL_TEXT, err);
	if (r < 0)
		return r;
	if (file)
		r = rt_template_open(&job.template, file, err);
	else if (!rt_model_template(m))
		r = rt_fail(err, RT_E_NOENT,
		            "%s comes without a chat template; name one with --template", argv[0]);
	job.m = m;
	if (r == 0)
		r = lines_rows(render, &job, err);
	rt_template_free(job.template);
	rt_model_close(m);
	return r;
}

const struct command command_render = {
	.name = "render",
	.arguments = "MODEL",
	.summary = "Render conversations: the text, its ids, and what the assistant wrote.",
	.help = "Reads rows from standard input as JSON Lines: messages, and where wanted tools "
		"and\n"
		"template_kwargs (more variables for the template).  Prints for each row its "
		"text,\n"
		"ids, and mask: 1 for tokens that the assistant wrote, which are those that "
		"training\n"
		"counts.\n\n"
		"    retort render MODEL <chats.jsonl\n",
	.run = run,
};
