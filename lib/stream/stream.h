/* Streams: (head rows* end)+ over a transport, with everything checked that a
 * stream promises.
 *
 *   in  = stream_open_in(ep, &opts, &err);
 *   out = stream_open_out(ep, &opts, &err);
 *   while ((r = stream_next(in, &frame, &err)) > 0)
 *       switch (frame->kind) {
 *       case FRAME_HEAD:  head_read(&head, frame), change it, stream_head(out, &head)
 *       case FRAME_ROWS:  change the columns, stream_rows(out, frame)
 *       case FRAME_END:   stream_end(out)
 *       default:          stream_pass(out, frame)
 *       }
 *   stream_finish(out); stream_close(out); stream_close(in);
 *
 * A gap in seq or row, a wrong count, a wrong sum, an error frame, an end of
 * input anywhere but behind an end frame: CODE_DATA, and the text names the
 * frame. A stage that fails calls stream_fail instead of stream_end: the next
 * stage then fails too.
 */
#ifndef STREAM_STREAM_H
#define STREAM_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "stream/frame.h"
#include "stream/head.h"
#include "stream/transport.h"

#define STREAM_MAX_FRAME (64u << 20) /* default of --max-frame */

struct stream;

/* What has gone through; for status files and -v. */
struct stream_counts {
	uint64_t streams, frames, rows, bytes;
	double waited; /* seconds inside the transport */
};

/* NULL with e filled on failure. */
struct stream *stream_open_in(const char *endpoint, const struct transport_opts *o, struct err *e);
struct stream *stream_open_out(const char *endpoint, const struct transport_opts *o, struct err *e);

/* 1 and *f set (valid until the next call), 0 when all input was whole and is
 * over, -1. */
int stream_next(struct stream *in, struct frame **f, struct err *e);
/* Whether more has come already; false also where that cannot be told. */
bool stream_pending(struct stream *in);
/* What to do while nothing has come: idle of struct transport_opts. */
void stream_when_idle(struct stream *in, int (*idle)(void *arg), void *arg);
/* The frame that stream_next gave, and the bytes it points into, in exchange for
 * another pair (both start from {0}; frame_free, buf_free): it stays valid. */
void stream_take(struct stream *in, struct frame *f, struct buf *bytes);
/* The same in two steps, so that a frame can be looked at before it is judged:
 * next_unchecked reads one well-formed frame; check asks whether it may come
 * where it came (got: what next_unchecked returned). */
int stream_next_unchecked(struct stream *in, struct frame **f, struct err *e);
int stream_check(struct stream *in, int got, struct err *e);

int stream_head(struct stream *out, const struct head *h, struct err *e);
/* Rows of f as one frame, or as several where one would pass max_frame. The
 * seq is this stream's own; row goes on from the last (f->row for the first). */
int stream_rows(struct stream *out, const struct frame *f, struct err *e);
int stream_end(struct stream *out, struct err *e);
/* A frame of an unknown kind, as it came. */
int stream_pass(struct stream *out, const struct frame *f, struct err *e);
/* Bytes laid out by frame_pack_*, as they are: no numbering, no sums. */
int stream_raw(struct stream *out, struct frame_packed *p, struct err *e);
/* An error frame in place of an end; failures to write it are ignored. */
void stream_fail(struct stream *out, const char *who, const char *text);

/* The receiver has all of it (a file: is in place). */
int stream_finish(struct stream *out, struct err *e);
/* Closes; an output that was not finished does not appear. NULL is fine. */
void stream_close(struct stream *s);

/* True when the file at path begins as a stream does; false too when it cannot
 * be read, or is no regular file. */
bool stream_is_file(const char *path);

const char *stream_name(const struct stream *s);
struct stream_counts stream_counts(const struct stream *s);

#endif
