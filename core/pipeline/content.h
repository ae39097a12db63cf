/* pipeline/content.h - what a file or folder holds, as a hash, and whether it has changed. */
#ifndef PIPELINE_CONTENT_H
#define PIPELINE_CONTENT_H

#include <retort/hash.h>

#include <stdbool.h>

/* A file: SHA-256 of its bytes.  A folder: SHA-256 over names and hashes of all files below
 * it, in order of names; links are followed, what is no file or folder is an error. */
int content_hash(const char *path, bool folder, char out[RT_HASH_HEX], struct rt_error *err);

/* The same walk over sizes, inode numbers and times of change instead of bytes: equal marks
 * mean that nothing was written in between. */
int content_mark(const char *path, bool folder, char out[RT_HASH_HEX], struct rt_error *err);

#endif
