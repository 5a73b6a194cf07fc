/* From a model, a vocabulary and perhaps data to a concepts file.
 *
 *   struct namer n = {.o = {...}, .model = &model, .pool = pool, .simd = simd};
 *   by data:  n.rows filled (rowset.h), and of each block of raw rows, in order,
 *             namer_data(&n, x, count, &err)
 *   namer_begin(&n, &err)
 *   namer_look(&n, x, texts, count, &err)    all words, once
 *   namer_words(&n, x, texts, count, &err)   all words, again
 *   namer_finish(&n, path, &err)             writes the file; n.result says what is in it
 *   namer_free(&n)
 *
 * What a latent means is a direction among embeddings. By decoder it is the
 * latent's decoder row. By data it is where the rows lie on which the latent is
 * strongest, seen from where no latent is active: sum of z_rj (x'_r - b_dec)
 * over those rows, x' = (x - mean) scale. Words are seen from their own mean,
 * since texts lie elsewhere than images. docs/NAMING.md has what was tried and
 * how good the names are.
 */
#ifndef JOBS_NAMER_H
#define JOBS_NAMER_H

#include <stdbool.h>

#include "base/model.h"
#include "base/strcount.h"
#include "jobs/rowset.h"
#include "sae/encode.h"
#include "sae/naming.h"
#include "sae/strongest.h"

struct namer_opts {
	bool by_data;     /* else by decoder */
	bool published;   /* decoder row / scale + mean, as Zaigrajew et al. (ICML 2025) have it */
	bool use_bias;    /* decoder row + b_dec in place of decoder row */
	bool uncentred;   /* words as they are */
	size_t best;      /* words kept a latent */
	size_t strongest; /* rows a latent, by data */
	size_t mixes;     /* of each word, to tell how many names are false */
	double max_false; /* the share of valid names that may be */
	double min_sim;   /* NAN: what max_false makes it */
	double min_ratio; /* best over second best; 1: any */
};

struct namer {
	struct namer_opts o;
	const struct sae *model;
	struct pool *pool;
	const struct simd *simd;
	struct rowset rows;

	/* of the run */
	struct encoder *encoder;
	struct strongest strongest;
	uint64_t encoded;        /* rows */
	struct csr z;
	struct mat x, directions; /* [m,d] */
	struct norm_fit words;
	struct strcount texts;
	struct naming naming;
	struct namer_result {
		uint64_t rows, words; /* named from */
		size_t valid, names;  /* latents, different names among them */
		double min_sim;       /* valid from here on; INFINITY: nowhere */
		double expected_false; /* share of the valid ones; NAN: unknown */
	} result;
};

/* x [count,d]: the next raw rows, finite. */
int namer_data(struct namer *n, const float *x, size_t count, struct err *e);
/* By data: CODE_DATA when there were no rows, and when they were plainly
 * normalised in another way than those the model was trained on. */
int namer_begin(struct namer *n, struct err *e);
/* x [count,d]: CODE_DATA for a word of zeros, and for a text that came before
 * (of the first NAMER_TEXTS different ones). */
int namer_look(struct namer *n, const float *x, const char *const *texts, size_t count, struct err *e);
/* The first call wants all words to have been looked at: CODE_DATA when there
 * were none, and when they do not differ. */
int namer_words(struct namer *n, const float *x, const char *const *texts, size_t count, struct err *e);
int namer_finish(struct namer *n, const char *path, struct err *e);
void namer_free(struct namer *n);

#define NAMER_TEXTS ((size_t)1 << 20)

#endif
