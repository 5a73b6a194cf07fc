/* Counting strings: how often each came, for up to a cap of different ones.
 * Start from {.max = N}; strcount_free. */
#ifndef BASE_STRCOUNT_H
#define BASE_STRCOUNT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct strcount {
	struct strcount_entry { char *s; uint64_t n; } *slots; /* open addressing; s NULL: free */
	size_t cap, used, max;
	uint64_t other; /* strings that came after max different ones */
};

int strcount_add(struct strcount *c, const char *s, size_t n, struct err *e);
/* Entries to the front of slots, most frequent first, ties by name; `used` of
 * them. No adding after that. */
void strcount_sort(struct strcount *c);
void strcount_free(struct strcount *c);

#endif
