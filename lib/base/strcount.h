/* Counting strings: how often each came, for up to a cap of different ones.
 * Start from {.max = N}; strcount_free. */
#ifndef BASE_STRCOUNT_H
#define BASE_STRCOUNT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct strcount {
	struct strcount_entry { char *s; uint64_t n; size_t id; } *slots; /* open addressing; s NULL: free */
	size_t cap, used, max;
	uint64_t other; /* strings that came after max different ones */
};

int strcount_add(struct strcount *c, const char *s, size_t n, struct err *e);
/* The same, handing out the entry: its n counts this time too, its id is the
 * number of different strings that came before it. NULL when it came after max
 * different ones. Good until the next call. */
int strcount_entry(struct strcount *c, const char *s, size_t n, struct strcount_entry **out, struct err *e);
/* The entry of s, or NULL; before strcount_sort. */
const struct strcount_entry *strcount_find(const struct strcount *c, const char *s);
/* Entries to the front of slots, most frequent first, ties by name; `used` of
 * them. No adding after that. */
void strcount_sort(struct strcount *c);
void strcount_free(struct strcount *c);

#endif
