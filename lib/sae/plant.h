/* Planted embeddings: rows that are sums of a few known concepts, so that
 * every later stage can be checked against the truth.
 *
 *   a_ij ~ on with probability f_j (power law in j, at most 1/2, summing to
 *          `active`), then strength 1 + |normal|/2; a row with none on gets
 *          one, drawn by frequency
 *   x_i  = offset + sum_j a_ij D_j + noise * normal / sqrt(d)
 *
 * D_j are unit directions orthogonal to the offset; the offset has norm 3 like the mean of
 * CLIP rows beside their spread. Row i depends on the options and i alone: not
 * on which rows are asked for together, nor on threads.
 */
#ifndef SAE_PLANT_H
#define SAE_PLANT_H

#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/model.h"
#include "base/pool.h"

struct plant_opts {
	size_t d, concepts;
	uint64_t seed;
	double active;   /* mean number of concepts in a row */
	double power;    /* exponent of the power law of frequencies */
	double noise;    /* norm of the noise beside concepts of strength 1 */
};

struct plant {
	struct plant_opts o;
	float *dictionary; /* [concepts, d], unit rows */
	float *offset;     /* [d] */
	double *frequency; /* [concepts], descending */
};

/* Draws the dictionary. CODE_USAGE for options that make no sense (d < 2, no
 * concepts, active above half of them, negative noise or power). */
int plant_init(struct plant *p, const struct plant_opts *o, struct err *e);
void plant_free(struct plant *p);

/* Rows first..first+n-1 into x [n,d]. truth (may be NULL) gets the strengths. */
int plant_rows(const struct plant *p, uint64_t first, size_t n, struct pool *pool, float *x, struct csr *truth, struct err *e);

/* A model that reads such rows, m = concepts, ARCH_RELU: mean and scale from
 * the truth, W_dec the planted directions, W_enc the best linear estimate of
 * the strengths Cov(a,x) Cov(x)^-1 (from the truth as well), freed of its
 * shrinkage and biased so that what is off stays below zero; z_j is near
 * scale * a_j, xhat unbiased. While concepts <= d every concept is found; with
 * four times as many as dimensions still 19 of 20. s is owned by the caller
 * (sae_free). */
int plant_model(const struct plant *p, struct sae *s, struct err *e);

/* Name of planted concept j: a plain English noun; from 256 on with a number
 * ("zebra 2"). out[32]. Returns out. */
char *plant_name(size_t j, char *out);

#endif
