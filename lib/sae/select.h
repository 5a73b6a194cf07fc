/* The k largest positive numbers of a row that comes in pieces, ties to the
 * lowest index: a list of candidates and a floor that rises.
 *
 *   struct list l = {idx, val, 0, 0};
 *   for each piece, in order: select_gather(simd, &l, first, piece, len, k);
 *   select_settle(simd, &l, k);                  l.n numbers, indices ascending
 *
 * NaN is never chosen. Room in idx and val: SELECT_ROOM(k, longest piece).
 */
#ifndef SAE_SELECT_H
#define SAE_SELECT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sae/simd.h"

#define SELECT_SLACK 256 /* candidates beyond 2k before they are thinned out */
#define SELECT_ROOM(k, piece) (2 * (size_t)(k) + SELECT_SLACK + (size_t)(piece) + 16)

struct list {
	uint32_t *idx;
	float *val;
	size_t n;
	float floor; /* what is not above it is not among the k largest */
};

/* Positive floats have the order of their bits. */
static inline uint32_t
select_bits(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof bits);
	return bits;
}

static inline float
select_float(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof f);
	return f;
}

/* The bits of a number that at most k of v[n] exceed, *above of them, found by
 * narrowing an interval of bits and counting: a few vector instructions a step,
 * and no bad case. More than k of v must be above select_float(low). Either
 * *above is k, or the number is the k-th largest and has equals. */
uint32_t select_cut(const struct simd *simd, const float *v, size_t n, size_t k, uint32_t low, size_t *above);

/* Adds what of p[len], whose first has index `first`, is above the floor,
 * thinning the list out when it is long. */
void select_gather(const struct simd *simd, struct list *l, size_t first, const float *p, size_t len, size_t k);
/* The last thinning: min(n, k) are left. */
void select_settle(const struct simd *simd, struct list *l, size_t k);

#endif
