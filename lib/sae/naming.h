/* Which words are nearest to which latents, by cosine, from a stream of words.
 *
 *   naming_init(&n, &model, how, words_mean, best, pool, &err);
 *   naming_words(&n, x, texts, count, &err);    as often as there are words
 *   naming_best(&n, latent, &count)             the best first
 *   naming_free(&n);
 *
 * Memory: the decoder once more, a block of cosines and `best` words a latent,
 * whatever the size of the vocabulary.
 */
#ifndef SAE_NAMING_H
#define SAE_NAMING_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/model.h"
#include "base/pool.h"

/* What is compared. Texts and images of one CLIP lie apart, each about a mean
 * of its own; a latent is a direction from the mean.
 *   NAMING_CENTRED    decoder row with (word - mean of the words)
 *   NAMING_PUBLISHED  decoder row / scale + mean with word, as Zaigrajew et
 *                     al. (ICML 2025) have it */
enum naming_how { NAMING_CENTRED, NAMING_PUBLISHED };

struct naming_word {
	float cosine;
	char *text;
};

struct naming {
	const struct sae *model;
	struct pool *pool;
	float *latents;            /* [d,m] unit columns */
	float *mean;               /* [d] of the words, or NULL */
	size_t best;
	size_t *count;             /* [m] */
	struct naming_word *words; /* [m,best], descending */
	struct mat unit, cosines;
};

/* words_mean [d] is copied; needed for NAMING_CENTRED. best >= 1. */
int naming_init(struct naming *n, const struct sae *model, enum naming_how how, const float *words_mean, size_t best,
                struct pool *pool, struct err *e);
/* x [count,d] in the space of the embeddings before they are normalised. A word
 * whose vector is zero is like nothing; a text that comes twice counts once,
 * with its higher cosine; of equal cosines the first comes first. */
int naming_words(struct naming *n, const float *x, const char *const *texts, size_t count, struct err *e);
const struct naming_word *naming_best(const struct naming *n, size_t latent, size_t *count);
void naming_free(struct naming *n);

#endif
