/* A command that reads a stream and writes one, kept running: what a worker
 * does its work with. Nothing here waits but child_end. Internal to this room.
 *
 * SIGPIPE must be ignored. */
#ifndef FARM_CHILD_H
#define FARM_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/mem.h"
#include "stream/mp.h"

#define CHILD_PIECES 3

struct child {
	pid_t pid;        /* 0: none */
	int in, out;      /* our ends */
	/* what it is given, in the caller's memory; set it when nfeed is 0 */
	struct iovec feed[CHILD_PIECES];
	size_t nfeed;
	struct buf got;   /* from `start` on not yet taken */
	size_t start;
	struct mp_scan scan;
	uint64_t answers; /* since it was started: the caller counts */
};

/* Starts argv in a process group of its own; CODE_NOINPUT when there is no such
 * program. */
int child_start(struct child *c, char *const argv[], struct err *e);
/* Gives it of feed what it takes; false when it takes no more at all. */
bool child_write(struct child *c);
/* Reads what is there; false when it has closed its end. */
bool child_read(struct child *c, struct err *e);
/* The next whole frame (valid until the next call of any of these): 1, 0 when
 * there is none yet, -1 when what came is no frame or larger than max. */
int child_frame(struct child *c, const unsigned char **p, size_t *n, uint64_t max, struct err *e);
/* No more input; it may finish within ms, then it is killed (0: at once). Its exit code, or
 * 128 + signal. */
int child_end(struct child *c, int ms);
void child_free(struct child *c);

#endif
