#include "base/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "base/thread.h"

/* Looks that are taken before a thread goes to sleep, some 20 us: waking it costs
 * as much again, and a row of runs leaves no more than that between two. */
#define LOOKS 500

/* Jobs are taken without a lock: a ticket is the run's number in its upper half
 * and the next job in its lower, so that a thread which comes late, with the
 * ticket of a run that is over, cannot take a job of the next. What a run is
 * about is written between the last ticket of the one before, which is no job's,
 * and its own first one, when all jobs are done. */
struct pool {
	atomic_uint_fast64_t ticket;
	_Atomic(pool_job) fn;
	_Atomic(void *) arg;
	atomic_size_t jobs, finished;
	atomic_uint sleeping; /* workers; changed with the lock held */
	atomic_bool waiting;  /* the caller, likewise */
	atomic_bool quit;
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	unsigned threads;
	struct worker {
		struct pool *pool;
		unsigned index;
		pthread_t id;
	} *workers;
};

#define RUN(ticket) ((uint32_t)((ticket) >> 32))
#define NO_JOB UINT32_MAX

static void
wake(struct pool *p, pthread_cond_t *c)
{
	pthread_mutex_lock(&p->lock);
	pthread_cond_broadcast(c);
	pthread_mutex_unlock(&p->lock);
}

/* Takes jobs of that run until none is left. */
static void
take_jobs(struct pool *p, uint32_t run, unsigned thread)
{
	uint_fast64_t ticket = atomic_load(&p->ticket);
	size_t jobs, job;
	pool_job fn;
	void *arg;

	while (RUN(ticket) == run) {
		fn = atomic_load(&p->fn);
		arg = atomic_load(&p->arg);
		jobs = atomic_load(&p->jobs);
		job = (uint32_t)ticket;
		if (job >= jobs)
			return;
		if (!atomic_compare_exchange_weak(&p->ticket, &ticket, ticket + 1))
			continue;
		fn(arg, job, thread);
		if (atomic_fetch_add(&p->finished, 1) + 1 == jobs && atomic_load(&p->waiting))
			wake(p, &p->done);
		ticket = atomic_load(&p->ticket);
	}
}

static bool
news(const struct pool *p, uint32_t seen)
{
	return RUN(atomic_load(&p->ticket)) != seen || atomic_load(&p->quit);
}

static void
wait_for_run(struct pool *p, uint32_t seen)
{
	unsigned look;

	for (look = 0; look < LOOKS; look++) {
		if (news(p, seen))
			return;
		cpu_relax();
	}
	pthread_mutex_lock(&p->lock);
	atomic_fetch_add(&p->sleeping, 1);
	while (!news(p, seen))
		pthread_cond_wait(&p->work, &p->lock);
	atomic_fetch_sub(&p->sleeping, 1);
	pthread_mutex_unlock(&p->lock);
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->pool;
	uint32_t seen = 0;

	for (;;) {
		wait_for_run(p, seen);
		if (atomic_load(&p->quit))
			return NULL;
		seen = RUN(atomic_load(&p->ticket));
		take_jobs(p, seen, w->index);
	}
}

struct pool *
pool_new(unsigned threads, struct err *e)
{
	struct pool *p = calloc(1, sizeof *p);
	unsigned i;

	if (threads < 1)
		threads = 1;
	if (p)
		p->workers = calloc(threads, sizeof *p->workers);
	if (!p || !p->workers) {
		free(p);
		err_memory(e, "threads", threads * sizeof *p->workers);
		return NULL;
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->done, NULL);
	p->threads = 1;
	for (i = 1; i < threads; i++) {
		p->workers[i] = (struct worker){.pool = p, .index = i};
		if (thread_start(&p->workers[i].id, worker_main, &p->workers[i], 0))
			break;
		p->threads++;
	}
	if (p->threads < threads) {
		err_set(e, CODE_TRYAGAIN, "threads: the system gave %u of %u; ask for fewer with -t", p->threads, threads);
		pool_free(p);
		return NULL;
	}
	return p;
}

static void
wait_for_jobs(struct pool *p, size_t jobs)
{
	unsigned look;

	for (look = 0; look < LOOKS && atomic_load(&p->finished) < jobs; look++)
		cpu_relax();
	if (atomic_load(&p->finished) == jobs)
		return;
	pthread_mutex_lock(&p->lock);
	atomic_store(&p->waiting, true);
	while (atomic_load(&p->finished) < jobs)
		pthread_cond_wait(&p->done, &p->lock);
	atomic_store(&p->waiting, false);
	pthread_mutex_unlock(&p->lock);
}

void
pool_run(struct pool *p, pool_job fn, void *arg, size_t jobs)
{
	uint32_t run;
	size_t i;

	if (!p || p->threads == 1 || jobs < 2 || jobs >= NO_JOB) {
		for (i = 0; i < jobs; i++)
			fn(arg, i, 0);
		return;
	}
	run = RUN(atomic_load(&p->ticket));
	/* nobody who still looks at the last run must find its number with these */
	atomic_store(&p->ticket, (uint_fast64_t)run << 32 | NO_JOB);
	atomic_store(&p->fn, fn);
	atomic_store(&p->arg, arg);
	atomic_store(&p->jobs, jobs);
	atomic_store(&p->finished, 0);
	run++;
	atomic_store(&p->ticket, (uint_fast64_t)run << 32);
	/* whoever goes to sleep now has seen the ticket, or is counted here */
	if (atomic_load(&p->sleeping))
		wake(p, &p->work);
	take_jobs(p, run, 0);
	wait_for_jobs(p, jobs);
}

unsigned
pool_threads(const struct pool *p)
{
	return p ? p->threads : 1;
}

void
pool_free(struct pool *p)
{
	unsigned i;

	if (!p)
		return;
	atomic_store(&p->quit, true);
	wake(p, &p->work);
	for (i = 1; i < p->threads; i++)
		pthread_join(p->workers[i].id, NULL);
	pthread_cond_destroy(&p->done);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p->workers);
	free(p);
}
