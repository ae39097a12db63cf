/* sequences.c - rows of a dataset through a chat template.  See retort/train.h */
#include <retort/file.h>
#include <retort/memory.h>
#include <retort/row.h>
#include <retort/rows.h>
#include <retort/train.h>

#include <string.h>

struct reading {
	const struct rt_model            *m;
	const struct rt_sequence_options *o;
	struct rt_sequences              *out;
	int64_t                           cap, limit;
	struct rt_text                    text; /* scratch */
	struct rt_ids                     ids, mask;
};

/* Tokens in front of the assistant's last turn. */
static int64_t prompt_of(const struct rt_ids *mask)
{
	int64_t i = (int64_t)mask->len;

	while (i > 0 && !mask->data[i - 1])
		i--;
	while (i > 0 && mask->data[i - 1])
		i--;
	return i;
}

static int grow(struct reading *r)
{
	int64_t             cap = r->cap ? 2 * r->cap : 1024;
	struct rt_sequence *at;

	if (r->out->n < r->cap)
		return 0;
	at = rt_realloc(r->out->at, (size_t)cap, sizeof *at);
	if (!at)
		return RT_E_NOMEM;
	r->out->at = at;
	r->cap = cap;
	return 0;
}

/* The ids and weights that stand in the scratch become a sequence. */
static int add(struct reading *r, const char *id)
{
	const size_t n = r->ids.len;
	int32_t     *token = rt_arena_alloc(r->out->memory, n, sizeof *token);
	float       *weight = rt_arena_alloc(r->out->memory, n, sizeof *weight);
	char        *name = rt_arena_strdup(r->out->memory, id);

	if (!token || !weight || !name || grow(r) < 0)
		return RT_E_NOMEM;
	memcpy(token, r->ids.data, n * sizeof *token);
	for (size_t i = 1; i < n; i++)
		weight[i] = r->mask.data[i] ? 1 : (float)r->o->prompt_weight;
	r->out->at[r->out->n++] =
		(struct rt_sequence){ name, token, weight, (int64_t)n, prompt_of(&r->mask) };
	return 0;
}

static int take(struct reading *r, const struct rt_json *row, struct rt_error *err)
{
	const struct rt_chat chat = { .messages = rt_json_get(row, "messages"),
		                      .tools = rt_json_get(row, "tools"),
		                      .kwargs = rt_json_get(row, "template_kwargs") };
	const char          *id = rt_json_string(rt_json_get(row, "id"));
	int                  code;

	if (!rt_row_reference(row, 0))
		return rt_fail(err, RT_E_FORMAT, "row %s has no answer of the assistant's to learn",
		               id ? id : "without id");
	rt_text_clear(&r->text);
	r->ids.len = r->mask.len = 0;
	code = rt_model_encode_chat(r->m, &chat, &r->text, &r->ids, &r->mask, err);
	if (code < 0)
		return rt_within(err, code, "row %s", id ? id : "without id");
	if ((int64_t)r->ids.len > r->limit) {
		r->out->too_long++;
		return 0;
	}
	return add(r, id ? id : "") < 0 ? rt_fail_nomem(err, "sequences") : 0;
}

static int read_all(struct reading *r, const char *path, struct rt_context *c, struct rt_error *err)
{
	struct rt_rows *rows;
	struct rt_json *row;
	int             code = rt_rows_open(&rows, path, 0, err);

	if (code < 0)
		return code;
	while ((code = rt_rows_next(rows, &row, err)) == 1) {
		code = take(r, row, err);
		rt_json_free(row);
		if (code < 0)
			code = rt_within(err, code, "%s:%lld", path, (long long)rt_rows_line(rows));
		else if (rt_cancelled(c))
			code = rt_fail(err, RT_E_CANCEL, "cancelled");
		if (code < 0)
			break;
	}
	rt_rows_close(rows);
	return code;
}

/* What was left out is said, and nothing left is an error. */
static int account(const struct reading *r, const char *path, struct rt_context *c,
                   struct rt_error *err)
{
	const long long too_long = (long long)r->out->too_long, limit = (long long)r->limit;

	if (r->out->n == 0 && !too_long)
		return rt_fail(err, RT_E_FORMAT,
		               "%s has no rows; the report of the stage that wrote it says why",
		               path);
	if (r->out->n == 0)
		return rt_fail(err, RT_E_RANGE, "%s: all %lld rows have more than %lld tokens; %s",
		               path, too_long, limit,
		               r->limit == rt_model_shape(r->m)->context
		                       ? "the model is made for no more"
		                       : "raise max_length");
	if (too_long)
		rt_log(c, RT_LOG_WARN,
		       "%lld of %lld rows have more than %lld tokens and are left out", too_long,
		       too_long + (long long)r->out->n, limit);
	return 0;
}

int rt_sequences_read(struct rt_sequences *ret, const struct rt_model *m, const char *folder,
                      const struct rt_sequence_options *options, struct rt_context *c,
                      struct rt_error *err)
{
	const int64_t  context = rt_model_shape(m)->context;
	struct reading r = { .m = m, .o = options, .out = ret, .text = RT_TEXT_INIT };
	char          *path = rt_path_join(folder, "rows.jsonl");
	int            code = 0;

	*ret = (struct rt_sequences){ 0 };
	r.limit = options->max_length > 0 && options->max_length < context ? options->max_length
	                                                                   : context;
	ret->memory = rt_alloc(1, sizeof *ret->memory);
	if (!path || !ret->memory)
		code = rt_fail_nomem(err, "sequences");
	if (code == 0)
		code = read_all(&r, path, c, err);
	if (code == 0)
		code = account(&r, path, c, err);
	rt_text_free(&r.text);
	rt_ids_free(&r.ids);
	rt_ids_free(&r.mask);
	rt_free(path);
	if (code < 0)
		rt_sequences_free(ret);
	return code;
}

void rt_sequences_free(struct rt_sequences *s)
{
	if (s->memory)
		rt_arena_free(s->memory);
	rt_free(s->memory);
	rt_free(s->at);
	*s = (struct rt_sequences){ 0 };
}
