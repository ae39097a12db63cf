/* parallel.c - see retort/parallel.h.
 *
 * Jobs stand in a few places that all threads know.  A caller puts its job into one, works on it
 * until no piece is left to take, and waits for the pieces that others took.  Idle threads take
 * pieces from any job that is open, so nested and simultaneous calls share the same few threads.  A
 * job that finds no place is done by its caller alone.
 *
 * Where work takes a microsecond, what counts is how often a line of the cache goes from one
 * processor to another: nobody takes a lock but to sleep and to wake.  Each thread begins with a
 * stretch of its own, the same part of any job, and takes from others' when that is done: the rows
 * that it wrote in one job are the rows that it reads in the next. */
#include "base/cpus.h"
#include "base/pool.h"

#include <retort/parallel.h>

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

/* A product of a small model takes microseconds, as does waking a thread: whoever waits looks
 * again for about that long before it sleeps.  Who waits for work lets others have the processor
 * now and then, after a while: where there is none left for it, whoever will post the work may be
 * waiting for this very one. */
enum { MAX_THREADS = 256, LOOKS = 2000, PATIENCE = 1000, TURN = 100 };
enum { JOBS = 32, STRETCHES = 16, LINE = 64 };

/* Pieces that stand side by side. */
struct stretch {
	_Alignas(LINE) atomic_llong next; /* the next piece to take */
	int64_t end;
};

/* One that is open has its fields set, and they hold for whoever is counted among its helpers and
 * sees it open after that: who closes it waits until there are none. */
struct job {
	_Alignas(LINE) rt_piece_fn *fn;
	void          *arg;
	int64_t        n, grain;
	int            stretches;
	atomic_int     helpers; /* pool threads that are inside */
	struct stretch at[STRETCHES];
};

_Static_assert(JOBS <= 32, "a bit of 32 and half of 64 for each");

static struct {
	/* How many jobs were posted so far, from bit JOBS on; below it, which of them are open. */
	_Alignas(LINE) atomic_ullong posted;
	_Alignas(LINE) atomic_uint taken;          /* which places are, by callers */
	_Alignas(LINE) atomic_int sleeping, stuck; /* who waits for work; for helpers to leave */
	pthread_mutex_t lock;
	pthread_cond_t  work, idle;
	struct job      jobs[JOBS];
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER,
	   .work = PTHREAD_COND_INITIALIZER,
	   .idle = PTHREAD_COND_INITIALIZER };

/* What the user asks for: 0 when nothing is set, -1 when it is no number of threads. */
static int asked_threads(const char *wish)
{
	char *end;
	long  n;

	if (!wish || !*wish)
		return 0;
	if (*wish < '0' || *wish > '9') /* strtol() takes blanks and signs */
		return -1;
	n = strtol(wish, &end, 10);
	return *end == '\0' && n >= 1 && n <= MAX_THREADS ? (int)n : -1;
}

int pool_check(struct rt_error *err)
{
	const char *wish = getenv("RETORT_THREADS");

	return asked_threads(wish) >= 0
	               ? 0
	               : rt_fail(err, RT_E_USAGE,
	                         "RETORT_THREADS=%s: must be a whole number from 1 to %d", wish,
	                         MAX_THREADS);
}

static int count_threads(void)
{
	const int asked = asked_threads(getenv("RETORT_THREADS"));
	const int n = asked >= 1 ? asked : cpus_allowed();

	return n < MAX_THREADS ? n : MAX_THREADS;
}

static int            threads;
static pthread_once_t counted = PTHREAD_ONCE_INIT;

static void count_once(void)
{
	threads = count_threads();
}

int rt_threads(void)
{
	pthread_once(&counted, count_once);
	return threads;
}

static _Thread_local int self; /* number of a thread of the pool, 0 of all others */

static bool take_from(struct job *j, struct stretch *s)
{
	bool some = false;

	for (;;) {
		const int64_t i = atomic_fetch_add(&s->next, 1);
		int64_t       first, last;

		if (i >= s->end)
			return some;
		some = true;
		first = i * j->grain;
		last = j->n - first > j->grain ? first + j->grain : j->n;
		j->fn(j->arg, first, last);
	}
}

/* False when there was nothing to take. */
static bool work_on(struct job *j)
{
	bool some = false;

	for (int i = 0; i < j->stretches; i++) {
		struct stretch *s = &j->at[(self + i) % j->stretches];

		if (atomic_load(&s->next) < s->end)
			some |= take_from(j, s);
	}
	return some;
}

/* One for each thread, of as many pieces as the others. */
static void cut(struct job *j)
{
	const int64_t pieces = (j->n - 1) / j->grain + 1;
	int           most = rt_threads() < STRETCHES ? rt_threads() : STRETCHES;

	j->stretches = most < pieces ? most : (int)pieces;
	for (int i = 0; i < j->stretches; i++) {
		atomic_init(&j->at[i].next,
		            pieces / j->stretches * i + pieces % j->stretches * i / j->stretches);
		if (i > 0)
			j->at[i - 1].end = j->at[i].next;
	}
	j->at[j->stretches - 1].end = pieces;
}

static inline void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static bool is_open(int place, unsigned long long posted)
{
	return posted >> place & 1;
}

