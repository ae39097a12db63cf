/* kind.c - see kind.h.  What a kind requires stands here once, as a table. */
#include "plugin/kind.h"

#include "plugin/param.h"

#include <retort/distill.h>
#include <retort/format.h>
#include <retort/judge.h>
#include <retort/optimizer.h>
#include <retort/pruner.h>
#include <retort/quantizer.h>
#include <retort/rejector.h>
#include <retort/rl.h>
#include <retort/sampler.h>
#include <retort/stage.h>
#include <retort/teacher.h>
#include <retort/text.h>
#include <retort/tool.h>
#include <retort/tracker.h>

#include <string.h>

#define RT_X(name, num, text, member) [num] = text,
static const char *const names[RT_KIND_END_] = { RT_KIND_MAP(RT_X) };
#undef RT_X

#define RT_X(name, num, text, member) [num] = RT_##name##_ABI,
static const uint16_t abis[RT_KIND_END_] = { RT_KIND_MAP(RT_X) };
#undef RT_X

/* Sizes of the ops as first released: a plugin's may be larger, never smaller. */
#define RT_X(name, num, text, member) [num] = sizeof(struct rt_##member##_ops),
static const size_t sizes[RT_KIND_END_] = { RT_KIND_MAP(RT_X) };
#undef RT_X

/* One of the pointers in a row must be there; a second one goes with the first. */
struct need {
	unsigned    kind;
	const char *what;
	struct choice {
		size_t at, with; /* with 0: alone */
	} any[2];                /* second at 0: no choice */
};

#define OPS(k, m) offsetof(struct rt_##k##_ops, m)
static const struct need needs[] = {
	{ RT_KIND_STAGE, "run", { { OPS(stage, run), 0 } } },
	{ RT_KIND_STAGE, "outputs", { { OPS(stage, outputs), 0 } } },
	{ RT_KIND_TEACHER, "chat", { { OPS(teacher, chat), 0 } } },
	{ RT_KIND_TOOL, "call", { { OPS(tool, call), 0 } } },
	{ RT_KIND_TOOL, "function", { { OPS(tool, function), 0 } } },
	{ RT_KIND_JUDGE, "judge", { { OPS(judge, judge), 0 } } },
	{ RT_KIND_SAMPLER, "sample", { { OPS(sampler, sample), 0 } } },
	{ RT_KIND_REJECTOR, "select", { { OPS(rejector, select), 0 } } },
	{ RT_KIND_RL,
	  "advantages with loss, or prefer",
	  { { OPS(rl, advantages), OPS(rl, loss) }, { OPS(rl, prefer), 0 } } },
	{ RT_KIND_DISTILL, "eval", { { OPS(distill, eval), 0 } } },
	{ RT_KIND_PRUNER,
	  "mask or score",
	  { { OPS(pruner, mask), 0 }, { OPS(pruner, score), 0 } } },
	{ RT_KIND_QUANTIZER, "quantize", { { OPS(quantizer, quantize), 0 } } },
	{ RT_KIND_OPTIMIZER, "update", { { OPS(optimizer, update), 0 } } },
	{ RT_KIND_FORMAT, "probe", { { OPS(format, probe), 0 } } },
	{ RT_KIND_FORMAT, "read with release", { { OPS(format, read), OPS(format, release) } } },
	{ RT_KIND_FORMAT, "write", { { OPS(format, write), 0 } } },
	{ RT_KIND_TRACKER, "begin", { { OPS(tracker, begin), 0 } } },
	{ RT_KIND_TRACKER, "scalar", { { OPS(tracker, scalar), 0 } } },
	{ RT_KIND_TRACKER, "event", { { OPS(tracker, event), 0 } } },
	{ RT_KIND_TRACKER, "flush", { { OPS(tracker, flush), 0 } } },
};
#undef OPS

static bool is_kind(unsigned kind)
{
	return kind >= 1 && kind < RT_KIND_END_;
}

const char *kind_name(unsigned kind)
{
	return is_kind(kind) ? names[kind] : "unknown";
}

unsigned kind_find(const char *name)
{
	for (unsigned k = 1; k < RT_KIND_END_; k++)
		if (strcmp(names[k], name) == 0)
			return k;
	return 0;
}

const char *kind_suggest(const char *name)
{
	const char *list[RT_KIND_END_] = { NULL };

	memcpy(list, names + 1, sizeof list - sizeof *list);
	return rt_suggest(name, list);
}

