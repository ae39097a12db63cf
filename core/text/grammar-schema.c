/* grammar-schema.c - the nodes of a grammar from a JSON Schema.  See grammar.h */
#include "text/grammar-make.h"
#include "text/schema.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64 };

int grammar_node(struct compiler *c, enum grammar_kind kind, size_t n, struct grammar_node **ret)
{
	struct grammar_node *node = rt_arena_alloc(&c->g->room, 1, sizeof *node);

	if (node && n) {
		node->of = rt_arena_alloc(&c->g->room, n, sizeof(struct grammar_node *));
		node->words = rt_arena_alloc(&c->g->room, n, sizeof *node->words);
	}
	if (!node || (n && (!node->of || !node->words)))
		return rt_fail_nomem(c->err, "a grammar");
	node->kind = kind;
	node->n = n;
	node->most = UINT32_MAX;
	node->next = c->g->all;
	c->g->all = node;
	*ret = node;
	return 0;
}

/* ---- words ---------------------------------------------------------------------------------- */

int grammar_spell(struct compiler *c, const struct rt_json *value, struct grammar_word *w)
{
	struct rt_text t = RT_TEXT_INIT;
	char          *s;
	bool           tag;

	rt_json_print(value, 0, &t);
	s = t.failed ? NULL : rt_arena_strdup(&c->g->room, t.data);
	tag = s && (strstr(s, "</tool_call>") || strstr(s, "[TOOL_CALLS]"));
	*w = (struct grammar_word){ s, t.len };
	rt_text_free(&t);
	if (tag)
		return rt_fail(c->err, RT_E_UNSUP, "%.60s has a mark of tool calls in it", s);
	return s ? 0 : rt_fail_nomem(c->err, "a grammar");
}

int grammar_by_bytes(const void *a, const void *b)
{
	const struct grammar_word *x = a, *y = b;
	const int                  r = memcmp(x->text, y->text, x->n < y->n ? x->n : y->n);

	return r ? r : (x->n > y->n) - (x->n < y->n);
}

static int words(struct compiler *c, size_t n, struct grammar_node **ret)
{
	if (n > GRAMMAR_WORDS_MOST)
		return rt_fail(c->err, RT_E_RANGE, "it has %zu values, the limit is %d", n,
		               GRAMMAR_WORDS_MOST);
	return grammar_node(c, GRAMMAR_WORDS, n, ret);
}

/* true and false, or null. */
static int fixed(struct compiler *c, const char *a, const char *b, struct grammar_node **ret)
{
	int r = words(c, b ? 2 : 1, ret);

	if (r < 0)
		return r;
	(*ret)->words[0] = (struct grammar_word){ a, strlen(a) };
	if (b)
		(*ret)->words[1] = (struct grammar_word){ b, strlen(b) };
	return 0;
}

/* Those values of enum or const that the rest of the schema allows as well. */
static int listed(struct compiler *c, const struct rt_json *schema, struct grammar_node **ret)
{
	const struct rt_json *list = rt_json_get(schema, "enum"),
			     *one = rt_json_get(schema, "const");
	const size_t n = list ? rt_json_length(list) : 1;
	size_t       have = 0;
	int          r = words(c, n ? n : 1, ret);

	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct rt_json *value = list ? rt_json_at(list, i) : one;
		int                   fit = schema_fits(c->root, schema, value, c->err);

		if (fit < 0)
			return fit;
		if (fit)
			r = grammar_spell(c, value, &(*ret)->words[have++]);
	}
	if (r == 0 && have == 0)
		r = rt_fail(c->err, RT_E_FORMAT, "no value is allowed");
	if (r == 0) {
		(*ret)->n = have;
		qsort((*ret)->words, have, sizeof *(*ret)->words, grammar_by_bytes);
	}
	return r;
}

/* ---- values --------------------------------------------------------------------------------- */

static uint32_t count(double x)
{
	return x <= 0 ? 0 : x >= UINT32_MAX ? UINT32_MAX : (uint32_t)x;
}

static int range(struct compiler *c, struct grammar_node *n, const struct rt_json *schema,
                 const char *least, const char *most)
{
	n->least = count(ceil(rt_json_real(rt_json_get(schema, least), 0)));
	n->most = count(floor(rt_json_real(rt_json_get(schema, most), UINT32_MAX)));
	if (n->least > n->most)
		return rt_fail(c->err, RT_E_FORMAT, "%s is %u, %s is %u", least, n->least, most,
		               n->most);
	return 0;
}

