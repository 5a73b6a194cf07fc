/* The path of a bound ipc socket. libzmq unlinks whatever is there, so two
 * servers would steal from each other: a lock file PATH.lock keeps them apart,
 * and what is no socket is left alone. Its directory is made for the user alone
 * (0700) where it is missing, and refused where anybody may write. Internal to
 * this room. */
#ifndef STREAM_ZPATH_H
#define STREAM_ZPATH_H

#include <stdbool.h>

#include "base/error.h"
#include "stream/zaddress.h"

struct zpath {
	const char *path, *name; /* name: for messages */
	char lock_path[ZADDRESS_PATH + 8];
	int lock;    /* PATH.lock, or -1: start from that */
	bool placed; /* the socket at PATH is ours: the caller sets it after binding */
};

/* path and name stay the caller's until zpath_release. */
int zpath_claim(struct zpath *p, const char *path, const char *name, struct err *e);
/* Nothing when nothing is claimed. */
void zpath_release(struct zpath *p);

#endif
