/* exec.c - tool-exec: functions that a program of the user's own serves.
 *
 * A call starts the program once, without a shell: { "name": ..., "arguments": { ... } } goes to
 * its standard input, a JSON value comes from its standard output.  It runs in the folder that it
 * lies in.  Of the environment it gets PATH, HOME, TMPDIR and LANG as they are, and what `pass`
 * names; nothing else, so that a key that a teacher uses does not reach it unless it is meant to.
 *
 * A program that ends with another status than 0, is killed, is late, writes too much or writes no
 * JSON gives { "error": ... } to the model; the first such call of a run is logged. */
#include "process.h"

#include <retort/json.h>
#include <retort/memory.h>
#include <retort/tool.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct config {
	const char       *program;
	struct rt_strings functions, args, pass;
	double            timeout;
	int64_t           limit;
};

struct state {
	const struct config *cfg;
	struct rt_context   *context;
	const char         **argv; /* ends with NULL */
	char               **env;  /* likewise */
	char                *program, *folder;
	bool                 told;
};

static const struct rt_param params[] = {
	RT_PARAM_PATH(struct config, program, NULL,
	              "Executable file; its content is part of the stage's key.",
	              .flags = RT_P_REQUIRED),
	RT_PARAM_STRINGS(struct config, args, 0, 0,
	                 "Its arguments, as they are: there is no shell."),
	RT_PARAM_STRINGS(struct config, functions, 1, 0,
	                 "Names of the functions that it serves, as the tools declare them."),
	RT_PARAM_STRINGS(struct config, pass, 0, 0,
	                 "Environment variables that it gets besides PATH, HOME, TMPDIR and LANG.",
	                 .flags = RT_P_ENV),
	RT_PARAM_REAL(struct config, timeout, 10, .001, 86400, "seconds",
	              "Longest time of a call."),
	RT_PARAM_INT(struct config, limit, 1 << 20, 1, 1 << 30, "bytes", "Longest result."),
	RT_PARAM_END
};

/* ---- a call ---- */

static int set_error(const char *why, struct rt_json **ret, struct rt_error *err)
{
	struct rt_json *o = rt_json_new_object();

	if (!o || rt_json_set(o, "error", rt_json_new_string(why)) < 0) {
		rt_json_free(o);
		return rt_fail_nomem(err, "a result");
	}
	*ret = o;
	return 0;
}

/* How it ended badly, with the first line of what it said; "" when it did not. */
static void complaint(const struct config *c, const struct process *p, char *why, size_t size)
{
	const int n = (int)strcspn(p->told.data, "\r\n");
	char      first[200];

	snprintf(first, sizeof first, "%s%.*s", n ? ": " : "", n, p->told.data);
	first[rt_utf8_check(first, strlen(first))] = '\0';
	*why = '\0';
	if (p->late)
		snprintf(why, size, "the function took longer than %g s", c->timeout);
	else if (p->large)
		snprintf(why, size, "the function's result is longer than %lld bytes",
		         (long long)c->limit);
	else if (WIFSIGNALED(p->status))
		snprintf(why, size, "the function ended by signal %d%s", WTERMSIG(p->status),
		         first);
	else if (WEXITSTATUS(p->status) != 0)
		snprintf(why, size, "the function failed with status %d%s", WEXITSTATUS(p->status),
		         first);
}

static int read_result(struct state *st, const char *name, const struct process *p,
                       struct rt_json **ret, struct rt_error *err)
{
	char            why[300];
	struct rt_error bad = RT_ERROR_INIT;
	int             r;

	complaint(st->cfg, p, why, sizeof why);
	if (!*why) {
		r = rt_json_parse(p->out.data, p->out.len, "output", 1, ret, &bad);
		if (r == 0)
			return 0;
		if (r == RT_E_NOMEM)
			return rt_fail_nomem(err, "a result");
		snprintf(why, sizeof why, "the function's result is no JSON (%.200s)", bad.msg);
	}
	if (!st->told)
		rt_log(st->context, RT_LOG_WARN, "%s: a call of %s: %s", st->cfg->program, name,
		       why);
	st->told = true;
	return set_error(why, ret, err);
}

