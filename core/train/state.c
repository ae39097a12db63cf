/* state.c - the checkpoint of a trainer: one file that appears whole.
 *
 * A line of JSON (what it is, step, numbers, notes), a zero byte, then weights, moments and running
 * means of the parameters in their order, as they lie in memory, then the SHA-256 of all that.
 * It is read by the machine that wrote it, and gone when the stage has ended. */
#include "train/trainer.h"

#include <retort/file.h>
#include <retort/hash.h>
#include <retort/memory.h>

#include <string.h>

static const char magic[] = "retort trainer 1";

/* Where bytes go to, or come from. */
struct stream {
	struct rt_file *to;
	const char     *at, *end;
	struct rt_hash  hash;
};

/* Move n bytes between memory and the stream. */
static int move(struct stream *s, void *bytes, size_t n)
{
	if (s->to) {
		rt_hash_add(&s->hash, bytes, n);
		return rt_file_put(s->to, bytes, n);
	}
	if ((size_t)(s->end - s->at) < n)
		return RT_E_FORMAT;
	memcpy(bytes, s->at, n);
	rt_hash_add(&s->hash, bytes, n);
	s->at += n;
	return 0;
}

static int move_weights(struct rt_trainer *t, struct stream *s)
{
	int r = 0;

	for (int64_t i = 0; r == 0 && i < t->n; i++)
		r = move(s, t->slots[i].param, (size_t)t->slots[i].n * sizeof(float));
	return r;
}

static int move_all(struct rt_trainer *t, struct stream *s)
{
	int r = move_weights(t, s);

	for (int64_t i = 0; r == 0 && i < t->n; i++) {
		struct slot *slot = &t->slots[i];

		for (uint32_t k = 0; r == 0 && k < slot->moments; k++)
			r = move(s, slot->moment[k], (size_t)slot->n * t->moment_size);
		if (r == 0 && slot->average)
			r = move(s, slot->average, (size_t)slot->n * sizeof(float));
	}
	return r;
}

static struct rt_json *header(const struct rt_trainer *t)
{
	struct rt_json *h = rt_json_new_object();
	int64_t         numbers = 0;
	int             r = h ? 0 : RT_E_NOMEM;

	for (int64_t i = 0; i < t->n; i++)
		numbers += t->slots[i].n;
	if (r == 0) {
		r |= rt_json_set(h, "format", rt_json_new_string(magic));
		r |= rt_json_set(h, "global_step", rt_json_new_int(t->at));
		r |= rt_json_set(h, "parameters", rt_json_new_int(numbers));
		r |= rt_json_set(h, "notes", rt_json_ref(t->notes));
	}
	if (r == 0)
		return h;
	rt_json_free(h);
	return NULL;
}

static int save(struct rt_trainer *t, const char                                  *path,
                int (*all)(struct rt_trainer *, struct stream *), struct rt_error *err)
{
	struct rt_json *h = header(t);
	struct rt_text  text = RT_TEXT_INIT;
	struct stream   s = { 0 };
	char            hex[RT_HASH_HEX];
	int             r;

	if (h)
		rt_json_print(h, 0, &text);
	rt_json_free(h);
	if (!h || text.failed) {
		rt_text_free(&text);
		return rt_fail_nomem(err, "a checkpoint");
	}
	r = rt_file_create(&s.to, path, err);
	if (r == 0) {
		rt_hash_init(&s.hash);
		/* Errors of writing stick to the file, and commit says them. */
		if (move(&s, text.data, text.len + 1) == 0)
			all(t, &s);
		rt_hash_end_hex(&s.hash, hex);
		rt_file_put(s.to, hex, sizeof hex);
		r = rt_file_commit(s.to, err);
	}
	rt_text_free(&text);
	return r < 0 ? rt_within(err, r, "checkpoint") : 0;
}

