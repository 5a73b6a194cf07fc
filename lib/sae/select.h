/* The k largest positive numbers of a row that comes in pieces, ties to the
 * lowest index: a running threshold that rises, then one pass that collects.
 *
 *   struct choice c = {0};
 *   for each piece: n += select_gather(simd, &c, piece, len, k, idx, val, n);
 *   n = select_settle(simd, &c, k, idx, val, n);    n numbers are chosen
 *   uint32_t equal = c.equal;
 *   for each piece: got = select_collect(simd, &c, &equal, piece, len, idx, val);
 *
 * NaN is never chosen. Room in idx and val: SELECT_ROOM(k, longest piece).
 */
#ifndef SAE_SELECT_H
#define SAE_SELECT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sae/simd.h"

#define SELECT_SLACK 128 /* candidates beyond 2k before they are thinned out */
#define SELECT_ROOM(k, piece) (2 * (size_t)(k) + SELECT_SLACK + (size_t)(piece) + 16)

/* Which numbers are chosen: those above `above`, and the first `equal` of
 * those that equal it. */
struct choice {
	float above;
	uint32_t equal;
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
 * halving an interval of bits and counting: a few vector instructions a step,
 * and no bad case. More than k of v must be above select_float(low). Either
 * *above is k, or the number is the k-th largest and has equals. */
uint32_t select_cut(const struct simd *simd, const float *v, size_t n, size_t k, uint32_t low, size_t *above);

/* Adds what of p[len] is above c->above to the n candidates in val, thinning
 * them out when they are many. Returns how many there are now. */
size_t select_gather(const struct simd *simd, struct choice *c, const float *p, size_t len, size_t k,
                     uint32_t *idx, float *val, size_t n);
/* The last thinning: returns min(n, k) and leaves in c which they are. */
size_t select_settle(const struct simd *simd, struct choice *c, size_t k, uint32_t *idx, float *val, size_t n);
/* The chosen numbers of one piece, with their places in it, ascending. *equal:
 * ties that may still be taken; counts down. Returns how many. */
size_t select_collect(const struct simd *simd, const struct choice *c, uint32_t *equal, const float *p, size_t len,
                      uint32_t *idx, float *val);

#endif
