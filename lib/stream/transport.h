/* Where frames come from and go to: six functions behind a struct. Callers
 * never know whether the other side is a pipe, a file or a machine.
 *
 * An endpoint is "-" (a standard stream), a path, or tcp://HOST:PORT,
 * ipc://PATH (connect), @tcp://..., @ipc://... (bind).
 */
#ifndef STREAM_TRANSPORT_H
#define STREAM_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/mem.h"

struct transport;
struct keyring;

struct transport_opts {
	uint64_t max_frame;       /* bytes */
	unsigned peer_timeout;    /* seconds to wait for a peer; 0: for ever */
	bool insecure;            /* allow links beyond this machine without keys */
	const struct keyring *keys; /* CURVE on every link (stream/keys.h); NULL: none */
	volatile const int *stop; /* not NULL and set: stop waiting for input */
	void (*notice)(void *arg, const char *text); /* one line for a person; may be NULL */
	void *notice_arg;
	const char *name;         /* what messages call the input; NULL: its own name */
	/* Called, where pending can tell, while there is nothing to read and more is
	 * needed: 0, and sleep until something comes; 1, and be called again in a
	 * millisecond; -1, and give up. May be NULL. */
	int (*idle)(void *arg);
	void *idle_arg;
};

struct transport_ops {
	/* One whole frame's bytes into b (b->data aligned, b->len its length).
	 * 1, or 0 at the end of input, or -1. */
	int (*recv)(struct transport *t, struct buf *b, struct err *e);
	/* Whether something has come that recv would look at. NULL: cannot tell. */
	bool (*pending)(struct transport *t);
	/* One whole frame; iov may be changed. 0 or the error's code. */
	int (*send)(struct transport *t, struct iovec *iov, size_t n, struct err *e);
	/* Everything sent has arrived (file: is in place; link: acknowledged). */
	int (*finish)(struct transport *t, struct err *e);
	/* Gives up: an output file does not appear. */
	void (*abort)(struct transport *t);
	void (*free)(struct transport *t);
};

struct transport {
	const struct transport_ops *ops;
	char name[256]; /* for messages: "standard input", the path, the address */
	struct transport_opts opts;
};

enum transport_side { TRANSPORT_IN, TRANSPORT_OUT };

/* NULL with e filled on failure. */
struct transport *transport_open(const char *endpoint, enum transport_side side, const struct transport_opts *o, struct err *e);
/* True for an endpoint that is no pipe or file. */
bool transport_is_link(const char *endpoint);

/* The two kinds; transport_open chooses. fd < 0: open path. */
struct transport *transport_open_fd(const char *endpoint, enum transport_side side, const struct transport_opts *o, struct err *e);
struct transport *transport_open_zmq(const char *endpoint, enum transport_side side, const struct transport_opts *o, struct err *e);

#endif
