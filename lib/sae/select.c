#include "sae/select.h"

#include <math.h>

uint32_t
select_cut(const struct simd *simd, const float *v, size_t n, size_t k, uint32_t low, size_t *above)
{
	uint32_t high = select_bits(INFINITY), mid;
	size_t c, under = n; /* at most so many are above low */
	int32_t least, most;
	unsigned turn;

	*above = 0;
	/* half of the halving would go to where no number is */
	simd->extremes(v, n, &least, &most);
	if (most > (int32_t)low && (uint32_t)most < high)
		high = (uint32_t)most;
	if (least > (int32_t)low && simd->count_above(v, n, select_float((uint32_t)least)) > k)
		low = (uint32_t)least;
	for (turn = 0; high - low > 1; turn++) { /* more than k are above low, at most k above high */
		mid = low + (high - low) / 2;
		if (turn % 2 == 0) /* as if numbers lay evenly; every other time, in case they do not */
			mid = low + 1 + (uint32_t)((uint64_t)(high - low - 2) * (under - k) / (under - *above));
		c = simd->count_above(v, n, select_float(mid));
		if (c > k) {
			low = mid;
			under = c;
			continue;
		}
		high = mid;
		*above = c;
		if (c == k)
			break;
	}
	return high;
}

/* Leaves of n > k candidates the k first under (value descending, index
 * ascending); the others can never come back. */
static void
shrink(const struct simd *simd, struct list *l, size_t k)
{
	uint32_t low = select_bits(l->floor);
	float *val = l->val;
	size_t above, equal, kept = 0, whole = (l->n + 15) / 16 * 16, i;

	low -= low > 0; /* some may equal the floor */
	for (i = l->n; i < whole; i++)
		val[i] = l->floor; /* never above it; counting is for whole registers */
	l->floor = select_float(select_cut(simd, val, whole, k, low, &above));
	equal = k - above;
	if (!equal) {
		l->n = simd->keep_above(l->idx, val, l->n, l->floor);
		return;
	}
	for (i = 0; i < l->n; i++) {
		l->idx[kept] = l->idx[i];
		val[kept] = val[i];
		above = val[i] > l->floor || (equal && val[i] == l->floor);
		equal -= above && val[i] == l->floor;
		kept += above;
	}
	l->n = kept;
}

void
select_gather(const struct simd *simd, struct list *l, size_t first, const float *p, size_t len, size_t k)
{
	l->n += simd->few_above(p, len, l->floor, (uint32_t)first, l->idx + l->n, l->val + l->n);
	if (l->n > 2 * k + SELECT_SLACK)
		shrink(simd, l, k);
}

void
select_settle(const struct simd *simd, struct list *l, size_t k)
{
	if (l->n > k)
		shrink(simd, l, k);
}
