/* fuzz-vet.c - vetting a plugin: the bytes of an object file, and a descriptor of any numbers.
 *
 * The first half of the input fills the descriptor and a parameter table; pointers lead to texts
 * inside the input or are NULL, as a plugin's do. */
#include "fuzz.h"

#include "plugin/object.h"
#include "plugin/vet.h"

#include <retort/judge.h>
#include <retort/memory.h>

#include <stdlib.h>
#include <string.h>

enum { ROWS = 3 };

/* Takes numbers and texts from the input, zeros when it is used up. */
struct input {
	const uint8_t *at;
	size_t         left;
	char          *texts; /* a terminated copy */
	size_t         n;
};

static uint64_t number(struct input *in, size_t bytes)
{
	uint64_t x = 0;

	bytes = bytes < in->left ? bytes : in->left;
	memcpy(&x, in->at, bytes);
	in->at += bytes;
	in->left -= bytes;
	return x;
}

static const char *text(struct input *in)
{
	const uint64_t at = number(in, 2);

	return at % 7 == 0 ? NULL : in->texts + at % (in->n + 1);
}

static void row(struct input *in, struct rt_param *p, const char *const *choices)
{
	p->name = text(in);
	p->unit = text(in);
	p->doc = text(in);
	p->type = (uint16_t)number(in, 1);
	p->of = (uint16_t)number(in, 1);
	p->flags = (uint32_t)number(in, 1);
	p->list = (uint32_t)number(in, 1) & 1;
	p->offset = (uint32_t)number(in, 1);
	p->least = (int64_t)number(in, 1);
	p->most = (int64_t)number(in, 1);
	p->choices = number(in, 1) & 1 ? choices : NULL;
	p->min.i = (int64_t)number(in, 8);
	p->max.i = (int64_t)number(in, 8);
	if (p->type == RT_STRING || p->type == RT_PATH || p->type == RT_COMPONENT)
		p->dflt.s = text(in);
	else
		p->dflt.i = (int64_t)number(in, 8);
}

static int judge(void *state, const struct rt_group *groups, int64_t n, struct rt_verdict *v,
                 struct rt_error *err)
{
	(void)state, (void)groups, (void)n, (void)v, (void)err;
	return 0;
}

static void vet(struct input *in)
{
	const char         *choices[] = { "a", "b", NULL };
	struct rt_param     rows[ROWS + 1] = { 0 };
	struct rt_judge_ops ops = { .size = sizeof ops, .judge = judge };
	struct rt_plugin    p = { .magic = RT_MAGIC,
		                  .abi_major = RT_ABI_MAJOR,
		                  .size = sizeof p,
		                  .kind = RT_KIND_JUDGE,
		                  .kind_abi = RT_JUDGE_ABI };
	struct rt_error     err = RT_ERROR_INIT;
	const uint64_t      spoil = number(in, 1);

	if (spoil & 1)
		p.magic = (uint32_t)number(in, 4);
	if (spoil & 2)
		p.abi_major = (uint16_t)number(in, 1);
	if (spoil & 4)
		p.abi_minor = (uint16_t)number(in, 1);
	if (spoil & 8)
		p.size = (uint32_t)number(in, 2);
	if (spoil & 16)
		p.kind_abi = (uint16_t)number(in, 2);
	if (spoil & 32)
		ops.judge = NULL;
	if (spoil & 64)
		ops.size = (uint32_t)number(in, 1);
	p.ops.judge = spoil & 128 ? NULL : &ops;
	p.name = text(in);
	p.version = text(in);
	p.license = text(in);
	p.summary = text(in);
	p.config_size = number(in, 1);
	for (int i = 0; i < ROWS; i++)
		row(in, &rows[i], choices);
	p.params = rows;
	if (vet_plugin(&p, NULL, &err) < 0 && !*err.msg)
		abort(); /* refused without a reason */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input    in = { data, size / 2,
		               rt_strndup((const char *)data + size / 2, size - size / 2),
		               size - size / 2 };
	struct rt_error err = RT_ERROR_INIT;

	if (in.texts)
		vet(&in);
	rt_free(in.texts);
	if (object_check_bytes(data, size, &err) < 0 && !*err.msg)
		abort();
	return 0;
}