static int string(struct compiler *c, const struct rt_json *schema, struct grammar_node **ret)
{
	int r = grammar_node(c, GRAMMAR_STRING, 0, ret);

	return r < 0 ? r : range(c, *ret, schema, "minLength", "maxLength");
}

/* The schema that nothing fits. */
static bool is_false(const struct rt_json *schema)
{
	return rt_json_is(schema, RT_JSON_BOOL) && !rt_json_bool(schema, true);
}

static int array(struct compiler *c, const struct rt_json *schema, struct grammar_node **ret)
{
	const struct rt_json *items = rt_json_get(schema, "items");
	int                   r = grammar_node(c, GRAMMAR_ARRAY, 1, ret);

	if (r == 0)
		r = range(c, *ret, schema, "minItems", "maxItems");
	if (r < 0)
		return r;
	if (is_false(items)) {
		(*ret)->most = 0;
		items = NULL;
	}
	if ((*ret)->least > (*ret)->most)
		return rt_fail(c->err, RT_E_FORMAT, "it needs items, and none are allowed");
	r = grammar_value(c, items, &(*ret)->of[0]);
	return r < 0 ? rt_within(c->err, r, "items") : 0;
}

static void lower(struct grammar_node *n, double limit, bool out)
{
	if (limit > n->low || (limit == n->low && out)) {
		n->low = limit;
		n->above = out;
	}
}

static void upper(struct grammar_node *n, double limit, bool out)
{
	if (limit < n->high || (limit == n->high && out)) {
		n->high = limit;
		n->below = out;
	}
}

static int number(struct compiler *c, const struct rt_json *schema, bool integer,
                  struct grammar_node **ret)
{
	struct grammar_node *n;
	int                  r = grammar_node(c, GRAMMAR_NUMBER, 0, ret);

	if (r < 0)
		return r;
	n = *ret;
	n->integer = integer;
	n->low = -INFINITY;
	n->high = INFINITY;
	lower(n, rt_json_real(rt_json_get(schema, "minimum"), -INFINITY), false);
	lower(n, rt_json_real(rt_json_get(schema, "exclusiveMinimum"), -INFINITY), true);
	upper(n, rt_json_real(rt_json_get(schema, "maximum"), INFINITY), false);
	upper(n, rt_json_real(rt_json_get(schema, "exclusiveMaximum"), INFINITY), true);
	n->limited = isfinite(n->low) || isfinite(n->high);
	return number_exists(n)
	               ? 0
	               : rt_fail(c->err, RT_E_FORMAT, "no number of %d digits is within its limits",
	                         integer ? 18 : 15);
}

/* ---- objects -------------------------------------------------------------------------------- */

struct key {
	const char           *name;
	const struct rt_json *schema; /* NULL: any value */
	struct grammar_word   word;
	bool                  required;
};

static int by_word(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	return grammar_by_bytes(&x->word, &y->word);
}

static int add_key(struct compiler *c, struct key *keys, size_t *n, const char *name,
                   const struct rt_json *schema, bool required)
{
	struct rt_json *spelled;
	int             r;

	for (size_t i = 0; i < *n; i++)
		if (strcmp(keys[i].name, name) == 0) {
			keys[i].required = keys[i].required || required;
			return 0;
		}
	if (*n == GRAMMAR_KEYS)
		return rt_fail(c->err, RT_E_RANGE, "it has more than %d properties", GRAMMAR_KEYS);
	keys[*n] = (struct key){ .name = name, .schema = schema, .required = required };
	spelled = rt_json_new_string(name);
	r = spelled ? grammar_spell(c, spelled, &keys[*n].word)
	            : rt_fail_nomem(c->err, "a grammar");
	rt_json_free(spelled);
	++*n;
	return r;
}

static int known_keys(struct compiler *c, struct key *keys, size_t n, struct grammar_node **ret)
{
	int r = grammar_node(c, GRAMMAR_OBJECT, n, ret);

	qsort(keys, n, sizeof *keys, by_word);
	for (size_t i = 0; r == 0 && i < n; i++) {
		(*ret)->words[i] = keys[i].word;
		if (keys[i].required)
			(*ret)->required[i / 64] |= (uint64_t)1 << i % 64;
		r = grammar_value(c, keys[i].schema, &(*ret)->of[i]);
		if (r < 0)
			return rt_within(c->err, r, "%s", keys[i].name);
	}
	return r;
}

/* Keys of `properties`, and those that are required besides, whose values are what
 * additionalProperties says. */
