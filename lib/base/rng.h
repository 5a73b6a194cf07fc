/* Random numbers that are the same on every machine: a counter-based
 * generator, so that row i of a stream can be drawn without rows 0..i-1. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
	uint64_t state;
	double spare; /* second half of the last normal pair */
	int has_spare;
};

/* Stream number `which` of seed: independent for every pair. */
void rng_seed(struct rng *r, uint64_t seed, uint64_t which);
/* 64 random bits (SplitMix64: Steele, Lea, Flood, OOPSLA 2014). */
uint64_t rng_u64(struct rng *r);
/* Uniform in [0,1), 53 bits. */
double rng_uniform(struct rng *r);
/* Uniform in 0..n-1 without bias; n > 0. */
uint64_t rng_below(struct rng *r, uint64_t n);
/* Standard normal (Marsaglia's polar method). */
double rng_normal(struct rng *r);

#endif
