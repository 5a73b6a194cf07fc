/* A small pool of threads for one kind of work: the same function over job
 * numbers 0..n-1. What a job computes must not depend on which thread runs it,
 * so that results are the same bytes for every number of threads. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

#include "base/error.h"

struct pool;

typedef void (*pool_job)(void *arg, size_t job, unsigned thread);

/* A pool of `threads` (>= 1) including the caller; NULL and e filled when
 * threads cannot be made. Fork before, never after. */
struct pool *pool_new(unsigned threads, struct err *e);
/* Runs fn(arg, 0..jobs-1, thread) and returns when all are done. thread is
 * 0..pool_threads-1: an index for per-thread scratch. pool NULL: one thread. */
void pool_run(struct pool *p, pool_job fn, void *arg, size_t jobs);
unsigned pool_threads(const struct pool *p);
void pool_free(struct pool *p);

#endif
