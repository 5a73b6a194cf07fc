#include "sae/select.h"

#include <math.h>
#include <string.h>

static float
as_float(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof f);
	return f;
}

static uint32_t
as_bits(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof bits);
	return bits;
}

/* Leaves of n > k candidates the k largest, and says in choice which they are.
 * All are above choice->above, or some equal it if choice->equal. Positive
 * floats have the order of their bits, so the k-th largest is found by halving
 * an interval of bits and counting: a few vector instructions a step, and no
 * bad case. It ends early when a step happens to part the k from the rest. */
static size_t
shrink(const struct simd *simd, struct choice *choice, size_t k, uint32_t *idx, float *val, size_t n)
{
	uint32_t low = as_bits(choice->above) - (choice->equal > 0), high = as_bits(INFINITY), mid;
	size_t c, kept = 0, i;

	while (high - low > 1) { /* more than k are above low, at most k above high */
		mid = low + (high - low) / 2;
		c = simd->count_above(val, n, as_float(mid));
		if (c > k) {
			low = mid;
			continue;
		}
		high = mid;
		kept = c;
		if (c == k)
			break;
	}
	choice->above = as_float(high);
	choice->equal = (uint32_t)(k - kept);
	kept = simd->compress_above(val, n, choice->above, idx, val);
	for (i = kept; i < k; i++)
		val[i] = choice->above;
	return k;
}

size_t
select_gather(const struct simd *simd, struct choice *c, const float *p, size_t len, size_t k,
              uint32_t *idx, float *val, size_t n)
{
	n += simd->compress_above(p, len, c->above, idx, val + n);
	return n > 2 * k + SELECT_SLACK ? shrink(simd, c, k, idx, val, n) : n;
}

size_t
select_settle(const struct simd *simd, struct choice *c, size_t k, uint32_t *idx, float *val, size_t n)
{
	return n > k ? shrink(simd, c, k, idx, val, n) : n;
}

/* Of n numbers, the others and the first *equal that equal v. */
static size_t
drop_ties(uint32_t *idx, float *val, size_t n, float v, uint32_t *equal)
{
	size_t kept = 0, i;

	for (i = 0; i < n; i++) {
		if (val[i] == v && !*equal)
			continue;
		*equal -= val[i] == v;
		idx[kept] = idx[i];
		val[kept++] = val[i];
	}
	return kept;
}

size_t
select_collect(const struct simd *simd, const struct choice *c, uint32_t *equal, const float *p, size_t len,
               uint32_t *idx, float *val)
{
	float above = c->equal ? as_float(as_bits(c->above) - 1) : c->above;
	size_t n = simd->compress_above(p, len, above, idx, val);

	return c->equal ? drop_ties(idx, val, n, c->above, equal) : n;
}