/* False when there is nothing to take from the job, or none any more. */
static bool help(int place)
{
	struct job *j = &pool.jobs[place];
	bool        some;

	atomic_fetch_add(&j->helpers, 1);
	some = is_open(place, atomic_load(&pool.posted)) && work_on(j);
	atomic_fetch_sub(&j->helpers, 1);
	if (atomic_load(&pool.stuck) > 0) {
		pthread_mutex_lock(&pool.lock);
		pthread_cond_broadcast(&pool.idle);
		pthread_mutex_unlock(&pool.lock);
	}
	return some;
}

/* Until more was posted than `seen`. */
static void await_work(unsigned long long seen)
{
	for (int i = 0; i < LOOKS; i++) {
		if (atomic_load(&pool.posted) >> JOBS != seen >> JOBS)
			return;
		if (i > PATIENCE && i % TURN == 0)
			sched_yield();
		else
			pause_briefly();
	}
	pthread_mutex_lock(&pool.lock);
	atomic_fetch_add(&pool.sleeping, 1); /* who posts after this wakes whoever waits below */
	while (atomic_load(&pool.posted) >> JOBS == seen >> JOBS)
		pthread_cond_wait(&pool.work, &pool.lock);
	atomic_fetch_sub(&pool.sleeping, 1);
	pthread_mutex_unlock(&pool.lock);
}

static void *helper(void *number)
{
	self = (int)(intptr_t)number;
	for (;;) {
		const unsigned long long seen = atomic_load(&pool.posted);
		bool                     some = false;

		for (int place = 0; place < JOBS; place++)
			if (is_open(place, seen))
				some |= help(place);
		if (!some)
			await_work(seen);
	}
	return NULL;
}

/* A thread that cannot be started is done without; signals are for the main thread. */
static void start_helpers(void)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (int i = 1; i < rt_threads(); i++) {
		pthread_t id;

		if (pthread_create(&id, NULL, helper, (void *)(intptr_t)i) != 0)
			break;
		pthread_detach(id);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* -1 when there is none left: then the caller works alone. */
static int take_place(void)
{
	for (int i = 0; i < JOBS; i++) {
		const unsigned bit = 1u << i;

		if (!(atomic_load(&pool.taken) & bit) && !(atomic_fetch_or(&pool.taken, bit) & bit))
			return i;
	}
	return -1;
}

static void post(int place)
{
	static pthread_once_t started = PTHREAD_ONCE_INIT;

	pthread_once(&started, start_helpers);
	atomic_fetch_add(&pool.posted, (1ull << JOBS) + (1ull << place));
	if (atomic_load(&pool.sleeping) > 0) {
		pthread_mutex_lock(&pool.lock);
		pthread_cond_broadcast(&pool.work);
		pthread_mutex_unlock(&pool.lock);
	}
}

/* Nobody comes to the job any more, and those who are there end their pieces. */
static void leave(int place)
{
	struct job *j = &pool.jobs[place];

	atomic_fetch_sub(&pool.posted, 1ull << place);
	for (int i = 0; i < LOOKS && atomic_load(&j->helpers) > 0; i++)
		pause_briefly();
	if (atomic_load(&j->helpers) > 0) {
		pthread_mutex_lock(&pool.lock);
		atomic_fetch_add(&pool.stuck, 1);
		while (atomic_load(&j->helpers) > 0)
			pthread_cond_wait(&pool.idle, &pool.lock);
		atomic_fetch_sub(&pool.stuck, 1);
		pthread_mutex_unlock(&pool.lock);
	}
	atomic_fetch_and(&pool.taken, ~(1u << place));
}

void rt_parallel(int64_t n, int64_t grain, rt_piece_fn *fn, void *arg)
{
	struct job own, *j = &own;
	int        place = -1;

	if (n <= 0)
		return;
	if (grain < 1)
		grain = 1;
	if (n > grain && rt_threads() > 1)
		place = take_place();
	if (place >= 0)
		j = &pool.jobs[place];
	j->fn = fn;
	j->arg = arg;
	j->n = n;
	j->grain = grain;
	cut(j);
	if (place >= 0)
		post(place);
	work_on(j);
	if (place >= 0)
		leave(place);
}

/* ---- what it costs -------------------------------------------------------------------------- */

static double measured;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct meeting {
	atomic_int here;
	atomic_int missed;
};

/* Waits for the other piece, for a while: in vain, if one thread takes both. */
static void meet(void *arg, int64_t first, int64_t last)
{
	struct meeting *m = arg;
	int             i = 0;

	(void)first, (void)last;
	atomic_fetch_add(&m->here, 1);
	while (i < LOOKS && atomic_load(&m->here) < 2) {
		pause_briefly();
		i++;
	}
	if (i == LOOKS)
		atomic_store(&m->missed, 1);
}

static void measure_once(void)
{
	enum { MEETINGS = 20 };
	const struct timespec rest = { 0, 100000 };
	const double          enough = 2e-3, until = now() + enough;
	int                   met = 0;

	if (rt_threads() == 1)
		return;
	for (int i = 0; met < MEETINGS && now() < until; i++) {
		struct meeting m = { 0 };
		const double   begin = now();
		double         took;

		rt_parallel(2, 1, meet, &m);
		took = now() - begin;
		if (atomic_load(&m.missed)) {
			/* The other was asleep and is on its way; or, now and then, it waits for
			 * this very processor: who wakes up goes where there is room. */
			if (i % 8 == 7)
				nanosleep(&rest, NULL);
			continue;
		}
		if (met++ == 0 || took < measured)
			measured = took;
	}
	if (met < MEETINGS)
		measured = INFINITY;
}

double pool_hand_over(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, measure_once);
	return measured;
}
