/* lines.c - see lines.h */
#include "cli/lines.h"

#include "cli/command.h"

#include <retort/file.h>
#include <retort/memory.h>
#include <retort/rows.h>

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char name[] = "standard input";

/* ---- models --------------------------------------------------------------------------------- */

static bool ends_in(const char *s, const char *end)
{
	const size_t n = strlen(s), k = strlen(end);

	return n > k && strcmp(s + n - k, end) == 0;
}

/* 1 where there is something that could be a model.  A GGUF file is known by its first bytes. */
static int is_model(const char *path, unsigned flags, struct rt_error *err)
{
	char  first[4] = "";
	char *config = rt_path_join(path, "config.json"), *gguf = rt_path_join(path, "model.gguf");
	bool  is = config && gguf && (rt_exists(config) || rt_exists(gguf));
	FILE *f = is ? NULL : fopen(path, "rb");

	rt_free(config);
	rt_free(gguf);
	if (!config || !gguf) {
		if (f)
			fclose(f);
		return rt_fail_nomem(err, "a path");
	}
	if (f) {
		is = (fread(first, 1, 4, f) == 4 && memcmp(first, "GGUF", 4) == 0) ||
		     ends_in(path, ".gguf");
		fclose(f);
	}
	/* A folder with a tokenizer alone; a folder opens as a file, and reads nothing. */
	return is || ((flags & RT_MODEL_TEXT) && f && !ends_in(path, ".json"));
}

int lines_check(const char *path, unsigned flags, struct rt_error *err)
{
	int is;

	if (!rt_exists(path))
		return rt_fail(err, RT_E_NOENT, "there is no %s", path);
	is = is_model(path, flags, err);
	if (is < 0)
		return is;
	if (!is)
		return rt_fail(err, RT_E_FORMAT,
		               "%s is no model: a model is a folder with config.json and weights, "
		               "or a GGUF file",
		               path);
	return 0;
}

int lines_model(struct rt_model **ret, const char *path, unsigned flags, struct rt_error *err)
{
	int r = lines_check(path, flags, err);

	return r < 0 ? r : rt_model_open(ret, path, flags, err);
}

int lines_text(struct rt_model **ret, const char *path, unsigned flags, struct rt_error *err)
{
	int r = lines_model(ret, path, flags, err);

	if (r < 0 || rt_model_tokenizer(*ret))
		return r;
	rt_model_close(*ret);
	return rt_fail(err, RT_E_NOENT, "%s comes without a tokenizer", path);
}

/* ---- reading -------------------------------------------------------------------------------- */

int lines_rows(lines_row_fn *fn, void *arg, struct rt_error *err)
{
	struct rt_rows *rows;
	struct rt_json *row;
	int             r = rt_rows_from(&rows, STDIN_FILENO, name, 0, err);

	if (r < 0)
		return r;
	while ((r = rt_rows_next(rows, &row, err)) == 1) {
		r = fn(arg, row, err);
		rt_json_free(row);
		if (r == RT_E_IO || r == RT_E_CANCEL)
			break;
		if (r < 0) {
			r = rt_within(err, r, "%s:%lld", name, (long long)rt_rows_line(rows));
			break;
		}
	}
	rt_rows_close(rows);
	return r;
}

int lines_check_row(const struct rt_json *row, struct rt_error *err)
{
	static const char *const names[] = { "ids", "text", "messages" };
	const char              *first = NULL;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!rt_json_get(row, names[i]))
			continue;
		if (first && !(i == 1 && rt_json_get(row, "mask")))
			return rt_fail(err, RT_E_FORMAT,
			               "a row has %s or %s, not both: which one is meant?", first,
			               names[i]);
		if (!first)
			first = names[i];
	}
	return 0;
}

/* The next line, or with whole all there is; 0 at the end. */
static int next(bool whole, struct rt_text *t, struct rt_error *err)
{
	int c;

	rt_text_clear(t);
	while ((c = getc_unlocked(stdin)) != EOF && (whole || c != '\n')) {
		rt_text_add_char(t, (char)c);
		if (t->len > RT_TOKENIZER_TEXT)
			return rt_fail(err, RT_E_RANGE, "more than %d bytes in one text",
			               RT_TOKENIZER_TEXT);
	}
	if (ferror(stdin))
		return rt_fail_errno(err, "cannot read");
	if (t->failed)
		return rt_fail_nomem(err, "a line");
	return c != EOF || t->len > 0;
}

