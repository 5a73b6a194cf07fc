/* Addresses of ZeroMQ sockets as people write them: tcp://HOST:PORT, ipc://PATH,
 * with @ in front to bind. Internal to this room. */
#ifndef STREAM_ZADDRESS_H
#define STREAM_ZADDRESS_H

#include <stdbool.h>
#include <sys/un.h>

#include "base/error.h"

#define ZADDRESS_PATH sizeof((struct sockaddr_un *)0)->sun_path

struct zaddress {
	bool bound, local, v6;   /* local: nothing leaves this machine */
	char text[320];          /* as libzmq takes it */
	char path[ZADDRESS_PATH]; /* ipc; else "" */
};

/* CODE_USAGE when it makes no sense. A bare port means 127.0.0.1. */
int zaddress_parse(struct zaddress *a, const char *endpoint, struct err *e);
/* Whether it may be used so: CODE_REFUSED when it leads beyond this machine
 * and that is not allowed, CODE_USAGE when what it names can only be bound. */
int zaddress_check(const struct zaddress *a, const char *endpoint, bool allowed, struct err *e);

#endif
