/* What a linear probe (base/probe.h) says of embeddings. */
#ifndef SAE_PROBE_H
#define SAE_PROBE_H

#include "base/mem.h"
#include "base/pool.h"
#include "base/probe.h"
#include "sae/simd.h"

/* out [n,classes] = log p of the rows of x [n,d], which are raw embeddings
 * (normalisation taken back) and are brought to unit length here; a row of
 * zeros gets log softmax(b). Each row is summed by itself and in order, so bytes
 * do not depend on threads, frames or instruction set; the softmax is taken in
 * double. scratch grows to [n,d+1] and is the caller's to free: the unit rows, and
 * behind them the lengths that rows had, 0 where there was no direction. x must
 * be finite. */
int probe_logp(const struct probe *p, const float *x, size_t n, struct pool *pool, const struct simd *simd,
               struct mat *scratch, float *out, struct err *e);

/* Reference: one row in double, out [classes]. */
void probe_logp_plain(const struct probe *p, const float *x, double *out);

#endif
