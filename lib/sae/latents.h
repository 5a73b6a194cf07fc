/* What each latent does over many rows: how often and how strongly it is
 * active, and how alike the rows are that activate it. Memory: 12 m d bytes.
 *
 * Monosemanticity of a latent: the mean cosine of two of its rows, weighted by
 * the product of their activations. With unit rows e and activations a,
 *
 *   (|sum a e|^2 - sum a^2) / ((sum a)^2 - sum a^2)
 *
 * which one pass can sum up (pairs i < j of Pach et al. 2025, "Sparse
 * autoencoders learn monosemantic features in vision-language models").
 */
#ifndef SAE_LATENTS_H
#define SAE_LATENTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/pool.h"
#include "sae/simd.h"

#define LATENTS_ROWS 512 /* at most in one call */

struct latent_sums {
	size_t m, d;
	uint64_t *rows;      /* [m]: where it is active and the row is not zero */
	double *sum, *square; /* [m]: of a, of a^2 */
	double *direction;   /* [m,d]: sum of a e, but for what is in `recent` */
	/* of the last calls */
	float *recent;       /* [m,d] */
	uint64_t recent_rows;
	struct mat unit;     /* [LATENTS_ROWS,d] */
	uint32_t *zero;      /* [LATENTS_ROWS]: 1 where a row is */
	uint32_t *row;       /* [threads, stride]: what a job has turned */
	float *val;
};

int latents_init(struct latent_sums *s, size_t m, size_t d, unsigned threads, struct err *e);
void latents_free(struct latent_sums *s);
/* x [n,d] and its codes z [n,m], n <= LATENTS_ROWS, values positive. Sums are
 * the same bytes for every number of threads. */
void latents_rows(struct latent_sums *s, const float *x, struct csr_view z, struct pool *pool, const struct simd *simd);
/* Brings direction up to date: before it is read or saved. */
void latents_settle(struct latent_sums *s);
void latents_merge(struct latent_sums *s, struct latent_sums *other);
/* NaN for a latent with fewer than two rows. Settled sums. */
double latents_monosemanticity(const struct latent_sums *s, size_t latent);

/* Mean squared inner product of two different decoder rows, "DO": sum over
 * i != j of (D_i . D_j)^2, over m^2 as the published code has it. By
 * (|D^T D|_F^2 - sum |D_j|^4) / m^2, d x d instead of m x m, in double.
 * W_dec [m,d]. */
int decoder_overlap(double *out, const float *W_dec, size_t m, size_t d, struct err *e);

#endif
