/* Compiled once for each instruction set, with -DSIMD=plain, avx2 ...: xxhash's
 * own code for it, from its header. */
#include "stream/sum.h"

#define XXH_INLINE_ALL
/* Bytes between those summed and those fetched. xxhash's own choice, 384 or 512,
 * is for what lies in cache; of memory it leaves a third of the speed. */
#define XXH_PREFETCH_DIST 4096
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Warray-bounds" /* of a fetch from behind xxhash's buffer, a hint and no access */
#endif
#include <xxhash.h>

#ifndef SIMD
#define SIMD plain
#endif
#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
#define TEXT2(a) #a
#define TEXT(a) TEXT2(a)

static uint64_t
pieces(const struct iovec *v, size_t n)
{
	XXH3_state_t s;
	size_t i;

	if (n == 1)
		return XXH3_64bits(v->iov_base, v->iov_len);
	XXH3_INITSTATE(&s);
	XXH3_64bits_reset(&s);
	for (i = 0; i < n; i++)
		XXH3_64bits_update(&s, v[i].iov_base, v[i].iov_len);
	return XXH3_64bits_digest(&s);
}

extern const struct sum JOIN(sum_, SIMD);
const struct sum JOIN(sum_, SIMD) = {TEXT(SIMD), pieces};
