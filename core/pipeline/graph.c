/* graph.c - see graph.h */
#include "pipeline/graph.h"

#include "plugin/registry.h"

#include <retort/text.h>

#include <stdio.h>
#include <string.h>

/* The stage whose name is the first n bytes of text and the suffix; -1: none. */
static int64_t find(const struct pipeline *p, const char *text, size_t n, const char *suffix)
{
	for (int64_t i = 0; i < p->n; i++) {
		const char *name = p->stages[i].name;

		if (strncmp(name, text, n) == 0 && strcmp(name + n, suffix) == 0)
			return i;
	}
	return -1;
}

/* The stage in "stage.output", and where the output's name begins (NULL: the default one).  A
 * repeat takes what is repeated with it from the same repeat. */
static int64_t split(const struct pipeline *p, const struct stage *s, const char *text,
                     const char **output)
{
	const char   *dot = strchr(text, '.');
	const size_t  n = dot ? (size_t)(dot - text) : strlen(text);
	const int64_t i = find(p, text, n, s->suffix);

	*output = dot ? dot + 1 : NULL;
	return i >= 0 && strcmp(p->stages[i].suffix, s->suffix) == 0 ? i : find(p, text, n, "");
}

static void no_stage(const struct pipeline *p, const struct stage *s, const struct ref *ref,
                     struct report *report)
{
	const char *names[4096], *guess;
	int64_t     n = 0;

	for (int64_t i = 0; i < p->n && n < 4095; i++)
		if (p->stages[i].name != s->name)
			names[n++] = p->stages[i].name;
	names[n] = NULL;
	guess = rt_suggest(ref->text, names);
	report_error(report, ref->at, "stage %s: %s = \"%s\": no stage has this name%s%s%s",
	             s->name, ref->param->name, ref->text, guess ? "; did you mean '" : "",
	             guess ? guess : "", guess ? "'?" : "");
}

static int64_t find_output(const struct stage *from, const char *name)
{
	const struct rt_stage_output *o = stage_ops(from)->outputs;

	if (!name)
		return 0;
	for (int64_t i = 0; o[i].name; i++)
		if (strcmp(o[i].name, name) == 0)
			return i;
	return -1;
}

static void no_output(const struct stage *s, const struct ref *ref, const struct stage *from,
                      struct report *report)
{
	const struct rt_stage_output *o = stage_ops(from)->outputs;
	struct rt_text                t = RT_TEXT_INIT;

	for (int64_t i = 0; o[i].name; i++)
		rt_text_printf(&t, "%s%s.%s", i ? ", " : "", from->name, o[i].name);
	report_error(report, ref->at, "stage %s: %s = \"%s\": stage %s has no such output, only %s",
	             s->name, ref->param->name, ref->text, from->name, t.data);
	rt_text_free(&t);
}

/* "stage.output", or "stage" where only that was written. */
static const char *name_output(struct pipeline *p, const struct stage *from, const char *output,
                               struct report *report)
{
	char *name;

	if (!output)
		return from->name;
	name = rt_arena_alloc(&p->arena, strlen(from->name) + strlen(output) + 2, 1);
	if (!name) {
		report->nomem = true;
		return from->name;
	}
	sprintf(name, "%s.%s", from->name, output);
	return name;
}

static void resolve(struct pipeline *p, struct stage *s, struct edge *e, struct report *report)
{
	const struct ref             *ref = e->ref;
	const struct rt_stage_output *out;
	const char                   *output;
	struct stage                 *from;
	int64_t                       i = split(p, s, ref->text, &output), o;

	e->stage = e->output = -1;
	if (i < 0) {
		no_stage(p, s, ref, report);
		return;
	}
	from = &p->stages[i];
	from->used = true;
	if (!from->top) /* its own mistake has been reported */
		return;
	o = find_output(from, output);
	if (o < 0) {
		no_output(s, ref, from, report);
		return;
	}
	out = &stage_ops(from)->outputs[o];
	if (out->type != ref->param->of) {
		report_error(report, ref->at, "stage %s: %s = \"%s\" is a %s, a %s is needed",
		             s->name, ref->param->name, ref->text, artifact_type_name(out->type),
		             artifact_type_name(ref->param->of));
		return;
	}
	e->stage = i;
	e->output = o;
	e->artifact = (struct rt_artifact){ .type = out->type,
		                            .name = name_output(p, from, output, report),
		                            .rows = -1 };
	*ref->field = &e->artifact;
}

