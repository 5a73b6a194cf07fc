/* For each latent the rows where it is strongest, and the sum of those rows by
 * strength: which way the latent points in data. Two passes over the rows, the
 * second over no more of them than are wanted.
 *
 *   strongest_init(&s, m, 10, &err);
 *   strongest_codes(&s, z, first);                   pass 1, rows in order
 *   strongest_order(&s, &err);
 *   while ((row = strongest_next(&s)) != STRONGEST_END)
 *       strongest_add(&s, x of that row, d, sums);   pass 2
 *   strongest_free(&s);
 *
 * Memory: 16 bytes for each of `most` rows of each latent, and 16 more from
 * strongest_order on.
 */
#ifndef SAE_STRONGEST_H
#define SAE_STRONGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"
#include "base/error.h"

#define STRONGEST_END UINT64_MAX

struct strongest {
	size_t m, most;
	uint32_t *count;         /* [m] how many rows it has */
	struct strongest_row { uint64_t row; float value; } *rows; /* [m,most], strongest first */
	struct strongest_ref { uint64_t row; uint32_t latent; float value; } *refs; /* by row, then latent */
	size_t nrefs, at;
};

int strongest_init(struct strongest *s, size_t m, size_t most, struct err *e);
/* z: codes of rows first, first+1, ... Of equal codes the earlier row stays. */
void strongest_codes(struct strongest *s, struct csr_view z, uint64_t first);
/* No more codes after that. */
int strongest_order(struct strongest *s, struct err *e);
/* The next row that some latent has among its strongest, ascending. */
uint64_t strongest_next(const struct strongest *s);
/* x [d] is that row: sums [m,d] row j += code * x for each such latent j. */
void strongest_add(struct strongest *s, const float *x, size_t d, float *sums);
void strongest_free(struct strongest *s);

#endif
