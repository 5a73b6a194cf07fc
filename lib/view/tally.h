/* What a stream of codes adds up to, latent by latent, in memory that does
 * not grow with the rows: O(m x (examples + bins + levels)).
 *
 *   tally_init(&t, m, nlevels, &err); tally_rows(&t, z, first_row, ids, labels, &err);
 *   tally_level(&t, level, codes, &err); ... tally_free
 */
#ifndef VIEW_TALLY_H
#define VIEW_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"
#include "base/error.h"

#define TALLY_EXAMPLES 8
#define TALLY_BINS 32
#define TALLY_ID 512    /* bytes kept of a row's id, NUL included: a path or an address */
#define TALLY_LABEL 128 /* and of its label */

struct tally_example {
	float value;
	uint64_t row;
	char *id, *label; /* printable; NULL when rows have none */
};

/* A histogram of positive numbers whose range is not known before: bin i holds
 * those from i w up to (i+1) w, w a power of two that doubles, bins joining in
 * pairs, when a number is too large. So it is exact, and the same for every
 * order of the numbers: the largest has its bin in the upper half. */
struct tally_bins {
	int exponent;    /* w = 2^exponent */
	double per_unit; /* 1/w; 0: still empty */
	uint64_t n[TALLY_BINS];
};

/* What every code touches comes first, so that it takes two cache lines or three;
 * all latents together are more than a cache holds. */
struct tally_latent {
	uint64_t rows;   /* where it is active (not zero) */
	uint64_t negative; /* and below zero: not in bins */
	double sum;      /* of its values there */
	float max;
	float floor;     /* of the last of best, when all are there */
	unsigned nexamples;
	struct tally_bins bins;
	struct tally_example best[TALLY_EXAMPLES]; /* strongest rows, descending; ties: first row */
};

struct tally {
	size_t m, nlevels;
	struct tally_latent *latents; /* [m] */
	uint64_t *levels;             /* [m,nlevels]: what tally_level counted */
	uint64_t rows, nnz, min, max; /* of non-zeros in a row */
	double square;                /* sum of squared counts */
	uint64_t *l0;                 /* [m+1]: rows by number of non-zeros */
};

int tally_init(struct tally *t, size_t m, size_t nlevels, struct err *e);
/* z's rows are numbered from first_row. ids, labels: NULL or z.rows strings. */
int tally_rows(struct tally *t, struct csr_view z, uint64_t first_row, const char *const *ids, const char *const *labels, struct err *e);
/* The codes of some rows that belong to a level, 0..nlevels-1. */
void tally_level(struct tally *t, size_t level, struct csr_view codes);
void tally_free(struct tally *t);

/* Adds a number, finite and greater than 0. */
void tally_bin(struct tally_bins *b, double v);
/* The number of non-zeros that a share q of the rows does not exceed. */
uint64_t tally_quantile(const struct tally *t, double q);

#endif
