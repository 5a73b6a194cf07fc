/* Normalisation: x' = (x - mean) * scale, with scale = sqrt(d) / sqrt(mean
 * over rows of |x - mean|^2), so that the root mean square norm of a row is
 * sqrt(d) (MSAE paper, section on data; DESIGN: our scale has the square root
 * the published code lost). */
#ifndef SAE_NORM_H
#define SAE_NORM_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/pool.h"
#include "sae/simd.h"

/* Streaming fit in double. Sums are taken about the first row, one row after
 * another, so the result does not depend on how rows are cut into frames. */
struct norm_fit {
	size_t d;
	uint64_t rows;
	double *shift, *sum; /* [d] each */
	double square;       /* sum of |x - shift|^2 */
};

int norm_fit_init(struct norm_fit *f, size_t d, struct err *e);
void norm_fit_rows(struct norm_fit *f, const float *x, size_t n);
/* mean [d] and *scale. Returns 0, or 1 when the rows do not vary (or there are
 * none): then *scale = 1. */
int norm_fit_result(const struct norm_fit *f, float *mean, float *scale);
void norm_fit_free(struct norm_fit *f);

/* The geometric median of x [n,d], n > 0: the point nearest to all rows, by
 * Weiszfeld's iteration from the mean (until it moves less than 1e-6 of the
 * rows' mean distance, at most 100 times). Takes d doubles for a while. */
int norm_median(float *out, const float *x, size_t n, size_t d, struct err *e);

/* out [n,d]; out may be x. */
void norm_apply(float *out, const float *x, size_t n, size_t d, const float *mean, float scale, const struct simd *simd);
void norm_undo(float *out, const float *x, size_t n, size_t d, const float *mean, float scale, const struct simd *simd);

/* What a stream says was done to its rows, to be taken back. Start from {0};
 * undo_free. */
struct undo {
	float *mean, scale; /* [d], from mem_alloc; NULL: nothing was done */
	size_t d;
	struct mat raw;
};
/* x [n,u->d] as it was: u->raw's, or x itself; NULL with e filled. */
const float *undo_rows(struct undo *u, const float *x, size_t n, const struct simd *simd, struct err *e);
void undo_free(struct undo *u);

/* Rows to unit length (length taken in double); norms [n] gets what they had.
 * A zero row stays zero and gets norm 0. */
void norm_l2(float *out, const float *x, size_t n, size_t d, float *norms);
/* out row i = x row i * norms[i]. */
void norm_l2_undo(float *out, const float *x, size_t n, size_t d, const float *norms);

#endif
