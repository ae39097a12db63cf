/* retort/hash.h - SHA-256 (FIPS 180-4), by way of the Nettle library. */
#ifndef RETORT_HASH_H
#define RETORT_HASH_H

#include <retort/error.h>

#include <stddef.h>
#include <stdint.h>

enum { RT_HASH_BYTES = 32, RT_HASH_HEX = 65 }; /* with the terminator */

struct rt_hash {
	uint64_t opaque[32];
};

void rt_hash_init(struct rt_hash *h);
void rt_hash_add(struct rt_hash *h, const void *bytes, size_t n);
void rt_hash_end(struct rt_hash *h, uint8_t out[RT_HASH_BYTES]);
void rt_hash_end_hex(struct rt_hash *h, char out[RT_HASH_HEX]);
void rt_hash_hex(const void *bytes, size_t n, char out[RT_HASH_HEX]); /* all at once */

/* Of a regular file's content.  *ret_size (may be NULL) is the number of bytes read. [any] */
int rt_hash_file(const char *path, char out[RT_HASH_HEX], int64_t *ret_size, struct rt_error *err);

#endif
