/* Embeddings to codes. Formulae: base/model.h.
 *
 *   struct encoder *enc = encoder_new(&model, pool, simd, &err);
 *   encode(enc, x, n, k, &z, &err);          as often as wanted
 *   encoder_free(enc);
 *
 * Rows go through in blocks of ENCODE_BLOCK; the product is cut into column
 * tiles of fixed width, each one BLAS call on one thread: codes do not depend
 * on the number of threads. Across block sizes (frames of another size) values
 * agree to float32 rounding; they are the same bytes where BLAS treats all rows
 * alike, as OpenBLAS's AVX-512 kernels do and its AVX2 kernels do not.
 * Memory: ENCODE_BLOCK x (m + d) floats. Selecting and storing cost about 6 %
 * of the product.
 */
#ifndef SAE_ENCODE_H
#define SAE_ENCODE_H

#include "base/csr.h"
#include "base/error.h"
#include "base/model.h"
#include "base/pool.h"
#include "sae/simd.h"

#define ENCODE_BLOCK 1024 /* rows */

struct encoder;

/* model, pool and simd must outlive it. NULL with e filled on failure. */
struct encoder *encoder_new(const struct sae *model, struct pool *pool, const struct simd *simd, struct err *e);
void encoder_free(struct encoder *enc);

/* z [n,m] = codes of the finite x [n,d]; k > 0 keeps the k largest of each row
 * (ties: lowest latent first), k = 0 keeps all positive ones. Latents ascend.
 * A model with thresholds gives p where p > threshold and p > 0; the soft cap
 * comes last, so that what it makes equal is still told apart. One encoder
 * serves one caller at a time. */
int encode(struct encoder *enc, const float *x, size_t n, size_t k, struct csr *z, struct err *e);

/* The readable reference, double accumulation, one row at a time:
 * z_dense [n,m]. Slow; for tests. */
void encode_plain(const struct sae *model, const float *x, size_t n, size_t k, double *z_dense);

#endif
