/* local-form.c - see local-form.h */
#include "local-form.h"

#include <retort/memory.h>

#include <string.h>

void forms_free(struct forms *f)
{
	for (size_t i = 0; i < f->n; i++) {
		rt_grammar_free(f->v[i].grammar);
		rt_json_free(f->v[i].what);
		rt_free(f->v[i].choice);
	}
	rt_free(f->v);
	*f = (struct forms){ 0 };
}

/* A member that says something: null does not. */
static const struct rt_json *given(const struct rt_json *object, const char *key)
{
	const struct rt_json *value = rt_json_get(object, key);

	return rt_json_is(value, RT_JSON_NULL) ? NULL : value;
}

static const char *format_of(const struct rt_json *body)
{
	const struct rt_json *format = given(body, "response_format");
	const char           *type = rt_json_string(rt_json_get(format, "type"));

	return format && !type ? "?" : type && strcmp(type, "text") != 0 ? type : NULL;
}

bool form_is_asked(const struct rt_json *body)
{
	return given(body, "response_format") || given(body, "tool_choice");
}

bool form_is_json(const struct rt_json *body)
{
	return format_of(body) != NULL;
}

/* { json_schema: { schema } }, or as llama.cpp had it { schema }; NULL for any object. */
static int schema_of(const struct rt_json *body, const struct rt_json **ret, struct rt_error *err)
{
	const struct rt_json *format = rt_json_get(body, "response_format");
	const char           *type = format_of(body);

	*ret = given(rt_json_get(format, "json_schema"), "schema");
	if (!*ret)
		*ret = given(format, "schema");
	if (strcmp(type, "json_object") == 0 || (strcmp(type, "json_schema") == 0 && *ret))
		return 0;
	return rt_fail(
		err, RT_E_INVAL,
		"response_format is text, json_object, or json_schema with a schema; here it "
		"is '%s'",
		type);
}

static bool is_word(const char *s)
{
	return strcmp(s, "auto") == 0 || strcmp(s, "none") == 0 || strcmp(s, "required") == 0;
}

/* tool_choice as one word: auto, none, required, or the name of a function; NULL when it is none of
 * them. */
static const char *choice_of(const struct rt_json *body)
{
	const struct rt_json *choice = given(body, "tool_choice");
	const char           *s = rt_json_string(choice), *name;

	if (!choice)
		return "auto";
	if (s)
		return is_word(s) ? s : NULL;
	name = rt_json_string(rt_json_get(rt_json_get(choice, "function"), "name"));
	return name && !is_word(name) ? name : NULL;
}

static bool any_strict(const struct rt_json *tools)
{
	for (size_t i = 0; i < rt_json_length(tools); i++) {
		const struct rt_json *tool = rt_json_at(tools, i);

		if (rt_json_bool(rt_json_get(rt_json_get(tool, "function"), "strict"), false) ||
		    rt_json_bool(rt_json_get(tool, "strict"), false))
			return true;
	}
	return false;
}

static bool same(const struct form *f, const struct rt_json *what, const char *choice, bool json)
{
	return f->json == json && strcmp(f->choice, choice) == 0 &&
	       (f->what == what || rt_json_equal(f->what, what));
}

static int make(struct forms *f, const struct rt_json *what, const char *choice, bool json,
                struct rt_error *err)
{
	struct form own = { .json = json };
	int         r;

	if (f->n == f->cap) {
		const size_t cap = f->cap ? 2 * f->cap : 8;
		struct form *v = rt_realloc(f->v, cap, sizeof *v);

		if (!v)
			return rt_fail_nomem(err, "grammars");
		f->v = v;
		f->cap = cap;
	}
	r = json ? rt_grammar_json(&own.grammar, what, err)
	         : rt_grammar_calls(&own.grammar, what, choice, err);
	if (r < 0)
		return r;
	own.what = rt_json_ref(what);
	own.choice = rt_strdup(choice);
	f->v[f->n++] = own;
	return own.choice ? 0 : rt_fail_nomem(err, "grammars");
}

int form_check(const struct rt_model *m, struct rt_error *err)
{
	static const char *const others[] = { "[TOOL_CALLS]", "<|python_tag|>" };
	const char              *text = rt_template_source(rt_model_template(m));

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (strstr(text, others[i]) && !strstr(text, "<tool_call>"))
			return rt_fail(
				err, RT_E_UNSUP,
				"the model's chat template writes calls behind %s; strict calls "
				"are those of <tool_call>",
				others[i]);
	return 0;
}

int forms_get(struct forms *f, const struct rt_model *m, const struct rt_json *body, bool strict,
              const struct rt_grammar **ret, struct rt_error *err)
{
	const struct rt_json *what = rt_json_get(body, "tools");
	const char           *choice = choice_of(body);
	const bool            json = form_is_json(body), tools = rt_json_length(what) > 0;
	int                   r = 0;

	*ret = NULL;
	if (!choice)
		return rt_fail(err, RT_E_INVAL,
		               "tool_choice is none of auto, none, required, and a function by its "
		               "name");
	if (json && strcmp(choice, "none") != 0 && (tools || strcmp(choice, "auto") != 0))
		return rt_fail(err, RT_E_INVAL,
		               "it wants calls and a response_format: an answer is calls or JSON");
	if (json)
		r = schema_of(body, &what, err);
	else if (strcmp(choice, "auto") == 0 && (!tools || (!strict && !any_strict(what))))
		return 0;
	else if (strcmp(choice, "none") != 0)
		r = form_check(m, err);
	if (r == 0 && (f->n == 0 || !same(&f->v[f->n - 1], what, choice, json)))
		r = make(f, what, choice, json, err);
	if (r == 0)
		*ret = f->v[f->n - 1].grammar;
	return r;
}
