/* vet.c - see plugin/vet.h */
#include "plugin/vet.h"

#include "plugin/param.h"
#include "plugin/registry.h"

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
#include <retort/tool.h>
#include <retort/tracker.h>

#include <stdio.h>
#include <string.h>

/* The operations of each kind: one of each group must be there.  Groups end with 0, and so
 * does the list. */
#define OP(kind, op) offsetof(struct rt_##kind##_ops, op)

static const struct {
	unsigned abi;
	size_t   first; /* the size of the ops table in the first release */
	struct {
		size_t      at;
		const char *name;
		bool        or_next; /* this, or the one behind it, is enough */
	} need[4];
} kinds[] = {
	[RT_KIND_STAGE] = { RT_STAGE_ABI, sizeof(struct rt_stage_ops),
		            { { OP(stage, outputs), "outputs", 0 }, { OP(stage, run), "run", 0 } } },
	[RT_KIND_TEACHER] = { RT_TEACHER_ABI, sizeof(struct rt_teacher_ops), { { OP(teacher, chat), "chat", 0 } } },
	[RT_KIND_TOOL] = { RT_TOOL_ABI, sizeof(struct rt_tool_ops),
		           { { OP(tool, call), "call", 0 }, { OP(tool, serves), "serves", 0 } } },
	[RT_KIND_JUDGE] = { RT_JUDGE_ABI, sizeof(struct rt_judge_ops), { { OP(judge, judge), "judge", 0 } } },
	[RT_KIND_SAMPLER] = { RT_SAMPLER_ABI, sizeof(struct rt_sampler_ops), { { OP(sampler, sample), "sample", 0 } } },
	[RT_KIND_REJECTOR] = { RT_REJECTOR_ABI, sizeof(struct rt_rejector_ops),
		               { { OP(rejector, select), "select", 0 } } },
	[RT_KIND_RL] = { RT_RL_ABI, sizeof(struct rt_rl_ops),
		         { { OP(rl, loss), "loss", 1 }, { OP(rl, prefer), "prefer", 0 } } },
	[RT_KIND_DISTILL] = { RT_DISTILL_ABI, sizeof(struct rt_distill_ops), { { OP(distill, eval), "eval", 0 } } },
	[RT_KIND_PRUNER] = { RT_PRUNER_ABI, sizeof(struct rt_pruner_ops),
		             { { OP(pruner, mask), "mask", 1 }, { OP(pruner, score), "score", 0 } } },
	[RT_KIND_QUANTIZER] = { RT_QUANTIZER_ABI, sizeof(struct rt_quantizer_ops),
		                { { OP(quantizer, quantize), "quantize", 0 } } },
	[RT_KIND_OPTIMIZER] = { RT_OPTIMIZER_ABI, sizeof(struct rt_optimizer_ops),
		                { { OP(optimizer, update), "update", 0 } } },
	[RT_KIND_FORMAT] = { RT_FORMAT_ABI, sizeof(struct rt_format_ops),
		             { { OP(format, probe), "probe", 0 }, { OP(format, read), "read", 0 } } },
	[RT_KIND_TRACKER] = { RT_TRACKER_ABI, sizeof(struct rt_tracker_ops),
		              { { OP(tracker, begin), "begin", 0 }, { OP(tracker, scalar), "scalar", 0 },
		                { OP(tracker, event), "event", 0 } } },
};

static bool has(const void *ops, size_t at)
{
	void *p;

	memcpy(&p, (const char *)ops + at, sizeof p);
	return p != NULL;
}

static int vet_ops(const struct rt_plugin *p, struct rt_error *err)
{
	const void *ops = p->ops.any;
	uint32_t    size;

	if (!ops)
		return rt_fail(err, RT_E_ABI, "has no operations: set .ops.%s", kind_name(p->kind));
	memcpy(&size, ops, sizeof size);
	if (size < kinds[p->kind].first)
		return rt_fail(err, RT_E_ABI,
		               "its operations take %u bytes, a %s has %zu; set .size = sizeof ops and rebuild it",
		               size, kind_name(p->kind), kinds[p->kind].first);
	for (int i = 0; i < 4 && kinds[p->kind].need[i].name; i++) {
		if (has(ops, kinds[p->kind].need[i].at))
			i += kinds[p->kind].need[i].or_next;
		else if (!kinds[p->kind].need[i].or_next)
			return rt_fail(err, RT_E_ABI, "lacks the operation '%s' that every %s must have",
			               kinds[p->kind].need[i].name, kind_name(p->kind));
	}
	return 0;
}

