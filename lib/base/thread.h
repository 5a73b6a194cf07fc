/* Threads beside the main one, which signals belong to. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

/* pthread_create with all signals blocked in the new thread, but one (0: none).
 * Returns what that does: 0, or an errno. */
int thread_start(pthread_t *t, void *(*run)(void *), void *arg, int but);

#endif
