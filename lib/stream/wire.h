/* Messages between one and many, for what is no stream: the side that binds
 * talks to any number of peers, the side that connects to one. A message is a
 * parcel, sent whole or not at all, at once or not at all; whoever sends must
 * know by himself what has arrived. */
#ifndef STREAM_WIRE_H
#define STREAM_WIRE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "stream/transport.h"

struct wire;

/* Bytes that several owners can share, also with the thread that sends them. */
struct parcel {
	union { unsigned char bytes[64]; void *align; } opaque;
};

struct wire_peer {
	unsigned char id[16];
	size_t id_bytes; /* 0: it cannot be answered */
	int fd;          /* of its connection, as wire_event has it */
};

enum wire_event {
	WIRE_UP,  /* connecting side: a connection stands */
	WIRE_REFUSED, /* a key was: theirs here, or ours there */
	WIRE_DOWN /* a connection is gone: after the messages that came over it */
};

/* An address bound with @, else connected to; max_message in bytes; queue:
 * messages waiting for, and from, one peer. Of o: insecure, keys. */
struct wire *wire_open(const char *endpoint, uint64_t max_message, int queue, const struct transport_opts *o, struct err *e);
/* Waits at most linger_ms for what was sent to go out. NULL is fine. */
void wire_close(struct wire *w, int linger_ms);
/* A fresh connection, on which nothing is left of the one before. */
int wire_reopen(struct wire *w, struct err *e);
const char *wire_name(const struct wire *w);

/* One message: 1 (free it), 0 when there is none now, -1. What has several
 * parts or an id that is too long is dropped. */
int wire_recv(struct wire *w, struct wire_peer *from, struct parcel *p, struct err *e);
/* 0: on its way, and p spent; -1: the peer is gone, or does not read. to is
 * NULL on the connecting side. */
int wire_send(struct wire *w, const struct wire_peer *to, struct parcel *p);
bool wire_event(struct wire *w, enum wire_event *what, int *fd);
/* Waits ms at most for any of these or for one of n <= 4 descriptors (revents set). */
int wire_wait(struct wire *w, struct pollfd *fds, size_t n, int ms, struct err *e);

int parcel_new(struct parcel *p, size_t n, struct err *e);
unsigned char *parcel_data(struct parcel *p);
size_t parcel_size(const struct parcel *p);
/* to becomes another owner of the same bytes, which nobody may change then. */
void parcel_share(struct parcel *to, struct parcel *from);
void parcel_free(struct parcel *p);

#endif
