/* One ZeroMQ socket with its monitor, opened again when needed: a ROUTER where
 * the address is bound, a DEALER where it is connected to. Messages have one
 * part. Internal to this room. */
#ifndef STREAM_ZSOCK_H
#define STREAM_ZSOCK_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

#include "base/error.h"
#include "stream/keys.h"
#include "stream/zaddress.h"
#include "stream/zap.h"
#include "stream/zpath.h"

#define ZSOCK_ID 255 /* bytes of ZeroMQ's longest routing id */

/* Start from {.path.lock = -1} and what the first six fields say. */
struct zsock {
	const char *name;          /* for messages; the caller's */
	struct zaddress address;
	int high_water;            /* messages queued for, and from, one peer */
	uint64_t max_message;      /* bytes */
	const struct keyring *keys; /* or NULL: no CURVE */
	volatile const int *stop;  /* may be NULL */

	struct zpath path;
	struct zap zap;
	void *context, *socket;
	void *monitor;             /* tells of connections that come and go */
	unsigned opened;           /* sockets so far: their monitors need names of their own */
};

/* Who sent a message. */
struct zsource {
	unsigned char id[ZSOCK_ID]; /* bound */
	size_t id_bytes;
	int fd;     /* bound: of its connection, as the monitor's events have it */
	bool parts; /* it was more than one */
};

/* Takes the path, makes the context, opens. zsock_end afterwards, also on failure. */
int zsock_start(struct zsock *z, struct err *e);
/* Waits for what was sent to go out, as long as LINGER says. */
void zsock_end(struct zsock *z);
/* A fresh socket: nothing of what the last had queued is on it. */
int zsock_open(struct zsock *z, struct err *e);
void zsock_close(struct zsock *z);
void zsock_linger(struct zsock *z, int ms);

/* The next of the monitor's events: a connection accepted, shaken hands with,
 * refused for its key, or gone. libzmq tells of a broken connection after the messages that came
 * over it. False when there is none now. */
bool zsock_event(struct zsock *z, unsigned *event, int *fd);
/* Waits ms at most for an event or (for_messages) a message. CODE_TRYAGAIN
 * when *stop is set. */
int zsock_nap(struct zsock *z, long ms, bool for_messages, struct err *e);
/* One message of whomever into m: 1, 0 when there is none, -1. Of several
 * parts only the first is kept. */
int zsock_recv(struct zsock *z, struct zsource *from, zmq_msg_t *m, struct err *e);
/* Sends m, which is then spent, if that can be done at once; else -1. */
int zsock_put_now(struct zsock *z, const unsigned char *id, size_t id_bytes, zmq_msg_t *m);
/* e from zmq_errno: "name: what: why". */
int zsock_fail(const struct zsock *z, int code, const char *what, struct err *e);

#endif
