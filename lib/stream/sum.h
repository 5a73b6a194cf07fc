/* XXH3-64 of bytes in pieces (xxhash, docs/FORMAT.md): what an end frame's sum
 * adds up. Compiled once for each instruction set, as sae/simd.c is, because
 * every frame is summed by who writes it and by who reads it, and the
 * distribution's library is made for the oldest machine. The same number from each. */
#ifndef STREAM_SUM_H
#define STREAM_SUM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct sum {
	const char *name; /* as base/cpu.h calls the instruction set */
	uint64_t (*pieces)(const struct iovec *v, size_t n);
};

/* The quickest this CPU has; or, with a name, that one, NULL when it is not to be had. */
const struct sum *sum_for(const char *name);

#endif
