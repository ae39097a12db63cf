/* local-form.h - the form that a request asks for: tool_choice, strict functions, response_format.
 */
#ifndef TEACHER_LOCAL_FORM_H
#define TEACHER_LOCAL_FORM_H

#include <retort/grammar.h>
#include <retort/model.h>

/* Grammars of the requests of one batch: rows of a dataset mostly share their tools, and then one
 * grammar. */
struct forms {
	struct form {
		struct rt_grammar *grammar;
		struct rt_json    *what; /* tools, or a schema */
		char              *choice;
		bool               json;
	} * v;
	size_t n, cap;
};

void forms_free(struct forms *f);

/* Does a request say what form its answer has, apart from strict functions? */
bool form_is_asked(const struct rt_json *body);

/* Is the answer JSON instead of a message with calls? */
bool form_is_json(const struct rt_json *body);

/* Does the model write calls in the form that a grammar keeps to?  RT_E_UNSUP when its chat
 * template has another. */
int form_check(const struct rt_model *m, struct rt_error *err);

/* The grammar of a request, of f; NULL where its answer may be anything.  Calls fit the schemas of
 * all tools where one of them is strict, or `strict` says so. */
int forms_get(struct forms *f, const struct rt_model *m, const struct rt_json *body, bool strict,
              const struct rt_grammar **ret, struct rt_error *err);

#endif
