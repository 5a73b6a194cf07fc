/* The rows of a job: kept to be read many times, looked over once on the way
 * in -- every value finite, mean and spread, columns that never vary -- and
 * normalised on the way out. x' = (x - mean) * scale.
 *
 *   from files:  rowset_files(&s, paths, n, &opts, &err), rowset_scan until 0
 *   from others: rowset_add(&s, x, n, d, &err) as often as there are rows
 *   then         rowset_fit(&s, &err)       if they are not normalised
 *                rowset_order(...), rowset_seek(...), rowset_next(...)
 */
#ifndef JOBS_ROWSET_H
#define JOBS_ROWSET_H

#include <stdbool.h>

#include "files/rowstore.h"
#include "sae/norm.h"

struct rowset {
	struct rowstore store;
	const struct simd *simd;
	struct norm_fit sums;
	float *mean;      /* [d] what is applied; NULL: nothing */
	float scale;
	float *first;     /* [d] of the first row */
	bool *varies;     /* [d] */
	struct mat block; /* of scanning */
	uint64_t scanned;
};

/* Nothing is read yet. simd is for normalising. */
int rowset_files(struct rowset *s, char **paths, size_t n, const struct matfile_opts *o, const struct simd *simd, struct err *e);
/* Looks over the next rows of the files: 1, 0 at their end, -1. CODE_DATA names
 * file and row that are not finite. */
int rowset_scan(struct rowset *s, struct err *e);
/* Finite rows from elsewhere: the first call opens a spool. Another width than
 * before: CODE_DATA. */
int rowset_add(struct rowset *s, const float *x, size_t n, size_t d, const struct simd *simd, struct err *e);
/* Mean 0, root mean square norm sqrt(d) from now on: rowset_next applies what
 * the rows seen give. 1: rows do not vary, and are only centred. */
int rowset_fit(struct rowset *s, struct err *e);
/* Applies these instead; mean [d] is copied. */
int rowset_norm(struct rowset *s, const float *mean, float scale, struct err *e);
/* Columns that are the same number in all rows. */
size_t rowset_still(const struct rowset *s);
/* rowstore_next and rowstore_read, normalised. */
int rowset_next(struct rowset *s, size_t most, float *x, size_t *n, struct err *e);
int rowset_read(struct rowset *s, uint64_t first, size_t n, float *x, struct err *e);
void rowset_close(struct rowset *s);

#endif