static int all_keys(struct compiler *c, const struct rt_json *schema, struct key *keys, size_t *n)
{
	const struct rt_json *properties = rt_json_get(schema, "properties"),
			     *required = rt_json_get(schema, "required"),
			     *others = rt_json_get(schema, "additionalProperties");
	int r = 0;

	for (struct rt_json_iter i = rt_json_first(properties); r == 0 && i.key; rt_json_next(&i))
		if (!is_false(i.value))
			r = add_key(c, keys, n, i.key, i.value, false);
	for (size_t i = 0; r == 0 && i < rt_json_length(required); i++) {
		const char           *name = rt_json_string(rt_json_at(required, i));
		const struct rt_json *value = rt_json_get(properties, name);

		if (is_false(value ? value : others))
			return rt_fail(c->err, RT_E_FORMAT, "'%s' is required, and not allowed",
			               name);
		r = add_key(c, keys, n, name, value ? value : others, true);
	}
	return r;
}

static int object(struct compiler *c, const struct rt_json *schema, struct grammar_node **ret)
{
	const struct rt_json *others = rt_json_get(schema, "additionalProperties");
	struct key            keys[GRAMMAR_KEYS];
	size_t                n = 0;
	int                   r = all_keys(c, schema, keys, &n);

	if (r < 0)
		return r;
	if (rt_json_get(schema, "properties") || n > 0 || is_false(others))
		return known_keys(c, keys, n, ret);
	r = grammar_node(c, GRAMMAR_OPEN, 1, ret);
	if (r < 0)
		return r;
	r = grammar_value(c, others, &(*ret)->of[0]);
	return r < 0 ? rt_within(c->err, r, "additionalProperties") : 0;
}

/* ---- schemas -------------------------------------------------------------------------------- */

/* What can be kept to together with what.  Annotations are in no group. */
enum group { NOTHING, BY_TYPE, BY_VALUE, BY_FORM, BY_REF, REFUSED };

static enum group group_of(const char *keyword, const struct rt_json *value)
{
	static const struct {
		const char *name;
		enum group  group;
	} groups[] = {
		{ "type", BY_TYPE },
		{ "properties", BY_TYPE },
		{ "required", BY_TYPE },
		{ "additionalProperties", BY_TYPE },
		{ "items", BY_TYPE },
		{ "minItems", BY_TYPE },
		{ "maxItems", BY_TYPE },
		{ "minLength", BY_TYPE },
		{ "maxLength", BY_TYPE },
		{ "minimum", BY_TYPE },
		{ "maximum", BY_TYPE },
		{ "exclusiveMinimum", BY_TYPE },
		{ "exclusiveMaximum", BY_TYPE },
		{ "enum", BY_VALUE },
		{ "const", BY_VALUE },
		{ "anyOf", BY_FORM },
		{ "oneOf", BY_FORM },
		{ "allOf", BY_FORM },
		{ "$ref", BY_REF },
		{ "not", REFUSED },
		{ "multipleOf", REFUSED },
		{ "uniqueItems", REFUSED },
	};

	if (strcmp(keyword, "uniqueItems") == 0 && !rt_json_bool(value, false))
		return NOTHING;
	if (strcmp(keyword, "allOf") == 0 && rt_json_length(value) != 1)
		return REFUSED;
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		if (strcmp(groups[i].name, keyword) == 0)
			return groups[i].group;
	return NOTHING;
}

/* The group of a schema, and the keyword that makes it. */
static int group_of_all(struct compiler *c, const struct rt_json *schema, enum group *group,
                        const char **keyword)
{
	const bool by_value = rt_json_get(schema, "enum") || rt_json_get(schema, "const");

	*group = NOTHING;
	*keyword = "";
	for (struct rt_json_iter i = rt_json_first(schema); i.key; rt_json_next(&i)) {
		const enum group g = by_value ? BY_VALUE : group_of(i.key, i.value);

		if (g == NOTHING)
			continue;
		if (g == REFUSED)
			return rt_fail(c->err, RT_E_UNSUP,
			               "'%s' cannot be kept to while an answer is written", i.key);
		if (*group != NOTHING && (*group != g || g == BY_FORM))
			return rt_fail(c->err, RT_E_UNSUP,
			               "'%s' beside '%s' cannot be kept to while an answer is "
			               "written",
			               i.key, *keyword);
		*group = g;
		*keyword = i.key;
	}
	return 0;
}

