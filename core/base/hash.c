/* hash.c - see retort/hash.h.  The only file that knows about Nettle. */
#include <retort/hash.h>

#include "base/disk.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <unistd.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(struct rt_hash), "struct rt_hash is too small");
_Static_assert(SHA256_DIGEST_SIZE == RT_HASH_BYTES, "SHA-256 has 32 bytes");

static struct sha256_ctx *inside(struct rt_hash *h)
{
	return (struct sha256_ctx *)h->opaque;
}

void rt_hash_init(struct rt_hash *h)
{
	sha256_init(inside(h));
}

void rt_hash_add(struct rt_hash *h, const void *bytes, size_t n)
{
	sha256_update(inside(h), n, bytes);
}

void rt_hash_end(struct rt_hash *h, uint8_t out[RT_HASH_BYTES])
{
	sha256_digest(inside(h), RT_HASH_BYTES, out);
}

void rt_hash_end_hex(struct rt_hash *h, char out[RT_HASH_HEX])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t           raw[RT_HASH_BYTES];

	rt_hash_end(h, raw);
	for (int i = 0; i < RT_HASH_BYTES; i++) {
		out[2 * i] = digits[raw[i] >> 4];
		out[2 * i + 1] = digits[raw[i] & 15];
	}
	out[RT_HASH_HEX - 1] = '\0';
}

void rt_hash_hex(const void *bytes, size_t n, char out[RT_HASH_HEX])
{
	struct rt_hash h;

	rt_hash_init(&h);
	rt_hash_add(&h, bytes, n);
	rt_hash_end_hex(&h, out);
}

static int hash_fd(struct rt_hash *h, int fd, const char *path, int64_t *ret_size,
                   struct rt_error *err)
{
	unsigned char buf[64 * 1024];
	ssize_t       n;

	*ret_size = 0;
	for (;;) {
		n = disk_read(fd, buf, sizeof buf);
		if (n < 0)
			return rt_fail_errno(err, "cannot read %s", path);
		if (n == 0)
			return 0;
		rt_hash_add(h, buf, (size_t)n);
		*ret_size += n;
	}
}

int rt_hash_file(const char *path, char out[RT_HASH_HEX], int64_t *ret_size, struct rt_error *err)
{
	struct rt_hash h;
	int64_t        size;
	int            fd, r;

	fd = disk_open_regular(path, NULL, err);
	if (fd < 0)
		return fd;
	rt_hash_init(&h);
	r = hash_fd(&h, fd, path, &size, err);
	close(fd);
	if (r < 0)
		return r;
	rt_hash_end_hex(&h, out);
	if (ret_size)
		*ret_size = size;
	return 0;
}
