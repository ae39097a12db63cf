/* bench-apart.c - a part of retort bench in a process of its own.  See bench.h
 *
 * The parent starts no threads: those of the pool would not be there in its children. */
#include "cli/bench.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* In memory of both. */
struct outcome {
	int                 code;
	struct rt_error     err;
	struct bench_result result;
};

static volatile sig_atomic_t stopped, running; /* running: the child, or 0 */

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
	if (running)
		kill((pid_t)running, SIGKILL);
}

static void catch_signals(void (*handler)(int))
{
	struct sigaction a = { .sa_handler = handler };

	sigemptyset(&a.sa_mask);
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGHUP, &a, NULL);
}

void bench_catch_signals(void)
{
	catch_signals(on_signal);
}

static void child(bench_fn *fn, const struct bench_job *j, struct outcome *o)
{
	catch_signals(SIG_DFL);
	o->code = fn(j, &o->result, &o->err);
	_exit(0);
}

/* A signal that came before the child was known ends it here. */
static int wait_for(pid_t id, int *status, struct rusage *used)
{
	int r;

	running = (sig_atomic_t)id;
	if (stopped)
		kill(id, SIGKILL);
	do
		r = (int)wait4(id, status, 0, used);
	while (r < 0 && errno == EINTR);
	running = 0;
	return r;
}

static int judge(const struct outcome *o, int status, struct rt_error *err)
{
	if (stopped)
		return rt_fail(err, RT_E_CANCEL, "interrupted");
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return rt_fail(err, RT_E_NOMEM,
		               "the process was killed, which is what a system does that is out "
		               "of memory; a smaller --batch or shape needs less");
	if (WIFSIGNALED(status))
		return rt_fail(err, RT_E_INVAL, "the process ended by signal %d (%s)",
		               WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) != 0) /* a library gave up */
		return rt_fail(err, RT_E_INVAL, "the process ended with status %d",
		               WEXITSTATUS(status));
	if (o->code < 0 && err)
		*err = o->err;
	return o->code;
}

int bench_apart(bench_fn *fn, const struct bench_job *j, struct bench_result *ret,
                struct rt_error *err)
{
	struct outcome *o =
		mmap(NULL, sizeof *o, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct rusage used;
	int           status, r;
	pid_t         id;

	if (o == MAP_FAILED)
		return rt_fail_errno(err, "no memory for a process");
	id = stopped ? -1 : fork();
	if (id == 0)
		child(fn, j, o);
	if (stopped && id < 0)
		r = rt_fail(err, RT_E_CANCEL, "interrupted");
	else if (id < 0 || wait_for(id, &status, &used) < 0)
		r = rt_fail_errno(err, "no process to measure in");
	else
		r = judge(o, status, err);
	if (r == 0) {
		*ret = o->result;
		ret->memory = (int64_t)used.ru_maxrss * 1024;
	}
	munmap(o, sizeof *o);
	return r;
}
