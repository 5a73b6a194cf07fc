/* How well a model reconstructs rows: in one pass over them, as the model is
 * used and with only the k largest codes of each row, from one encoding. The
 * levels share their work: xhat of a level is that of the one before and what
 * the codes in between add.
 *
 *   quality_init(&q, &model, ks, nks, pool, simd, &err);
 *   quality_rows(&q, x, n, row, &err);      x normalised, as often as wanted
 *   quality_result(&q, i, &result);         i = 0: as used; 1..nks: ks[i-1]
 *   quality_free(&q);
 *
 * The k largest are those of relu(p): a BatchTopK model's threshold decides
 * what is used, but not what the levels choose from. (JumpReLU's is part of its
 * activation function.)
 *
 * Sums are kept, so those of two passes can be added. They do not depend on how
 * rows are cut into calls as long as each but the last has a multiple of
 * QUALITY_BLOCK rows. Memory: QUALITY_BLOCK x (m + 3 d) floats, the encoder's,
 * and (nks + 1) x m counts.
 */
#ifndef SAE_QUALITY_H
#define SAE_QUALITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"
#include "base/mem.h"
#include "base/moments.h"
#include "sae/encode.h"

#define QUALITY_BLOCK 512 /* rows */
#define QUALITY_MAX_KS 31
#define QUALITY_PARTS 32 /* of the rows, for the jackknife */

/* What a row has of each level. */
enum quality_measure {
	QUALITY_FVU,    /* var(x - xhat) / var(x), variances over the row's numbers */
	QUALITY_COSINE, /* x . xhat / |x||xhat|; a zero xhat has cosine 0 */
	QUALITY_MAE,    /* |x - xhat|_1 / |x|_1 */
	QUALITY_L0,     /* codes that are not zero */
	QUALITY_MEASURES
};

struct quality_level {
	double sum[QUALITY_MEASURES], square[QUALITY_MEASURES]; /* over rows that vary (L0: all rows) */
	double error[QUALITY_PARTS]; /* sum |x - xhat|^2 of each part */
};

struct quality {
	const struct sae *model;
	struct pool *pool;
	const struct simd *simd;
	/* Called for each level of each block, when set: with xhat [n,d]; as: another
	 * level of the same block where xhat was the same, or SIZE_MAX. */
	int (*each)(void *arg, size_t level, size_t as, const float *x, const float *xhat, size_t n, struct err *e);
	void *each_arg;
	/* When set, x and xhat are compared as raw embeddings, x / scale + mean. The
	 * published code does that; a mean far from 0 makes everything look better. */
	const float *mean;   /* [d] */
	float scale;
	struct sae open;     /* the model without the threshold that levels do not have */
	struct encoder *encoder;
	size_t fixed;        /* k of models whose codes cannot be cut to levels by value; else 0 */
	size_t ks[QUALITY_MAX_KS], nks;
	struct quality_level levels[QUALITY_MAX_KS + 1];
	uint64_t *fired;     /* [nks+1,m]: rows where a latent is active */
	uint64_t rows, flat; /* flat: rows that do not vary, left out of FVU, cosine and MAE */
	double *x_sum;       /* [QUALITY_PARTS,d] */
	double x_square[QUALITY_PARTS];
	uint64_t part_rows[QUALITY_PARTS];
	/* of the block at hand */
	struct csr z, cut[2], used, steps[QUALITY_MAX_KS + 1];
	struct mat xhat, raw[2]; /* raw: x and xhat, where they are compared so */
	struct mat form, back;   /* where the model normalises rows: what of, and xhat taken back */
	double *row; /* [QUALITY_BLOCK,nks+1,QUALITY_MEASURES+1] */
	float *zero; /* [d] */
};

struct quality_result {
	uint64_t rows, flat;
	struct estimate of[QUALITY_MEASURES]; /* over rows */
	double fvu_data, fvu_data_half; /* sum |x - xhat|^2 / sum |x - mean x|^2; half a 95 % interval by a jackknife over 32 parts of the rows */
	double zeros;                  /* 1 - L0/m */
	uint64_t silent, always;       /* latents never active, active in every row */
};

/* ks ascending, at most QUALITY_MAX_KS, those beyond m left out. Transcoders,
 * skip connections, and levels of models whose codes are chosen by more than
 * their value, are refused (CODE_DATA). The model's
 * parameters may change between quality_reset and the next rows. */
int quality_init(struct quality *q, const struct sae *model, const size_t *ks, size_t nks, struct pool *pool, const struct simd *simd, struct err *e);
void quality_reset(struct quality *q);
/* x [n,d] finite; row: the number of its first row. */
int quality_rows(struct quality *q, const float *x, size_t n, uint64_t row, struct err *e);
/* Codes of the rows last given to quality_rows, if those were at most
 * QUALITY_BLOCK: as used, and all that the levels choose from. */
struct csr_view quality_used(const struct quality *q);
struct csr_view quality_all(const struct quality *q);
/* Those rows x as they were compared. */
const float *quality_compared(const struct quality *q, const float *x);
/* Whether what is used is chosen from relu(p) by a rule of its own (TopK,
 * BatchTopK); quality_choose does that for any z it could have come from, and
 * nothing where there is no such rule. */
bool quality_chosen(const struct quality *q);
int quality_choose(const struct quality *q, struct csr_view z, struct csr *out, struct err *e);
/* Adds the sums of another pass with the same ks over a model of that shape. */
void quality_merge(struct quality *q, const struct quality *other);
/* NaN stands where there is nothing to tell: no row varies, one part only. */
void quality_result(const struct quality *q, size_t i, struct quality_result *out);
void quality_free(struct quality *q);

/* The reference: a dense reconstruction, one row at a time, in double. out
 * [QUALITY_MEASURES], of x [d] and xhat [d]; L0 is not set. False for a row
 * that does not vary. */
bool quality_plain(const float *x, const double *xhat, size_t d, double *out);

#endif