int lines_texts(bool whole, lines_text_fn *fn, void *arg, struct rt_error *err)
{
	struct rt_text t = RT_TEXT_INIT;
	long long      line = 0;
	int            r;

	while ((r = next(whole, &t, err)) == 1) {
		line++;
		if (!whole && t.len > 0 && t.data[t.len - 1] == '\r')
			t.len--;
		r = fn(arg, t.data, t.len, err);
		if (r < 0)
			break;
	}
	rt_text_free(&t);
	if (r >= 0 || r == RT_E_IO)
		return r;
	return whole ? rt_within(err, r, "%s", name) : rt_within(err, r, "%s:%lld", name, line);
}

int lines_take_ids(const struct rt_json *list, int64_t size, struct rt_ids *out,
                   struct rt_error *err)
{
	if (!rt_json_is(list, RT_JSON_ARRAY))
		return rt_fail(err, RT_E_FORMAT, "ids are a list of numbers, this is %s",
		               rt_json_type_name(list));
	for (size_t i = 0; i < rt_json_length(list); i++) {
		const struct rt_json *j = rt_json_at(list, i);
		const int64_t         id = rt_json_int(j, -1);

		if (!rt_json_is(j, RT_JSON_INT))
			return rt_fail(err, RT_E_FORMAT, "id %zu is %s, not a whole number", i,
			               rt_json_type_name(j));
		if (id < 0 || id >= size)
			return rt_fail(err, RT_E_RANGE,
			               "id %zu is %lld; there are tokens 0 to %lld", i,
			               (long long)id, (long long)size - 1);
		rt_ids_add(out, (int32_t)id);
	}
	return out->failed ? rt_fail_nomem(err, "ids") : 0;
}

int lines_chat(const struct rt_json *row, struct rt_chat *ret, struct rt_error *err)
{
	const struct rt_json *messages = rt_json_get(row, "messages");
	const struct rt_json *tools = rt_json_get(row, "tools");
	const struct rt_json *kwargs = rt_json_get(row, "template_kwargs");

	if (!rt_json_is(messages, RT_JSON_ARRAY))
		return rt_fail(err, RT_E_FORMAT, "a row needs messages: a list, this is %s",
		               messages ? rt_json_type_name(messages) : "a row without");
	if (tools && !rt_json_is(tools, RT_JSON_ARRAY) && !rt_json_is(tools, RT_JSON_NULL))
		return rt_fail(err, RT_E_FORMAT, "tools are a list, not %s",
		               rt_json_type_name(tools));
	if (kwargs && !rt_json_is(kwargs, RT_JSON_OBJECT) && !rt_json_is(kwargs, RT_JSON_NULL))
		return rt_fail(err, RT_E_FORMAT, "template_kwargs are an object, not %s",
		               rt_json_type_name(kwargs));
	*ret = (struct rt_chat){ .messages = messages,
		                 .tools = rt_json_is(tools, RT_JSON_ARRAY) ? tools : NULL,
		                 .kwargs = rt_json_is(kwargs, RT_JSON_OBJECT) ? kwargs : NULL,
		                 .now = (int64_t)time(NULL) };
	return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

int lines_put(struct rt_json *j, struct rt_error *err)
{
	struct rt_text t = RT_TEXT_INIT;
	int            r = 0;

	if (j)
		rt_json_print(j, 0, &t);
	rt_text_add_char(&t, '\n');
	if (!j || t.failed)
		r = rt_fail_nomem(err, "a line");
	else if (fwrite(t.data, 1, t.len, stdout) != t.len)
		r = program_flush(err);
	rt_text_free(&t);
	rt_json_free(j);
	return r;
}

struct rt_json *lines_ids(const int32_t *id, size_t n)
{
	struct rt_json *a = rt_json_new_array();
	int             r = a ? 0 : RT_E_NOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = rt_json_append(a, rt_json_new_int(id[i]));
	if (r == 0)
		return a;
	rt_json_free(a);
	return NULL;
}

int lines_keep_id(const struct rt_json *row, struct rt_json *answer)
{
	struct rt_json *id = rt_json_get(row, "id");

	return id ? rt_json_set(answer, "id", rt_json_ref(id)) : 0;
}
