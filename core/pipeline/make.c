/* make.c - see make.h: open, run, check, commit. */
#include "pipeline/make.h"

#include "pipeline/artifact.h"
#include "pipeline/keys.h"
#include "pipeline/life.h"

#include <retort/file.h>
#include <retort/memory.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_OUTPUTS = 8 };

/* A stage while it is made. */
struct making {
	const struct pipeline *p;
	struct stage          *s;
	struct store          *store;
	struct rt_context      context;
	char                  *work, *out[MAX_OUTPUTS];
	struct rt_json        *manifest;
	bool                   resumed; /* an earlier run has left something to go on from */
};

/* The artifacts of its inputs get their folders and row counts. */
static int give_inputs(struct making *m, struct rt_error *err)
{
	for (int64_t i = 0; i < m->s->n_inputs; i++) {
		struct edge        *e = &m->s->inputs[i];
		const struct stage *from = &m->p->stages[e->stage];
		const char         *output = stage_ops(from)->outputs[e->output].name;
		struct rt_json     *manifest;

		int r = store_manifest(m->store, from->key, &manifest, err);

		if (r < 0)
			return r;
		e->artifact.rows = rt_json_int(
			rt_json_get(rt_json_get(rt_json_get(manifest, "outputs"), output), "rows"),
			-1);
		rt_json_free(manifest);
		rt_free((char *)e->artifact.path);
		e->artifact.path = store_path(m->store, "objects", from->key, output);
		if (!e->artifact.path)
			return rt_fail_nomem(err, "an input");
	}
	return 0;
}

static void take_inputs_back(struct making *m)
{
	for (int64_t i = 0; i < m->s->n_inputs; i++) {
		rt_free((char *)m->s->inputs[i].artifact.path);
		m->s->inputs[i].artifact.path = NULL;
	}
}

static int make_outputs(struct making *m, struct rt_error *err)
{
	int r = 0;

	for (int64_t i = 0; r == 0 && i < m->s->n_outputs; i++) {
		m->out[i] =
			store_path(m->store, "tmp", m->s->key, stage_ops(m->s)->outputs[i].name);
		r = m->out[i] ? rt_mkdir_all(m->out[i], err) : rt_fail_nomem(err, "an output");
	}
	return r;
}

/* Read every output again, as whoever uses it next will. */
static int check_outputs(struct making *m, struct rt_json *outputs, struct rt_error *err)
{
	for (int64_t i = 0; i < m->s->n_outputs; i++) {
		const struct rt_stage_output *o = &stage_ops(m->s)->outputs[i];
		struct rt_json               *about;
		int                           r = artifact_check(m->out[i], o->type, &about, err);

		if (r < 0)
			return rt_within(err, r, "reported success, but its output '%s' is wrong",
			                 o->name);
		if (rt_json_set(outputs, o->name, about) < 0)
			return rt_fail_nomem(err, "a manifest");
	}
	return 0;
}

static struct rt_json *inputs_json(const struct making *m)
{
	struct rt_json *list = rt_json_new_array();

	for (int64_t i = 0; list && i < m->s->n_inputs; i++) {
		const struct edge  *e = &m->s->inputs[i];
		const struct stage *from = &m->p->stages[e->stage];
		struct rt_json     *o = rt_json_new_object();
		int                 r = o ? 0 : RT_E_NOMEM;

		if (r == 0)
			r |= rt_json_set(o, "parameter", rt_json_new_string(e->ref->param->name));
		if (r == 0)
			r |= rt_json_set(o, "stage", rt_json_new_string(from->name));
		if (r == 0)
			r |= rt_json_set(
				o, "output",
				rt_json_new_string(stage_ops(from)->outputs[e->output].name));
		if (r == 0)
			r |= rt_json_set(o, "key", rt_json_new_string(from->key));
		if (r < 0 || rt_json_append(list, o) < 0) {
			if (r < 0)
				rt_json_free(o);
			rt_json_free(list);
			return NULL;
		}
	}
	return list;
}

static struct rt_json *files_json(const struct stage *s)
{
	struct rt_json *list = rt_json_new_array();

	for (const struct ref *ref = s->refs; list && ref; ref = ref->next) {
		struct rt_json *o = ref->what == REF_PATH ? rt_json_new_object() : NULL;

		if (ref->what != REF_PATH)
			continue;
		if (!o || rt_json_set(o, "parameter", rt_json_new_string(ref->param->name)) < 0 ||
		    rt_json_set(o, "path", rt_json_new_string(ref->text)) < 0 ||
		    rt_json_set(o, "sha256", rt_json_new_string(ref->hash)) < 0) {
			rt_json_free(o);
			rt_json_free(list);
			return NULL;
		}
		if (rt_json_append(list, o) < 0) {
			rt_json_free(list);
			return NULL;
		}
	}
	return list;
}

