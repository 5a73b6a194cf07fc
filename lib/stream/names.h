/* Names of latents in a stream's head, key "concepts": a list of maps with
 * latent, name, valid, score and ratio, as concept-score puts them there. */
#ifndef STREAM_NAMES_H
#define STREAM_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "stream/head.h"

struct name {
	uint32_t latent;
	const char *text; /* n bytes, not ended */
	size_t n;
	bool valid;
	double score;     /* cosine of the name and the latent; NaN: unknown */
	double ratio;     /* of that to the second best name's; NaN: unknown */
};

/* Packing: begin, then add n times. Numbers that are not finite are left out. */
int names_begin(struct buf *b, size_t n, struct err *e);
int names_add(struct buf *b, const struct name *name, struct err *e);

/* Calls each for every name the head has, text being the head's; 0, or
 * CODE_DATA when malformed. "valid" missing means true. */
int names_each(const struct head *h, void (*each)(void *arg, const struct name *name), void *arg, struct err *e);

#endif
