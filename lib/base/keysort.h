/* Sorting more keys than memory should hold: exact ranks in constant memory.
 *
 *   struct keysort s = {0};
 *   keysort_add(&s, keys, n, &err)          as often as wanted
 *   keysort_begin(&s, &err)
 *   while ((more = keysort_next(&s, &key, &err)) > 0) ...   ascending
 *   keysort_free(&s)
 *
 * Chunks of KEYSORT_CHUNK keys are sorted in memory and, when there is more
 * than one, kept in an unnamed file in $TMPDIR and merged. Memory: two chunks
 * (64 MiB), less for few keys.
 */
#ifndef BASE_KEYSORT_H
#define BASE_KEYSORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define KEYSORT_CHUNK ((size_t)1 << 22)

struct keysort {
	uint64_t *keys, *spare; /* [cap] each */
	size_t n, cap, at, chunk; /* chunk: 0 stands for KEYSORT_CHUNK, tests take less */
	int spool;              /* valid when runs > 0 */
	size_t runs;
	struct keysort_run { uint64_t from, to; uint64_t *buf; size_t at, held; } *run; /* [runs], in the order of a heap */
	size_t live, each;      /* runs that are not at their end; keys a buffer */
};

int keysort_add(struct keysort *s, const uint64_t *keys, size_t n, struct err *e);
int keysort_begin(struct keysort *s, struct err *e);
/* 1 and the next key; 0 at the end; -1 with e filled. */
int keysort_next(struct keysort *s, uint64_t *key, struct err *e);
void keysort_free(struct keysort *s);

/* A float as 32 bits that sort as it does (-0 and 0 are one); v is no NaN. */
uint32_t keysort_of_float(float v);

#endif
