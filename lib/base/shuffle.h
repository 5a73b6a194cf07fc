/* Permutations of any size that take no memory: entry i is computed, not looked
 * up. For orders of blocks of a file too large to keep a list of.
 *
 * Four rounds of a Feistel network over the smallest even number of bits that
 * holds n - 1, walked on while outside 0..n-1 (Black and Rogaway, "Ciphers with
 * Arbitrary Finite Domains", 2002). */
#ifndef BASE_SHUFFLE_H
#define BASE_SHUFFLE_H

#include <stddef.h>
#include <stdint.h>

struct shuffle {
	uint64_t n, keys[4];
	unsigned half; /* bits of a half */
};

/* A permutation of 0..n-1 for every pair of seed and which. */
void shuffle_init(struct shuffle *s, uint64_t n, uint64_t seed, uint64_t which);
/* Where i < n goes. */
uint64_t shuffle_at(const struct shuffle *s, uint64_t i);

/* 0..n-1 into order[n] and shuffled (Fisher and Yates): every order is equally
 * likely. */
void shuffle_list(uint32_t *order, size_t n, uint64_t seed, uint64_t which);

#endif
