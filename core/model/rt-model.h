/* rt-model.h - what stands behind the SDK's struct rt_model. */
#ifndef MODEL_RT_MODEL_H
#define MODEL_RT_MODEL_H

#include <retort/model.h>

#include "model/checkpoint.h"

struct rt_model {
	struct model          m;
	unsigned              matmul_flags; /* of passes: rt_model_multiply() */
	struct rt_model_shape shape;
	int64_t              *index; /* of each parameter in m.weights */
	int64_t               parameters;
	struct rt_tokenizer  *tokenizer; /* or NULL, as are the rest */
	struct rt_template *template;
	char    *bos, *eos, *pad; /* spelled */
	int32_t *stops;
	int64_t  n_stops;
};

/* Tokenizer, template and stop tokens from a Hugging Face folder, or from GGUF metadata. */
int model_text_folder(struct rt_model *m, const char *folder, struct rt_error *err);
int model_text_gguf(struct rt_model *m, const struct gguf *g, const char *path,
                    struct rt_error *err);

/* The tokenizer of GGUF metadata as a tokenizer.json. */
int model_tokenizer_json(const struct gguf *g, struct rt_json **ret, struct rt_error *err);

/* Does the path name a GGUF file? */
bool model_is_gguf(const char *path);

/* The file or folder that a path means (retort/model.h, rt_model_open()): a new text, or NULL
 * when out of memory. */
char *model_place(const char *path);

/* Tokenizer, template and stop tokens of a GGUF file as files of a folder. */
int model_text_from_gguf(const char *from, const char *to, struct rt_error *err);

/* Open what was written as dtype (GGUF: or RT_AS_STORED), and compare it. */
int model_compare(const struct rt_model *m, const char *path, int64_t dtype, struct rt_error *err);

#endif
