/* @KIND@-@NAME@.c - one function for prototypes to call: the sum of numbers.
 *
 * Declared to the model as
 *   { "name": "@ID@", "parameters": { "type": "object", "properties":
 *     { "numbers": { "type": "array", "items": { "type": "number" } } }, "required": ["numbers"] } } */
#include <retort/tool.h>

static const char *function(const void *state, int64_t i)
{
	(void)state;
	return i == 0 ? "@ID@" : NULL;
}

/* { key: value }, taking over value. */
static int answer(const char *key, struct rt_json *value, struct rt_json **ret, struct rt_error *err)
{
	struct rt_json *o = rt_json_new_object();

	if (!o || rt_json_set(o, key, value) < 0) {
		if (!o)
			rt_json_free(value);
		rt_json_free(o);
		return rt_fail_nomem(err, "a result");
	}
	*ret = o;
	return 0;
}

static int call(void *state, const char *name, const struct rt_json *arguments, struct rt_json **ret,
                struct rt_error *err)
{
	const struct rt_json *numbers = rt_json_get(arguments, "numbers");
	double                sum = 0;

	(void)state, (void)name;
	if (!rt_json_is(numbers, RT_JSON_ARRAY))
		return answer("error", rt_json_new_string("numbers: a list is needed"), ret, err);
	for (size_t i = 0; i < rt_json_length(numbers); i++)
		sum += rt_json_real(rt_json_at(numbers, i), 0);
	return answer("sum", rt_json_new_real(sum), ret, err);
}

static const struct rt_tool_ops ops = { .size = sizeof ops, .call = call, .function = function };

RT_PLUGIN(@KIND@_@ID@, @KINDUP@,
          .name = "@NAME@", .version = "0.1", .license = "Apache-2.0",
          .summary = "The sum of a list of numbers.",
          .ops.tool = &ops);
