/* conform.c - see conform.h: what every plugin is held against, whatever its kind. */
#include "plugin/conform.h"

#include "base/fault.h"
#include "plugin/param.h"
#include "plugin/specimen.h"

#include <retort/file.h>
#include <retort/memory.h>

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	SECONDS = 60,
	MOST_FINDINGS = 64,
	WARM = 16,
	MOST_CYCLES = 20000,
	CACHED = 64 * 1024,
	MOST_ALLOCS = 400
};

/* The worst that was said of one check; a check may be made many times. */
struct finding {
	char              check[96], reason[RT_ERROR_TEXT + 200];
	enum trial_result result;
};

struct conform {
	const struct rt_plugin *plugin;
	const char *const      *set;
	char                    folder[256];
	struct finding         *findings;
	int                     n, jobs;
	char                    digest[RT_HASH_HEX]; /* of the last process that sent one */
};

/* The plugin under test inside a process of its own. */
struct job {
	const struct conform *conform;
	struct trial          trial;
	struct context_sink   sink;
	struct rt_context     context;
	struct specimen       specimen;
};

typedef void job_fn(struct job *j);

/* A new config, checked and open; says skip and returns false when there is none to be had. */
static bool begin(struct job *j, const char *check)
{
	struct rt_error err = RT_ERROR_INIT;
	int r = specimen_make(&j->specimen, j->trial.plugin, j->trial.folder, &j->context,
	                      j->conform->set, &err);

	if (r == 0)
		r = specimen_open(&j->specimen, &err);
	if (r < 0) {
		trial_say(&j->trial, r == RT_E_USAGE ? TRIAL_FAIL : TRIAL_SKIP, check, "%s",
		          err.msg);
		return false;
	}
	j->trial.config = j->specimen.config;
	j->trial.state = j->specimen.component.state;
	return true;
}

static int once(struct job *j, struct rt_error *err)
{
	rt_hash_init(&j->trial.digest);
	return trial_kind(j->trial.plugin->kind)->once(&j->trial, err);
}

static void send_digest(struct job *j)
{
	char hex[RT_HASH_HEX];

	rt_hash_end_hex(&j->trial.digest, hex);
	fprintf(j->trial.report, "D\t%s\t\n", hex);
	fflush(j->trial.report);
}

/* ---- what is done in a process of its own ---- */

/* One parameter at one value: check() may refuse it; else it must open, or say why not. */
static void try_value(struct job *j, const struct rt_param *p, union rt_value v)
{
	struct rt_error err = RT_ERROR_INIT;
	struct specimen s;
	int             r;

	trial_now(&j->trial, "opening it with %s = %g", p->name,
	          p->type == RT_REAL ? v.r : (double)v.i);
	r = specimen_make(&s, j->trial.plugin, j->trial.folder, &j->context, j->conform->set, &err);
	if (r < 0)
		return;
	param_store(p, (char *)s.config + p->offset, v);
	r = specimen_open(&s, &err);
	if (r == 0)
		specimen_close(&s);
	trial_check(&j->trial, r == 0 || (err.code == r && *err.msg), "parameters at their limits",
	            "with %s = %g it fails with %d and no message", p->name,
	            p->type == RT_REAL ? v.r : (double)v.i, r);
}

static void try_limits(struct job *j)
{
	for (const struct rt_param *p = j->trial.plugin->params; p && p->name; p++) {
		if (p->list || p->type == RT_STRING || p->type >= RT_PATH)
			continue;
		try_value(j, p, p->min);
		try_value(j, p, p->max);
		for (int64_t i = 1; p->type == RT_ENUM && i < p->max.i; i++)
			try_value(j, p, (union rt_value){ .i = i });
	}
}

/* Its ordinary work, and what the header says of it. */
static void try_work(struct job *j)
{
	static const char        check[] = "its work is done";
	const struct trial_kind *kind = trial_kind(j->trial.plugin->kind);
	const size_t             size = j->trial.plugin->config_size;
	char                     before[RT_HASH_HEX], after[RT_HASH_HEX];
	struct rt_error          err = RT_ERROR_INIT;
	int                      r;

	if (!begin(j, check))
		return;
	kind->prepare(&j->trial);
	rt_hash_hex(j->specimen.config, size, before);
	r = once(j, &err);
	rt_hash_hex(j->specimen.config, size, after);
	if (strcmp(before, after) != 0)
		trial_say(&j->trial, TRIAL_FAIL, check, "it writes into its parameters");
	else if (r < 0 && !(err.code == r && *err.msg))
		trial_say(&j->trial, TRIAL_FAIL, check, "fails with %d and no message", r);
	else if (r < 0)
		trial_say(&j->trial, TRIAL_SKIP, check, "refuses what was made up: %s", err.msg);
	else
		trial_say(&j->trial, TRIAL_PASS, check, "%s", "");
	if (r == 0) {
		send_digest(j);
		kind->verify(&j->trial);
	}
	specimen_close(&j->specimen);
}

