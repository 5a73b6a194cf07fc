#include "stream/ids.h"

#include <stdio.h>
#include <xxhash.h>

void
stream_id(char out[STREAM_ID_MAX], const void *what, size_t n)
{
	XXH128_hash_t h = XXH3_128bits(what, n);

	snprintf(out, STREAM_ID_MAX, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}
