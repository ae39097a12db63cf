/* rt-text.c - what belongs to a model besides its weights: tokenizer, chat template, and the
 * tokens that begin and end things.  See rt-model.h */
#include "model/rt-model.h"

#include <retort/file.h>
#include <retort/memory.h>
#include <retort/row.h>

#include <string.h>

/* A JSON file of the folder; *ret stays NULL when it is not there. */
static int read_json(const char *folder, const char *name, struct rt_json **ret,
                     struct rt_error *err)
{
	char *path = rt_path_join(folder, name);
	int   r = path ? 0 : rt_fail_nomem(err, "a path");

	*ret = NULL;
	if (r == 0 && rt_exists(path))
		r = rt_json_read(path, 0, ret, err);
	rt_free(path);
	return r;
}

/* Is one of the names there?  1, 0 or an error. */
static int there(const char *folder, const char *const *names, struct rt_error *err)
{
	int is = 0;

	for (; is == 0 && *names; names++) {
		char *path = rt_path_join(folder, *names);

		is = path ? rt_exists(path) : rt_fail_nomem(err, "a path");
		rt_free(path);
	}
	return is;
}

/* ---- stop tokens ---------------------------------------------------------------------------- */

static int add_stop(struct rt_model *m, int64_t id, const char *where, struct rt_error *err)
{
	int32_t *stops;
	/* Without weights (RT_MODEL_TEXT) nothing says how many there are. */
	const int64_t size = m->m.config.vocabulary ? m->m.config.vocabulary : INT32_MAX;

	if (id < 0 || id >= size)
		return rt_fail(err, RT_E_RANGE,
		               "%s: the stop token %lld is not among the model's %lld", where,
		               (long long)id, (long long)size);
	for (int64_t i = 0; i < m->n_stops; i++)
		if (m->stops[i] == id)
			return 0;
	stops = rt_realloc(m->stops, (size_t)m->n_stops + 1, sizeof *stops);
	if (!stops)
		return rt_fail_nomem(err, "stop tokens");
	m->stops = stops;
	m->stops[m->n_stops++] = (int32_t)id;
	return 0;
}

/* eos_token_id: a number or a list of them; 1 when it says something. */
static int add_stops(struct rt_model *m, const struct rt_json *j, const char *where,
                     struct rt_error *err)
{
	const struct rt_json *eos = rt_json_get(j, "eos_token_id");
	int                   r = 0;

	if (rt_json_is(eos, RT_JSON_INT))
		r = add_stop(m, rt_json_int(eos, 0), where, err);
	else if (rt_json_is(eos, RT_JSON_ARRAY))
		for (size_t i = 0; r == 0 && i < rt_json_length(eos); i++)
			r = add_stop(m, rt_json_int(rt_json_at(eos, i), -1), where, err);
	else if (eos && !rt_json_is(eos, RT_JSON_NULL))
		r = rt_fail(err, RT_E_FORMAT, "%s: eos_token_id is %s, not a number or a list",
		            where, rt_json_type_name(eos));
	else
		return 0;
	return r < 0 ? r : 1;
}

static int stops_of_folder(struct rt_model *m, const char *folder, struct rt_error *err)
{
	struct rt_json *j;
	int             r = read_json(folder, "generation_config.json", &j, err);

	if (r == 0)
		r = add_stops(m, j, "generation_config.json", err);
	rt_json_free(j);
	j = rt_json_ref(m->m.config.json);
	if (r == 0 && !j)
		r = read_json(folder, "config.json", &j, err);
	if (r == 0)
		r = add_stops(m, j, "config.json", err);
	rt_json_free(j);
	return r < 0 ? rt_within(err, r, "%s", folder) : 0;
}

/* ---- a folder ------------------------------------------------------------------------------- */

/* "<s>" or { "content": "<s>" }, as tokenizer_config.json spells a token. */
static int spelled(const struct rt_json *j, char **ret)
{
	const char *text =
		rt_json_string(j) ? rt_json_string(j) : rt_json_string(rt_json_get(j, "content"));

	*ret = text ? rt_strdup(text) : NULL;
	return text && !*ret ? RT_E_NOMEM : 0;
}

static int tokenizer_of_folder(struct rt_model *m, const char *folder, struct rt_error *err)
{
	static const char *const vocabularies[] = { "tokenizer.json", "vocab.json", "encoder.json",
		                                    NULL };
	static const char *const templates[] = { "chat_template.jinja", NULL };
	struct rt_json          *config = NULL;
	int                      r = there(folder, vocabularies, err);

	if (r <= 0)
		return r;
	r = rt_tokenizer_open(&m->tokenizer, folder, err);
	if (r == 0)
		r = read_json(folder, "tokenizer_config.json", &config, err);
	if (r == 0 && (spelled(rt_json_get(config, "bos_token"), &m->bos) < 0 ||
	               spelled(rt_json_get(config, "eos_token"), &m->eos) < 0 ||
	               spelled(rt_json_get(config, "pad_token"), &m->pad) < 0))
		r = rt_fail_nomem(err, "a tokenizer");
	if (r == 0)
		r = rt_json_get(config, "chat_template") ? 1 : there(folder, templates, err);
	if (r == 1)
		r = rt_template_open(&m->template, folder, err);
	rt_json_free(config);
	return r;
}

