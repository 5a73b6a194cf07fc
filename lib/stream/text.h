/* Frames as text and back: one JSON object a line, so that canned streams can
 * be read in review and written by hand.
 *
 * A frame's map is the object, key by key. Numbers of a tensor (a map with
 * dtype, shape and data) become nested lists, sparse ones flat lists under
 * ptr, idx and data; padding is left out and made again. Other binary becomes
 * {"$bin": hex}, whole numbers beyond 2^63 {"$uint": decimal}, NaN and
 * infinities strings; the end frame's sum is "0x" and hex. */
#ifndef STREAM_TEXT_H
#define STREAM_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "stream/frame.h"

/* One line. Without values, tensors show their dtype and shape only, and such
 * a line cannot be packed. */
int frame_print(FILE *to, const struct frame *f, bool values, struct err *e);

/* The frame a line describes, as canonical MessagePack appended to out (rows
 * frames still without padding: frame_parse and frame_pack_rows lay them out).
 * *has_sum: an end frame said its sum. */
int frame_scan(const char *line, size_t n, struct buf *out, struct err *e);

#endif
