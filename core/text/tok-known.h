/* tok-known.h - tokenizers that are known by a name only: classes of transformers, splits of GGUF.
 */
#ifndef TEXT_TOK_KNOWN_H
#define TEXT_TOK_KNOWN_H

#include <retort/json.h>

/* Set normalizer, pre_tokenizer and decoder of `all` as the class has them.  RT_E_UNSUP names a
 * class that is not known. */
int tok_known_class(const char *class, struct rt_json *all, struct rt_error *err);
int tok_known_split(const char *pre, struct rt_json *all, struct rt_error *err); /* of GGUF */
/* The chain of a SentencePiece model, as GGUF means it. */
int tok_known_llama(bool add_space, struct rt_json *all, struct rt_error *err);

#endif
