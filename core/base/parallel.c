/* parallel.c - see retort/parallel.h.
 *
 * Jobs stand in a list.  A caller puts its job there, works on it until no piece is left
 * to take, and waits for the pieces that others took.  Idle threads take pieces from any
 * job in the list, so nested and simultaneous calls share the same few threads. */
#define _GNU_SOURCE /* CPU_COUNT */
#include <retort/parallel.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* A product of a small model takes microseconds, as does waking a thread: whoever waits looks
 * again for about that long before it sleeps.  Who waits for work lets others have the processor
 * now and then, after a while: where there is none left for it, whoever will post the work may be
 * waiting for this very one. */
enum { MAX_THREADS = 256, LOOKS = 2000, PATIENCE = 1000, TURN = 100 };

struct job {
	rt_piece_fn *fn;
	void        *arg;
	int64_t      n, grain, pieces;
	atomic_llong next;    /* the next piece to take */
	atomic_int   helpers; /* pool threads inside this job; raised under the lock */
	struct job  *after;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t  work, idle; /* a job came; a helper left its job */
	struct job     *jobs;
	atomic_uint     posted;          /* jobs so far */
	int             sleeping, stuck; /* who waits for work; for idle */
	int             started;
	bool            tried; /* to start the threads */
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER,
	   .work = PTHREAD_COND_INITIALIZER,
	   .idle = PTHREAD_COND_INITIALIZER };

/* CPUs that the cgroup's quota amounts to, rounded up; 0 when there is no quota. */
static int cgroup_cpus(void)
{
	FILE     *f = fopen("/sys/fs/cgroup/cpu.max", "re");
	long long quota = 0, period = 0;
	int       got = 0;

	if (f) {
		got = fscanf(f, "%lld %lld", &quota, &period);
		fclose(f);
	}
	return got == 2 && quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

static int count_cpus(void)
{
	const char *wish = getenv("RETORT_THREADS");
	const int   asked = wish ? atoi(wish) : 0, quota = cgroup_cpus();
	cpu_set_t   set;
	int         n = 1;

	if (asked >= 1)
		return asked < MAX_THREADS ? asked : MAX_THREADS;
	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof set, &set) == 0)
		n = CPU_COUNT(&set);
	if (quota && quota < n)
		n = quota;
	return n < MAX_THREADS ? n : MAX_THREADS;
}

static int            threads;
static pthread_once_t counted = PTHREAD_ONCE_INIT;

static void count_once(void)
{
	threads = count_cpus();
}

int rt_threads(void)
{
	pthread_once(&counted, count_once);
	return threads;
}

static void work_on(struct job *j)
{
	for (;;) {
		const int64_t i = atomic_fetch_add(&j->next, 1);
		int64_t       first, last;

		if (i >= j->pieces)
			return;
		first = i * j->grain;
		last = j->n - first > j->grain ? first + j->grain : j->n;
		j->fn(j->arg, first, last);
	}
}

static struct job *find_work(void)
{
	for (struct job *j = pool.jobs; j; j = j->after)
		if (atomic_load(&j->next) < j->pieces)
			return j;
	return NULL;
}

static inline void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Under the lock, which is let go of meanwhile: until there may be work. */
static void await_work(void)
{
	const unsigned seen = atomic_load(&pool.posted);

	pthread_mutex_unlock(&pool.lock);
	for (int i = 0; i < LOOKS && atomic_load(&pool.posted) == seen; i++)
		if (i > PATIENCE && i % TURN == 0)
			sched_yield();
		else
			pause_briefly();
	pthread_mutex_lock(&pool.lock);
	if (find_work())
		return;
	pool.sleeping++;
	pthread_cond_wait(&pool.work, &pool.lock);
	pool.sleeping--;
}

static void *helper(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&pool.lock);
	for (;;) {
		struct job *j = find_work();

		if (!j) {
			await_work();
			continue;
		}
		atomic_fetch_add(&j->helpers, 1);
		pthread_mutex_unlock(&pool.lock);
		work_on(j);
		atomic_fetch_sub(&j->helpers, 1); /* the job may be gone from here on */
		pthread_mutex_lock(&pool.lock);
		if (pool.stuck > 0)
			pthread_cond_broadcast(&pool.idle);
	}
	return NULL;
}

/* Under the lock.  A thread that cannot be started is done without; signals are for the
 * main thread. */
static void start_helpers(void)
{
	sigset_t all, old;

	pool.tried = true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (int i = 1; i < rt_threads(); i++) {
		pthread_t id;

		if (pthread_create(&id, NULL, helper, NULL) != 0)
			break;
		pthread_detach(id);
		pool.started++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void post(struct job *j)
{
	bool asleep;

	pthread_mutex_lock(&pool.lock);
	if (!pool.tried)
		start_helpers();
	j->after = pool.jobs;
	pool.jobs = j;
	asleep = pool.sleeping > 0;
	pthread_mutex_unlock(&pool.lock);
	/* Not before: those who look would only wait for the lock. */
	atomic_fetch_add(&pool.posted, 1);
	if (asleep)
		pthread_cond_broadcast(&pool.work);
}

/* Nobody comes to the job any more, and those who are there end their pieces. */
static void leave(struct job *j)
{
	struct job **at = &pool.jobs;

	pthread_mutex_lock(&pool.lock);
	while (*at != j)
		at = &(*at)->after;
	*at = j->after;
	pthread_mutex_unlock(&pool.lock);
	for (int i = 0; i < LOOKS && atomic_load(&j->helpers) > 0; i++)
		pause_briefly();
	if (atomic_load(&j->helpers) == 0)
		return;
	pthread_mutex_lock(&pool.lock);
	pool.stuck++;
	while (atomic_load(&j->helpers) > 0)
		pthread_cond_wait(&pool.idle, &pool.lock);
	pool.stuck--;
	pthread_mutex_unlock(&pool.lock);
}

void rt_parallel(int64_t n, int64_t grain, rt_piece_fn *fn, void *arg)
{
	struct job j = { .fn = fn, .arg = arg, .n = n, .grain = grain < 1 ? 1 : grain };

	if (n <= 0)
		return;
	j.pieces = (n - 1) / j.grain + 1;
	if (j.pieces == 1 || rt_threads() == 1) {
		work_on(&j);
		return;
	}
	post(&j);
	work_on(&j);
	leave(&j);
}
