/* Which words are nearest to which directions, by cosine, from a stream of
 * words; and how near a word comes that is no name.
 *
 *   naming_init(&n, &(struct naming_of){...}, pool, &err);
 *   naming_words(&n, x, texts, count, &err);     as often as there are words
 *   naming_best(&n, j, &count)                   words of direction j, the best first
 *   naming_threshold(&n, .05, &cosine, &err)     where few of the names are false
 *   naming_free(&n);
 *
 * A direction has a nearest word whatever it means. To tell names from that,
 * each word is also mixed with others: a point halfway between two words lies
 * where words lie, has their common directions, and no word for it. What is as
 * near to a direction as its nearest mixture may well be no name either.
 * naming_false says of how many directions that can be expected, as target and
 * decoy searches do (Elias and Gygi, "Target-decoy search strategy", 2007).
 *
 * Memory: the directions, a block of cosines, NAMING_RECENT words, and for a
 * direction `best` words and `mixes` numbers; whatever the size of the
 * vocabulary.
 */
#ifndef SAE_NAMING_H
#define SAE_NAMING_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/pool.h"

#define NAMING_RECENT 1024 /* a word is mixed with one of so many before it */

struct naming_word {
	float cosine;
	char *text;
};

struct naming_of {
	const float *directions; /* [m,d]; a row of zeros is near nothing */
	size_t m, d;
	const float *mean;       /* [d] taken off each word first; NULL: nothing */
	size_t best;             /* >= 1 words kept for each direction */
	size_t mixes;            /* mixtures of each word; 0: none */
};

struct naming {
	struct naming_of of;       /* directions and mean are no longer needed there */
	struct pool *pool;
	float *directions;         /* [d,m] unit columns */
	float *mean;               /* [d] or NULL */
	size_t *count;             /* [m] */
	struct naming_word *words; /* [m,best], descending */
	float *mixed;              /* [mixes,m] cosine of the nearest mixture, 0 when below */
	uint64_t seen;             /* words */
	struct mat unit, mixture, recent, cosines;
};

/* Everything in `of` is copied. */
int naming_init(struct naming *n, const struct naming_of *of, struct pool *pool, struct err *e);
/* x [count,d] in the space of the embeddings before they are normalised. A word
 * whose vector is zero is near nothing; a text that comes twice counts once,
 * with its higher cosine; of equal cosines the first comes first. */
int naming_words(struct naming *n, const float *x, const char *const *texts, size_t count, struct err *e);
const struct naming_word *naming_best(const struct naming *n, size_t j, size_t *count);
/* Directions that have a word at `cosine` or nearer, and how many could be
 * expected to if none of them had a name: those that have a mixture there. */
size_t naming_passing(const struct naming *n, double cosine);
double naming_false(const struct naming *n, double cosine);
/* The smallest positive cosine of a best word at which naming_false is at most
 * `share` of naming_passing; INFINITY when there is none. */
int naming_threshold(const struct naming *n, double share, double *cosine, struct err *e);
void naming_free(struct naming *n);

#endif
