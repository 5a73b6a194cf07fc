/* The machine that works: takes frames from a farm, has a command answer them,
 * sends the answers back (docs/FARM.md).
 *
 *   worker_new -> worker_run -> worker_free
 */
#ifndef FARM_WORKER_H
#define FARM_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "stream/transport.h"

struct worker;

struct worker_opts {
	const char *endpoint, *name;
	char *const *argv;      /* the command; NULL at its end */
	unsigned credit;        /* frames it takes ahead */
	unsigned child_timeout; /* seconds a frame may take; 0: any */
	bool talk;              /* tell also of what is as it should be */
	struct transport_opts transport; /* max_frame, peer_timeout, insecure, keys, stop, notice */
	void (*tick)(void *arg, bool busy); /* several times a second, and after each frame (busy: between them) */
	void *arg;
};

struct worker_counts {
	uint64_t frames, rows, in, out; /* answered; bytes */
	uint64_t failures, restarts, connections;
	double computing, waiting;      /* seconds with and without a frame in hand */
	bool connected;
};

struct worker *worker_new(const struct worker_opts *o, struct err *e);
void worker_free(struct worker *w);
/* Until the farm says that all is done, or *stop is set and what was in hand is
 * finished: 0. */
int worker_run(struct worker *w, struct err *e);
struct worker_counts worker_counts(const struct worker *w);

#endif
