/* How well a model reconstructs rows: in one pass over them, as the model is
 * used and with only the k largest codes of each row, from one encoding.
 *
 *   quality_init(&q, &model, ks, nks, pool, simd, &err);
 *   quality_rows(&q, x, n, &err);           x normalised, as often as wanted
 *   quality_result(&q, i, &result);         i = 0: as used; 1..nks: ks[i-1]
 *   quality_free(&q);
 *
 * Memory: QUALITY_BLOCK x (m + 3 d) floats and what the encoder takes.
 */
#ifndef SAE_QUALITY_H
#define SAE_QUALITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"
#include "base/mem.h"
#include "sae/encode.h"

#define QUALITY_BLOCK 512 /* rows */
#define QUALITY_MAX_KS 15

struct quality_sums {
	double fvu, cosine, mae, codes; /* sums over rows */
	double square;                  /* of |x - xhat|^2 */
};

struct quality {
	const struct sae *model;
	struct pool *pool;
	const struct simd *simd;
	struct encoder *encoder;
	size_t ks[QUALITY_MAX_KS], nks, used_k;
	struct quality_sums sums[QUALITY_MAX_KS + 1];
	struct csr z, cut[2];
	struct mat xhat;
	double *row;       /* [QUALITY_BLOCK,4] */
	double *sum, square; /* of x: [d], and of |x|^2 */
	uint64_t rows, flat, *fired; /* flat: rows that do not vary; [m] */
};

struct quality_result {
	uint64_t rows;
	double fvu;      /* mean over rows of var(x - xhat) / var(x), variances over a row's numbers */
	double fvu_data; /* sum |x - xhat|^2 / sum |x - mean x|^2 */
	double cosine;   /* mean of x . xhat / |x||xhat|; a zero vector has cosine 0 */
	double mae;      /* mean over rows of |xhat - x|_1 / |x|_1 */
	double l0, zeros; /* mean number of codes in a row; 1 - l0/m */
	uint64_t silent; /* latents never active (i = 0 only) */
};

/* ks ascending, at most QUALITY_MAX_KS. The model's parameters may change
 * between quality_reset and the next rows. */
int quality_init(struct quality *q, const struct sae *model, const size_t *ks, size_t nks, struct pool *pool, const struct simd *simd, struct err *e);
void quality_reset(struct quality *q);
int quality_rows(struct quality *q, const float *x, size_t n, struct err *e);
void quality_result(const struct quality *q, size_t i, struct quality_result *out);
void quality_free(struct quality *q);

#endif