static unsigned types_of(const struct rt_json *schema)
{
	const struct rt_json *type = rt_json_get(schema, "type");
	unsigned              bits = 0;

	if (rt_json_is(type, RT_JSON_ARRAY)) {
		for (size_t i = 0; i < rt_json_length(type); i++)
			bits |= schema_types(rt_json_at(type, i));
		return bits;
	}
	if (type)
		return schema_types(type);
	if (rt_json_get(schema, "properties") || rt_json_get(schema, "required") ||
	    rt_json_get(schema, "additionalProperties"))
		return 1 << RT_JSON_OBJECT;
	return rt_json_get(schema, "items") ? 1 << RT_JSON_ARRAY : ~0u;
}

/* A value of one of the types, or a choice between them. */
static int typed(struct compiler *c, const struct rt_json *schema, struct grammar_node **ret)
{
	const unsigned       bits = types_of(schema);
	struct grammar_node *of[6];
	size_t               n = 0;
	int                  r = 0;

	if (r == 0 && bits & 1 << RT_JSON_OBJECT)
		r = object(c, schema, &of[n++]);
	if (r == 0 && bits & 1 << RT_JSON_ARRAY)
		r = array(c, schema, &of[n++]);
	if (r == 0 && bits & 1 << RT_JSON_STRING)
		r = string(c, schema, &of[n++]);
	if (r == 0 && bits & (1 << RT_JSON_INT | 1 << RT_JSON_REAL))
		r = number(c, schema, !(bits & 1 << RT_JSON_REAL), &of[n++]);
	if (r == 0 && bits & 1 << RT_JSON_BOOL)
		r = fixed(c, "false", "true", &of[n++]);
	if (r == 0 && bits & 1 << RT_JSON_NULL)
		r = fixed(c, "null", NULL, &of[n++]);
	if (r == 0 && n == 0)
		return rt_fail(c->err, RT_E_FORMAT, "no type is allowed");
	if (r == 0)
		r = grammar_node(c, GRAMMAR_ANY_OF, n, ret);
	for (size_t i = 0; r == 0 && i < n; i++)
		(*ret)->of[i] = of[i];
	return r;
}

static int forms(struct compiler *c, const struct rt_json *list, struct grammar_node **ret)
{
	const size_t n = rt_json_length(list);
	size_t       have = 0;
	int          r = grammar_node(c, GRAMMAR_ANY_OF, n, ret);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (!is_false(rt_json_at(list, i)))
			r = grammar_value(c, rt_json_at(list, i), &(*ret)->of[have++]);
	if (r == 0 && have == 0)
		return rt_fail(c->err, RT_E_FORMAT, "no form is allowed");
	if (r == 0)
		(*ret)->n = have;
	return r;
}

static int by_group(struct compiler *c, const struct rt_json *schema, struct grammar_node **ret)
{
	const struct rt_json *target = NULL;
	const char           *keyword;
	enum group            group;
	int                   r = group_of_all(c, schema, &group, &keyword);

	if (r < 0)
		return r;
	switch (group) {
	case BY_VALUE: return listed(c, schema, ret);
	case BY_FORM:
		r = forms(c, rt_json_get(schema, keyword), ret);
		return r < 0 ? rt_within(c->err, r, "%s", keyword) : 0;
	case BY_REF:
		r = schema_target(c->root, rt_json_get(schema, "$ref"), &target, c->err);
		if (r == 0)
			r = rt_schema_check(target, c->err);
		return r < 0 ? r : grammar_value(c, target, ret);
	case NOTHING:
	case BY_TYPE:
	case REFUSED:
	default: return typed(c, schema, ret);
	}
}

int grammar_value(struct compiler *c, const struct rt_json *schema, struct grammar_node **ret)
{
	int r;

	if (is_false(schema))
		return rt_fail(c->err, RT_E_FORMAT, "nothing is allowed (false)");
	if (rt_json_is(schema, RT_JSON_BOOL))
		schema = NULL;
	for (size_t i = 0; i < c->n; i++)
		if (c->made[i].schema == schema) {
			*ret = c->made[i].node;
			return 0;
		}
	if (c->n == GRAMMAR_SCHEMAS)
		return rt_fail(c->err, RT_E_RANGE, "there are more than %d schemas",
		               GRAMMAR_SCHEMAS);
	if (c->depth == MAX_DEPTH)
		return rt_fail(c->err, RT_E_RANGE, "schemas and references nest deeper than %d",
		               MAX_DEPTH);
	r = grammar_node(c, GRAMMAR_ANY_OF, 1, ret);
	if (r < 0)
		return r;
	c->made[c->n++] = (struct made){ schema, *ret, c->tool };
	c->depth++;
	r = by_group(c, schema, &(*ret)->of[0]);
	c->depth--;
	return r;
}
