/* What a farm and its workers say to each other (docs/FARM.md): 32 bytes, then
 * a body. */
#ifndef FARM_MESSAGE_H
#define FARM_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "stream/wire.h"

#define MESSAGE_HEADER 32
#define MESSAGE_COUNTS 24

enum message_type {
	/* of a worker */
	MESSAGE_READY = 1, /* number: credit, 0: nothing more; extra: largest message; body: its name */
	MESSAGE_HEAD_MADE, /* number: stream; body: the head */
	MESSAGE_DONE,      /* number: job; extra: microseconds; body: frames */
	MESSAGE_FAIL,      /* number: job; extra: exit code; body: why */
	MESSAGE_PING,
	MESSAGE_BYE,
	/* of the farm */
	MESSAGE_WELCOME = 16, /* extra: largest message */
	MESSAGE_HEAD,      /* number: stream; body: the head */
	MESSAGE_WORK,      /* number: job; extra: stream; body: counts and a frame, or none */
	MESSAGE_PONG,
	MESSAGE_AGAIN,
	MESSAGE_REFUSED,   /* extra: exit code; body: why */
	MESSAGE_END        /* extra: 0 or exit code; body: why */
};

/* What an end mark says; in WORK, of the one behind the frame when that is a
 * stream of its own. MESSAGE_COUNTS bytes. */
struct message_counts {
	uint64_t frames, rows, sum;
};

struct message {
	enum message_type type;
	uint64_t run, number, extra;
	const unsigned char *body; /* inside what was read */
	size_t size;               /* of the body */
};

/* False when these bytes are no message of this version. */
bool message_read(struct message *m, const unsigned char *p, size_t n);
/* The header of m into p[MESSAGE_HEADER]. */
void message_header(unsigned char *p, const struct message *m);
/* Counts into p[MESSAGE_COUNTS], and out of it. */
void message_counts(unsigned char *p, const struct message_counts *c);
void message_read_counts(struct message_counts *c, const unsigned char *p);
/* A parcel of header and body. */
int message_pack(struct parcel *p, const struct message *m, struct err *e);

#endif