int model_text_folder(struct rt_model *m, const char *folder, struct rt_error *err)
{
	int r = tokenizer_of_folder(m, folder, err);

	return r < 0 ? r : stops_of_folder(m, folder, err);
}

/* ---- GGUF ----------------------------------------------------------------------------------- */

/* Arrays of metadata, in memory of the arena. */
struct arrays {
	struct rt_arena            room;
	struct rt_tokenizer_arrays a;
};

static int take_texts(struct arrays *s, const struct gguf *g, const char *key,
                      const char *const **ret, const size_t **ret_length, int64_t *ret_n)
{
	const struct gguf_entry *e = gguf_find(g, key);
	struct gguf_iter         i = { .entry = e };
	struct gguf_text         text;
	char                   **at;
	size_t                  *length;

	if (!e || e->type != GGUF_ARRAY || e->item != GGUF_STRING)
		return 0;
	at = rt_arena_alloc(&s->room, e->count, sizeof *at);
	length = rt_arena_alloc(&s->room, e->count, sizeof *length);
	if (!at || !length)
		return RT_E_NOMEM;
	for (int64_t k = 0; gguf_next_text(&i, &text); k++) {
		at[k] = rt_arena_alloc(&s->room, text.n + 1, 1);
		if (!at[k])
			return RT_E_NOMEM;
		memcpy(at[k], text.data, text.n);
		length[k] = text.n;
	}
	*ret = (const char *const *)at;
	if (ret_length)
		*ret_length = length;
	*ret_n = (int64_t)e->count;
	return 0;
}

/* Numbers, as many as there are tokens; absent is fine. */
static int take_numbers(struct arrays *s, const struct gguf *g, const char *key, double **ret)
{
	const struct gguf_entry *e = gguf_find(g, key);
	struct gguf_iter         i = { .entry = e };
	double                   x;

	*ret = NULL;
	if (!e || e->type != GGUF_ARRAY || e->item == GGUF_STRING ||
	    (int64_t)e->count != s->a.token_count)
		return 0;
	*ret = rt_arena_alloc(&s->room, e->count, sizeof **ret);
	if (!*ret)
		return RT_E_NOMEM;
	for (int64_t k = 0; gguf_next_number(&i, &x); k++)
		(*ret)[k] = x;
	return 0;
}

static char *take_string(struct arrays *s, const struct gguf *g, const char *key)
{
	const struct gguf_text text = gguf_string(g, key);
	char                  *copy = text.data ? rt_arena_alloc(&s->room, text.n + 1, 1) : NULL;

	if (copy)
		memcpy(copy, text.data, text.n);
	return copy;
}

static int take_scores(struct arrays *s, const struct gguf *g)
{
	double  *x;
	float   *scores = NULL;
	int32_t *types = NULL;
	int      r = take_numbers(s, g, "tokenizer.ggml.scores", &x);

	if (r == 0 && x) {
		scores = rt_arena_alloc(&s->room, (size_t)s->a.token_count, sizeof *scores);
		if (!scores)
			return RT_E_NOMEM;
		for (int64_t i = 0; i < s->a.token_count; i++)
			scores[i] = (float)x[i];
	}
	if (r == 0)
		r = take_numbers(s, g, "tokenizer.ggml.token_type", &x);
	if (r == 0 && x) {
		types = rt_arena_alloc(&s->room, (size_t)s->a.token_count, sizeof *types);
		if (!types)
			return RT_E_NOMEM;
		for (int64_t i = 0; i < s->a.token_count; i++)
			types[i] = (int32_t)x[i];
	}
	s->a.scores = scores;
	s->a.types = types;
	return r;
}

static int take_arrays(struct arrays *s, const struct gguf *g)
{
	struct rt_tokenizer_arrays *a = &s->a;
	int r = take_texts(s, g, "tokenizer.ggml.tokens", &a->tokens, &a->lengths, &a->token_count);

	if (r == 0)
		r = take_texts(s, g, "tokenizer.ggml.merges", &a->merges, NULL, &a->merge_count);
	if (r == 0)
		r = take_scores(s, g);
	a->model = take_string(s, g, "tokenizer.ggml.model");
	a->pre = take_string(s, g, "tokenizer.ggml.pre");
	a->bos = gguf_int(g, "tokenizer.ggml.bos_token_id", -1);
	a->eos = gguf_int(g, "tokenizer.ggml.eos_token_id", -1);
	a->unk = gguf_int(g, "tokenizer.ggml.unknown_token_id", -1);
	a->add_bos = gguf_int(g, "tokenizer.ggml.add_bos_token", 0) != 0;
	a->add_eos = gguf_int(g, "tokenizer.ggml.add_eos_token", 0) != 0;
	a->add_space = gguf_int(g, "tokenizer.ggml.add_space_prefix", 1) != 0;
	return r;
}

