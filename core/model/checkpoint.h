/* checkpoint.h - where a model's weights come from: mapped files, and the little that had to be
 * copied (vectors as f32, tensors that lie at odd addresses). */
#ifndef MODEL_CHECKPOINT_H
#define MODEL_CHECKPOINT_H

#include <retort/memory.h>
#include <retort/safetensors.h>

#include "model/gguf.h"
#include "model/model.h"

struct checkpoint {
	struct rt_safetensors_folder files;
	struct gguf                  gguf; /* map.data NULL: none */
	struct rt_arena              copies;
};

/* Take a tensor of a file as parameter `index` of the model: the shape must be that of the
 * configuration.  `name` for messages. */
int checkpoint_adopt(struct model *m, int64_t index, const char *name, const struct rt_tensor *t,
                     const char *path, struct rt_error *err);

/* After all tensors: ties, and what is missing. */
int checkpoint_complete(struct model *m, enum weights_style style, const char *path,
                        struct rt_error *err);

/* A tensor will not be read soon, in this process: its pages may leave memory. */
void checkpoint_release(const struct checkpoint *c, const struct rt_tensor *t);

/* The two kinds of source. */
int checkpoint_open_folder(struct model *m, const char *path, struct rt_error *err);
int checkpoint_open_gguf(struct model *m, const char *path, struct rt_error *err);

/* Write config.json and the weights into a folder that is there, every tensor in the plain type
 * dtype: model.safetensors, or shards of at most `shard` bytes with an index where that is not
 * enough (0: 5 GB).  Memory does not grow with the model. [worker] */
int checkpoint_write_folder(const struct model *m, const char *path, enum rt_dtype dtype,
                            int64_t shard, struct rt_error *err);

/* Write one GGUF file, every tensor as rt_gguf_type() says.  extra holds metadata to add (a
 * tokenizer's), or NULL. [worker] */
int checkpoint_write_gguf(const struct model *m, const char *path, int64_t dtype,
                          const struct gguf_writer *extra, struct rt_error *err);

#endif