/* The work again, for its digest alone. */
static void try_again(struct job *j)
{
	if (!begin(j, ""))
		return;
	trial_kind(j->trial.plugin->kind)->prepare(&j->trial);
	if (once(j, NULL) == 0)
		send_digest(j);
	specimen_close(&j->specimen);
}

/* One life of the plugin; the digest of its work goes to hex. */
static int live(struct job *j, char hex[RT_HASH_HEX], struct rt_error *err)
{
	int r = specimen_open(&j->specimen, err);

	if (r < 0)
		return r;
	j->trial.state = j->specimen.component.state;
	r = once(j, err);
	rt_hash_end_hex(&j->trial.digest, hex);
	specimen_close(&j->specimen);
	return r;
}

/* Let the first, second, ... allocation fail: an error with a message, or the same result. */
static void try_starving(struct job *j)
{
	static const char check[] = "any allocation may fail";
	char              want[RT_HASH_HEX] = "", have[RT_HASH_HEX] = "";
	struct rt_error   err = RT_ERROR_INIT;

	if (!begin(j, ""))
		return;
	specimen_close(&j->specimen);
	trial_kind(j->trial.plugin->kind)->prepare(&j->trial);
	if (live(j, want, &err) < 0)
		return;
	for (int n = 1; n <= MOST_ALLOCS; n++) {
		char wish[32];
		long seen;
		int  r;

		snprintf(wish, sizeof wish, "alloc:%d", n);
		trial_now(&j->trial, "allocation %d fails", n);
		err = (struct rt_error)RT_ERROR_INIT;
		fault_set(wish, NULL);
		r = live(j, have, &err);
		seen = fault_seen_allocs();
		fault_set(NULL, NULL);
		if (r < 0 ? err.code != r || !*err.msg : strcmp(want, have) != 0) {
			trial_say(&j->trial, TRIAL_FAIL, check,
			          r < 0 ? "without number %d it fails and does not say why"
			                : "without number %d it says that all is well, and the "
			                  "result is another",
			          n);
			return;
		}
		if (seen < n)
			break;
	}
	trial_say(&j->trial, TRIAL_PASS, check, "%s", "");
}

static size_t in_use(void)
{
	return mallinfo2().uordblks;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Many lives in two seconds.  The allocator itself keeps up to CACHED. */
static void try_balance(struct job *j)
{
	const double end = seconds() + 2;
	char         hex[RT_HASH_HEX];
	size_t       before = 0, after;
	int          n = 0;

	if (!begin(j, ""))
		return;
	specimen_close(&j->specimen);
	trial_kind(j->trial.plugin->kind)->prepare(&j->trial);
	for (; n < MOST_CYCLES && (n <= WARM || seconds() < end); n++) {
		if (live(j, hex, NULL) < 0)
			return;
		if (n == WARM)
			before = in_use();
	}
	after = in_use();
	trial_check(&j->trial, after < before + CACHED + (size_t)n * 8,
	            "close gives back what open and the work took", "%zu bytes stay each time",
	            (after - before) / (size_t)n);
}

/* ---- the processes ---- */

/* Silent on everything: what a plugin logs is not looked at here. */
static void become_job(const struct conform *c, job_fn *fn, int threads, FILE *report)
{
	struct job j = { .conform = c };
	char       count[16], folder[sizeof c->folder + 16];

	snprintf(count, sizeof count, "%d", threads);
	setenv("RETORT_THREADS", count, 1);
	snprintf(folder, sizeof folder, "%s/%d", c->folder, c->jobs);
	if (mkdir(folder, 0777) < 0)
		_exit(EXIT_FAILURE);
	alarm(SECONDS);
	j.context = (struct rt_context){
		.sink = &j.sink, .stage = "trial", .seed = 7, .work_dir = folder
	};
	j.trial = (struct trial){
		.plugin = c->plugin, .context = &j.context, .folder = folder, .report = report
	};
	fn(&j);
	fflush(report);
	_exit(EXIT_SUCCESS);
}

static int rank(enum trial_result r)
{
	return r == TRIAL_FAIL ? 2 : r == TRIAL_SKIP ? 1 : 0;
}

static void note(struct conform *c, enum trial_result result, const char *check, const char *reason)
{
	struct finding *f = c->findings;

	while (f < c->findings + c->n && strcmp(f->check, check) != 0)
		f++;
	if (!*check || f == c->findings + MOST_FINDINGS)
		return;
	if (f == c->findings + c->n) {
		c->n++;
		snprintf(f->check, sizeof f->check, "%s", check);
		f->result = TRIAL_PASS;
	}
	if (rank(result) > rank(f->result)) {
		f->result = result;
		snprintf(f->reason, sizeof f->reason, "%s", reason);
	}
}

/* RESULT TAB CHECK TAB REASON LF; D is the digest, @ what is being done. */
static void read_report(struct conform *c, FILE *from, char *now, size_t size)
{
	char line[RT_ERROR_TEXT + 400];

	while (fgets(line, sizeof line, from)) {
		char *check = strchr(line, '\t'), *reason = check ? strchr(check + 1, '\t') : NULL;

		if (!reason)
			continue;
		*check++ = *reason++ = '\0';
		reason[strcspn(reason, "\n")] = '\0';
		if (*line == 'D')
			snprintf(c->digest, sizeof c->digest, "%s", check);
		else if (*line == '@')
			snprintf(now, size, "%s", reason);
		else
			note(c, (enum trial_result) * line, check, reason);
	}
}

static void note_end(struct conform *c, const char *check, int status, const char *now)
{
	char reason[400];

	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS)
		return;
	if (!WIFSIGNALED(status))
		snprintf(reason, sizeof reason, "it ended the process%s%s", *now ? " while " : "",
		         now);
	else if (WTERMSIG(status) == SIGALRM)
		snprintf(reason, sizeof reason, "took more than %d seconds%s%s", SECONDS,
		         *now ? " while " : "", now);
	else
		snprintf(reason, sizeof reason, "died of signal %d (%s)%s%s%s", WTERMSIG(status),
		         strsignal(WTERMSIG(status)),
		         WTERMSIG(status) == SIGSEGV
		                 ? ": it reads or writes outside what it was given"
		                 : "",
		         *now ? ", while " : "", now);
	note(c, TRIAL_FAIL, check, reason);
}