static int write_call(const char *name, const struct rt_json *arguments, struct rt_text *out)
{
	struct rt_json *o = rt_json_new_object();
	int             r = o ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_json_set(o, "name", rt_json_new_string(name));
		r |= rt_json_set(o, "arguments", rt_json_ref(arguments));
		rt_json_print(o, 0, out);
		rt_text_add_char(out, '\n');
	}
	rt_json_free(o);
	return r < 0 || out->failed ? RT_E_NOMEM : 0;
}

static int call(void *state, const char *name, const struct rt_json *arguments,
                struct rt_json **ret, struct rt_error *err)
{
	struct state  *st = state;
	struct rt_text in = RT_TEXT_INIT;
	struct process p = { .argv = st->argv,
		             .env = (const char *const *)(uintptr_t)st->env,
		             .folder = st->folder,
		             .timeout = st->cfg->timeout,
		             .limit = st->cfg->limit };
	int            r = write_call(name, arguments, &in);

	r = r < 0 ? rt_fail_nomem(err, "a call")
	          : process_run(&p, in.data, in.len, st->context, err);
	if (r == 0) {
		r = read_result(st, name, &p, ret, err);
		process_fini(&p);
	}
	rt_text_free(&in);
	return r;
}

static const char *function(const void *state, int64_t i)
{
	const struct rt_strings *f = &((const struct state *)state)->cfg->functions;

	return i < f->n ? f->at[i] : NULL;
}

/* ---- life ---- */

static bool add_variable(struct state *st, int64_t *n, const char *name, const char *value)
{
	if (value)
		st->env[*n] = rt_asprintf("%s=%s", name, value);
	return !value || st->env[(*n)++];
}

static int open_environment(struct state *st, struct rt_error *err)
{
	static const char *const standard[] = { "PATH", "HOME", "TMPDIR", "LANG" };
	const struct rt_strings *pass = &st->cfg->pass;
	int64_t                  n = 0;
	bool                     good;

	st->env = rt_alloc((size_t)pass->n + 5, sizeof *st->env);
	good = st->env != NULL;
	for (size_t i = 0; good && i < 4; i++)
		good = add_variable(st, &n, standard[i], getenv(standard[i]));
	for (int64_t i = 0; good && i < pass->n; i++) {
		const char *value = rt_env(st->context, pass->at[i], err);

		if (!value)
			return err ? err->code : RT_E_USAGE;
		good = add_variable(st, &n, pass->at[i], value);
	}
	return good ? 0 : rt_fail_nomem(err, "an environment");
}

/* The program by its whole path, since it runs in its own folder. */
static int open_program(struct state *st, struct rt_error *err)
{
	const struct config *c = st->cfg;
	char                *whole = realpath(c->program, NULL);

	if (!whole)
		return rt_fail_errno(err, "cannot find the program %s", c->program);
	st->program = rt_strdup(whole);
	st->folder = rt_strdup(whole);
	free(whole);
	st->argv = rt_alloc((size_t)c->args.n + 2, sizeof *st->argv);
	if (!st->program || !st->folder || !st->argv)
		return rt_fail_nomem(err, "a program");
	if (access(st->program, X_OK) < 0)
		return rt_fail_errno(err, "%s cannot be run (chmod +x makes a file a program)",
		                     c->program);
	strrchr(st->folder, '/')[1] = '\0';
	st->argv[0] = st->program;
	for (int64_t i = 0; i < c->args.n; i++)
		st->argv[i + 1] = c->args.at[i];
	return 0;
}

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	struct state *st = state;
	int           r;

	st->cfg = config;
	st->context = c;
	r = open_program(st, err);
	return r == 0 ? open_environment(st, err) : r;
}

static void close_(void *state)
{
	struct state *st = state;

	for (char **e = st->env; e && *e; e++)
		rt_free(*e);
	rt_free(st->env);
	rt_free(st->argv);
	rt_free(st->program);
	rt_free(st->folder);
}

static const struct rt_tool_ops ops = { .size = sizeof ops, .call = call, .function = function };

RT_PLUGIN(tool_exec, TOOL, .name = "exec", .version = "1.0", .license = "Apache-2.0",
          .summary = "Functions that a program serves: JSON on its input, JSON from its output.",
          .config_size = sizeof(struct config), .params = params,
          .state_size = sizeof(struct state), .open = open_, .close = close_, .ops.tool = &ops);
