/* The n best of any number of scores, in memory for n: a heap with the worst
 * on top. Ties go to what was numbered lower, so the answer does not depend on
 * the order of asking.
 *
 *   struct best b = {.max = 10};
 *   if (best_takes(&b, score, number))
 *           slot = best_put(&b, score, number, &err);
 *   best_sort(&b);  best_free(&b);
 */
#ifndef BASE_BEST_H
#define BASE_BEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct best {
	size_t max, n, cap;
	struct best_item {
		double score;
		uint64_t number; /* all different */
		size_t slot;     /* 0..max-1: the caller's place for what belongs to it */
	} *items;
};

/* Whether it is among the max best so far. NaN never is. */
bool best_takes(const struct best *b, double score, uint64_t number);
/* Takes it in, in place of the worst where there is no room. Returns its slot, a new one while
 * there is room (0, 1, 2 ...), else that of what went; SIZE_MAX with e filled. Only after best_takes. */
size_t best_put(struct best *b, double score, uint64_t number, struct err *e);
/* The best first; nothing is put after that. */
void best_sort(struct best *b);
void best_free(struct best *b);

#endif