static int run_job(struct conform *c, const char *check, job_fn *fn, int threads,
                   struct rt_error *err)
{
	char  now[400] = "";
	int   ends[2], status = 0;
	pid_t child;
	FILE *f;

	c->jobs++;
	if (pipe(ends) < 0 || (child = fork()) < 0)
		return rt_fail_errno(err, "cannot start a process for the checks");
	f = fdopen(ends[child == 0], child == 0 ? "w" : "r");
	close(ends[child != 0]);
	if (child == 0 && f)
		become_job(c, fn, threads, f);
	if (child == 0)
		_exit(EXIT_FAILURE);
	if (f) {
		read_report(c, f, now, sizeof now);
		fclose(f);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	note_end(c, check, status, now);
	return f ? 0 : rt_fail_nomem(err, "the checks");
}

/* The same work with one thread and with four. */
static int compare_threads(struct conform *c, struct rt_error *err)
{
	static const char check[] = "the same result with 1 thread and with 4";
	char              one[RT_HASH_HEX];
	int               r;

	if (!*c->digest)
		return 0;
	strcpy(one, c->digest);
	*c->digest = '\0';
	r = run_job(c, check, try_again, 4, err);
	if (r == 0)
		note(c, strcmp(one, c->digest) == 0 ? TRIAL_PASS : TRIAL_FAIL, check,
		     "the results differ");
	return r;
}

static int run_all(struct conform *c, struct rt_error *err)
{
	int r = run_job(c, "parameters at their limits", try_limits, 1, err);

	if (r == 0)
		r = run_job(c, "its work is done", try_work, 1, err);
	if (r == 0)
		r = compare_threads(c, err);
	if (r == 0)
		r = run_job(c, "any allocation may fail", try_starving, 1, err);
	if (r == 0)
		r = run_job(c, "close gives back what open and the work took", try_balance, 1, err);
	return r;
}

int conform_plugin(const struct rt_plugin *plugin, const char *const *set, conform_fn *say,
                   void *arg, struct rt_error *err)
{
	const char    *where = getenv("TMPDIR");
	struct conform c = { .plugin = plugin, .set = set };
	int            r;

	snprintf(c.folder, sizeof c.folder, "%s/retort-trial-XXXXXX",
	         where && *where ? where : "/tmp");
	if (!mkdtemp(c.folder))
		return rt_fail_errno(err, "cannot make the folder %s", c.folder);
	c.findings = rt_alloc(MOST_FINDINGS, sizeof *c.findings);
	r = c.findings ? run_all(&c, err) : rt_fail_nomem(err, "the checks");
	for (int i = 0; r == 0 && i < c.n; i++)
		say(arg, c.findings[i].result, c.findings[i].check, c.findings[i].reason);
	rt_free(c.findings);
	rt_remove_all(c.folder, NULL);
	return r;
}
