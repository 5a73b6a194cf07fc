/* A stream's id: 128 bits of hash over what makes the stream, in hex. The same
 * input made the same way has the same id, so streams are reproducible bytes. */
#ifndef STREAM_IDS_H
#define STREAM_IDS_H

#include <stddef.h>

#define STREAM_ID_MAX 33

void stream_id(char out[STREAM_ID_MAX], const void *what, size_t n);

#endif
