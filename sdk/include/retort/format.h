/* retort/format.h - kind `format`: a path becomes a model, and back.
 *
 * What a format moves is named tensors and a configuration; what they mean is for
 * rt_model_assemble().  What a file stores as one of retort's types is mapped, not copied; what it
 * stores in another way is made in memory, in a type that holds the same numbers. */
#ifndef RETORT_FORMAT_H
#define RETORT_FORMAT_H

#include <retort/plugin.h>
#include <retort/tensor.h>

#define RT_FORMAT_ABI 1

struct rt_named_tensor {
	const char      *name; /* as Hugging Face names it, "model.layers.0.mlp.up_proj.weight" */
	struct rt_tensor tensor;
};

/* What a file or folder holds.  Everything belongs to the format until release(). */
struct rt_weights {
	const struct rt_json *config; /* as in a Hugging Face config.json, without what says how
	                               * the file stores its numbers (quantization_config) */
	const struct rt_named_tensor *tensors;
	int64_t                       n;
	const struct rt_json         *extra; /* what only this format knows (metadata): read()
	                                      * tells it, write() makes its own */
	void *own;
};

struct rt_format_ops {
	uint32_t size; /* sizeof(struct rt_format_ops) */
	uint32_t reserved;

	/* Is this path of this format?  0 no, 1 yes; looks at names, first bytes and the
	 * configuration only.  A pipeline names its format; whoever has many asks. [any] */
	int (*probe)(const void *state, const char *path);

	/* Open for reading.  Every length and offset has been checked against the file. [worker] */
	int (*read)(void *state, const char *path, struct rt_weights *ret, struct rt_error *err);
	void (*release)(void *state, struct rt_weights *w);

	/* Write to a folder that is there and empty, then read it back and compare.  Tensors are
	 * of any type, of those of rt_model_parameter(): what the format cannot hold is
	 * RT_E_UNSUP, what it holds in fewer bits its description says. [worker] */
	int (*write)(void *state, const char *path, const struct rt_weights *w,
	             struct rt_error *err);
};

#endif