unsigned kind_split(const char *id, const char **ret_name)
{
	const size_t n = strcspn(id, "-");

	for (unsigned k = 1; k < RT_KIND_END_; k++)
		if (strlen(names[k]) == n && strncmp(names[k], id, n) == 0 && id[n] && id[n + 1]) {
			*ret_name = id + n + 1;
			return k;
		}
	return 0;
}

const char *kind_with_article(unsigned kind)
{
#define RT_X(name, num, text, member) [num] = "a " text,
	static const char *const texts[RT_KIND_END_] = { RT_KIND_MAP(RT_X) };
#undef RT_X

	if (kind == RT_KIND_OPTIMIZER)
		return "an optimizer";
	if (kind == RT_KIND_RL)
		return "an rl";
	return is_kind(kind) ? texts[kind] : "unknown";
}

unsigned kind_abi(unsigned kind)
{
	return is_kind(kind) ? abis[kind] : 0;
}

static bool there(const void *ops, size_t at)
{
	const void *p;

	memcpy(&p, (const char *)ops + at, sizeof p);
	return p != NULL;
}

static bool met(const void *ops, const struct need *n)
{
	for (int i = 0; i < 2 && n->any[i].at; i++)
		if (there(ops, n->any[i].at) && (!n->any[i].with || there(ops, n->any[i].with)))
			return true;
	return false;
}

static int vet_output(const struct rt_stage_output *all, int i, struct rt_error *err)
{
	const struct rt_stage_output *o = &all[i];

	if (!param_name_ok(o->name, '_'))
		return rt_fail(err, RT_E_ABI,
		               "output '%s': a name has lower case letters, digits and _", o->name);
	if (!param_sentence_ok(o->doc))
		return rt_fail(err, RT_E_ABI,
		               "output '%s': its doc must be a sentence with its full stop",
		               o->name);
	if (o->type < RT_DATASET || o->type >= RT_ARTIFACT_END_)
		return rt_fail(err, RT_E_ABI, "output '%s': unknown artifact type %u", o->name,
		               o->type);
	for (int k = 0; k < i; k++)
		if (strcmp(all[k].name, o->name) == 0)
			return rt_fail(err, RT_E_ABI, "output '%s' is declared twice", o->name);
	return 0;
}

static int vet_outputs(const struct rt_stage_ops *ops, struct rt_error *err)
{
	enum { MOST = sizeof((struct rt_estimate *)0)->rows / sizeof(int64_t) };
	int n = 0;

	for (; n <= MOST && ops->outputs[n].name; n++) {
		const int r = vet_output(ops->outputs, n, err);

		if (r < 0)
			return r;
	}
	if (n < 1 || n > MOST)
		return rt_fail(err, RT_E_ABI,
		               "a stage has 1 to %d outputs, and a row with name NULL behind them",
		               MOST);
	return 0;
}

int kind_vet_ops(const struct rt_plugin *p, struct rt_error *err)
{
	uint32_t size;

	if (!p->ops.any)
		return rt_fail(err, RT_E_ABI, "has no operations: set .ops.%s", kind_name(p->kind));
	memcpy(&size, p->ops.any, sizeof size);
	if (size < sizes[p->kind])
		return rt_fail(err, RT_E_ABI,
		               "its operations have %u bytes, %s interface %u has %zu: set .size, "
		               "or rebuild it",
		               size, kind_name(p->kind), kind_abi(p->kind), sizes[p->kind]);
	for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
		if (needs[i].kind == p->kind && !met(p->ops.any, &needs[i]))
			return rt_fail(err, RT_E_ABI, "lacks an operation that every %s has: %s",
			               kind_name(p->kind), needs[i].what);
	if (p->kind == RT_KIND_STAGE)
		return vet_outputs(p->ops.stage, err);
	if (p->kind == RT_KIND_OPTIMIZER) {
		const uint32_t a = p->ops.optimizer->moments, b = p->ops.optimizer->matrix_moments;

		if (a > 4 || b > 4)
			return rt_fail(err, RT_E_ABI,
			               "wants %u moments, an optimizer has at most 4",
			               a > b ? a : b);
	}
	if (p->kind == RT_KIND_PRUNER &&
	    (p->ops.pruner->score != NULL) != (p->ops.pruner->units != NULL))
		return rt_fail(err, RT_E_ABI,
		               "score and units go together: which units are scored?");
	return 0;
}
