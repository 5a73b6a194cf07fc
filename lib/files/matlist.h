/* What arrays a file holds, and which of them is meant. */
#ifndef FILES_MATLIST_H
#define FILES_MATLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define MATLIST_DIMS 8

struct matlist_entry {
	char *name;      /* "": the file's only array has none */
	char dtype[24];  /* numpy's name, or the file's own */
	unsigned ndim;
	uint64_t shape[MATLIST_DIMS]; /* the first ones */
	size_t index;                 /* the file's reader's */
	const void *what;             /* likewise */
};

struct matlist {
	struct matlist_entry *v;
	size_t n, cap;
};

/* One more, its name copied, all else for the caller to fill; NULL without
 * memory, e filled. */
struct matlist_entry *matlist_add(struct matlist *l, const char *name, struct err *e);
void matlist_free(struct matlist *l);

/* The array called key or, when key is NULL, the only one of two dimensions, or
 * the only one. CODE_DATA, naming what there is, when that is none or several. */
const struct matlist_entry *matlist_pick(const struct matlist *l, const char *key, struct err *e);

/* "5 x 7" into out. Returns out. */
const char *matlist_shape(const struct matlist_entry *m, char *out, size_t size);

#endif
