/* workspace.c - scratch memory that stays: see gemm.h */
#include <retort/memory.h>

#include "tensor/gemm.h"

#include <stdatomic.h>

enum { KEPT = 64 };

/* A slot is taken by exchanging its state; its memory belongs to who took it. */
static struct slot {
	atomic_int    taken;
	void *_Atomic data; /* others look at it to find their own */
	size_t        bytes;
} slots[KEPT];

void *workspace_take(size_t bytes)
{
	for (int i = 0; i < KEPT; i++) {
		struct slot *s = &slots[i];

		if (atomic_exchange(&s->taken, 1))
			continue;
		if (s->bytes < bytes) {
			void *old = atomic_exchange(&s->data,
			                            NULL); /* else its address may turn up twice */

			rt_free(old);
			s->data = rt_alloc_aligned(bytes, 1);
			s->bytes = s->data ? bytes : 0;
		}
		if (!s->data)
			atomic_store(&s->taken, 0);
		return s->data;
	}
	return rt_alloc_aligned(bytes, 1);
}

void workspace_give(void *p)
{
	if (!p)
		return;
	for (int i = 0; i < KEPT; i++)
		if (atomic_load(&slots[i].taken) && slots[i].data == p) {
			atomic_store(&slots[i].taken, 0);
			return;
		}
	rt_free(p);
}
