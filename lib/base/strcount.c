#include "base/strcount.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a: short keys, no adversary worth a better one (the cap bounds work). */
static size_t
hash(const char *s, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;

	while (n--)
		h = (h ^ (unsigned char)*s++) * 0x100000001b3u;
	return (size_t)(h ^ h >> 32);
}

static struct strcount_entry *
slot(struct strcount_entry *slots, size_t cap, const char *s, size_t n)
{
	size_t i = hash(s, n) & (cap - 1);

	while (slots[i].s && (strncmp(slots[i].s, s, n) || slots[i].s[n]))
		i = (i + 1) & (cap - 1);
	return &slots[i];
}

static int
grow(struct strcount *c, struct err *e)
{
	size_t cap = c->cap ? 2 * c->cap : 64, i;
	struct strcount_entry *slots = calloc(cap, sizeof *slots);

	if (!slots)
		return err_memory(e, "counts", cap * sizeof *slots);
	for (i = 0; i < c->cap; i++)
		if (c->slots[i].s)
			*slot(slots, cap, c->slots[i].s, strlen(c->slots[i].s)) = c->slots[i];
	free(c->slots);
	c->slots = slots;
	c->cap = cap;
	return 0;
}

int
strcount_entry(struct strcount *c, const char *s, size_t n, struct strcount_entry **out, struct err *e)
{
	struct strcount_entry *at;

	*out = NULL;
	if (memchr(s, 0, n))
		n = strlen(s);
	if (2 * c->used >= c->cap && grow(c, e))
		return e->code;
	at = slot(c->slots, c->cap, s, n);
	if (!at->s && c->used == c->max) {
		c->other++;
		return 0;
	}
	if (!at->s) {
		at->s = strndup(s, n);
		if (!at->s)
			return err_memory(e, "counts", n);
		at->id = c->used++;
	}
	at->n++;
	*out = at;
	return 0;
}

int
strcount_add(struct strcount *c, const char *s, size_t n, struct err *e)
{
	struct strcount_entry *at;

	return strcount_entry(c, s, n, &at, e);
}

const struct strcount_entry *
strcount_find(const struct strcount *c, const char *s)
{
	const struct strcount_entry *at = c->cap ? slot(c->slots, c->cap, s, strlen(s)) : NULL;

	return at && at->s ? at : NULL;
}

static int
frequent_first(const void *a, const void *b)
{
	const struct strcount_entry *x = a, *y = b;

	if (!x->s || !y->s)
		return !x->s - !y->s;
	return x->n != y->n ? (x->n > y->n ? -1 : 1) : strcmp(x->s, y->s);
}

void
strcount_sort(struct strcount *c)
{
	if (c->cap)
		qsort(c->slots, c->cap, sizeof *c->slots, frequent_first);
}

void
strcount_free(struct strcount *c)
{
	size_t i;

	for (i = 0; i < c->cap; i++)
		free(c->slots[i].s);
	free(c->slots);
	*c = (struct strcount){0};
}
