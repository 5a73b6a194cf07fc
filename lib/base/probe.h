/* A linear probe in memory: what files/ loads and sae/ computes with. Which of
 * some classes an embedding belongs to, by multinomial logistic regression on
 * its direction:
 *
 *   u = raw / |raw|                          [d]
 *   log p = log softmax(u W + b)             [classes]
 *
 * raw is the embedding as its encoder made it: what was normalised is taken
 * back first. A row of zeros has no direction: u = 0, and b alone decides.
 */
#ifndef BASE_PROBE_H
#define BASE_PROBE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/model.h"

#define PROBE_MAX_CLASSES 4096

struct probe {
	size_t d, classes;
	float *W;            /* [d,classes] */
	float *b;            /* [classes] */
	char **names;        /* [classes] UTF-8, all different, none empty */
	uint64_t *rows;      /* [classes] rows it was fitted on; 0: unknown */
	double l2;           /* strength of the penalty; NAN: unknown */
	uint64_t held_out;   /* rows it was tested on; 0: none */
	double accuracy;     /* on them; NAN without */
	double log_loss;     /* on them, nats a row; NAN without */
	uint64_t seed;       /* of the choice of those rows */
	char trained_on[256]; /* free text */
	char sha256[SHA256_HEX]; /* of the file it came from; "" before saving */
};

/* Allocates for d x classes, zeroed, names NULL. Owned by the caller. */
int probe_init(struct probe *p, size_t d, size_t classes, struct err *e);
void probe_free(struct probe *p);

/* The most probable class of logp [classes], ties to the first. */
size_t probe_best(const float *logp, size_t classes);

/* Names must be there, not empty and all different: CODE_DATA naming the one
 * that is not. */
int probe_check_names(const struct probe *p, struct err *e);

#endif
