/* scheme.h - the quantization_config of compressed-tensors: what linear layers are stored as. */
#ifndef FORMAT_SCHEME_H
#define FORMAT_SCHEME_H

#include <retort/error.h>
#include <retort/json.h>

enum { SCHEMES = 16 };

/* What its config_groups say of weights. */
struct scheme {
	struct {
		int64_t bits, group; /* columns that share a scale; 0: all of a row */
		bool    symmetric;
	} at[SCHEMES];
	int64_t n;
};

/* Is this a config.json of the format, in any of its layouts? */
bool scheme_is(const struct rt_json *config);

/* RT_E_UNSUP, with what it is, for every layout but pack-quantized of whole numbers, and for
 * whatever else would have to take part in the computation. */
int scheme_read(struct scheme *ret, const struct rt_json *quantization, struct rt_error *err);

/* Bits of a code in a layer of `cols` columns packed in `words` int32, `group` columns to a scale;
 * RT_E_FORMAT when no config group, or more than one, is like that. */
int64_t scheme_bits(const struct scheme *s, int64_t cols, int64_t words, int64_t group,
                    bool symmetric, struct rt_error *err);

/* One config group to write: its layers by name, or all linear ones that are not ignored. */
struct scheme_group {
	int64_t         bits, group;
	struct rt_json *targets; /* an array; NULL: "Linear" */
};

/* A whole quantization_config; NULL when out of memory.  `ignore` is an array, lent like the
 * targets. */
struct rt_json *scheme_write(const struct scheme_group *groups, int n,
                             const struct rt_json *ignore);

#endif
