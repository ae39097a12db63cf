/* base/disk.h - the system calls that change the disk, each of which a test can make fail.
 *
 * They return what the call returns, -1 with errno set on failure, and start over when a
 * signal interrupts them.  Each asks fault_disk() first. */
#ifndef BASE_DISK_H
#define BASE_DISK_H

#include <retort/error.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

int disk_create(const char *path, int flags);        /* open(2) with O_CREAT | O_CLOEXEC | flags */
int disk_write(int fd, const void *bytes, size_t n); /* all of it, 0 or -1 */
int disk_sync(int fd);
int disk_sync_folder_of(const char *path); /* the folder that holds path */
int disk_rename(const char *from, const char *to);
int disk_exchange(const char *a, const char *b); /* two names at once, where the kernel can */
int disk_mkdir(const char *path);

/* These give room back: a full disk does not stop them. */
int disk_cut(int fd, int64_t size); /* ftruncate(2) */
int disk_unlink_at(int folder, const char *name, int flags);

/* Reading changes nothing, and stands here for what it shares. */
ssize_t disk_read(int fd, void *buf, size_t n);

/* Open a regular file for reading; *ret_size may be NULL.  The descriptor, or an error. */
int disk_open_regular(const char *path, int64_t *ret_size, struct rt_error *err);

#endif
