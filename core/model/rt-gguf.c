/* rt-gguf.c - tokenizer, template and stop tokens between a folder and GGUF metadata; a whole
 * model as one GGUF file.  See retort/model.h */
#include "model/rt-model.h"

#include <retort/file.h>
#include <retort/memory.h>

#include <stdio.h>
#include <string.h>

/* ---- to GGUF -------------------------------------------------------------------------------- */

enum { UNUSED = 5, STOPS = 3 };

/* What GGUF calls tokens that end an answer. */
static const char *const stop_keys[STOPS] = { "tokenizer.ggml.eos_token_id",
	                                      "tokenizer.ggml.eot_token_id",
	                                      "tokenizer.ggml.eom_token_id" };

static void put_tokens(struct gguf_writer *w, const struct rt_tokenizer_arrays *a, int64_t size)
{
	const uint64_t n = (uint64_t)size;

	gguf_put_array(w, "tokenizer.ggml.tokens", GGUF_STRING, n);
	for (int64_t i = 0; i < size; i++) {
		char pad[32];

		snprintf(pad, sizeof pad, "[PAD%lld]", (long long)i);
		if (i < a->token_count)
			gguf_item_text(w, a->tokens[i], a->lengths[i]);
		else
			gguf_item_text(w, pad, strlen(pad));
	}
	gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, n);
	for (int64_t i = 0; i < size; i++)
		gguf_item_i32(w, i < a->token_count ? a->types[i] : UNUSED);
	if (a->scores) {
		gguf_put_array(w, "tokenizer.ggml.scores", GGUF_F32, n);
		for (int64_t i = 0; i < size; i++)
			gguf_item_f32(w, i < a->token_count ? a->scores[i]
			                                    : a->scores[a->token_count - 1]);
	}
	if (a->merge_count) {
		gguf_put_array(w, "tokenizer.ggml.merges", GGUF_STRING, (uint64_t)a->merge_count);
		for (int64_t i = 0; i < a->merge_count; i++)
			gguf_item_text(w, a->merges[i], strlen(a->merges[i]));
	}
}

static int64_t id_of(const struct rt_model *t, const char *spelled)
{
	return spelled ? rt_tokenizer_id(t->tokenizer, spelled, strlen(spelled)) : -1;
}

static void put_id(struct gguf_writer *w, const char *key, int64_t id)
{
	if (id >= 0)
		gguf_put_int(w, key, GGUF_U32, id);
}

/* The end token that the tokenizer names first, then the other stop tokens. */
static int put_stops(struct gguf_writer *w, const struct rt_model *t, int64_t eos,
                     struct rt_error *err)
{
	int n = 0;

	if (eos >= 0)
		put_id(w, stop_keys[n++], eos);
	for (int64_t i = 0; i < t->n_stops; i++) {
		if (t->stops[i] == eos)
			continue;
		if (n == STOPS)
			return rt_fail(err, RT_E_UNSUP,
			               "%lld stop tokens, and GGUF has names for %d",
			               (long long)t->n_stops, STOPS);
		put_id(w, stop_keys[n++], t->stops[i]);
	}
	return 0;
}

static int put_text(struct gguf_writer *w, const struct rt_model *t, int64_t size,
                    struct rt_error *err)
{
	struct rt_arena            room = RT_ARENA_INIT;
	struct rt_tokenizer_arrays a;
	int                        r = rt_tokenizer_to_arrays(t->tokenizer, &a, &room, err);

	if (r == 0 && a.token_count > size)
		r = rt_fail(err, RT_E_SHAPE,
		            "the tokenizer has %lld tokens, the model only %lld rows for them",
		            (long long)a.token_count, (long long)size);
	if (r == 0) {
		gguf_put_string(w, "tokenizer.ggml.model", a.model);
		if (a.pre)
			gguf_put_string(w, "tokenizer.ggml.pre", a.pre);
		else
			gguf_put_int(w, "tokenizer.ggml.add_space_prefix", GGUF_BOOL, a.add_space);
		put_tokens(w, &a, size);
		put_id(w, "tokenizer.ggml.bos_token_id", a.bos >= 0 ? a.bos : id_of(t, t->bos));
		put_id(w, "tokenizer.ggml.unknown_token_id", a.unk);
		put_id(w, "tokenizer.ggml.padding_token_id", id_of(t, t->pad));
		gguf_put_int(w, "tokenizer.ggml.add_bos_token", GGUF_BOOL, a.add_bos);
		gguf_put_int(w, "tokenizer.ggml.add_eos_token", GGUF_BOOL, a.add_eos);
		r = put_stops(w, t, a.eos >= 0 ? a.eos : id_of(t, t->eos), err);
	}
	if (r == 0 && t->template)
		gguf_put_string(w, "tokenizer.chat_template", rt_template_source(t->template));
	rt_arena_free(&room);
	return r;
}

