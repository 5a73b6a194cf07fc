#include "base/lexicon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define SUGGESTIONS 3
#define PART_LEAST 3 /* letters: shorter ones are in everything */

int
lexicon_add(struct lexicon *l, const char *name, uint32_t number, bool silent, struct err *e)
{
	size_t cap = l->cap ? 2 * l->cap : 64, len = strlen(name);
	struct lexicon_entry *more;

	if (l->n == l->cap) {
		more = realloc(l->items, cap * sizeof *more);
		if (!more)
			return err_memory(e, "names", cap * sizeof *more);
		l->items = more;
		l->cap = cap;
	}
	l->items[l->n++] = (struct lexicon_entry){name, number, silent};
	l->longest = len > l->longest ? len : l->longest;
	return 0;
}

void
lexicon_free(struct lexicon *l)
{
	free(l->items);
	*l = (struct lexicon){0};
}

static int
folded(char c)
{
	return c == '_' ? ' ' : (unsigned char)c;
}

/* Name against s[n], underscores taken as blanks. */
static int
fold_cmp(const char *name, const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n && name[i] && folded(name[i]) == folded(s[i]); i++)
		;
	if (i == n)
		return name[i] != 0;
	return name[i] ? folded(name[i]) - folded(s[i]) : -1;
}

static int
in_order(const void *a, const void *b)
{
	const struct lexicon_entry *x = a, *y = b;
	int c = fold_cmp(x->name, y->name, strlen(y->name));

	if (!c)
		c = strcmp(x->name, y->name);
	return c ? c : (x->number > y->number) - (x->number < y->number);
}

void
lexicon_sort(struct lexicon *l)
{
	if (l->n)
		qsort(l->items, l->n, sizeof *l->items, in_order);
}

/* The first entry whose name is not before s[n]; with `past`, that is behind it. */
static size_t
bound(const struct lexicon *l, const char *s, size_t n, bool past)
{
	size_t low = 0, high = l->n, mid;
	int c;

	while (low < high) {
		mid = low + (high - low) / 2;
		c = fold_cmp(l->items[mid].name, s, n);
		if (c < 0 || (past && c == 0))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool
is_name(const struct lexicon_entry *e, const char *s, size_t n)
{
	return !strncmp(e->name, s, n) && !e->name[n];
}

const struct lexicon_entry *
lexicon_find(const struct lexicon *l, const char *s, size_t n, size_t *count)
{
	size_t from = bound(l, s, n, false), to = bound(l, s, n, true), first, end;

	*count = 0;
	if (from == to)
		return NULL;
	for (first = from; first < to && !is_name(&l->items[first], s, n); first++)
		;
	for (end = first; end < to && is_name(&l->items[end], s, n); end++)
		;
	if (first == to) { /* only with underscores for blanks: of several spellings the first */
		first = from;
		for (end = from; end < to && !strcmp(l->items[end].name, l->items[from].name); end++)
			;
	}
	*count = end - first;
	return l->items + first;
}

const struct lexicon_entry *
lexicon_longest(const struct lexicon *l, const char *s, size_t n, size_t *len, size_t *count)
{
	const struct lexicon_entry *found = NULL;
	size_t i;

	for (i = n < l->longest ? n : l->longest; i > 0 && !found; i--)
		if (i == n || strchr(" \t+-*", s[i])) {
			found = lexicon_find(l, s, i, count);
			*len = found ? i : *len;
		}
	return found;
}

static unsigned char
lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : folded(c));
}

unsigned
lexicon_distance(const char *a, size_t na, const char *b, size_t nb, unsigned most)
{
	unsigned char row[LEXICON_FAR + 1], diagonal, above, best;
	size_t i, j;

	if (na > LEXICON_FAR || nb > LEXICON_FAR || (na > nb ? na - nb : nb - na) > most)
		return most + 1;
	for (j = 0; j <= nb; j++)
		row[j] = (unsigned char)j;
	for (i = 1; i <= na; i++) {
		diagonal = row[0];
		row[0] = (unsigned char)i;
		for (j = 1; j <= nb; j++) {
			above = row[j];
			best = (unsigned char)(diagonal + (lower(a[i - 1]) != lower(b[j - 1])));
			best = above + 1 < best ? (unsigned char)(above + 1) : best;
			row[j] = row[j - 1] + 1 < best ? (unsigned char)(row[j - 1] + 1) : best;
			diagonal = above;
		}
	}
	return row[nb] <= most ? row[nb] : most + 1;
}

/* Whether part[n] is in s, case aside. */
static bool
contains(const char *s, size_t len, const char *part, size_t n)
{
	size_t i, j;

	for (i = 0; i + n <= len; i++) {
		for (j = 0; j < n && lower(s[i + j]) == lower(part[j]); j++)
			;
		if (j == n)
			return true;
	}
	return false;
}

/* How far a name is: letters, or behind all of those a name with s in it. */
static unsigned
far(const char *name, const char *s, size_t n, unsigned most)
{
	size_t len = strlen(name);
	unsigned d = lexicon_distance(name, len, s, n, most);

	if (d > most && n >= PART_LEAST && n <= LEXICON_FAR && len <= LEXICON_FAR && contains(name, len, s, n))
		d = most + 1;
	else if (d > most)
		d = most + 2;
	return d;
}

char *
lexicon_suggest(const struct lexicon *l, const char *s, size_t n, char *out, size_t size)
{
	unsigned most = n < 2 ? 0 : n < 5 ? 1 : n < 9 ? 2 : 3, d, far_of[SUGGESTIONS];
	const char *best[SUGGESTIONS];
	size_t found = 0, i, j, at = 0;
	char name[80];

	for (i = 0; i < l->n; i++) {
		if (l->items[i].silent)
			continue;
		d = far(l->items[i].name, s, n, most);
		for (j = 0; j < found && strcmp(best[j], l->items[i].name); j++)
			;
		if (d > most + 1 || j < found || (found == SUGGESTIONS && d >= far_of[found - 1]))
			continue;
		for (j = found < SUGGESTIONS ? found++ : found - 1; j > 0 && d < far_of[j - 1]; j--) {
			far_of[j] = far_of[j - 1];
			best[j] = best[j - 1];
		}
		far_of[j] = d;
		best[j] = l->items[i].name;
	}
	out[0] = 0;
	for (i = 0; i < found && at < size; i++) {
		text_printable(name, sizeof name, best[i], strlen(best[i]));
		at += (size_t)snprintf(out + at, size - at, "%s%s%s", !i ? "; did you mean " : i + 1 < found ? ", " : " or ", name, i + 1 == found ? "?" : "");
	}
	return out;
}
