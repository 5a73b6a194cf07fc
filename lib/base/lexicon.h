/* Names and what they stand for: found exactly, as the longest beginning of a
 * text, or, when misspelt, by what is near. Several entries may have one name.
 *
 *   struct lexicon l = {0};
 *   lexicon_add(&l, "zebra", 17, false, &err);   as often as there are names
 *   lexicon_sort(&l);
 *   lexicon_find(&l, "zebra", 5, &count);
 *   lexicon_free(&l);
 *
 * A blank stands for an underscore too: "fire truck" finds fire_truck, unless
 * there is a "fire truck".
 */
#ifndef BASE_LEXICON_H
#define BASE_LEXICON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct lexicon {
	struct lexicon_entry {
		const char *name; /* the caller's */
		uint32_t number;
		bool silent;      /* found, but never suggested */
	} *items;
	size_t n, cap;
	size_t longest; /* bytes of the longest name */
};

int lexicon_add(struct lexicon *l, const char *name, uint32_t number, bool silent, struct err *e);
/* Once all are in, before anything is looked up. */
void lexicon_sort(struct lexicon *l);
void lexicon_free(struct lexicon *l);

/* The *count entries named s[n], by ascending number; NULL when there are none. */
const struct lexicon_entry *lexicon_find(const struct lexicon *l, const char *s, size_t n, size_t *count);
/* The entries whose name is the longest beginning of s[n] that ends where s
 * ends or before a blank or one of the operators + - *. *len gets its length. */
const struct lexicon_entry *lexicon_longest(const struct lexicon *l, const char *s, size_t n, size_t *len, size_t *count);

/* "; did you mean zebra or zebu?" -- up to three names within a few letters of
 * s[n], upper case or not, or else with s in them -- printable, into out[size];
 * "" when nothing is near. Returns out. */
char *lexicon_suggest(const struct lexicon *l, const char *s, size_t n, char *out, size_t size);

/* Letters to change, add or leave out to get from a[na] to b[nb] (Levenshtein),
 * ASCII case aside; most + 1 when there are more than most, or a text is longer
 * than LEXICON_FAR. */
#define LEXICON_FAR 64
unsigned lexicon_distance(const char *a, size_t na, const char *b, size_t nb, unsigned most);

#endif
