/* Names of latents in a stream's head, key "concepts": a list of maps with
 * latent, name, valid and score, as concept-score puts them there. */
#ifndef STREAM_NAMES_H
#define STREAM_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "stream/head.h"

/* Packing: begin, then add n times. score NaN is left out. */
int names_begin(struct buf *b, size_t n, struct err *e);
int names_add(struct buf *b, uint32_t latent, const char *name, bool valid, double score, struct err *e);

/* Calls each for every name the head has; 0, or CODE_DATA when malformed. */
int names_each(const struct head *h, void (*each)(void *arg, uint32_t latent, const char *name, size_t n, bool valid), void *arg, struct err *e);

#endif
