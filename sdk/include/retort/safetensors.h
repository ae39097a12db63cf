/* retort/safetensors.h - files of named tensors: 8 bytes of header length, a JSON header, the data.
 *
 * Reading maps the file; tensors point into it.  Nothing in a header is believed: lengths,
 * shapes, types and offsets are checked against each other and against the size of the file,
 * and the data must be covered without holes or overlaps (as the reference implementation
 * demands).  A scalar is read as a tensor of one dimension of 1. */
#ifndef RETORT_SAFETENSORS_H
#define RETORT_SAFETENSORS_H

#include <retort/file.h>
#include <retort/format.h>
#include <retort/json.h>

struct rt_safetensors {
	struct rt_map           map;
	struct rt_json         *header;
	struct rt_named_tensor *tensors; /* in the order of the file; names belong to header */
	int64_t                 n;
};

/* RT_E_FORMAT with what is wrong; RT_E_UNSUP for element types that retort does not have and
 * for more than RT_MAX_DIM dimensions; RT_E_IO, RT_E_NOENT, RT_E_NOMEM. [any] */
int  rt_safetensors_open(struct rt_safetensors *ret, const char *path, struct rt_error *err);
void rt_safetensors_close(struct rt_safetensors *s);

/* NULL when there is none of this name. */
const struct rt_tensor *rt_safetensors_find(const struct rt_safetensors *s, const char *name);

/* The files of a Hugging Face directory: model.safetensors, or each file that
 * model.safetensors.index.json names, once.  The index leads to files only: which tensors there
 * are the files say. */
struct rt_safetensors_folder {
	struct rt_safetensors *files;
	char                 **paths; /* of each */
	int64_t                n;
};
int  rt_safetensors_folder_open(struct rt_safetensors_folder *ret, const char *path,
                                struct rt_error *err);
void rt_safetensors_folder_close(struct rt_safetensors_folder *f);

/* Write n dense tensors of plain types; metadata (an object of strings) may be NULL.  Whole or
 * not at all. [any] */
int rt_safetensors_write(const char *path, const struct rt_named_tensor *tensors, int64_t n,
                         const struct rt_json *metadata, struct rt_error *err);

/* The same, but the tensors' bytes are still to come: put them in their order, then commit. */
int rt_safetensors_begin(struct rt_file **ret, const char *path,
                         const struct rt_named_tensor *tensors, int64_t n,
                         const struct rt_json *metadata, struct rt_error *err);

#endif