/* The header into *ret; the stream stands behind it. */
static int load_header(struct rt_trainer *t, struct stream *s, const char *path,
                       struct rt_json **ret, struct rt_error *err)
{
	const char     *zero = memchr(s->at, 0, (size_t)(s->end - s->at));
	struct rt_json *mine;
	int             r;
	bool            same;

	if (!zero)
		return rt_fail(err, RT_E_FORMAT, "%s: no checkpoint of a trainer", path);
	r = rt_json_parse(s->at, (size_t)(zero - s->at), path, 1, ret, err);
	if (r < 0)
		return r;
	mine = header(t);
	if (!mine)
		return rt_fail_nomem(err, "a checkpoint");
	same = rt_json_equal(rt_json_get(*ret, "format"), rt_json_get(mine, "format")) &&
	       rt_json_equal(rt_json_get(*ret, "parameters"), rt_json_get(mine, "parameters")) &&
	       rt_json_is(rt_json_get(*ret, "notes"), RT_JSON_OBJECT);
	rt_json_free(mine);
	if (!same)
		return rt_fail(err, RT_E_FORMAT, "%s: no checkpoint of this model", path);
	rt_hash_add(&s->hash, s->at, (size_t)(zero + 1 - s->at));
	s->at = zero + 1;
	return 0;
}

static int load_map(struct rt_trainer *t, const struct rt_map *map, const char *path,
                    int (*all)(struct rt_trainer *, struct stream *), struct rt_json **ret,
                    struct rt_error *err)
{
	struct stream s = { .at = map->data, .end = (const char *)map->data + map->size };
	char          hex[RT_HASH_HEX];
	int           r;

	rt_hash_init(&s.hash);
	r = load_header(t, &s, path, ret, err);
	if (r < 0)
		return r;
	r = all(t, &s);
	rt_hash_end_hex(&s.hash, hex);
	if (r < 0 || (size_t)(s.end - s.at) != sizeof hex || memcmp(s.at, hex, sizeof hex) != 0)
		return rt_fail(err, RT_E_FORMAT,
		               "%s: the checkpoint is damaged; remove it to begin this stage again",
		               path);
	return 0;
}

static int load(struct rt_trainer *t, const char                                  *path,
                int (*all)(struct rt_trainer *, struct stream *), struct rt_json **ret,
                struct rt_error *err)
{
	struct rt_map map;
	int           r = rt_file_map(&map, path, err);

	if (r < 0)
		return r;
	r = map.data ? load_map(t, &map, path, all, ret, err)
	             : rt_fail(err, RT_E_FORMAT, "%s is empty", path);
	rt_file_unmap(&map);
	return r;
}

int state_save(struct rt_trainer *t, struct rt_error *err)
{
	return save(t, t->state, move_all, err);
}

int state_load(struct rt_trainer *t, struct rt_error *err)
{
	struct rt_json *h = NULL, *notes;
	int             r;

	if (!rt_exists(t->state))
		return 0;
	r = load(t, t->state, move_all, &h, err);
	if (r == 0) {
		notes = rt_json_ref(rt_json_get(h, "notes"));
		rt_json_free(t->notes);
		t->notes = notes;
		t->at = rt_json_int(rt_json_get(h, "global_step"), 0);
	}
	rt_json_free(h);
	return r;
}

/* ---- weights under a name ------------------------------------------------------------------ */

int rt_trainer_keep(struct rt_trainer *t, const char *name, struct rt_error *err)
{
	char *path = rt_path_join(rt_work_dir(t->c), name);
	int   r = path ? save(t, path, move_weights, err) : rt_fail_nomem(err, "a path");

	rt_free(path);
	return r;
}

int rt_trainer_bring(struct rt_trainer *t, const char *name, struct rt_error *err)
{
	char           *path = rt_path_join(rt_work_dir(t->c), name);
	struct rt_json *h = NULL;
	int r = path ? load(t, path, move_weights, &h, err) : rt_fail_nomem(err, "a path");

	rt_json_free(h);
	rt_free(path);
	return r;
}
