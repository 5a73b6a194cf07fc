/* Who may come in: the handler that libzmq asks about every key (RFC 27). A
 * thread that answers no to all that is not on the list, and to all it does not
 * understand. Internal to this room. */
#ifndef STREAM_ZAP_H
#define STREAM_ZAP_H

#include <pthread.h>

#include "base/error.h"
#include "stream/keys.h"

struct zap {
	const struct keyring *keys; /* the caller's, until zap_join */
	void *socket;
	pthread_t thread;
	int running;
};

/* Before anything is bound in this context. */
int zap_start(struct zap *z, void *context, const struct keyring *keys, struct err *e);
/* After zmq_ctx_term has begun to return, which is what ends the thread. */
void zap_join(struct zap *z);

#endif
