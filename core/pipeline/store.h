/* pipeline/store.h - finished artifacts by key; whole or absent, whatever happens.
 *
 *   DIR/.store/objects/KEY/artifact.json   the manifest: what it is, came from, and consists of
 *   DIR/.store/objects/KEY/OUTPUT/...      a folder for each output
 *   DIR/.store/work/KEY/                   a stage's private folder, survives crashes
 *   DIR/.store/tmp/KEY/                    outputs while they are made
 *   DIR/.store/locks/KEY                   flock()ed by whoever makes KEY
 *   DIR/.store/lock                        shared by runs, exclusive for the garbage collector
 *   DIR/PIPELINE/run.json                  which keys a pipeline refers to
 *   DIR/PIPELINE/STAGE -> ../.store/objects/KEY/OUTPUT
 *
 * An object appears by one rename() of a folder in which everything is on the disk, and
 * never changes afterwards. */
#ifndef PIPELINE_STORE_H
#define PIPELINE_STORE_H

#include <retort/error.h>
#include <retort/json.h>

#include <stdbool.h>

struct store;

/* Opens, and with `create` makes, DIR/.store; a shared lock is held until store_close(), or
 * with `alone` an exclusive one (RT_E_BUSY when others work there).  Without `create` a
 * missing store is RT_E_NOENT. */
int  store_open(struct store **ret, const char *dir, bool create, bool alone, struct rt_error *err);
void store_close(struct store *s);
const char *store_dir(const struct store *s); /* DIR */

bool store_has(const struct store *s, const char *key);
/* DIR/.store/AREA/KEY[/REST]; NULL when out of memory. */
char *store_path(const struct store *s, const char *area, const char *key, const char *rest);
/* One that is damaged is RT_E_FORMAT, with what to do about it. */
int store_manifest(const struct store *s, const char *key, struct rt_json **ret,
                   struct rt_error *err);
/* DIR/PIPELINE/run.json: RT_E_NOENT when there is none; RT_E_FORMAT as above. */
int store_run(const struct store *s, const char *pipeline, struct rt_json **ret,
              struct rt_error *err);

/* The right to make `key`; RT_E_BUSY while another process or thread has it. */
struct store_lock;
int  store_lock(struct store *s, const char *key, struct store_lock **ret, struct rt_error *err);
void store_unlock(struct store_lock *l); /* NULL is fine */

/* With the lock held: an empty tmp/KEY and, if it is not there yet, work/KEY. */
int store_begin(struct store *s, const char *key, struct rt_error *err);
/* Add "outputs": { NAME: { "files": [ { "path", "size", "sha256" } ] } } to the manifest, which
 * has "outputs": { NAME: {} } already, by reading back what lies in tmp/KEY; flush all, and
 * let the object appear.  Then the work folder goes. */
int store_commit(struct store *s, const char *key, struct rt_json *manifest, struct rt_error *err);

/* Make DIR/PIPELINE/NAME lead to an output, atomically. */
int store_link(struct store *s, const char *pipeline, const char *name, const char *key,
               const char *output, struct rt_error *err);

/* Read every file of an object again and compare with its manifest. */
int store_verify(const struct store *s, const char *key, struct rt_error *err);

/* Compare the sizes of an object's files with its manifest: a look at each, nothing is read.  The
 * first difference is the error, with what to do about it. */
int store_check_sizes(const struct store *s, const char *key, struct rt_error *err);

/* Calls fn(arg, key) for each object, in order of the keys. */
typedef int store_fn(void *arg, const char *key, struct rt_error *err);
int         store_each(const struct store *s, store_fn *fn, void *arg, struct rt_error *err);

/* Remove everything that no run.json refers to, directly or through inputs: objects, work
 * and tmp folders, locks.  Needs a store opened `alone`.  Counts what went. */
struct store_garbage {
	int64_t objects, others, bytes;
};
int store_collect(struct store *s, bool dry, struct store_garbage *ret, struct rt_error *err);

#endif
