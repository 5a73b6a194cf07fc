#include "base/shuffle.h"

#include "base/rng.h"

void
shuffle_init(struct shuffle *s, uint64_t n, uint64_t seed, uint64_t which)
{
	struct rng r;
	unsigned i;

	rng_seed(&r, seed, which);
	s->n = n;
	for (i = 0; i < 4; i++)
		s->keys[i] = rng_u64(&r);
	for (s->half = 1; s->half < 32 && n > 1 && (n - 1) >> 2 * s->half; s->half++)
		;
}

/* The finalizer of SplitMix64. */
static uint64_t
mix(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9u;
	v = (v ^ v >> 27) * 0x94d049bb133111ebu;
	return v ^ v >> 31;
}

uint64_t
shuffle_at(const struct shuffle *s, uint64_t i)
{
	uint64_t mask = ((uint64_t)1 << s->half) - 1, left, right, next;
	unsigned round;

	do {
		left = i >> s->half;
		right = i & mask;
		for (round = 0; round < 4; round++) {
			next = left ^ (mix(right + s->keys[round]) & mask);
			left = right;
			right = next;
		}
		i = left << s->half | right;
	} while (i >= s->n);
	return i;
}

void
shuffle_list(uint32_t *order, size_t n, uint64_t seed, uint64_t which)
{
	struct rng r;
	uint32_t swap;
	size_t i, j;

	rng_seed(&r, seed, which);
	for (i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	for (i = n; i > 1; i--) {
		j = (size_t)rng_below(&r, i);
		swap = order[i - 1];
		order[i - 1] = order[j];
		order[j] = swap;
	}
}
