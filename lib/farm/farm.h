/* The machine that deals: reads a stream, has workers answer its frames, writes
 * the answers as one stream, in order (docs/FARM.md).
 *
 *   farm_new -> farm_run -> farm_free
 *
 * farm_run works in the caller's thread, with one thread that reads and one
 * that writes beside it; tick is called several times a second. SIGUSR2 must
 * have a handler that does nothing, without SA_RESTART: it interrupts those. */
#ifndef FARM_FARM_H
#define FARM_FARM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "farm/deal.h"
#include "stream/stream.h"

struct farm;

struct farm_opts {
	const char *bind;       /* an address, with or without @ */
	const char *journal;    /* a path, or NULL */
	uint64_t window;        /* bytes in hand */
	bool talk;              /* tell also of what is as it should be */
	struct transport_opts transport; /* max_frame, peer_timeout, insecure, keys, stop, notice */
	void (*halt)(void);     /* makes *transport.stop set */
	void (*tick)(void *arg);
	void *arg;
};

struct farm_worker {
	const char *name;
	struct deal_worker deal;
	double computing; /* seconds its COMMAND worked */
};

struct farm *farm_new(const struct farm_opts *o, struct err *e);
void farm_free(struct farm *f);
/* Until all of in has left through out, short of stream_finish. CODE_TRYAGAIN
 * when *stop was set: then *resumable says whether the journal has all that
 * was computed. */
int farm_run(struct farm *f, struct stream *in, struct stream *out, bool *resumable, struct err *e);

struct deal_counts farm_counts(const struct farm *f);
/* The i-th worker number; false beyond the last. w->deal.there: it is here now. */
bool farm_worker(const struct farm *f, int i, struct farm_worker *w);
/* Jobs that were answered from the journal. */
uint64_t farm_replayed(const struct farm *f);

#endif
