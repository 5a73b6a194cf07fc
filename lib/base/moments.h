/* Sums that stream: mean, variance and extremes of numbers, and of the norms of
 * rows. Start from {0}. */
#ifndef BASE_MOMENTS_H
#define BASE_MOMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Running mean and variance of numbers, exact order, for norms and the like
 * (Welford 1962). */
struct moments {
	uint64_t n;
	double mean, m2, min, max;
};
void moments_add(struct moments *s, double v);
double moments_sd(const struct moments *s); /* ddof 1; 0 for n < 2 */

/* From sums of n numbers and of their squares: their mean, their standard
 * deviation (ddof 0, as published tables have it), and half the width of the
 * mean's 95 % interval, by the normal distribution and the unbiased variance.
 * NaN where there are too few. */
struct estimate { double mean, sd, half; };
struct estimate estimate_mean(double sum, double square, double n);

/* Euclidean norms of dense rows, and the sum of the rows. Start from {0}. */
struct rowstats {
	size_t d;
	struct moments norm;
	double *sum;        /* [d] */
	uint64_t nonfinite; /* rows with NaN or infinity: counted, and left out */
};

/* x [n,d]; d must not change between calls (CODE_DATA). */
int rowstats_rows(struct rowstats *s, const float *x, size_t n, size_t d, struct err *e);
double rowstats_mean_norm(const struct rowstats *s); /* norm of the mean row */
void rowstats_free(struct rowstats *s);

#endif
