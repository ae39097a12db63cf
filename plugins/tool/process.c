/* process.c - see process.h */
#define _GNU_SOURCE /* posix_spawn_file_actions_addchdir_np */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 100, MOST_TOLD = 2000, REAP_MS = 2 };

/* Our ends: of its input, output and errors. */
enum { IN, OUT, TOLD, ENDS };

struct pipes {
	int ours[ENDS], its[ENDS];
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void shut_all(int fd[ENDS])
{
	for (int i = 0; i < ENDS; i++)
		shut(&fd[i]);
}

static bool make_pipes(struct pipes *p)
{
	bool good = true;

	for (int i = 0; i < ENDS; i++)
		p->ours[i] = p->its[i] = -1;
	for (int i = 0; good && i < ENDS; i++) {
		int ends[2];

		good = pipe(ends) == 0;
		if (!good)
			break;
		p->ours[i] = ends[i == IN];
		p->its[i] = ends[i != IN];
		good = fcntl(p->ours[i], F_SETFD, FD_CLOEXEC) == 0 &&
		       fcntl(p->its[i], F_SETFD, FD_CLOEXEC) == 0 &&
		       fcntl(p->ours[i], F_SETFL, O_NONBLOCK) == 0;
	}
	return good;
}

/* Its own group, no signal ignored or blocked, pipes for the three standard streams. */
static int spawn(const struct process *p, const struct pipes *q, pid_t *ret)
{
	posix_spawn_file_actions_t a;
	posix_spawnattr_t          b;
	sigset_t                   none, pipe_signal;
	int                        r;

	sigemptyset(&none);
	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	if (posix_spawn_file_actions_init(&a) != 0)
		return ENOMEM;
	if (posix_spawnattr_init(&b) != 0) {
		posix_spawn_file_actions_destroy(&a);
		return ENOMEM;
	}
	r = posix_spawn_file_actions_addchdir_np(&a, p->folder);
	for (int i = 0; r == 0 && i < ENDS; i++)
		r = posix_spawn_file_actions_adddup2(&a, q->its[i], i);
	posix_spawnattr_setflags(&b, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
	                                     POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&b, &none);
	posix_spawnattr_setsigdefault(&b, &pipe_signal);
	if (r == 0)
		r = posix_spawn(ret, p->argv[0], &a, &b, (char *const *)(uintptr_t)p->argv,
		                (char *const *)(uintptr_t)p->env);
	posix_spawnattr_destroy(&b);
	posix_spawn_file_actions_destroy(&a);
	return r;
}

/* What it has to say now; its end closes ours. */
static void hear(int *fd, struct rt_text *to, int64_t limit, bool *ret_large)
{
	char    bytes[16384];
	ssize_t k = read(*fd, bytes, sizeof bytes);

	if (k < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (k <= 0) {
		shut(fd);
		return;
	}
	if ((int64_t)to->len + k > limit) {
		k = (ssize_t)(limit - (int64_t)to->len);
		*ret_large = true;
	}
	rt_text_add_n(to, bytes, (size_t)k);
}

static void feed(int *fd, const char **bytes, size_t *n)
{
	const ssize_t k = write(*fd, *bytes, *n);

	if (k < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (k > 0) {
		*bytes += k;
		*n -= (size_t)k;
	}
	if (k < 0 || *n == 0)
		shut(fd); /* it has all, or does not want more */
}

/* Until both outputs are closed; 0, or why it must die. */
static int converse(struct process *p, int fd[ENDS], const char *bytes, size_t n,
                    struct rt_context *c, struct rt_error *err)
{
	const double end = now() + p->timeout;
	bool         more_told = false; /* than anybody reads: dropped */

	while (fd[OUT] >= 0 || fd[TOLD] >= 0) {
		struct pollfd f[ENDS] = { { fd[IN], POLLOUT, 0 },
			                  { fd[OUT], POLLIN, 0 },
			                  { fd[TOLD], POLLIN, 0 } };

		if (rt_cancelled(c))
			return rt_fail(err, RT_E_CANCEL, "cancelled");
		p->late = now() >= end;
		if (p->late || p->large || p->out.failed)
			return 0;
		if (poll(f, ENDS, (int)fmin(TICK_MS, ceil(1000 * (end - now())))) < 0 &&
		    errno != EINTR)
			return rt_fail_errno(err, "cannot wait for %s", p->argv[0]);
		if (f[OUT].revents)
			hear(&fd[OUT], &p->out, p->limit, &p->large);
		if (f[TOLD].revents)
			hear(&fd[TOLD], &p->told, MOST_TOLD, &more_told);
		if (f[IN].revents)
			feed(&fd[IN], &bytes, &n);
	}
	return 0;
}

static bool ended(pid_t child)
{
	siginfo_t i = { 0 };

	return waitid(P_PID, (id_t)child, &i, WEXITED | WNOHANG | WNOWAIT) < 0 || i.si_pid == child;
}

/* It has closed its outputs: it ends by itself in time, or is killed.  Its group is ended before it
 * is reaped, while the number is still its own. */
static void reap(struct process *p, pid_t child, bool kill_now, double end)
{
	while (!kill_now && !ended(child)) {
		p->late = kill_now = now() >= end;
		nanosleep(&(struct timespec){ 0, REAP_MS * 1000000L }, NULL);
	}
	kill(-child, SIGKILL);
	while (waitpid(child, &p->status, 0) < 0 && errno == EINTR)
		;
}

int process_run(struct process *p, const char *bytes, size_t n, struct rt_context *c,
                struct rt_error *err)
{
	const double end = now() + p->timeout;
	struct pipes q;
	pid_t        child;
	int          r = make_pipes(&q) ? 0 : rt_fail_errno(err, "cannot make a pipe"), code;

	p->out = p->told = (struct rt_text)RT_TEXT_INIT;
	p->late = p->large = false;
	code = r == 0 ? spawn(p, &q, &child) : 0;
	if (code) {
		errno = code;
		r = rt_fail_errno(err, "cannot run %s", p->argv[0]);
	}
	shut_all(q.its);
	if (r == 0) {
		r = converse(p, q.ours, bytes, n, c, err);
		reap(p, child, r < 0 || p->late || p->large || p->out.failed, end);
		if (r == 0 && (p->out.failed || p->told.failed))
			r = rt_fail_nomem(err, "the output of a program");
	}
	shut_all(q.ours);
	if (r < 0)
		process_fini(p);
	return r;
}

void process_fini(struct process *p)
{
	rt_text_free(&p->out);
	rt_text_free(&p->told);
}
