#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	pool_job fn;
	void *arg;
	size_t next, jobs, busy;
	unsigned long round;
	bool quit;
	unsigned threads;
	struct worker {
		struct pool *pool;
		unsigned index;
		pthread_t id;
	} *workers;
};

/* Takes jobs until none is left; called and left with the lock held. */
static void
take_jobs(struct pool *p, unsigned thread)
{
	size_t job;

	while (p->next < p->jobs) {
		job = p->next++;
		p->busy++;
		pthread_mutex_unlock(&p->lock);
		p->fn(p->arg, job, thread);
		pthread_mutex_lock(&p->lock);
		p->busy--;
	}
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->pool;
	unsigned long seen = 0;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (!p->quit && p->round == seen)
			pthread_cond_wait(&p->work, &p->lock);
		if (p->quit)
			break;
		seen = p->round;
		take_jobs(p, w->index);
		if (!p->busy)
			pthread_cond_signal(&p->done);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct pool *
pool_new(unsigned threads, struct err *e)
{
	struct pool *p = calloc(1, sizeof *p);
	sigset_t all, old;
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
	/* signals belong to the main thread */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (i = 1; i < threads; i++) {
		p->workers[i] = (struct worker){.pool = p, .index = i};
		if (pthread_create(&p->workers[i].id, NULL, worker_main, &p->workers[i]))
			break;
		p->threads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (p->threads < threads) {
		err_set(e, CODE_TRYAGAIN, "threads: the system gave %u of %u; ask for fewer with -t", p->threads, threads);
		pool_free(p);
		return NULL;
	}
	return p;
}

void
pool_run(struct pool *p, pool_job fn, void *arg, size_t jobs)
{
	size_t i;

	if (!p || p->threads == 1 || jobs < 2) {
		for (i = 0; i < jobs; i++)
			fn(arg, i, 0);
		return;
	}
	pthread_mutex_lock(&p->lock);
	p->fn = fn;
	p->arg = arg;
	p->next = 0;
	p->jobs = jobs;
	p->round++;
	pthread_cond_broadcast(&p->work);
	take_jobs(p, 0);
	while (p->busy)
		pthread_cond_wait(&p->done, &p->lock);
	pthread_mutex_unlock(&p->lock);
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
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (i = 1; i < p->threads; i++)
		pthread_join(p->workers[i].id, NULL);
	pthread_cond_destroy(&p->done);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p->workers);
	free(p);
}
