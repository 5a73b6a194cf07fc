/* What a stream of codes adds up to, latent by latent, in memory that does
 * not grow with the rows: O(m x examples).
 *
 *   tally_init(&t, m, &err); tally_rows(&t, z, first_row, ids, labels); ... tally_free
 */
#ifndef VIEW_TALLY_H
#define VIEW_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"
#include "base/error.h"

#define TALLY_EXAMPLES 4
#define TALLY_ID 64 /* bytes kept of a row's id and label, NUL included */

struct tally_example {
	float value;
	uint64_t row;
	char id[TALLY_ID], label[TALLY_ID]; /* "" when rows have none */
};

struct tally_latent {
	uint64_t rows;   /* where it is active (not zero) */
	double sum;      /* of its values there */
	float max;
	unsigned nexamples;
	struct tally_example best[TALLY_EXAMPLES]; /* strongest rows, descending; ties: first row */
};

struct tally {
	size_t m;
	struct tally_latent *latents; /* [m] */
	uint64_t rows, nnz, min, max; /* of non-zeros in a row */
	double square;                /* sum of squared counts */
	uint64_t *l0;                 /* [m+1]: rows by number of non-zeros */
};

int tally_init(struct tally *t, size_t m, struct err *e);
/* z's rows are numbered from first_row. ids, labels: NULL or z.rows strings. */
void tally_rows(struct tally *t, struct csr_view z, uint64_t first_row, const char *const *ids, const char *const *labels);
void tally_free(struct tally *t);

/* The number of non-zeros that a share q of the rows does not exceed. */
uint64_t tally_quantile(const struct tally *t, double q);

#endif
