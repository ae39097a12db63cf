/* pack.c - weights in panels, for inference.  See model.h */
#include "model/checkpoint.h"
#include "model/model.h"

#include <retort/memory.h>

int model_pack(const struct model *m, struct panels **ret, struct rt_error *err)
{
	struct panels *p = rt_alloc((size_t)m->weights.n, sizeof *p);
	int            r = p ? 0 : rt_fail_nomem(err, "weights in panels");

	for (int64_t i = 0; r == 0 && i < m->weights.n; i++) {
		const struct rt_tensor *t = &m->weights.t[i];

		/* Of a tied embedding the head's panels are enough: rows are looked up in the file.
		 */
		if (i == W_EMBED || !t->data || t->ndim != 2)
			continue;
		r = panels_pack(&p[i], t, err);
		/* The file's pages would be memory that is never read again. */
		if (p[i].data && m->checkpoint)
			checkpoint_release(m->checkpoint, t);
	}
	if (r < 0 && p)
		model_pack_free(m, p);
	else
		*ret = p;
	return r;
}

void model_pack_free(const struct model *m, struct panels *p)
{
	for (int64_t i = 0; p && i < m->weights.n; i++)
		panels_free(&p[i]);
	rt_free(p);
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
