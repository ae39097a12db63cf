/* openai-cache.c - see openai-cache.h */
#include "openai-cache.h"

#include <retort/file.h>
#include <retort/memory.h>

#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FORMAT = 1, PATIENCE_MS = 20000 };

struct openai_cache {
	char         *path, *stage;
	sqlite3      *db;
	sqlite3_stmt *find, *add, *spent;
};

static const char schema[] = "CREATE TABLE IF NOT EXISTS replies ("
			     " key TEXT PRIMARY KEY NOT NULL,"
			     " id TEXT NOT NULL,"
			     " stage TEXT NOT NULL,"
			     " at INTEGER NOT NULL," /* seconds since 1970 */
			     " model TEXT NOT NULL,"
			     " input_tokens INTEGER," /* NULL: the server did not say */
			     " output_tokens INTEGER,"
			     " cost REAL,"
			     " request TEXT NOT NULL,"
			     " reply TEXT NOT NULL"
			     ") WITHOUT ROWID;"
			     "CREATE INDEX IF NOT EXISTS replies_stage ON replies (stage, cost);"
			     "PRAGMA user_version = 1;";

static int failed(const struct openai_cache *c, const char *what, struct rt_error *err)
{
	const int code = sqlite3_errcode(c->db) & 0xff;

	if (code == SQLITE_NOMEM)
		return rt_fail_nomem(err, c->path);
	if (code == SQLITE_FULL)
		return rt_fail(err, RT_E_IO,
		               "cannot %s %s: %s; make room and run again, what it holds is kept",
		               what, c->path, sqlite3_errmsg(c->db));
	if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
		return rt_fail(err, RT_E_BUSY, "cannot %s %s: another process has held it for %d s",
		               what, c->path, PATIENCE_MS / 1000);
	if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
		return rt_fail(err, RT_E_FORMAT,
		               "cannot %s %s: %s; is this the path of a cache? move the file away "
		               "to begin a new one",
		               what, c->path, sqlite3_errmsg(c->db));
	return rt_fail(err, RT_E_IO, "cannot %s %s: %s", what, c->path, sqlite3_errmsg(c->db));
}

/* ~/.cache/retort/replies.sqlite */
static int default_path(char **ret, struct rt_error *err)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (cache && *cache == '/')
		*ret = rt_path_join(cache, "retort/replies.sqlite");
	else if (home && *home == '/')
		*ret = rt_path_join(home, ".cache/retort/replies.sqlite");
	else
		return rt_fail(err, RT_E_INVAL,
		               "neither XDG_CACHE_HOME nor HOME says where replies are kept; set "
		               "cache = \"path\"");
	return *ret ? 0 : rt_fail_nomem(err, "a path");
}

/* Replies are the user's own business: a new file is theirs alone. */
static int make_file(const char *path, struct rt_error *err)
{
	char *folder = rt_strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
	int   r = folder ? 0 : rt_fail_nomem(err, "a path"), fd;

	if (slash && slash > folder) {
		*slash = '\0';
		r = rt_mkdir_all(folder, err);
	}
	rt_free(folder);
	if (r < 0)
		return r;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return rt_fail_errno(err, "cannot open %s", path);
	close(fd);
	return 0;
}