static void resolve_stage(struct pipeline *p, struct stage *s, struct report *report)
{
	for (const struct ref *r = s->refs; r; r = r->next)
		s->n_inputs += r->what == REF_INPUT;
	s->inputs = rt_arena_alloc(&p->arena, (size_t)s->n_inputs, sizeof *s->inputs);
	if (!s->inputs) {
		report->nomem = true;
		s->n_inputs = 0;
		return;
	}
	s->n_inputs = 0;
	for (const struct ref *r = s->refs; r; r = r->next)
		if (r->what == REF_INPUT) {
			struct edge *e = &s->inputs[s->n_inputs++];

			e->ref = r;
			resolve(p, s, e, report);
		}
}

/* An input of a stage that is left over which is left over too: there is one. */
static int64_t left_over_input(const struct pipeline *p, const bool *placed, int64_t at)
{
	const struct stage *s = &p->stages[at];

	for (int64_t i = 0; i < s->n_inputs; i++)
		if (s->inputs[i].stage >= 0 && !placed[s->inputs[i].stage])
			return s->inputs[i].stage;
	return at;
}

/* "a <- b <- a".  From any stage that is left over, as many steps as there are stages end on a
 * cycle. */
static void report_cycle(const struct pipeline *p, const bool *placed, struct report *report)
{
	struct rt_text t = RT_TEXT_INIT;
	int64_t        at = 0, start;

	while (placed[at])
		at++;
	for (int64_t i = 0; i < p->n; i++)
		at = left_over_input(p, placed, at);
	start = at;
	rt_text_printf(&t, "%s", p->stages[at].name);
	do {
		at = left_over_input(p, placed, at);
		rt_text_printf(&t, " <- %s", p->stages[at].name);
	} while (at != start);
	report_error(report, p->stages[at].at, "stages wait for one another: %s", t.data);
	rt_text_free(&t);
}

static bool ready(const struct stage *s, const bool *placed)
{
	for (int64_t i = 0; i < s->n_inputs; i++)
		if (s->inputs[i].stage >= 0 && !placed[s->inputs[i].stage])
			return false;
	return true;
}

/* Kahn's order (1962), kept close to the file's: each round takes what is ready. */
static void put_in_order(struct pipeline *p, struct report *report)
{
	bool   *placed = rt_arena_alloc(&p->arena, (size_t)p->n, sizeof *placed);
	int64_t n = 0;

	p->order = rt_arena_alloc(&p->arena, (size_t)p->n, sizeof *p->order);
	if (!placed || !p->order) {
		report->nomem = true;
		return;
	}
	for (int64_t before = -1; n > before && n < p->n;) {
		before = n;
		for (int64_t i = 0; i < p->n; i++)
			if (!placed[i] && ready(&p->stages[i], placed)) {
				placed[i] = true;
				p->order[n++] = i;
			}
	}
	if (n < p->n)
		report_cycle(p, placed, report);
}

/* A stage whose dataset or model nobody takes is often a slip in a name. */
static void warn_unused(const struct pipeline *p, struct report *report)
{
	int64_t last = p->n - 1;

	while (last >= 0 && *p->stages[last].suffix)
		last--;
	for (int64_t i = 0; i < last; i++) {
		const struct stage *s = &p->stages[i];

		if (!s->used && !s->result && s->top && stage_ops(s)->outputs[0].type != RT_METRICS)
			report_warning(report, s->at,
			               "stage %s: no stage uses its %s; if it is a result, say "
			               "result = true",
			               s->name, artifact_type_name(stage_ops(s)->outputs[0].type));
	}
}

void graph_build(struct pipeline *p, struct report *report)
{
	for (int64_t i = 0; i < p->n; i++)
		if (!*p->stages[i].suffix || report->errors == 0) /* else it has been said */
			resolve_stage(p, &p->stages[i], report);
	put_in_order(p, report);
	if (report->errors == 0) /* what follows from a mistake is none of its own */
		warn_unused(p, report);
}
