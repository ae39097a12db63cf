/* llama-logits.c - llama-logits FILE ID...: the logits that llama.cpp computes at each place, as
 * 32-bit floats on standard output.  Everything in f32, the cache as well. */
#include "llama.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	struct llama_model_params   load = llama_model_default_params();
	struct llama_context_params run = llama_context_default_params();
	struct llama_model         *m;
	struct llama_context       *c;
	struct llama_batch          b;
	const int                   n = argc - 2;
	int                         vocabulary;

	if (n < 1)
		return fprintf(stderr, "usage: llama-logits FILE ID...\n"), 2;
	llama_backend_init();
	m = llama_model_load_from_file(argv[1], load);
	if (!m)
		return fprintf(stderr, "llama.cpp does not load %s\n", argv[1]), 1;
	run.n_ctx = run.n_batch = run.n_ubatch = 512;
	run.type_k = run.type_v = GGML_TYPE_F32;
	run.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
	c = llama_init_from_model(m, run);
	b = llama_batch_init(n, 0, 1);
	if (!c)
		return fprintf(stderr, "no context for %s\n", argv[1]), 1;
	for (int i = 0; i < n; i++) {
		b.token[i] = atoi(argv[i + 2]);
		b.pos[i] = i;
		b.n_seq_id[i] = 1;
		b.seq_id[i][0] = 0;
		b.logits[i] = 1;
	}
	b.n_tokens = n;
	if (llama_decode(c, b) != 0)
		return fprintf(stderr, "llama.cpp does not decode with %s\n", argv[1]), 1;
	vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(m));
	for (int i = 0; i < n; i++)
		fwrite(llama_get_logits_ith(c, i), sizeof(float), (size_t)vocabulary, stdout);
	llama_batch_free(b);
	llama_free(c);
	llama_model_free(m);
	return fflush(stdout) == 0 ? 0 : 1;
}
