/* The latents of two models compared, each as a direction among the inputs:
 *
 *   align_directions(&a, &model_a, by, &without, &err);     and b likewise
 *   align_cosines(&cosines, &a, &b, pool, &err);            [latents of a, of b]
 *   align_nearest(&cosines, of_a, of_b);
 *
 * lib/sae/assign.h matches them one to one.
 */
#ifndef SAE_ALIGN_H
#define SAE_ALIGN_H

#include <stddef.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/model.h"
#include "base/pool.h"

/* Latent j as what it answers to, column j of W_enc, or as what it stands for,
 * row j of W_dec. */
enum align_by { ALIGN_ENCODER, ALIGN_DECODER };

/* out [m,d]: a row of length 1 for each latent, its length taken in double. A
 * latent all of zeros has no direction: its row stays zero, and *without counts
 * it. out from {0}; mat_free. */
int align_directions(struct mat *out, const struct sae *s, enum align_by by, size_t *without, struct err *e);

/* out [a.rows,b.rows]: products of a's rows with b's, held to -1..1. What has
 * no direction has cosine 0 with everything. a and b are equally wide. */
int align_cosines(struct mat *out, const struct mat *a, const struct mat *b, struct pool *pool, struct err *e);

/* The largest cosine of each row, of_rows [rows], and of each column, of_cols
 * [cols]. */
void align_nearest(const struct mat *cosines, float *of_rows, float *of_cols);

#endif
