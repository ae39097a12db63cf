/* damage.h - what is said of a file of weights that does not hold what it promises: most often a
 * download that was interrupted. */
#ifndef MODEL_DAMAGE_H
#define MODEL_DAMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define CUT_SHORT "; it is cut short or damaged: get it again"

/* What git leaves of a large file where it was not asked for the file itself. */
#define LFS_POINTER "is a pointer of Git LFS, not the file itself: get that by `git lfs pull`"

static inline bool is_lfs_pointer(const void *data, size_t size)
{
	static const char begin[] = "version https://git-lfs";

	return size >= sizeof begin - 1 && memcmp(data, begin, sizeof begin - 1) == 0;
}

#endif
