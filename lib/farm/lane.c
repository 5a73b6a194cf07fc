#include "farm/lane.h"

#include <unistd.h>

void
lane_init(struct lane *l, int wake)
{
	*l = (struct lane){.wake = wake};
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
}

void
lane_free(struct lane *l)
{
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->changed);
}

/* With the lock held. A pipe that is full wakes as well as one byte more. */
static void
changed(struct lane *l, bool wake)
{
	pthread_cond_broadcast(&l->changed);
	if (wake && l->wake >= 0)
		(void)!write(l->wake, "", 1);
}

static bool
put(struct lane *l, void *p, bool wait)
{
	bool done;

	pthread_mutex_lock(&l->lock);
	while (wait && l->n == LANE_DEPTH && !l->shut)
		pthread_cond_wait(&l->changed, &l->lock);
	done = l->n < LANE_DEPTH && !l->shut;
	if (done) {
		l->slots[(l->first + l->n++) % LANE_DEPTH] = p;
		changed(l, wait && l->n == 1);
	}
	pthread_mutex_unlock(&l->lock);
	return done;
}

static void *
get(struct lane *l, bool wait)
{
	void *p = NULL;

	pthread_mutex_lock(&l->lock);
	while (wait && !l->n && !l->shut)
		pthread_cond_wait(&l->changed, &l->lock);
	if (l->n) {
		p = l->slots[l->first];
		l->first = (l->first + 1) % LANE_DEPTH;
		changed(l, wait && l->n == LANE_DEPTH);
		l->n--;
	}
	pthread_mutex_unlock(&l->lock);
	return p;
}

bool
lane_put(struct lane *l, void *p)
{
	return put(l, p, true);
}

void *
lane_get(struct lane *l)
{
	return get(l, true);
}

bool
lane_try_put(struct lane *l, void *p)
{
	return put(l, p, false);
}

void *
lane_try_get(struct lane *l)
{
	return get(l, false);
}

void
lane_shut(struct lane *l)
{
	pthread_mutex_lock(&l->lock);
	l->shut = true;
	changed(l, true);
	pthread_mutex_unlock(&l->lock);
}

bool
lane_over(struct lane *l)
{
	bool over;

	pthread_mutex_lock(&l->lock);
	over = l->shut && !l->n;
	pthread_mutex_unlock(&l->lock);
	return over;
}