static int64_t format_of(struct openai_cache *c)
{
	sqlite3_stmt *s = NULL;
	int64_t       n = -1;

	if (sqlite3_prepare_v2(c->db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

static bool prepare(struct openai_cache *c, const char *sql, sqlite3_stmt **ret)
{
	return sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) ==
	       SQLITE_OK;
}

static int open_database(struct openai_cache *c, struct rt_error *err)
{
	int64_t format;

	if (sqlite3_open_v2(c->path, &c->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		return c->db ? failed(c, "open", err) : rt_fail_nomem(err, c->path);
	sqlite3_busy_timeout(c->db, PATIENCE_MS);
	if (sqlite3_exec(c->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;", NULL, NULL,
	                 NULL) != SQLITE_OK)
		return failed(c, "open", err);
	format = format_of(c);
	if (format < 0)
		return failed(c, "read", err);
	if (format > FORMAT)
		return rt_fail(err, RT_E_FORMAT,
		               "%s has format %lld, this retort knows up to %d; set another cache "
		               "= \"path\"",
		               c->path, (long long)format, FORMAT);
	if (format < FORMAT && sqlite3_exec(c->db, schema, NULL, NULL, NULL) != SQLITE_OK)
		return failed(c, "write", err);
	if (!prepare(c, "SELECT reply FROM replies WHERE key = ?1", &c->find) ||
	    !prepare(c, "SELECT total(cost) FROM replies WHERE stage = ?1", &c->spent) ||
	    !prepare(c,
	             "INSERT INTO replies VALUES (?1, ?2, ?3, strftime('%s'), ?4, ?5, ?6, ?7, "
	             "?8, ?9) ON CONFLICT (key) DO NOTHING",
	             &c->add))
		return failed(c, "read", err);
	return 0;
}

int openai_cache_open(struct openai_cache **ret, const char *path, const char *stage,
                      struct rt_error *err)
{
	struct openai_cache *c = rt_alloc(1, sizeof *c);
	int                  r = 0;

	if (!c)
		return rt_fail_nomem(err, "a cache");
	c->stage = rt_strdup(stage);
	if (path)
		c->path = rt_strdup(path);
	else
		r = default_path(&c->path, err);
	if (r == 0 && (!c->path || !c->stage))
		r = rt_fail_nomem(err, "a cache");
	if (r == 0)
		r = make_file(c->path, err);
	if (r == 0)
		r = open_database(c, err);
	if (r < 0) {
		openai_cache_close(c);
		return r;
	}
	*ret = c;
	return 0;
}

void openai_cache_close(struct openai_cache *c)
{
	if (!c)
		return;
	sqlite3_finalize(c->find);
	sqlite3_finalize(c->add);
	sqlite3_finalize(c->spent);
	sqlite3_close(c->db);
	rt_free(c->path);
	rt_free(c->stage);
	rt_free(c);
}

const char *openai_cache_path(const struct openai_cache *c)
{
	return c->path;
}

int openai_cache_find(struct openai_cache *c, const char *key, struct rt_text *out,
                      struct rt_error *err)
{
	int r;

	sqlite3_bind_text(c->find, 1, key, -1, SQLITE_STATIC);
	r = sqlite3_step(c->find);
	if (r == SQLITE_ROW)
		rt_text_add_n(out, sqlite3_column_text(c->find, 0),
		              (size_t)sqlite3_column_bytes(c->find, 0));
	if (r == SQLITE_ROW)
		r = out->failed ? rt_fail_nomem(err, "a reply") : 1;
	else
		r = r == SQLITE_DONE ? 0 : failed(c, "read", err);
	sqlite3_reset(c->find);
	return r;
}

static int bind_count(sqlite3_stmt *s, int at, int64_t n)
{
	return n < 0 ? sqlite3_bind_null(s, at) : sqlite3_bind_int64(s, at, n);
}

static int bind_text(sqlite3_stmt *s, int at, const struct rt_text *t)
{
	return sqlite3_bind_text64(s, at, t->data, t->len, SQLITE_STATIC, SQLITE_UTF8);
}

int openai_cache_add(struct openai_cache *c, const struct openai_entry *e, struct rt_error *err)
{
	sqlite3_stmt *s = c->add;
	int           bad = 0, r = 0;

	bad |= sqlite3_bind_text(s, 1, e->key, -1, SQLITE_STATIC);
	bad |= sqlite3_bind_text(s, 2, e->id, -1, SQLITE_STATIC);
	bad |= sqlite3_bind_text(s, 3, c->stage, -1, SQLITE_STATIC);
	bad |= sqlite3_bind_text(s, 4, e->model, -1, SQLITE_STATIC);
	bad |= bind_count(s, 5, e->input_tokens);
	bad |= bind_count(s, 6, e->output_tokens);
	bad |= isnan(e->cost) ? sqlite3_bind_null(s, 7) : sqlite3_bind_double(s, 7, e->cost);
	bad |= bind_text(s, 8, e->request);
	bad |= bind_text(s, 9, e->reply);
	if (bad || sqlite3_step(s) != SQLITE_DONE)
		r = failed(c, "write", err);
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return r;
}

int openai_cache_spent(struct openai_cache *c, double *ret, struct rt_error *err)
{
	int r = 0;

	sqlite3_bind_text(c->spent, 1, c->stage, -1, SQLITE_STATIC);
	if (sqlite3_step(c->spent) == SQLITE_ROW)
		*ret = sqlite3_column_double(c->spent, 0);
	else
		r = failed(c, "read", err);
	sqlite3_reset(c->spent);
	return r;
}
