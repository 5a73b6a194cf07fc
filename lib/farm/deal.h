/* Who has which frame: what a farm knows, without its sockets.
 *
 * Jobs are numbered 0, 1, 2 ... as they are added. Each is waiting, out with
 * one worker or more, or done; done ones leave in the order of their numbers,
 * each once. Workers come, with a credit (how many jobs they take ahead), and
 * go, at any time.
 *
 *   deal_clock(d, seconds)              time passes
 *   while (deal_room(d)) deal_add(...)  what is read
 *   deal_join / deal_heard / deal_part  who is there; deal_silent: who is not
 *   while (deal_pick(d, &w, &job)) ...  what is to be sent, and to whom
 *   deal_done / deal_failed             what came back
 *   while (deal_leave(d, &what)) ...    what may be written
 *
 * Nothing here waits, sends or allocates per job beyond the window: time is
 * what the caller says it is, so a test can run a year in a second.
 *
 * Rules. The oldest waiting job goes first, to the worker that has least. A
 * worker that parts, or is silent for too long, gives its jobs back. A job that
 * is out for long (DEAL_LATE seconds, and four times what jobs take) is dealt
 * again to a worker that has nothing to do: so a run does not stand still for
 * one that hangs, whatever the timeouts. Of two answers the first counts. A job
 * that three workers failed on is poison, as is one that every worker there is
 * failed on, three times in all.
 */
#ifndef FARM_DEAL_H
#define FARM_DEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define DEAL_CREDIT_MAX 16
#define DEAL_WORKERS_MAX 4096
#define DEAL_POISON 3   /* failures */
#define DEAL_DEATHS 12  /* workers that vanished with it in hand: then it is poison too */
#define DEAL_LATE 1.0   /* seconds */
#define DEAL_AHEAD 4    /* the window: times the credit of all */

struct deal;

struct deal_opts {
	double silence;     /* seconds without a word until a worker is given up */
	uint64_t max_bytes; /* of jobs and results in hand; one is always let in */
};

struct deal_worker {
	bool there;
	unsigned credit, held;
	uint64_t done, failed, again; /* first answers, failures, answers nobody needed */
	double seconds;     /* smoothed, from dealing to answer */
};

struct deal_counts {
	uint64_t added, done, left; /* jobs */
	uint64_t dealt, redealt, duplicates, failures;
	unsigned workers, credit;
	size_t window, out, waiting, ready; /* now: added and not left; of these dealt, not dealt, done */
	uint64_t bytes;
};

struct deal *deal_new(const struct deal_opts *o, struct err *e);
void deal_free(struct deal *d);

/* Now is that many seconds since some moment. A jump of more than a second
 * means that we did not run, not that workers were silent. */
void deal_clock(struct deal *d, double seconds);

/* A worker's number, for as long as it is there; -1 when there are too many. */
int deal_join(struct deal *d, unsigned credit);
void deal_heard(struct deal *d, int w);
/* It takes no more, but will answer what it has. */
void deal_close(struct deal *d, int w);
/* It is gone; what it had will be dealt again. 0, or the poison's number + 1
 * when too many went with the same job in hand. vanished: not by its own will. */
uint64_t deal_part(struct deal *d, int w, bool vanished);
/* A worker that has been silent for too long, or -1. Still to be parted. */
int deal_silent(const struct deal *d);

/* Whether one more job may be added. */
bool deal_room(const struct deal *d);
/* Adds a job; what is the caller's. Its number into *number. */
int deal_add(struct deal *d, void *what, uint64_t bytes, uint64_t *number, struct err *e);
/* The what of a job that has not left; NULL otherwise. */
void *deal_what(const struct deal *d, uint64_t number);
/* Something to send now: true with worker and job, which counts as sent. */
bool deal_pick(struct deal *d, int *w, uint64_t *number);

enum deal_answer { DEAL_FIRST, DEAL_AGAIN, DEAL_NEVER /* it was never dealt */ };
/* An answer of w (-1: of nobody, it is done without) takes bytes from now on. */
enum deal_answer deal_done(struct deal *d, int w, uint64_t number, uint64_t bytes);
/* True when the job is poison. Nothing when w does not have it. */
bool deal_failed(struct deal *d, int w, uint64_t number);

/* The next job in order, if it is done: true, it leaves. */
bool deal_leave(struct deal *d, void **what);
/* Any that is left, done or not: for the end. */
bool deal_drop(struct deal *d, void **what);

struct deal_counts deal_counts(const struct deal *d);
/* What is known of worker w < DEAL_WORKERS_MAX; false: none has had that number. */
bool deal_worker(const struct deal *d, int w, struct deal_worker *to);

#endif
