/* Codes to reconstructions: xhat = z W_dec + b_dec (base/model.h). What a model
 * that is not plain adds to that is sae/rowform.h's. */
#ifndef SAE_DECODE_H
#define SAE_DECODE_H

#include "base/csr.h"
#include "base/model.h"
#include "base/pool.h"
#include "sae/simd.h"

/* xhat [z.rows, model->d_out]. Each row sums its latents in ascending order, so
 * bytes do not depend on threads or frames. z.cols must equal model->m, and
 * latents must ascend. simd as for the encoder: simd_for(NULL). */
void decode(const struct sae *model, struct csr_view z, struct pool *pool, const struct simd *simd, float *xhat);

/* Rows first..end-1 of it, by the calling thread, added onto `onto`: xhat
 * [z.rows,d_out] itself (xhat += z W_dec), or NULL for b_dec. The same bytes. */
void decode_rows(const struct sae *model, struct csr_view z, size_t first, size_t end, const struct simd *simd,
                 const float *onto, float *xhat);

/* Reference: double accumulation. xhat [z.rows, d_out]. */
void decode_plain(const struct sae *model, struct csr_view z, double *xhat);

#endif
