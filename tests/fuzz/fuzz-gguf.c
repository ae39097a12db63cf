/* fuzz-gguf.c - a file of any bytes as GGUF: metadata and tensors that lie inside it, or an error;
 * then as a model, with tokenizer and template, that can be run. */
#include "fuzz.h"

#include "model/gguf.h"

#include <retort/memory.h>
#include <retort/model.h>

#include <stdlib.h>
#include <string.h>

static volatile unsigned sum; /* so that nothing is left out */

static void walk(const struct gguf *g, size_t size)
{
	for (int64_t i = 0; i < g->n_entries; i++) {
		struct gguf_iter at = { .entry = &g->entries[i] };
		struct gguf_text text;
		double           x;

		if (g->entries[i].type == GGUF_ARRAY && g->entries[i].item == GGUF_STRING)
			while (gguf_next_text(&at, &text))
				sum += text.n ? (unsigned char)text.data[text.n - 1] : 0;
		else if (g->entries[i].type == GGUF_ARRAY)
			while (gguf_next_number(&at, &x))
				sum += x > 0;
	}
	for (int64_t i = 0; i < g->n_tensors; i++) {
		const struct rt_tensor *t = &g->tensors[i].tensor;
		const unsigned char    *bytes = t->data;
		const int64_t           n = rt_bytes(t);

		if (n > (int64_t)size)
			abort(); /* more than there is */
		for (int64_t k = 0; k < n; k++)
			sum += bytes[k];
	}
}

static void run(const struct rt_model *m)
{
	const struct rt_model_shape *s = rt_model_shape(m);
	const int32_t                token[2] = { 0, 0 }, position[2] = { 0, 1 };
	const struct rt_span         span = { 0, 2, 0, 2, 0 };
	const struct rt_batch        b = { token, position, 2, &span, 1 };
	float                       *hidden = rt_alloc((size_t)(2 * s->hidden), sizeof *hidden);

	if (hidden && s->hidden * s->layers < 1 << 16)
		rt_model_forward(m, &b, NULL, hidden, NULL);
	rt_free(hidden);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char             path[64];
	int              fd = fuzz_file(data, size, path);
	struct rt_error  err = RT_ERROR_INIT;
	struct gguf      g;
	struct rt_model *m;

	if (gguf_open(&g, path, &err) < 0) {
		if (!strstr(err.msg, path))
			abort(); /* which file? */
	} else {
		walk(&g, size);
		gguf_close(&g);
		if (rt_model_open(&m, path, 0, NULL) == 0) {
			run(m);
			rt_model_close(m);
		}
	}
	fuzz_close(fd);
	return 0;
}
