/* What a search is asked for, as vectors: sums of concepts, sums of words, rows
 * of a file.
 *
 *   struct queries q = {0};
 *   queries_concepts(&q, path, &err)  or  queries_words(&q, path, ids, &err);
 *   queries_sum(&q, "beard + 2*glasses", &err);    or a file of them: queries_file
 *   queries_rows(&q, "like.npy", &err);
 *   queries_directions(&q, &space, &out, &err)  or  queries_codes(...)
 *   queries_free(&q);
 *
 * Directions, for rows x. A term of a sum is a vector of length 1, times its
 * weight: a concept is its latent's decoder row (the sum of them where several
 * latents carry the name); a word is its embedding about the mean of all words,
 * since words and images of one CLIP lie apart, each about a mean of its own,
 * and what they share is the direction from there. A row is brought to where
 * the stream's rows are: centred and scaled by the stream's mean and scale.
 *
 * Codes, for rows z. A concept is weight on its latents, of length 1. A word
 * or a row is encoded by the model: a row as the stream's were, a sum of words
 * as a direction of the length that normalised rows have, sqrt(d).
 */
#ifndef JOBS_QUERIES_H
#define JOBS_QUERIES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/expression.h"
#include "base/lexicon.h"
#include "base/mem.h"
#include "base/model.h"
#include "files/concepts.h"
#include "sae/encode.h"

struct queries {
	bool named;          /* there are concepts or words to look names up in */
	struct concepts concepts;
	struct lexicon names;
	bool by_word;        /* names are words: */
	struct buf vectors;  /* float [words,d], at the end about their mean */
	char **texts;        /* [words] */
	size_t words, d;
	struct query {
		char *text;
		struct expression sum; /* n 0: row `row` of rows */
		size_t row;
	} *items;
	size_t n;
	bool sums;           /* some query is one */
	uint32_t highest;    /* latent that is asked for */
	struct mat rows;     /* of --like, as they came */
};

/* Names are looked up here from now on. */
int queries_concepts(struct queries *q, const char *path, struct err *e);
/* An .npy and a line a row; or, from elsewhere, piece by piece and then the end:
 * x [n,d], finite, raw. All is copied. */
int queries_words(struct queries *q, const char *path, const char *ids, struct err *e);
int queries_add_words(struct queries *q, const float *x, const char *const *texts, size_t n, size_t d, struct err *e);
int queries_end_words(struct queries *q, struct err *e);
/* One more query. CODE_USAGE says what is wrong with the text, or that a name is
 * valid of no latent. */
int queries_sum(struct queries *q, const char *text, struct err *e);
/* A query a line: CODE_DATA names the line. */
int queries_file(struct queries *q, const char *path, struct err *e);
/* The raw rows of a matrix file, called "path#0", "path#1" ... Once. */
int queries_rows(struct queries *q, const char *path, struct err *e);
void queries_free(struct queries *q);

/* Whether the model is needed, for codes or for directions. */
bool queries_need_model(const struct queries *q, bool codes);

/* Where a stream's rows are: mean NULL for raw ones; l2: brought to unit length
 * before that. */
struct space {
	const float *mean; /* [d] */
	float scale;
	bool l2;
	size_t d;
};

/* out [q->n, space->d]. model may be NULL where it is not needed. CODE_DATA:
 * other widths, concepts for raw rows, a query that adds up to nothing. */
int queries_directions(const struct queries *q, const struct space *space, const struct sae *model, struct mat *out, struct err *e);
/* out [q->n, m]. enc: the model's, which takes rows space->d wide and keeps k
 * codes (0: all), or NULL where it is not needed (then d may be 0). */
int queries_codes(const struct queries *q, const struct space *space, size_t m, struct encoder *enc, size_t k, struct csr *out, struct err *e);

#endif
