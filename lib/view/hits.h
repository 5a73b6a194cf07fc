/* The rows a search found, for people and machines: aligned tables, JSON, CSV.
 *
 *   struct hits h = {.query = "zebra"};
 *   hits_put(&h, slot, row, id, label, &err);   as the best change
 *   h.best = &best;                              sorted
 *   hits_write(&h, 1, HITS_TEXT, stdout);
 *   hits_free(&h);
 */
#ifndef VIEW_HITS_H
#define VIEW_HITS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/best.h"
#include "base/error.h"

struct hits {
	const char *query; /* what was asked, the caller's */
	const struct best *best;
	struct hit { uint64_t row; char *id, *label; } *at; /* [cap] by slot */
	size_t cap;
};

/* What belongs to a slot of the best; texts are copied, NULL: none. */
int hits_put(struct hits *h, size_t slot, uint64_t row, const char *id, const char *label, struct err *e);
void hits_free(struct hits *h);

enum hits_form { HITS_TEXT, HITS_JSON, HITS_CSV };

/* h[n], one query each. Text: a table a query; columns that nothing has are
 * left out. JSON: a line a hit, {"query","rank","row","score","id","label"}.
 * CSV: query,rank,row,score,id,label. 0, or -1 when `to` took no more (errno). */
int hits_write(const struct hits *h, size_t n, enum hits_form form, FILE *to);

#endif