/* What a GGUF file says of its tokenizer goes along as it stands. */
static int copy_metadata(struct gguf_writer *w, const char *path, struct rt_error *err)
{
	static const char prefix[] = "tokenizer.";
	struct gguf       g;
	int               r = gguf_open(&g, path, err);

	if (r < 0)
		return r;
	for (int64_t i = 0; i < g.n_entries; i++)
		if (g.entries[i].key.n >= sizeof prefix &&
		    memcmp(g.entries[i].key.data, prefix, sizeof prefix - 1) == 0)
			gguf_put_entry(w, &g.entries[i]);
	gguf_close(&g);
	return 0;
}

/* GGUF's way to say that a model has no tokenizer; without it llama.cpp does not read the file. */
static void put_no_text(struct gguf_writer *w)
{
	gguf_put_string(w, "tokenizer.ggml.model", "none");
}

static int gather_text(struct gguf_writer *w, const char *text, int64_t size, struct rt_error *err)
{
	struct rt_model *t;
	int              r;

	if (model_is_gguf(text))
		return copy_metadata(w, text, err);
	r = rt_model_open(&t, text, RT_MODEL_TEXT, err);
	if (r < 0)
		return r;
	if (t->tokenizer)
		r = put_text(w, t, size, err);
	else
		put_no_text(w);
	rt_model_close(t);
	return r < 0 ? rt_within(err, r, "%s", text) : 0;
}

int rt_model_write_gguf(const struct rt_model *m, const char *file, int64_t dtype, const char *text,
                        struct rt_error *err)
{
	const struct rt_dtype_info *info = rt_dtype_info(dtype);
	struct gguf_writer          extra;
	char                       *place = NULL;
	int                         r = 0;

	if (dtype != RT_AS_STORED && (!info || !info->from_float))
		return rt_fail(err, RT_E_UNSUP, "weights cannot be written as %s",
		               info ? info->name : "this type");
	if (text && !(place = model_place(text)))
		return rt_fail_nomem(err, "a path");
	gguf_writer_init(&extra);
	if (place)
		r = gather_text(&extra, place, m->shape.vocabulary, err);
	else
		put_no_text(&extra);
	if (r == 0)
		r = checkpoint_write_gguf(&m->m, file, dtype, &extra, err);
	gguf_writer_fini(&extra);
	rt_free(place);
	if (r == 0)
		r = model_compare(m, file, dtype, err);
	return r < 0 ? rt_within(err, r, "%s", file) : 0;
}

/* ---- from GGUF ------------------------------------------------------------------------------ */

/* Takes over j. */
static int write_json(const char *folder, const char *name, struct rt_json *j, struct rt_error *err)
{
	char *path = rt_path_join(folder, name);
	int r = path && j ? rt_json_write(j, RT_JSON_INDENT, path, err) : rt_fail_nomem(err, name);

	rt_json_free(j);
	rt_free(path);
	return r;
}

static struct rt_json *settings_of(const struct rt_model *t)
{
	struct rt_json *o = rt_json_new_object();
	int r = rt_json_set(o, "tokenizer_class", rt_json_new_string("PreTrainedTokenizerFast"));

	if (t->bos)
		r |= rt_json_set(o, "bos_token", rt_json_new_string(t->bos));
	if (t->eos)
		r |= rt_json_set(o, "eos_token", rt_json_new_string(t->eos));
	if (t->pad)
		r |= rt_json_set(o, "pad_token", rt_json_new_string(t->pad));
	r |= rt_json_set(o, "clean_up_tokenization_spaces", rt_json_new_bool(false));
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

static struct rt_json *stops_of(const struct rt_model *t)
{
	struct rt_json *o = rt_json_new_object(), *list = rt_json_new_array();
	int             r = o && list ? 0 : RT_E_NOMEM;

	for (int64_t i = 0; r == 0 && i < t->n_stops; i++)
		r = rt_json_append(list, rt_json_new_int(t->stops[i]));
	r |= rt_json_set(o, "eos_token_id", rt_json_ref(list));
	rt_json_free(list);
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

static int write_parts(const struct rt_model *t, const char *to, struct rt_error *err)
{
	int r = write_json(to, "tokenizer_config.json", settings_of(t), err);

	if (r == 0 && t->n_stops)
		r = write_json(to, "generation_config.json", stops_of(t), err);
	if (r == 0 && t->template) {
		const char *source = rt_template_source(t->template);
		char       *path = rt_path_join(to, "chat_template.jinja");

		r = path ? rt_file_write(path, source, strlen(source), err)
		         : rt_fail_nomem(err, "a path");
		rt_free(path);
	}
	return r;
}

int model_text_from_gguf(const char *from, const char *to, struct rt_error *err)
{
	struct rt_model *t = NULL;
	struct rt_json  *j = NULL;
	struct gguf      g;
	int              r = gguf_open(&g, from, err);

	if (r < 0)
		return r;
	if (gguf_find(&g, "tokenizer.ggml.tokens"))
		r = model_tokenizer_json(&g, &j, err);
	gguf_close(&g);
	if (r == 0 && j)
		r = write_json(to, "tokenizer.json", rt_json_ref(j), err);
	if (r == 0 && j)
		r = rt_model_open(&t, from, RT_MODEL_TEXT, err);
	if (r == 0 && j)
		r = write_parts(t, to, err);
	rt_model_close(t);
	rt_json_free(j);
	return r < 0 ? rt_within(err, r, "%s", from) : 0;
}
