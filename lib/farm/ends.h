/* The two ends of a farm: a thread that reads items and a thread that writes
 * them. Internal to this room. */
#ifndef FARM_ENDS_H
#define FARM_ENDS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "farm/answer.h"
#include "farm/journal.h"
#include "farm/lane.h"
#include "stream/stream.h"
#include "stream/wire.h"

/* One stream of the input, and the head that workers make of its head. */
struct course {
	uint64_t number;
	atomic_uint owners;
	struct parcel head; /* the message that tells workers of it */
	bool known;         /* made is there; the rest is the serving thread's */
	uint64_t print;     /* of made, without its provenance */
	struct answer made;
	struct course *next;
};

enum item_kind { ITEM_HEAD, ITEM_FRAME, ITEM_END, ITEM_PASS /* a frame between streams */ };

/* One job. */
struct item {
	enum item_kind kind;
	struct course *course; /* NULL: ITEM_PASS */
	uint64_t job, in;      /* hash of what was read, for the journal */
	uint64_t seq, row, n;  /* ITEM_FRAME, of rows: for messages */
	bool packed;           /* work is there: the message that asks for it */
	struct parcel work;
	struct answer answer;
	bool answered, replayed;
};

void item_free(struct item *it);
void course_let_go(struct course *c);
/* Hash of a head without its provenance: what workers must agree on. */
int head_print(const unsigned char *p, size_t n, uint64_t *print, struct err *e);

struct ends {
	struct stream *in, *out;
	struct journal *journal; /* or NULL */
	struct lane read, write;
	pthread_t reader, writer;
	uint64_t run;              /* of the messages it makes */
	bool laid, reading, writing; /* lanes are there, threads were started */
	atomic_bool read_over, write_over; /* and have ended */
	atomic_bool write_failed;
	struct err read_err;       /* valid after read_over */
	struct err write_err;      /* valid after write_failed */
	uint64_t journalled;       /* jobs the journal has; valid after write_over */
};

/* d->run is set, all else zero. */
int ends_start(struct ends *d, struct stream *in, struct stream *out, struct journal *j, int wake, struct err *e);
/* Interrupts a write that nobody reads, once the streams were told to stop. */
void ends_nudge(struct ends *d);
/* Ends both threads; the streams must have been told to stop unless all is done. */
void ends_stop(struct ends *d);

#endif