static int vet_outputs(const struct rt_plugin *p, struct rt_error *err)
{
	const struct rt_stage_output *o = p->ops.stage->outputs;
	int                           n = 0;

	for (; n <= 8 && o[n].name; n++)
		if (o[n].type < RT_DATASET || o[n].type >= RT_ARTIFACT_END_ || strchr(o[n].name, '.') ||
		    strchr(o[n].name, '/') || !o[n].doc)
			return rt_fail(err, RT_E_ABI, "its output '%s' needs a plain name, a type and a sentence",
			               o[n].name);
	if (n == 0 || n > 8)
		return rt_fail(err, RT_E_ABI, "a stage has 1 to 8 outputs, this one %s", n ? "more" : "none");
	return 0;
}

static int vet_versions(const struct rt_plugin *p, struct rt_error *err)
{
	if (p->magic != RT_MAGIC)
		return rt_fail(err, RT_E_ABI, "is not a retort plugin: its descriptor begins with 0x%08x", p->magic);
	if (p->abi_major != RT_ABI_MAJOR)
		return rt_fail(err, RT_E_ABI, "was built for plugin ABI %u.%u, this is %d.%d; rebuild it",
		               p->abi_major, p->abi_minor, RT_ABI_MAJOR, RT_ABI_MINOR);
	if (p->abi_minor > RT_ABI_MINOR)
		return rt_fail(err, RT_E_ABI,
		               "was built for plugin ABI %u.%u, this is the older %d.%d; update retort or rebuild it",
		               p->abi_major, p->abi_minor, RT_ABI_MAJOR, RT_ABI_MINOR);
	if (p->size < sizeof(struct rt_plugin))
		return rt_fail(err, RT_E_ABI, "its descriptor has %u bytes, %zu are needed; rebuild it", p->size,
		               sizeof(struct rt_plugin));
	if (p->kind < 1 || p->kind >= RT_KIND_END_)
		return rt_fail(err, RT_E_ABI, "is of kind %u, which this retort does not know; update retort", p->kind);
	if (p->kind_abi != kinds[p->kind].abi)
		return rt_fail(err, RT_E_ABI, "was built for version %u of the kind %s, this is %u; rebuild it",
		               p->kind_abi, kind_name(p->kind), kinds[p->kind].abi);
	return 0;
}

static bool good_name(const char *s)
{
	return s && *s >= 'a' && *s <= 'z' && strlen(s) <= 64 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s);
}

int vet_plugin(const struct rt_plugin *p, const char *id, struct rt_error *err)
{
	char own[160];
	int  r = vet_versions(p, err);

	if (r < 0)
		return r;
	if (!good_name(p->name))
		return rt_fail(err, RT_E_ABI, "its name must have small letters, digits and - only");
	snprintf(own, sizeof own, "%s-%s", kind_name(p->kind), p->name);
	if (id && strcmp(id, own) != 0)
		return rt_fail(err, RT_E_ABI, "says that it is %s; rename the file to %s.so", own, own);
	if (!p->version || !*p->version || !p->license || !*p->license || !p->summary || !*p->summary)
		return rt_fail(err, RT_E_ABI, "must state version, license and summary");
	if (p->config_size > 1 << 20 || p->state_size > (size_t)1 << 30)
		return rt_fail(err, RT_E_ABI, "wants %zu bytes of config and %zu of state; at most 1 MiB and 1 GiB",
		               p->config_size, p->state_size);
	r = param_vet(p->params, p->config_size, err);
	if (r == 0)
		r = vet_ops(p, err);
	return r < 0 || p->kind != RT_KIND_STAGE ? r : vet_outputs(p, err);
}
