/* Codes to reconstructions: xhat = z W_dec + b_dec (base/model.h). */
#ifndef SAE_DECODE_H
#define SAE_DECODE_H

#include "base/csr.h"
#include "base/model.h"
#include "base/pool.h"
#include "sae/simd.h"

/* xhat [z.rows, model->d]. Each row sums its latents in ascending order, so
 * bytes do not depend on threads or frames. z.cols must equal model->m, and
 * latents must ascend. simd as for the encoder: simd_for(NULL). */
void decode(const struct sae *model, struct csr_view z, struct pool *pool, const struct simd *simd, float *xhat);

/* Reference: double accumulation. xhat [z.rows, d]. */
void decode_plain(const struct sae *model, struct csr_view z, double *xhat);

#endif
