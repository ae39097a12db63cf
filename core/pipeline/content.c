/* content.c - see content.h */
#include "pipeline/content.h"

#include <retort/file.h>
#include <retort/memory.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 64 };

typedef int file_fn(const char *path, char out[RT_HASH_HEX], struct rt_error *err);

struct walk {
	file_fn       *of_file;
	const char    *dir;
	struct rt_hash hash;
	int            depth;
};

static int bytes_of(const char *path, char out[RT_HASH_HEX], struct rt_error *err)
{
	return rt_hash_file(path, out, NULL, err);
}

static int mark_of(const char *path, char out[RT_HASH_HEX], struct rt_error *err)
{
	struct stat st;
	char        text[256];
	int         n;

	if (stat(path, &st) != 0)
		return rt_fail_errno(err, "cannot look at %s", path);
	n = snprintf(text, sizeof text, "%jd %jd %jd %jd.%09ld %jd.%09ld", (intmax_t)st.st_dev,
	             (intmax_t)st.st_ino, (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
	             st.st_mtim.tv_nsec, (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
	rt_hash_hex(text, (size_t)n, out);
	return 0;
}

static int of_folder(file_fn *of_file, const char *path, int depth, char out[RT_HASH_HEX],
                     struct rt_error *err);

static int of_entry(void *arg, const char *name, bool is_dir, struct rt_error *err)
{
	struct walk *w = arg;
	char        *path = rt_path_join(w->dir, name), hash[RT_HASH_HEX];
	int          r;

	if (!path)
		return rt_fail_nomem(err, name);
	r = is_dir ? of_folder(w->of_file, path, w->depth + 1, hash, err)
	           : w->of_file(path, hash, err);
	rt_free(path);
	if (r < 0)
		return r;
	rt_hash_add(&w->hash, name, strlen(name) + 1); /* with the zero: names have none inside */
	rt_hash_add(&w->hash, is_dir ? "d" : "f", 1);
	rt_hash_add(&w->hash, hash, RT_HASH_HEX);
	return 0;
}

static int of_folder(file_fn *of_file, const char *path, int depth, char out[RT_HASH_HEX],
                     struct rt_error *err)
{
	struct walk w = { .of_file = of_file, .dir = path, .depth = depth };
	int         r;

	if (depth > MAX_DEPTH)
		return rt_fail(err, RT_E_USAGE,
		               "%s: folders nest deeper than %d; is there a loop of links?", path,
		               MAX_DEPTH);
	rt_hash_init(&w.hash);
	r = rt_list_dir(path, of_entry, &w, err);
	if (r == 0)
		rt_hash_end_hex(&w.hash, out);
	return r;
}

int content_hash(const char *path, bool folder, char out[RT_HASH_HEX], struct rt_error *err)
{
	return folder ? of_folder(bytes_of, path, 0, out, err) : bytes_of(path, out, err);
}

int content_mark(const char *path, bool folder, char out[RT_HASH_HEX], struct rt_error *err)
{
	return folder ? of_folder(mark_of, path, 0, out, err) : mark_of(path, out, err);
}
