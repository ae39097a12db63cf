/* safetensors.h - files of named tensors: 8 bytes of header length, a JSON header, the data.
 *
 * Reading maps the file; tensors point into it.  Nothing in a header is believed: lengths,
 * shapes, types and offsets are checked against each other and against the size of the file,
 * and the data must be covered without holes or overlaps (as the reference implementation
 * demands). */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include <retort/file.h>
#include <retort/format.h>
#include <retort/json.h>

struct safetensors {
	struct rt_map           map;
	struct rt_json         *header;
	struct rt_named_tensor *tensors; /* in the order of the file; names belong to header */
	int64_t                 n;
};

/* RT_E_FORMAT with what is wrong; RT_E_UNSUP for element types that retort does not have and
 * for more than RT_MAX_DIM dimensions; RT_E_IO, RT_E_NOENT, RT_E_NOMEM. [any] */
int  safetensors_open(struct safetensors *ret, const char *path, struct rt_error *err);
void safetensors_close(struct safetensors *s);

/* NULL when there is none of this name. */
const struct rt_tensor *safetensors_find(const struct safetensors *s, const char *name);

/* Write n dense tensors of plain types; metadata (an object of strings) may be NULL.  Whole or
 * not at all. [any] */
int safetensors_write(const char *path, const struct rt_named_tensor *tensors, int64_t n,
                      const struct rt_json *metadata, struct rt_error *err);

/* The same, but the tensors' bytes are still to come: put them in their order, then commit. */
int safetensors_begin(struct rt_file **ret, const char *path, const struct rt_named_tensor *tensors,
                      int64_t n, const struct rt_json *metadata, struct rt_error *err);

#endif
