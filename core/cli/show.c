/* show.c - retort show: what a model, a dataset or a tokenizer is. */
#include "cli/show.h"

#include "cli/command.h"
#include "cli/lines.h"

#include <retort/file.h>
#include <retort/memory.h>

#include <stdio.h>
#include <string.h>

enum { NAME = 24 };

static bool ends_in(const char *s, const char *end)
{
	const size_t n = strlen(s), k = strlen(end);

	return n >= k && strcmp(s + n - k, end) == 0;
}

/* Is there a file of this name in the folder? */
static bool holds(const char *folder, const char *name)
{
	char *path = rt_path_join(folder, name);
	bool  is = path && rt_exists(path);

	rt_free(path);
	return is;
}

/* ---- models --------------------------------------------------------------------------------- */

int64_t show_cache_bytes(const struct rt_model_shape *s)
{
	return 2 * s->layers * s->kv_heads * s->head_dim * (int64_t)sizeof(float);
}

/* Weights, gradients and two moments in f32: what AdamW holds before any activation. */
static int64_t training_bytes(const struct rt_model_shape *s)
{
	return 4 * s->parameters * (int64_t)sizeof(float);
}

static int put_types(struct rt_json *o, const struct rt_model *m)
{
	int64_t count[RT_DTYPES] = { 0 }, bytes[RT_DTYPES] = { 0 }, numbers[RT_DTYPES] = { 0 };
	struct rt_json *types = rt_json_new_object();
	int             r = types ? 0 : RT_E_NOMEM;

	for (int64_t i = 0; i < rt_model_parameters(m); i++) {
		const struct rt_tensor t = rt_model_parameter(m, i).tensor;

		count[t.dtype]++;
		bytes[t.dtype] += rt_bytes(&t);
		numbers[t.dtype] += rt_numel(&t);
	}
	for (int k = 0; r == 0 && k < RT_DTYPES; k++) {
		struct rt_json *one = count[k] ? rt_json_new_object() : NULL;

		if (!count[k])
			continue;
		r |= rt_json_set(one, "tensors", rt_json_new_int(count[k]));
		r |= rt_json_set(one, "parameters", rt_json_new_int(numbers[k]));
		r |= rt_json_set(one, "bytes", rt_json_new_int(bytes[k]));
		r |= rt_json_set(types, rt_dtype_info(k)->name, one);
	}
	r |= rt_json_set(o, "types", types);
	return r;
}

static int put_text(struct rt_json *o, const struct rt_model *m)
{
	const struct rt_tokenizer *t = rt_model_tokenizer(m);
	int64_t                    n;
	const int32_t             *stops = rt_model_stops(m, &n);
	int                        r = 0;

	if (t)
		r |= rt_json_set(o, "tokenizer_tokens", rt_json_new_int(rt_tokenizer_size(t)));
	r |= rt_json_set(o, "chat_template", rt_json_new_bool(rt_model_template(m) != NULL));
	r |= rt_json_set(o, "stops", lines_ids(stops, (size_t)n));
	return r;
}

static struct rt_json *model_json(const struct rt_model *m)
{
	const struct rt_model_shape *s = rt_model_shape(m);
	const char *type = rt_json_string(rt_json_get(rt_model_config(m), "model_type"));
	const struct {
		const char *name;
		int64_t     value;
	} rows[] = { { "parameters", s->parameters },
		     { "layers", s->layers },
		     { "hidden", s->hidden },
		     { "feed_forward", s->feed_forward },
		     { "heads", s->heads },
		     { "kv_heads", s->kv_heads },
		     { "head_dim", s->head_dim },
		     { "vocabulary", s->vocabulary },
		     { "context", s->context },
		     { "bytes", s->bytes },
		     { "cache_bytes_a_token", show_cache_bytes(s) },
		     { "inference_bytes", s->bytes + s->context * show_cache_bytes(s) },
		     { "training_bytes", training_bytes(s) } };
	struct rt_json *o = rt_json_new_object(), *d;
	int             r = rt_json_set(o, "model", rt_json_new_object());

