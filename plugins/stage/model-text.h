/* model-text.h - tokenizer and chat template of a new model. */
#ifndef STAGE_MODEL_TEXT_H
#define STAGE_MODEL_TEXT_H

#include <retort/model.h>
#include <retort/plugin.h>
#include <retort/stage.h>

struct new_text {
	struct rt_inputs  data;
	const char       *tokenizer, *template, *pattern, *end;
	struct rt_strings special, marks;
	int64_t           vocabulary;
};

#define NEW_TEXT_ROW(S, f, member, T, C, ...)                                                      \
	{                                                                                          \
		.name = #member, .type = (T), .offset = RT_FIELD(S, f.member, C), __VA_ARGS__      \
	}
#define NEW_TEXT_PARAMS(S, f)                                                                      \
	NEW_TEXT_ROW(S, f, data, RT_INPUT, struct rt_inputs, .list = 1, .of = RT_DATASET,          \
	             .most = 100, .doc = "Datasets that a new tokenizer is trained on."),          \
		NEW_TEXT_ROW(S, f, vocabulary, RT_INT, int64_t, .unit = "tokens", .dflt.i = 4096,  \
	                     .min.i = 300, .max.i = 1 << 20, .doc = "Size of a new tokenizer."),   \
		NEW_TEXT_ROW(S, f, pattern, RT_STRING, const char *,                               \
	                     .doc = "Regular expression that cuts texts into words in front of "   \
	                            "merging; without one GPT-2's. Words that are copied from a "  \
	                            "prompt into JSON should be cut the same in both."),           \
		NEW_TEXT_ROW(S, f, special, RT_STRING, struct rt_strings, .list = 1, .most = 100,  \
	                     .doc = "Special tokens of a new tokenizer; without any those of the " \
	                            "shipped template."),                                          \
		NEW_TEXT_ROW(S, f, marks, RT_STRING, struct rt_strings, .list = 1, .most = 100,    \
	                     .doc = "Tokens of its that are found in every text and stay in what " \
	                            "is decoded, as <tool_call>; with neither these nor special, " \
	                            "those of the shipped template."),                             \
		NEW_TEXT_ROW(S, f, end, RT_STRING, const char *, .dflt.s = "<|im_end|>",           \
	                     .doc = "The special token that ends an answer."),                     \
		NEW_TEXT_ROW(S, f, template, RT_PATH, const char *,                                \
	                     .doc = "Chat template (Jinja) of a new model; without one ChatML "    \
	                            "with <tool_call> marks, which leaves tool definitions "       \
	                            "out: a small model of one task knows its tools."),            \
		NEW_TEXT_ROW(S, f, tokenizer, RT_PATH, const char *, .flags = RT_P_FOLDER,         \
	                     .doc = "Hugging Face directory whose tokenizer and template a new "   \
	                            "model takes.")

struct made_text {
	int64_t size; /* tokens */
	int64_t end;  /* the id that ends an answer, or -1 */
};

int new_text_check(const struct new_text *t, struct rt_error *err);

/* Write tokenizer.json, tokenizer_config.json, chat_template.jinja and generation_config.json into
 * a folder, which is made anew. */
int new_text_make(const struct new_text *t, const char *folder, struct made_text *ret,
                  struct rt_context *c, struct rt_error *err);

#endif