/* What the artifact came from.  Of the run only what does not change its meaning: two runs of the
 * same stage differ in "made" alone. */
static int describe(struct making *m, const char *gate, double seconds, struct rt_error *err)
{
	struct rt_json *o = m->manifest, *made = rt_json_new_object();
	int             r = 0;

	r |= rt_json_set(o, "retort", rt_json_new_int(1));
	r |= rt_json_set(o, "key", rt_json_new_string(m->s->key));
	r |= rt_json_set(o, "seed", rt_json_new_int(m->s->seed));
	r |= rt_json_set(o, "stage", rt_json_ref(m->s->top->identity));
	r |= rt_json_set(o, "inputs", inputs_json(m));
	r |= rt_json_set(o, "files", files_json(m->s));
	if (gate)
		r |= rt_json_set(o, "gate", rt_json_new_string(gate));
	if (made) {
		r |= rt_json_set(made, "name", rt_json_new_string(m->s->name));
		r |= rt_json_set(made, "finished", rt_json_new_int((int64_t)time(NULL)));
		r |= rt_json_set(made, "seconds", rt_json_new_real(seconds));
		/* What earlier parts took, a kill lets nobody know. */
		r |= rt_json_set(made, "resumed", rt_json_new_bool(m->resumed));
	}
	r |= rt_json_set(o, "made", made);
	return r < 0 ? rt_fail_nomem(err, "a manifest") : 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Open, run, close: 0, RT_E_GATE with outputs, or an error without. */
static int run_plugin(struct making *m, struct rt_error *err)
{
	int r = life_open(m->s->top, &m->context, err);

	if (r < 0)
		return r;
	r = stage_ops(m->s)->run(m->s->top->component.state, &m->context,
	                         (const char *const *)m->out, err);
	life_close(m->s->top);
	return r;
}

static int make(struct making *m, struct rt_error *err)
{
	const double    start = now();
	struct rt_error gate = RT_ERROR_INIT;
	struct rt_json *outputs = rt_json_new_object();
	int             r, g;

	m->manifest = rt_json_new_object();
	if (!outputs || !m->manifest ||
	    rt_json_set(m->manifest, "outputs", rt_json_ref(outputs)) < 0) {
		rt_json_free(outputs);
		return rt_fail_nomem(err, "a manifest");
	}
	g = run_plugin(m, &gate);
	if (g < 0 && g != RT_E_GATE) {
		if (err)
			*err = gate;
		rt_json_free(outputs);
		return g;
	}
	context_redact(gate.msg);
	r = check_outputs(m, outputs, err);
	if (r == 0)
		r = keys_still_true(m->s, err);
	if (r == 0)
		r = describe(m, g == RT_E_GATE ? gate.msg : NULL, now() - start, err);
	if (r == 0)
		r = store_commit(m->store, m->s->key, m->manifest, err);
	rt_json_free(outputs);
	return r;
}

static uint64_t seed_of(const char *key)
{
	char half[17];

	memcpy(half, key, 16);
	half[16] = '\0';
	return strtoull(half, NULL, 16);
}

int make_stage(const struct pipeline *p, struct stage *s, struct store *store,
               const struct context_sink *sink, struct rt_error *err)
{
	struct making m = { .p = p, .s = s, .store = store };
	int           r;

	m.resumed = make_has_begun(store, s);
	r = store_begin(store, s->key, err);
	m.work = store_path(store, "work", s->key, NULL);
	m.context = (struct rt_context){
		.sink = sink, .stage = s->name, .seed = seed_of(s->key), .work_dir = m.work
	};
	if (r == 0 && !m.work)
		r = rt_fail_nomem(err, "a work folder");
	if (r == 0)
		r = make_outputs(&m, err);
	if (r == 0)
		r = give_inputs(&m, err);
	if (r == 0)
		r = make(&m, err);
	take_inputs_back(&m);
	rt_json_free(m.manifest);
	rt_free(m.work);
	for (int i = 0; i < MAX_OUTPUTS; i++)
		rt_free(m.out[i]);
	return r;
}

static int any_entry(void *arg, const char *name, bool is_dir, struct rt_error *err)
{
	(void)name, (void)is_dir, (void)err;
	*(bool *)arg = true;
	return 0;
}

bool make_has_begun(const struct store *store, const struct stage *s)
{
	char *work = store_path(store, "work", s->key, NULL);
	bool  any = false;

	if (work && rt_exists(work))
		rt_list_dir(work, any_entry, &any, NULL);
	rt_free(work);
	return any;
}
