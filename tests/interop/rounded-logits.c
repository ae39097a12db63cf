/* rounded-logits.c - rounded-logits MODEL exact|rounded ID...: the logits at each place, as f32 on
 * standard output; of products in f32, or of integers as generation computes them. */
#include "model/rt-model.h"

#include <retort/memory.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 };

static int write_logits(const struct rt_model *m, bool rounded, const int32_t *ids, int64_t n,
                        struct rt_error *err)
{
	const struct rt_model_shape *s = rt_model_shape(m);
	float           *hidden = rt_alloc_aligned((size_t)(n * s->hidden), sizeof *hidden);
	float           *logits = rt_alloc_aligned((size_t)(n * s->vocabulary), sizeof *logits);
	int32_t          position[MOST];
	struct rt_span   span = { 0, n, 0, n, 0 };
	struct rt_batch  b = { ids, position, n, &span, 1 };
	struct model_run run = { .matmul_flags = RT_MATMUL_MANY };
	struct panels   *panels = NULL;
	int              r = hidden && logits ? 0 : rt_fail_nomem(err, "logits");

	for (int64_t i = 0; i < n; i++)
		position[i] = (int32_t)i;
	if (r == 0 && rounded) {
		panels = model_pack(&m->m, err);
		r = panels ? 0 : RT_E_NOMEM;
	}
	run.panels = panels;
	if (r == 0)
		r = model_forward(&m->m, &b, &run, hidden, err);
	if (r == 0)
		r = model_logits(&m->m, hidden, n, &run, logits, err);
	if (r == 0)
		fwrite(logits, sizeof *logits, (size_t)(n * s->vocabulary), stdout);
	rt_free(panels);
	rt_free(hidden);
	rt_free(logits);
	return r;
}

int main(int argc, char **argv)
{
	struct rt_model *m;
	struct rt_error  err = RT_ERROR_INIT;
	int32_t          ids[MOST];
	const int        n = argc - 3;
	int              r;

	if (n < 1 || n > MOST)
		return fprintf(stderr, "usage: rounded-logits MODEL exact|rounded ID...\n"), 2;
	for (int i = 0; i < n; i++)
		ids[i] = atoi(argv[i + 3]);
	r = rt_model_open(&m, argv[1], 0, &err);
	if (r == 0) {
		r = write_logits(m, strcmp(argv[2], "rounded") == 0, ids, n, &err);
		rt_model_close(m);
	}
	if (r < 0)
		fprintf(stderr, "%s\n", err.msg);
	return r < 0 || fflush(stdout) != 0;
}
