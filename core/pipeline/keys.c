/* keys.c - see keys.h */
#include "pipeline/keys.h"

#include "pipeline/content.h"

#include <stdio.h>
#include <string.h>

enum { KEY_VERSION = 1 };

static bool is_folder(const struct ref *ref)
{
	return ref->param->flags & RT_P_FOLDER;
}

/* The same file may be named by many stages: one that was hashed already is not read again. */
static const struct ref *hashed_before(const struct pipeline *p, const struct ref *ref)
{
	for (int64_t i = 0; i < p->n; i++)
		for (const struct ref *r = p->stages[i].refs; r; r = r->next)
			if (r != ref && r->what == REF_PATH && r->hash[0] &&
			    strcmp(r->text, ref->text) == 0)
				return r;
	return NULL;
}

static int hash_ref(const struct pipeline *p, struct ref *ref, struct rt_error *err)
{
	const struct ref *same = hashed_before(p, ref);
	int               r = 0;

	if (same) {
		strcpy(ref->hash, same->hash);
		strcpy(ref->mark, same->mark);
	} else {
		r = content_mark(ref->text, is_folder(ref), ref->mark, err);
		if (r == 0)
			r = content_hash(ref->text, is_folder(ref), ref->hash, err);
	}
	if (r == 0 && rt_json_set(ref->slot, "sha256", rt_json_new_string(ref->hash)) < 0)
		r = rt_fail_nomem(err, "a key");
	return r < 0 ? rt_within(err, r, "%s", ref->param->name) : 0;
}

static int key_inputs(const struct pipeline *p, struct stage *s, struct rt_error *err)
{
	char text[RT_HASH_HEX + 64];

	for (int64_t i = 0; i < s->n_inputs; i++) {
		const struct edge  *e = &s->inputs[i];
		const struct stage *from = &p->stages[e->stage];

		snprintf(text, sizeof text, "%s/%s", from->key,
		         stage_ops(from)->outputs[e->output].name);
		if (rt_json_set(e->ref->slot, "key", rt_json_new_string(text)) < 0)
			return rt_fail_nomem(err, "a key");
	}
	return 0;
}

static int key_stage(struct stage *s, struct rt_error *err)
{
	struct rt_json *o = rt_json_new_object();
	struct rt_text  t = RT_TEXT_INIT;
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0)
		r |= rt_json_set(o, "retort-key", rt_json_new_int(KEY_VERSION));
	if (r == 0)
		r |= rt_json_set(o, "seed", rt_json_new_int(s->seed));
	if (r == 0)
		r |= rt_json_set(o, "stage", rt_json_ref(s->top->identity));
	if (r == 0)
		rt_json_print(o, RT_JSON_SORT, &t);
	if (r == 0 && !t.failed)
		rt_hash_hex(t.data, t.len, s->key);
	r = r < 0 || t.failed ? rt_fail_nomem(err, "a key") : 0;
	rt_text_free(&t);
	rt_json_free(o);
	return r;
}

int keys_compute(struct pipeline *p, struct rt_error *err)
{
	for (int64_t k = 0; k < p->n; k++) {
		struct stage *s = &p->stages[p->order[k]];
		int           r = 0;

		for (struct ref *ref = s->refs; r == 0 && ref; ref = ref->next)
			if (ref->what == REF_PATH)
				r = hash_ref(p, ref, err);
		if (r == 0)
			r = key_inputs(p, s, err);
		if (r == 0)
			r = key_stage(s, err);
		if (r < 0)
			return rt_within(err, r, "stage %s", s->name);
	}
	return 0;
}

int keys_still_true(const struct stage *s, struct rt_error *err)
{
	char now[RT_HASH_HEX];

	for (const struct ref *ref = s->refs; ref; ref = ref->next) {
		int r = 0;

		if (ref->what != REF_PATH)
			continue;
		r = content_mark(ref->text, is_folder(ref), now, err);
		if (r == 0 && strcmp(now, ref->mark) == 0)
			continue;
		if (r == 0)
			r = content_hash(ref->text, is_folder(ref), now, err);
		if (r < 0)
			return r;
		if (strcmp(now, ref->hash) != 0)
			return rt_fail(err, RT_E_IO,
			               "%s has changed since the pipeline was read, or while the "
			               "stage was reading it, "
			               "so its result is not kept; run again",
			               ref->text);
	}
	return 0;
}
