#include "base/best.h"

#include <stdlib.h>

/* x is behind y in the final order. */
static bool
worse(const struct best_item *x, const struct best_item *y)
{
	return x->score < y->score || (x->score == y->score && x->number > y->number);
}

bool
best_takes(const struct best *b, double score, uint64_t number)
{
	const struct best_item new = {.score = score, .number = number};

	return score == score && (b->n < b->max || (b->n && worse(&b->items[0], &new)));
}

static int
grow(struct best *b, struct err *e)
{
	size_t cap = b->cap ? 2 * b->cap : 16;
	struct best_item *more;

	cap = cap < b->max ? cap : b->max;
	more = realloc(b->items, cap * sizeof *more);
	if (!more)
		return err_memory(e, "hits", cap * sizeof *more);
	b->items = more;
	b->cap = cap;
	return 0;
}

size_t
best_put(struct best *b, double score, uint64_t number, struct err *e)
{
	struct best_item new = {.score = score, .number = number, .slot = b->n}, *at = b->items;
	size_t i, child;

	if (b->n < b->max) {
		if (b->n == b->cap && grow(b, e))
			return SIZE_MAX;
		at = b->items;
		for (i = b->n++; i && worse(&new, &at[(i - 1) / 2]); i = (i - 1) / 2)
			at[i] = at[(i - 1) / 2];
		at[i] = new;
		return new.slot;
	}
	new.slot = at[0].slot;
	for (i = 0; (child = 2 * i + 1) < b->n; i = child) {
		if (child + 1 < b->n && worse(&at[child + 1], &at[child]))
			child++;
		if (!worse(&at[child], &new))
			break;
		at[i] = at[child];
	}
	at[i] = new;
	return new.slot;
}

static int
best_first(const void *a, const void *b)
{
	return worse(a, b) ? 1 : -1;
}

void
best_sort(struct best *b)
{
	if (b->n)
		qsort(b->items, b->n, sizeof *b->items, best_first);
}

void
best_free(struct best *b)
{
	free(b->items);
	*b = (struct best){0};
}