static int spell_id(const struct rt_model *m, int64_t id, char **ret)
{
	size_t      n = 0;
	const char *text = id >= 0 ? rt_tokenizer_token(m->tokenizer, id, &n) : NULL;

	*ret = text ? rt_strndup(text, n) : NULL;
	return text && !*ret ? RT_E_NOMEM : 0;
}

int model_text_gguf(struct rt_model *m, const struct gguf *g, const char *path,
                    struct rt_error *err)
{
	static const char *const stops[] = { "tokenizer.ggml.eos_token_id",
		                             "tokenizer.ggml.eot_token_id",
		                             "tokenizer.ggml.eom_token_id" };
	const int64_t            pad = gguf_int(g, "tokenizer.ggml.padding_token_id", -1);
	const struct gguf_text   text = gguf_string(g, "tokenizer.chat_template");
	struct arrays            s = { .room = RT_ARENA_INIT };
	int                      r = 0;

	if (!gguf_find(g, "tokenizer.ggml.tokens"))
		return 0;
	if (take_arrays(&s, g) < 0)
		r = rt_fail_nomem(err, "a tokenizer");
	if (r == 0)
		r = rt_tokenizer_from_arrays(&m->tokenizer, &s.a, err);
	if (r == 0 && (spell_id(m, s.a.bos, &m->bos) < 0 || spell_id(m, s.a.eos, &m->eos) < 0 ||
	               spell_id(m, pad, &m->pad) < 0))
		r = rt_fail_nomem(err, "a tokenizer");
	if (r == 0 && text.data)
		r = rt_template_parse(&m->template, text.data, text.n, path, err);
	for (size_t i = 0; r == 0 && i < sizeof stops / sizeof *stops; i++) {
		const int64_t id = gguf_int(g, stops[i], -1);

		if (id >= 0)
			r = add_stop(m, id, path, err);
	}
	rt_arena_free(&s.room);
	return r;
}

int model_tokenizer_json(const struct gguf *g, struct rt_json **ret, struct rt_error *err)
{
	struct arrays s = { .room = RT_ARENA_INIT };
	int           r = take_arrays(&s, g) < 0 ? rt_fail_nomem(err, "a tokenizer")
	                                         : rt_tokenizer_arrays_json(ret, &s.a, err);

	rt_arena_free(&s.room);
	return r;
}

bool model_is_gguf(const char *path)
{
	const size_t n = strlen(path);

	return n > 5 && strcmp(path + n - 5, ".gguf") == 0;
}

char *model_place(const char *path)
{
	char *config = rt_path_join(path, "config.json"), *gguf = rt_path_join(path, "model.gguf");
	char *place = NULL;

	if (config && gguf)
		place = rt_strdup(!rt_exists(config) && rt_exists(gguf) ? gguf : path);
	rt_free(config);
	rt_free(gguf);
	return place;
}

/* ---- chats ---------------------------------------------------------------------------------- */

int rt_model_encode_with(const struct rt_model *m, const struct rt_template *t,
                         const struct rt_chat *chat, struct rt_text *out, struct rt_ids *ids,
                         struct rt_ids *mask, struct rt_error *err)
{
	struct rt_chat c = *chat;

	if (!t)
		t = m->template;
	if (!m->tokenizer || !t)
		return rt_fail(err, RT_E_INVAL, "the model comes without %s",
		               m->tokenizer ? "a chat template" : "a tokenizer");
	if (!c.bos)
		c.bos = m->bos;
	if (!c.eos)
		c.eos = m->eos;
	return rt_template_encode(t, m->tokenizer, &c, out, ids, mask, err);
}

int rt_model_encode_prompt(const struct rt_model *m, const struct rt_json *row, struct rt_ids *ids,
                           struct rt_error *err)
{
	const struct rt_chat chat = { .messages = rt_row_prompt_messages(row),
		                      .tools = rt_json_get(row, "tools"),
		                      .kwargs = rt_json_get(row, "template_kwargs"),
		                      .generation_prompt = true };
	struct rt_text       text = RT_TEXT_INIT;
	struct rt_ids        mask = RT_IDS_INIT;
	const int r = chat.messages ? rt_model_encode_chat(m, &chat, &text, ids, &mask, err)
	                            : rt_fail_nomem(err, "a prompt");

	rt_json_free((struct rt_json *)chat.messages);
	rt_text_free(&text);
	rt_ids_free(&mask);
	return r;
}

int rt_model_encode_chat(const struct rt_model *m, const struct rt_chat *chat, struct rt_text *out,
                         struct rt_ids *ids, struct rt_ids *mask, struct rt_error *err)
{
	return rt_model_encode_with(m, NULL, chat, out, ids, mask, err);
}
