#include "base/thread.h"

#include <signal.h>

int
thread_start(pthread_t *t, void *(*run)(void *), void *arg, int but)
{
	sigset_t block, old;
	int r;

	sigfillset(&block);
	if (but)
		sigdelset(&block, but);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	r = pthread_create(t, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}