	d = rt_json_get(o, "model");
	r |= rt_json_set(d, "architecture", rt_json_new_string(type));
	for (size_t i = 0; r == 0 && i < sizeof rows / sizeof *rows; i++)
		r = rt_json_set(d, rows[i].name, rt_json_new_int(rows[i].value));
	r |= rt_json_set(d, "tied", rt_json_new_bool(s->tied));
	if (r == 0)
		r = put_types(d, m);
	if (r == 0)
		r = put_text(d, m);
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

static int show_model(const char *path, unsigned flags, struct rt_json **ret, struct rt_error *err)
{
	struct rt_model *m;
	int r = flags ? lines_text(&m, path, flags, err) : lines_model(&m, path, 0, err);

	if (r < 0)
		return r;
	if (flags)
		r = show_tokenizer(rt_model_tokenizer(m), path, ret, err);
	else {
		*ret = model_json(m);
		r = *ret ? 0 : rt_fail_nomem(err, "figures");
	}
	rt_model_close(m);
	return r;
}

/* ---- what it is ----------------------------------------------------------------------------- */

static int show_tokenizer_file(const char *path, struct rt_json **ret, struct rt_error *err)
{
	struct rt_tokenizer *t;
	int                  r = rt_tokenizer_open(&t, path, err);

	if (r == 0) {
		r = show_tokenizer(t, path, ret, err);
		rt_tokenizer_free(t);
	}
	return r;
}

static int look(const char *path, struct rt_json **ret, struct rt_error *err)
{
	char *rows = rt_path_join(path, "rows.jsonl");
	int   r;

	if (!rows)
		return rt_fail_nomem(err, "a path");
	if (!rt_exists(path))
		r = rt_fail(err, RT_E_NOENT, "there is no %s", path);
	else if (ends_in(path, ".jsonl"))
		r = show_dataset(path, ret, err);
	else if (rt_exists(rows))
		r = show_dataset(rows, ret, err);
	else if (ends_in(path, "tokenizer.json"))
		r = show_tokenizer_file(path, ret, err);
	else if (!holds(path, "config.json") && !holds(path, "model.gguf") &&
	         (holds(path, "tokenizer.json") || holds(path, "vocab.json")))
		r = show_model(path, RT_MODEL_TEXT, ret, err);
	else if (holds(path, "config.json") || holds(path, "model.gguf") || ends_in(path, ".gguf"))
		r = show_model(path, 0, ret, err);
	else
		r = rt_fail(
			err, RT_E_FORMAT,
			"%s is nothing that can be shown: a model is a folder with config.json "
			"or a GGUF file, a dataset a .jsonl file or a folder with rows.jsonl, a "
			"tokenizer a folder with tokenizer.json",
			path);
	rt_free(rows);
	return r;
}

/* ---- text ----------------------------------------------------------------------------------- */

static void print_number(const char *name, const struct rt_json *j)
{
	const int64_t x = rt_json_int(j, 0);

	if (x >= 1000000 && strstr(name, "bytes"))
		printf("%lld (%.1f MB)\n", (long long)x, (double)x / 1e6);
	else
		printf("%lld\n", (long long)x);
}

static void print_value(const char *name, const struct rt_json *j, int depth);

static void print_object(const struct rt_json *o, int depth)
{
	for (struct rt_json_iter i = rt_json_first(o); i.key; rt_json_next(&i)) {
		printf("%*s%-*s ", 2 * depth, "", NAME - 2 * depth, i.key);
		print_value(i.key, i.value, depth);
	}
}

static void print_value(const char *name, const struct rt_json *j, int depth)
{
	struct rt_text t = RT_TEXT_INIT;

	switch (rt_json_type(j)) {
	case RT_JSON_OBJECT:
		printf("\n");
		print_object(j, depth + 1);
		break;
	case RT_JSON_INT: print_number(name, j); break;
	case RT_JSON_REAL: printf("%.1f\n", rt_json_real(j, 0)); break;
	case RT_JSON_BOOL: printf("%s\n", rt_json_bool(j, false) ? "yes" : "no"); break;
	case RT_JSON_STRING: printf("%s\n", rt_json_string(j)); break;
	default:
		rt_json_print(j, RT_JSON_SPACED, &t);
		printf("%.2000s%s\n", t.data, t.len > 2000 ? " ..." : "");
		rt_text_free(&t);
	}
}

static int run(const struct command *self, int argc, char **argv, struct rt_error *err)
{
	bool                json = false;
	struct rt_json     *o = NULL;
	const struct option options[] = {
		{ "json", 0, NULL, "one JSON object", OPT_FLAG, &json, 0, 0 }, OPTION_END
	};
	int r = options_read(self, options, &argc, argv, 1, 1, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = look(argv[0], &o, err);
	if (r < 0)
		return r;
	if (json)
		return lines_put(o, err);
	for (struct rt_json_iter i = rt_json_first(o); i.key; rt_json_next(&i)) {
		printf("%s: %s\n", argv[0], i.key);
		print_object(i.value, 0);
	}
	rt_json_free(o);
	return 0;
}

const struct command command_show = {
	.name = "show",
	.arguments = "PATH",
	.summary = "What a model, a dataset or a tokenizer is.",
	.help = "A model: its shape, parameters and bytes by number type, the memory that it\n"
		"takes to answer at full context (weights and cache), and to train with AdamW\n"
		"(weights, gradients and moments in f32; activations come on top).  A dataset:\n"
		"rows, roles, calls, lengths.  A tokenizer: its tokens.\n",
	.run = run,
};
