/* grammar-make.c - the grammars that there are: JSON of a schema, and calls of tools.  See
 * retort/grammar.h */
#include "text/grammar-make.h"

#include <retort/row.h>
#include <retort/schema.h>

#include <stdlib.h>
#include <string.h>

static int begin(struct compiler **ret, struct rt_error *err)
{
	struct compiler *c = rt_alloc(1, sizeof *c);

	if (c)
		c->g = rt_alloc(1, sizeof *c->g);
	if (!c || !c->g) {
		rt_free(c);
		return rt_fail_nomem(err, "a grammar");
	}
	c->g->room = (struct rt_arena)RT_ARENA_INIT;
	c->err = err;
	*ret = c;
	return 0;
}

static int finish(struct compiler *c, int r, struct rt_grammar **ret)
{
	if (r == 0)
		r = grammar_heights(c, GRAMMAR_DEPTH - 2);
	if (r == 0)
		*ret = c->g;
	else
		rt_grammar_free(c->g);
	rt_free(c);
	return r;
}

void rt_grammar_free(struct rt_grammar *g)
{
	if (g)
		rt_arena_free(&g->room);
	rt_free(g);
}

/* Those forms of a value that are objects. */
static int objects_of(struct compiler *c, const struct grammar_node *value,
                      struct grammar_node **ret)
{
	struct grammar_node *node;
	int                  r = grammar_node(c, GRAMMAR_ANY_OF, value->n, &node);

	if (r < 0)
		return r;
	node->n = 0;
	for (size_t i = 0; i < value->n; i++)
		if (value->of[i]->kind == GRAMMAR_OBJECT || value->of[i]->kind == GRAMMAR_OPEN)
			node->of[node->n++] = value->of[i];
	*ret = node;
	return node->n ? 0 : rt_fail(c->err, RT_E_FORMAT, "they must be of type object");
}

int rt_grammar_json(struct rt_grammar **ret, const struct rt_json *schema, struct rt_error *err)
{
	struct compiler     *c;
	struct grammar_node *top = NULL;
	int                  r = schema ? rt_schema_check(schema, err) : 0;

	if (r == 0)
		r = begin(&c, err);
	if (r < 0)
		return r;
	c->root = schema;
	r = grammar_node(c, GRAMMAR_WHOLE, 1, &top);
	if (r == 0)
		r = grammar_value(c, schema, &top->of[0]);
	if (r == 0)
		r = grammar_flatten(c);
	if (r == 0 && !schema)
		r = objects_of(c, top->of[0], &top->of[0]);
	if (r == 0)
		c->g->top = top;
	return finish(c, r, ret);
}

/* ---- calls ---------------------------------------------------------------------------------- */

struct tool {
	const char          *name;
	struct grammar_word  word;
	struct grammar_node *arguments; /* a choice; or NULL: none */
};

static int by_word(const void *a, const void *b)
{
	const struct tool *x = a, *y = b;

	return grammar_by_bytes(&x->word, &y->word);
}

static int add_tool(struct compiler *c, const struct rt_json *function, struct tool *tool)
{
	const struct rt_json *name = rt_json_get(function, "name"),
			     *parameters = rt_json_get(function, "parameters");
	int r;

	tool->name = rt_json_string(name);
	if (!tool->name)
		return rt_fail(c->err, RT_E_FORMAT, "a tool has no name");
	r = grammar_spell(c, name, &tool->word);
	if (r < 0 || !parameters)
		return r;
	c->root = parameters;
	c->tool = tool->name;
	r = rt_schema_check(parameters, c->err);
	if (r == 0)
		r = grammar_value(c, parameters, &tool->arguments);
	return r < 0 ? rt_within(c->err, r, "tool '%s', parameters", tool->name) : 0;
}

/* What the arguments of a tool may be, now that choices are what they will be. */
static int arguments_of(struct compiler *c, const struct tool *tool, struct grammar_node **ret)
{
	int r = tool->arguments ? objects_of(c, tool->arguments, ret)
	                        : grammar_node(c, GRAMMAR_OBJECT, 0, ret);

	return r < 0 ? rt_within(c->err, r, "tool '%s', parameters", tool->name) : 0;
}

static int call_of(struct compiler *c, struct tool *tools, size_t n, struct grammar_node **ret)
{
	struct grammar_node *call = NULL;
	int                  r = grammar_flatten(c);

	if (r == 0)
		r = grammar_node(c, GRAMMAR_CALL, n, &call);
	if (r < 0)
		return r;
	qsort(tools, n, sizeof *tools, by_word);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (i > 0 && strcmp(tools[i - 1].name, tools[i].name) == 0)
			return rt_fail(c->err, RT_E_FORMAT, "there are two tools '%s'",
			               tools[i].name);
		call->words[i] = tools[i].word;
		r = arguments_of(c, &tools[i], &call->of[i]);
	}
	if (r == 0)
		*ret = call;
	return r;
}

/* `only`: the tool that may be called, or NULL. */
static int call_tools(struct compiler *c, const struct rt_json *list, const char *only,
                      struct grammar_node **ret)
{
	const size_t n = rt_json_length(list);
	struct tool *tools;
	size_t       have = 0;
	int          r;

	if (n > GRAMMAR_WORDS_MOST)
		return rt_fail(c->err, RT_E_RANGE, "there are %zu tools, the limit is %d", n,
		               GRAMMAR_WORDS_MOST);
	tools = rt_alloc(n, sizeof *tools);
	r = tools ? 0 : rt_fail_nomem(c->err, "a grammar");

	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct rt_json *function = rt_tool_at(list, i);
		const char           *name = rt_json_string(rt_json_get(function, "name"));

		if (!only || (name && strcmp(only, name) == 0))
			r = add_tool(c, function, &tools[have++]);
	}
	if (r == 0 && have == 0)
		r = only ? rt_fail(c->err, RT_E_INVAL, "there is no tool '%s' to choose", only)
		         : rt_fail(c->err, RT_E_INVAL, "there are no tools to call");
	if (r == 0)
		r = call_of(c, tools, have, ret);
	rt_free(tools);
	return r;
}

static bool is(const char *choice, const char *what)
{
	return strcmp(choice, what) == 0;
}

int rt_grammar_calls(struct rt_grammar **ret, const struct rt_json *tools, const char *choice,
                     struct rt_error *err)
{
	const bool           none = choice && is(choice, "none");
	const bool           free = none || !choice || is(choice, "auto");
	const char          *only = free || is(choice, "required") ? NULL : choice;
	struct compiler     *c;
	struct grammar_node *top = NULL;
	int                  r = begin(&c, err);

	if (r < 0)
		return r;
	r = grammar_node(c, GRAMMAR_CALLS, 1, &top);
	if (r == 0 && !none)
		r = call_tools(c, tools, only, &top->of[0]);
	if (r == 0) {
		top->calls_only = !free;
		top->no_calls = none;
		c->g->top = top;
	}
	return finish(c, r, ret);
}
