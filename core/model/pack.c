/* pack.c - weights in panels, for inference.  See model.h */
#include "model/checkpoint.h"
#include "model/model.h"

#include <retort/memory.h>

/* Of a tied embedding the head's panels are enough: rows are looked up in the file. */
static struct panels plan(const struct model *m, int64_t i)
{
	const struct rt_tensor *t = &m->weights.t[i];

	return i != W_EMBED && t->data ? panels_plan(t) : (struct panels){ 0 };
}

/* One block for all, of pages as large as there are. */
struct panels *model_pack(const struct model *m, struct rt_error *err)
{
	const int64_t  n = m->weights.n, head = (n * (int64_t)sizeof(struct panels) + 63) / 64 * 64;
	int64_t        bytes = head;
	struct panels *ret;
	uint8_t       *at;

	for (int64_t i = 0; i < n; i++) {
		const struct panels p = plan(m, i);

		bytes += panels_bytes(&p);
	}
	ret = (uint64_t)bytes <= PTRDIFF_MAX ? rt_alloc_unset((size_t)bytes, 1) : NULL;
	if (!ret) { /* on 32 bits, too, where panels are larger than the file */
		rt_fail_nomem(err, "weights in panels");
		return NULL;
	}
	at = (uint8_t *)ret + head;
	for (int64_t i = 0; i < n; i++) {
		const struct rt_tensor *t = &m->weights.t[i];

		ret[i] = plan(m, i);
		if (!ret[i].layout)
			continue;
		panels_fill(&ret[i], t, at);
		at += panels_bytes(&ret[i]); /* none for what did not fit */
		/* The file's pages would be memory that is never read again. */
		if (ret[i].data && m->checkpoint)
			checkpoint_release(m->checkpoint, t);
	}
	return ret;
}

int64_t model_read_bytes(const struct model *m, const struct panels *p)
{
	int64_t bytes = 0;

	for (int64_t i = 0; i < m->weights.n; i++) {
		const struct rt_tensor *t = &m->weights.t[i];

		if (i != W_EMBED && t->data)
			bytes += p && p[i].data ? panels_bytes(&p[i]) : (int64_t)rt_bytes(t);
	}
	return bytes;
}
