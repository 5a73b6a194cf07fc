/* A short queue from one thread to another: what is put comes out in order.
 * The side that has a loop of its own tries, until it has all that is there or
 * no use for more, and is woken through a descriptor; the side that has nothing
 * else to do waits. */
#ifndef FARM_LANE_H
#define FARM_LANE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define LANE_DEPTH 4

struct lane {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	void *slots[LANE_DEPTH];
	size_t first, n;
	bool shut; /* nothing more is put; who waits to put is turned away */
	int wake;  /* a byte is written there when the other side has put into an empty
	            * lane, taken from a full one, or shut it; or -1 */
};

void lane_init(struct lane *l, int wake);
void lane_free(struct lane *l); /* must be empty */
/* Waits for room; false when the lane is shut. */
bool lane_put(struct lane *l, void *p);
/* NULL when it is shut and empty. */
void *lane_get(struct lane *l);
bool lane_try_put(struct lane *l, void *p);
void *lane_try_get(struct lane *l);
void lane_shut(struct lane *l);
/* Shut, and all taken. */
bool lane_over(struct lane *l);

#endif
