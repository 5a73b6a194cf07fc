#include "sae/select.h"

#include <math.h>

uint32_t
select_cut(const struct simd *simd, const float *v, size_t n, size_t k, uint32_t low, size_t *above)
{
	uint32_t high = select_bits(INFINITY), mid;
	size_t c;

	*above = 0;
	while (high - low > 1) { /* more than k are above low, at most k above high */
		mid = low + (high - low) / 2;
		c = simd->count_above(v, n, select_float(mid));
		if (c > k) {
			low = mid;
			continue;
		}
		high = mid;
		*above = c;
		if (c == k)
			break;
	}
	return high;
}

/* Leaves of n > k candidates the k largest, and says in choice which they are.
 * All are above choice->above, or some equal it if choice->equal. */
static size_t
shrink(const struct simd *simd, struct choice *choice, size_t k, uint32_t *idx, float *val, size_t n)
{
	size_t kept, i;

	choice->above = select_float(select_cut(simd, val, n, k, select_bits(choice->above) - (choice->equal > 0), &kept));
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
	float above = c->equal ? select_float(select_bits(c->above) - 1) : c->above;
	size_t n = simd->compress_above(p, len, above, idx, val);

	return c->equal ? drop_ties(idx, val, n, c->above, equal) : n;
}
